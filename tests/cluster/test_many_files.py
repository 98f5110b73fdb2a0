#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""100,000 small files in one folder, within the memory that is allowed."""

import os
import time

from harness import get, main, peak_memory_mib, put, test, together

FILES = int(os.environ.get('MANY_FILES', '100000'))
MEMORY_MIB = 512


@test
def a_folder_of_100_000_small_files_works_and_needs_less_than_512_MiB(t):
    c = t.cluster()
    os.mkdir(c.path(1, 'many'))

    def fill(node):
        for i in range(node - 1, FILES, 3):
            put(c.path(node, f'many/{i:06}'), b'%d\n' % i, os.O_CREAT | os.O_EXCL)

    began = time.monotonic()
    together(*(lambda n=n: fill(n) for n in c.nodes))
    t.say(f'{FILES} files in {time.monotonic() - began:.0f} s')

    names = [f'{i:06}' for i in range(FILES)]
    for mount in c.mounts():
        began = time.monotonic()
        assert sorted(os.listdir(f'{mount}/many')) == names, mount
        t.say(f'listed in {time.monotonic() - began:.1f} s')
    for i in range(0, FILES, 97):
        assert get(c.path(i % 3 + 1, f'many/{i:06}')) == b'%d\n' % i

    peaks = [peak_memory_mib(c.pid(node)) for node in c.nodes]
    t.say('peak memory: ' + ', '.join(f'{peak:.0f} MiB' for peak in peaks))
    assert max(peaks) < MEMORY_MIB, peaks

    for i in range(0, FILES, 20):
        os.unlink(c.path(i % 3 + 1, f'many/{i:06}'))
    left = [name for i, name in enumerate(names) if i % 20 != 0]
    assert sorted(os.listdir(c.path(2, 'many'))) == left


main()
