#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real tree copied into one mount is there on the others."""

import os
import subprocess

from harness import main, test, together
from trees import odd_files, real_files, same

FILES = int(os.environ.get('COPY_FILES', '3000'))


@test
def a_tree_copied_into_one_mount_is_the_same_on_the_others(t):
    c = t.cluster()
    tree = f'{t.scratch("source")}/include'
    real_files(tree, FILES)
    odd_files(f'{tree}/odd')
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
