#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The one-node default, and starts that must fail with one clear line."""

import os
import signal
import socket
import subprocess
import time

from harness import GROVEFS, get, main, mounted, put, table, test, wait_until


def foreground(t, folder, *options):
    """A one-node store in the foreground: its process and its mount."""
    mount = f'{folder}/mount'
    os.makedirs(mount, exist_ok=True)
    with open(f'{folder}/log', 'ab') as log:
        process = t.popen(GROVEFS, '-f', '-o', ','.join([f'data={folder}/store', *options]),
                          mount, stdout=log, stderr=log)
    wait_until('mounted', 20, lambda: mounted(mount) or process.poll() is not None)
    assert process.poll() is None, get(f'{folder}/log').decode()
    wait_until('healthy', 20, lambda: get(f'{mount}/.cluster/health') == b'ok\n')
    return process, mount


def terminate(process, mount):
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not mounted(mount)


@test
def a_mountpoint_alone_is_a_working_store_that_keeps_everything(t):
    folder = t.scratch('one')
    process, mount = foreground(t, folder)
    os.makedirs(f'{mount}/a/b')
    put(f'{mount}/a/b/key', b'value')
    assert '.cluster' not in os.listdir(mount)
    assert table(get(f'{mount}/.cluster/leaders').decode()) != []
    sockets = subprocess.run(['ss', '-ltnpH'], capture_output=True, text=True, check=True)
    assert f'pid={process.pid},' not in sockets.stdout, 'it opened a port'
    terminate(process, mount)

    process, mount = foreground(t, folder)
    assert get(f'{mount}/a/b/key') == b'value'
    process.kill()
    process.wait()
    subprocess.run(['fusermount3', '-u', '-z', mount], check=True)

    process, mount = foreground(t, folder)
    assert get(f'{mount}/a/b/key') == b'value'
    terminate(process, mount)


def process_of(mount):
    """The process that has this mountpoint as an argument."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                if mount.encode() in f.read().split(b'\0'):
                    return int(pid)
        except OSError:
            pass
    return None


@test
def the_parent_returns_when_it_is_mounted_and_SIGTERM_unmounts(t):
    folder = t.scratch('background')
    mount = f'{folder}/mount'
    os.mkdir(mount)
    with open(f'{folder}/log', 'wb') as log:
        # No pipe: the daemon may keep its standard error open.
        done = subprocess.run([GROVEFS, '-o', f'data={folder}/store', mount], stdout=log,
                              stderr=log, stdin=subprocess.DEVNULL, timeout=30, check=False)
    pid = process_of(mount)
    try:
        assert done.returncode == 0, get(f'{folder}/log').decode()
        assert mounted(mount)
        put(f'{mount}/key', b'value')
        os.kill(pid, signal.SIGTERM)
        wait_until('it has ended', 20, lambda: process_of(mount) is None)
        assert not mounted(mount)
    finally:
        if process_of(mount) is not None:
            os.kill(pid, signal.SIGKILL)
        if mounted(mount):
            subprocess.run(['fusermount3', '-u', '-z', mount], check=False)


def refused(folder, *words):
    """Runs the daemon, which must fail with one line and change nothing."""
    before = sorted(os.listdir(folder))
    done = subprocess.run([GROVEFS, *words], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 1, f'{words}: exit status {done.returncode}, {done.stderr}'
    assert len(done.stderr.splitlines()) == 1, f'{words}: not one line: {done.stderr!r}'
    assert done.stdout == '', f'{words}: {done.stdout!r}'
    assert sorted(os.listdir(folder)) == before, f'{words} left something'
    assert not mounted(f'{folder}/m')
    return done.stderr.strip()


@test
def a_wrong_option_is_refused_with_one_line(t):
    folder = t.scratch('options')
    os.mkdir(f'{folder}/m')
    data = f'data={folder}/store'
    for option in ('bogus=1', 'op_timeout=soon', 'op_timeout=-1', 'value_max=much',
                   'listen=nowhere', 'listen=127.0.0.1:99999', 'id=0', 'id=x',
                   'log_level=loud', 'peers=1', 'peers=1@127.0.0.1:9001,id=2',
                   'peers=1@127.0.0.1:9001+1@127.0.0.1:9002,id=1',
                   f'config={folder}/no-such-file'):
        line = refused(folder, '-f', '-o', f'{data},{option}', f'{folder}/m')
        t.say(line)
    refused(folder, '-f', '-o', data)
    refused(folder, '-f', '-o', data, f'{folder}/nowhere')
    refused(folder, '-o', data, f'{folder}/nowhere')


@test
def a_used_port_is_refused_with_one_line(t):
    folder = t.scratch('port')
    os.mkdir(f'{folder}/m')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        address = '%s:%d' % s.getsockname()
        line = refused(folder, '-f', '-o', f'data={folder}/store,listen={address}',
                       f'{folder}/m')
    assert address in line, line


@test
def a_locked_a_foreign_and_an_impossible_store_are_refused_with_one_line(t):
    folder = t.scratch('store')
    os.mkdir(f'{folder}/m')
    process, mount = foreground(t, folder)
    line = refused(folder, '-f', '-o', f'data={folder}/store', f'{folder}/m')
    assert f'{folder}/store' in line, line
    terminate(process, mount)

    c = t.cluster()
    c.stop(3)
    refused(folder, '-f', '-o', f'data={c.store(3)},id=2', f'{folder}/m')
    c.start(3)

    os.mkdir(f'{folder}/other')
    put(f'{folder}/other/something', b'not a store')
    refused(folder, '-f', '-o', f'data={folder}/other', f'{folder}/m')
    assert os.listdir(f'{folder}/other') == ['something']
    refused(folder, '-f', '-o', f'data={folder}/other/something', f'{folder}/m')
    refused(folder, '-f', '-o', 'data=/proc/nothing', f'{folder}/m')


@test
def a_mountpoint_in_use_or_no_folder_is_refused_with_one_line(t):
    folder = t.scratch('mountpoint')
    put(f'{folder}/file', b'')
    refused(folder, '-f', '-o', f'data={folder}/store', f'{folder}/file')


@test
def a_node_started_twice_at_once_has_one_winner(t):
    folder = t.scratch('twice')
    first, second = f'{folder}/a', f'{folder}/b'
    os.mkdir(first)
    os.mkdir(second)
    processes = [t.popen(GROVEFS, '-f', '-o', f'data={folder}/store', mount,
                         stderr=subprocess.DEVNULL) for mount in (first, second)]
    wait_until('one has ended', 20, lambda: any(p.poll() is not None for p in processes))
    wait_until('one is mounted', 20, lambda: mounted(first) or mounted(second))
    time.sleep(0.5)
    codes = [p.poll() for p in processes]
    assert sorted(codes, key=lambda code: code is None) == [1, None], codes
    for process, mount in zip(processes, (first, second)):
        if process.poll() is None:
            terminate(process, mount)


main()
