#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A directory with very many below it that becomes eventual, and strong again:
many of them come with one command, so it does not matter how far apart the
nodes are."""

import errno
import os
import re
import time

from eventual_folders import make_eventual, mode_of, switch
from harness import errno_name, errno_of, get, main, put, test, together

DIRECTORIES = int(os.environ.get('MANY_DIRECTORIES', '2000'))
AT_ONCE = 512  # In one command.
BESIDE = 12  # Commands that do not depend on how many there are, and what else is in a log.
BYTES = 256 << 10  # Of files in one command.


def name_of(number):
    """Half of them lie in another one."""
    return f'{number - 1}/{number}' if number % 2 == 1 else f'{number}'


def commands(c):
    """How many entries the logs of data regions have."""
    return sum(int(index) for index in re.findall(
        r'^grovefs_region_commit_index\{region="[1-9]\d*"\} (\d+)$', c.info(1, 'metrics'), re.M))


def plant(c):
    def make(node):
        for number in range(2 * node - 2, DIRECTORIES, 2 * len(c.nodes)):
            for each in range(number, min(number + 2, DIRECTORIES)):
                os.mkdir(c.path(node, f'd/{name_of(each)}'))
                put(c.path(node, f'd/{name_of(each)}/f'), b'%d' % each)

    make_eventual(c, 'd')
    together(*(lambda n=n: make(n) for n in c.nodes))


def check(c, mode):
    for node in c.nodes:
        assert mode_of(c, 'd', node) == mode
        for number in range(node, DIRECTORIES, 97):
            assert get(c.path(node, f'd/{name_of(number)}/f')) == b'%d' % number
            assert mode_of(c, f'd/{name_of(number)}', node) == mode
    assert len(os.listdir(c.path(1, 'd'))) == (DIRECTORIES + 1) // 2


def switch_in_time(t, c, mode, node):
    """Returns how many commands that took. A busy machine may take more than the 4 s
    that it is given; then all is as before."""
    for _ in range(5):
        before = commands(c)
        began = time.monotonic()
        number = errno_of(switch, c, 'd', mode, node)
        t.say(f'{mode.decode()}: {errno_name(number) if number else "done"} after '
              f'{time.monotonic() - began:.2f} s')
        if number == 0:
            check(c, mode)
            return commands(c) - before
        assert number in (errno.EBUSY, errno.EHOSTUNREACH), number
        time.sleep(5)
    raise AssertionError('there was never enough time')


@test
def a_directory_with_very_many_below_it_takes_few_commands(t):
    c = t.cluster()
    began = time.monotonic()
    plant(c)
    t.say(f'{DIRECTORIES} directories in {time.monotonic() - began:.1f} s')
    for number, mode in enumerate((b'strong', b'eventual', b'strong', b'eventual')):
        count = switch_in_time(t, c, mode, 1 + number % 3)
        t.say(f'{count} commands')
        # Of parts twice, for PREPARE and RESOLVE; a name and a file of each.
        assert count <= 2 * (DIRECTORIES // AT_ONCE + 1) + DIRECTORIES * 400 // BYTES + BESIDE


main()
