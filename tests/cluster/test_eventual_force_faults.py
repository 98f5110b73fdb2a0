#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must not get lost of what a node accepted that a directory was made strong
without, while that node learns of it."""

import os
import re
import threading
import time

from eventual_folders import (MODE, Folder, close, cut_cluster, folders, holds,
                              kill_at_once, make_eventual, start_cut_off, switch)
from harness import (MountedFolder, Writer, errno_of, get, main, put, test, together,
                     wait_until)
from quarantine import (BACK_S, BLOCKED_S, FORCE, check_nothing_kept, force, is_silent,
                        kept, one_to_leave_out, wait_kept, wait_strong)

LOG_KEEP = 100
FILES = 60
LARGE = 4  # of the most that a file may have, so that all is more than one batch


def cut_off(c, name):
    """Returns a node that nobody hears of, its directory, and the others."""
    victim, others = one_to_leave_out(c)
    folder = Folder(c.path(victim, name))
    c.cut(victim)
    wait_until('it is not heard of', 20, lambda: is_silent(c, others[0], victim))
    return victim, folder, others


def write_much(folder, name):
    """Returns what is to be kept of it."""
    written = {f'{i}': b'%d of %s\n' % (i, name.encode()) for i in range(FILES)}
    written.update({f'large-{i}': bytes([65 + i]) * (1 << 20) for i in range(LARGE)})
    for one, data in written.items():
        folder.put(one, data)
    return [(f'/{name}/{one}', data) for one, data in written.items()]


def wait_until_it_keeps(c, node):
    """Something of it at least."""
    wait_until('it keeps something', BACK_S,
               lambda: os.listdir(c.path(node, '.cluster/quarantine')), 0.002)


def check_kept_apart(c, victim, others, expected):
    """It is strong, with what the others had, and the one that was left out has kept
    its own."""
    wait_strong(c, 'e')
    wait_kept(c, victim, expected)
    check_nothing_kept(c, others)
    for node in c.nodes:
        assert os.listdir(c.path(node, 'e')) == ['theirs']


# ---- crashes


@test
def a_node_that_is_killed_when_it_learns_of_it_keeps_all(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    put(c.path(1, 'e/common'), b'x')
    victim, folder, others = cut_off(c, 'e')
    expected = write_much(folder, 'e')
    folder.close()
    force(c, 'e', others[0])
    c.heal(victim)
    wait_until_it_keeps(c, victim)
    kill_at_once(c, victim)
    c.start(victim)
    wait_strong(c, 'e', [victim])
    wait_kept(c, victim, expected)
    assert os.listdir(c.path(victim, 'e')) == ['common']
    kill_at_once(c, *c.nodes)
    c.start(*c.nodes)
    wait_kept(c, victim, expected)
    check_nothing_kept(c, others)


@test
def when_all_nodes_are_killed_right_after_it_all_is_in_the_directory_or_kept(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    victim, folder, others = cut_off(c, 'e')
    expected = write_much(folder, 'e')
    folder.close()
    put(c.path(others[1], 'e/theirs'), b'x')
    kill_at_once(c, victim)
    force(c, 'e', others[0])
    kill_at_once(c, *others)
    c.heal(victim)
    together(*(lambda n=n: c.start(n) for n in c.nodes))
    check_kept_apart(c, victim, others, expected)


@test
def when_who_makes_it_strong_is_killed_all_is_in_the_directory_or_kept(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    victim, folder, others = cut_off(c, 'e')
    folder.put('mine', b'x')
    folder.close()
    put(c.path(others[1], 'e/theirs'), b'y')
    asking = threading.Thread(target=errno_of, daemon=True,
                              args=(os.setxattr, c.path(others[0], 'e'), MODE, FORCE))
    asking.start()
    time.sleep(3.05)  # It is found out for 3 s who is there.
    kill_at_once(c, others[0])
    asking.join(60)
    start_cut_off(c, others[0])
    force(c, 'e', others[1])
    c.heal(victim)
    check_kept_apart(c, victim, others, [('/e/mine', b'x')])


@test
def when_it_comes_back_meanwhile_all_is_in_the_directory_or_kept(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    victim, folder, others = cut_off(c, 'e')
    written = dict(write_much(folder, 'e'))
    folder.close()
    asking = threading.Thread(target=force, args=(c, 'e', others[0]), daemon=True)
    asking.start()
    time.sleep(2.2)  # It has answered just when it is not waited for, or just before.
    c.heal(victim)
    asking.join(60)
    wait_strong(c, 'e')
    left = dict(kept(c, victim))
    for node in c.nodes:
        folder = c.path(node, 'e')
        shown = {f'/e/{name}': get(f'{folder}/{name}') for name in os.listdir(folder)}
        assert {**left, **shown} == written
    t.say(f'{len(shown)} are in the directory, {len(left)} are kept')
    check_nothing_kept(c, others)


# ---- a node that learns of it late


def rewrite_catalog(c, node):
    """More entries of region 0 than its log keeps."""
    for i in range(LOG_KEEP * 3):
        os.mkdir(c.path(node, f'd{i}'))


def restored(c, node, since):
    return re.search(r'region 0\b.*restored a snapshot', c.log_text(node)[since:])


@test
def who_learns_of_it_by_a_snapshot_keeps_all_also_of_directories_that_are_gone(t):
    c = t.cluster(netns=True, options=f'op_timeout=4,log_keep={LOG_KEEP}')
    names = ('there', 'gone', 'anew')
    for name in names:
        make_eventual(c, name)
    by_name = {name: folders(c, name) for name in names}
    victim, others = one_to_leave_out(c)
    c.cut(victim)
    wait_until('it is not heard of', 20, lambda: is_silent(c, others[0], victim))
    for name in names:
        by_name[name][victim].put('mine', name.encode())
    c.kill(victim)
    for name in names:
        force(c, name, others[0])
    os.rmdir(c.path(others[1], 'gone'))
    switch(c, 'anew', b'eventual', others[1])
    put(c.path(others[1], 'anew/mine'), b'of the second life')
    rewrite_catalog(c, others[0])
    c.heal(victim)
    before = len(c.log_text(victim))
    c.start(victim)
    wait_strong(c, 'there', [victim])
    assert restored(c, victim, before), c.log_text(victim)[before:]
    found = wait_until('all is kept', BACK_S,
                       lambda: len(k := kept(c, victim)) == len(names) and k)
    t.say(f'{[path for path, _ in found]}')
    assert sorted(what for _, what in found) == sorted(name.encode() for name in names)
    assert {('/there/mine', b'there'), ('/anew/mine', b'anew')} <= set(found)
    assert next(path for path, what in found if what == b'gone').endswith('/mine')
    check_nothing_kept(c, others)
    for node in c.nodes:
        assert os.listdir(c.path(node, 'there')) == []
        wait_until('it has the second life', 20, lambda n=node:
                   holds(c.path(n, 'anew/mine'), b'of the second life'))
    for by_node in by_name.values():
        close(by_node)


@test
def what_was_kept_of_one_life_outlives_the_next_ones_of_that_directory(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    expected = {node: [] for node in c.nodes}
    for turn in range(2):
        victim, folder, others = cut_off(c, 'e')
        data = b'of life %d' % turn
        folder.put('mine', data)
        expected[victim].append(('/e/mine', data))
        folder.close()
        c.kill(victim)
        force(c, 'e', others[0])
        for name in os.listdir(c.path(others[0], 'e')):
            os.unlink(c.path(others[0], f'e/{name}'))
        switch(c, 'e', b'eventual', others[1])
        put(c.path(others[1], 'e/mine'), b'anew %d' % turn)
        c.heal(victim)
        c.start(victim)
        for node in c.nodes:
            wait_until('it has the new life', BACK_S, lambda n=node, d=b'anew %d' % turn:
                       holds(c.path(n, 'e/mine'), d))
            wait_kept(c, node, expected[node])
        put(c.path(victim, 'e/theirs'), b'%d' % turn)
        for node in c.nodes:
            wait_until('all have it', 20, lambda n=node, d=b'%d' % turn:
                       holds(c.path(n, 'e/theirs'), d))
    switch(c, 'e', b'strong')
    for node in c.nodes:
        wait_kept(c, node, expected[node])


# ---- under load


def start_writer(c, node):
    """In the directory itself: without a majority there is no way to it."""
    writer = Writer(c.mount(node), f'w{node}')
    writer.folder = MountedFolder(c.mount(node), 'e')
    writer.start()
    return writer


def check_not_lost(writer, found):
    """All that was acknowledged is there, or was replaced by the same writer. A file
    is made before it is written: the others may have had it just then."""
    greatest = {}
    for name, data in found:
        assert data is not None and re.fullmatch(rb'(\d+\n)?', data), f'{name} holds {data!r}'
        greatest[name] = max(int(data or b'0'), greatest.get(name, 0))
    for key, least in writer.acked.items():
        assert least <= greatest.get(key, 0) <= writer.attempted[key], (
            f'{key}: {greatest.get(key)} was found, acknowledged was {least}')


def wait_all_write(writers, more):
    enough = {node: len(writer.acked_at) + more for node, writer in writers.items()}
    wait_until('all write', BACK_S, lambda: all(
        len(writer.acked_at) > enough[node] for node, writer in writers.items()))


@test
def what_a_cut_off_node_goes_on_accepting_meanwhile_is_in_the_directory_or_kept(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    victim, others = one_to_leave_out(c)
    writers = {node: start_writer(c, node) for node in c.nodes}
    wait_all_write(writers, 20)
    c.cut(victim)
    wait_until('it is not heard of', 20, lambda: is_silent(c, others[0], victim))
    force(c, 'e', others[0])
    wait_all_write(writers, 100)
    c.heal(victim)
    wait_strong(c, 'e')
    wait_all_write(writers, 20)
    for writer in writers.values():
        writer.end()
    for node in others:
        assert not writers[node].errors, writers[node].errors[0]
        assert writers[node].longest_gap() < BLOCKED_S, writers[node].longest_gap()
        check_nothing_kept(c, [node])
    left = [(os.path.basename(path), what) for path, what in kept(c, victim)]
    assert left and all(name.startswith(f'w{victim}-') for name, _ in left), left
    t.say(f'{len(left)} names are kept')
    for node in c.nodes:
        folder = c.path(node, 'e')
        shown = [(name, get(f'{folder}/{name}')) for name in os.listdir(folder)]
        for other in others:
            check_not_lost(writers[other], shown)
        check_not_lost(writers[victim], shown + left)


main()
