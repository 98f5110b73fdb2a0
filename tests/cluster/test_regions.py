#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One region becomes many while others go on, and nobody notices."""

import errno
import os
import random
import subprocess
import threading

from harness import (get, main, put, slow, table, test, together, wait_until)
from trees import odd_files, real_files, same, same_content

FILES = int(os.environ.get('REGION_FILES', '5000'))
TOPS = '/usr/include', '/usr/lib/python3', '/usr/share'
PARTS = 4
PAUSE_S = 1.0
REGIONS_MAX = 40


def regions(c, node):
    return {int(row['id']): row for row in table(c.info(node, 'regions'))}


def split(c, node, region, at='auto'):
    put(c.path(node, f'.cluster/region/{region}/split'), f'{at}\n'.encode(), flags=os.O_TRUNC)


class Operator:
    """Somebody who splits regions, moves them and has other nodes lead them
    until it is told to stop."""

    def __init__(self, c):
        self.c = c
        self.source = random.Random(1)
        self.done = {'split': 0, 'transfer': 0, 'move': 0}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.failure = None

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        if self.failure is not None:
            raise self.failure

    def write(self, name, text):
        """What is refused has its reason in the log: it is too small, or its
        nodes are busy."""
        node = self.source.choice(self.c.nodes)
        known = regions(self.c, node)
        region = self.source.choice([region for region in known if region > 0])
        if name == 'split' and len(known) > REGIONS_MAX:
            return
        try:
            put(self.c.path(node, f'.cluster/region/{region}/{name}'),
                f'{text(known[region])}\n'.encode(), flags=os.O_TRUNC)
            self.done[name] += 1
        except OSError as e:
            if e.errno not in (errno.ENOENT, errno.EPERM, errno.EBUSY, errno.EINVAL):
                raise

    def somewhere_else(self, row):
        """From a node that has a replica of the region to one that has none."""
        there = row['peers'].split(',')
        others = [str(node) for node in self.c.nodes if str(node) not in there]
        return f'{self.source.choice(there)} {self.source.choice(others or there)}'

    def run(self):
        try:
            while not self.stopping.wait(PAUSE_S):
                self.write('split', lambda row: 'auto')
                self.write('transfer', lambda row: self.source.choice(self.c.nodes))
                self.write('move', self.somewhere_else)
        except BaseException as e:
            self.failure = e


def copy_in_parts(c, tree):
    """Each part through a mount of its own."""
    names = sorted(os.listdir(tree))

    def copy(part):
        target = c.path(part + 1, 'tree')
        for name in names[part::PARTS]:
            subprocess.run(['cp', '-a', f'{tree}/{name}', target], check=True)

    os.mkdir(c.path(1, 'tree'))
    together(*(lambda part=part: copy(part) for part in range(PARTS)))


@slow(2200)
@test
def a_tree_copied_in_while_regions_split_and_move_is_the_same_on_all_mounts(t):
    c = t.cluster(nodes=5)
    tree = f'{t.scratch("source")}/tree'
    for part in range(PARTS):
        real_files(f'{tree}/{part}', FILES // PARTS, TOPS[part % len(TOPS):])
    odd_files(f'{tree}/odd')
    with Operator(c) as operator:
        copy_in_parts(c, tree)
    t.say(', '.join(f'{count} {name}s' for name, count in operator.done.items()))
    assert min(operator.done.values()) > 0, operator.done
    together(*(lambda n=n: same_content(tree, c.path(n, 'tree')) for n in c.nodes[1:]))
    same(tree, c.path(1, 'tree'))


@test
def a_folder_that_lies_in_many_regions_is_one_folder(t):
    c = t.cluster()
    names = [f'{i:04}' for i in range(1000)]
    os.mkdir(c.path(1, 'a'))
    for name in names:
        put(c.path(1, f'a/{name}'), name.encode())
    for at in '0250', '0500', '0750':
        split(c, 2, max(regions(c, 2)), f'/a/{at}')
    for node in c.nodes:
        wait_until('all regions are known', 20, lambda n=node: len(regions(c, n)) == 5)
        assert sorted(os.listdir(c.path(node, 'a'))) == names
    os.rename(c.path(1, 'a/0100'), c.path(1, 'a/0900'))
    os.mkdir(c.path(2, 'a/0600x'))
    os.rename(c.path(3, 'a/0600x'), c.path(3, 'a/0200x'))
    os.rename(c.path(2, 'a'), c.path(2, 'b'))
    assert get(c.path(1, 'b/0900')) == b'0100'
    left = sorted(set(names) - {'0100'} | {'0200x'})
    assert sorted(os.listdir(c.path(1, 'b'))) == left
    os.rmdir(c.path(1, 'b/0200x'))
    for name in left:
        if name != '0200x':
            os.unlink(c.path(2, f'b/{name}'))
    os.rmdir(c.path(3, 'b'))
    assert os.listdir(c.mount(1)) == []


def told(c, node):
    """All but what each node says of itself."""
    rows = table(c.info(node, 'regions'))
    return [{name: row[name] for name in ('id', 'start', 'end', 'leader', 'term', 'epoch', 'peers')}
            for row in rows]


@test
def all_nodes_know_of_all_regions(t):
    """Also those that have no replica of them."""
    c = t.cluster(nodes=5)
    os.mkdir(c.path(5, 'a'))
    for name in 'abcdef':
        put(c.path(5, f'a/{name}'), b'')
    for at in 'fd':
        split(c, 5, 1, f'/a/{at}')
    for node in c.nodes:
        wait_until(f'node {node} knows three', 20, lambda n=node: (
            [(row['start'], row['end']) for row in told(c, n)[1:]] ==
            [('-', '/a/d'), ('/a/f', '-'), ('/a/d', '/a/f')]))
        wait_until(f'node {node} agrees with node 1', 20, lambda n=node: told(c, n) == told(c, 1))
        wait_until(f'node {node} names the same leaders', 20, lambda n=node: (
            [row['leader_node'] for row in table(c.info(n, 'leaders'))] ==
            [row['leader'] for row in told(c, 1)]))
        put(c.path(node, '.cluster/check'), b'all\n', flags=os.O_TRUNC)
    for node in 1, 2, 3:
        checked = {row['region']: row['state'] for row in table(c.info(node, 'check'))}
        assert checked == dict.fromkeys('0123', 'ok'), checked


main()
