#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eventual directories on nodes whose clocks are wrong."""

import errno
import threading
import time

from eventual_folders import (close, folders, make_eventual, open_cut_off, start_cut_off,
                              wait_agreed)
from faked_clocks import Clocks, version_ms
from harness import errno_name, errno_of, main, put, test, together, wait_until

AHEAD_S = 3600
RESTAMPED_S = 60


def set_clock(clocks, node, seconds):
    """Until the node's own times show it: the library looks once a second."""
    clocks.set(node, seconds)
    time.sleep(1.5)


def shows_wrong_clock(c, node, victim):
    return f'the clock of node {victim} is ' in c.info(node, 'health')


def wait_written(folder, name, data):
    """Until the node accepts it."""
    def written():
        number = errno_of(folder.put, name, data)
        assert number in (0, errno.EROFS, errno.EHOSTUNREACH), errno_name(number)
        return number == 0
    wait_until('the node accepts changes again', 30, written)


@test
def a_node_whose_clock_jumps_stamps_nothing_with_it_and_is_fenced_off(t):
    clocks = Clocks(t, options='op_timeout=4')
    c = clocks.cluster
    make_eventual(c, 'e')
    by_node = folders(c, 'e')
    ending = threading.Event()
    refusals = set()
    last = {}

    def write(node):
        i = 0
        while not ending.is_set():
            i += 1
            name = f'{node}-{i % 20}'
            number = errno_of(by_node[node].put, name, b'%d\n' % i)
            if number == 0:
                last[name] = b'%d\n' % i
            else:
                refusals.add((node, number))
                last.pop(name, None)
            time.sleep(0.01)

    def spoil():
        try:
            for seconds in (3600, -3600):
                clocks.set(3, seconds)
                for node in c.nodes:
                    wait_until('health says so', 30, lambda n=node: shows_wrong_clock(c, n, 3))
                assert errno_of(by_node[3].put, 'refused', b'x') == errno.EROFS
                by_node[3].names()
                by_node[1].put('common', b'of node 1 %d\n' % seconds)
                clocks.set(3, 0)
                wait_written(by_node[3], f'after {seconds}', b'x')
                for node in c.nodes:
                    c.wait_healthy(node)
        finally:
            ending.set()

    together(spoil, *(lambda n=n: write(n) for n in c.nodes))
    assert refusals <= {(3, errno.EROFS), (3, errno.EHOSTUNREACH)}, refusals
    shown = wait_agreed(t, by_node)
    assert shown['common'] == b'of node 1 -3600\n', shown['common']
    assert 'after 3600' in shown and 'after -3600' in shown
    for name, data in last.items():
        assert shown[name] == data, f'{name}: {shown[name]!r}, acknowledged was {data!r}'
    close(by_node)


@test
def a_node_that_starts_with_a_wrong_clock_stamps_nothing_with_it(t):
    clocks = Clocks(t, netns=True, options='op_timeout=4')
    c = clocks.cluster
    make_eventual(c, 'e')
    c.kill(3)
    clocks.set(3, 3600)
    with clocks.environment():
        start_cut_off(c, 3)
    by_node = folders(c, 'e')
    assert errno_of(by_node[3].put, 'f', b'ahead') in (errno.EROFS, errno.EHOSTUNREACH)
    wait_until('health says so', 30, lambda: shows_wrong_clock(c, 3, 3))
    c.cut(3)
    wait_until('health says that it is not believed', 30,
               lambda: "this node's clock has jumped" in c.info(3, 'health'))
    number = errno_of(by_node[3].put, 'f', b'ahead')
    assert number == errno.EHOSTUNREACH, errno_name(number)
    by_node[1].put('f', b'of node 1')
    set_clock(clocks, 3, 0)
    c.heal(3)
    wait_written(by_node[3], 'g', b'of node 3')
    assert wait_agreed(t, by_node) == {'f': b'of node 1', 'g': b'of node 3'}
    by_node[3].put('f', b'of node 3')
    assert wait_agreed(t, by_node)['f'] == b'of node 3'
    close(by_node)


# ---- changes that are ahead


def cut_clocks(t):
    """As cut_folders(), of nodes whose clocks can be set."""
    clocks = Clocks(t, netns=True, options='op_timeout=4')
    make_eventual(clocks.cluster, 'e')
    return clocks, clocks.cluster, folders(clocks.cluster, 'e')


def is_ahead(path):
    return version_ms(path) > (time.time() + AHEAD_S / 2) * 1000


def write_ahead(t, clocks, by_node):
    """What node 3 accepts while it is cut off and its clock is ahead; returns
    what all nodes are to show then."""
    c = clocks.cluster
    put(c.path(1, 'e/common'), b'of node 1')
    put(c.path(1, 'e/removed'), b'x')
    wait_agreed(t, by_node)
    by_node.pop(3).close()
    c.stop(3)
    clocks.set(3, AHEAD_S)
    c.cut(3)
    with clocks.environment():
        by_node[3] = open_cut_off(c, 3, 'e')
    wait_written(by_node[3], 'common', b'of node 3')
    by_node[3].unlink('removed')
    by_node[3].put('large', b'large\n' * 10000)
    for i in range(100):
        by_node[3].put(f'own-{i % 50}', b'%d\n' % i)
    assert is_ahead(c.path(3, 'e/common'))
    put(c.path(1, 'e/common'), b'of node 1, later')
    expected = {f'own-{i % 50}': b'%d\n' % i for i in range(100)}
    return expected | {'common': b'of node 3', 'large': b'large\n' * 10000}


def heal_with_right_clock(clocks):
    c = clocks.cluster
    c.heal(3)
    for node in c.nodes:
        wait_until('health says so', 30, lambda n=node: shows_wrong_clock(c, n, 3))
    set_clock(clocks, 3, 0)


@test
def changes_that_were_stamped_ahead_get_new_versions_when_the_clock_is_right(t):
    clocks, c, by_node = cut_clocks(t)
    expected = write_ahead(t, clocks, by_node)
    heal_with_right_clock(clocks)
    assert wait_agreed(t, by_node, RESTAMPED_S) == expected
    assert 'have new versions' in c.info(3, 'log')
    for name in expected:
        assert not is_ahead(c.path(1, f'e/{name}')), name
    wait_written(by_node[3], 'new', b'of node 3')
    expected['new'] = b'of node 3'
    assert wait_agreed(t, by_node) == expected
    by_node[1].put('common', b'of node 1 again')
    assert wait_agreed(t, by_node)['common'] == b'of node 1 again'
    for node in c.nodes:
        c.wait_healthy(node)
    close(by_node)


@test
def a_kill_9_while_changes_get_new_versions_loses_none(t):
    clocks, c, by_node = cut_clocks(t)
    expected = write_ahead(t, clocks, by_node)
    heal_with_right_clock(clocks)
    for seconds in (4, 6, 8):
        time.sleep(seconds)
        by_node.pop(3).close()
        c.kill(3)
        with clocks.environment():
            c.start(3)
        by_node[3] = folders(c, 'e')[3]
    assert wait_agreed(t, by_node, RESTAMPED_S) == expected
    wait_written(by_node[3], 'common', b'of node 3 again')
    assert wait_agreed(t, by_node)['common'] == b'of node 3 again'
    close(by_node)


@test
def changes_that_two_nodes_have_stamped_ahead_wait_for_their_time(t):
    clocks, c, by_node = cut_clocks(t)
    c.cut(1)
    for node in (2, 3):
        set_clock(clocks, node, AHEAD_S)
    for node in (2, 3):
        wait_written(by_node[node], f'of-{node}', b'ahead')
        assert is_ahead(c.path(node, f'e/of-{node}'))
    wait_until('both have both', 30, lambda: by_node[2].names() == by_node[3].names())
    for node in (2, 3):
        clocks.set(node, 0)
    c.heal(1)
    wait_until('the log says why not', 60,
               lambda: 'other nodes have such changes, too' in c.info(3, 'log'))
    assert 'stamped 3' in c.info(3, 'health'), c.info(3, 'health')
    wait_written(by_node[1], 'of-1', b'right')
    wait_until('the others have it', 30, lambda: 'of-1' in by_node[3].names())
    assert by_node[1].names() == ['of-1']
    for node in c.nodes:
        clocks.set(node, AHEAD_S)
    assert wait_agreed(t, by_node, 60) == {'of-1': b'right', 'of-2': b'ahead', 'of-3': b'ahead'}
    close(by_node)


if __name__ == '__main__':
    main()
