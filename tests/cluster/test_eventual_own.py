#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Directories below eventual ones that have modes of their own."""

import errno
import os

from eventual_folders import (AGREE_S, MODE, OP_TIMEOUT_S, Folder, cut_cluster, holds,
                              make_eventual, mode_of, opened, silence_one, switch)
from harness import errno_name, errno_of, get, main, put, table, test, together, wait_until

BELOW = ('own', 'own/in', 'own/in/deep')


def inherit(c, name, node=1):
    os.removexattr(c.path(node, name), MODE)


def move(c, name, to, node=1):
    return errno_of(os.rename, c.path(node, name), c.path(node, to))


def make_tree(c, name):
    """An eventual directory, and one with a mode of its own in it, all with files."""
    make_eventual(c, name)
    os.makedirs(c.path(2, f'{name}/own/in/deep'))
    os.mkdir(c.path(3, f'{name}/other'))
    for below in BELOW:
        put(c.path(1, f'{name}/{below}/f'), below.encode())
    put(c.path(1, f'{name}/other/f'), b'other')
    switch(c, f'{name}/own', b'eventual', node=3)


def has_all(c, name, node):
    """The directory itself, wherever it is."""
    return all(holds(c.path(node, f'{name}{below[3:]}/f'), below.encode()) for below in BELOW)


def wait_all(c, name):
    for node in c.nodes:
        wait_until(f'node {node} has everything', AGREE_S, lambda n=node: has_all(c, name, n))


def check_modes(c, name, mode, node=1):
    for below in BELOW:
        assert mode_of(c, f'{name}{below[3:]}', node) == mode, below


def listed(c, node=1):
    return {row['namespace']: row['state'] for row in table(c.info(node, 'modes'))}


# ---- the one above changes


@test
def it_stays_eventual_when_the_one_above_becomes_strong(t):
    c = t.cluster()
    make_tree(c, 'd')
    assert listed(c, 3) == {'/d': 'ok', '/d/own': 'ok'}, listed(c, 3)
    switch(c, 'd', b'strong', node=2)
    wait_all(c, 'd/own')
    for node in c.nodes:
        wait_until('it is known', AGREE_S, lambda n=node: listed(c, n) == {'/d/own': 'ok'})
        check_modes(c, 'd/own', b'eventual', node)
        assert mode_of(c, 'd/other', node) == mode_of(c, 'd', node) == b'strong'
        assert sorted(os.listdir(c.path(node, 'd'))) == ['other', 'own']
        os.mkdir(c.path(node, f'd/own/in/{node}'))
        put(c.path(node, f'd/own/in/{node}/f'), b'%d' % node)
    assert errno_of(os.mkdir, c.path(1, 'd/own')) == errno.EEXIST
    assert move(c, 'd/own', 'd/other/own', node=3) == 0
    assert move(c, 'd/other/own/in', 'd/in') == errno.EXDEV
    c.kill(*c.nodes)
    together(*(lambda n=n: c.start(n) for n in c.nodes))
    wait_all(c, 'd/other/own')
    check_modes(c, 'd/other/own', b'eventual', 2)
    for node in c.nodes:
        wait_until('all was kept', AGREE_S, lambda n=node: all(
            os.path.exists(c.path(n, f'd/other/own/in/{by}/f')) for by in c.nodes))


@test
def it_keeps_its_mode_when_the_one_above_is_eventual_again(t):
    c = t.cluster()
    make_tree(c, 'd')
    for mode in (b'strong', b'eventual', b'strong'):
        switch(c, 'd', mode, node=3)
        assert listed(c, 3).get('/d/own') == 'ok', listed(c, 3)
        wait_all(c, 'd/own')
        check_modes(c, 'd/own', b'eventual', 3)
        put(c.path(3, f'd/own/{mode.decode()}'), b'x')
    inherit(c, 'd/own', node=3)
    assert listed(c, 3) == {}, listed(c, 3)
    check_modes(c, 'd/own', b'strong', 1)
    for node in c.nodes:
        assert has_all(c, 'd/own', node)
        assert sorted(os.listdir(c.path(node, 'd/own'))) == ['eventual', 'f', 'in', 'strong']


@test
def what_inherits_again_becomes_strong_with_the_one_above(t):
    c = t.cluster()
    make_tree(c, 'd')
    switch(c, 'd/own/in', b'eventual')
    inherit(c, 'd/own', node=2)
    assert listed(c, 2) == {'/d': 'ok', '/d/own/in': 'ok'}, listed(c, 2)
    switch(c, 'd', b'strong', node=2)
    wait_all(c, 'd/own')
    assert mode_of(c, 'd/own') == b'strong'
    for name in ('d/own/in', 'd/own/in/deep'):
        assert mode_of(c, name) == b'eventual'


@test
def a_fence_above_does_not_hold_up_what_is_in_it(t):
    c = t.cluster()
    make_tree(c, 'd')
    leader, silent, other = silence_one(c)
    folder = Folder(c.path(other, 'd/own'))
    switching = t.popen('setfattr', '-n', MODE, '-v', 'strong', c.path(leader, 'd'))
    wait_until('it is fenced', 20, lambda: listed(c, other).get('/d') == 'fenced')
    folder.put('meanwhile', b'x')
    os.mkdir('new', dir_fd=folder.fd)
    assert listed(c, other) == {'/d': 'fenced', '/d/own': 'ok'}, listed(c, other)
    folder.close()
    moving = t.popen('mv', '-T', c.path(other, 'd/own'), c.path(other, 'd/moved'))
    assert switching.wait(20) != 0
    assert moving.wait(20) == 0
    c.resume(silent)
    c.wait_healthy(silent)
    wait_all(c, 'd/moved')
    assert sorted(os.listdir(c.path(leader, 'd/moved'))) == ['f', 'in', 'meanwhile', 'new']
    switch(c, 'd', b'strong')
    assert listed(c) == {'/d/moved': 'ok'}, listed(c)


@test
def below_a_strong_one_a_node_all_alone_goes_on_in_it(t):
    c = cut_cluster(t)
    make_tree(c, 'd')
    switch(c, 'd', b'strong')
    wait_all(c, 'd/own')
    c.cut(3)
    folder = wait_until('node 3 shows it', 30, lambda: opened(c.path(3, 'd/own')))
    folder.put('alone', b'3')
    assert folder.get('f') == b'own'
    folder.close()
    assert errno_of(put, c.path(3, 'd/f'), b'x') in (errno.EHOSTUNREACH, errno.ETIMEDOUT)
    c.heal(3)
    wait_until('node 1 has it', 20, lambda: os.path.exists(c.path(1, 'd/own/alone')))


# ---- the attribute


@test
def a_majority_gives_it_and_takes_it_back(t):
    c = t.cluster(options=f'op_timeout={OP_TIMEOUT_S}')
    make_eventual(c, 'd')
    os.makedirs(c.path(1, 'd/s/in'))
    c.kill(3)
    switch(c, 'd/s', b'eventual')
    assert listed(c) == {'/d': 'ok', '/d/s': 'ok'}, listed(c)
    switch(c, 'd/s', b'eventual', node=2)
    inherit(c, 'd/s', node=2)
    assert listed(c, 2) == {'/d': 'ok'}, listed(c, 2)
    for name in ('d/s', 'd/s/in', '.'):
        number = errno_of(inherit, c, name)
        assert number == errno.ENODATA, f'{name}: {errno_name(number)}'
    c.kill(2)
    number = errno_of(switch, c, 'd/s', b'eventual')
    assert number in (errno.ETIMEDOUT, errno.EHOSTUNREACH), errno_name(number)


# ---- its name


@test
def it_moves_to_other_trees_with_what_is_in_it(t):
    c = t.cluster()
    make_tree(c, 'd')
    make_eventual(c, 'g')
    os.mkdir(c.path(1, 'g/sub'))
    os.mkdir(c.path(1, 'strong'))
    wait_all(c, 'd/own')
    for name, to, expected in (('d/other', 'g/other', errno.EXDEV),
                               ('d/own/in', 'd/in', errno.EXDEV),
                               ('d/own', 'strong/own', errno.EXDEV),
                               ('d/own', 'd/own/in/own', errno.EINVAL),
                               ('d/own', 'd/other/here', 0),
                               ('d/other/here', 'g/sub/own', 0)):
        number = move(c, name, to, node=2)
        assert number == expected, f'{name} to {to}: {errno_name(number)}'
    wait_all(c, 'g/sub/own')
    put(c.path(3, 'g/sub/own/in/later'), b'x')
    switch(c, 'd', b'strong')
    switch(c, 'g', b'strong', node=2)
    assert listed(c, 2) == {'/g/sub/own': 'ok'}, listed(c, 2)
    assert get(c.path(3, 'g/sub/own/in/later')) == b'x'
    assert move(c, 'g/sub/own', 'strong/own', node=2) == 0
    wait_all(c, 'strong/own')


@test
def it_is_removed_when_it_is_empty(t):
    c = t.cluster()
    make_tree(c, 'd')
    wait_all(c, 'd/own')
    assert errno_of(os.rmdir, c.path(1, 'd/own')) == errno.ENOTEMPTY
    assert listed(c) == {'/d': 'ok', '/d/own': 'ok'}, listed(c)
    put(c.path(2, 'd/own/f'), b'own')
    for below in reversed(BELOW):
        wait_until('its file is here', AGREE_S,
                   lambda b=below: os.path.exists(c.path(3, f'd/{b}/f')))
        os.unlink(c.path(3, f'd/{below}/f'))
        os.rmdir(c.path(3, f'd/{below}'))
    assert os.listdir(c.path(3, 'd')) == ['other'] and listed(c, 3) == {'/d': 'ok'}
    os.mkdir(c.path(2, 'd/own'))
    assert listed(c, 2) == {'/d': 'ok'}, listed(c, 2)


main()
