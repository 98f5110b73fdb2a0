#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eventual directories that become strong with files in them."""

import errno
import os

from eventual_folders import (check_odd_files, fill, give_up, is_complete, kill_meanwhile,
                              make_eventual, mode_of, odd_files, switch, try_again,
                              write_meanwhile)
from harness import errno_name, errno_of, get, main, put, test, together, wait_until


def make_strong(c, name, node=1):
    switch(c, name, b'strong', node)


@test
def files_come_along_as_they_are(t):
    c = t.cluster()
    make_eventual(c, 'e')
    source = odd_files(t, c.path(2, 'e'))
    os.mkdir(c.path(1, 'other'))
    before = os.stat(c.path(2, 'e/002')).st_ino
    make_strong(c, 'e', node=3)
    for node in c.nodes:
        check_odd_files(source, c.path(node, 'e'))
        assert os.stat(c.path(node, 'e/002')).st_ino == before
        assert mode_of(c, 'e/002', node) == b'strong'
    os.rename(c.path(2, 'e/whole MiB'), c.path(2, 'other/here'))
    put(c.path(1, 'e/001'), b'new')
    assert get(c.path(3, 'e/001')) == b'new'
    c.kill(*c.nodes)
    together(*(lambda n=n: c.start(n) for n in c.nodes))
    assert get(c.path(2, 'e/001')) == b'new'
    assert os.stat(c.path(2, 'other/here')).st_size == 1 << 20
    assert len(os.listdir(c.path(1, 'e'))) == 303


@test
def writers_on_all_mounts_go_on_and_lose_nothing(t):
    c = t.cluster()
    make_eventual(c, 'e')
    for writer in write_meanwhile(t, c, 'e', b'strong'):
        for mount in c.mounts():
            writer.check(mount)


@test
def what_only_a_node_that_was_cut_off_had_comes_along(t):
    c = t.cluster(netns=True, options='op_timeout=4')
    make_eventual(c, 'e')
    fd = os.open(c.path(3, 'e'), os.O_RDONLY | os.O_DIRECTORY)
    put(c.path(1, 'e/old'), b'1')
    wait_until('node 3 has it', 10, lambda: os.path.exists(c.path(3, 'e/old')))
    c.cut(3)
    put('new', b'3', dir_fd=fd)
    os.unlink('old', dir_fd=fd)
    os.close(fd)
    number = errno_of(make_strong, c, 'e')
    assert number in (errno.EBUSY, errno.EHOSTUNREACH), errno_name(number)
    c.heal(3)
    c.wait_healthy(3)
    make_strong(c, 'e')
    for node in c.nodes:
        assert os.listdir(c.path(node, 'e')) == ['new']
        assert get(c.path(node, 'e/new')) == b'3'


@test
def whoever_is_killed_meanwhile_it_is_one_or_the_other_with_everything(t):
    c = t.cluster()
    for victim in (1, 2, 3):
        name = f'e{victim}'
        make_eventual(c, name)
        fill(c, name, node=2)
        kill_meanwhile(t, c, name, b'strong', victim, 0.02 * victim)
        for node in c.nodes:
            assert is_complete(c.path(node, name)) and mode_of(c, name, node) == b'strong'


@test
def who_gives_up_leaves_no_fence(t):
    c = t.cluster()
    make_eventual(c, 'e')
    silent, other = give_up(t, c, 'e', b'strong', 'fenced')
    put(c.path(other, 'e/f'), b'x')
    assert mode_of(c, 'e', other) == b'eventual'
    try_again(c, 'e', b'strong', silent)
    assert get(c.path(silent, 'e/f')) == b'x'


@test
def rmdir_makes_nothing_strong_that_is_not_empty(t):
    c = t.cluster()
    make_eventual(c, 'e')
    put(c.path(2, 'e/f'), b'x')
    assert errno_of(os.rmdir, c.path(1, 'e')) == errno.ENOTEMPTY
    assert mode_of(c, 'e', 3) == b'eventual'
    make_strong(c, 'e')
    assert get(c.path(3, 'e/f')) == b'x'


main()
