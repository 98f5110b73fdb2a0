#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Large values, and what lies beyond the limits."""

import errno
import hashlib
import os
import stat

from harness import errno_name, errno_of, get, main, peak_memory_mib, put, test

MIB = 1 << 20
VALUE_MAX = 64 * MIB
MEMORY_MIB = 512


def write_large(path, size):
    """Writes reproducible bytes; returns their digest."""
    digest = hashlib.sha256()
    with open(path, 'wb', buffering=0) as f:
        for i in range(0, size, MIB):
            block = hashlib.sha256(b'%d' % i).digest() * (MIB // 32)
            block = block[:size - i]
            assert f.write(block) == len(block)
            digest.update(block)
    return digest.hexdigest()


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, 'rb', buffering=0) as f:
        while block := f.read(MIB):
            digest.update(block)
    return digest.hexdigest()


@test
def a_value_of_64_MiB_works_and_one_byte_more_is_EFBIG(t):
    c = t.cluster()
    digest = write_large(c.path(1, 'large'), VALUE_MAX)
    for mount in c.mounts():
        assert os.stat(f'{mount}/large').st_size == VALUE_MAX
        assert digest_of(f'{mount}/large') == digest, mount
    fd = os.open(c.path(2, 'large'), os.O_WRONLY)
    try:
        assert errno_name(errno_of(os.pwrite, fd, b'x', VALUE_MAX)) == 'EFBIG'
        assert errno_name(errno_of(os.ftruncate, fd, VALUE_MAX + 1)) == 'EFBIG'
    finally:
        os.close(fd)
    assert digest_of(c.path(3, 'large')) == digest, 'a refused write changed the value'

    # Holes read as zeros; a part can be replaced.
    put(c.path(1, 'sparse'), b'')
    os.truncate(c.path(1, 'sparse'), VALUE_MAX)
    fd = os.open(c.path(1, 'sparse'), os.O_RDWR)
    os.pwrite(fd, b'here', 40 * MIB + 12345)
    os.close(fd)
    fd = os.open(c.path(2, 'sparse'), os.O_RDONLY)
    assert os.pread(fd, 6, 40 * MIB + 12344) == b'\0here\0'
    assert os.pread(fd, 10, VALUE_MAX - 4) == bytes(4)
    os.close(fd)
    os.unlink(c.path(3, 'large'))
    assert os.listdir(c.mount(1)) == ['sparse']

    peaks = [peak_memory_mib(c.pid(node)) for node in c.nodes]
    t.say('peak memory: ' + ', '.join(f'{peak:.0f} MiB' for peak in peaks))
    assert max(peaks) < MEMORY_MIB, peaks


def check_attribute_limits(path):
    os.setxattr(path, 'user.fits', b'x' * 16000)
    for number in (errno_of(os.setxattr, path, 'user.more', b'x' * 16000),
                   errno_of(os.setxattr, path, 'user.more', b'x' * 20000)):
        assert number in (errno.E2BIG, errno.ENOSPC), errno_name(number)
    assert os.listxattr(path) == ['user.fits']
    assert os.getxattr(path, 'user.fits') == b'x' * 16000
    assert errno_name(errno_of(os.getxattr, path, 'user.more')) == 'ENODATA'


@test
def what_is_over_a_limit_or_not_offered_gives_its_errno_and_changes_nothing(t):
    c = t.cluster(options='value_max=1048576')
    m1, m2 = c.mount(1), c.mount(2)
    put(f'{m1}/key', b'value')
    put(f'{m1}/' + 'n' * 255, b'fits')
    assert get(f'{m2}/' + 'n' * 255) == b'fits'
    os.unlink(f'{m2}/' + 'n' * 255)
    too_long = f'{m1}/' + 'n' * 256
    expected = {
        'ENAMETOOLONG': [lambda: put(too_long, b''), lambda: os.mkdir(too_long),
                         lambda: os.stat(too_long), lambda: os.rename(f'{m1}/key', too_long),
                         lambda: os.symlink('key', too_long)],
        'EFBIG': [lambda: os.truncate(f'{m1}/key', (1 << 20) + 1)],
        'EPERM': [lambda: os.link(f'{m1}/key', f'{m1}/hard'),
                  lambda: os.mknod(f'{m1}/device', stat.S_IFCHR | 0o600, os.makedev(1, 3))],
        'ENOENT': [lambda: os.stat(f'{m1}/nothing'), lambda: os.unlink(f'{m1}/nothing'),
                   lambda: put(f'{m1}/nothing/key', b'')],
        'ENOTDIR': [lambda: os.rmdir(f'{m1}/key'), lambda: os.stat(f'{m1}/key/below')],
        'EISDIR': [lambda: os.unlink(f'{m1}/folder'), lambda: put(f'{m1}/folder', b'')],
        'ENOTEMPTY': [lambda: os.rmdir(f'{m1}/folder')],
        'EEXIST': [lambda: os.mkdir(f'{m1}/key'), lambda: os.symlink('x', f'{m1}/key')],
    }
    os.mkdir(f'{m1}/folder')
    put(f'{m1}/folder/inner', b'')
    for name, calls in expected.items():
        for number, call in enumerate(calls):
            found = errno_name(errno_of(call))
            assert found == name, f'{name} call {number} gave {found}'
    check_attribute_limits(f'{m1}/key')
    assert get(f'{m2}/key') == b'value'
    assert sorted(os.listdir(m2)) == ['folder', 'key']


main()
