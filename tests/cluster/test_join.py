#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes that join a running cluster, through any of its members, and that leave
it."""

import os
import random
import shutil
import signal
import subprocess
import threading
import time

from harness import (CLUSTER, GROVEFS, detach_below, errno_name, errno_of, get, load, main,
                     mounted, process_state, put, table, test, together, wait_until)

# A write waits for no member that is on its way in or out; a busy machine gets
# the time that a change of leaders would take, too.
GAP_S = 6


class Daemon:
    """A grovefs process outside of any `scripts/cluster` cluster."""

    def __init__(self, t, name, **options):
        self.t = t
        self.folder = t.scratch(name)
        self.mount = f'{self.folder}/m'
        self.log = f'{self.folder}/log'
        os.mkdir(self.mount)
        self.options = options
        self.process = None
        t.kept.append(self.log)

    def start(self, **options):
        words = {'data': f'{self.folder}/data', **self.options, **options}
        line = ','.join(f'{name}={value}' for name, value in words.items())
        with open(self.log, 'ab') as log:
            self.process = self.t.popen(GROVEFS, '-f', '-o', line, self.mount, stdout=log,
                                        stderr=log)

    def wait_ready(self):
        wait_until(f'{self.mount} is mounted and healthy', 30, self.is_healthy)

    def wait_ready_without(self, node):
        """Until it is, but for that node, which is down."""
        def nothing_else():
            lines = self.info('health').splitlines() if mounted(self.mount) else ['-']
            return all(line.startswith(f'node {node} ') for line in lines)

        wait_until(f'{self.mount} is well but for node {node}', 60, nothing_else)

    def is_healthy(self):
        assert self.process.poll() is None, self.last_line()
        return mounted(self.mount) and self.info('health') == 'ok\n'

    def info(self, name):
        return get(f'{self.mount}/.cluster/{name}').decode()

    def wait_end(self):
        """Until it ends by itself; returns its exit status."""
        return self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait()
        detach_below(self.folder)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.last_line()

    def last_line(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            lines = f.read().splitlines()
        return lines[-1] if lines else ''


def free_address():
    port = subprocess.run(['bash', '-c', f'source <(sed -n "/^free_ports/,/^}}/p" {CLUSTER});'
                           ' free_ports 1'], capture_output=True, text=True, check=True).stdout
    return f'127.0.0.1:{port.strip()}'


def address(c, node):
    rows = table(c.info(1, 'nodes'))
    return next(row['address'] for row in rows if row['id'] == str(node))


def ids(c, seen_from=1):
    return [int(row['id']) for row in table(c.info(seen_from, 'nodes'))]


def members(c, seen_from=1, region=0):
    """The voters and the learners of a region."""
    row = table(c.info(seen_from, 'regions'))[region]
    return [[int(node) for node in row[column].split(',') if node != '-']
            for column in ('peers', 'learners')]


def wait_members(c, voters, learners):
    wait_until(f'region 0 has {voters} voters and {learners} learners', 30,
               lambda: [len(part) for part in members(c)] == [voters, learners])


# ---- joining


@test
def one_node_becomes_three_and_five_while_a_writer_goes_on(t):
    c = t.cluster(nodes=1)
    writers = load(c)
    for voters, learners in ((1, 1), (3, 0), (3, 1), (5, 0)):
        c.add()
        wait_members(c, voters, learners)
    for writer in writers:
        writer.end()
    assert writers[0].errors == [], writers[0].errors
    t.say(f'{len(writers[0].acked_at)} writes, the longest pause {writers[0].longest_gap():.2f} s')
    assert writers[0].longest_gap() < GAP_S
    for mount in c.mounts():
        writers[0].check(mount)
    assert ids(c, 5) == [1, 2, 3, 4, 5]


@test
def a_mount_without_the_data_reads_and_writes_all_of_it(t):
    c = t.cluster()
    os.mkdir(c.path(1, 'd'))
    put(c.path(1, 'd/a'), b'one\n')
    c.add()
    wait_members(c, 3, 1)
    assert members(c, region=1) == [[1, 2, 3], []]
    assert get(c.path(4, 'd/a')) == b'one\n'
    put(c.path(4, 'd/b'), b'two\n')
    os.mkdir(c.path(4, 'd/sub'))
    os.rename(c.path(4, 'd/sub'), c.path(4, 'e'))
    os.rename(c.path(4, 'd/b'), c.path(4, 'e/b'))
    assert get(c.path(2, 'e/b')) == b'two\n'
    assert sorted(os.listdir(c.mount(4))) == ['d', 'e']
    os.unlink(c.path(4, 'd/a'))
    os.rmdir(c.path(4, 'd'))
    assert os.listdir(c.mount(3)) == ['e']


@test
def a_mount_without_the_data_goes_on_when_the_leader_is_killed(t):
    c = t.cluster()
    c.add()
    writers = load(c, [4])
    time.sleep(1)
    victim = c.leader()
    c.kill(victim)
    time.sleep(8)
    writers[0].end()
    t.say(f'the longest pause {writers[0].longest_gap():.2f} s')
    assert writers[0].longest_gap() < GAP_S
    c.start(victim)
    c.wait_caught_up(victim)
    for mount in c.mounts():
        writers[0].check(mount)


@test
def several_nodes_join_at_once_and_each_gets_an_id_of_its_own(t):
    c = t.cluster()
    daemons = [Daemon(t, f'x{i}', listen=free_address(), join=address(c, 1 + i % 3))
               for i in range(3)]
    for daemon in daemons:
        daemon.start()
    together(*(daemon.wait_ready for daemon in daemons))
    assert ids(c) == [1, 2, 3, 4, 5, 6]
    wait_members(c, 5, 1)
    put(f'{daemons[0].mount}/f', b'x\n')
    assert get(f'{daemons[2].mount}/f') == b'x\n'
    for daemon in daemons:
        daemon.stop()


@test
def a_node_that_is_killed_while_it_joins_keeps_its_id(t):
    c = t.cluster()
    daemon = Daemon(t, 'x', listen=free_address(), join=address(c, 1))
    for i in range(12):
        daemon.start()
        time.sleep(0.02 + 0.07 * i)
        daemon.kill()
        assert ids(c) in ([1, 2, 3], [1, 2, 3, 4])
    daemon.start()
    daemon.wait_ready()
    assert ids(c) == [1, 2, 3, 4]
    assert 'node 4\n' in daemon.info('version')
    wait_members(c, 3, 1)
    daemon.stop()


@test
def nodes_join_through_any_member_while_the_leader_dies(t):
    c = t.cluster()
    daemons = []
    for i in range(3):
        # It follows the leader of the data, which the new nodes do not have.
        victim = wait_until('a founder leads', 30,
                            lambda: c.leader(1, 0) if c.leader(1, 0) in c.nodes else None)
        daemon = Daemon(t, f'x{i}', listen=free_address(),
                        join='+'.join(address(c, node) for node in c.nodes))
        daemon.start()
        time.sleep(0.05 * i)
        c.kill(victim)
        daemon.wait_ready_without(victim)
        assert f'node {4 + i}\n' in daemon.info('version')
        c.start(victim)
        c.wait_healthy(victim)
        put(f'{daemon.mount}/{i}', b'x\n')
        for node in c.nodes:
            assert get(c.path(node, f'{i}')) == b'x\n'
        daemons.append(daemon)
    assert ids(c) == [1, 2, 3, 4, 5, 6]
    wait_members(c, 5, 1)
    for daemon in daemons:
        daemon.stop()


@test
def a_cluster_that_has_grown_comes_up_again(t):
    c = t.cluster(nodes=1)
    c.add()
    c.add()
    put(c.path(3, 'f'), b'x\n')
    wait_members(c, 3, 0)
    c.run('down')
    c.up_again()
    assert get(c.path(3, 'f')) == b'x\n'
    wait_members(c, 3, 0)


@test
def the_founder_may_die_once_others_have_joined(t):
    c = t.cluster(nodes=1)
    c.add()
    c.add()
    wait_members(c, 3, 0)
    c.kill(1)
    # The data has one replica only, on node 1; the catalog goes on without it.
    leader = wait_until('region 0 has another leader', 20,
                        lambda: c.leader(2, 0) if c.leader(2, 0) != 1 else None)
    assert leader in (2, 3)
    c.start(1)
    assert os.listdir(c.mount(2)) == []


# ---- refusals


@test
def who_finds_no_member_says_so_and_ends(t):
    daemon = Daemon(t, 'x', listen=free_address())
    nobody = free_address()
    daemon.start(join=nobody)
    assert daemon.wait_end() == 1
    line = daemon.last_line()
    t.say(line)
    assert 'no member has let this node in within 10 s' in line
    assert nobody in line and 'nobody listens there' in line
    # Nothing has become of the store: it can still be a cluster of its own.
    daemon.start()
    daemon.wait_ready()
    assert ids_of(daemon) == [1]
    daemon.stop()


def ids_of(daemon):
    return [int(row['id']) for row in table(daemon.info('nodes'))]


@test
def one_line_on_stderr_and_status_1_also_in_the_background(t):
    folder = t.scratch('x')
    os.mkdir(f'{folder}/m')
    done = subprocess.run([GROVEFS, '-o', f'data={folder}/data,listen={free_address()},'
                           f'join={free_address()}', f'{folder}/m'], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith('grovefs: join=: no member'), done.stderr
    assert done.stderr.count('\n') == 1
    assert not mounted(f'{folder}/m')


@test
def a_member_without_a_majority_lets_nobody_in(t):
    c = t.cluster()
    member = address(c, 1)
    c.kill(2, 3)
    daemon = Daemon(t, 'x', listen=free_address())
    daemon.start(join=member)
    assert daemon.wait_end() == 1
    t.say(daemon.last_line())
    assert 'no majority' in daemon.last_line() or 'not confirmed' in daemon.last_line()
    c.start(2, 3)
    daemon.start(join=member)
    daemon.wait_ready()
    assert ids(c) == [1, 2, 3, 4]
    daemon.stop()


@test
def a_store_of_another_cluster_stays_there(t):
    c = t.cluster(nodes=1)
    daemon = Daemon(t, 'x', listen=free_address())
    daemon.start()
    daemon.wait_ready()
    put(f'{daemon.mount}/mine', b'x\n')
    cluster_id = daemon.info('version').splitlines()[2]
    daemon.stop()
    daemon.start(join=address(c, 1))
    daemon.wait_ready()
    assert daemon.info('version').splitlines()[2] == cluster_id
    assert os.listdir(daemon.mount) == ['mine']
    assert ids(c) == [1]
    daemon.stop()
    with open(daemon.log, encoding='utf-8') as f:
        assert 'join= is ignored' in f.read()


def join_where_nobody_finds_it(t, c):
    """A node with an id, and without a replica."""
    daemon = Daemon(t, 'x', join=address(c, 1))
    daemon.start(listen=free_address(), advertise=free_address())
    wait_until('it is mounted', 30, lambda: mounted(daemon.mount))
    wait_until('it has an id', 30, lambda: ids(c) == [1, 2, 3, 4])
    assert 'no replica of region 0 yet' in daemon.info('health')
    return daemon


@test
def a_node_that_nobody_finds_can_ask_again_from_another_place(t):
    c = t.cluster()
    daemon = join_where_nobody_finds_it(t, c)
    daemon.stop()
    daemon.start(listen=free_address())
    daemon.wait_ready()
    assert ids(c) == [1, 2, 3, 4]
    wait_members(c, 3, 1)
    daemon.stop()


@test
def a_node_that_waits_is_not_given_another_id_by_another_cluster(t):
    c = t.cluster()
    waiting = join_where_nobody_finds_it(t, c)
    waiting.stop()
    other = Daemon(t, 'other', listen=free_address())
    other.start()
    other.wait_ready()
    waiting.start(listen=free_address(), join=table(other.info('nodes'))[0]['address'])
    assert waiting.wait_end() == 1
    assert 'this store is a node of another cluster' in waiting.last_line()
    assert ids_of(other) == [1]
    waiting.start(listen=free_address())
    waiting.wait_ready()
    assert ids(c) == [1, 2, 3, 4]
    waiting.stop()
    other.stop()


@test
def a_copied_store_is_no_second_node_of_that_id(t):
    c = t.cluster()
    daemon = Daemon(t, 'x', listen=free_address())
    daemon.start(join=free_address())
    assert daemon.wait_end() == 1  # Nobody was there; the store is as good as new.
    copy = Daemon(t, 'y', listen=free_address(), join=address(c, 2))
    shutil.copytree(f'{daemon.folder}/data', f'{copy.folder}/data')
    daemon.start(join=address(c, 1))
    daemon.wait_ready()
    copy.start()
    assert copy.wait_end() == 1
    assert 'is a copy of one that is a node already' in copy.last_line()
    put(f'{daemon.mount}/f', b'x\n')
    assert get(c.path(1, 'f')) == b'x\n'
    assert ids(c) == [1, 2, 3, 4]
    daemon.stop()


@test
def a_node_that_is_removed_before_it_has_a_replica_is_told_so(t):
    c = t.cluster()
    daemon = join_where_nobody_finds_it(t, c)
    daemon.kill()
    write_control(c, 1, 4, 'drain')
    remove(c, 1, 4)
    daemon.start(listen=free_address())
    assert daemon.wait_end() == 1
    assert 'was a node that was removed from the cluster' in daemon.last_line()


@test
def a_one_node_store_is_joined_only_when_it_listens(t):
    alone = Daemon(t, 'alone')
    alone.start()
    alone.wait_ready()
    assert table(alone.info('nodes'))[0]['address'] == '-'
    alone.stop()
    place = free_address()
    alone.start(listen=place)
    alone.wait_ready()
    wait_until('the catalog knows the new address', 10,
               lambda: table(alone.info('nodes'))[0]['address'] == place)
    other = Daemon(t, 'other', listen=free_address(), join=place)
    other.start()
    other.wait_ready()
    put(f'{other.mount}/f', b'x\n')
    assert get(f'{alone.mount}/f') == b'x\n'
    other.stop()
    alone.stop()


@test
def wrong_options_are_refused_in_words(t):
    daemon = Daemon(t, 'x')
    for options, words in (
            ({'join': '127.0.0.1:1', 'id': '3'}, 'leave out id='),
            ({'join': '127.0.0.1:1', 'peers': '1@127.0.0.1:1', 'id': '1'}, 'not both'),
            ({'join': '127.0.0.1'}, 'not HOST:PORT'),
            ({'join': '127.0.0.1:1', 'listen': '0.0.0.0:' + free_address().split(':')[1]},
             'give advertise=')):
        daemon.start(**options)
        assert daemon.wait_end() == 1
        assert words in daemon.last_line(), daemon.last_line()


# ---- leaving


def says_it_was_removed(c, node):
    """In its last lines; threads that end may log beside it."""
    return f'node {node} was removed from the cluster: with' in c.log_text(node)[-400:]


def write_control(c, seen_from, node, name, text='1'):
    put(c.path(seen_from, f'.cluster/node/{node}/{name}'), text.encode() + b'\n', flags=0)


def remove(c, seen_from, node):
    """A leader that is new says EBUSY until it knows where all regions are."""
    def removed():
        code = errno_name(errno_of(write_control, c, seen_from, node, 'remove'))
        assert code in ('0', 'EBUSY'), code
        return code == '0'
    wait_until(f'node {node} is removed', 30, removed, 0.5)


def is_running(c, node):
    return process_state(c.pid(node)) not in ('', 'Z')


def join_fourth(t):
    c = t.cluster()
    c.add()
    wait_members(c, 3, 1)
    return c


@test
def a_drained_node_is_removed_and_stays_away(t):
    c = join_fourth(t)
    write_control(c, 4, 4, 'drain')
    assert c.info(4, 'node/4/state') == 'draining\n'
    put(c.path(4, 'f'), b'x\n')  # Its mount goes on.
    assert get(c.path(2, 'f')) == b'x\n'
    remove(c, 2, 4)
    assert c.info(2, 'node/4/state') == 'removed\n'
    wait_until('the node ends', 30, lambda: not is_running(c, 4))
    assert says_it_was_removed(c, 4)
    assert ids(c) == [1, 2, 3]
    wait_members(c, 3, 0)
    for node in (1, 2, 3):
        c.wait_healthy(node)
    # It comes back, as often as it likes.
    for _ in range(2):
        done = c.run('start', 4, check=False)
        assert done.returncode != 0
        assert says_it_was_removed(c, 4)
    # With an empty store it is another node.
    daemon = Daemon(t, 'x', listen=free_address(), join=address(c, 1))
    daemon.start()
    daemon.wait_ready()
    assert ids(c) == [1, 2, 3, 5]
    daemon.stop()


@test
def a_node_that_was_removed_while_it_was_down_is_refused(t):
    c = join_fourth(t)
    c.kill(4)
    write_control(c, 1, 4, 'drain')
    remove(c, 3, 4)
    wait_members(c, 3, 0)
    done = c.run('start', 4, check=False)
    assert done.returncode != 0
    assert says_it_was_removed(c, 4)
    assert ids(c) == [1, 2, 3]


@test
def what_cannot_be_removed_is_refused_with_the_reason(t):
    c = join_fourth(t)

    def refused(seen_from, node, name, text, code, words):
        assert errno_name(errno_of(write_control, c, seen_from, node, name, text)) == code
        assert words in c.info(seen_from, 'log').splitlines()[-1], c.info(seen_from, 'log')

    refused(1, 4, 'remove', '1', 'EPERM', 'node 4 is to be drained first')
    refused(1, 4, 'remove', '0', 'EINVAL', 'neither 1 nor force')
    refused(1, 4, 'drain', 'on', 'EINVAL', 'neither 1 nor 0')
    write_control(c, 1, 3, 'drain')
    refused(2, 3, 'remove', '1', 'EBUSY', 'node 3 still holds replicas')
    write_control(c, 1, 3, 'drain', '0')
    assert c.info(2, 'node/3/state') == 'up\n'
    assert ids(c) == [1, 2, 3, 4]


@test
def a_node_with_the_only_replica_of_the_data_is_not_removed_behind_its_back(t):
    c = t.cluster(nodes=1)
    put(c.path(1, '.cluster/settings/operators'), b'0\n', flags=os.O_TRUNC)
    put(c.path(1, 'f'), b'x\n')
    c.add()
    c.add()
    wait_members(c, 3, 0)
    c.kill(1)
    wait_until('region 0 has another leader', 20, lambda: c.leader(2, 0) in (2, 3))
    wait_until('it is drained', 30, lambda: errno_of(write_control, c, 2, 1, 'drain') == 0)
    wait_until('it has no vote', 30, lambda: 1 not in members(c, 2)[0])

    def refused(words):
        assert errno_name(errno_of(write_control, c, 2, 1, 'remove')) == 'EBUSY'
        assert words in c.info(2, 'log').splitlines()[-1], c.info(2, 'log')

    refused('node 1 may still hold replicas')
    # After a restart nobody has ever heard where the data is.
    c.kill(2, 3)
    c.run('start', 2, 3, check=False)  # They are not well without node 1.
    wait_until('region 0 has a leader', 30, lambda: c.leader(2, 0) in (2, 3))
    refused('node 1 may still hold replicas')
    write_control(c, 2, 1, 'drain', '0')  # Else it is not well.
    c.start(1)
    assert get(c.path(3, 'f')) == b'x\n'


@test
def another_node_votes_in_the_place_of_a_drained_one(t):
    c = join_fourth(t)
    victim = c.leader(region=0)
    writers = load(c, [node for node in c.nodes if node != victim])
    write_control(c, 4, victim, 'drain')
    seen_from = next(node for node in c.nodes if node != victim)
    wait_until('the learner votes', 30, lambda: 4 in members(c, seen_from)[0])
    assert victim in members(c, seen_from)[1]
    wait_until('region 0 has another leader', 30, lambda: c.leader(seen_from, 0) != victim)
    write_control(c, 4, victim, 'drain', '0')
    time.sleep(2)
    assert victim in members(c, seen_from)[1], 'it has pushed another one out'
    for writer in writers:
        writer.end()
        assert writer.errors == [], writer.errors


# ---- all at once


@test
def nothing_is_lost_while_nodes_are_killed_and_others_come_and_go(t):
    c = t.cluster()
    for _ in range(2):
        c.add()
    wait_members(c, 5, 0)
    writers = load(c)
    random_of = random.Random(t.name)
    for turn in range(6):
        victim = random_of.choice(c.nodes)
        other = random_of.choice([node for node in (4, 5) if node != victim])
        seen_from = random_of.choice([node for node in c.nodes if node not in (victim, other)])
        # Whether it is committed or not, the next turn asks for the opposite.
        churn = threading.Thread(target=errno_of, args=(
            write_control, c, seen_from, other, 'drain', str((turn + 1) % 2)))
        churn.start()
        time.sleep(random_of.random() * 0.5)
        c.kill(victim)
        time.sleep(2)
        c.start(victim)
        churn.join()
        c.wait_healthy(victim)
    guest = Daemon(t, 'x', listen=free_address(), join='+'.join(address(c, i) for i in c.nodes))
    guest.start()
    victim = random_of.choice(c.nodes)
    c.kill(victim)
    guest.wait_ready_without(victim)
    c.start(victim)
    guest.wait_ready()
    for writer in writers:
        writer.end()
    for node in (4, 5):
        write_control(c, 1, node, 'drain', '0')
    wait_until('5 nodes vote', 30, lambda: len(members(c)[0]) == 5)
    write_control(c, 1, 6, 'drain')
    wait_until('the guest has no vote', 30, lambda: 6 not in members(c)[0])
    remove(c, 2, 6)
    assert guest.wait_end() == 1
    wait_members(c, 5, 0)
    t.say(f'{sum(len(writer.acked_at) for writer in writers)} writes')
    for writer in writers:
        for mount in c.mounts():
            writer.check(mount)


main()
