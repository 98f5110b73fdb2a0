#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stopped nodes and lost majorities: who goes on, who is told, who waits."""

import errno
import os
import signal
import statistics
import subprocess
import threading
import time

from harness import (errno_name, errno_of, get, main, process_state, put, test,
                     wait_until)

NO_MAJORITY = (errno.EHOSTUNREACH, errno.ETIMEDOUT)
OP_TIMEOUT_S = 4


def write_latencies(path, seconds):
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        put(path, b'value')
        times.append(time.monotonic() - began)
    return times


def without_majority(t, survivor):
    """A cluster of which only `survivor` runs ('leader' or 'follower'), and
    that node's id."""
    c = t.cluster(options=f'op_timeout={OP_TIMEOUT_S}')
    put(c.path(1, 'key'), b'old')
    for name in range(6):
        os.mkdir(c.path(1, f'own{name}'))
        put(c.path(1, f'own{name}/key'), b'old')
    os.mkdir(c.path(1, 'folder'))
    os.mkdir(c.path(1, 'other'))
    node = c.leader() if survivor == 'leader' else c.followers()[0]
    return c, node, [other for other in c.nodes if other != node]


@test
def a_follower_stopped_by_SIGSTOP_does_not_slow_the_others_down(t):
    c = t.cluster()
    stopped = c.followers()[0]
    node = [n for n in c.nodes if n != stopped][0]
    write_latencies(c.path(node, 'key'), 1)
    before = write_latencies(c.path(node, 'key'), 4)
    c.pause(stopped)
    during = write_latencies(c.path(node, 'key'), 8)
    c.resume(stopped)
    t.say(f'median {statistics.median(before) * 1e3:.2f} ms before, '
          f'{statistics.median(during) * 1e3:.2f} ms during, '
          f'worst {max(during) * 1e3:.0f} ms')
    # Generous, for busy machines: who waits for the stopped one waits seconds.
    assert statistics.median(during) < 3 * statistics.median(before) + 0.02
    assert max(during) < 3
    c.wait_caught_up(stopped)
    assert get(c.path(stopped, 'key')) == b'value'


def write_fails_in_time(t, survivor):
    c, node, others = without_majority(t, survivor)
    fd = os.open(c.path(node, 'key'), os.O_WRONLY)
    c.kill(*others)
    began = time.monotonic()
    number = errno_of(os.write, fd, b'new')
    took = time.monotonic() - began
    os.close(fd)
    t.say(f'{errno_name(number)} after {took:.1f} s')
    assert number in NO_MAJORITY, errno_name(number)
    assert took < OP_TIMEOUT_S + 1.5, took

    # What is refused while opening is seen even by `: > key`.
    number = errno_of(put, c.path(node, 'key'), b'', os.O_TRUNC)
    assert number in NO_MAJORITY, errno_name(number)
    began = time.monotonic()
    assert errno_of(get, c.path(node, 'key')) in NO_MAJORITY, 'a read was answered'
    assert time.monotonic() - began < OP_TIMEOUT_S + 1.5

    c.start(*others)
    put(c.path(node, 'key'), b'newer')
    assert get(c.path(others[0], 'key')) == b'newer'


@test
def without_a_majority_a_write_at_the_leader_fails_after_op_timeout(t):
    write_fails_in_time(t, 'leader')


@test
def without_a_majority_a_write_at_a_follower_fails_after_op_timeout(t):
    write_fails_in_time(t, 'follower')


@test
def without_a_majority_the_cluster_folder_still_answers(t):
    c, node, others = without_majority(t, 'follower')
    c.kill(*others)
    for name in ('version', 'health', 'nodes', 'regions', 'leaders', 'lag', 'log', 'metrics'):
        began = time.monotonic()
        assert c.info(node, name) != '', name
        assert time.monotonic() - began < 1, name
    wait_until('health tells', 30, lambda: c.info(node, 'health') != 'ok\n', 0.2)


@test
def a_waiting_writer_ends_at_once_by_ctrl_c(t):
    c, node, others = without_majority(t, 'leader')
    c.kill(*others)
    for words in (('dd', 'if=/dev/zero', f'of={c.path(node, "key")}', 'bs=4096', 'count=1',
                   'conv=notrunc', 'status=none'),
                  ('sh', '-c', f'echo v > {c.path(node, "key")}'),
                  ('cat', c.path(node, 'key')),
                  ('mkdir', c.path(node, 'new'))):
        process = t.popen(*words, stderr=subprocess.DEVNULL)
        time.sleep(1)
        assert process.poll() is None, f'{words[0]} did not wait'
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.wait(OP_TIMEOUT_S * 3)
        took = time.monotonic() - began
        assert took < 1, f'{words[0]} ended {took:.1f} s after the signal'


@test
def no_process_is_in_D_state_while_the_cluster_has_no_majority(t):
    c, node, others = without_majority(t, 'leader')
    c.pause(*others)
    processes = []
    seen = {}
    ending = threading.Event()

    def watch():
        """Counts for how long without a break each process was in D state."""
        spell = {}
        while not ending.wait(0.02):
            for process in processes[:]:
                blocked = process_state(process.pid) == 'D'
                spell[process.pid] = spell.get(process.pid, 0) + 1 if blocked else 0
                seen[process.args[-1]] = max(seen.get(process.args[-1], 0), spell[process.pid])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    # Each in a folder of its own: see the next test.
    commands = [('sh', '-c', f'echo v > {c.path(node, f"own{i}/key")}') for i in range(4)]
    commands += [('cat', c.path(node, 'own4/key')), ('stat', c.path(node, 'own5/key')),
                 ('ls', '-l', c.path(node, 'folder')), ('touch', c.path(node, 'other/new'))]
    for words in commands:
        processes.append(t.popen(*words, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL))
    time.sleep(OP_TIMEOUT_S / 2)
    processes[0].kill()
    processes[4].terminate()
    for process in processes:
        process.wait(OP_TIMEOUT_S * 4)
    ending.set()
    watcher.join()
    c.resume(*others)
    long = {name: count for name, count in seen.items() if count > 5}
    assert not long, f'samples of 20 ms in D state: {long}'


@test
def who_waits_in_the_kernel_for_another_waiting_process_can_be_killed_at_once(t):
    # Listing a folder in which a name is being made, the kernel holds the
    # lister on a lock of its own: D state, for as long as the other waits.
    c, node, others = without_majority(t, 'leader')
    # What it has never seen it looks up for all who want it at once, and lets none
    # of them go: so it has to know the folder.
    os.listdir(c.path(node, 'folder'))
    c.pause(*others)
    t.popen('touch', c.path(node, 'folder/new'), stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    lister = t.popen('ls', c.path(node, 'folder'), stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    lister.kill()
    began = time.monotonic()
    lister.wait(OP_TIMEOUT_S * 3)
    assert time.monotonic() - began < 1
    c.resume(*others)


main()
