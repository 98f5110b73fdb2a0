#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Contents, attributes, extended attributes, directories."""

import ctypes
import errno
import os
import sys
import time

from mounted import MIB, error_of, libc, main, read, write


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


def version_of(path):
    ms, counter = os.getxattr(path, "user.grove.version").split(b".")
    return int(ms), int(counter)


def test_own_and_foreign_xattrs(m):
    f = m.path("f")
    m.ok("echo 1 > f")
    before = version_of(f)
    m.ok("echo 2 > f")
    assert version_of(f) > before
    assert os.getxattr(f, "user.grove.node") == b"1"
    assert os.listxattr(f) == []
    for name, on_get, on_set in (
            ("user.grove.version", 0, errno.EPERM),
            ("user.grove.versions", errno.ENODATA, errno.EPERM),
            ("user.grove.node", 0, errno.EPERM),
            ("user.grove.lag", 0, errno.EPERM),
            ("user.grove.digest", 0, errno.EPERM),
            ("user.grove.region", errno.ENODATA, errno.EPERM),
            ("security.capability", errno.ENODATA, None),
            ("security.selinux", errno.EOPNOTSUPP, errno.EOPNOTSUPP),
            ("system.posix_acl_access", errno.EOPNOTSUPP, None),
            ("other", errno.EOPNOTSUPP, errno.EOPNOTSUPP)):
        assert error_of(os.getxattr, f, name) == on_get, name
        assert on_set is None or error_of(os.setxattr, f, name,
                                          b"x") == on_set, name


CONSISTENCY = "user.grove.consistency"


def test_the_consistency_of_a_directory(m):
    m.ok("mkdir d; echo 1 > d/f")
    d, f = m.path("d"), m.path("d/f")
    assert os.getxattr(d, CONSISTENCY) == b"strong"
    m.ok(f"setfattr -n {CONSISTENCY} -v eventual d")
    assert os.getxattr(d, CONSISTENCY) == b"eventual"
    assert os.getxattr(f, CONSISTENCY) == b"eventual"
    assert os.getxattr(m.root, CONSISTENCY) == b"strong"
    assert os.listxattr(d) == []
    os.setxattr(d, CONSISTENCY, b"strong", os.XATTR_REPLACE)
    assert os.getxattr(d, CONSISTENCY) == b"strong"
    os.setxattr(d, CONSISTENCY, b"eventual")
    m.ok(f"setfattr -n {CONSISTENCY} -v 'strong force' d")
    assert os.getxattr(d, CONSISTENCY) == b"strong"
    m.ok(f"setfattr -n {CONSISTENCY} -v eventual d; setfattr -x {CONSISTENCY} d")
    assert os.getxattr(f, CONSISTENCY) == b"strong"


def test_what_a_consistency_cannot_be(m):
    m.ok("mkdir d; echo 1 > d/f")
    d, f = m.path("d"), m.path("d/f")
    for value in (b"", b"eventual\n", b"Strong", b"eventually", b"x" * 20000,
                  b"eventual force", b"strong  force", b"strong force "):
        assert error_of(os.setxattr, d, CONSISTENCY, value) == errno.EINVAL
    assert error_of(os.setxattr, d, CONSISTENCY, b"eventual",
                    os.XATTR_CREATE) == errno.EEXIST
    assert error_of(os.setxattr, f, CONSISTENCY, b"eventual") == errno.EPERM
    assert error_of(os.removexattr, f, CONSISTENCY) == errno.EPERM
    special = m.path(".cluster")
    assert error_of(os.getxattr, special, CONSISTENCY) == errno.ENODATA
    assert error_of(os.setxattr, special, CONSISTENCY,
                    b"eventual") == errno.EPERM
    assert os.getxattr(d, CONSISTENCY) == b"strong"


def test_a_consistency_is_its_owners(m):
    m.ok("mkdir d; chmod 777 d")
    as_user = "setpriv --reuid 1000 --clear-groups "
    for change in f"-n {CONSISTENCY} -v eventual", f"-x {CONSISTENCY}":
        order = f"{as_user} setfattr {change} d"
        m.ok(f"! {order} 2> refused; grep -q 'not permitted' refused")
        m.ok(f"chown 1000 d; {order}; chown 0 d")


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


if __name__ == "__main__":
    sys.exit(main(globals()))
