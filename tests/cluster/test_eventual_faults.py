#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must hold in eventual directories while nodes, links and clocks fail."""

import errno
import os
import random
import threading
import time

from eventual_folders import (AGREE_S, MODE, close, cut_cluster, cut_folders, folders,
                              make_eventual, open_cut_off, start_cut_off, wait_agreed)
from harness import (UNCERTAIN, MountedFolder, errno_name, get, main, put, table, test,
                     together, wait_until)
from history import AFTER, Clients, History
from history_client import OWN_SHARED, own_key
from own_reads import judge

CUT_S = 30
KEYS = 1000  # of each node
COMMON = 100


def assert_same(shown, expected, where):
    odd = {name for name in shown.keys() | expected.keys()
           if shown.get(name) != expected.get(name)}
    assert not odd, f'{where}: {[(n, shown.get(n, b"-")[:20]) for n in sorted(odd)]}'


# ---- nodes that are cut from each other


def wait_nothing_pending(t, c):
    """Until the nodes say that all of them have the same."""
    began = time.monotonic()

    def are_done():
        return all(row['pending_entries'] == '0' and row['state'] == 'ok'
                   for node in c.nodes for row in table(c.info(node, 'eventual')))

    wait_until('nothing is pending', AGREE_S, are_done)
    t.say(f'nothing is pending after {time.monotonic() - began:.2f} s')


@test
def nodes_cut_from_each_other_for_30_s_go_on_writing_and_agree_when_healed(t):
    c, by_node = cut_folders(t)
    c.cut(*c.nodes)
    began = time.monotonic()
    last = {node: {} for node in c.nodes}

    def write(node):
        i = 0
        while i < KEYS or time.monotonic() < began + CUT_S:
            for name in (f'own-{node}-{i % KEYS}', f'common-{i % COMMON}'):
                last[node][name] = b'%d of %d\n' % (i, node)
                by_node[node].put(name, last[node][name])
                assert by_node[node].get(name) == last[node][name]
            i += 1
        t.say(f'node {node} alone: {2 * i} writes in {time.monotonic() - began:.1f} s')

    together(*(lambda n=n: write(n) for n in c.nodes))
    c.heal(*c.nodes)
    names = sorted(set().union(*last.values()))
    assert len(names) == len(c.nodes) * KEYS + COMMON
    wait_nothing_pending(t, c)
    shown = by_node[1].all()
    assert sorted(shown) == names
    for name in names:
        written = {last[node][name] for node in c.nodes if name in last[node]}
        assert shown[name] in written, f'{name}: {shown[name]!r}, written was {written}'
    for node in (2, 3):
        assert_same(by_node[node].all(), shown, f'node {node}')
    close(by_node)


# ---- a mount reads its own writes and never goes back


class OwnReads:
    """Clients of `own` on all mounts, and what happened to those."""

    FIRST = '00000000 '
    CLIENTS = 2  # of each mount
    LEAST = 40   # steps that each mount has to get done in each phase

    def __init__(self, t, c):
        self.t = t
        self.c = c
        self.crashes = {node: [] for node in c.nodes}
        self.clients = Clients(t, 'e')
        by_node = folders(c, 'e')
        for name in OWN_SHARED + [own_key(n + 1) for n in range(self.CLIENTS * len(c.nodes))]:
            by_node[1].put(name, self.FIRST.encode())
        wait_agreed(t, by_node)
        close(by_node)
        for node in c.nodes:
            for _ in range(self.CLIENTS):
                self.clients.start(c.mount(node), node, time.monotonic_ns(), 'own')

    def wait_busy(self, what, *nodes):
        """Until the clients of all nodes, or of these, have got enough done."""
        since = time.monotonic_ns()

        def busy():
            done = [r['node'] for r in self.clients.collect()
                    if r['start'] > since and r['result'] == 'ok']
            return all(done.count(node) >= self.LEAST for node in nodes or self.c.nodes)

        wait_until(f'all get on with {what}', 60, busy, 0.1)

    def kill(self, *nodes):
        self.c.kill(*nodes)
        for node in nodes:
            self.crashes[node].append(time.monotonic_ns())

    def judge(self):
        self.clients.end()
        records = self.clients.collect()
        odd = {r['errno'] for r in records if 'errno' in r} - {
            errno_name(number) for number in UNCERTAIN}
        assert not odd, odd
        wrong = judge(records, self.FIRST, self.crashes)
        self.t.say(f'{len(records)} steps, {sum(map(len, self.crashes.values()))} crashes')
        assert not wrong, '\n'.join(wrong)


@test
def mounts_read_their_own_writes_and_never_go_back_while_nodes_and_links_fail(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    own = OwnReads(t, c)
    own.wait_busy('nothing amiss')
    c.cut(3)
    own.wait_busy('node 3 cut off')
    c.heal(3)
    c.pause(2)
    own.wait_busy('node 2 paused', 1, 3)
    c.resume(2)
    own.kill(1)
    own.wait_busy('node 1 dead', 2, 3)
    c.start(1)
    own.wait_busy('node 1 back')
    c.cut(*c.nodes)
    own.wait_busy('all cut from each other')
    own.kill(2)
    start_cut_off(c, 2)
    own.wait_busy('one of them killed')
    c.heal(*c.nodes)
    own.wait_busy('all healed')
    own.kill(*c.nodes)
    c.start(*c.nodes)
    own.wait_busy('all started again')
    own.judge()
    by_node = folders(c, 'e')
    wait_agreed(t, by_node)
    close(by_node)


# ---- from one mode to the other, while it is used


class Visitor(threading.Thread):
    """Puts a file of its own into a directory, and removes it, again and
    again. `stays`: but for one that it leaves there. What was acknowledged must
    be there until it is removed."""

    def __init__(self, c, node, stays=False):
        super().__init__(daemon=True)
        self.folder = MountedFolder(c.mount(node), 'd')
        self.node = node
        self.stays = stays
        self.count = 0
        self.present = set()  # files that are surely there
        self.lost = None
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            self.count += 1
            name = f'{self.node}-{self.count}'
            try:
                self.visit(name, b'%d\n' % self.count)
            except OSError as e:
                self.failed(name, e)
            self.ending.wait(random.uniform(0, 0.1))
        self.folder.forget()

    def visit(self, name, data):
        root = self.folder.root()
        put(name, data, os.O_CREAT, dir_fd=root)
        self.present.add(name)
        fd = os.open(name, os.O_RDONLY, dir_fd=root)
        try:
            found = os.read(fd, 100)
        finally:
            os.close(fd)
        if found != data:
            self.lost = f'{name} holds {found!r}'
        if self.stays and len(self.present) == 1:
            return
        # While it is under way it may be there or not.
        self.present.discard(name)
        os.unlink(name, dir_fd=root)

    def failed(self, name, e):
        if e.errno not in UNCERTAIN | {errno.EBUSY}:
            self.lost = self.lost or f'{name}: {e}'
        self.folder.forget()

    def end(self):
        self.ending.set()
        self.join(60)
        assert not self.is_alive(), f'the visitor on node {self.node} hangs'
        assert self.lost is None, f'node {self.node}: {self.lost}'


def visitors(c, stay=False):
    started = [Visitor(c, node, stay) for node in c.nodes]
    for visitor in started:
        visitor.start()
    return started


class Switcher:
    """Sets the mode of a directory on the mounts in turn. A node that is dead
    is not asked."""

    def __init__(self, c):
        self.c = c
        self.tried = 0

    def set(self, mode):
        """The errno, or 0."""
        self.tried += 1
        folder = MountedFolder(self.c.mount(1 + self.tried % len(self.c.nodes)), 'd')
        try:
            os.setxattr(folder.root(), MODE, mode)
        except OSError as e:
            assert e.errno in UNCERTAIN | {errno.ENOTEMPTY, errno.EBUSY}, e
            return e.errno
        finally:
            folder.forget()
        return 0

    def persist(self, mode, seconds):
        """Tries until it has worked; says how often it did not."""
        before = self.tried
        wait_until(f'it becomes {mode}', seconds, lambda: self.set(mode) == 0)
        return self.tried - before - 1


def kill_and_start(c, node, pause_s):
    time.sleep(pause_s)
    c.kill(node)
    time.sleep(1)
    c.start(node)


def empty(c, by_node):
    for name in by_node[1].names():
        by_node[1].unlink(name)
    wait_until('it is empty', AGREE_S,
               lambda: not any(folder.names() for folder in by_node.values()))


@test
def what_was_acknowledged_comes_along_when_it_becomes_strong_though_nodes_are_killed(t):
    c = t.cluster(options='op_timeout=4')
    make_eventual(c, 'd')
    staying = visitors(c, stay=True)
    wait_until('each has left a file', 20, lambda: all(v.present for v in staying))
    switcher = Switcher(c)

    def kill():
        for node in (1, 2, 3):
            kill_and_start(c, node, 0.5)

    killing = threading.Thread(target=kill, daemon=True)
    killing.start()
    failed = switcher.persist(b'strong', 60)
    killing.join()
    for visitor in staying:
        visitor.end()
    t.say(f'{failed} of {switcher.tried} tries failed, {sum(v.count for v in staying)} files')
    by_node = folders(c, 'd')
    shown = wait_agreed(t, by_node)
    for visitor in staying:
        assert visitor.present <= set(shown), f'{visitor.present} of {sorted(shown)}'
    for node in c.nodes:
        assert os.getxattr(c.path(node, 'd'), MODE) == b'strong'
    close(by_node)


@test
def a_directory_that_is_switched_under_load_loses_nothing_and_is_linearizable_once_strong(t):
    c = t.cluster(options='op_timeout=4')
    os.mkdir(c.path(1, 'd'))
    switcher = Switcher(c)
    visiting = visitors(c, stay=True)
    wait_until('each has left a file', 20, lambda: all(v.present for v in visiting))
    failed = 0
    for node, mode in ((2, b'eventual'), (3, b'strong'), (1, b'eventual'), (2, b'strong')):
        killing = threading.Thread(target=kill_and_start, args=(c, node, 0.1), daemon=True)
        killing.start()
        failed += switcher.persist(mode, 60)
        killing.join()
        worked = [one.count + 10 for one in visiting]
        wait_until('each has worked', 20, lambda w=worked: all(
            one.count > least for one, least in zip(visiting, w)))
    for visitor in visiting:
        visitor.end()
    shown = set(os.listdir(c.path(1, 'd')))
    for visitor in visiting:
        assert visitor.present <= shown, f'{visitor.present} of {sorted(shown)}'
    for name in shown:
        os.unlink(c.path(1, f'd/{name}'))
    t.say(f'{failed} of {switcher.tried} tries failed')
    failed = switcher.persist(b'eventual', 15) + switcher.persist(b'strong', 15)
    history = History(t, dict(zip(c.nodes, c.mounts())), 'd')
    history.wait_for(AFTER, c.nodes)
    c.kill(1)
    history.wait_for(AFTER, (2, 3))
    c.start(1)
    history.wait_for(AFTER, c.nodes)
    history.judge()


# ---- crashes of all nodes


@test
def what_nodes_that_are_cut_off_have_acknowledged_survives_kill_9_of_all(t):
    c, by_node = cut_folders(t)
    by_node[1].put('removed', b'x')
    wait_agreed(t, by_node)
    c.cut(*c.nodes)
    time.sleep(1)
    by_node[3].unlink('removed')
    expected = {node: {} for node in c.nodes}
    for turn in range(2):
        def write(node, turn=turn):
            for i in range(100):
                name = f'{node}-{i}'
                expected[node][name] = b'%d in turn %d\n' % (i, turn) * (1 + i * 20)
                by_node[node].put(name, expected[node][name])

        together(*(lambda n=n: write(n) for n in c.nodes))
        c.kill(*c.nodes)
        close(by_node)
        opening = {}
        together(*(lambda n=n: opening.update({n: open_cut_off(c, n, 'e')}) for n in c.nodes))
        by_node = dict(sorted(opening.items()))
        for node in c.nodes:
            shown = by_node[node].all()
            if node != 3:
                shown.pop('removed', None)  # It may have to come once more.
            assert_same(shown, expected[node], f'node {node} in turn {turn}')
    c.heal(*c.nodes)
    assert_same(wait_agreed(t, by_node), {**expected[1], **expected[2], **expected[3]}, 'healed')
    close(by_node)


@test
def what_was_acknowledged_right_after_a_switch_survives_kill_9_of_all_nodes(t):
    c = t.cluster()
    os.mkdir(c.path(1, 'd'))
    for turn in range(4):
        mode = (b'eventual', b'strong')[turn % 2]
        asked = 1 + turn % 3
        Switcher(c).persist(mode, 15)
        os.setxattr(c.path(asked, 'd'), MODE, mode)
        by_node = folders(c, 'd')
        together(*(lambda n=n: by_node[n].put(f'{n}', b'turn %d' % turn) for n in c.nodes))
        c.kill(*c.nodes)
        close(by_node)
        c.start(*c.nodes)
        by_node = folders(c, 'd')
        for node in c.nodes:
            assert os.getxattr(c.path(node, 'd'), MODE) == mode
            assert by_node[node].get(f'{node}') == b'turn %d' % turn
        assert wait_agreed(t, by_node) == {f'{n}': b'turn %d' % turn for n in c.nodes}
        for node in c.nodes:
            assert {get(f'{mount}/d/{node}') for mount in c.mounts()} == {b'turn %d' % turn}
        empty(c, by_node)
        close(by_node)


main()
