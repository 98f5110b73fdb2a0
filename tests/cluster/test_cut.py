#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cut links: the majority goes on, the cut-off node refuses, then catches up."""

import errno
import os
import threading
import time

from harness import errno_name, errno_of, get, load, main, put, test, together

OP_TIMEOUT_S = 4


def cluster(t):
    return t.cluster(netns=True, options=f'op_timeout={OP_TIMEOUT_S}')


@test
def a_cut_off_leader_never_serves_a_stale_value_and_the_others_go_on(t):
    c = cluster(t)
    put(c.path(1, 'key'), b'0')
    alone = c.leader()
    other = alone % 3 + 1
    acked = [0]
    ending = threading.Event()
    refused = []

    def write():
        gap = began = time.monotonic()
        number = 0
        longest = 0
        while time.monotonic() < began + 15:
            number += 1
            put(c.path(other, 'key'), b'%d' % number)
            acked[0] = number
            longest = max(longest, time.monotonic() - gap)
            gap = time.monotonic()
        ending.set()
        t.say(f'longest pause of the others: {longest:.2f} s')
        assert longest < 6, longest

    def read():
        while not ending.is_set():
            least = acked[0]
            try:
                found = int(get(c.path(alone, 'key')))
            except OSError as e:
                assert e.errno in (errno.EHOSTUNREACH, errno.ETIMEDOUT), e
                refused.append(e.errno)
            else:
                assert found >= least, f'stale: {found}, acknowledged was {least}'

    def cut():
        time.sleep(3)
        c.cut(alone)

    together(write, read, cut)
    assert refused, 'the cut-off node never refused a read'
    c.heal(alone)
    c.wait_caught_up(alone)
    assert int(get(c.path(alone, 'key'))) == acked[0]
    c.wait_healthy(alone)


@test
def a_cut_off_node_refuses_within_op_timeout_and_works_again_when_healed(t):
    c = cluster(t)
    put(c.path(1, 'key'), b'old')
    alone = c.followers()[0]
    c.cut(alone)
    for call in (lambda: get(c.path(alone, 'key')),
                 lambda: put(c.path(alone, 'key'), b'lost', os.O_TRUNC),
                 lambda: os.mkdir(c.path(alone, 'folder'))):
        began = time.monotonic()
        number = errno_of(call)
        assert number in (errno.EHOSTUNREACH, errno.ETIMEDOUT), errno_name(number)
        # The kernel asks twice for a name that it has seen before.
        assert time.monotonic() - began < 2 * OP_TIMEOUT_S + 1.5
    put(c.path(alone % 3 + 1, 'key'), b'new')
    c.heal(alone)
    c.wait_healthy(alone)
    assert get(c.path(alone, 'key')) == b'new'
    put(c.path(alone, 'key'), b'newer')
    assert {get(f'{mount}/key') for mount in c.mounts()} == {b'newer'}


@test
def nothing_acknowledged_is_lost_while_links_come_and_go(t):
    c = cluster(t)
    writers = load(c)
    for node in (1, 2, 3, c.leader()):
        c.cut(node)
        time.sleep(3)
        c.heal(node)
        time.sleep(2)
    for writer in writers:
        writer.end()
    for node in c.nodes:
        c.wait_healthy(node)
    for writer in writers:
        for mount in c.mounts():
            writer.check(mount)


main()
