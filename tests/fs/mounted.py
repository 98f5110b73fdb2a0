# SPDX-License-Identifier: Apache-2.0
"""fs/ on a fake engine, really mounted: what the test_mounted_*.py share.

usage: test_mounted_X.py GROVEFS-FAKE [TEST...]

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
        # libfuse keeps a copy of the path when the mount was detached by us. Names of
        # its functions are known only where there is a symbolizer.
        write(self.base + "/lsan", "leak:libfuse3.so\n")
        self.start(options)

    def start(self, options=""):
        options = f"data={self.data}" + ("," + options if options else "")
        with open(self.base + "/log", "a") as log:
            self.started = subprocess.run(
                [self.binary, "-o", options, self.root],
                stderr=log, stdin=subprocess.DEVNULL, timeout=20,
                env={**os.environ, "LSAN_OPTIONS":
                     f"suppressions={self.base}/lsan"})
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


def run(binary, test):
    mount = None
    try:
        mount = Mount(binary)
        assert mount.started.returncode == 0, mount.log()
        test(mount)
        assert "ERROR: " not in mount.log(), mount.log()
        return True
    except Exception:
        traceback.print_exc(limit=4)
        if mount is not None:
            print(mount.log()[-2000:], file=sys.stderr)
        return False
    finally:
        if mount is not None:
            mount.close()


def main(tests):
    binary, only = os.path.abspath(sys.argv[1]), sys.argv[2:]
    if not os.path.exists("/dev/fuse") or os.geteuid() != 0:
        print("needs /dev/fuse and root")
        return SKIP
    tests = [t for n, t in tests.items() if n.startswith("test_")]
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
