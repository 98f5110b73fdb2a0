#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The placement group at work: many moves and kill -9, nodes that are drained,
nodes that join and get their share."""

import errno
import os
import random
import subprocess
import time

from harness import TOP, errno_of, load, main, put, table, test, wait_until

GROVE_WAIT = os.path.join(TOP, 'scripts', 'grove-wait')
# Why a move may not begin while nodes die.
REFUSALS = {errno.EBUSY, errno.EPERM, errno.EINVAL, errno.EHOSTUNREACH, errno.ETIMEDOUT}


def write(c, node, name, text):
    put(c.path(node, f'.cluster/{name}'), f'{text}\n'.encode(), flags=os.O_TRUNC)


def regions(c, node):
    """Those with data: id → row."""
    rows = table(c.info(node, 'regions'))
    return {row['id']: row for row in rows if row['id'] != '0'}


def nodes_of(row, columns=('peers', 'learners')):
    names = [row[column] for column in columns if row[column] != '-']
    return {int(name) for names_of in names for name in names_of.split(',')}


def split(c, *paths):
    """Each one splits the last region."""
    for path in paths:
        last = max(regions(c, 1), key=int)
        write(c, 1, f'region/{last}/split', path)
        wait_until('there is one more', 20, lambda last=last: max(
            regions(c, 1), key=int) != last)


def seen_from(c, region):
    """The row of a region on a node that has a replica of it."""
    for node in c.nodes:
        row = regions(c, node).get(region)
        if row is not None and node in nodes_of(row):
            return row
    return None


def wait_settled(c, names, replicas=3):
    def settled():
        rows = [seen_from(c, region) for region in names]
        return all(row is not None and len(nodes_of(row, ['peers'])) == replicas and
                   not nodes_of(row, ['learners']) for row in rows)
    wait_until(f'all regions have {replicas} voters', 90, settled)


def end(c, writers):
    for writer in writers:
        writer.end()
        for mount in c.mounts():
            writer.check(mount)


@test
def nothing_is_lost_when_nodes_are_killed_while_regions_move(t):
    chance = random.Random(4)
    c = t.cluster(nodes=5)
    split(c, '/w2', '/w4')
    names = sorted(regions(c, 1))
    assert len(names) == 3, names
    writers = load(c)
    begun = 0
    for _ in range(8):
        victim = chance.choice(c.nodes)
        node = chance.choice([n for n in c.nodes if n != victim])
        # One that was started just now may not have heard of all yet.
        wait_until('it knows all regions', 20,
                   lambda node=node: set(names) <= set(regions(c, node)))
        for region in names:
            there = nodes_of(seen_from(c, region))
            text = (f'{chance.choice(sorted(there))}'
                    f' {chance.choice(sorted(set(c.nodes) - there) or [1])}')
            refused = errno_of(write, c, node, f'region/{region}/move', text)
            assert refused == 0 or refused in REFUSALS, (text, refused)
            begun += refused == 0
        time.sleep(chance.random())
        c.kill(victim)
        time.sleep(1 + chance.random())
        c.start(victim)
        wait_until('it is seen', 30, lambda node=node: all(
            row['state'] == 'up' for row in table(c.info(node, 'nodes'))))
    t.say(f'{begun} moves, {sum(len(w.acked_at) for w in writers)} acknowledged writes')
    assert begun >= 8
    done = subprocess.run([GROVE_WAIT, 'all', '-t', '90', '-m', c.mount(1)],
                          check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    wait_settled(c, names)
    end(c, writers)


@test
def a_drained_node_is_emptied_and_can_be_removed(t):
    c = t.cluster(nodes=4)
    split(c, '/w2', '/w4')
    names = sorted(regions(c, 1))
    writers = load(c, [1, 3, 4])
    assert errno_of(write, c, 3, 'node/2/remove', '1') == errno.EPERM
    write(c, 3, 'node/2/drain', '1')
    wait_until('nothing is left there', 90, lambda: all(
        2 not in nodes_of(seen_from(c, region)) for region in names))
    wait_settled(c, names)

    wait_until('health says so', 20, lambda: 'drained' not in c.info(1, 'health'))
    wait_until('it can be removed', 30,
               lambda: errno_of(write, c, 3, 'node/2/remove', '1') == 0)
    for writer in writers:
        writer.end()
        assert writer.errors == [], writer.errors
        for node in (1, 3, 4):
            writer.check(c.mount(node))


@test
def health_says_what_keeps_a_node_from_being_emptied(t):
    c = t.cluster()
    put(c.path(1, 'a'), b'1')
    write(c, 1, 'node/3/drain', '1')
    line = ('node 3 is being drained, 1 of its replicas left: no other node can take them, '
            'so add one, or lower settings/replicas\n')
    for node in c.nodes:
        wait_until(f'node {node} says so', 20, lambda n=node: c.info(n, 'health') == line)
    c.add()
    for node in c.nodes:
        c.wait_healthy(node, 60)


@test
def a_cluster_that_grows_spreads_its_regions_and_leaders(t):
    c = t.cluster(nodes=1)
    split(c, '/d', '/h', '/p', '/w')
    names = sorted(regions(c, 1))
    writers = load(c)
    for _ in range(3):
        c.add()
    wait_settled(c, names)

    def spread():
        rows = [seen_from(c, region) for region in names]
        held = [sum(n in nodes_of(row) for row in rows) for n in c.nodes]
        led = [sum(row['leader'] == str(n) for row in rows) for n in c.nodes]
        return max(held) - min(held) <= 2 and max(led) - min(led) <= 2
    wait_until('all nodes have their share', 240, spread)
    time.sleep(12)  # Longer than a region has its rest.
    assert spread()
    for writer in writers:
        assert writer.errors == [], writer.errors
    end(c, writers)


main()
