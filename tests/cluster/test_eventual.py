#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eventual directories: a mount that is all alone goes on, and all agree when
they can reach each other again."""

import errno
import os
import shutil
import subprocess
import time

from eventual_folders import (AGREE_S, MODE, OP_TIMEOUT_S, close, cut_folders, folders,
                              holds, make_eventual, open_cut_off, refused, wait_agreed)
from harness import (errno_name, errno_of, get, load, main, put, table, test, together,
                     wait_until)
from trees import odd_files, real_files, same_content


# ---- going on alone


@test
def a_file_that_was_removed_does_not_come_back_from_a_node_that_was_cut_off(t):
    c, by_node = cut_folders(t)
    for name in ('untouched', 'older', 'newer'):
        by_node[1].put(name, b'old\n')
    wait_agreed(t, by_node)
    c.cut(3)
    by_node[3].put('older', b'written before it was removed\n')
    time.sleep(0.1)
    for name in ('untouched', 'older', 'newer'):
        by_node[1].unlink(name)
    time.sleep(0.1)
    by_node[3].put('newer', b'written after it was removed\n')
    assert by_node[3].names() == ['newer', 'older', 'untouched']
    assert by_node[2].names() == []
    c.heal(3)
    shown = wait_agreed(t, by_node)
    assert shown == {'newer': b'written after it was removed\n'}, shown
    time.sleep(3)
    assert wait_agreed(t, by_node) == shown
    close(by_node)


@test
def each_mount_sees_its_own_writes_at_once_and_never_goes_back(t):
    c = t.cluster()
    make_eventual(c, 'e')
    by_node = folders(c, 'e')

    def version(folder, name):
        fd = os.open(name, os.O_RDONLY, dir_fd=folder.fd)
        try:
            return tuple(map(int, os.getxattr(fd, 'user.grove.version').split(b'.')))
        finally:
            os.close(fd)

    def work(node):
        folder = by_node[node]
        newest = (0, 0, 0)
        ending = time.monotonic() + 4
        i = 0
        while time.monotonic() < ending:
            own, shared = f'own-{node}', f'shared-{i % 3}'
            folder.put(own, b'%d\n' % i)
            assert folder.get(own) == b'%d\n' % i
            folder.put(shared, b'%d\n' % node)
            if i % 3 == 0:
                seen = version(folder, shared)
                assert seen > newest, f'{seen} behind {newest}'
                newest = seen
            folder.put(f'here-{node}', b'x', os.O_CREAT)
            assert f'here-{node}' in folder.names()
            folder.unlink(f'here-{node}')
            assert f'here-{node}' not in folder.names()
            i += 1
        t.say(f'node {node}: {i} rounds')

    together(*(lambda n=n: work(n) for n in c.nodes))
    wait_agreed(t, by_node)
    close(by_node)


# ---- crashes


@test
def acknowledged_writes_survive_kill_9_of_all_nodes_at_once(t):
    c = t.cluster()
    make_eventual(c, 'e')
    written = {}
    for turn in range(3):
        by_node = folders(c, 'e')

        def write(node, turn=turn, by_node=by_node):
            for i in range(100):
                name = f'{node}-{i}'
                written[name] = b'%d in turn %d\n' % (i, turn) * (1 + i * 20)
                by_node[node].put(name, written[name])

        together(*(lambda n=n: write(n) for n in c.nodes))
        c.kill(*c.nodes)
        close(by_node)
        c.start(*c.nodes)
        by_node = folders(c, 'e')
        for node in c.nodes:
            for i in range(100):
                name = f'{node}-{i}'
                assert by_node[node].get(name) == written[name], f'{name} after turn {turn}'
        assert wait_agreed(t, by_node) == written
        close(by_node)


@test
def a_cut_off_node_keeps_what_it_has_acknowledged_when_it_is_killed(t):
    c, by_node = cut_folders(t)
    by_node[1].put('before', b'0')
    wait_agreed(t, by_node)
    c.cut(3)
    time.sleep(1)
    for i in range(50):
        by_node[3].put(f'alone-{i}', b'%d' % i)
    by_node[3].close()
    c.kill(3)
    by_node[3] = open_cut_off(c, 3, 'e')
    for i in range(50):
        assert by_node[3].get(f'alone-{i}') == b'%d' % i
        by_node[3].put(f'again-{i}', b'%d' % i)
    by_node[1].put('meanwhile', b'1')
    c.heal(3)
    shown = wait_agreed(t, by_node)
    assert len(shown) == 102, sorted(shown)
    close(by_node)


# ---- the attribute


@test
def a_directory_becomes_eventual_and_strong_again_by_its_attribute(t):
    c = t.cluster()
    os.mkdir(c.path(1, 'd'))
    assert os.getxattr(c.path(2, 'd'), MODE) == b'strong'
    os.setxattr(c.path(2, 'd'), MODE, b'eventual')
    os.mkdir(c.path(3, 'd/sub'))
    put(c.path(3, 'd/sub/f'), b'x')
    for node in c.nodes:
        assert os.getxattr(c.path(node, 'd'), MODE) == b'eventual'
        assert os.getxattr(c.path(node, 'd/sub'), MODE) == b'eventual'
        assert os.getxattr(c.mount(node), MODE) == b'strong'
    assert os.getxattr(c.path(3, 'd/sub/f'), MODE) == b'eventual'
    os.unlink(c.path(3, 'd/sub/f'))
    wait_until('node 1 knows', AGREE_S, lambda: os.listdir(c.path(1, 'd/sub')) == [])
    os.rmdir(c.path(1, 'd/sub'))
    os.setxattr(c.path(1, 'd'), MODE, b'strong')
    for node in c.nodes:
        assert os.getxattr(c.path(node, 'd'), MODE) == b'strong'
        put(c.path(node, 'd/f'), b'%d' % node)
        assert {get(f'{mount}/d/f') for mount in c.mounts()} == {b'%d' % node}
    os.unlink(c.path(2, 'd/f'))
    os.setxattr(c.path(3, 'd'), MODE, b'eventual')
    os.removexattr(c.path(2, 'd'), MODE)
    assert os.getxattr(c.path(1, 'd'), MODE) == b'strong'
    os.rmdir(c.path(1, 'd'))


def set_by_another_user(path):
    """The errno of setting the attribute as somebody who may write there, but
    does not own it."""
    fd = os.open(path, os.O_RDONLY)
    done = subprocess.run(['setfattr', '-n', MODE, '-v', 'eventual', f'/proc/self/fd/{fd}'],
                          user=1234, group=1234, extra_groups=[], pass_fds=(fd,), cwd='/',
                          capture_output=True, text=True, check=False)
    os.close(fd)
    assert done.returncode != 0
    return done.stderr.splitlines()[-1]


@test
def what_cannot_become_eventual_says_why(t):
    c = t.cluster()
    os.mkdir(c.path(1, 'free'))
    os.chmod(c.path(1, 'free'), 0o777)
    make_eventual(c, 'e')
    os.mkdir(c.path(1, 'e/sub'))
    put(c.path(2, 'e/f'), b'x')
    for path, value, expected in (('free', b'weak', errno.EINVAL),
                                  ('free', b'eventual\n', errno.EINVAL),
                                  ('.', b'eventual', errno.EPERM)):
        number = errno_of(os.setxattr, c.path(2, path), MODE, value)
        assert number == expected, f'{path} {value}: {errno_name(number)}'
    assert 'Operation not permitted' in set_by_another_user(c.path(3, 'free'))
    assert os.getxattr(c.path(1, 'free'), MODE) == b'strong'
    for path in ('free', 'e', 'e/sub'):
        put(c.path(3, f'{path}/later'), b'x')


# ---- trees


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, errors='replace', check=False)
    assert done.returncode == 0, f'{words}: {done.stderr}'


def wait_same(tree, copies):
    """Until all copies are the same as the tree."""
    def same():
        try:
            for copy in copies:
                same_content(tree, copy)
        except AssertionError as e:
            same.why = str(e)
            return False
        return True
    same.why = ''
    try:
        wait_until('all copies are the same', AGREE_S, same, 0.2)
    except AssertionError as e:
        raise AssertionError(f'{e}: {same.why}') from None


@test
def trees_are_copied_moved_and_removed_in_eventual_directories(t):
    c = t.cluster()
    tree = t.scratch('tree')
    real_files(f'{tree}/real', 60)
    make_eventual(c, 'e')
    run('cp', '-r', f'{tree}/real', c.path(1, 'e/real'))
    wait_same(f'{tree}/real', [c.path(node, 'e/real') for node in c.nodes])
    run('mkdir', '-p', c.path(2, 'e/a/b/c'))
    run('mv', c.path(2, 'e/real'), c.path(2, 'e/a/b/moved'))
    assert all(os.listdir(c.path(node, 'e')) == ['a'] for node in c.nodes)
    wait_same(f'{tree}/real', [c.path(node, 'e/a/b/moved') for node in c.nodes])
    put(c.path(3, 'e/a/f'), b'x')
    run('mv', c.path(3, 'e/a/f'), c.path(3, 'e/a/b/c/g'))
    wait_until('the moved file is seen', AGREE_S,
               lambda: os.listdir(c.path(1, 'e/a/b/c')) == ['g'] and
               os.listdir(c.path(1, 'e/a')) == ['b'])
    run('rm', '-r', c.path(1, 'e/a'))
    assert all(os.listdir(c.path(node, 'e')) == [] for node in c.nodes)
    os.setxattr(c.path(2, 'e'), MODE, b'strong')


@test
def odd_files_and_moves_out_of_an_eventual_directory_work(t):
    c = t.cluster()
    tree = t.scratch('tree')
    odd_files(f'{tree}/odd')
    os.unlink(f'{tree}/odd/three')  # It has 3 MiB.
    make_eventual(c, 'e')
    run('cp', '-a', f'{tree}/odd', c.path(1, 'e/odd'))
    wait_same(f'{tree}/odd', [c.path(node, 'e/odd') for node in c.nodes])
    # rename(2) does not go from one into the other; mv copies.
    assert errno_of(os.rename, c.path(2, 'e/odd/none'), c.path(2, 'none')) == errno.EXDEV
    run('mv', c.path(2, 'e/odd/none'), c.path(2, 'none'))
    assert all(get(c.path(node, 'none')) == b'' for node in c.nodes)
    assert errno_of(os.rename, c.path(2, 'e/odd'), c.path(2, 'odd')) == errno.EXDEV


# ---- files


@test
def files_in_eventual_directories_are_files_on_all_mounts(t):
    c = t.cluster()
    make_eventual(c, 'e')
    f = c.path(1, 'e/f')
    put(f, b'one\n')
    put(f, b'two\n', os.O_APPEND)
    os.symlink('f', c.path(1, 'e/link'))
    os.chmod(f, 0o640)
    os.chown(f, 12, 34)
    os.setxattr(f, 'user.color', b'green')
    put(c.path(1, 'e/short'), b'0123456789')
    os.truncate(c.path(1, 'e/short'), 4)
    os.rename(c.path(1, 'e/short'), c.path(1, 'e/renamed'))
    os.utime(f, ns=(5, 7))

    def seen(node):
        path = c.path(node, 'e')
        if sorted(os.listdir(path)) != ['f', 'link', 'renamed']:
            return None
        s = os.stat(f'{path}/f')
        return (get(f'{path}/link'), get(f'{path}/renamed'), oct(s.st_mode), s.st_uid, s.st_gid,
                s.st_mtime_ns, os.listxattr(f'{path}/f'), os.getxattr(f'{path}/f', 'user.color'))

    expected = (b'one\ntwo\n', b'0123', '0o100640', 12, 34, 7, ['user.color'], b'green')
    assert seen(1) == expected, seen(1)
    for node in (2, 3):
        wait_until(f'node {node} shows all of it', AGREE_S, lambda n=node: seen(n) == expected)


@test
def a_value_of_more_than_1_MiB_is_refused_and_the_old_one_stays(t):
    c = t.cluster()
    make_eventual(c, 'e')
    large = os.urandom(1 << 20)
    put(c.path(1, 'e/f'), large)
    assert errno_of(put, c.path(1, 'e/f'), b'x', os.O_APPEND) == errno.EFBIG
    assert errno_of(os.truncate, c.path(1, 'e/f'), (1 << 20) + 1) == errno.EFBIG
    assert get(c.path(1, 'e/f')) == large
    for node in (2, 3):
        wait_until(f'node {node} has it', AGREE_S,
                   lambda n=node: holds(c.path(n, 'e/f'), large))


@test
def a_node_that_joins_gets_all_of_it(t):
    c = t.cluster()
    make_eventual(c, 'e')
    os.mkdir(c.path(1, 'e/sub'))
    expected = {f'{i}': b'%d\n' % i * 1000 for i in range(100)}
    for name, data in expected.items():
        put(c.path(1 + int(name) % 3, f'e/sub/{name}'), data)
    node = c.add()
    by_node = folders(c, 'e/sub')
    assert wait_agreed(t, by_node, 30) == expected
    by_node[node].put('mine', b'4\n')
    by_node[node].unlink('7')
    del expected['7']
    assert wait_agreed(t, by_node) == {**expected, 'mine': b'4\n'}
    close(by_node)


# ---- what needs all nodes


@test
def no_switch_without_all_nodes_and_the_directory_stays_usable(t):
    c = t.cluster(options=f'op_timeout={OP_TIMEOUT_S}')
    make_eventual(c, 'e')
    make_eventual(c, 'kept')
    os.mkdir(c.path(1, 'kept/sub'))
    c.kill(3)
    for call in (lambda: os.setxattr(c.path(1, 'e'), MODE, b'strong'),
                 lambda: os.rmdir(c.path(2, 'e')),
                 lambda: os.rmdir(c.path(2, 'kept/sub'))):
        number, seconds = refused(call)
        t.say(f'{errno_name(number)} after {seconds:.1f} s')
        assert number in (errno.EBUSY, errno.EHOSTUNREACH), errno_name(number)
        assert seconds < 10, seconds
    for node in (1, 2):
        assert os.getxattr(c.path(node, 'e'), MODE) == b'eventual'
        put(c.path(node, f'e/{node}'), b'x')
        put(c.path(node, f'kept/sub/{node}'), b'x')
    c.start(3)
    by_node = folders(c, 'e')
    assert sorted(wait_agreed(t, by_node)) == ['1', '2']
    for name in ('1', '2'):
        os.unlink(c.path(3, f'e/{name}'))
    os.setxattr(c.path(3, 'e'), MODE, b'strong')
    shutil.rmtree(c.path(1, 'kept'))
    assert os.listdir(c.mount(2)) == ['e']
    close(by_node)


@test
def what_a_cut_off_node_has_accepted_keeps_the_directory_eventual(t):
    c, by_node = cut_folders(t)
    c.cut(3)
    time.sleep(1)
    by_node[3].put('only here', b'x')
    assert by_node[1].names() == []
    number, _ = refused(lambda: os.rmdir(c.path(1, 'e')))
    assert number in (errno.EBUSY, errno.EHOSTUNREACH), errno_name(number)
    c.heal(3)
    c.wait_healthy(3)
    number = errno_of(os.rmdir, c.path(1, 'e'))
    assert number == errno.ENOTEMPTY, errno_name(number)
    assert wait_agreed(t, by_node) == {'only here': b'x'}
    close(by_node)


# ---- what is shown


@test
def the_table_of_what_others_lack_fills_and_empties(t):
    c, by_node = cut_folders(t)

    def pending(node):
        return {int(row['peer']): (row['pending_entries'], row['state'])
                for row in table(c.info(node, 'eventual'))}

    wait_until('nothing is pending', 10, lambda: pending(1) == {2: ('0', 'ok'), 3: ('0', 'ok')})
    c.cut(3)
    for i in range(10):
        by_node[1].put(f'{i}', b'x')
    wait_until('node 3 lacks ten', 10,
               lambda: pending(1) == {2: ('0', 'ok'), 3: ('10', 'silent')})
    c.heal(3)
    wait_until('nothing is pending', 20, lambda: pending(1) == {2: ('0', 'ok'), 3: ('0', 'ok')})
    close(by_node)


@test
def strong_and_eventual_directories_do_not_hold_each_other_up(t):
    c, by_node = cut_folders(t)
    writers = load(c, [1, 2])
    c.cut(3)
    began = time.monotonic()
    i = 0
    while time.monotonic() < began + 6:
        by_node[3].put(f'{i % 10}', b'%d' % i)
        i += 1
    t.say(f'{i} writes alone')
    assert i > 50, i
    c.heal(3)
    c.wait_caught_up(3, entries=100)
    for writer in writers:
        writer.end()
    c.wait_caught_up(3)
    for writer in writers:
        for mount in c.mounts():
            writer.check(mount)
    wait_agreed(t, by_node)
    close(by_node)


main()
