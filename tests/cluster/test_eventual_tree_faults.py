#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Directories that become eventual, and strong again, with all that is below
them, while they are used and while nodes fail."""

import errno
import os
import re
import threading
import time

from eventual_folders import (AGREE_S, SETTLED_S, all_below, check_unchanged, fill, give_up,
                              is_all, is_complete, kill_at_once, kill_meanwhile, mode_of,
                              switch, switch_all, try_again)
from harness import (MountedFolder, errno_name, errno_of, get, load, main, put, test, wait_until)

FILES = 200
MODES = (b'eventual', b'strong')


# ---- under load


class Maker(threading.Thread):
    """Makes directories with a file in a tree, moves and removes them, again and
    again, and leaves some."""

    def __init__(self, mount, name):
        super().__init__(daemon=True)
        self.folder = MountedFolder(mount, 'd')
        self.label = name
        self.left = {}     # directories that are surely there → their content
        self.gone = set()  # which are surely not
        self.busy = 0
        self.wrong = None
        self.count = 0
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set() and self.wrong is None:
            self.count += 1
            try:
                self.work(f'{self.label}-{self.count}', b'%d' % self.count)
            except OSError as e:
                self.busy += 1
                if e.errno != errno.EBUSY:
                    self.wrong = e
        self.folder.forget()

    def work(self, name, data):
        root = self.folder.root()
        first, second = f'a/{name}', f'a/b/{name}'
        os.mkdir(first, dir_fd=root)
        put(f'{first}/f', data, dir_fd=root)
        os.rename(first, second, src_dir_fd=root, dst_dir_fd=root)
        self.gone.add(first)
        if self.count % 4 == 0:
            self.left[second] = data
            return
        os.unlink(f'{second}/f', dir_fd=root)
        os.rmdir(second, dir_fd=root)
        self.gone.add(second)

    def end(self):
        self.ending.set()
        self.join(60)
        assert not self.is_alive(), f'{self.label} hangs'
        assert self.wrong is None, f'{self.label}: {self.wrong}'

    def check(self, c, node):
        seen = set(all_below(c.path(node, 'd')))
        assert not self.gone & seen, self.gone & seen
        for name, data in self.left.items():
            assert get(c.path(node, f'd/{name}/f')) == data


@test
def who_writes_and_makes_directories_meanwhile_goes_on_and_loses_nothing(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b'))
    writers = [writer for name in ('d/w', 'd/a/b/w') for writer in load(c, label=name)]
    makers = [Maker(c.mount(node), f'm{node}') for node in c.nodes]
    for maker in makers:
        maker.start()
    refused = 0
    for number in range(6):
        time.sleep(1)
        mode = MODES[number % 2]
        while (failed := errno_of(switch, c, 'd', mode, 1 + number % 3)) != 0:
            assert failed == errno.EBUSY, errno_name(failed)
            refused += 1
    for one in makers + writers:
        one.end()
    t.say(f'{sum(m.count for m in makers)} directories, {sum(m.busy for m in makers)} calls and '
          f'{refused} switches were refused; nothing acknowledged for '
          f'{max(w.longest_gap() for w in writers):.1f} s')
    for node in c.nodes:
        assert is_all(c.path(node, 'd'), b'strong')
        for maker in makers:
            maker.check(c, node)
        for writer in writers:
            writer.check(c.mount(node))


# ---- crashes


def plant(c):
    os.makedirs(c.path(1, 'd/a/b/empty'))
    for node, name in ((1, 'd/a/0'), (2, 'd/a/b/0'), (3, 'd/c')):
        os.mkdir(c.path(1, name))
        fill(c, name, node, FILES)


def is_whole(folder):
    """What plant() has put there, all with the same mode."""
    return sorted(path for path in all_below(folder) if os.path.isdir(f'{folder}/{path}')) == [
        '.', 'a', 'a/0', 'a/b', 'a/b/0', 'a/b/empty', 'c'] and all(
        is_complete(f'{folder}/{name}', FILES) for name in ('a/0', 'a/b/0', 'c')) and any(
        is_all(folder, mode) for mode in MODES)


def wait_whole(c, mode):
    for node in c.nodes:
        wait_until(f'node {node} shows all of it', AGREE_S, lambda n=node:
                   is_all(c.path(n, 'd'), mode) and is_whole(c.path(n, 'd')))


@test
def when_the_node_that_switches_is_killed_all_has_one_mode(t):
    c = t.cluster()
    plant(c)
    for seconds in (0.02, 0.06, 0.15, 0.3):
        for mode in MODES:
            kill_meanwhile(t, c, 'd', mode, 1, seconds, is_whole)
            wait_whole(c, mode)
    c.kill(*c.nodes)
    c.up_again()
    wait_whole(c, b'strong')
    check_unchanged(c, 'd', b'strong')


@test
def when_all_nodes_are_killed_meanwhile_all_has_one_mode(t):
    c = t.cluster()
    plant(c)
    for seconds in (0.04, 0.12, 0.2):
        for mode in MODES:
            switching = threading.Thread(target=errno_of, args=(switch, c, 'd', mode),
                                         daemon=True)
            switching.start()
            time.sleep(seconds)
            kill_at_once(c, *c.nodes)
            switching.join(60)
            c.up_again()
            t.say(f'all were killed: {mode_of(c, "d")}')
            for node in c.nodes:
                wait_until('it is whole', 20, lambda n=node: is_whole(c.path(n, 'd')))
            wait_until(f'it is {mode.decode()}', SETTLED_S,
                       lambda m=mode: errno_of(switch, c, 'd', m) == 0)
            wait_whole(c, mode)
    for node in c.nodes:
        c.wait_healthy(node)
    check_unchanged(c, 'd', b'strong')


# ---- a node is silent


@test
def without_all_nodes_all_is_as_before(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b'))
    for before, mode in ((b'strong', b'eventual'), (b'eventual', b'strong')):
        victim = c.followers()[0]
        others = [node for node in c.nodes if node != victim]
        put(c.path(victim, 'd/a/b/f'), b'x')
        c.pause(victim)
        number = errno_of(switch, c, 'd', mode, others[0])
        assert number in (errno.EBUSY, errno.EHOSTUNREACH), errno_name(number)
        assert f'node {victim} ' in re.search(f'directory .* stays.*', c.info(others[0], 'log'))[0]
        check_unchanged(c, 'd', before, others)
        c.resume(victim)
        c.wait_healthy(victim)
        check_unchanged(c, 'd', before, [victim])
        switch_all(c, 'd', mode, others[1])
        assert is_all(c.path(victim, 'd'), mode)


@test
def who_gives_up_leaves_all_as_before(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b'))
    put(c.path(1, 'd/a/b/g'), b'x')
    for before, mode, state in ((b'strong', b'eventual', 'filling'),
                                (b'eventual', b'strong', 'fenced')):
        silent, other = give_up(t, c, 'd', mode, state)
        check_unchanged(c, 'd', before, [other])
        try_again(c, 'd', mode, silent)
        for node in c.nodes:
            wait_until('all know it', 10, lambda n=node, m=mode: is_all(c.path(n, 'd'), m))
            assert get(c.path(node, 'd/a/b/f')) == b'%d' % other
            assert get(c.path(node, 'd/a/b/g')) == b'x'


main()
