#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/.cluster/settings/region_size and auto_merge: regions that grow too large are split by
themselves, and those that have become small are merged."""

import os

from harness import get, load, main, put, table, test, wait_until

MIB = 1 << 20
FILES = 24
FILE_BYTES = MIB // 4


def write_setting(c, name, value):
    put(c.path(2, f'.cluster/settings/{name}'), f'{value}\n'.encode(), flags=os.O_TRUNC)


def want(c, mib):
    write_setting(c, 'region_size', mib * MIB)


def data_regions(c, node):
    """Their ids, as the node knows them."""
    return [row['id'] for row in table(c.info(node, 'regions')) if row['id'] != '0']


def wait_split(c):
    for node in c.nodes:
        wait_until(f'node {node} shows regions of about the right size', 60,
                   lambda n=node: len(data_regions(c, n)) >= 3)


def contents():
    return {f'f{i:02}': os.urandom(FILE_BYTES) for i in range(FILES)}


def write_all(c, files):
    os.mkdir(c.path(1, 'd'))
    for i, (name, data) in enumerate(files.items()):
        put(c.path(1 + i % 3, f'd/{name}'), data)


def check_all(c, files):
    for node in c.nodes:
        assert sorted(os.listdir(c.path(node, 'd'))) == sorted(files)
        for name, data in files.items():
            assert get(c.path(node, f'd/{name}')) == data, (node, name)


@test
def a_region_that_grows_is_split_by_itself(t):
    c = t.cluster()
    files = contents()
    want(c, 1)
    write_all(c, files)
    wait_split(c)
    check_all(c, files)


@test
def a_smaller_size_splits_what_is_there(t):
    c = t.cluster()
    files = contents()
    write_all(c, files)
    assert data_regions(c, 1) == ['1']
    want(c, 1)
    wait_split(c)
    check_all(c, files)


@test
def regions_that_have_become_small_are_merged_by_themselves(t):
    """A minute after they were split, and no write fails meanwhile."""
    c = t.cluster()
    files = contents()
    want(c, 1)
    write_all(c, files)
    wait_split(c)
    for name in sorted(files)[2:]:
        os.unlink(c.path(3, f'd/{name}'))
        del files[name]
    for name in files:
        files[name] = b'small'
        put(c.path(2, f'd/{name}'), files[name], flags=os.O_TRUNC)
    writers = load(c, c.nodes)
    count = len(data_regions(c, 1))
    write_setting(c, 'auto_merge', 'on')
    for node in c.nodes:
        wait_until(f'node {node} shows fewer regions', 150,
                   lambda n=node: len(data_regions(c, n)) <= count // 2)
    for writer in writers:
        writer.end()
        assert writer.errors == []
        writer.check(c.mount(1))
    os.rename(c.path(1, 'd'), c.path(1, 'e'))
    os.rename(c.path(2, 'e'), c.path(2, 'd'))
    check_all(c, files)
    t.say(f'{count} regions became {len(data_regions(c, 1))}')


main()
