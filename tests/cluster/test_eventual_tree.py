#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Directories that become eventual, and strong again, with all that is below
them."""

import errno
import os
import subprocess
import time

from eventual_folders import (AGREE_S, Folder, all_below, check_unchanged, cut_cluster, fill,
                              folders, holds, is_all, is_complete, make_eventual, mode_of, switch,
                              switch_all)
from harness import errno_name, errno_of, get, main, put, table, test, wait_until
from trees import exchange, odd_files, same

ODD = 'a\udcff\n*'  # A name of bytes that are no UTF-8.


def plant(t, folder):
    """Copies a tree with all that one may have below it; returns where it comes
    from."""
    source = t.scratch('source')
    odd_files(f'{source}/odd')
    os.unlink(f'{source}/odd/three')  # It has 3 MiB.
    os.makedirs(f'{source}/a/b/{ODD}/deep/empty')
    for path in ('.', 'a', 'a/b', f'a/b/{ODD}', f'a/b/{ODD}/deep'):
        for number in range(8):
            put(f'{source}/{path}/{number}', os.urandom(number * 501))
    os.symlink('../b', f'{source}/a/b/link')
    os.chown(f'{source}/a/b', 1234, 2345)
    os.chmod(f'{source}/a/b/{ODD}', 0o2751)
    os.utime(f'{source}/a/b/7', ns=(10**18, 10**18 + 7))
    subprocess.run(['cp', '-a', f'{source}/.', folder], check=True)
    for path in ('a', 'a/b', f'a/b/{ODD}/3', 'odd/ü'):
        os.setxattr(f'{folder}/{path}', 'user.tag', path.encode(errors='surrogateescape'))
    return source


def numbers(top):
    """Inode numbers, times and tags of everything."""
    seen = {}
    for path in all_below(top):
        s = os.lstat(f'{top}/{path}')
        names = os.listxattr(f'{top}/{path}', follow_symlinks=False)
        seen[path] = (s.st_ino, s.st_nlink, s.st_mtime_ns,
                      [(name, os.getxattr(f'{top}/{path}', name, follow_symlinks=False))
                       for name in names])
    return seen


@test
def a_tree_is_as_it_was_on_all_mounts(t):
    c = t.cluster()
    os.mkdir(c.path(1, 'd'))
    source = plant(t, c.path(2, 'd'))
    before = numbers(c.path(1, 'd'))
    for number, mode in enumerate((b'eventual', b'strong', b'eventual', b'strong')):
        began = time.monotonic()
        switch_all(c, 'd', mode, node=1 + number % 3)
        t.say(f'{mode.decode()} after {time.monotonic() - began:.2f} s')
        for node in c.nodes:
            same(source, c.path(node, 'd'))
            assert numbers(c.path(node, 'd')) == before
            assert is_all(c.path(node, 'd'), mode)
    c.kill(*c.nodes)
    c.up_again()
    for node in c.nodes:
        same(source, c.path(node, 'd'))
        assert numbers(c.path(node, 'd')) == before


def change_everything(c, top, node):
    """What one does with directories and files, each seen on all mounts."""
    here = c.path(node, top)
    os.makedirs(f'{here}/new/below')
    put(f'{here}/new/below/f', b'new')
    os.rename(f'{here}/new/below', f'{here}/a/moved')
    os.rename(f'{here}/a/moved/f', f'{here}/a/moved/g')
    put(f'{here}/a/b/f', b'changed')
    os.rmdir(f'{here}/new')
    for other in c.nodes:
        there = c.path(other, top)
        wait_until('it is seen', AGREE_S, lambda p=there: sorted(os.listdir(p)) == ['a'] and
                   sorted(os.listdir(f'{p}/a')) == ['b', 'moved'] and
                   os.listdir(f'{p}/a/moved') == ['g'] and get(f'{p}/a/b/f') == b'changed')
    os.unlink(f'{here}/a/moved/g')
    for other in c.nodes:
        wait_until('it is empty', AGREE_S, lambda n=other:
                   os.listdir(c.path(n, f'{top}/a/moved')) == [])
    os.rmdir(f'{here}/a/moved')


@test
def everything_can_be_changed_afterwards(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b'))
    put(c.path(1, 'd/a/b/f'), b'old')
    for node, mode in ((2, b'eventual'), (3, b'strong'), (1, b'eventual'), (2, b'strong')):
        switch_all(c, 'd', mode, node)
        change_everything(c, 'd', node)
    subprocess.run(['rm', '-r', c.path(1, 'd')], check=True)
    assert os.listdir(c.mount(3)) == []


@test
def what_is_open_and_who_works_below_goes_on(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b'))
    put(c.path(1, 'd/a/b/f'), b'one\n')
    shell = t.popen('sh', cwd=c.path(2, 'd/a/b'), stdin=subprocess.PIPE)
    inside = Folder(c.path(3, 'd/a'))

    def work(word):
        held.write(b'%s\n' % word)
        shell.stdin.write(b'echo %s > %s && mkdir in-%s\n' % (word, word, word))
        shell.stdin.flush()
        inside.put(f'{word.decode()}', word)

    with open(c.path(2, 'd/a/b/f'), 'ab', buffering=0) as held:
        for word, mode in ((b'two', b'eventual'), (b'three', b'strong'), (b'four', b'eventual')):
            switch_all(c, 'd', mode)
            work(word)
            for node in c.nodes:
                wait_until('the shell has done it', AGREE_S, lambda n=node, w=word: b'in-' + w in
                           os.listdir(os.fsencode(c.path(n, 'd/a/b'))) and
                           holds(c.path(n, 'd/a/b').encode() + b'/' + w, w + b'\n'))
    for node in c.nodes:
        wait_until('all have it', AGREE_S, lambda n=node: get(c.path(n, 'd/a/b/f')) ==
                   b'one\ntwo\nthree\nfour\n' and
                   sorted(os.listdir(c.path(n, 'd/a'))) == ['b', 'four', 'three', 'two'])
    inside.close()


@test
def directories_made_moved_and_removed_while_it_is_eventual_are_so_when_it_is_strong(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/gone/below'))
    os.makedirs(c.path(1, 'd/old/kept'))
    put(c.path(1, 'd/old/kept/f'), b'1')
    switch_all(c, 'd', b'eventual')
    os.rmdir(c.path(2, 'd/gone/below'))
    os.rmdir(c.path(3, 'd/gone'))
    os.rename(c.path(2, 'd/old/kept'), c.path(2, 'd/moved'))
    os.rename(c.path(3, 'd/old'), c.path(3, 'd/renamed'))
    os.makedirs(c.path(1, f'd/renamed/x/{ODD}'))
    os.makedirs(c.path(2, 'd/gone'))
    put(c.path(3, f'd/renamed/x/{ODD}/f'), b'2')
    put(c.path(1, 'd/gone/f'), b'3')
    os.chmod(c.path(2, 'd/gone'), 0o700)
    switch(c, 'd', b'strong', 2)
    expected = ['.', 'gone', 'moved', 'renamed', 'gone/f', 'moved/f', 'renamed/x',
                f'renamed/x/{ODD}', f'renamed/x/{ODD}/f']
    for node in c.nodes:
        assert sorted(all_below(c.path(node, 'd'))) == sorted(expected)
        assert [get(c.path(node, f'd/{name}/f')) for name in ('moved', f'renamed/x/{ODD}', 'gone')
                ] == [b'1', b'2', b'3']
        assert os.stat(c.path(node, 'd/gone')).st_mode & 0o7777 == 0o700
        assert errno_of(os.mkdir, c.path(node, 'd/gone')) == errno.EEXIST
    os.rename(c.path(1, 'd/renamed'), c.path(1, 'out'))
    assert get(c.path(2, f'out/x/{ODD}/f')) == b'2'


@test
def directories_are_exchanged_with_what_is_in_them(t):
    c = t.cluster()
    for top in ('e', 's'):
        os.makedirs(c.path(1, f'{top}/a/in'))
        os.makedirs(c.path(1, f'{top}/b/c'))
        for name in ('f', 'a/in/f', 'b/f', 'b/c/f'):
            put(c.path(1, f'{top}/{name}'), name.encode())
    switch(c, 'e', b'eventual')
    for top in ('e', 's'):
        for a, b, expected in (('a', 'b', 0), ('b/in', 'a/c', 0), ('f', 'a/f', 0),
                               ('a', 'gone', errno.ENOENT), ('gone', 'a', errno.ENOENT),
                               ('a', 'a/c', errno.EINVAL), ('b/in', 'b', errno.EINVAL)):
            number = errno_of(exchange, c.path(2, f'{top}/{a}'), c.path(2, f'{top}/{b}'))
            assert number == expected, f'{top}: {a} and {b}: {errno_name(number)}'
        for node in c.nodes:
            for name, content in (('f', b'b/f'), ('a/f', b'f'), ('a/c/f', b'a/in/f'),
                                  ('b/in/f', b'b/c/f')):
                wait_until(f'{top}/{name} is there', AGREE_S,
                           lambda n=node, p=f'{top}/{name}', b=content: holds(c.path(n, p), b))
            assert sorted(os.listdir(c.path(node, top))) == ['a', 'b', 'f']
    for a, b in (('f', 'a'), ('a', 'f')):
        assert errno_of(exchange, c.path(3, f's/{a}'), c.path(3, f's/{b}')) == 0
        number = errno_of(exchange, c.path(3, f'e/{a}'), c.path(3, f'e/{b}'))
        assert number == errno.EINVAL, errno_name(number)
    assert errno_of(exchange, c.path(3, 'e/a'), c.path(3, 's/b')) == errno.EXDEV
    switch(c, 'e', b'strong', 3)
    for node in c.nodes:
        assert sorted(all_below(c.path(node, 'e'))) == sorted(all_below(c.path(node, 's')))


@test
def a_directory_takes_the_place_of_an_empty_one(t):
    c = t.cluster()
    make_eventual(c, 'd')
    for name in ('a', 'b', 'full', 'full/in', 'strong'):
        os.mkdir(c.path(1, f'd/{name}'))
    put(c.path(1, 'd/a/f'), b'a')
    put(c.path(2, 'd/file'), b'file')
    switch(c, 'd/strong', b'strong')
    for a, b, expected in (('a', 'full', errno.ENOTEMPTY), ('a', 'strong', errno.EEXIST),
                           ('a', 'file', errno.ENOTDIR), ('file', 'b', errno.EISDIR),
                           ('full', 'full/in', errno.EINVAL), ('a', 'b', 0),
                           ('full/in', 'b', errno.ENOTEMPTY)):
        number = errno_of(os.rename, c.path(3, f'd/{a}'), c.path(3, f'd/{b}'))
        assert number == expected, f'{a} to {b}: {errno_name(number)}'
    for node in c.nodes:
        wait_until('it is there', AGREE_S, lambda n=node: holds(c.path(n, 'd/b/f'), b'a'))
        assert sorted(os.listdir(c.path(node, 'd'))) == ['b', 'file', 'full', 'strong']
    c.kill(2)
    os.mkdir(c.path(1, 'd/c'))
    number = errno_of(os.rename, c.path(1, 'd/full'), c.path(1, 'd/c'))
    assert number in (errno.EBUSY, errno.EHOSTUNREACH), errno_name(number)
    assert sorted(os.listdir(c.path(1, 'd'))) == ['b', 'c', 'file', 'full', 'strong']


@test
def a_file_beside_a_directory_of_its_name_keeps_the_name_that_it_was_shown_as(t):
    c = cut_cluster(t)
    make_eventual(c, 'e')
    os.mkdir(c.path(1, 'e/sub'))
    by_node = folders(c, 'e/sub')
    c.cut(3)
    time.sleep(1)
    by_node[3].put('name', b'file')
    os.mkdir(c.path(1, 'e/sub/name'))
    put(c.path(1, 'e/sub/name/f'), b'below')
    c.heal(3)
    for node in c.nodes:
        c.wait_healthy(node)
        wait_until('both are shown', AGREE_S, lambda n=node: len(by_node[n].names()) == 2)
    shown = by_node[1].names()
    assert shown[0] == 'name' and shown[1].startswith('name~file-'), shown
    for mode in (b'strong', b'eventual', b'strong'):
        switch_all(c, 'e', mode, 2)
        for node in c.nodes:
            assert by_node[node].names() == shown
            assert by_node[node].get(shown[1]) == b'file'
            assert get(c.path(node, 'e/sub/name/f')) == b'below'
    os.rename(c.path(3, f'e/sub/{shown[1]}'), c.path(3, 'e/file'))
    subprocess.run(['rm', '-r', c.path(1, 'e/sub')], check=True)
    assert get(c.path(2, 'e/file')) == b'file'


@test
def a_directory_with_a_mode_of_its_own_keeps_it(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/own/below'))
    for path in ('d/a/f', 'd/a/own/f', 'd/a/own/below/f'):
        put(c.path(1, path), path.encode())
    switch_all(c, 'd/a/own', b'eventual')
    for mode in (b'eventual', b'strong', b'eventual', b'strong'):
        switch_all(c, 'd', mode, 2)
        for node in c.nodes:
            for path in ('d/a/f', 'd/a/own/f', 'd/a/own/below/f'):
                assert get(c.path(node, path)) == path.encode()
                assert mode_of(c, path, node) == (b'eventual' if 'own' in path else mode)
        os.mkdir(c.path(3, f'd/a/own/{mode.decode()}'))
        os.rmdir(c.path(2, f'd/a/own/{mode.decode()}'))
    switch_all(c, 'd/a/own', b'strong', 3)
    assert get(c.path(1, 'd/a/own/below/f')) == b'd/a/own/below/f'
    os.rename(c.path(1, 'd/a/own/below'), c.path(1, 'below'))
    subprocess.run(['rm', '-r', c.path(2, 'd')], check=True)
    assert get(c.path(3, 'below/f')) == b'd/a/own/below/f'


@test
def a_tree_in_many_regions_comes_whole(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b'))
    os.mkdir(c.path(1, 'd/c'))
    for node, name in ((1, 'd/a'), (2, 'd/a/b'), (3, 'd/c')):
        fill(c, name, node)
    split = ('d/c/4', 'd/a/b/6', 'd/a/b/2', 'd/a/5', 'd/a')
    for name in split:
        put(c.path(1, '.cluster/region/1/split'), f'/{name}\n'.encode(), flags=os.O_TRUNC)
    wait_until('it is split', 30, lambda: len(table(c.info(1, 'regions'))) == len(split) + 2)
    for mode in (b'eventual', b'strong', b'eventual'):
        switch_all(c, 'd', mode, 3)
        for node in c.nodes:
            assert is_complete(c.path(node, 'd/c')) and is_complete(c.path(node, 'd/a/b'))
            assert sorted(os.listdir(c.path(node, 'd'))) == ['a', 'c']
            assert set(map(str, range(600))) | {'b'} == set(os.listdir(c.path(node, 'd/a')))


# ---- what is refused


@test
def what_is_too_large_keeps_the_whole_tree_strong(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b/c'))
    put(c.path(2, 'd/a/b/c/large'), bytes((1 << 20) + 1))
    number = errno_of(switch, c, 'd', b'eventual', 2)
    assert number == errno.EFBIG, errno_name(number)
    check_unchanged(c, 'd', b'strong')
    os.truncate(c.path(2, 'd/a/b/c/large'), 1 << 20)
    switch_all(c, 'd', b'eventual', 3)
    assert os.stat(c.path(1, 'd/a/b/c/large')).st_size == 1 << 20


@test
def the_root_never_becomes_eventual(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b'))
    assert errno_of(switch, c, '.', b'eventual') == errno.EPERM
    check_unchanged(c, 'd', b'strong')


@test
def rmdir_of_an_eventual_tree_is_refused_and_changes_nothing(t):
    c = t.cluster()
    os.makedirs(c.path(1, 'd/a/b'))
    switch_all(c, 'd', b'eventual')
    for name in ('d', 'd/a'):
        for node in c.nodes:
            assert errno_of(os.rmdir, c.path(node, name)) == errno.ENOTEMPTY
    check_unchanged(c, 'd', b'eventual')
    for node in c.nodes:
        wait_until('it is seen', AGREE_S, lambda n=node: os.listdir(c.path(n, 'd/a/b')) == ['f'])
    os.unlink(c.path(1, 'd/a/b/f'))
    for node in c.nodes:
        wait_until('it is seen', AGREE_S, lambda n=node: os.listdir(c.path(n, 'd/a/b')) == [])
    subprocess.run(['rm', '-r', c.path(1, 'd')], check=True)


main()
