# SPDX-License-Identifier: Apache-2.0
"""The programs that scripts/bench runs, and how it runs them.

Commands, signals and processes first, then Tools, which knows where each
program is and builds or installs what is missing. Only what etcd needs is ever
installed here; see scripts/setup for the rest.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
GOPATH = "/usr/share/gocode"
CLIENTV3 = GOPATH + "/src/go.etcd.io/etcd/clientv3"


class Failure(Exception):
    """Ends the run with one line."""


def note(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def clean_env(**more):
    """Our environment without what would redirect etcd or its client."""
    env = {k: v for k, v in os.environ.items()
           if not k.lower().endswith("_proxy") and not k.startswith("ETCD")}
    return {**env, **more}


def run(command, timeout_s=600, **options):
    """Runs a command; returns what it printed, or fails with what it said."""
    try:
        done = subprocess.run(command, timeout=timeout_s, text=True,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **options)
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command)}: no end after {timeout_s:.0f} s")
    except OSError as e:
        raise Failure(f"{command[0]}: {e.strerror}")
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise Failure(f"{' '.join(command)}: status {done.returncode}: {said}")
    return done.stdout


def wait_until(what, question, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not question():
        if time.monotonic() > end:
            raise Failure(f"{what}: not so after {timeout_s} s")
        time.sleep(0.02)


def end_process(process):
    """Ends a process of ours, and waits for it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def handle_signals(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def stop_on_signal(number, _):
    """Ends the run; the cleanup on the way out is not disturbed again."""
    handle_signals(lambda *_: None)  # SIG_IGN would be inherited.
    sys.exit(128 + number)


@contextlib.contextmanager
def undisturbed():
    """Holds signals back until the end of the block."""
    caught = []
    handle_signals(lambda number, _: caught.append(number))
    try:
        yield
    finally:
        handle_signals(stop_on_signal)
        if caught:
            stop_on_signal(caught[0], None)


def metric_sum(text, name):
    """The sum of all samples of a metric in Prometheus' text, or None."""
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? +(\S+)", text, re.MULTILINE)
    return sum(map(float, found)) if found else None


def mounts_below(folder):
    with open("/proc/self/mounts") as file:
        places = [line.split()[1] for line in file]
    return [p for p in places if p.startswith(folder + "/")]


class Tools:
    """The programs to measure with; made or installed when first wanted."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.folder = os.path.join(self.build, "bench")

    def bench(self, name):
        return os.path.join(self.build, "tests/bench", name)

    def prepare(self, systems):
        wanted = [self.bench(n) for n in ("load", "nullfs", "turn",
                                          "syncwrite")]
        if "grovefs" in systems:
            wanted.append(os.path.join(self.build, "grovefs"))
        if not all(map(os.path.exists, wanted)):
            if self.build != os.path.join(TOP, "build"):
                raise Failure(f"{self.build} is not a complete build")
            note("building")
            run([TOP + "/scripts/build"], 3600)
        os.makedirs(self.folder, exist_ok=True)
        if "etcd" in systems:
            self.prepare_etcd()

    def prepare_etcd(self):
        if shutil.which("go") is None or not os.path.isdir(CLIENTV3):
            note("installing golang-go golang-etcd-server-dev")
            self.apt(["install", "-y", "--no-install-recommends",
                      "golang-go", "golang-etcd-server-dev"])
        self.etcd = shutil.which("etcd") or self.unpack_etcd()
        self.etcd_load = os.path.join(self.folder, "etcd-load")
        run(["go", "build", "-o", self.etcd_load, "."],
            cwd=TOP + "/tests/bench/etcd",
            env=clean_env(GO111MODULE="off", GOPATH=GOPATH, GOFLAGS="",
                          GOCACHE=os.path.join(self.folder, "gocache")))

    def unpack_etcd(self):
        """Unpacks the server: installed, it would start a service."""
        place = os.path.join(self.folder, "etcd-server")
        binary = place + "/usr/bin/etcd"
        if not os.path.exists(binary):
            note("unpacking etcd-server into " + place)
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                self.apt(["download", "etcd-server"], cwd=folder)
                [package] = os.listdir(folder)
                run(["dpkg", "-x", os.path.join(folder, package), place])
        return binary

    def apt(self, arguments, **options):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        try:
            run(["apt-get"] + arguments, 1800, env=env, **options)
        except Failure:  # The lists of packages may be old or absent.
            run(["apt-get", "update"], 600, env=env)
            run(["apt-get"] + arguments, 1800, env=env, **options)
