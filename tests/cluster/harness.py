# SPDX-License-Identifier: Apache-2.0
"""What the real-mount tests share: clusters, load, and the test functions' life.

A test is a function marked @test that takes one argument, `t` (class Test):
the clusters and folders that it asks `t` for are gone when it ends, however it
ends. Its name is the sentence that it proves. A file of tests ends with
main(). tests/cluster/run runs all files; one alone runs as it is, and takes
words that select tests.
"""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLUSTER = os.path.join(TOP, 'scripts', 'cluster')
GROVEFS = os.environ.get('GROVEFS', os.path.join(TOP, 'build', 'grovefs'))
TEST_SECONDS = 420

# What a call may say while a cluster has no majority or a daemon is dead.
UNCERTAIN = {errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENOTCONN,
             errno.ECONNABORTED, errno.EINTR}

tests = []


def test(function):
    tests.append(function)
    return function


def slow(seconds):
    """A test that may take so long. Above `@test`."""
    def mark(function):
        function.seconds = seconds
        return function
    return mark


def sentence(function):
    return function.__name__.replace('_', ' ')


# ---- small helpers


def wait_until(what, seconds, predicate, pause=0.05):
    """Returns the predicate's first true value; fails after the time."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        assert time.monotonic() < deadline, f'after {seconds} s still not: {what}'
        time.sleep(pause)


def put(path, data, flags=os.O_CREAT | os.O_TRUNC, dir_fd=None):
    """What `echo data > path` does, in one write."""
    fd = os.open(path, os.O_WRONLY | flags, 0o644, dir_fd=dir_fd)
    try:
        assert os.write(fd, data) == len(data), f'short write to {path}'
    finally:
        os.close(fd)


def get(path):
    with open(path, 'rb', buffering=0) as f:
        return f.readall()


def errno_of(call, *args, **kwargs):
    """The errno that the call fails with, or 0."""
    try:
        call(*args, **kwargs)
    except OSError as e:
        return e.errno
    return 0


def errno_name(number):
    return errno.errorcode.get(number, str(number))


def table(text):
    """Rows of a /.cluster table as dictionaries; its first line names them."""
    lines = text.splitlines()
    assert lines and lines[0].startswith('#'), f'no table: {text!r}'
    names = lines[0].lstrip('# ').split(' ')
    return [dict(zip(names, line.split(' '))) for line in lines[1:]]


def process_state(pid):
    """The state letter of proc(5), or '' when the process has gone."""
    try:
        with open(f'/proc/{pid}/stat', encoding='latin-1') as f:
            return f.read().rpartition(') ')[2][0]
    except OSError:
        return ''


def peak_memory_mib(pid):
    """The most memory that the process ever had resident."""
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(re.search(r'VmHWM:\s+(\d+) kB', f.read()).group(1)) / 1024


def mounts():
    with open('/proc/self/mountinfo', encoding='utf-8') as f:
        return [line.split(' ')[4] for line in f]


def mounted(path):
    return path in mounts()


def detach_below(folder):
    """Nothing may be deleted through a mount."""
    for path in mounts():
        if path.startswith(folder + '/'):
            subprocess.run(['fusermount3', '-u', '-z', path], check=True)


def together(*calls):
    """Runs the calls at once, each on a thread; raises what one raised."""
    failures = []

    def guarded(call):
        try:
            call()
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=guarded, args=(c,), daemon=True) for c in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# ---- clusters


class Cluster:
    """One `scripts/cluster` cluster; node ids count from 1."""

    def __init__(self, folder, nodes=3, netns=False, options=''):
        self.folder = folder
        self.nodes = range(1, nodes + 1)
        self.options = options
        self.run('up', '-n', str(nodes), *(['--netns'] if netns else []),
                 *(['-o', options] if options else []))

    def run(self, command, *words, check=True):
        done = subprocess.run([CLUSTER, command, *map(str, words), '-d', self.folder],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors='replace', check=False)
        if check:
            assert done.returncode == 0, f'cluster {command} {words}: {done.stderr}'
        return done

    def up_again(self):
        self.run('up', *(['-o', self.options] if self.options else []))

    def add(self):
        """One more node, which joins; returns its number."""
        self.run('add')
        self.nodes = range(1, len(self.nodes) + 2)
        return len(self.nodes)

    def start(self, *nodes):
        self.run('start', *nodes)

    def stop(self, *nodes):
        self.run('stop', *nodes)

    def kill(self, *nodes):
        self.run('kill', *nodes)

    def pause(self, *nodes):
        self.run('pause', *nodes)

    def resume(self, *nodes):
        self.run('resume', *nodes)

    def cut(self, *nodes, way=None):
        """way: 'in' or 'out', to drop only what comes or only what goes; 'apart',
        to drop only what goes between these nodes."""
        self.run('cut', *nodes, *([f'--{way}'] if way else []))

    def heal(self, *nodes):
        self.run('heal', *nodes)

    def mount(self, node):
        return f'{self.folder}/n{node}'

    def mounts(self):
        return [self.mount(node) for node in self.nodes]

    def path(self, node, name):
        return f'{self.folder}/n{node}/{name}'

    def store(self, node):
        return f'{self.folder}/n{node}.data'

    def move_store(self, node, folder):
        """Moves a stopped node's store to another filesystem."""
        path = f'{folder}/n{node}.data'
        shutil.move(self.store(node), path)
        os.symlink(path, self.store(node))

    def log_text(self, node):
        with open(f'{self.folder}/n{node}.log', encoding='utf-8', errors='replace') as f:
            return f.read()

    def pid(self, node):
        with open(f'{self.folder}/n{node}.pid', encoding='ascii') as f:
            return int(f.read())

    def info(self, node, name):
        """A file of /.cluster as text."""
        return get(self.path(node, f'.cluster/{name}')).decode()

    def leader(self, seen_from=1, region=1):
        """The node that leads the region."""
        def known():
            for row in table(self.info(seen_from, 'leaders')):
                if row['region'] == str(region) and row['leader_node'] not in ('-', '0'):
                    return int(row['leader_node'])
            return None
        return wait_until(f'region {region} has a leader', 20, known)

    def followers(self):
        """Nodes that lead neither region."""
        leading = {self.leader(region=0), self.leader(region=1)}
        return [node for node in self.nodes if node not in leading]

    def lags(self, node, seen_from):
        return [row for row in table(self.info(seen_from, 'lag')) if row['node'] == str(node)]

    def wait_caught_up(self, node, seconds=60, entries=0):
        """Until the leaders' own tables show the node without lag, or, while
        writers run, with no more than some entries of it."""
        def caught_up():
            for region in (0, 1):
                rows = [row for row in self.lags(node, self.leader(node, region))
                        if row['region'] == str(region)]
                if not any(row['lag_entries'] != '-' and int(row['lag_entries']) <= entries
                           for row in rows):
                    return False
            return True
        wait_until(f'node {node} has lag {entries}', seconds, caught_up, 0.2)

    def wait_healthy(self, node, seconds=30):
        wait_until(f'node {node} is healthy', seconds,
                   lambda: self.info(node, 'health') == 'ok\n', 0.1)

    def keep_traces(self, folder):
        """Copies what a person wants to see after a failure."""
        os.makedirs(folder, exist_ok=True)
        for node in self.nodes:
            try:
                shutil.copy(f'{self.folder}/n{node}.log', folder)
            except OSError:
                pass
            for name in ('health', 'leaders', 'lag', 'log'):
                with open(f'{folder}/n{node}.{name}', 'wb') as out:
                    subprocess.run(['timeout', '-s', 'KILL', '2', 'cat',
                                    self.path(node, f'.cluster/{name}')],
                                   stdout=out, stderr=out, check=False)

    def close(self):
        return self.run('down', '--wipe', check=False)


# ---- load


class MountedFolder:
    """The root of a mount, or a folder in it, as a directory descriptor, for
    load that goes on while its daemon is killed and started: between the two a
    path would lead into the plain folder below."""

    def __init__(self, mount, name='.'):
        self.mount = mount
        self.name = name
        self.device_below = os.stat(os.path.dirname(mount)).st_dev
        self.fd = None

    def root(self):
        if self.fd is None:
            fd = os.open(self.mount, os.O_RDONLY | os.O_DIRECTORY)
            if os.fstat(fd).st_dev == self.device_below:
                os.close(fd)
                raise OSError(errno.ENOTCONN, 'not mounted', self.mount)
            try:
                self.fd = os.open(self.name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            finally:
                os.close(fd)
        return self.fd

    def forget(self):
        """After any failure: the mount may be another one next time."""
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None


class Writer(threading.Thread):
    """Overwrites keys of its own on one mount with a counter, and remembers
    what was acknowledged. A call that failed may or may not have been applied;
    the writer goes on with the next number."""

    KEYS = 40

    def __init__(self, mount, name):
        super().__init__(daemon=True)
        self.mount = mount
        self.folder = MountedFolder(mount)
        self.label = name
        self.acked = {}      # key → the greatest acknowledged number
        self.attempted = {}  # key → the greatest number that was tried
        self.acked_at = [time.monotonic()]
        self.errors = []
        self.unexpected = None
        self.ending = threading.Event()

    def run(self):
        number = 0
        while not self.ending.is_set():
            number += 1
            key = f'{self.label}-{number % self.KEYS}'
            self.attempted[key] = number
            try:
                put(key, b'%d\n' % number, dir_fd=self.folder.root())
            except OSError as e:
                self.failed(e)
            else:
                self.acked[key] = number
                self.acked_at.append(time.monotonic())
        self.folder.forget()

    def failed(self, e):
        self.errors.append(e)
        self.folder.forget()
        if e.errno not in UNCERTAIN:
            self.unexpected = e
            self.ending.set()
        self.ending.wait(0.05)

    def end(self):
        self.ending.set()
        self.join(60)
        assert not self.is_alive(), f'writer on {self.mount} hangs'
        assert self.unexpected is None, f'writer on {self.mount}: {self.unexpected}'

    def longest_gap(self):
        times = self.acked_at + [time.monotonic()]
        return max(b - a for a, b in zip(times, times[1:]))

    def check(self, mount):
        """Nothing acknowledged is lost on this mount."""
        for key, least in self.acked.items():
            found = get(f'{mount}/{key}')
            assert re.fullmatch(rb'\d+\n', found), f'{mount}/{key} holds {found!r}'
            assert least <= int(found) <= self.attempted[key], (
                f'{mount}/{key} holds {int(found)}, acknowledged was {least}')


def load(cluster, nodes=None, label='w'):
    """Starts one writer per node."""
    writers = [Writer(cluster.mount(node), f'{label}{node}')
               for node in (nodes or cluster.nodes)]
    for writer in writers:
        writer.start()
    return writers


# ---- the life of a test


class Test:
    """What a test asks for, and what is to go when it ends."""

    def __init__(self, name):
        self.name = name
        self.folder = tempfile.mkdtemp(
            prefix='grovefs-', dir=os.environ.get('CLUSTER_TEST_SCRATCH'))
        self.clusters = []
        self.processes = []
        self.disks = 0
        self.kept = []  # files that a person wants to see after a failure

    def cluster(self, **settings):
        number = len(self.clusters) + 1
        cluster = Cluster.__new__(Cluster)
        cluster.folder = f'{self.folder}/c{number}'
        cluster.nodes = range(1, settings.get('nodes', 3) + 1)
        self.clusters.append(cluster)
        cluster.__init__(cluster.folder, **settings)
        return cluster

    def scratch(self, name):
        """A folder outside any cluster."""
        path = f'{self.folder}/{name}'
        os.makedirs(path)
        return path

    def disk(self, mib):
        """A filesystem of its own, in memory."""
        path = self.scratch(f'disk{self.disks}')
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={mib}m', 'disk', path], check=True)
        self.disks += 1
        return path

    def read_only(self, path):
        """The tree at the path, at a second place where it cannot be changed."""
        place = self.scratch('read-only')
        subprocess.run(['mount', '--bind', path, place], check=True)
        subprocess.run(['mount', '-o', 'remount,bind,ro', place], check=True)
        return place

    def popen(self, *words, **settings):
        """A process that does not outlive the test."""
        settings.setdefault('stdin', subprocess.DEVNULL)
        process = subprocess.Popen(words, **settings)
        self.processes.append(process)
        return process

    def say(self, text):
        print(f'#   {text}', flush=True)

    def keep_traces(self):
        logs = os.environ.get('CLUSTER_TEST_LOGS')
        if logs is None:
            return
        for number, cluster in enumerate(self.clusters, 1):
            cluster.keep_traces(f'{logs}/{self.name}/c{number}')
        os.makedirs(f'{logs}/{self.name}', exist_ok=True)
        for path in filter(os.path.exists, self.kept):
            shutil.copy(path, f'{logs}/{self.name}')

    def close(self):
        """Removes everything; returns what went wrong with that."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
        wrong = [done.stderr.strip() for done in map(Cluster.close, self.clusters)
                 if done.returncode != 0 and 'no cluster in' not in done.stderr]
        for process in self.processes:
            process.wait()
        detach_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        return wrong


class TookTooLong(Exception):
    pass


def on_alarm(_signal, _frame):
    raise TookTooLong('not done in time')


def run_one(function):
    t = Test(function.__name__)
    failure = None
    signal.alarm(getattr(function, 'seconds', TEST_SECONDS))
    try:
        function(t)
    except (Exception, KeyboardInterrupt, SystemExit) as e:
        failure = e
    signal.alarm(0)
    if failure is not None:
        t.keep_traces()
    wrong = t.close()
    if isinstance(failure, (KeyboardInterrupt, SystemExit)):
        raise failure
    if failure is not None:
        traceback.print_exception(failure, file=sys.stdout)
    for line in wrong:
        print(f'cleaning up: {line}')
    return failure is None and not wrong


def main():
    """Runs the file's tests in order; exit status 1 when one failed."""
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    words = sys.argv[1:]
    failed = 0
    for function in tests:
        if words and not any(word in function.__name__ for word in words):
            continue
        began = time.monotonic()
        good = run_one(function)
        failed += not good
        print(f'{"ok  " if good else "FAIL"} {sentence(function)}'
              f' ({time.monotonic() - began:.1f} s)', flush=True)
    # Not sys.exit(): a thread that hangs must not hold the others up.
    os._exit(1 if failed else 0)
