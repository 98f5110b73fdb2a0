#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real tree copied into one mount is there on the others."""

import itertools
import os
import shutil
import stat
import subprocess

from harness import main, test, together

FILES = int(os.environ.get('COPY_FILES', '3000'))


def real_tree(to):
    """Some thousand files of /usr/include, and what such a tree lacks."""
    count = 0
    for folder, folders, files in os.walk('/usr/include'):
        folders.sort()
        target = to + folder.removeprefix('/usr/include')
        os.makedirs(target, exist_ok=True)
        for name in sorted(files):
            shutil.copy2(f'{folder}/{name}', target, follow_symlinks=False)
        count += len(files)
        if count >= FILES:
            break
    odd = f'{to}/odd'
    os.mkdir(odd, 0o750)
    os.mkdir(f'{odd}/empty')
    os.symlink('empty', f'{odd}/to-folder')
    os.symlink('../odd/nowhere', f'{odd}/dangling')
    os.symlink('x' * 1000, f'{odd}/long')
    for name, size, mode in (('none', 0, 0o600), ('a b\n*', 1, 0o644), ('ü', 65536, 0o444),
                             ('x' * 255, 65537, 0o4755), ('three', 3 << 20, 0o640)):
        with open(f'{odd}/{name}', 'wb') as f:
            f.write(os.urandom(size))
        os.chmod(f'{odd}/{name}', mode)
    os.chown(f'{odd}/none', 1234, 2345)


def described(top):
    """Name, type, mode, owner, size, time and link target of everything; of
    folders no time, which is that of their last change wherever it was."""
    seen = []
    for folder, folders, files in os.walk(top):
        for name in itertools.chain(folders, files):
            path = os.path.join(folder, name)
            s = os.lstat(path)
            size_and_time = (s.st_size, s.st_mtime_ns)
            seen.append((os.path.relpath(path, top), oct(s.st_mode), s.st_uid, s.st_gid,
                         () if stat.S_ISDIR(s.st_mode) else size_and_time,
                         os.readlink(path) if stat.S_ISLNK(s.st_mode) else ''))
    return sorted(seen)


def same(tree, copy):
    done = subprocess.run(['diff', '-r', '--no-dereference', tree, copy],
                          capture_output=True, text=True, errors='replace', check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[:2000]
    for a, b in zip(described(tree), described(copy), strict=True):
        assert a == b, f'{a}\n{b}'


@test
def a_tree_copied_into_one_mount_is_the_same_on_the_others(t):
    c = t.cluster()
    tree = f'{t.scratch("source")}/include'
    real_tree(tree)
    subprocess.run(['cp', '-a', tree, c.mount(1)], check=True)
    together(*(lambda n=n: same(tree, c.path(n, 'include')) for n in (2, 3)))


@test
def a_tree_removed_on_one_mount_is_gone_on_the_others(t):
    c = t.cluster()
    tree = f'{t.scratch("source")}/tree'
    for name in ('a/b/c', 'a/d', 'e'):
        os.makedirs(f'{tree}/{name}')
        for i in range(20):
            with open(f'{tree}/{name}/{i}', 'w', encoding='ascii') as f:
                f.write(name)
    subprocess.run(['cp', '-a', tree, c.mount(1)], check=True)
    subprocess.run(['rm', '-r', c.path(2, 'tree')], check=True)
    assert [os.listdir(mount) for mount in c.mounts()] == [[], [], []]


main()
