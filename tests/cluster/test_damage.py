#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A replica whose store is damaged is found, taken out of service and rebuilt."""

import errno
import glob
import os
import random
import subprocess

from harness import (GROVEFS, errno_of, get, load, main, put, table, test, wait_until)

DAMAGE = os.path.join(os.path.dirname(GROVEFS), 'tests', 'cluster', 'damage')
REGION = '1'


def damage(c, node, how, name):
    subprocess.run([DAMAGE, how, c.store(node), name], check=True)


def check(c, node, text='all'):
    put(c.path(node, '.cluster/check'), text.encode() + b'\n', flags=os.O_TRUNC)


def last_check(c, node, region=REGION):
    rows = table(c.info(node, 'check'))
    return next(row for row in rows if row['region'] == region)


def fill(c):
    """Files whose records stay apart in the store: 1 KiB that lz4 cannot press."""
    source = random.Random(1)
    contents = {f'file{i:03}': source.randbytes(1024) for i in range(200)}
    for name, content in contents.items():
        put(c.path(1, name), content)
    return contents


def damaged_by(c, node, function):
    """The node's store is damaged while it is stopped."""
    c.stop(node)
    function()
    c.start(node)
    c.wait_caught_up(node)


def rebuilt(c, node):
    return 'the damaged replica was rebuilt' in c.info(node, 'log')


def assert_all_there(c, node, contents):
    for name, content in contents.items():
        assert get(c.path(node, name)) == content, name


@test
def a_check_of_sound_replicas_says_so(t):
    c = t.cluster()
    put(c.path(1, 'a'), b'1\n')
    for node in c.nodes:
        check(c, node)
        row = last_check(c, node)
        assert (row['replicas'], row['damaged'], row['state']) == ('1,2,3', '-', 'ok'), row
    check(c, 2, '0')
    assert errno_of(check, c, 1, 'some') == errno.EINVAL
    assert errno_of(check, c, 1, '77') == errno.ENOENT
    assert "check: 'some': neither a region's id nor `all`" in c.info(1, 'log')
    assert c.info(1, 'health') == 'ok\n'


@test
def a_replica_that_differs_is_rebuilt_while_others_write(t):
    c = t.cluster()
    contents = fill(c)
    victim = c.followers()[0]
    others = [node for node in c.nodes if node != victim]

    def change():
        damage(c, victim, 'FLIP', 'file007')
        damage(c, victim, 'DELETE', 'file100')

    damaged_by(c, victim, change)
    writers = load(c, others)
    check(c, others[0])
    row = last_check(c, others[0])
    assert row['damaged'] == str(victim) and row['state'] == 'damaged', row
    wait_until('rebuilt', 30, lambda: rebuilt(c, victim))
    for writer in writers:
        writer.end()
        writer.check(c.mount(victim))
    assert_all_there(c, victim, contents)
    c.wait_healthy(victim)
    check(c, victim)
    assert last_check(c, victim)['state'] == 'ok', c.info(victim, 'check')


@test
def a_record_that_cannot_be_read_is_not_missed_by_readers(t):
    """The read that meets it is answered by the leader, and has the replica
    rebuilt without a check."""
    c = t.cluster(options='check_interval=0')
    contents = fill(c)
    victim = c.followers()[0]
    damaged_by(c, victim, lambda: damage(c, victim, 'CUT', 'file050'))
    assert_all_there(c, victim, contents)
    wait_until('rebuilt', 30, lambda: rebuilt(c, victim))
    c.wait_healthy(victim)
    assert_all_there(c, victim, contents)


@test
def a_damaged_leader_hands_over(t):
    c = t.cluster(options='check_interval=0')
    contents = fill(c)
    victim = c.followers()[0]
    damaged_by(c, victim, lambda: damage(c, victim, 'CUT', 'file050'))
    put(c.path(victim, '.cluster/region/1/transfer'), str(victim).encode(),
        flags=os.O_TRUNC)
    wait_until('the damaged one leads', 20, lambda: c.leader(victim) == victim)
    assert get(c.path(victim, 'file050')) == contents['file050']
    assert c.leader(victim) != victim
    wait_until('rebuilt', 30, lambda: rebuilt(c, victim))
    for node in c.nodes:
        c.wait_healthy(node)
        assert_all_there(c, node, contents)


@test
def a_check_comes_by_itself(t):
    c = t.cluster(options='check_interval=2')
    contents = fill(c)
    victim = c.followers()[0]
    damaged_by(c, victim, lambda: damage(c, victim, 'FLIP', 'file007'))
    wait_until('rebuilt', 60, lambda: rebuilt(c, victim))
    assert_all_there(c, victim, contents)


def flip_in_files(c, node, content):
    """Below RocksDB: a block has a wrong checksum then."""
    flipped = 0
    for path in glob.glob(f'{c.store(node)}/state/*.sst'):
        with open(path, 'r+b') as f:
            place = f.read().find(content[100:150])
            if place >= 0:
                f.seek(place)
                f.write(bytes([content[100] ^ 1]))
                flipped += 1
    assert flipped > 0, 'the content is in no file'


@test
def a_store_with_a_damaged_file_is_given_up_and_rebuilt(t):
    """The daemon goes on at first, but ends when RocksDB merges the file; the
    next start has it all rebuilt."""
    c = t.cluster(options='check_interval=0')
    contents = fill(c)
    victim = c.followers()[0]
    damaged_by(c, victim, lambda: flip_in_files(c, victim, contents['file050']))
    assert get(c.path(victim, 'file050')) == contents['file050']
    assert 'block checksum mismatch' in c.log_text(victim)
    c.kill(victim)
    log_before = len(c.log_text(victim))
    c.start(victim)
    assert 'is thrown away' in c.log_text(victim)[log_before:]
    c.wait_caught_up(victim)
    assert_all_there(c, victim, contents)
    c.wait_healthy(victim)
    check(c, victim)
    assert last_check(c, victim)['replicas'] == '1,2,3', c.info(victim, 'check')
    log_before = len(c.log_text(victim))
    c.stop(victim)
    c.start(victim)
    assert 'is thrown away' not in c.log_text(victim)[log_before:]
    assert_all_there(c, victim, contents)


@test
def the_only_replica_goes_on_around_a_damaged_record(t):
    c = t.cluster(nodes=1)
    contents = fill(c)
    c.stop(1)
    damage(c, 1, 'CUT', 'file050')
    c.start(1)
    assert errno_of(get, c.path(1, 'file050')) == errno.EIO
    assert errno_of(put, c.path(1, 'file050'), b'x', flags=0) == errno.EIO
    del contents['file050']
    assert_all_there(c, 1, contents)
    put(c.path(1, 'new'), b'x')
    assert get(c.path(1, 'new')) == b'x'
    check(c, 1)


# ---- eventual directories ----


def eventual_files(c):
    """`bad` comes from node 1 and `good` from node 2; all have both."""
    os.mkdir(c.path(1, 'e'))
    os.setxattr(c.path(1, 'e'), 'user.grove.consistency', b'eventual')
    for node, name in ((1, 'bad'), (c.nodes[-1], 'good')):
        put(c.path(node, f'e/{name}'), name.encode())
        wait_until('all have it', 10, lambda: all(
            os.path.exists(c.path(node, f'e/{name}')) for node in c.nodes))


def reads(c, node, name, content):
    try:
        return get(c.path(node, name)) == content
    except OSError as error:
        assert error.errno == errno.EIO, error
        return False


def mended(c, node):
    return 'all files of eventual directories can be read again' in c.info(node, 'log')


@test
def an_eventual_entry_that_cannot_be_read_comes_from_another_node(t):
    """The other node asks for nothing in front of `good` any more."""
    c = t.cluster(nodes=2)
    eventual_files(c)
    damaged_by(c, 2, lambda: damage(c, 2, 'CUT', 'bad'))
    assert sorted(os.listdir(c.path(2, 'e'))) == ['bad', 'good']
    assert get(c.path(2, 'e/good')) == b'good'
    wait_until('it is back', 30, lambda: reads(c, 2, 'e/bad', b'bad'))
    wait_until('it is said', 30, lambda: mended(c, 2))
    assert 'cannot be read, and all other nodes are asked for everything again: /e/bad' \
        in c.log_text(2)
    c.wait_healthy(2)
    assert 'grovefs_eventual_healed_total 1\n' in c.info(2, 'metrics')
    os.setxattr(c.path(1, 'e'), 'user.grove.consistency', b'strong')
    for node in c.nodes:
        assert sorted(os.listdir(c.path(node, 'e'))) == ['bad', 'good']
        assert get(c.path(node, 'e/bad')) == b'bad'


@test
def what_a_node_has_accepted_itself_comes_back_too(t):
    c = t.cluster()
    eventual_files(c)
    damaged_by(c, 1, lambda: damage(c, 1, 'CUT', 'bad'))
    wait_until('it is back', 30, lambda: reads(c, 1, 'e/bad', b'bad'))
    wait_until('it is said', 30, lambda: mended(c, 1))
    c.wait_healthy(1)


@test
def a_node_that_is_alone_goes_on_around_an_eventual_entry(t):
    """It is found as nothing has read it since the start."""
    c = t.cluster()
    eventual_files(c)
    damaged_by(c, 3, lambda: damage(c, 3, 'CUT', 'bad'))
    c.stop(1, 2)
    assert errno_of(get, c.path(3, 'e/bad')) == errno.EIO
    assert get(c.path(3, 'e/good')) == b'good'
    put(c.path(3, 'e/new'), b'new')
    assert sorted(os.listdir(c.path(3, 'e'))) == ['bad', 'good', 'new']
    wait_until('it is told of', 10, lambda: 'file /e/bad cannot be read on this node'
               in c.info(3, 'health'))
    c.start(1, 2)
    wait_until('it is back', 30, lambda: reads(c, 3, 'e/bad', b'bad'))
    wait_until('another one has the rest', 30, lambda: os.path.exists(c.path(1, 'e/new')))
    assert get(c.path(1, 'e/new')) == b'new'
    c.wait_healthy(3)


@test
def a_start_replays_the_journal_over_an_eventual_entry(t):
    c = t.cluster(nodes=1)
    eventual_files(c)
    c.stop(1)
    c.start(1)
    put(c.path(1, 'e/bad'), b'newer')
    c.kill(1)
    damage(c, 1, 'CUT', 'bad')
    c.start(1)
    wait_until('it is there', 10, lambda: reads(c, 1, 'e/bad', b'newer'))
    wait_until('it is said', 30, lambda: mended(c, 1))


@test
def what_no_node_has_is_an_error_for_that_name_alone(t):
    """Until it is written anew, on a node that knows of no such file. The other
    node's first question may meet it, and then health tells of it for good."""
    c = t.cluster(nodes=2)
    eventual_files(c)
    c.stop(1)
    put(c.path(2, 'e/own'), b'own')
    c.stop(2)
    damage(c, 2, 'CUT', 'own')
    os.environ['CLUSTER_WAIT'] = '3'
    for node in c.nodes:
        c.run('start', node, check=False)
    del os.environ['CLUSTER_WAIT']
    c.wait_caught_up(2)
    for _ in range(2):
        assert errno_of(get, c.path(2, 'e/own')) == errno.EIO
        put(c.path(2, 'e/new'), b'new')
        wait_until('the other one gets the rest', 30,
                   lambda: os.path.exists(c.path(1, 'e/new')))
        assert errno_of(get, c.path(1, 'e/own')) == errno.ENOENT
    assert 'file /e/own cannot be read' in c.info(2, 'health')
    put(c.path(1, 'e/own'), b'anew')
    wait_until('it is back', 30, lambda: reads(c, 2, 'e/own', b'anew'))
    c.wait_healthy(2)


main()
