#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people see of eventual directories: which nodes know their modes, what
nodes lack of each other's changes, and conflicts."""

import os
import re
import time

from harness import errno_of, get, main, put, table, test, wait_until

MODE = 'user.grove.consistency'
OP_TIMEOUT_S = 4
SEEN_S = 20  # Nodes tell each other once a second, and a moment is 3 s.


def cut_cluster(t):
    return t.cluster(netns=True, options=f'op_timeout={OP_TIMEOUT_S}')


def make_eventual(c, node, name):
    os.mkdir(c.path(node, name))
    os.setxattr(c.path(node, name), MODE, b'eventual')


def rows(c, node, name):
    return table(c.info(node, name))


def metric(c, node, name):
    """A number of the node's metrics; None: it is not there."""
    found = re.search(rf'^{re.escape(name)} (\S+)$', c.info(node, 'metrics'), re.M)
    return float(found.group(1)) if found else None


# ---- modes


def mode_of(c, node, name):
    """The row of one directory, with the nodes as {node: (epoch, fence)}; None:
    this node does not know it as eventual."""
    for row in rows(c, node, 'modes'):
        if row['namespace'] == f'/{name}':
            row['nodes'] = {int(words[0]): tuple(words[1:]) for words in
                            (item.split(':') for item in row['nodes'].split(','))}
            return row
    return None


def mismatch(c, node, name):
    row = mode_of(c, node, name)
    return row['mismatch'] if row else None


def hold_behind(c):
    """Cuts a node from the leader of region 0 but not from the third one, so
    that it is heard of and learns nothing. Returns leader, victim and third."""
    for _ in range(5):
        # Region 0's leadership follows region 1's, also away from a leader that is cut.
        leader = wait_until('one node leads both', SEEN_S, lambda: c.leader(region=0)
                            if c.leader(region=0) == c.leader(region=1) else None)
        victim, third = (node for node in c.nodes if node != leader)
        c.cut(leader, victim, way='apart')
        wait_until('the two do not hear each other', SEEN_S, lambda l=leader, v=victim:
                   f'node {v} unreachable' in c.info(l, 'health') and
                   f'node {l} unreachable' in c.info(v, 'health'))
        if c.leader(third, 0) == leader:
            return leader, victim, third
        c.heal(leader, victim)
        for node in c.nodes:
            c.wait_healthy(node)
    raise AssertionError('the leader does not stay')


@test
def a_node_held_at_an_older_mode_is_shown_as_a_mismatch_and_heals(t):
    c = cut_cluster(t)
    make_eventual(c, 1, 'known')
    wait_until('all know it', SEEN_S, lambda: all(mode_of(c, n, 'known') for n in c.nodes))
    leader, victim, third = hold_behind(c)
    make_eventual(c, third, 'late')
    epoch = mode_of(c, third, 'late')['epoch']

    began = time.monotonic()
    wait_until('the third node shows it', SEEN_S,
               lambda: mismatch(c, third, 'late') == f'MISMATCH:{victim}:behind')
    t.say(f'shown after {time.monotonic() - began:.1f} s')
    shown = mode_of(c, third, 'late')['nodes']
    assert shown[leader][0] == shown[third][0] == epoch, shown
    assert int(shown[victim][0]) < int(epoch), shown
    assert mismatch(c, third, 'known') == '-'
    assert f'MISMATCH: node {victim} knows an older mode of directory /late' in \
        c.info(third, 'health')
    assert metric(c, third, f'grovefs_mode_mismatches{{node="{victim}",kind="behind"}}') == 1

    # The leader has not heard of it, and it knows itself what it lacks.
    assert mode_of(c, leader, 'late')['nodes'][victim][0] == '-'
    assert mismatch(c, leader, 'late') == '-'
    assert mode_of(c, victim, 'late') is None
    wait_until('the node itself shows it', SEEN_S,
               lambda: mismatch(c, victim, 'known') == f'MISMATCH:{victim}:behind')
    assert f'and node {third} knows newer ones' in c.info(victim, 'health')

    c.heal(leader, victim)
    for node in c.nodes:
        wait_until(f'node {node} shows no mismatch', SEEN_S, lambda n=node:
                   mismatch(c, n, 'late') == mismatch(c, n, 'known') == '-')
        c.wait_healthy(node)
        assert mode_of(c, node, 'late')['epoch'] == epoch
    put(c.path(victim, 'late/f'), b'x')


# ---- changes


def peer_row(c, node, peer):
    return next(row for row in rows(c, node, 'eventual') if row['peer'] == str(peer))


def conflicts(c):
    return sum(int(row['conflicts']) for node in c.nodes for row in rows(c, node, 'eventual'))


def attribute(folder, file, name):
    fd = os.open(file, os.O_RDONLY, dir_fd=folder)
    try:
        return os.getxattr(fd, f'user.grove.{name}').decode()
    finally:
        os.close(fd)


@test
def what_a_cut_off_node_lacks_and_its_conflicts_are_shown(t):
    c = cut_cluster(t)
    make_eventual(c, 1, 'e')
    wait_until('all know it', SEEN_S, lambda: all(mode_of(c, n, 'e') for n in c.nodes))
    folders = {node: os.open(c.path(node, 'e'), os.O_RDONLY | os.O_DIRECTORY)
               for node in c.nodes}
    put('seen', b'before\n', dir_fd=folders[1])
    wait_until('all have it', SEEN_S, lambda: all(
        errno_of(get, c.path(node, 'e/seen')) == 0 and get(c.path(node, 'e/seen')) == b'before\n'
        for node in c.nodes))
    put('seen', b'and then\n', dir_fd=folders[2])
    wait_until('nothing is pending', SEEN_S, lambda: all(
        attribute(folders[n], 'seen', 'node') == '2' and
        all(row['pending_entries'] == '0' for row in rows(c, n, 'eventual')) for n in c.nodes))
    c.cut(3)
    put('f', b'of 1\n', dir_fd=folders[1])
    put('f', b'of 3\n', dir_fd=folders[3])
    put('g', b'of 3 only\n', dir_fd=folders[3])
    time.sleep(3)

    row = peer_row(c, 3, 1)
    assert (row['pending_entries'], row['state']) == ('2', 'silent'), row
    assert float(row['lag_s']) >= 3, row
    assert float(attribute(folders[3], 'f', 'lag')) >= 3
    assert metric(c, 3, 'grovefs_eventual_lag_seconds{peer="1"}') >= 3
    assert metric(c, 3, 'grovefs_eventual_behind_seconds') >= 3
    assert conflicts(c) == 0
    assert attribute(folders[1], 'f', 'node') == '1'
    assert attribute(folders[3], 'f', 'node') == '3'

    c.heal(3)
    wait_until('all have the same', SEEN_S, lambda: len(
        {attribute(folders[node], 'f', 'version') for node in c.nodes}) == 1 and
        'g' in os.listdir(folders[1]) and 'g' in os.listdir(folders[2]))
    t.say(f'{conflicts(c)} conflicts were met')
    assert conflicts(c) >= 1  # On whichever node the two have met.
    for node in c.nodes:
        assert attribute(folders[node], 'f', 'node') == '3'
        assert attribute(folders[node], 'f', 'version').split('.')[2] == '3'
        wait_until('nothing is behind', SEEN_S, lambda n=node:
                   float(attribute(folders[n], 'f', 'lag')) < 3 and
                   all((row['pending_entries'], row['lag_s']) == ('0', '0.0')
                       for row in rows(c, n, 'eventual')))
        wait_until('both tell the same', SEEN_S, lambda n=node: all(
            metric(c, n, f'grovefs_eventual_conflicts_total{{peer="{row["peer"]}"}}')
            == int(row['conflicts']) for row in rows(c, n, 'eventual')))
        os.close(folders[node])


@test
def strong_files_have_the_same_attributes(t):
    c = t.cluster()
    put(c.path(1, 'f'), b'x')
    make_eventual(c, 1, 'e')
    for node in c.nodes:
        for path in (c.path(node, 'f'), c.mount(node)):
            assert os.getxattr(path, 'user.grove.lag') == b'0.0'
            assert os.getxattr(path, 'user.grove.node') == str(node).encode()
            assert re.fullmatch(rb'\d+\.\d+', os.getxattr(path, 'user.grove.version'))
        assert os.getxattr(c.path(node, 'e'), 'user.grove.node') == str(node).encode()
        assert os.listxattr(c.path(node, 'f')) == []


main()
