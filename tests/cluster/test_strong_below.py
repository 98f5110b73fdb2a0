#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Strong directories below eventual ones."""

import errno
import os
import stat
import threading
import time

from eventual_folders import (AGREE_S, MODE, SETTLED_S, cut_cluster, holds, kill_at_once,
                              make_eventual, mode_of, opened, refused, switch)
from harness import errno_name, errno_of, get, main, put, table, test, together, wait_until

FILES = 50
AWAY = (errno.EHOSTUNREACH, errno.ETIMEDOUT)  # What is said without a majority.


def inherit(c, name, node=1):
    os.removexattr(c.path(node, name), MODE)


def move(c, name, to, node=1):
    return errno_of(os.rename, c.path(node, name), c.path(node, to))


def listed(c, node=1):
    return {row['namespace']: row['mode'] for row in table(c.info(node, 'modes'))}


def make_tree(c, name):
    """An eventual directory with a strong one in it, both with files and another one."""
    make_eventual(c, name)
    os.makedirs(c.path(2, f'{name}/locks/in'))
    os.mkdir(c.path(3, f'{name}/other'))
    for number in range(FILES):
        put(c.path(2, f'{name}/locks/{number}'), b'%d' % number)
    put(c.path(2, f'{name}/locks/in/f'), b'in')
    put(c.path(1, f'{name}/f'), b'f')
    switch(c, f'{name}/locks', b'strong', node=3)


def is_whole(c, name, node):
    names = {str(number) for number in range(FILES)} | {'in'}
    return (set(os.listdir(c.path(node, name))) == names
            and all(get(c.path(node, f'{name}/{n}')) == b'%d' % n for n in range(FILES))
            and get(c.path(node, f'{name}/in/f')) == b'in')


def check_whole(c, name, mode=b'strong'):
    for node in c.nodes:
        for below in (name, f'{name}/in', f'{name}/1', f'{name}/in/f'):
            assert mode_of(c, below, node) == mode, (node, below)
        assert is_whole(c, name, node), node


def check_strong(c, name):
    """What was done on one mount is there on all others at once."""
    for number in range(5):
        for node in c.nodes:
            other = c.path(node % 3 + 1, name)
            put(c.path(node, f'{name}/new'), b'%d %d' % (number, node))
            assert get(f'{other}/new') == b'%d %d' % (number, node)
            os.mkdir(c.path(node, f'{name}/dir'))
            assert sorted(os.listdir(other)) == sorted(os.listdir(c.path(node, name)))
            assert errno_of(os.mkdir, f'{other}/dir') == errno.EEXIST
            os.rename(f'{other}/new', f'{other}/dir/new')
            assert errno_of(os.rmdir, c.path(node, f'{name}/dir')) == errno.ENOTEMPTY
            os.unlink(c.path(node, f'{name}/dir/new'))
            os.rmdir(f'{other}/dir')
            assert not os.path.exists(c.path(node, f'{name}/dir'))


@test
def it_is_strong_and_what_it_is_in_stays_eventual(t):
    c = t.cluster()
    make_tree(c, 'd')
    check_whole(c, 'd/locks')
    check_strong(c, 'd/locks')
    for node in c.nodes:
        assert mode_of(c, 'd', node) == mode_of(c, 'd/other', node) == b'eventual'
        wait_until('all is there', AGREE_S, lambda n=node: holds(c.path(n, 'd/f'), b'f'))
        assert sorted(os.listdir(c.path(node, 'd'))) == ['f', 'locks', 'other']
        assert listed(c, node) == {'/d': 'eventual', '/d/locks': 'strong'}, listed(c, node)
    c.kill(*c.nodes)
    together(*(lambda n=n: c.start(n) for n in c.nodes))
    check_whole(c, 'd/locks')
    check_strong(c, 'd/locks')


@test
def its_attributes_are_those_of_a_strong_one(t):
    c = t.cluster()
    make_tree(c, 'd')
    os.chmod(c.path(1, 'd/locks'), 0o2750)
    os.setxattr(c.path(2, 'd/locks'), 'user.a', b'b')
    assert stat.S_IMODE(os.stat(c.path(3, 'd/locks')).st_mode) == 0o2750
    assert os.listxattr(c.path(1, 'd/locks')) == ['user.a']
    before = os.stat(c.path(1, 'd/locks'))
    put(c.path(2, 'd/locks/later'), b'x')
    after = os.stat(c.path(1, 'd/locks'))
    assert after.st_mtime_ns > before.st_mtime_ns and after.st_ino == before.st_ino
    os.utime(c.path(3, 'd/locks'), ns=(1, 2))
    assert os.stat(c.path(1, 'd/locks')).st_mtime_ns == 2


@test
def it_becomes_eventual_again_by_itself_or_with_what_it_is_in(t):
    c = t.cluster()
    make_tree(c, 'd')
    switch(c, 'd/locks', b'eventual', node=2)
    check_whole(c, 'd/locks', b'eventual')
    assert listed(c, 2) == {'/d': 'eventual', '/d/locks': 'eventual'}, listed(c, 2)
    switch(c, 'd/locks', b'strong')
    check_whole(c, 'd/locks')
    inherit(c, 'd/locks', node=3)
    check_whole(c, 'd/locks', b'eventual')
    assert listed(c, 3) == {'/d': 'eventual'}, listed(c, 3)
    assert errno_of(inherit, c, 'd/locks') == errno.ENODATA
    switch(c, 'd', b'strong')
    check_whole(c, 'd/locks')
    assert errno_of(inherit, c, 'd/locks') == errno.ENODATA


@test
def it_stays_strong_when_what_it_is_in_changes(t):
    c = t.cluster()
    make_tree(c, 'd')
    for mode in (b'strong', b'eventual', b'strong'):
        switch(c, 'd', mode, node=2)
        check_whole(c, 'd/locks')
        check_strong(c, 'd/locks')
        for node in c.nodes:
            assert mode_of(c, 'd', node) == mode_of(c, 'd/other', node) == mode
            assert sorted(os.listdir(c.path(node, 'd'))) == ['f', 'locks', 'other']
    inherit(c, 'd/locks')
    check_whole(c, 'd/locks')
    assert errno_of(inherit, c, 'd/locks') == errno.ENODATA
    switch(c, 'd', b'eventual')
    check_whole(c, 'd/locks', b'eventual')


@test
def what_is_set_strong_in_a_strong_one_stays_so(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/locks/in'))
    os.mkdir(c.path(2, 'd/other'))
    for number in range(FILES):
        put(c.path(2, f'd/locks/{number}'), b'%d' % number)
    put(c.path(2, 'd/locks/in/f'), b'in')
    assert errno_of(inherit, c, 'd/locks') == errno.ENODATA
    switch(c, 'd/locks', b'strong', node=3)
    switch(c, 'd/locks', b'strong', node=2)
    for mode in (b'eventual', b'strong'):
        switch(c, 'd', mode)
        check_whole(c, 'd/locks')
        check_strong(c, 'd/locks')
        for node in c.nodes:
            assert mode_of(c, 'd', node) == mode_of(c, 'd/other', node) == mode
    inherit(c, 'd/locks', node=2)
    switch(c, 'd', b'eventual', node=3)
    check_whole(c, 'd/locks', b'eventual')


@test
def a_mode_of_its_own_outlives_a_change_that_leads_to_nothing(t):
    c = t.cluster()
    make_tree(c, 'd')
    switch(c, 'd', b'strong')
    c.pause(3)
    number = errno_of(switch, c, 'd/locks', b'eventual')
    assert number in (errno.EBUSY, errno.EHOSTUNREACH), errno_name(number)
    c.resume(3)
    c.wait_healthy(3)
    wait_until('it is over', SETTLED_S,
               lambda: [row['state'] for row in table(c.info(1, 'modes'))] == ['ok'])
    assert listed(c) == {'/d/locks': 'strong'}, listed(c)
    switch(c, 'd', b'eventual')
    check_whole(c, 'd/locks')


@test
def it_is_removed_when_it_is_empty(t):
    c = t.cluster()
    make_tree(c, 'd')
    for path in ('d/locks', 'd'):
        assert errno_of(os.rmdir, c.path(1, path)) == errno.ENOTEMPTY, path
    for number in range(FILES):
        os.unlink(c.path(1, f'd/locks/{number}'))
    os.unlink(c.path(2, 'd/locks/in/f'))
    os.rmdir(c.path(3, 'd/locks/in'))
    before = os.stat(c.path(2, 'd')).st_mtime_ns
    os.rmdir(c.path(2, 'd/locks'))
    assert os.stat(c.path(2, 'd')).st_mtime_ns > before
    assert sorted(os.listdir(c.path(2, 'd'))) == ['f', 'other']
    for node in c.nodes:
        assert not os.path.exists(c.path(node, 'd/locks'))
        wait_until('all show it', AGREE_S, lambda n=node: 'locks' not in os.listdir(c.path(n, 'd')))
    assert errno_of(os.rmdir, c.path(1, 'd/locks')) == errno.ENOENT
    os.mkdir(c.path(3, 'd/locks'))
    assert mode_of(c, 'd/locks', 3) == b'eventual'


@test
def it_moves_between_eventual_ones_and_nowhere_else(t):
    c = t.cluster()
    make_tree(c, 'd')
    make_eventual(c, 'g')
    os.mkdir(c.path(1, 'g/sub'))
    os.mkdir(c.path(1, 'plain'))
    os.mkdir(c.path(1, 'plain/dir'))
    for name, to, expected in (('d/locks', 'plain/locks', errno.EXDEV),
                               ('plain/dir', 'd/dir', errno.EXDEV),
                               ('d/locks/in', 'd/in', errno.EXDEV),
                               ('d/other', 'd/locks/other', errno.EXDEV),
                               ('d/locks/1', 'd/1', errno.EXDEV),
                               ('d', 'd/locks/d', errno.EINVAL),
                               ('d/locks', 'd/lock', 0),
                               ('d/lock', 'd/other/lock', 0),
                               ('d/other/lock', 'g/sub/lock', 0),
                               ('g/sub', 'g/dir', 0),
                               ('plain/dir', 'g/dir/lock/dir', 0),
                               ('g/dir/lock/dir', 'plain/back', 0)):
        number = move(c, name, to, node=2)
        assert number == expected, f'{name} to {to}: {errno_name(number)}'
    assert mode_of(c, 'plain/back') == b'strong'
    check_whole(c, 'g/dir/lock')
    check_strong(c, 'g/dir/lock')
    switch(c, 'g', b'strong', node=3)
    check_whole(c, 'g/dir/lock')
    assert move(c, 'g/dir/lock', 'plain/lock') == 0
    check_whole(c, 'plain/lock')


@test
def an_eventual_one_in_it_is_as_anywhere(t):
    c = t.cluster()
    make_tree(c, 'd')
    switch(c, 'd/locks/in', b'eventual', node=2)
    put(c.path(1, 'd/locks/in/g'), b'g')
    assert mode_of(c, 'd/locks') == b'strong' and mode_of(c, 'd/locks/in') == b'eventual'
    switch(c, 'd/locks', b'eventual')
    assert listed(c) == {f'/d{below}': 'eventual' for below in ('', '/locks', '/locks/in')}
    switch(c, 'd/locks', b'strong')
    switch(c, 'd/locks/in', b'strong')
    assert get(c.path(3, 'd/locks/in/g')) == b'g'
    assert listed(c) == {'/d': 'eventual', '/d/locks': 'strong'}, listed(c)
    os.unlink(c.path(1, 'd/locks/in/g'))
    check_whole(c, 'd/locks')


@test
def a_node_that_is_cut_off_goes_on_around_it_and_refuses_it(t):
    c = cut_cluster(t)
    make_tree(c, 'd')
    for node in c.nodes:
        wait_until('all is there', AGREE_S, lambda n=node: holds(c.path(n, 'd/f'), b'f'))
    check_whole(c, 'd/locks')
    c.cut(3)
    folder = wait_until('node 3 shows it', 30, lambda: opened(c.path(3, 'd')))
    folder.put('alone', b'3')
    assert folder.get('f') == b'f'
    assert folder.names() == ['alone', 'f', 'locks', 'other']
    wait_until('its lease is over', 30,
               lambda: errno_of(os.stat, 'locks', dir_fd=folder.fd) in AWAY)
    for call in (lambda: os.stat('locks', dir_fd=folder.fd),
                 lambda: get(c.path(3, 'd/locks/1')),
                 lambda: put(c.path(3, 'd/locks/new'), b'x')):
        number, seconds = refused(call)
        assert number in AWAY, errno_name(number)
        t.say(f'refused after {seconds:.1f} s')
    put(c.path(1, 'd/locks/meanwhile'), b'x')
    folder.close()
    c.heal(3)
    wait_until('node 1 has it', 20, lambda: os.path.exists(c.path(1, 'd/alone')))
    c.wait_healthy(3)
    assert get(c.path(3, 'd/locks/meanwhile')) == b'x'


@test
def who_is_killed_in_the_middle_leaves_it_as_one_or_the_other(t):
    c = t.cluster()
    make_tree(c, 'd')
    check_whole(c, 'd/locks')
    for victim in c.nodes:
        for mode in (b'eventual', b'strong'):
            other = victim % 3 + 1
            changing = t.popen('setfattr', '-n', MODE, '-v', mode.decode(),
                               c.path(victim, 'd/locks'))
            time.sleep(0.03 * victim)
            kill_at_once(c, victim)
            changing.wait(20)
            c.start(victim)
            c.wait_healthy(victim)
            wait_until('it can be set', SETTLED_S,
                       lambda m=mode, o=other: errno_of(switch, c, 'd/locks', m, o) == 0)
            check_whole(c, 'd/locks', mode)
    check_strong(c, 'd/locks')


@test
def who_is_killed_while_it_removes_one_leaves_nothing_of_it(t):
    c = t.cluster()
    make_eventual(c, 'd')
    for victim in c.nodes:
        name, other = f'd/{victim}', victim % 3 + 1
        os.mkdir(c.path(victim, name))
        switch(c, name, b'strong', victim)
        removing = threading.Thread(target=errno_of, args=(os.rmdir, c.path(victim, name)),
                                    daemon=True)
        removing.start()
        time.sleep(0.002 * victim)
        kill_at_once(c, victim)
        removing.join(60)
        c.start(victim)
        c.wait_healthy(victim)
        number = errno_of(os.rmdir, c.path(other, name))
        assert number in (0, errno.ENOENT), errno_name(number)
        for node in c.nodes:
            assert not os.path.exists(c.path(node, name))
        os.mkdir(c.path(other, name))
        put(c.path(other, f'{name}/f'), b'x')


@test
def a_region_is_split_in_it(t):
    c = t.cluster()
    make_tree(c, 'd')
    put(c.path(1, '.cluster/region/1/split'), b'/d/locks/25\n', flags=os.O_TRUNC)
    wait_until('there are two', 20, lambda: len(table(c.info(1, 'regions'))) == 3)
    check_whole(c, 'd/locks')
    check_strong(c, 'd/locks')
    for mode in (b'eventual', b'strong'):
        switch(c, 'd/locks', mode, node=2)
        check_whole(c, 'd/locks', mode)
    assert errno_of(os.rmdir, c.path(1, 'd/locks')) == errno.ENOTEMPTY
    for number in range(FILES):
        os.unlink(c.path(1, f'd/locks/{number}'))
    os.unlink(c.path(1, 'd/locks/in/f'))
    os.rmdir(c.path(1, 'd/locks/in'))
    os.rmdir(c.path(2, 'd/locks'))
    assert not os.path.exists(c.path(3, 'd/locks'))


@test
def by_force_it_becomes_strong_without_a_node(t):
    c = t.cluster()
    make_eventual(c, 'd')
    os.makedirs(c.path(2, 'd/locks/in'))
    put(c.path(1, 'd/locks/f'), b'f')
    wait_until('node 2 has it', AGREE_S, lambda: holds(c.path(2, 'd/locks/f'), b'f'))
    c.kill(3)
    wait_until('it is strong', 60,
               lambda: errno_of(switch, c, 'd/locks', b'strong force', 2) == 0)
    assert mode_of(c, 'd/locks') == mode_of(c, 'd/locks/in') == b'strong'
    assert mode_of(c, 'd') == b'eventual'
    assert listed(c, 2) == {'/d': 'eventual', '/d/locks': 'strong'}, listed(c, 2)
    c.start(3)
    c.wait_healthy(3)
    assert get(c.path(3, 'd/locks/f')) == b'f'
    put(c.path(3, 'd/locks/in/g'), b'g')
    assert get(c.path(1, 'd/locks/in/g')) == b'g'


main()
