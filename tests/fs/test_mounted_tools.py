#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What shells and tools do, and what open files live through."""

import errno
import os
import stat
import sys
import threading
import time

from mounted import error_of, main, read, rename2, write


# ---- shells and tools ----

def test_write_read_append(m):
    m.ok("echo one > f; echo two >> f")
    assert m.ok("cat f") == "one\ntwo\n"
    assert m.ok("cat f", shell="dash") == "one\ntwo\n"
    assert m.ok("stat -c '%s %h %o %F' f") == "8 1 1048576 regular file\n"


def test_echo_over_existing_is_one_request(m):
    for shell in ("bash", "dash"):
        m.ok("echo old > f")
        m.order("trace")
        m.ok("echo new > f", shell=shell)
        assert m.trace("WRITE") == ["WRITE f offset=0 size=4 truncate"]


def test_echo_over_existing_never_shows_empty(m):
    m.ok("echo old-old > f")
    m.order("fault WRITE * delay=20")
    seen = set()
    stop = threading.Event()

    def look():
        while not stop.is_set():
            seen.add(read(m.path("f")))
            seen.add(os.stat(m.path("f")).st_size)

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(10):
        m.ok("echo new > f; echo old-old > f")
    stop.set()
    reader.join()
    assert seen <= {"new\n", "old-old\n", 4, 8}, seen


def test_stat_beside_writers_never_shows_empty(m):
    """A size that the kernel kept would be 0 between open() and write()."""
    m.ok("echo old-old > f")
    sizes = set()
    done = threading.Event()

    def look():
        while not done.is_set():
            sizes.add(os.stat(m.path("f")).st_size)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(1000):
        write(m.path("f"), "new\n" if i % 2 else "old-old\n")
    done.set()
    for reader in readers:
        reader.join()
    assert sizes <= {4, 8}, sizes


def asked_by_open(m, path):
    m.order("trace")
    os.close(os.open(path, os.O_RDONLY))
    return [t for t in m.trace("GETATTR", "LOOKUP", "READ") if t != "GETATTR "]


def test_an_open_is_one_walk(m):
    """What goes on with one is marked; a busy machine may take too long for it."""
    m.ok("echo v > f; mkdir d; echo v > d/f")
    assert any(asked_by_open(m, m.path("f")) == ["LOOKUP f walk", "READ f walk"]
               for _ in range(100))
    assert any(asked_by_open(m, m.path("d/f")) ==
               ["LOOKUP d walk", "LOOKUP f", "READ f walk"] for _ in range(100))


def test_what_is_opened_after_something_else_is_no_walk(m):
    m.ok("echo v > f; echo v > g")
    fd = os.open(m.path("f"), os.O_PATH)
    os.stat(m.path("g"))
    assert asked_by_open(m, f"/proc/self/fd/{fd}") in (
        ["READ f"], ["GETATTR f", "READ f walk"])
    os.close(fd)


def test_stat_asks_once(m):
    """Attributes are good for 4 ms, which a busy machine may take for one."""
    def asked():
        m.order("trace")
        os.stat(m.path("f"))
        return "GETATTR f" in m.trace("GETATTR")

    m.ok("printf value >> f")
    assert not all(asked() for _ in range(100))
    write(m.path("f"), "value")
    assert not all(asked() for _ in range(100))


def test_fstat_shows_what_was_written_just_now(m):
    with open(m.path("f"), "w") as f:
        for size in range(1, 20):
            f.write("x")
            f.flush()
            assert os.fstat(f.fileno()).st_size == size
    os.chmod(m.path("f"), 0o600)
    with open(m.path("f")) as f:
        assert os.fstat(f.fileno()).st_mode & 0o777 == 0o600
        os.fchmod(f.fileno(), 0o640)
        assert os.fstat(f.fileno()).st_mode & 0o777 == 0o640


def test_bare_truncation_is_carried_out(m):
    for script in (": > f", "> f", "true > f", "truncate -s0 f",
                   "python3 -c 'open(\"f\", \"w\")'",
                   "dd if=/dev/null of=f 2>/dev/null", "cp /dev/null f"):
        m.ok("echo value > f")
        m.order("trace")
        m.ok(script)
        assert m.ok("cat f") == "", script
        assert m.ok("stat -c %s f") == "0\n", script
        writes = m.trace("WRITE")
        assert writes == ["WRITE f offset=0 size=0 truncate"], writes


def test_a_flush_before_the_write_does_not_empty(m):
    write(m.path("f"), "old")
    m.order("trace")
    fd = os.open(m.path("f"), os.O_WRONLY | os.O_TRUNC)
    os.close(os.dup(fd))
    assert m.trace("WRITE") == []
    assert os.fstat(fd).st_size == 0
    os.write(fd, b"new")
    os.close(fd)
    assert m.trace("WRITE") == ["WRITE f offset=0 size=3 truncate"]
    assert read(m.path("f")) == "new"


def test_a_failed_write_leaves_the_old_value(m):
    m.ok("echo old > f")
    m.order("fault WRITE * error=NO_QUORUM")
    for shell in ("bash", "dash"):
        assert m.sh("echo new > f", shell=shell).returncode != 0
    m.order("clear")
    assert m.ok("cat f") == "old\n"


def test_a_bare_truncation_fails_visibly_at_open(m):
    m.ok("echo old > f")
    m.order("fault GETATTR f error=NO_QUORUM")
    done = m.sh(": > f")
    assert done.returncode != 0 and "No route to host" in done.stderr
    m.order("clear")
    assert m.ok("cat f") == "old\n"


def test_close_after_open_trunc_is_waited_for(m):
    """Truncated by RELEASE only: who asks after close(2) sees it done."""
    m.ok("echo old > f")
    m.order("fault WRITE f delay=100")
    with open(m.path("f"), "w"):
        pass
    assert read(m.path("f")) == ""
    assert os.stat(m.path("f")).st_size == 0


def test_old_staged_truncation_comes_before_other_writers(m):
    m.ok("echo old-value > f")
    fd = os.open(m.path("f"), os.O_WRONLY | os.O_TRUNC)
    time.sleep(0.15)
    m.ok("echo hello >> f")
    assert read(m.path("f")) == "hello\n"
    os.close(fd)
    assert read(m.path("f")) == "hello\n"


def test_vim_style_ftruncate_is_joined(m):
    m.ok("echo old-value > f")
    m.order("trace")
    fd = os.open(m.path("f"), os.O_WRONLY)
    os.ftruncate(fd, 0)
    assert os.fstat(fd).st_size == 0
    os.write(fd, b"new\n")
    os.fsync(fd)
    os.close(fd)
    assert m.trace("WRITE") == ["WRITE f offset=0 size=4 truncate"]
    assert read(m.path("f")) == "new\n"


def test_two_creators_do_not_mix(m):
    """What `echo > new` on two nodes does: the second value is whole."""
    fd = os.open(m.path("f"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    m.order("write /f longer-value-of-another-node")
    os.write(fd, b"mine")
    os.close(fd)
    assert read(m.path("f")) == "mine"


def test_append_ignores_the_kernels_offset(m):
    fd = os.open(m.path("f"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"a")
    m.order("write /f remote")
    os.write(fd, b"b")
    os.close(fd)
    assert read(m.path("f")) == "remoteb"


def test_cp_a_mv_sed_tar(m):
    m.ok("mkdir -p a/b; echo 1 > a/x; echo 2 > a/b/y; ln -s x a/l; mkfifo a/p;"
         "chmod 750 a/b; touch -d 2001-02-03T04:05:06.789Z a/x;"
         "setfattr -n user.k -v v a/x; cp -a a c")
    assert m.ok("diff <(cd a; find . -not -type p -printf '%P %m %T@ %l\n' |"
                " sort) <(cd c; find . -not -type p -printf '%P %m %T@ %l\n' |"
                " sort)") == ""
    assert m.ok("getfattr --only-values -n user.k c/x") == "v"
    m.ok("mv c/x c/z; sed -i s/1/one/ c/z")
    assert m.ok("cat c/z") == "one\n"
    assert m.ok("tar cf - a | tar tf - | sort | tail -1") == "a/x\n"
    m.ok("rm -r a c; test -z \"$(ls -A)\"")


def test_link_and_devices_are_refused(m):
    m.ok("echo 1 > f")
    assert error_of(os.link, m.path("f"), m.path("g")) == errno.EPERM
    assert error_of(os.mknod, m.path("n"), stat.S_IFCHR | 0o600,
                    os.makedev(1, 3)) == errno.EPERM
    os.mknod(m.path("s"), stat.S_IFSOCK | 0o600)
    assert stat.S_ISSOCK(os.stat(m.path("s")).st_mode)


def test_rename_flags(m):
    m.ok("echo a > a; echo b > b")
    assert rename2(m.path("a"), m.path("b"), 1) == errno.EEXIST
    assert rename2(m.path("a"), m.path("b"), 2) == 0
    assert (read(m.path("a")), read(m.path("b"))) == ("b\n", "a\n")
    assert rename2(m.path("a"), m.path("c"), 1) == 0
    assert rename2(m.path("b"), m.path("x"), 2) == errno.ENOENT
    assert rename2(m.path("b"), m.path("x"), 4) == errno.EINVAL
    os.rename(m.path("b"), m.path("c"))
    assert read(m.path("c")) == "a\n"


def test_an_open_file_follows_its_rename(m):
    with open(m.path("f"), "w+") as f:
        f.write("1")
        f.flush()
        os.rename(m.path("f"), m.path("g"))
        f.write("2")
        f.flush()
        assert os.fstat(f.fileno()).st_size == 2
        m.ok("echo other > h")
        assert rename2(m.path("g"), m.path("h"), 2) == 0
        f.write("3")
        f.flush()
        assert os.pread(f.fileno(), 9, 0) == b"123"
    assert read(m.path("h")) == "123"


def test_reads_wait_for_a_rename_under_way(m):
    m.ok("echo v > f")
    m.order("fault RENAME * delay=200 late")
    with open(m.path("f")) as f:
        mover = threading.Thread(target=os.rename,
                                 args=(m.path("f"), m.path("g")))
        mover.start()
        time.sleep(0.05)
        assert os.fstat(f.fileno()).st_size == 2
        assert f.read() == "v\n"
        mover.join()


def test_o_excl_has_one_winner(m):
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    os.close(os.open(m.path("f"), flags))
    assert error_of(os.open, m.path("f"), flags) == errno.EEXIST
    m.order("fault LOOKUP g error=NOT_FOUND count=1")
    m.order("write /g 1")
    assert error_of(os.open, m.path("g"), flags) == errno.EEXIST


def test_create_of_what_exists_by_now(m):
    m.order("write /g remote")
    m.order("fault LOOKUP g error=NOT_FOUND count=1")
    m.ok("echo mine > g")
    assert read(m.path("g")) == "mine\n"


def test_create_does_not_open_what_the_caller_may_not(m):
    m.ok("echo secret > g; chmod 600 g; chmod 777 .")
    m.order("fault LOOKUP g error=NOT_FOUND count=1")
    done = m.sh("setpriv --reuid 1000 --clear-groups bash -c 'echo x >> g'")
    assert "Permission denied" in done.stderr, done
    assert m.ok("cat g") == "secret\n"


def test_estale_walks_again(m):
    """The file was replaced or removed behind the kernel's LOOKUP."""
    m.order("write /f first")
    m.order("fault READ f error=STALE count=1")
    assert read(m.path("f")) == "first"
    m.order("fault GETATTR f error=STALE count=1")
    m.ok("echo second > f")
    assert read(m.path("f")) == "second\n"
    m.order("fault GETATTR f error=STALE count=1")
    assert os.stat(m.path("f")).st_size == 7


def test_unlink_while_open(m):
    m.ok("echo value > f")
    with open(m.path("f")) as f:
        os.unlink(m.path("f"))
        assert os.fstat(f.fileno()).st_nlink == 0
        assert f.read() == "value\n"
        assert os.pread(f.fileno(), 3, 2) == b"lue"
    fd = os.open(m.path("g"), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"abc")
    os.unlink(m.path("g"))
    assert os.pread(fd, 9, 0) == b"abc"
    assert error_of(os.write, fd, b"x") == errno.ESTALE
    os.close(fd)


def test_replaced_while_open(m):
    m.ok("echo old > f; echo new > g")
    with open(m.path("f")) as f:
        os.rename(m.path("g"), m.path("f"))
        assert f.read() == "old\n"
    assert read(m.path("f")) == "new\n"


def test_removed_elsewhere_while_open(m):
    m.ok("echo value > f")
    with open(m.path("f")) as f:
        m.order("unlink /f")
        assert f.read() == "value\n"
        assert error_of(os.fstat, f.fileno()) == errno.ESTALE


if __name__ == "__main__":
    sys.exit(main(globals()))
