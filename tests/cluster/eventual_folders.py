# SPDX-License-Identifier: Apache-2.0
"""What the tests of eventual directories share."""

import errno
import os
import signal
import subprocess
import threading
import time

from harness import CLUSTER, errno_of, get, load, mounted, put, table, wait_until
from trees import same

MODE = 'user.grove.consistency'
OP_TIMEOUT_S = 4
AGREE_S = 10  # 5 s are promised; a busy machine gets twice that.
FILES = 600  # of fill()
SETTLED_S = 40  # What the keeper of a change has left is taken away after 10 s.


class Folder:
    """A directory of a mount, held open: without a majority the way to it takes
    its time, and files in it do not."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def put(self, name, data, flags=os.O_CREAT | os.O_TRUNC):
        put(name, data, flags, dir_fd=self.fd)

    def get(self, name):
        fd = os.open(name, os.O_RDONLY, dir_fd=self.fd)
        try:
            return os.read(fd, 1 << 21)
        finally:
            os.close(fd)

    def unlink(self, name):
        os.unlink(name, dir_fd=self.fd)

    def names(self):
        return sorted(os.listdir(self.fd))

    def all(self):
        """Every name with its content; None while names come and go."""
        try:
            return {name: self.get(name) for name in self.names()}
        except OSError as e:
            if e.errno not in (errno.ENOENT, errno.ESTALE):
                raise
            return None

    def close(self):
        os.close(self.fd)


def cut_cluster(t):
    return t.cluster(netns=True, options=f'op_timeout={OP_TIMEOUT_S}')


def switch(c, name, mode, node=1):
    os.setxattr(c.path(node, name), MODE, mode)


def mode_of(c, name, node=1):
    return os.getxattr(c.path(node, name), MODE)


def holds(path, data):
    """Whether there is a file with just that in it."""
    try:
        return get(path) == data
    except FileNotFoundError:
        return False


def make_eventual(c, name, node=1):
    os.mkdir(c.path(node, name))
    switch(c, name, b'eventual', node)


def folders(c, name):
    return {node: Folder(c.path(node, name)) for node in c.nodes}


def cut_folders(t):
    """A cluster whose nodes can be cut off, and its eventual directory `e` on each
    mount."""
    c = cut_cluster(t)
    make_eventual(c, 'e')
    return c, folders(c, 'e')


def wait_agreed(t, by_node, seconds=AGREE_S):
    """Until all show the same; returns that."""
    began = time.monotonic()

    def agreed():
        shown = [folder.all() for folder in by_node.values()]
        return shown if None not in shown and all(s == shown[0] for s in shown) else None
    shown = wait_until('all mounts show the same', seconds, agreed)
    t.say(f'{len(shown[0])} names agreed after {time.monotonic() - began:.2f} s')
    return shown[0]


def close(by_node):
    for folder in by_node.values():
        folder.close()


def start_cut_off(c, node):
    """A node that cannot be healthy, as it reaches nobody."""
    subprocess.run([CLUSTER, 'start', str(node), '-d', c.folder], stdin=subprocess.DEVNULL,
                   capture_output=True, check=False, env={**os.environ, 'CLUSTER_WAIT': '1'})
    wait_until(f'node {node} is mounted', 20, lambda: mounted(c.mount(node)))


def refused(call):
    """The errno of a call that has to fail, and how long it took."""
    began = time.monotonic()
    number = errno_of(call)
    assert number != 0, 'it succeeded'
    return number, time.monotonic() - began


def opened(path):
    try:
        return Folder(path)
    except OSError as e:
        assert e.errno in (errno.EHOSTUNREACH, errno.ETIMEDOUT), e
        return None


def open_cut_off(c, node, name):
    """Starts a node that reaches nobody; returns its directory when it shows it."""
    start_cut_off(c, node)
    return wait_until(f'node {node} shows the directory', 30,
                      lambda: opened(c.path(node, name)))


# ---- directories that change their mode with files in them


def fill(c, name, node=1, count=FILES):
    for number in range(count):
        put(c.path(node, f'{name}/{number}'), b'%d' % number)


def is_complete(folder, count=FILES):
    """Everything is there that fill() has put there, and nothing else."""
    return sorted(map(int, os.listdir(folder))) == list(range(count)) and all(
        get(f'{folder}/{number}') == b'%d' % number for number in range(0, count, 20))


def odd_files(t, folder):
    """Copies what one directory may have in it, but for directories; returns the
    folder that they come from."""
    source = t.scratch('source')
    for number in range(300):
        put(f'{source}/{number:03}', os.urandom(number * 7))
    for name, size in (('whole MiB', 1 << 20), ('a chunk', 65536), ('more than a chunk', 65537)):
        put(f'{source}/{name}', os.urandom(size))
    os.chmod(f'{source}/007', 0o4751)
    os.chown(f'{source}/008', 1234, 2345)
    os.utime(f'{source}/009', ns=(10**18, 10**18 + 7))
    os.symlink('nowhere', f'{source}/link')
    subprocess.run(['cp', '-a', f'{source}/.', folder], check=True)
    os.setxattr(f'{folder}/001', 'user.tag', b'value')
    return source


def check_odd_files(source, folder):
    same(source, folder)
    assert os.getxattr(f'{folder}/001', 'user.tag') == b'value'


def write_meanwhile(t, c, name, mode):
    """Switches it while there are writers on all mounts, none of which may fail;
    returns them."""
    writers = load(c, label=f'{name}/w')
    time.sleep(1)
    switch(c, name, mode, node=2)
    time.sleep(1)
    for writer in writers:
        writer.end()
    for writer in writers:
        assert not writer.errors, writer.errors[0]
        t.say(f'{writer.label}: nothing acknowledged for {writer.longest_gap():.2f} s at most')
    return writers


def kill_at_once(c, *nodes):
    """The script takes its time before it kills; until then they do nothing."""
    for node in nodes:
        os.kill(c.pid(node), signal.SIGSTOP)
    c.kill(*nodes)


def kill_meanwhile(t, c, name, mode, victim, seconds, complete=is_complete):
    """Kills a node so long after another mode was asked for. Whichever it has then,
    it has everything on all mounts, and gets that mode in the end."""
    switching = threading.Thread(target=errno_of, args=(switch, c, name, mode), daemon=True)
    switching.start()
    time.sleep(seconds)
    kill_at_once(c, victim)
    switching.join(60)
    c.start(victim)
    for node in c.nodes:
        c.wait_healthy(node)
    t.say(f'node {victim} was killed: {mode_of(c, name)}')
    for node in c.nodes:
        wait_until(f'node {node} has everything', 20, lambda n=node: complete(c.path(n, name)))
    wait_until(f'it is {mode.decode()}', SETTLED_S, lambda: errno_of(switch, c, name, mode) == 0)


def silence_one(c):
    """Pauses a node once all have been heard of. Returns region 0's leader, the node
    that is silent, and one that answers."""
    leader = c.leader(region=0)
    silent = c.followers()[0]  # A leader would be waited for, and not heard of meanwhile.
    other = next(node for node in c.nodes if node not in (leader, silent))
    wait_until('all are heard of', 20, lambda: all(
        row['state'] == 'ok' for row in table(c.info(leader, 'eventual'))))
    c.pause(silent)
    return leader, silent, other


def give_up(t, c, name, mode, state):
    """Asks for another mode while a node is silent, and gives up when that has come
    to `state`. Returns the silent node, and one that answers."""
    leader, silent, other = silence_one(c)
    switching = t.popen('setfattr', '-n', MODE, '-v', mode, c.path(leader, name))
    wait_until(f'it is {state}', 20, lambda: f' {state} ' in c.info(other, 'modes'))
    switching.send_signal(signal.SIGINT)
    switching.wait(20)
    return silent, other


def try_again(c, name, mode, silent):
    """When the silent node is back."""
    c.resume(silent)
    c.wait_healthy(silent)
    switch(c, name, mode)


# ---- trees


def all_below(top):
    """Relative paths; '.' for the top."""
    return ['.'] + [os.path.relpath(os.path.join(folder, name), top)
                    for folder, folders, files in os.walk(top) for name in folders + files]


def is_all(top, mode):
    """All directories in it have this mode, and some of the files in each."""
    return all(os.getxattr(os.path.join(folder, name), MODE) == mode
               for folder, _, files in os.walk(top) for name in ['.'] + files[:2]
               if not os.path.islink(os.path.join(folder, name)))


def switch_all(c, name, mode, node=1):
    """Until all nodes know it."""
    switch(c, name, mode, node)
    for other in c.nodes:
        wait_until('it is known', 10, lambda n=other: mode_of(c, name, n) == mode)


def check_unchanged(c, name, mode, nodes=None):
    """It has this mode, nothing is fenced or filled, and on these nodes everything
    can be changed, once in each mode. There are a and a/b in it."""
    for node in nodes or c.nodes:
        for state in (' fenced ', ' filling '):
            wait_until(f'nothing is{state}', 20, lambda n=node, s=state: s not in
                       c.info(n, 'modes'))
        assert is_all(c.path(node, name), mode)
        put(c.path(node, f'{name}/a/b/f'), b'%d' % node)
        made = f'{node} {mode.decode()}'
        os.mkdir(c.path(node, f'{name}/a/{made}'))
        os.rename(c.path(node, f'{name}/a/{made}'), c.path(node, f'{name}/{made}'))
