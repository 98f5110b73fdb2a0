# SPDX-License-Identifier: Apache-2.0
"""Nodes whose clocks can be set: libfaketime sets each node's wall clock by a
file of its own, nI, and leaves the monotonic clock alone."""

import os
from unittest import mock

from harness import GROVEFS

# The daemon's last argument is its mountpoint.
WRAPPER = f'''#!/bin/sh
for mount; do :; done
export FAKETIME_TIMESTAMP_FILE="$(dirname "$0")/$(basename "$mount")"
export FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
for library in /usr/lib/*/faketime/libfaketimeMT.so.1; do
    LD_PRELOAD=$library exec '{os.path.abspath(GROVEFS)}' "$@"
done
'''


def version_ms(path):
    return int(os.getxattr(path, 'user.grove.version').split(b'.')[0])


class Clocks:
    """A cluster whose nodes' clocks can be set, right at first."""

    def __init__(self, t, **settings):
        self.folder = t.scratch('clocks')
        self.wrapper = f'{self.folder}/grovefs'
        with open(self.wrapper, 'w', encoding='ascii') as f:
            f.write(WRAPPER)
        os.chmod(self.wrapper, 0o755)
        for node in (1, 2, 3):
            self.set(node, 0)
        with self.environment():
            self.cluster = t.cluster(**settings)

    def environment(self):
        """That nodes are to be started in."""
        return mock.patch.dict(os.environ, GROVEFS=self.wrapper)

    def set(self, node, seconds):
        path = f'{self.folder}/n{node}'
        with open(f'{path}.new', 'w', encoding='ascii') as f:
            f.write(f'{seconds:+d}\n')
        os.rename(f'{path}.new', path)
