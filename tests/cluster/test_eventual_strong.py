#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eventual directories that become strong with files in them."""

import errno
import os
import signal
import subprocess
import threading
import time

from eventual_folders import odd_files_in
from harness import errno_name, errno_of, get, load, main, put, test, together, wait_until
from trees import same

MODE = 'user.grove.consistency'
FILES = 600
SETTLED_S = 40  # A fence that its keeper has left is taken away after 10 s.


def make_eventual(c, name):
    os.mkdir(c.path(1, name))
    os.setxattr(c.path(1, name), MODE, b'eventual')


def make_strong(c, name, node=1):
    os.setxattr(c.path(node, name), MODE, b'strong')


def mode(c, name, node=1):
    return os.getxattr(c.path(node, name), MODE)


@test
def files_come_along_as_they_are(t):
    c = t.cluster()
    make_eventual(c, 'e')
    source = t.scratch('source')
    odd_files_in(source)
    subprocess.run(['cp', '-a', f'{source}/.', c.path(2, 'e')], check=True)
    os.setxattr(c.path(2, 'e/001'), 'user.tag', b'value')
    os.mkdir(c.path(1, 'other'))
    before = os.stat(c.path(2, 'e/002')).st_ino
    make_strong(c, 'e', node=3)
    for node in c.nodes:
        same(source, c.path(node, 'e'))
        assert os.getxattr(c.path(node, 'e/001'), 'user.tag') == b'value'
        assert os.stat(c.path(node, 'e/002')).st_ino == before
        assert mode(c, 'e/002', node) == b'strong'
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
    writers = load(c, label='e/w')
    time.sleep(1)
    make_strong(c, 'e', node=2)
    time.sleep(1)
    for writer in writers:
        writer.end()
    for writer in writers:
        assert not writer.errors, writer.errors[0]
        t.say(f'{writer.label}: nothing acknowledged for {writer.longest_gap():.2f} s at most')
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
        for number in range(FILES):
            put(c.path(2, f'{name}/{number}'), b'%d' % number)
        switch = threading.Thread(target=errno_of, args=(make_strong, c, name, 1), daemon=True)
        switch.start()
        time.sleep(0.02 * victim)
        c.kill(victim)
        switch.join(60)
        c.start(victim)
        for node in c.nodes:
            c.wait_healthy(node)
        t.say(f'node {victim} was killed: {mode(c, name)}')

        def is_complete(node):
            folder = c.path(node, name)
            return sorted(map(int, os.listdir(folder))) == list(range(FILES)) and all(
                get(f'{folder}/{number}') == b'%d' % number for number in range(0, FILES, 20))
        for node in c.nodes:
            wait_until(f'node {node} has everything', 20, lambda n=node: is_complete(n))
        wait_until('it is strong', SETTLED_S, lambda: errno_of(make_strong, c, name) == 0)
        for node in c.nodes:
            assert is_complete(node) and mode(c, name, node) == b'strong'


@test
def who_gives_up_leaves_no_fence(t):
    c = t.cluster()
    make_eventual(c, 'e')
    leader = c.leader(region=0)
    silent = c.followers()[0]  # A leader would be waited for, and not heard of meanwhile.
    other = next(node for node in c.nodes if node not in (leader, silent))
    c.pause(silent)
    switch = t.popen('setfattr', '-n', MODE, '-v', 'strong', c.path(leader, 'e'))
    wait_until('it is fenced', 20, lambda: 'fenced' in c.info(other, 'modes'))
    switch.send_signal(signal.SIGINT)
    switch.wait(20)
    put(c.path(other, 'e/f'), b'x')
    assert mode(c, 'e', other) == b'eventual'
    c.resume(silent)
    c.wait_healthy(silent)
    make_strong(c, 'e')
    assert get(c.path(silent, 'e/f')) == b'x'


@test
def rmdir_makes_nothing_strong_that_is_not_empty(t):
    c = t.cluster()
    make_eventual(c, 'e')
    put(c.path(2, 'e/f'), b'x')
    assert errno_of(os.rmdir, c.path(1, 'e')) == errno.ENOTEMPTY
    assert mode(c, 'e', 3) == b'eventual'
    os.mkdir(c.path(2, 'e/sub'))
    assert errno_of(make_strong, c, 'e') == errno.ENOTEMPTY
    assert mode(c, 'e', 3) == b'eventual'
    os.rmdir(c.path(1, 'e/sub'))
    make_strong(c, 'e')
    assert get(c.path(3, 'e/f')) == b'x'


main()
