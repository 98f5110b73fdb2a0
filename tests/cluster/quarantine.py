# SPDX-License-Identifier: Apache-2.0
"""What the tests of directories that are made strong without some nodes share."""

import errno
import os
import re
import time

from eventual_folders import MODE, mode_of
from harness import UNCERTAIN, errno_name, errno_of, get, put, table, wait_until

FORCE = b'strong force'
# Who has just fallen silent counts as heard of for 3 s, and is waited for.
FORCED_S = 30
BACK_S = 60
BLOCKED_S = 10  # 5 s are promised; a busy machine gets twice that.


class Item:
    """One of a node's quarantine, as it is shown."""

    def __init__(self, folder):
        self.folder = folder
        self.path = get(f'{folder}/path').decode().removesuffix('\n')
        self.about = dict(line.split(' ', 1)
                          for line in get(f'{folder}/about').decode().splitlines())
        self.content = get(f'{folder}/content')
        self.removed = {'yes': True, 'no': False}[self.about['removed']]

    def what(self):
        """Its content; None when it is a removal."""
        assert not (self.removed and self.content), f'{self.path}: {self.content!r}'
        return None if self.removed else self.content

    def drop(self):
        put(f'{self.folder}/drop', b'yes\n', flags=0)


def items(c, node):
    """By number."""
    folder = c.path(node, '.cluster/quarantine')
    return {number: Item(f'{folder}/{number}')
            for number in sorted(map(int, os.listdir(folder)))}


def kept(c, node):
    """All of the quarantine of a node, sorted: (path, content), or (path, None) of
    a removal."""
    found = [(item.path, item.what()) for item in items(c, node).values()]
    return sorted(found, key=lambda one: (one[0], one[1] or b''))


def wait_kept(c, node, expected):
    """Until a node shows just that in its quarantine."""
    expected = sorted(expected, key=lambda one: (one[0], one[1] or b''))
    deadline = time.monotonic() + BACK_S
    while (found := kept(c, node)) != expected:
        assert time.monotonic() < deadline, (
            f'node {node}: too much {[one for one in found if one not in expected]}, '
            f'missing {[one for one in expected if one not in found]}')
        time.sleep(0.1)


def check_nothing_kept(c, nodes):
    for node in nodes:
        assert kept(c, node) == [], f'node {node}: {kept(c, node)}'


def drop_all(c, node):
    for item in items(c, node).values():
        item.drop()
    assert kept(c, node) == []


def told(c, seen_from, node):
    """How much a node has in its quarantine, as another one has been told."""
    return next((int(row['quarantine']) for row in table(c.info(seen_from, 'eventual'))
                 if row['peer'] == str(node) and row['quarantine'] != '-'), None)


def wait_only_trouble(c, node, count):
    """Until health tells of what a node has in its quarantine, on all nodes, and of
    nothing else."""
    line = re.compile(rf'node {node} has {count} changes? in quarantine, .*\n')
    for seen_from in c.nodes:
        wait_until(f'node {seen_from} tells of {count} in quarantine', BACK_S,
                   lambda n=seen_from: line.fullmatch(c.info(n, 'health')), 0.1)


def is_silent(c, seen_from, node):
    return any(row['peer'] == str(node) and row['state'] != 'ok'
               for row in table(c.info(seen_from, 'eventual')))


def force(c, name, node):
    """Asks a node until it is strong; returns how often that was refused."""
    refused = []

    def is_strong():
        number = errno_of(os.setxattr, c.path(node, name), MODE, FORCE)
        if number != 0:
            assert number in (errno.EBUSY, errno.EHOSTUNREACH), errno_name(number)
            refused.append(number)
        return number == 0
    wait_until(f'{name} is strong', FORCED_S, is_strong)
    assert mode_of(c, name, node) == b'strong'
    return len(refused)


def knows_it_is_strong(c, name, node):
    try:
        return mode_of(c, name, node) == b'strong'
    except OSError as e:
        assert e.errno in UNCERTAIN | {errno.EBUSY}, e
        return False


def wait_strong(c, name, nodes=None):
    for node in nodes or c.nodes:
        wait_until(f'node {node} knows that it is strong', BACK_S,
                   lambda n=node: knows_it_is_strong(c, name, n))


def one_to_leave_out(c):
    """A node that leads nothing, and the others. All have been heard of."""
    leader = c.leader(region=0)
    victim = c.followers()[-1]
    wait_until('all are heard of', 20, lambda: all(
        row['state'] == 'ok' for row in table(c.info(leader, 'eventual'))))
    return victim, [node for node in c.nodes if node != victim]
