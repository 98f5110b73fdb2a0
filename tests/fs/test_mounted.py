#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fs/ on a fake engine, really mounted: what shells and tools see.

usage: test_mounted.py GROVEFS-FAKE [TEST...]

Each test has a mount of its own in a temporary folder, and gives orders to
the fake engine behind it (tests/fs/fake_control.c): faults, delays, and what
"another node" has changed. Prints one line per test and "N passed, N failed".
Nothing stays mounted, whatever happens.
"""

import ctypes
import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SKIP = 77
MIB = 1024 * 1024
libc = ctypes.CDLL(None, use_errno=True)


class Mount:
    """One daemon, its store folder and its mountpoint."""

    def __init__(self, binary, options="", ready=True):
        self.binary = binary
        self.base = tempfile.mkdtemp(prefix="grovefs-fs-")
        self.root = self.base + "/mnt"
        self.data = self.base + "/data"
        self.pid = None
        os.chmod(self.base, 0o711)
        os.mkdir(self.root)
        self.start(options)

    def start(self, options=""):
        options = f"data={self.data}" + ("," + options if options else "")
        with open(self.base + "/log", "a") as log:
            self.started = subprocess.run(
                [self.binary, "-o", options, self.root],
                stderr=log, stdin=subprocess.DEVNULL, timeout=20)
        self.pid = self.find_pid()

    def find_pid(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline") as f:
                    if self.root in f.read().split("\0"):
                        return int(pid)
            except OSError:
                pass
        return None

    def path(self, name):
        return self.root + "/" + name

    def order(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.data + "/CTL")
            s.sendall(line.encode() + b"\n")
            got = b""
            while chunk := s.recv(65536):
                got += chunk
        answer = got.decode().splitlines()
        assert answer[-1] == "ok", answer[-1]
        return answer[:-1]

    def trace(self, *kinds):
        return [t for t in self.order("trace") if t.split()[0] in kinds]

    def log(self):
        try:
            return read(self.base + "/log")
        except FileNotFoundError:
            return ""

    def sh(self, script, timeout=20, shell="bash"):
        return subprocess.run([shell, "-c", script], cwd=self.root,
                              capture_output=True, text=True, timeout=timeout)

    def ok(self, script, **more):
        done = self.sh(script, **more)
        assert done.returncode == 0, (script, done.returncode, done.stderr)
        return done.stdout

    def is_mounted(self):
        with open("/proc/self/mounts") as f:
            return any(line.split()[1] == self.root for line in f)

    def alive(self):
        if self.pid is None:
            return False
        try:
            with open(f"/proc/{self.pid}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def wait_end(self, seconds=10):
        until = time.time() + seconds
        while self.alive() and time.time() < until:
            time.sleep(0.01)
        assert not self.alive(), "the daemon does not end"

    def close(self):
        if self.alive():
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.wait_end()
            except AssertionError:
                os.kill(self.pid, signal.SIGKILL)
        while self.is_mounted():
            libc.umount2(self.root.encode(), 2)
        shutil.rmtree(self.base)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


def error_of(call, *arguments):
    try:
        call(*arguments)
    except OSError as e:
        return e.errno
    return 0


def until(condition, seconds=5):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, "waited in vain"
        time.sleep(0.005)


def rename2(a, b, flags):
    if libc.renameat2(-100, a.encode(), -100, b.encode(), flags) != 0:
        return ctypes.get_errno()
    return 0


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


# ---- contents ----

def test_one_reader_sees_one_value(m):
    m.order("write /f " + "a" * 3000)
    fd = os.open(m.path("f"), os.O_RDONLY)
    assert os.read(fd, 1000) == b"a" * 1000
    m.order("write /f " + "b" * 3000)
    assert os.read(fd, 3000) == b"a" * 2000
    assert os.read(fd, 1) == b""
    assert os.pread(fd, 3, 0) == b"bbb"
    os.close(fd)


def test_the_first_read_is_fresh(m):
    m.order("write /f old")
    fd = os.open(m.path("f"), os.O_RDONLY)
    m.order("write /f new")
    assert os.read(fd, 10) == b"new"
    os.close(fd)


def test_growth_is_seen_behind_the_end(m):
    m.order("write /f one")
    fd = os.open(m.path("f"), os.O_RDONLY)
    assert os.read(fd, 10) == b"one"
    assert os.read(fd, 10) == b""
    m.order("write /f one-two")
    assert os.read(fd, 10) == b"-two"
    os.close(fd)


def test_a_local_write_is_seen_by_open_readers(m):
    write(m.path("f"), "0123456789")
    fd = os.open(m.path("f"), os.O_RDONLY)
    assert os.read(fd, 5) == b"01234"
    with open(m.path("f"), "r+") as f:
        f.seek(5)
        f.write("xy")
    assert os.read(fd, 9) == b"xy789"
    os.close(fd)


def test_a_local_replacement_is_not_mixed_into_a_reader(m):
    write(m.path("f"), "0123456789")
    fd = os.open(m.path("f"), os.O_RDONLY)
    assert os.read(fd, 5) == b"01234"
    write(m.path("f"), "abcdefghijkl")
    assert os.read(fd, 9) == b"56789"
    assert os.read(fd, 9) == b""
    assert os.pread(fd, 3, 0) == b"abc"
    os.close(fd)


def test_cat_is_two_reads(m):
    m.ok("echo v > f")
    m.order("trace")
    m.ok("cat f")
    assert len(m.trace("READ")) == 2


def test_a_line_loop_sees_one_value(m):
    write(m.path("f"), "".join(f"{i} a\n" for i in range(100)))
    m.order("trace")
    out = m.ok("while read -r n v; do echo $n; done < f")
    assert out == "".join(f"{i}\n" for i in range(100))
    assert len(m.trace("READ")) <= 3


def test_sixty_four_mib(m):
    m.ok("head -c 67108864 /dev/urandom > ../big; cp ../big f; cmp ../big f")
    assert m.ok("tail -c 5 f | cmp - <(tail -c 5 ../big)") == ""
    assert all(int(t.split("size=")[1].split()[0]) <= MIB
               for t in m.trace("WRITE"))
    fd = os.open(m.path("f"), os.O_WRONLY)
    assert error_of(os.pwrite, fd, b"x", 64 * MIB) == errno.EFBIG
    os.close(fd)
    assert os.stat(m.path("f")).st_size == 64 * MIB


def test_offsets_that_overflow(m):
    fd = os.open(m.path("f"), os.O_RDWR | os.O_CREAT)
    assert error_of(os.pwrite, fd, b"x", 2**62) == errno.EFBIG
    assert error_of(os.ftruncate, fd, 2**50) == errno.EFBIG
    assert os.pread(fd, 10, 2**62) == b""
    os.close(fd)


def test_truncate_and_fallocate(m):
    m.ok("echo 12345 > f; truncate -s 3 f")
    assert read(m.path("f")) == "123"
    m.ok("truncate -s 6 f; fallocate -l 10 f; fallocate -l 2 f")
    assert os.stat(m.path("f")).st_size == 10
    assert m.sh("fallocate -p -l 2 f").returncode != 0


def test_kept_contents_are_bounded(m):
    """80 open readers of 1 MiB: some go uncached, all are right."""
    data = os.urandom(MIB)
    with open(m.path("f"), "wb") as f:
        f.write(data)
    fds = [os.open(m.path("f"), os.O_RDONLY) for _ in range(80)]
    for fd in fds:
        assert os.read(fd, 1000) == data[:1000]
    for fd in fds:
        assert os.read(fd, 1000) == data[1000:2000]
        os.close(fd)


# ---- attributes ----

def test_setattr(m):
    m.ok("echo 1 > f; chmod 4711 f; chown 12:34 f; chmod 4711 f;"
         "touch -a -d @5.5 f; touch -m -d @7 f")
    assert m.ok("stat -c '%a %u %g %.1X %Y' f") == "4711 12 34 5.5 7\n"
    now = time.time()
    m.ok("touch f")
    assert abs(os.stat(m.path("f")).st_mtime - now) < 5


def test_a_users_write_drops_set_uid(m):
    m.ok("echo 1 > f; chmod 4777 f; chmod 777 .")
    m.ok("setpriv --reuid 1000 --clear-groups bash -c 'echo 2 >> f'")
    assert m.ok("stat -c %a f") == "777\n"


def test_set_gid_directory_is_inherited(m):
    m.ok("mkdir d; chown 0:77 d; chmod 2775 d; echo 1 > d/f; mkdir d/e;"
         "ln -s x d/l")
    assert m.ok("stat -c '%g %a' d/f d/e") == "77 644\n77 2755\n"
    assert m.ok("stat -c %g d/l") == "77\n"


def test_names(m):
    long = "n" * 255
    m.ok(f"echo 1 > {long}; mv {long} $'a\\nb\\xff'; rm $'a\\nb\\xff'")
    for call in (os.stat, os.mkdir, os.unlink, os.rmdir):
        assert error_of(call, m.path(long + "n")) == errno.ENAMETOOLONG
    m.ok("echo 1 > f")
    assert error_of(os.rename, m.path("f"),
                    m.path(long + "n")) == errno.ENAMETOOLONG
    os.symlink("t" * 4095, m.path("l"))
    assert os.readlink(m.path("l")) == "t" * 4095


def test_xattrs(m):
    f = m.path("f")
    m.ok("echo 1 > f; mkdir d; setfattr -n user.a -v dir d")
    os.setxattr(f, "user.a", b"1")
    os.setxattr(f, "trusted.t", b"2")
    assert sorted(os.listxattr(f)) == ["trusted.t", "user.a"]
    assert os.getxattr(m.path("d"), "user.a") == b"dir"
    assert error_of(os.setxattr, f, "user.a", b"2",
                    os.XATTR_CREATE) == errno.EEXIST
    assert error_of(os.setxattr, f, "user.b", b"2",
                    os.XATTR_REPLACE) == errno.ENODATA
    os.removexattr(f, "user.a")
    assert error_of(os.getxattr, f, "user.a") == errno.ENODATA
    assert "trusted.t" not in m.ok(
        "setpriv --reuid 1000 --clear-groups python3 -c "
        f"'import os; print(os.listxattr(\"{f}\"))'")
    assert os.listxattr(m.root) == []


def test_own_and_foreign_xattrs(m):
    f = m.path("f")
    m.ok("echo 1 > f")
    before = int(os.getxattr(f, "user.grove.version"))
    m.ok("echo 2 > f")
    assert int(os.getxattr(f, "user.grove.version")) > before
    assert os.listxattr(f) == []
    for name, on_get, on_set in (
            ("user.grove.version", 0, errno.EPERM),
            ("user.grove.versions", errno.ENODATA, errno.EPERM),
            ("user.grove.region", errno.ENODATA, errno.EPERM),
            ("security.capability", errno.ENODATA, None),
            ("security.selinux", errno.EOPNOTSUPP, errno.EOPNOTSUPP),
            ("system.posix_acl_access", errno.EOPNOTSUPP, None),
            ("other", errno.EOPNOTSUPP, errno.EOPNOTSUPP)):
        assert error_of(os.getxattr, f, name) == on_get, name
        assert on_set is None or error_of(os.setxattr, f, name,
                                          b"x") == on_set, name


def test_statfs_and_ioctl(m):
    m.order("fault * * hang")
    space = os.statvfs(m.root)
    assert space.f_namemax == 255 and space.f_blocks > space.f_bfree > 0
    m.order("clear")
    with open(m.path("f"), "w") as f:
        assert not f.isatty()


# ---- directories ----

def test_a_large_directory(m):
    m.ok("mkdir d")
    m.order("fill /d 120000")
    names = os.listdir(m.path("d"))
    assert len(names) == len(set(names)) == 120000


def test_unlinks_during_a_scan_lose_nothing(m):
    m.ok("mkdir d")
    m.order("fill /d 5000")
    seen = []
    for entry in os.scandir(m.path("d")):
        seen.append(entry.name)
        if int(entry.name[1:]) % 2 == 0:
            os.unlink(entry.path)
    assert seen == [f"f{i:07d}" for i in range(5000)]
    assert len(os.listdir(m.path("d"))) == 2500
    m.ok("rm -r d", timeout=60)


class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64),
                ("reclen", ctypes.c_ushort), ("type", ctypes.c_ubyte),
                ("name", ctypes.c_char * 256)]


def scan(directory):
    """(offset behind it, name) of each entry up to the end."""
    entries = []
    while entry := libc.readdir(directory):
        entry = ctypes.cast(entry, ctypes.POINTER(Dirent)).contents
        entries.append((entry.off, entry.name.decode()))
    return entries


def test_seekdir_and_rewinddir(m):
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    for function in (libc.readdir, libc.rewinddir, libc.closedir):
        function.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    m.ok("mkdir d")
    m.order("fill /d 20000")
    directory = libc.opendir(m.path("d").encode())
    all_entries = scan(directory)
    assert [n for _, n in all_entries[:3]] == [".", "..", "f0000000"]
    assert len(all_entries) == 20002
    for i in (0, 1, 2, 5, 4000, 9999, 20000, 20001):
        libc.seekdir(directory, all_entries[i][0])
        assert scan(directory) == all_entries[i + 1:], i
    libc.rewinddir(directory)
    assert scan(directory) == all_entries
    # Names before the mark have gone: nothing behind it may be missed.
    m.ok("cd d; rm f0000[0-4]*", timeout=60)
    libc.seekdir(directory, all_entries[12002][0])
    rest = {n for _, n in scan(directory)}
    assert rest >= {n for _, n in all_entries[12003:]}, "missed some"
    libc.closedir(directory)


def test_a_new_name_is_seen_after_rewinding(m):
    fd = os.open(m.root, os.O_RDONLY)
    assert os.listdir(fd) == []
    m.order("write /f 1")
    assert os.listdir(fd) == ["f"]
    os.close(fd)


def test_directories(m):
    m.ok("mkdir -p a/b; mv a c; ls c/b; test $(stat -c %h c) = 1")
    assert error_of(os.rmdir, m.path("c")) == errno.ENOTEMPTY
    assert error_of(os.mkdir, m.path("c")) == errno.EEXIST
    m.ok("rmdir c/b c")
    fd = os.open(m.root, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


# ---- waiting and interrupts ----

def blocked(m, script, kind, sig):
    """Runs a script whose request hangs; returns how long it took to die."""
    m.order("trace")
    child = subprocess.Popen(["bash", "-c", "exec " + script], cwd=m.root,
                             stderr=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL)
    until(lambda: m.trace(kind))
    time.sleep(0.05)
    start = time.time()
    child.send_signal(sig)
    child.wait(timeout=5)
    return time.time() - start


def test_a_parked_request_ends_on_a_signal(m):
    m.ok("echo 1 > f; mkdir d")
    for kind, name, script in (
            ("LOOKUP", "none", "cat none"), ("READ", "f", "cat f"),
            ("WRITE", "f", "dd if=/dev/zero of=f count=1"),
            ("CREATE", "new", "dd if=/dev/null of=new"),
            ("UNLINK", "f", "rm f"), ("RENAME", "f", "mv f g"),
            ("READDIR", "*", "ls d"), ("MKDIR", "e", "mkdir e"),
            ("SETATTR", "f", "chmod 600 f"),
            ("GETATTR", "f", "dd if=/dev/zero of=f count=1"),
            ("GETXATTR", "f", "getfattr -n user.a f"),
            ("RENDER", "*", "cat .cluster/health")):
        for sig in (signal.SIGINT, signal.SIGKILL):
            m.order(f"fault {kind} {name} hang")
            took = blocked(m, script, kind, sig)
            m.order("clear")
            assert took < 0.5, (kind, sig, took)


def test_who_waits_for_a_rename_can_be_killed(m):
    m.ok("echo 1 > f")
    with open(m.path("f")) as f:
        m.order("fault RENAME * hang")
        mover = subprocess.Popen(["mv", "f", "g"], cwd=m.root)
        until(lambda: m.trace("RENAME"))
        reader = subprocess.Popen(["cat"], stdin=f, stdout=subprocess.DEVNULL)
        time.sleep(0.2)
        start = time.time()
        reader.kill()
        reader.wait(timeout=5)
        assert time.time() - start < 0.5
        mover.kill()
        mover.wait(timeout=5)
        m.order("clear")
        assert f.read() == "1\n"


def test_nobody_holds_up_others(m):
    """One LOOKUP that waits does not stop others in that directory."""
    m.ok("echo 1 > f")
    names = [f"slow{i}" for i in range(12)]
    for name in names:
        m.order(f"fault LOOKUP {name} hang")
    children = [subprocess.Popen(["cat", name], cwd=m.root,
                                 stderr=subprocess.DEVNULL)
                for name in names]
    time.sleep(0.2)
    start = time.time()
    assert m.ok("cat f; cat .cluster/health; df . > /dev/null") == "1\nok\n"
    assert error_of(os.stat, m.path("none")) == errno.ENOENT
    assert time.time() - start < 2
    for child in children:
        child.kill()
    for child in children:
        child.wait(timeout=5)


def test_everything_answered_later(m):
    m.order("later 1")
    test_write_read_append(m)
    m.ok("rm f")
    test_cp_a_mv_sed_tar(m)
    m.ok("echo x > x; echo y > x; cat x")
    test_unlink_while_open(m)


def test_errors_reach_the_caller(m):
    for name, number in (("NO_QUORUM", errno.EHOSTUNREACH),
                         ("UNKNOWN_OUTCOME", errno.ETIMEDOUT),
                         ("NO_SPACE", errno.ENOSPC), ("BUSY", errno.EBUSY),
                         ("READ_ONLY", errno.EROFS)):
        m.order(f"fault MKDIR * error={name}")
        assert error_of(os.mkdir, m.path("d")) == number
        m.order("clear")


def test_no_eintr_without_an_interrupt(m):
    m.order("fault MKDIR * error=INTERRUPTED")
    assert error_of(os.mkdir, m.path("d")) not in (0, errno.EINTR)


def test_many_at_once(m):
    m.order("fault WRITE * delay=3")
    script = ("for i in 1 2 3 4 5 6 7 8 9 10; do echo $i > s; cat s > p$0;"
              " mv p$0 q$0; ls > /dev/null; rm q$0; done")
    children = [subprocess.Popen(["bash", "-c", script, str(i)], cwd=m.root,
                                 stderr=subprocess.DEVNULL)
                for i in range(12)]
    for child in children:
        child.wait(timeout=60)
    assert m.ok("ls") == "s\n"
    assert m.ok("cat s").strip() in map(str, range(1, 11))


# ---- /.cluster ----

def test_cluster_files(m):
    assert os.listdir(m.root) == []
    names = sorted(os.listdir(m.path(".cluster")))
    assert names == sorted("version health nodes regions leaders lag log"
                           " metrics".split())
    assert m.ok("cat .cluster/health") == "ok\n"
    assert m.ok("stat -c '%a %u %s' .cluster/health") == "444 0 3\n"
    assert m.ok("tar cf - .cluster/nodes | tar xOf -").startswith("table 2")
    m.ok("cd .cluster; cat * > /dev/null; cd ..; ls .cluster/.. > /dev/null")
    with open(m.path(".cluster/nodes")) as f:
        first = f.read()
        f.seek(0)
        assert f.read() == first != read(m.path(".cluster/nodes"))


def test_cluster_is_read_only(m):
    c = m.path(".cluster")
    h = c + "/health"
    m.ok("echo 1 > f")
    assert error_of(os.open, h, os.O_WRONLY) == errno.EACCES
    assert error_of(os.open, c + "/x", os.O_CREAT | os.O_WRONLY) == errno.EPERM
    assert error_of(os.mkdir, c) == errno.EEXIST
    for call, *arguments in (
            (os.unlink, h), (os.rmdir, c), (os.rename, c, m.path("x")),
            (os.rename, h, m.path("x")), (os.mkdir, c + "/d"),
            (os.rename, m.path("f"), c + "/f"), (os.symlink, "x", c + "/l"),
            (os.chmod, h, 0o777), (os.utime, h), (os.truncate, h, 0),
            (os.setxattr, h, "user.a", b"1"), (os.chown, c, 1, 1)):
        assert error_of(call, *arguments) in (
            errno.EPERM, errno.EACCES), (call, arguments)
    assert error_of(os.stat, c + "/none") == errno.ENOENT
    m.ok("mkdir d; echo 1 > d/.cluster; cat d/.cluster")


def test_a_node_without_peers_is_mounted(m):
    m.close()
    start = time.time()
    m.__init__(m.binary, "peers=1@h:1+2@h:2,id=1")
    assert m.started.returncode == 0 and time.time() - start < 5
    assert m.ok("cat .cluster/health") == "waiting for peers\n"
    assert "ready" not in m.log()
    m.order("ready")
    until(lambda: "info fs ready" in m.log())


# ---- starting and stopping ----

def refused(m, *arguments):
    """Starts a second daemon that is to fail; returns its one line."""
    before = read("/proc/self/mounts")
    done = subprocess.run([m.binary, *arguments], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 1 and done.stdout == "", done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("grovefs: "), done.stderr
    assert read("/proc/self/mounts") == before
    return done.stderr


def test_wrong_starts_say_why(m):
    other = m.base + "/other"
    os.mkdir(other)
    file = m.base + "/file"
    write(file, "")
    data = "data=" + m.base + "/other-data"
    for front in ((), ("-f",)):
        assert "unknown option" in refused(m, *front, "-o", "nonsense", other)
        assert "op_timeout=x" in refused(m, *front, "-o", "op_timeout=x",
                                         other)
        assert "'-z'" in refused(m, *front, "-z", other)
        assert "No such file" in refused(m, *front, "-o", data, m.base + "/no")
        assert "Not a directory" in refused(m, *front, "-o", data, file)
        assert "is mounted there" in refused(m, *front, "-o", data, m.root)
        assert "in use" in refused(m, *front, "-o", "data=" + m.data, other)
        assert "in use" in refused(m, *front, "-o", data + ",listen=used",
                                   other)
        assert "mountpoint" in refused(m, *front, "-o", data)
    assert "join=" in refused(m, "-o", data + "2,peers=foreign", other)


def test_an_unwritable_mountpoint(m):
    other = m.base + "/other"
    os.mkdir(other)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", other],
                   check=True)
    try:
        assert "not writable" in refused(m, "-o", f"data={m.base}/o", other)
    finally:
        subprocess.run(["umount", other], check=True)


def test_help_and_version(m):
    text = subprocess.run([m.binary, "--help"], capture_output=True,
                          text=True, check=True).stdout
    for name in ("data=", "op_timeout=", "value_max=", "peers=", "config="):
        assert name in text
    assert "join" not in text
    text = subprocess.run([m.binary, "-V"], capture_output=True, text=True,
                          check=True).stdout
    assert text.startswith("grovefs ")


def test_sigterm_unmounts_and_answers_what_waits(m):
    m.ok("echo 1 > f")
    m.order("fault READ * hang")
    child = subprocess.Popen(["cat", m.path("f")], stderr=subprocess.DEVNULL)
    until(lambda: m.trace("READ"))
    os.kill(m.pid, signal.SIGTERM)
    assert child.wait(timeout=5) != 0
    m.wait_end()
    assert not m.is_mounted()


def test_umount_ends_the_daemon(m):
    subprocess.run(["umount", m.root], check=True)
    m.wait_end()
    assert "reason=unmounted" in m.log()


def test_a_bare_truncation_survives_sigterm(m):
    m.ok("echo 1 > f")
    m.order("trace")
    with open(m.path("f"), "w"):
        pass
    os.kill(m.pid, signal.SIGTERM)
    m.wait_end()


def test_a_dead_mount_is_replaced(m):
    m.ok("echo 1 > f")
    os.kill(m.pid, signal.SIGKILL)
    m.wait_end()
    assert error_of(os.stat, m.root) == errno.ENOTCONN
    m.start()
    assert m.started.returncode == 0
    assert "dead mount detached" in m.log()
    assert os.listdir(m.root) == []
    m.ok("echo 2 > f")


def test_a_fatal_error_ends_at_once(m):
    try:
        m.order("fatal")
    except (OSError, IndexError):
        pass
    m.wait_end()
    assert not m.is_mounted()
    assert 'fatal reason="test"' in m.log()


def test_mount_t_fuse_grovefs(m):
    m.close()
    m.base = tempfile.mkdtemp(prefix="grovefs-fs-")
    m.root, m.data = m.base + "/mnt", m.base + "/data"
    os.mkdir(m.root)
    if shutil.which("mount.fuse3") is None:
        return
    os.symlink(os.path.abspath(m.binary), m.base + "/grovefs")
    subprocess.run(["mount.fuse3", "grovefs#none", m.root, "-o",
                    f"rw,dev,suid,data={m.data}"], check=True, timeout=20,
                   env={**os.environ, "PATH": m.base + ":" +
                        os.environ["PATH"]})
    m.pid = m.find_pid()
    assert m.ok("echo 1 > f; cat f") == "1\n"
    m.ok("findmnt -no FSTYPE,SOURCE . | grep -q '^fuse.grovefs grovefs'")


def test_in_the_foreground(m):
    m.close()
    m.base = tempfile.mkdtemp(prefix="grovefs-fs-")
    m.root, m.data = m.base + "/mnt", m.base + "/data"
    os.mkdir(m.root)
    child = subprocess.Popen(
        [m.binary, "-f", "-o", "data=" + m.data, m.root],
        stderr=subprocess.PIPE, text=True,
        env={**os.environ, "JOURNAL_STREAM": "1:1"})
    m.pid = child.pid
    until(m.is_mounted)
    assert m.ok("echo 1 > f; cat f") == "1\n"
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=10) == 0
    assert child.stderr.read().startswith("<6>info fs ")


def run(binary, test):
    mount = None
    try:
        mount = Mount(binary)
        assert mount.started.returncode == 0, mount.log()
        test(mount)
        assert "ERROR: " not in mount.log(), mount.log()
        name = test.__name__
        if mount.alive() and not name.startswith("test_a_dead"):
            mount.order("clear")
        return True
    except Exception:
        traceback.print_exc(limit=4)
        if mount is not None:
            print(mount.log()[-2000:], file=sys.stderr)
        return False
    finally:
        if mount is not None:
            mount.close()


def main():
    binary, only = os.path.abspath(sys.argv[1]), sys.argv[2:]
    if not os.path.exists("/dev/fuse") or os.geteuid() != 0:
        print("needs /dev/fuse and root")
        return SKIP
    tests = [t for n, t in globals().items() if n.startswith("test_")]
    passed = failed = 0
    for test in tests:
        if only and test.__name__ not in only:
            continue
        start = time.time()
        good = run(binary, test)
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok' if good else 'FAILED'} {test.__name__}"
              f" ({time.time() - start:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
