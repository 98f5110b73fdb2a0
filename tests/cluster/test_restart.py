#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes that stop, come back, or come back wiped."""

import os
import shutil

from harness import get, main, mounted, put, test


def fill(mount):
    os.makedirs(f'{mount}/a/b')
    os.symlink('a/b', f'{mount}/link')
    for i in range(200):
        put(f'{mount}/a/b/{i}', b'value %d' % i)
    put(f'{mount}/large', os.urandom(1 << 20))
    os.setxattr(f'{mount}/large', 'user.note', b'kept')


def content(mount):
    found = {}
    for folder, folders, files in os.walk(mount):
        for name in files:
            found[f'{folder.removeprefix(mount)}/{name}'] = get(f'{folder}/{name}')
        for name in folders:
            found[f'{folder.removeprefix(mount)}/{name}'] = None
    found['note'] = os.getxattr(f'{mount}/large', 'user.note')
    return found


@test
def a_cluster_that_was_down_comes_back_with_everything(t):
    c = t.cluster()
    fill(c.mount(1))
    before = content(c.mount(1))
    c.run('down')
    assert not any(mounted(mount) for mount in c.mounts())
    c.up_again()
    for mount in c.mounts():
        assert content(mount) == before, mount


@test
def a_node_that_is_stopped_leaves_no_mount_and_catches_up_when_it_is_back(t):
    c = t.cluster()
    for node in c.nodes:
        c.stop(node)
        assert not mounted(c.mount(node))
        other = node % 3 + 1
        put(c.path(other, f'while-{node}-was-away'), b'x')
        c.start(node)
        c.wait_caught_up(node)
        assert get(c.path(node, f'while-{node}-was-away')) == b'x'


@test
def a_wiped_node_that_returns_under_its_old_id_is_refused(t):
    c = t.cluster()
    put(c.path(1, 'key'), b'kept')
    c.kill(3)
    shutil.rmtree(c.store(3))
    done = c.run('start', 3, check=False)
    assert done.returncode == 1, 'the wiped node was let in'
    assert 'cluster exists' in done.stderr, done.stderr
    assert not mounted(c.mount(3))
    put(c.path(2, 'key'), b'and the others go on')
    assert get(c.path(1, 'key')) == b'and the others go on'


main()
