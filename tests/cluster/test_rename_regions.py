#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Renames between directories in different regions take effect as a whole,
whatever the size of the file and whoever dies meanwhile."""

import os

from harness import get, main, put, test, together, wait_until

SIZES = (0, 3000, 65536, 65537, 3 * 1024 * 1024 + 5)


def content(i):
    """Of file i: no two pieces of it are alike."""
    line = b'%d %09d\n'
    count = SIZES[i] // 8 + 1
    return b''.join(line % (i, j) for j in range(count))[:SIZES[i]]


def two_regions(c):
    os.mkdir(c.path(1, 'a'))
    os.mkdir(c.path(1, 'b'))
    put(c.path(1, '.cluster/region/1/split'), b'/b/a\n', flags=os.O_TRUNC)
    wait_until('there are two regions on all nodes', 30, lambda: all(
        len(os.listdir(c.path(n, '.cluster/region'))) == 3 for n in c.nodes))
    for i in range(len(SIZES)):
        put(c.path(1, f'a/f{i}'), content(i))


def places(c, node):
    return {name: [d for d in 'ab' if name in os.listdir(c.path(node, d))]
            for name in (f'f{i}' for i in range(len(SIZES)))}


@test
def a_file_of_any_size_goes_to_another_region_and_back(t):
    c = t.cluster()
    two_regions(c)
    for node in c.nodes:
        for source, target in ('a', 'b'), ('b', 'a'):
            for i in range(len(SIZES)):
                os.rename(c.path(node, f'{source}/f{i}'), c.path(node, f'{target}/f{i}'))
            for seen_from in c.nodes:
                assert all(at == [target] for at in places(c, seen_from).values())
                for i in range(len(SIZES)):
                    assert get(c.path(seen_from, f'{target}/f{i}')) == content(i), i


@test
def a_coordinator_that_is_killed_leaves_each_file_in_one_place(t):
    c = t.cluster()
    two_regions(c)

    def rename_until_it_dies(node):
        while True:
            for source, target in ('a', 'b'), ('b', 'a'):
                for i in range(len(SIZES)):
                    try:
                        os.rename(c.path(node, f'{source}/f{i}'), c.path(node, f'{target}/f{i}'))
                    except FileNotFoundError:
                        pass
                    except OSError:
                        return

    def kill_it(node):
        wait_until('it is at work', 30, lambda: any(
            at == ['b'] for at in places(c, node % 3 + 1).values()))
        c.kill(node)

    for node in c.nodes:
        together(lambda: rename_until_it_dies(node), lambda: kill_it(node))
        c.start(node)
        c.wait_healthy(node)
        for i in range(len(SIZES)):
            name = f'f{i}'
            at = places(c, node)[name]
            assert len(at) == 1, (name, at)
            assert get(c.path(node, f'{at[0]}/{name}')) == content(i), name
            if at != ['a']:
                os.rename(c.path(node, f'b/{name}'), c.path(node, f'a/{name}'))


main()
