#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients of all mounts see is linearizable while a node's disk is full:
nothing acknowledged is lost, the error is ENOSPC, and with room again it goes
on."""

import os
import time

from harness import (errno_name, errno_of, main, mounted, process_state, put, table, test,
                     wait_until)
from history import Trial

MIB = 1 << 20
DISK_MIB = 768     # health wants 512 MiB to be free
RESERVE_MIB = 256  # DISK_RESERVE_BYTES of engine/node.h
WRITES = {'put', 'append', 'create'}


def fill(disk, leave_mib):
    """All but so much of what is free goes to a file."""
    space = os.statvfs(disk)
    with open(f'{disk}/filling', 'wb') as f:
        os.posix_fallocate(f.fileno(), 0, space.f_bavail * space.f_frsize - leave_mib * MIB)


def free(disk):
    os.unlink(f'{disk}/filling')


def has_room(c, node, seen_from):
    """As far as the other one has heard: nodes tell it once a second."""
    return any(int(row['disk_free']) >= RESERVE_MIB * MIB
               for row in table(c.info(seen_from, 'nodes')) if row['id'] == str(node))


@test
def a_follower_without_room_changes_nothing_for_the_others(t):
    trial = Trial(t, DISK_MIB)
    c = trial.cluster
    for _ in range(2):
        node = c.followers()[0]
        trial.history.endure(f'a follower, node {node}, without room',
                             lambda: fill(trial.disks[node], RESERVE_MIB // 2),
                             lambda: free(trial.disks[node]), c.nodes, WRITES)
        # Two of three without room are another matter.
        wait_until(f'it is known that node {node} has room', 10,
                   lambda: all(has_room(c, node, other) for other in c.nodes))
    trial.history.judge()


def refused(trial, node, leave_mib):
    """The leader's disk is full: what takes room is refused on every mount,
    what frees some is not."""
    c = trial.cluster
    for other in c.nodes:
        put(c.path(other, f'spare-{other}'), b'x')
    fill(trial.disks[node], leave_mib)
    since = time.monotonic_ns()
    wait_until('ENOSPC', 30, lambda: trial.history.errors(since)['ENOSPC'])
    for other in c.nodes:
        assert errno_name(errno_of(put, c.path(other, 'key'), b'x')) == 'ENOSPC'
        os.unlink(c.path(other, f'spare-{other}'))


@test
def a_leader_without_room_refuses_writes_until_there_is_some(t):
    trial = Trial(t, DISK_MIB)
    c = trial.cluster
    pids = [c.pid(node) for node in c.nodes]
    for leave_mib in (RESERVE_MIB // 2, 0):
        node = c.leader()
        trial.history.endure(f'a leader, node {node}, with {leave_mib} MiB of room',
                             lambda: refused(trial, node, leave_mib),
                             lambda: free(trial.disks[node]), c.nodes, {'read'})
    assert pids == [c.pid(node) for node in c.nodes]
    trial.history.judge({'ENOSPC'})


def overfill(trial, node):
    """Until a write to the node's disk fails. What RocksDB has reserved for its
    log takes some large values."""
    c = trial.cluster
    pid = c.pid(node)
    fill(trial.disks[node], 0)

    def ended():
        put(c.path(trial.others(node)[0], 'large'), bytes(MIB - 4096))
        return process_state(pid) in ('', 'Z')
    wait_until('the node ends', 60, ended)
    assert not mounted(c.mount(node))
    assert 'no space' in c.log_text(node).lower()


@test
def a_follower_whose_disk_takes_no_more_ends_and_catches_up_when_started_again(t):
    trial = Trial(t, DISK_MIB)
    c = trial.cluster

    def restart(node):
        free(trial.disks[node])
        c.start(node)

    for _ in range(2):
        trial.fail('full disk', c.followers()[0], lambda node: overfill(trial, node), restart)
    trial.history.judge()


main()
