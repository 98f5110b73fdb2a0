#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes find by digests whether they have the same in eventual directories."""

import os
import subprocess

from harness import GROVEFS, get, main, put, table, test, wait_until

DAMAGE = os.path.join(os.path.dirname(GROVEFS), 'tests', 'cluster', 'damage')
MODE = 'user.grove.consistency'
SEEN_S = 30  # Nodes compare once a second; a start takes its time.


def make_files(c, count):
    os.mkdir(c.path(1, 'e'))
    os.setxattr(c.path(1, 'e'), MODE, b'eventual')
    for i in range(count):
        put(c.path(1 + i % len(c.nodes), f'e/f{i}'), f'content {i}'.encode())


def converged(c, node):
    """What the node says of each other one."""
    return {int(row['peer']): row['converged'] for row in table(c.info(node, 'eventual'))}


def all_converged(c):
    return all(set(converged(c, node).values()) == {'yes'} for node in c.nodes)


def wait_until_converged(c):
    wait_until('all nodes find that they have the same', SEEN_S, lambda: all_converged(c))


def digest(c, node, name):
    return os.getxattr(c.path(node, name), 'user.grove.digest')


def digests(c, name):
    return {digest(c, node, name) for node in c.nodes}


@test
def nodes_that_have_the_same_say_so_and_those_that_lack_something_do_not(t):
    c = t.cluster(netns=True)
    assert digest(c, 1, '.') == b'-'
    make_files(c, 12)
    wait_until_converged(c)
    assert len(digests(c, 'e')) == 1 and len(digests(c, 'e/f3')) == 1
    c.cut(3)
    put(c.path(1, 'e/f3'), b'of the two')
    put(c.path(3, 'e/f4'), b'of the third')
    wait_until('the cut is seen', SEEN_S,
               lambda: converged(c, 1) == {2: 'yes', 3: '-'} and
               set(converged(c, 3).values()) == {'-'})
    assert len(digests(c, 'e')) == 2 and len(digests(c, 'e/f5')) == 1
    c.heal(3)
    wait_until_converged(c)
    c.kill(2)
    c.start(2)
    wait_until_converged(c)
    assert len(digests(c, 'e')) == 1
    assert 'something else' not in c.info(1, 'health') + c.info(1, 'log')


@test
def a_node_that_has_something_else_is_told_of_until_it_is_written_anew(t):
    c = t.cluster()
    make_files(c, 6)
    wait_until_converged(c)
    c.stop(2)
    subprocess.run([DAMAGE, 'FORGE', c.store(2), 'f3'], check=True)
    c.start(2)
    wait_until('they are found to differ', SEEN_S, lambda: (
        converged(c, 1) == {2: 'differs', 3: 'yes'} and
        converged(c, 2) == {1: 'differs', 3: 'differs'}))
    assert get(c.path(2, 'e/f3')) != get(c.path(1, 'e/f3'))
    assert 'node 2 has something else in eventual directories' in c.info(1, 'health')
    assert 'node 2 has something else' in c.info(1, 'log')
    assert 'grovefs_eventual_differs{peer="2"} 1' in c.info(1, 'metrics')
    assert 'grovefs_eventual_differs{peer="3"} 0' in c.info(1, 'metrics')
    assert len(digests(c, 'e')) == 2
    assert [i for i in range(6) if len(digests(c, f'e/f{i}')) > 1] == [3]
    put(c.path(1, 'e/f3'), b'right')
    wait_until_converged(c)
    assert len(digests(c, 'e')) == 1 and get(c.path(2, 'e/f3')) == b'right'
    assert 'something else' not in c.info(1, 'health')


main()
