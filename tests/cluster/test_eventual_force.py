#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eventual directories that are made strong without the nodes that are not heard
of, and what these have accepted meanwhile."""

import errno
import os
import subprocess

from eventual_folders import (MODE, SETTLED_S, close, cut_cluster, folders, make_eventual,
                              mode_of, switch, wait_agreed)
from harness import errno_name, errno_of, get, main, put, test, wait_until
from quarantine import (BACK_S, FORCE, check_nothing_kept, drop_all, force, is_silent, items,
                        kept, one_to_leave_out, told, wait_kept, wait_only_trouble,
                        wait_strong)

NOBODY = 65534


# ---- one node


def away_when_cut(c, victim):
    """It stays cut off until it is let back."""
    return lambda: c.heal(victim)


def away_when_killed(c, victim):
    c.kill(victim)
    c.heal(victim)
    return lambda: c.start(victim)


def away_when_paused(c, victim):
    c.pause(victim)
    c.heal(victim)
    return lambda: c.resume(victim)


def write_alone(folder):
    """What the others have by then is: common, both, old, gone."""
    folder.put('mine', b'of the one\n')
    folder.put('empty', b'')
    folder.put('common', b'changed\n')
    folder.put('both', b'of the one\n')
    folder.put('short-lived', b'x')
    folder.unlink('short-lived')
    folder.unlink('gone')
    os.symlink('nowhere', 'link', dir_fd=folder.fd)
    os.chmod('mine', 0o600, dir_fd=folder.fd)


def kept_of_it(name):
    path = f'/{name}'
    return [(f'{path}/mine', b'of the one\n'), (f'{path}/empty', b''),
            (f'{path}/common', b'changed\n'), (f'{path}/both', b'of the one\n'),
            (f'{path}/short-lived', None), (f'{path}/gone', None),
            (f'{path}/link', b'nowhere')]


IN_THE_DIRECTORY = {'common': b'of all\n', 'both': b'of the others\n', 'old': b'of the one\n',
                    'gone': b'x\n', 'theirs': b'y\n'}


def leave_out(c, name, away):
    """Makes a directory strong without a node that has written there alone. Returns
    that node, the others, and what brings it back."""
    make_eventual(c, name)
    by_node = folders(c, name)
    victim, others = one_to_leave_out(c)
    by_node[others[0]].put('common', b'of all\n')
    by_node[others[1]].put('gone', b'x\n')
    by_node[victim].put('old', b'of the one\n')
    wait_until('all have it', 20, lambda: all(
        f.names() == ['common', 'gone', 'old'] for f in by_node.values()))
    c.cut(victim)
    wait_until('it is not heard of', 20, lambda: is_silent(c, others[0], victim))
    write_alone(by_node[victim])
    by_node[others[0]].put('theirs', b'y\n')
    by_node[others[1]].put('both', b'of the others\n')
    close(by_node)
    back = away(c, victim)
    force(c, name, others[0])
    return victim, others, back


def check_directory(c, name, nodes, more=()):
    for node in nodes:
        folder = c.path(node, name)
        assert {n: get(f'{folder}/{n}') for n in os.listdir(folder)} == {
            **IN_THE_DIRECTORY, **dict(more)}, f'node {node}'


@test
def what_a_node_accepted_that_was_left_out_is_in_its_quarantine_and_nowhere_else(t):
    c = cut_cluster(t)
    expected = {node: [] for node in c.nodes}
    for name, away in (('cut', away_when_cut), ('killed', away_when_killed),
                       ('paused', away_when_paused)):
        victim, others, back = leave_out(c, name, away)
        check_directory(c, name, others)
        put(c.path(others[1], f'{name}/new'), b'strong\n')
        back()
        expected[victim] += kept_of_it(name)
        wait_strong(c, name)
        for node in c.nodes:
            wait_kept(c, node, expected[node])
        check_directory(c, name, c.nodes, {'new': b'strong\n'}.items())
        put(c.path(victim, f'{name}/mine'), b'anew\n')
        assert get(c.path(others[0], f'{name}/mine')) == b'anew\n'
    for node in c.nodes:
        drop_all(c, node)
    for node in c.nodes:
        c.wait_healthy(node)


# ---- what is shown


def as_nobody(*words):
    return subprocess.run(['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups',
                           *words], capture_output=True, check=False).returncode


def check_about(item, name, victim):
    about = item.about
    assert about['path'] == item.path
    if item.path == f'/{name}/mine':
        assert about['size'] == str(len(b'of the one\n')) and about['mode'].endswith('600'), about
    assert about['accepted_by'] == str(victim), about


def check_for_root_only(c, victim, number):
    folder = c.path(victim, f'.cluster/quarantine/{number}')
    for name in ('path', 'about', 'content'):
        assert as_nobody('cat', f'{folder}/{name}') != 0
        assert errno_of(put, f'{folder}/{name}', b'x', flags=0) != 0
    assert as_nobody('sh', '-c', f'echo yes > {folder}/drop') != 0
    assert errno_of(put, f'{folder}/drop', b'perhaps\n', flags=0) == errno.EINVAL
    assert os.path.isdir(folder)


@test
def the_quarantine_is_told_of_until_all_of_it_is_dropped(t):
    c = cut_cluster(t)
    victim, others, back = leave_out(c, 'e', away_when_cut)
    back()
    wait_kept(c, victim, kept_of_it('e'))
    shown = items(c, victim)
    for count in range(len(shown), 0, -1):
        wait_only_trouble(c, victim, count)
        assert f'\ngrovefs_quarantine_items {count}\n' in c.info(victim, 'metrics')
        for node in others:
            wait_until('the others know', 20,
                       lambda n=node, k=count: told(c, n, victim) == k)
        number, item = shown.popitem()
        check_about(item, 'e', victim)
        check_for_root_only(c, victim, number)
        item.drop()
        assert sorted(items(c, victim)) == sorted(shown)
        assert errno_of(item.drop) == errno.ENOENT
    for node in c.nodes:
        c.wait_healthy(node)
    wait_until('the others know', 20, lambda: told(c, others[0], victim) == 0)
    c.kill(victim)
    c.start(victim)
    check_nothing_kept(c, c.nodes)
    check_directory(c, 'e', c.nodes)


# ---- all nodes, and too few of them


@test
def with_all_nodes_it_is_made_strong_as_without_force(t):
    c = t.cluster()
    make_eventual(c, 'e')
    by_node = folders(c, 'e')
    for node in c.nodes:
        by_node[node].put(f'{node}', b'%d' % node)
    assert errno_of(os.setxattr, c.path(1, 'e'), MODE, b'eventual force') == errno.EINVAL
    assert errno_of(os.setxattr, c.path(1, 'e'), MODE, b'strong  force') == errno.EINVAL
    os.setxattr(c.path(1, 'e'), MODE, FORCE)
    for node in c.nodes:
        wait_until('it is known', 10, lambda n=node: mode_of(c, 'e', n) == b'strong')
        assert by_node[node].all() == {f'{n}': b'%d' % n for n in c.nodes}
    os.setxattr(c.path(2, 'e'), MODE, FORCE)
    assert mode_of(c, 'e', 2) == b'strong'
    check_nothing_kept(c, c.nodes)
    close(by_node)


@test
def without_a_majority_it_stays_eventual(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    by_node = folders(c, 'e')
    c.cut(*c.nodes)
    wait_until('nobody is heard of', 20, lambda: all(is_silent(c, 1, n) for n in (2, 3)))
    for node in c.nodes:
        by_node[node].put(f'{node}', b'%d' % node)
    for node in c.nodes:
        number = errno_of(os.setxattr, by_node[node].fd, MODE, FORCE)
        assert number in (errno.EHOSTUNREACH, errno.ETIMEDOUT), errno_name(number)
        by_node[node].put(f'{node}', b'again')
    c.heal(*c.nodes)
    assert wait_agreed(t, by_node, BACK_S) == {f'{node}': b'again' for node in c.nodes}
    assert mode_of(c, 'e') == b'eventual'
    check_nothing_kept(c, c.nodes)
    wait_until('it is strong', SETTLED_S, lambda: errno_of(switch, c, 'e', b'strong') == 0)
    close(by_node)


# ---- trees


def files_in(folder):
    return sorted(name for name in os.listdir(folder) if os.path.isfile(f'{folder}/{name}'))


@test
def all_that_was_accepted_below_is_kept_but_for_what_stays_eventual(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    names = ['e', 'e/a', 'e/a/b', 'e/own', 'e/own/below']
    for name in names[1:]:
        os.mkdir(c.path(1, name))
    switch(c, 'e/own', b'eventual')
    for node in c.nodes:
        wait_until('all know them', 20, lambda n=node: all(
            os.path.isdir(c.path(n, name)) for name in names))
    victim, others = one_to_leave_out(c)
    by_name = {name: folders(c, name) for name in names}
    for name in names:
        by_name[name][others[0]].put('common', b'1')
        by_name[name][victim].put('old', b'2')
    wait_until('all have it', 20, lambda: all(
        {'common', 'old'} <= set(by_node[n].names())
        for by_node in by_name.values() for n in c.nodes))
    c.cut(victim)
    for name in names:
        by_name[name][victim].put('mine', name.encode())
        by_name[name][victim].unlink('common')
    force(c, 'e', others[0])
    assert mode_of(c, 'e/a/b', others[1]) == b'strong'
    assert mode_of(c, 'e/own/below', others[1]) == b'eventual'
    os.rename(c.path(others[0], 'e/a'), c.path(others[0], 'moved'))
    os.unlink(c.path(others[0], 'moved/b/old'))
    os.unlink(c.path(others[0], 'moved/b/common'))
    os.rmdir(c.path(others[0], 'moved/b'))
    c.heal(victim)
    wait_strong(c, 'e')
    found = wait_until('all is kept', BACK_S, lambda: len(k := kept(c, victim)) >= 6 and k)
    assert sorted(what or b'-' for _, what in found) == [b'-', b'-', b'-', b'e', b'e/a', b'e/a/b']
    assert ('/e/mine', b'e') in found and ('/e/common', None) in found
    t.say(f'{[path for path, _ in found]}')
    check_nothing_kept(c, others)
    for name in ('e/own', 'e/own/below'):
        for node in c.nodes:
            folder = c.path(node, name)
            wait_until('it has come', 20, lambda f=folder: files_in(f) == ['mine', 'old'])
            assert get(f'{folder}/mine') == name.encode()
    for node in c.nodes:
        assert sorted(os.listdir(c.path(node, 'e'))) == ['common', 'old', 'own']
        assert sorted(os.listdir(c.path(node, 'moved'))) == ['common', 'old']
    for by_node in by_name.values():
        close(by_node)


# ---- several nodes


@test
def each_of_two_nodes_that_were_left_out_keeps_what_they_both_know(t):
    c = t.cluster(nodes=5, netns=True, options='op_timeout=4')
    make_eventual(c, 'e')
    by_node = folders(c, 'e')
    leading = {c.leader(region=0), c.leader(region=1)}
    first, second = [node for node in c.nodes if node not in leading][-2:]
    others = [node for node in c.nodes if node not in (first, second)]
    by_node[1].put('common', b'x')
    wait_until('all have it', 20, lambda: all(f.names() == ['common'] for f in by_node.values()))
    c.cut(*others)
    wait_until('they are not heard of', 20, lambda: all(
        is_silent(c, others[0], node) for node in (first, second)))
    by_node[first].put('mine', b'of the first\n')
    by_node[second].put('too', b'of the second\n')
    wait_until('each has both', 20, lambda: all(
        by_node[node].names() == ['common', 'mine', 'too'] for node in (first, second)))
    c.stop(first, second)  # Killed, the second would have to ask for it again.
    c.heal(*c.nodes)
    force(c, 'e', others[0])
    assert os.listdir(c.path(others[1], 'e')) == ['common']
    both = [('/e/mine', b'of the first\n'), ('/e/too', b'of the second\n')]
    for node in (second, first):
        c.start(node)
        wait_strong(c, 'e', [node])
        wait_kept(c, node, both)
        assert {item.path: int(item.about['accepted_by'])
                for item in items(c, node).values()} == {'/e/mine': first, '/e/too': second}
    check_nothing_kept(c, others)
    for node in c.nodes:
        assert os.listdir(c.path(node, 'e')) == ['common']
    close(by_node)


main()
