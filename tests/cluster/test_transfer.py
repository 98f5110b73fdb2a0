#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/.cluster/region/<id>/transfer: leadership goes where an operator wants it."""

import errno
import os
import subprocess

from harness import errno_of, load, main, put, test, wait_until


def transfer(c, seen_from, region, node):
    put(c.path(seen_from, f'.cluster/region/{region}/transfer'),
        f'{node}\n'.encode(), flags=os.O_TRUNC)


def value(c, node, name):
    return c.info(node, name).rstrip('\n')


@test
def a_written_node_leads_and_the_same_mount_shows_it_at_once(t):
    """Also when the one before it was a moment ago, and its leader leads again."""
    c = t.cluster()
    for seen_from in [*c.nodes] * 4:
        for region in (0, 1):
            for node in (2, 3, 3, 1):
                transfer(c, seen_from, region, node)
                assert c.leader(seen_from, region) == node
                for name in 'leader', 'transfer':
                    assert value(c, seen_from, f'region/{region}/{name}') == str(node)
    for node in c.nodes:
        c.wait_healthy(node)


@test
def what_cannot_be_is_refused_with_the_reason(t):
    c = t.cluster(nodes=4)
    leader = c.leader()
    put(c.path(4, 'a'), b'1\n')
    refused = {'x': errno.EINVAL, '': errno.EINVAL, '-1': errno.EINVAL,
               '1 2': errno.EINVAL, '77': errno.ENOENT, '4': errno.EPERM}
    for node in c.nodes:
        for text, number in refused.items():
            assert errno_of(transfer, c, node, 1, text) == number, (node, text)
        assert errno_of(transfer, c, node, 77, 1) == errno.ENOENT
        log = c.info(node, 'region/1/log')
        assert "control file transfer: 'x': not a node's id" in log, log
        assert "control file transfer: '77': there is no such node" in log, log
        assert 'not permitted: node 4 has no voting replica of it' in log, log
    assert c.leader() == leader


@test
def a_node_without_a_replica_can_be_written_to(t):
    c = t.cluster(nodes=4)
    wait_until('it is told', 20, lambda: '1' in os.listdir(c.path(4, '.cluster/region')))
    for node in (1, 2, 3):
        transfer(c, 4, 1, node)
        assert value(c, 4, 'region/1/leader') == str(node)
        assert c.leader(node) == node
    assert value(c, 4, 'region/1/peers') == '1 2 3'
    assert value(c, 4, 'region/1/state') == '-'
    assert value(c, 1, 'region/1/state') == 'running'


@test
def region_0_is_led_where_the_root_is(t):
    """Also when its leader has no replica of the root's region: of five nodes
    each can become that, when the last leader is killed."""
    c = t.cluster(nodes=5)
    for _ in range(4):
        victim = c.leader(region=0)
        others = [node for node in c.nodes if node != victim]
        c.kill(victim)
        wait_until('another node leads both', 40, lambda others=others, victim=victim: (
            c.leader(others[0], 0) == c.leader(others[0], 1) != victim))
        c.start(victim)
        c.wait_healthy(victim)


@test
def no_write_fails_while_leadership_moves(t):
    c = t.cluster()
    writers = load(c, c.nodes)
    for i in range(30):
        transfer(c, i % 3 + 1, i % 2, (i // 2) % 3 + 1)
    for writer in writers:
        writer.end()
        assert writer.errors == []
        writer.check(c.mount(1))


@test
def a_node_that_does_not_answer_does_not_take_over(t):
    """Nor does it hold up writes meanwhile."""
    c = t.cluster(options='op_timeout=4')
    leader = c.leader()
    transfer(c, leader, 0, leader)
    deaf, other = [node for node in c.nodes if node != leader]
    c.pause(deaf)
    writers = load(c, [leader, other])
    assert errno_of(transfer, c, other, 1, deaf) == errno.ETIMEDOUT
    assert f'node {deaf} has not taken over in time' in c.info(other, 'region/1/log')
    for writer in writers:
        writer.end()
        assert writer.errors == []
    c.resume(deaf)
    c.wait_caught_up(deaf)
    transfer(c, other, 1, deaf)
    assert c.leader(other) == deaf


@test
def events_show_a_transfer_as_it_happens(t):
    c = t.cluster()
    transfer(c, 1, 1, 1)
    scripts = ('tail -f {}', 'while read -r line; do echo "$line"; done < {}')
    readers = [t.popen('timeout', '60', 'bash', '-c', script.format(c.path(1, '.cluster/events')),
                       stdout=subprocess.PIPE, text=True) for script in scripts]
    for reader in readers:
        assert reader.stdout.readline() == '# time level text\n'
    # They have begun; now each has two changes to show.
    for node in (2, 3):
        transfer(c, 1, 1, node)
    for reader in readers:
        for node in (2, 3):
            wait_until('it is told', 20, lambda: reader.stdout.readline().endswith(
                f' info region 1: node {node} leads\n'))
        reader.terminate()
        reader.wait(10)


main()
