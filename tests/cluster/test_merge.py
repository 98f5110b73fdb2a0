#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/.cluster/region/<id>/merge: two neighbours become one region again."""

import errno
import os
import random
import threading
import time

from harness import errno_of, load, main, put, test, wait_until

NAMES = [f'{letter}{i}' for letter in 'bdfhkmpsvy' for i in range(5)]


def write(c, seen_from, region, name, text):
    put(c.path(seen_from, f'.cluster/region/{region}/{name}'), f'{text}\n'.encode(),
        flags=os.O_TRUNC)


def rows(c, seen_from):
    """Data regions by id: their rows in /.cluster/regions."""
    lines = c.info(seen_from, 'regions').splitlines()[1:]
    return {int(line.split()[0]): line.split() for line in lines if not line.startswith('0 ')}


def split(c, seen_from, region, path):
    """Returns the id of the new region."""
    before = set(rows(c, seen_from))
    write(c, seen_from, region, 'split', path)
    wait_until('the new region is seen', 10, lambda: set(rows(c, seen_from)) - before)
    return (set(rows(c, seen_from)) - before).pop()


def fill(c, node):
    os.mkdir(c.path(node, 'd'))
    for name in NAMES:
        put(c.path(node, f'd/{name}'), name.encode() * 100)


def check(c, node):
    assert sorted(os.listdir(c.path(node, 'd'))) == sorted(NAMES)
    for name in NAMES:
        with open(c.path(node, f'd/{name}'), 'rb') as f:
            assert f.read() == name.encode() * 100, name


@test
def two_neighbours_become_one_and_the_same_mount_shows_it_at_once(t):
    c = t.cluster()
    fill(c, 1)
    for seen_from in c.nodes:
        new = split(c, seen_from, 1, '/d/m')
        write(c, seen_from, 1, 'merge', new)
        assert list(rows(c, seen_from)) == [1]
        assert c.info(seen_from, 'region/1/range') == '- -\n'
        assert str(new) not in os.listdir(c.path(seen_from, '.cluster/region'))
        for node in c.nodes:
            check(c, node)
    new = split(c, 1, 1, '/d/m')
    wait_until('the new region is seen there, too', 10, lambda: new in rows(c, 2))
    write(c, 2, new, 'merge', 1)
    assert list(rows(c, 2)) == [new]
    assert c.info(2, f'region/{new}/state') == 'running\n'
    for node in c.nodes:
        check(c, node)
        c.wait_healthy(node)
    os.rename(c.path(3, 'd'), c.path(3, 'e'))
    for name in NAMES:
        os.unlink(c.path(1, f'e/{name}'))
    os.rmdir(c.path(2, 'e'))


@test
def what_cannot_be_is_refused_with_the_reason(t):
    c = t.cluster()
    fill(c, 1)
    middle = split(c, 1, 1, '/d/h')
    last = split(c, 1, middle, '/d/p')
    wait_until('all know them', 10, lambda: all(len(rows(c, node)) == 3 for node in c.nodes))
    refused = {'x': errno.EINVAL, '': errno.EINVAL, '1': errno.EINVAL, '0': errno.EINVAL,
               '77': errno.ENOENT, str(last): errno.EINVAL}
    for node in c.nodes:
        for text, number in refused.items():
            assert errno_of(write, c, node, 1, 'merge', text) == number, (node, text)
        log = c.info(node, 'region/1/log')
        assert "control file merge: 'x': not a region's id" in log, log
        assert "control file merge: '77': there is no such region" in log, log
        assert 'they are no neighbours' in log, log
    assert len(rows(c, 1)) == 3


@test
def a_node_that_is_down_is_waited_for_in_vain(t):
    """Nothing is frozen meanwhile."""
    c = t.cluster()
    fill(c, 1)
    new = split(c, 1, 1, '/d/m')
    node = c.followers()[0]
    seen_from = c.leader()
    c.kill(node)
    writers = load(c, [seen_from])
    assert errno_of(write, c, seen_from, 1, 'merge', new) == errno.EPERM
    log = c.info(seen_from, 'region/1/log')
    assert f'not permitted: node {node} does not answer' in log, log
    for writer in writers:
        writer.end()
        assert writer.errors == []
    c.start(node)
    c.wait_caught_up(node)
    write(c, seen_from, 1, 'merge', new)
    assert list(rows(c, seen_from)) == [1]
    check(c, node)


@test
def no_write_fails_while_regions_are_split_and_merged(t):
    c = t.cluster()
    writers = load(c, c.nodes)
    for i in range(6):
        new = split(c, i % 3 + 1, 1, '/m')
        write(c, i % 3 + 1, 1, 'merge', new)
    for writer in writers:
        writer.end()
        assert writer.errors == []
        writer.check(c.mount(1))
        t.say(f'longest gap between two writes: {writer.longest_gap():.3f} s')


@test
def nodes_are_killed_while_regions_are_merged(t):
    """Merged or not, nothing is lost, and it can be merged afterwards."""
    c = t.cluster(options='workers=3')
    fill(c, 1)
    chance = random.Random(11)
    for _ in range(8):
        if len(rows(c, 1)) == 1:
            split(c, 1, min(rows(c, 1)), '/d/m')
        target, other = chance.sample(sorted(rows(c, 1)), 2)
        victim = chance.choice(c.nodes)
        seen_from = victim % 3 + 1
        merging = threading.Thread(
            target=errno_of, args=(write, c, seen_from, target, 'merge', other))
        merging.start()
        time.sleep(chance.random() * 0.3)
        c.kill(victim)
        merging.join()
        check(c, seen_from)
        c.start(victim)
        for node in c.nodes:
            c.wait_healthy(node)
            check(c, node)
    while len(rows(c, 1)) > 1:
        target, other = sorted(rows(c, 1))[:2]
        wait_until('they are merged', 30, lambda: errno_of(
            write, c, 1, target, 'merge', other) == 0)
        wait_until('all show it', 10, lambda: all(other not in rows(c, node) for node in c.nodes))
    for node in c.nodes:
        check(c, node)


if __name__ == '__main__':
    main()
