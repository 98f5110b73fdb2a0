#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/.cluster/region/<id>/move: a region goes to other nodes while clients write."""

import errno
import os
import subprocess

from harness import TOP, errno_of, load, main, put, table, test, wait_until

GROVE_WAIT = os.path.join(TOP, 'scripts', 'grove-wait')


def write(c, node, name, text):
    put(c.path(node, f'.cluster/{name}'), f'{text}\n'.encode(), flags=os.O_TRUNC)


def move(c, node, text, region=1):
    write(c, node, f'region/{region}/move', text)


def operator(c, node, region=1):
    """The facts of the operator file."""
    lines = c.info(node, f'region/{region}/operator').splitlines()
    return dict(line.split(' ', 1) for line in lines)


def grove_wait(c, node, *words):
    return subprocess.run([GROVE_WAIT, *words, '-m', c.mount(node)], check=False,
                          capture_output=True, text=True, timeout=120)


def wait_for_move(c, node, region=1):
    done = grove_wait(c, node, str(region), '-t', '90')
    assert done.returncode == 0, done.stderr


def replicas(c, node, role='peers'):
    return c.info(node, f'region/1/{role}').split()


def wait_replicas(c, peers, learners='-'):
    """Until all nodes say so."""
    for node in c.nodes:
        wait_until(f'node {node} shows {peers} and {learners}', 30,
                   lambda node=node: (replicas(c, node) == peers.split() and
                                      replicas(c, node, 'learners') == learners.split()))


def end(c, writers):
    for writer in writers:
        writer.end()
        assert writer.errors == [], writer.errors
        for mount in c.mounts():
            writer.check(mount)


@test
def no_write_fails_while_a_region_moves_and_its_leader_with_it(t):
    c = t.cluster(nodes=4)
    writers = load(c)
    for node in (1, 2, 3):
        write(c, 4, 'region/1/transfer', str(node))
        move(c, 4, f'{node} 4')
        assert operator(c, 4)['goal'] == f'{node} 4'
        wait_for_move(c, 4)
        wait_replicas(c, ' '.join(str(n) for n in c.nodes if n != node))
        move(c, node, f'4 {node}')
        wait_for_move(c, node)
        wait_replicas(c, '1 2 3')
    gaps = [writer.longest_gap() for writer in writers]
    t.say('longest pauses: ' + ', '.join(f'{gap:.2f} s' for gap in gaps))
    end(c, writers)


@test
def replicas_come_and_go_one_by_one(t):
    """More than three are learners; two are a voter and a learner."""
    c = t.cluster(nodes=4)
    writers = load(c)
    move(c, 1, '+4')
    wait_for_move(c, 1)
    wait_replicas(c, '1 2 3', '4')
    move(c, 2, '-4')
    wait_for_move(c, 2)
    wait_replicas(c, '1 2 3')
    write(c, 3, 'region/1/transfer', '1')
    for node in (3, 2):
        move(c, 4, f'-{node}')
        wait_for_move(c, 4)
    wait_replicas(c, '1')
    move(c, 1, '1 2')
    wait_for_move(c, 1)
    wait_replicas(c, '2')
    for node in (3, 4):
        move(c, 1, f'+{node}')
        wait_for_move(c, 1)
    wait_replicas(c, '2 3 4')
    end(c, writers)


@test
def what_cannot_be_is_refused_with_the_reason_and_nothing_changes(t):
    c = t.cluster(nodes=4)
    c.leader()
    move(c, 1, '+4')
    wait_for_move(c, 1)
    move(c, 1, '-4')
    wait_for_move(c, 1)
    wait_replicas(c, '1 2 3')
    epochs = [c.info(node, 'region/1/epoch') for node in (1, 2, 3)]
    refused = {
        '2 9': (errno.ENOENT, 'there is no node 9'),
        '9 2': (errno.ENOENT, 'there is no node 9'),
        '2 3': (errno.EINVAL, 'node 3 has a replica of it already'),
        '+1': (errno.EINVAL, 'node 1 has a replica of it already'),
        '-4': (errno.EINVAL, 'node 4 has no replica of it'),
        '2 2': (errno.EINVAL, 'it takes `FROM TO`'),
        '': (errno.EINVAL, 'it takes `FROM TO`'),
        'x': (errno.EINVAL, 'it takes `FROM TO`'),
        '1 2 3': (errno.EINVAL, 'it takes `FROM TO`'),
    }
    for node in c.nodes:
        for text, (number, why) in refused.items():
            assert errno_of(move, c, node, text) == number, (node, text)
            assert why in c.info(node, 'log').splitlines()[-1], (node, text)
        assert errno_of(move, c, node, '2 4', 0) == errno.EPERM
        assert errno_of(write, c, node, 'region/1/operator', 'cancel') == errno.ENOENT
        assert errno_of(write, c, node, 'region/1/operator', 'x') == errno.EINVAL
    assert [c.info(node, 'region/1/epoch') for node in (1, 2, 3)] == epochs


def begin_and_hold(c, seen_from):
    """A move to node 4, which is stopped before it can have caught up."""
    c.pause(4)
    move(c, seen_from, '3 4')
    wait_until('node 4 is to learn', 20,
               lambda: '4' in table(c.info(1, 'regions'))[1]['learners'])
    assert operator(c, seen_from)['result'] == 'running'


@test
def a_region_has_one_operator_and_it_can_be_cancelled(t):
    c = t.cluster(nodes=4)
    put(c.path(1, 'a'), b'1\n')
    begin_and_hold(c, 1)
    for node in (1, 2, 3):
        assert errno_of(move, c, node, '2 4') == errno.EBUSY
        assert 'another operator is running' in c.info(node, 'log').splitlines()[-1]
    rows = table(c.info(2, 'operators'))
    assert [(r['region'], r['from'], r['to'], r['by'], r['result']) for r in rows] == [
        ('1', '3', '4', 'hand', 'running')], rows
    waiting = grove_wait(c, 1, '1', '-t', '1')
    assert waiting.returncode == 1 and 'not ended yet' in waiting.stderr, waiting
    write(c, 2, 'region/1/operator', 'cancel')
    assert operator(c, 2)['result'] == 'canceled'
    failed = grove_wait(c, 2, '1')
    assert failed.returncode == 1 and 'canceled' in failed.stderr, failed
    assert grove_wait(c, 2, 'all').returncode == 0
    c.resume(4)
    wait_until('node 4 is seen again', 20,
               lambda: all(r['state'] == 'up' for r in table(c.info(1, 'nodes'))))
    move(c, 2, '-4')
    wait_for_move(c, 2)
    wait_replicas(c, '1 2 3')


def lead(c, region, node):
    write(c, node, f'region/{region}/transfer', str(node))
    assert c.leader(node, region) == node


def move_without(c, region):
    """Kills the region's leader in the middle of a move of region 1."""
    lead(c, 0, 1)
    lead(c, 1, 2)
    writers = load(c, [1, 2, 3])
    begin_and_hold(c, 3)
    victim = c.leader(3, region)
    c.kill(victim)
    wait_until('another leads', 30, lambda: c.leader(3, region) != victim)
    assert operator(c, 3)['result'] == 'running'
    c.resume(4)
    wait_for_move(c, 3)
    c.start(victim)
    wait_replicas(c, '1 2 4')
    for writer in writers:
        writer.end()
        writer.check(c.mount(4))


@test
def a_move_goes_on_when_the_leader_of_region_0_is_killed(t):
    move_without(t.cluster(nodes=4), 0)


@test
def a_move_goes_on_when_the_leader_of_the_region_is_killed(t):
    move_without(t.cluster(nodes=4), 1)


@test
def a_lost_node_is_replaced_after_a_while(t):
    c = t.cluster(nodes=4)
    assert c.info(2, 'settings/down_after') == '300\n'
    write(c, 2, 'settings/down_after', '10')
    assert c.info(2, 'settings/down_after') == '10\n'
    writers = load(c, [1, 2])
    c.kill(3)
    wait_until('node 4 has its place', 60, lambda: replicas(c, 1) == ['1', '2', '4'])
    wait_until('and its vote in region 0', 60,
               lambda: c.info(1, 'region/0/peers').split() == ['1', '2', '4'])
    rows = table(c.info(1, 'operators'))
    assert [(r['from'], r['to'], r['by']) for r in rows] == [('3', '4', 'auto')], rows
    c.start(3)
    wait_for_move(c, 3)
    wait_replicas(c, '1 2 4')
    for writer in writers:
        writer.end()
        writer.check(c.mount(3))


@test
def settings_are_the_same_everywhere_and_checked(t):
    c = t.cluster()
    settings = {'replicas': '5', 'region_size': '8388608', 'down_after': '60',
                'balance': 'off', 'operators': '2', 'auto_merge': 'on'}
    assert sorted(os.listdir(c.path(1, '.cluster/settings'))) == sorted(settings)
    for name, value in settings.items():
        write(c, 1, f'settings/{name}', value)
        assert c.info(1, f'settings/{name}') == value + '\n'
        for node in c.nodes:
            wait_until('all show it', 10,
                       lambda n=node: c.info(n, f'settings/{name}') == value + '\n')
            for wrong in ('', 'x', '-1', '4 4', '99999999999999999999'):
                assert errno_of(write, c, node, f'settings/{name}', wrong) == errno.EINVAL
    c.stop(*c.nodes)
    c.up_again()
    for name, value in settings.items():
        assert c.info(3, f'settings/{name}') == value + '\n'


main()
