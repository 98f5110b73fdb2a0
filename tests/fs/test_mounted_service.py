#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Waiting and interrupts, /.cluster, starting and stopping."""

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from mounted import error_of, libc, main, read, until, write


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
            ("RENDER", "*", "cat .cluster/health"),
            ("CONTROL", "*", "dd if=/dev/zero of=.cluster/check count=1")):
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
    m.ok("echo x > x; echo y > x; echo z >> x; mkdir -p a/b; mv x a; ls -l a;"
         "cp -a a c; ln -s c l; setfattr -n user.k -v v c; rm -r a; > c/x")
    assert m.ok("cat l/x; find c | sort; getfattr -d c") == (
        'c\nc/b\nc/x\n# file: c\nuser.k="v"\n\n')
    with open(m.path("c/x")) as f:
        os.unlink(m.path("c/x"))
        assert f.read() == ""


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
    assert names == sorted("version health nodes regions leaders lag log events"
                           " metrics check operators modes eventual region node"
                           " settings quarantine".split())
    assert m.ok("cat .cluster/health") == "ok\n"
    assert m.ok("stat -c '%a %u %s' .cluster/health") == "444 0 3\n"
    assert m.ok("tar cf - .cluster/nodes | tar xOf -").startswith("table 2")
    m.ok("cd .cluster; find . -type f ! -name events -exec cat {} + > /dev/null;"
         " ls ..")
    with open(m.path(".cluster/nodes")) as f:
        first = f.read()
        f.seek(0)
        assert f.read() == first != read(m.path(".cluster/nodes"))


def test_each_object_has_a_directory(m):
    assert m.ok("cd .cluster; ls region; ls node; ls quarantine") == "0\n1\n2\n" * 3
    files = m.ok("cd .cluster; ls region/2 node/2 quarantine/2 | grep -v :").split()
    assert {"leader", "transfer", "address", "content"} < set(files), files
    texts = m.ok("cd .cluster; cat region/2/* node/2/* quarantine/2/*").splitlines()
    assert len(set(texts)) == len(files), texts
    assert all(text.endswith(" of 2") for text in texts), texts
    m.order("objects 1")
    assert m.ok("ls .cluster/region; ls .cluster/node") == "0\n" * 2
    m.order("objects 5000")
    assert m.ok("ls -U .cluster/region").split() == [str(i) for i in range(5000)]
    assert m.ok("cat .cluster/region/4999/term").endswith(" of 4999\n")


def test_names_in_the_tree_of_cluster_are_exact(m):
    c = m.path(".cluster/")
    for name in ("region/3", "node/3", "region/-1", "region/01", "region/x",
                 "region/1x", "region/+1", "region/", "region/4294967297",
                 "region/18446744073709551616", "region/1/x", "node/1/term",
                 "region/term", "node/health", "region/1/1", "quarantine/3",
                 "quarantine/path", "quarantine/1/1", "quarantine/2147483647"):
        path = c + name + ("none" if name[-1] == "/" else "")
        assert error_of(os.stat, path) == errno.ENOENT, name


def test_a_directory_of_cluster_leads_back_up(m):
    c = m.path(".cluster")
    for path in (c, c + "/region", c + "/region/1", c + "/node/2"):
        assert os.stat(path + "/..").st_ino == os.stat(os.path.dirname(path)).st_ino
        listed = m.ok(f"ls -1aif {path}")
        up = dict(reversed(line.split()) for line in listed.splitlines())[".."]
        assert int(up) == os.stat(os.path.dirname(path)).st_ino, path
    numbers = m.ok("find .cluster -printf '%i\n'").split()
    of_region = m.ok("find .cluster/region/1").split()
    of_node = m.ok("find .cluster/node/1").split()
    of_quarantine = m.ok("find .cluster/quarantine/1").split()
    settings = m.ok("find .cluster/settings -type f").split()
    top = m.ok("find .cluster -maxdepth 1").split()
    assert len(set(numbers)) == len(numbers) == \
        len(top) + len(settings) + \
        3 * (len(of_region) + len(of_node) + len(of_quarantine))


def test_a_listing_of_regions_is_of_one_moment(m):
    fd = os.open(m.path(".cluster/region"), os.O_RDONLY)
    m.order("objects 2")
    assert os.listdir(fd) == ["0", "1"]
    m.order("objects 1")
    assert os.listdir(fd) == ["0"]
    os.close(fd)


def lines_of(m, script, count, feed):
    """What the script prints of events that come while it waits for them."""
    m.order("trace")
    with subprocess.Popen(["timeout", "10", "bash", "-c", script], cwd=m.root,
                          text=True, stdout=subprocess.PIPE) as p:
        until(lambda: "EVENTS - more" in m.trace("EVENTS"))
        feed()
        got = "".join(p.stdout.readline() for _ in range(count))
        p.terminate()
    return got


def event_lines(first, last):
    return "# number\n" + "".join(f"event {i}\n" for i in range(first, last + 1))


def test_events_go_on_as_they_come(m):
    """Shells read ahead, dash byte by byte; tail takes it for a growing file."""
    total = 0
    for script in ("cat .cluster/events", "head -n 4 .cluster/events",
                   "while read -r l; do echo \"$l\"; done < .cluster/events",
                   "dash -c 'while read -r l; do echo \"$l\"; done < .cluster/events'",
                   "tail -f .cluster/events",
                   "grep --line-buffered . .cluster/events"):
        feed = lambda: (m.order("events 1"), m.order("events 2"))
        got = lines_of(m, script, 4, feed)
        assert got == event_lines(total, total + 2), (script, got)
        total += 3


def test_each_open_of_events_begins_at_its_moment(m):
    m.order("events 3")
    with open(m.path(".cluster/events"), "rb", buffering=0) as early:
        m.order("events 2")
        with open(m.path(".cluster/events"), "rb", buffering=0) as late:
            m.order("events 1")
            for f, first in (early, 3), (late, 5):
                got = b"".join(f.read(9) for _ in range(7 - first)[:1])
                assert got == b"# number\n"
                assert f.read(100) == event_lines(first, 5)[9:].encode()


def test_a_reader_of_events_that_lags_gets_all_of_them(m):
    with open(m.path(".cluster/events"), "rb", buffering=0) as f:
        m.order("events 1000")
        text, wanted = b"", event_lines(0, 999).encode()
        while len(text) < len(wanted):
            text += f.read(777)
        assert text == wanted


def test_a_read_of_events_can_be_interrupted_or_not_wait(m):
    fd = os.open(m.path(".cluster/events"), os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(fd, 100) == b"# number\n"
    assert error_of(os.read, fd, 100) == errno.EAGAIN
    m.order("events 1")
    assert os.lseek(fd, 0, os.SEEK_END) == 9
    assert os.read(fd, 100) == b"event 0\n"
    assert os.lseek(fd, 0, os.SEEK_END) == 17
    assert os.fstat(fd).st_size == 29
    assert os.pread(fd, 100, 9) == b"event 0\n"
    assert os.pread(fd, 100, 100) == b""
    assert error_of(os.pread, fd, 100, 0) == errno.ESPIPE
    os.close(fd)
    assert m.sh("timeout -s INT 0.3 cat .cluster/events").returncode == 124
    assert m.ok("stat -c '%a %s' .cluster/events") == "444 29\n"


def test_the_mount_ends_although_events_are_read(m):
    with subprocess.Popen(["cat", m.path(".cluster/events")],
                          stdout=subprocess.DEVNULL) as p:
        until(lambda: "EVENTS - more" in m.trace("EVENTS"))
        os.kill(m.pid, signal.SIGTERM)
        m.wait_end()
        assert p.wait(10) != 0


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
            (os.setxattr, h, "user.a", b"1"), (os.chown, c, 1, 1),
            (os.mkdir, c + "/region/9"), (os.rmdir, c + "/region/1"),
            (os.rename, c + "/region/1", c + "/region/9"),
            (os.unlink, c + "/region/1/term"), (os.rmdir, c + "/node"),
            (os.open, c + "/node/1/state", os.O_WRONLY)):
        assert error_of(call, *arguments) in (
            errno.EPERM, errno.EACCES), (call, arguments)
    assert error_of(os.stat, c + "/none") == errno.ENOENT
    m.ok("mkdir d; echo 1 > d/.cluster; cat d/.cluster")


def test_each_write_to_a_control_file_is_one_command(m):
    assert m.ok("stat -c '%a %u' .cluster/check") == "644 0\n"
    assert m.ok("cat .cluster/check").startswith("table ")
    m.order("trace")
    m.ok("echo all > .cluster/check; echo all >> .cluster/check")
    with open(m.path(".cluster/check"), "r+b", buffering=0) as f:
        assert f.read().startswith(b"table ")
        assert f.write(b"all\n") == 4
        assert f.write(b"all\n") == 4
        f.truncate(0)
        os.fsync(f.fileno())
    assert m.trace("CONTROL", "WRITE") == ["CONTROL - size=4"] * 4
    m.ok(": > .cluster/check")
    assert m.trace("CONTROL") == []


def test_a_control_file_of_an_object_says_which_it_is(m):
    c = m.path(".cluster/region/")
    assert m.ok("stat -c '%a %u' .cluster/region/2/transfer") == "644 0\n"
    m.ok("echo 2 > .cluster/region/2/transfer")
    with open(c + "1/transfer", "wb", buffering=0) as f:
        assert error_of(f.write, b"2\n") == errno.EINVAL
    assert error_of(os.open, c + "1/leader", os.O_WRONLY) == errno.EACCES


def test_a_refused_command_fails_the_write(m):
    c = m.path(".cluster/check")
    with open(c, "wb", buffering=0) as f:
        assert error_of(f.write, b"nothing\n") == errno.EINVAL
    m.order("fault CONTROL * error=NO_QUORUM")
    assert "No route to host" in m.sh("echo all > .cluster/check").stderr
    m.order("clear")
    assert m.sh("echo x > .cluster/check").returncode != 0


def test_control_files_are_for_root(m):
    c = m.path(".cluster/check")
    done = m.sh("su nobody -s /bin/sh -c 'cat .cluster/check; echo all > .cluster/check'")
    assert done.stdout.startswith("table "), done
    assert done.returncode != 0 and "ermission denied" in done.stderr, done
    for call, *arguments in ((os.chmod, c, 0o666), (os.chown, c, 1, 1),
                             (os.unlink, c), (os.utime, c)):
        assert error_of(call, *arguments) == errno.EPERM, call
    fd = os.open(c, os.O_WRONLY)
    assert libc.fallocate(fd, 0, 0, 10) == -1
    assert ctypes.get_errno() == errno.EOPNOTSUPP
    os.close(fd)


def test_what_is_in_quarantine_is_for_root(m):
    def as_nobody(script):
        return m.sh(f"cd .cluster/quarantine/1; su nobody -s /bin/sh -c '{script}'")

    assert m.ok("cd .cluster/quarantine/1; stat -c '%a %u' path about content drop") == \
        "400 0\n" * 3 + "600 0\n"
    assert as_nobody("ls").stdout == "about\ncontent\ndrop\npath\n"
    m.order("trace")
    for name in "path", "about", "content", "drop":
        done = as_nobody("cat " + name)
        assert done.stdout == "" and "ermission denied" in done.stderr, done
    done = as_nobody("echo yes > drop")
    assert done.returncode != 0 and "ermission denied" in done.stderr, done
    assert m.trace("CONTROL") == []
    m.ok("echo yes > .cluster/quarantine/1/drop")
    assert m.trace("CONTROL") == ["CONTROL - size=4"]
    assert error_of(os.open, m.path(".cluster/quarantine/1/content"),
                    os.O_WRONLY) == errno.EACCES


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
    def mounts():
        return [x for x in read("/proc/self/mounts").splitlines()
                if m.base in x]

    before = mounts()
    done = subprocess.run([m.binary, *arguments], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 1 and done.stdout == "", done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("grovefs: "), done.stderr
    assert mounts() == before
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
    for name in ("data=", "op_timeout=", "value_max=", "peers=", "join=", "config="):
        assert name in text
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
    until(lambda: error_of(os.stat, m.root) == errno.ENOTCONN)
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
    ours, theirs = os.pipe()
    pipe = os.fstat(theirs)
    child = subprocess.Popen(
        [m.binary, "-f", "-o", "data=" + m.data, m.root], stderr=theirs,
        env={**os.environ, "JOURNAL_STREAM": f"{pipe.st_dev}:{pipe.st_ino}"})
    os.close(theirs)
    m.pid = child.pid
    until(m.is_mounted)
    assert m.ok("echo 1 > f; cat f") == "1\n"
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=10) == 0
    with open(ours) as log:
        assert log.read().startswith("<6>info fs ")


if __name__ == "__main__":
    sys.exit(main(globals()))
