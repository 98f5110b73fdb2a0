# SPDX-License-Identifier: Apache-2.0
"""Trees of files to be copied into mounts, and whether a copy is the same."""

import ctypes
import itertools
import os
import shutil
import stat
import subprocess

FILE_BYTES_MAX = 256 << 10

AT_FDCWD = -100
RENAME_EXCHANGE = 2


def exchange(a, b):
    """renameat2(2), for which Python has no name."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), a, None, b)


def _small_files(tops):
    for top in tops:
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                path = f'{folder}/{name}'
                if os.lstat(path).st_size <= FILE_BYTES_MAX:
                    yield path


def real_files(to, count, tops=('/usr/include',)):
    """So many files of this machine, in their folders; more than once when there
    are not enough."""
    left = count
    for turn in itertools.count():
        before = left
        for path in _small_files(tops):
            target = f'{to}/{turn}{path}' if turn > 0 else to + path
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
            left -= 1
            if left == 0:
                return
        assert left < before, f'there are no files in {tops}'


def odd_files(to):
    """What trees of programs lack."""
    os.mkdir(to, 0o750)
    os.mkdir(f'{to}/empty')
    os.symlink('empty', f'{to}/to-folder')
    os.symlink('../odd/nowhere', f'{to}/dangling')
    os.symlink('x' * 1000, f'{to}/long')
    for name, size, mode in (('none', 0, 0o600), ('a b\n*', 1, 0o644), ('ü', 65536, 0o444),
                             ('x' * 255, 65537, 0o4755), ('three', 3 << 20, 0o640)):
        with open(f'{to}/{name}', 'wb') as f:
            f.write(os.urandom(size))
        os.chmod(f'{to}/{name}', mode)
    os.chown(f'{to}/none', 1234, 2345)


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


def same_content(tree, copy):
    done = subprocess.run(['diff', '-r', '--no-dereference', tree, copy],
                          capture_output=True, text=True, errors='replace', check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[:2000]


def same(tree, copy):
    same_content(tree, copy)
    for a, b in zip(described(tree), described(copy), strict=True):
        assert a == b, f'{a}\n{b}'
