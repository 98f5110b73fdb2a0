#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose missing log is gone is restored by a snapshot."""

import os

from harness import get, load, main, put, table, test, together, wait_until

LOG_KEEP = 100


@test
def a_lagging_node_is_restored_by_snapshot_while_writes_go_on(t):
    c = t.cluster(options=f'log_keep={LOG_KEEP}')
    os.makedirs(c.path(1, 'a/b'))
    put(c.path(1, 'a/gone'), b'x')
    away = c.followers()[0]
    others = [node for node in c.nodes if node != away]
    c.kill(away)
    log_before = len(c.log_text(away))

    def fill(node):
        for i in range(LOG_KEEP * 10):
            put(c.path(node, f'a/{node}-{i}'), b'%d' % i)
        for i in range(20):
            put(c.path(node, f'a/b/{node}-{i}'), bytes([i]) * (1 << 20))
        os.mkdir(c.path(node, f'a/folder{node}'))

    together(*(lambda n=n: fill(n) for n in others))
    os.unlink(c.path(others[0], 'a/gone'))
    os.rename(c.path(others[0], 'a/b'), c.path(others[0], 'a/c'))
    writers = load(c, others)
    c.start(away)
    c.wait_caught_up(away, entries=LOG_KEEP)
    for writer in writers:
        writer.end()
        assert writer.longest_gap() < 6, writer.longest_gap()
        writer.check(c.mount(away))
    c.wait_caught_up(away)
    assert 'snapshot' in c.log_text(away)[log_before:], 'it was not restored by a snapshot'

    # The restored node is read alone with one other, so its copy counts.
    c.kill(others[1])
    for node in others:
        for i in range(LOG_KEEP * 10):
            assert get(c.path(away, f'a/{node}-{i}')) == b'%d' % i
        for i in range(20):
            assert get(c.path(away, f'a/c/{node}-{i}')) == bytes([i]) * (1 << 20)
    names = [f'{node}-{i}' for node in others for i in range(LOG_KEEP * 10)]
    names += [f'folder{node}' for node in others] + ['c']
    assert sorted(os.listdir(c.path(away, 'a'))) == sorted(names)
    put(c.path(away, 'after'), b'x')


@test
def a_node_that_was_away_during_splits_is_restored_part_by_part(t):
    """It comes back with the range of all, which the snapshots of the parts
    overlap until its own has become smaller."""
    c = t.cluster(options=f'log_keep={LOG_KEEP}')
    os.mkdir(c.path(1, 'a'))
    names = [f'{i:04}' for i in range(LOG_KEEP * 10)]
    for name in names:
        put(c.path(1, f'a/{name}'), b'old')
    away = c.followers()[0]
    other = next(node for node in c.nodes if node != away)
    c.wait_caught_up(away)
    c.kill(away)
    log_before = len(c.log_text(away))

    def last_region():
        return max(int(row['region']) for row in table(c.info(other, 'leaders')))

    for name in '0250', '0500', '0750':
        region = last_region()
        put(c.path(other, f'.cluster/region/{region}/split'), f'/a/{name}\n'.encode(),
            flags=os.O_TRUNC)
        wait_until('the new region is known', 20, lambda: last_region() > region)
    for name in names:
        put(c.path(other, f'a/{name}'), name.encode())
    c.start(away)
    wait_until('each part is restored by a snapshot', 60,
               lambda: c.log_text(away)[log_before:].count('restored a snapshot') >= 4)
    c.wait_caught_up(away)
    c.kill(next(node for node in c.nodes if node not in (away, other)))
    for name in names:
        assert get(c.path(away, f'a/{name}')) == name.encode()
    assert sorted(os.listdir(c.path(away, 'a'))) == names


main()
