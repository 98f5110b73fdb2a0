#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What one mount was told, every mount sees; one step is one step."""

import errno
import os
import re
import string
import subprocess
import sys
import threading
import time

from harness import errno_of, get, main, put, test, together

ROUNDS = int(os.environ.get('STALE_ROUNDS', '10000'))


@test
def a_read_on_any_mount_sees_what_was_written_on_another(t):
    c = t.cluster()
    os.mkdir(c.path(1, 'folder'))
    began = time.monotonic()
    for i in range(ROUNDS):
        here, there = c.mount(i % 3 + 1), c.mount((i + 1 + i // 3 % 2) % 3 + 1)
        value = b'%d %s' % (i, b'.' * (i % 100))
        put(f'{here}/key', value)
        kind = i % 4
        if kind == 0:
            assert os.stat(f'{there}/key').st_size == len(value), f'stale stat, round {i}'
        found = get(f'{there}/key')
        assert found == value, f'stale read, round {i}: {found!r} for {value!r}'
        if kind == 1:
            check_names(f'{here}/folder', f'{there}/folder', str(i))
        elif kind == 2:
            check_rename(here, there, i)
        elif kind == 3:
            check_attributes(here, there, i)
    t.say(f'{ROUNDS} rounds in {time.monotonic() - began:.0f} s')


def check_names(here, there, name):
    assert errno_of(os.stat, f'{there}/{name}') == errno.ENOENT
    put(f'{here}/{name}', b'x')
    os.stat(f'{there}/{name}')
    assert name in os.listdir(there), f'{name} not listed'
    os.unlink(f'{there}/{name}')
    assert errno_of(os.stat, f'{here}/{name}') == errno.ENOENT
    assert name not in os.listdir(here), f'{name} still listed'


def check_rename(here, there, i):
    put(f'{here}/from', b'%d' % i)
    os.rename(f'{here}/from', f'{here}/to')
    assert errno_of(os.stat, f'{there}/from') == errno.ENOENT
    assert get(f'{there}/to') == b'%d' % i


def check_attributes(here, there, i):
    os.chmod(f'{here}/key', 0o600 + i % 64)
    os.utime(f'{here}/key', ns=(i, i * 1000))
    os.setxattr(f'{here}/key', 'user.round', b'%d' % i)
    s = os.stat(f'{there}/key')
    assert (s.st_mode & 0o777, s.st_mtime_ns) == (0o600 + i % 64, i * 1000), s
    assert os.getxattr(f'{there}/key', 'user.round') == b'%d' % i


@test
def what_a_system_call_finds_is_not_as_of_an_earlier_one(t):
    """A node answers what one system call asks as of its beginning (fs/walk.h), so it
    has to be right about what belongs to one."""
    c = t.cluster()
    roots = {node: os.open(c.mount(node), os.O_RDONLY | os.O_DIRECTORY) for node in c.nodes}
    looks = (lambda node: os.fstat(roots[node]),
             lambda node: os.stat(c.mount(node)),
             lambda node: os.access(c.mount(node), os.X_OK),
             lambda node: errno_of(os.stat, c.path(node, 'never')),
             lambda node: os.chdir(c.mount(node)))
    for i in range(ROUNDS // 5):
        here, there = i % 3 + 1, (i + 1 + i // 3 % 2) % 3 + 1
        name = f'made{i}'
        looks[i % len(looks)](there)
        put(c.path(here, name), b'x')
        assert os.stat(name, dir_fd=roots[there]).st_size == 1
        looks[i % len(looks)](there)
        os.unlink(c.path(here, name))
        assert errno_of(os.open, name, os.O_RDONLY, dir_fd=roots[there]) == errno.ENOENT
    os.chdir('/')
    for root in roots.values():
        os.close(root)


LOOKER = """
import os, sys
while True:
    for name in sys.argv[1:]:
        try:
            os.stat(name)
        except FileNotFoundError:
            pass
"""


@test
def who_looks_a_name_up_does_not_take_it_from_others(t):
    """The kernel drops a name, also a working directory's, when anybody's LOOKUP does
    not find it: no answer may be older than what the mount has shown."""
    c = t.cluster()
    node = c.followers()[0]
    names = [c.path(node, name) for name in ('made', 'file')]
    lookers = [t.popen(sys.executable, '-c', LOOKER, *names) for _ in range(3)]
    for i in range(ROUNDS // 8):
        os.mkdir(names[0])
        os.chdir(names[0])
        assert os.getcwd() == names[0], f'round {i}'
        os.chdir('/')
        os.rmdir(names[0])
        fd = os.open(names[1], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.write(fd, b'.' * (i % 50 + 1))
        for _ in range(20):
            assert os.fstat(fd).st_size == i % 50 + 1, f'round {i}'
        os.close(fd)
    assert [looker.poll() for looker in lookers] == [None] * 3


@test
def a_reader_sees_the_old_or_the_new_value_never_an_empty_or_a_mixed_one(t):
    c = t.cluster()
    sizes = {letter: 1 + i * i * 300 for i, letter in enumerate(string.ascii_letters)}
    put(c.path(1, 'key'), b'a' * sizes['a'])
    ending = threading.Event()
    reads = []

    def write():
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for letter, size in sizes.items():
                put(c.path(1, 'key'), letter.encode() * size, os.O_TRUNC)
        ending.set()

    def read(node):
        while not ending.is_set():
            value = get(c.path(node, 'key')).decode()
            assert value != '', 'empty'
            assert value == value[0] * sizes[value[0]], (
                f'mixed: {len(value)} bytes, {sorted(set(value))}')
            reads.append(node)

    together(write, *(lambda n=n: read(n) for n in (1, 2, 3)))
    t.say(f'{len(reads)} reads')
    assert set(reads) == {1, 2, 3}


@test
def echo_in_a_shell_replaces_a_value_in_one_step(t):
    c = t.cluster()
    put(c.path(1, 'key'), b'v0\n')
    shells = [t.popen(shell, '-c', f'i=0; while [ $i -lt 1000 ]; do i=$((i+1)); '
                      f'echo v$i > {c.path(1, "key")} || exit 1; done')
              for shell in ('bash', 'dash')]
    reads = 0
    while any(shell.poll() is None for shell in shells):
        for node in (2, 3):
            value = get(c.path(node, 'key'))
            assert re.fullmatch(rb'v\d+\n', value), value
            reads += 1
    t.say(f'{reads} reads')
    assert [shell.returncode for shell in shells] == [0, 0]
    assert get(c.path(3, 'key')) == b'v1000\n'


@test
def no_line_appended_on_three_mounts_at_once_is_lost_or_mixed(t):
    c = t.cluster()
    count = 500
    put(c.path(1, 'list'), b'')
    shells = [t.popen('sh', '-c', f'i=0; while [ $i -lt {count} ]; do i=$((i+1)); '
                      f'echo "{node} $i {"x" * node * 20}" >> {c.path(node, "list")}'
                      ' || exit 1; done') for node in c.nodes]
    assert [shell.wait(300) for shell in shells] == [0, 0, 0]
    lines = get(c.path(1, 'list')).decode().splitlines()
    for node in c.nodes:
        mine = [line for line in lines if line.startswith(f'{node} ')]
        assert mine == [f'{node} {i} {"x" * node * 20}' for i in range(1, count + 1)]
    assert len(lines) == 3 * count


def one_winner(c, attempt, lost=errno.EEXIST, rounds=200):
    barrier = threading.Barrier(3, timeout=60)
    results = {node: [] for node in c.nodes}

    def race(node):
        try:
            for i in range(rounds):
                barrier.wait()
                results[node].append(errno_of(attempt, c.mount(node), i))
        except BaseException:
            barrier.abort()
            raise

    together(*(lambda n=n: race(n) for n in c.nodes))
    for i, outcome in enumerate(zip(*results.values())):
        assert sorted(outcome) == [0, lost, lost], f'round {i}: {outcome}'


@test
def O_EXCL_on_three_mounts_has_one_winner_200_times_of_200(t):
    one_winner(t.cluster(), lambda mount, i: put(f'{mount}/{i}', b'x', os.O_CREAT | os.O_EXCL))


@test
def mkdir_on_three_mounts_has_one_winner_200_times_of_200(t):
    one_winner(t.cluster(), lambda mount, i: os.mkdir(f'{mount}/{i}'))


@test
def a_rename_on_three_mounts_has_one_winner_200_times_of_200(t):
    """Also where it goes to the same name, which the kernel might take for
    done when it finds it so."""
    c = t.cluster()
    os.mkdir(c.path(1, 'from'))
    for i in range(200):
        put(c.path(1, f'from/{i}'), b'x')
    one_winner(c, lambda mount, i: os.rename(f'{mount}/from/{i}', f'{mount}/{i}'), errno.ENOENT)
    one_winner(c, lambda mount, i: os.rename(f'{mount}/{i}', f'{mount}/from/{i}'), errno.ENOENT)


@test
def a_folder_renamed_on_one_mount_takes_everything_with_it_on_all(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'a/b/c'))
    put(c.path(1, 'a/b/c/key'), b'deep')
    for i in range(30):
        here, there = c.mount(i % 3 + 1), c.mount((i + 1) % 3 + 1)
        old, new = ('a', 'z') if i % 2 == 0 else ('z', 'a')
        os.rename(f'{here}/{old}', f'{here}/{new}')
        assert get(f'{there}/{new}/b/c/key') == b'deep'
        assert errno_of(os.stat, f'{there}/{old}') == errno.ENOENT
        assert os.listdir(there) == [new]
    assert errno_of(os.rename, c.path(1, 'a'), c.path(1, 'a/b/a')) == errno.EINVAL
    assert errno_of(os.rmdir, c.path(2, 'a')) == errno.ENOTEMPTY
    subprocess.run(['rm', '-r', c.path(3, 'a')], check=True)
    assert os.listdir(c.mount(1)) == []


main()
