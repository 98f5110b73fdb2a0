#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes that leave the cluster and have accepted changes in eventual
directories that nobody else has."""

import errno
import os
import time

from harness import errno_name, errno_of, get, main, put, table, test, wait_until
from quarantine import drop_all, force, wait_kept

MODE = 'user.grove.consistency'
NODES = (1, 2, 3, 4)
OTHERS = (1, 2, 4)
CHANGES = 100
UNTOLD = 'node 3 is being drained and has not told what it accepted in eventual directories'
READ_ONLY = 'node 3 is being drained, its eventual directories are read-only'


def cluster_with_directory(t):
    """Four nodes, the third of which has replicas to lose."""
    c = t.cluster(nodes=4, netns=True, options='op_timeout=4')
    os.mkdir(c.path(1, 'e'))
    os.setxattr(c.path(1, 'e'), MODE, b'eventual')
    put(c.path(1, 'e/common'), b'of all\n')
    wait_until('all have it', 20, lambda: all(
        errno_of(get, c.path(node, 'e/common')) == 0 for node in NODES))
    return c


def control(c, seen_from, name, text):
    """The errno of writing to a control file of node 3."""
    return errno_of(put, c.path(seen_from, f'.cluster/node/3/{name}'), text.encode() + b'\n',
                    flags=0)


def cut_off_and_write(c):
    """What node 3 accepts when it is alone; by name."""
    folder = os.open(c.path(3, 'e'), os.O_RDONLY | os.O_DIRECTORY)
    c.cut(3)
    time.sleep(1)
    written = {f'alone-{i}': b'%d\n' % i for i in range(CHANGES)}
    for name, data in written.items():
        put(name, data, dir_fd=folder)
    os.close(folder)
    return written


def has_replica(c):
    """Of a region with data."""
    return any('3' in (row['peers'] + ',' + row['learners']).split(',')
               for row in table(c.info(1, 'regions')) if row['id'] != '0')


def drain(c):
    """From another node's mount, until nothing but what it accepted is left."""
    assert control(c, 1, 'drain', '1') == 0
    wait_until('it has no replica', 90, lambda: not has_replica(c))


def last_reason(c, node):
    return [line for line in c.info(node, 'log').splitlines() if 'control file' in line][-1]


def wait_for_refusal(c, words):
    def refused():
        assert control(c, 1, 'remove', '1') == errno.EBUSY
        return words in last_reason(c, 1)
    wait_until(f'the removal is refused, as it {words}', 60, refused, 0.5)


def wait_removed(c):
    def removed():
        code = control(c, 1, 'remove', '1')
        assert code in (0, errno.EBUSY), errno_name(code)
        return code == 0
    wait_until('it is removed', 60, removed, 0.5)


def shows_all(c, node, written):
    try:
        return all(get(c.path(node, f'e/{name}')) == data for name, data in written.items())
    except FileNotFoundError:
        return False


def wait_shown(c, nodes, written):
    for node in nodes:
        wait_until(f'node {node} shows all', 20, lambda node=node: shows_all(c, node, written))


@test
def what_a_node_accepted_alone_outlives_its_removal(t):
    c = cluster_with_directory(t)
    written = cut_off_and_write(c)
    drain(c)
    wait_for_refusal(c, 'has not told what it accepted in eventual directories')
    wait_until('health says so', 20, lambda: UNTOLD in c.info(1, 'health'))
    assert 'alone-1' not in os.listdir(c.path(1, 'e'))
    c.heal(3)
    wait_removed(c)
    c.kill(*OTHERS)  # At once: what was taken has to be on their disks.
    c.start(*OTHERS)
    wait_shown(c, OTHERS, written)
    c.wait_healthy(2)


@test
def a_node_that_is_drained_is_read_only_until_that_is_taken_back(t):
    c = cluster_with_directory(t)
    put(c.path(3, 'e/mine'), b'x\n')
    assert control(c, 1, 'drain', '1') == 0
    wait_until('it knows', 20, lambda: READ_ONLY in c.info(3, 'health'))
    assert errno_of(put, c.path(3, 'e/mine'), b'y\n') == errno.EROFS
    assert errno_of(os.unlink, c.path(3, 'e/mine')) == errno.EROFS
    assert get(c.path(3, 'e/mine')) == b'x\n'
    put(c.path(3, 'strong'), b'z\n')
    c.kill(3)
    c.run('start', 3, check=False)  # It is not well.
    wait_until('it is back', 20, lambda: errno_of(get, c.path(3, 'e/mine')) == 0)
    assert errno_of(put, c.path(3, 'e/mine'), b'y\n') == errno.EROFS
    assert control(c, 1, 'drain', '0') == 0
    wait_until('it accepts changes', 20,
               lambda: errno_of(put, c.path(3, 'e/mine'), b'y\n') == 0)
    wait_shown(c, NODES, {'mine': b'y\n'})


@test
def a_dead_node_is_removed_by_force_and_the_log_says_what_that_gives_up(t):
    c = cluster_with_directory(t)
    written = cut_off_and_write(c)
    c.kill(3)
    c.heal(3)
    drain(c)
    wait_for_refusal(c, 'has not told what it accepted in eventual directories')
    assert control(c, 1, 'remove', 'by force') == errno.EINVAL
    assert control(c, 1, 'remove', 'force') == 0
    logs = ''.join(c.info(node, 'log') for node in OTHERS)
    assert 'node 3 was removed by force and has not told what it accepted' in logs, logs
    wait_shown(c, OTHERS, {'common': b'of all\n'})
    assert not set(written) & set(os.listdir(c.path(1, 'e')))
    assert c.run('start', 3, check=False).returncode != 0
    assert 'was removed' in c.log_text(3)
    assert not set(written) & set(os.listdir(c.path(1, 'e')))
    c.wait_healthy(2)


@test
def a_node_that_was_left_out_is_not_removed_before_all_that_it_kept_is_dropped(t):
    c = cluster_with_directory(t)
    written = cut_off_and_write(c)
    c.kill(3)
    c.heal(3)
    force(c, 'e', 1)
    drain(c)
    assert control(c, 1, 'remove', '1') == errno.EBUSY
    c.run('start', 3)
    wait_kept(c, 3, [(f'/e/{name}', data) for name, data in written.items()])
    drop_all(c, 3)
    wait_removed(c)
    assert os.listdir(c.path(1, 'e')) == ['common']


@test
def a_node_that_was_down_for_long_brings_what_it_accepted(t):
    c = cluster_with_directory(t)
    put(c.path(1, '.cluster/settings/down_after'), b'10\n', flags=0)
    written = cut_off_and_write(c)
    c.kill(3)
    c.heal(3)
    wait_until('its replicas are replaced', 90, lambda: not has_replica(c))
    time.sleep(5)
    c.start(3)
    wait_shown(c, NODES, written)


main()
