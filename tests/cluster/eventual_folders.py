# SPDX-License-Identifier: Apache-2.0
"""What the tests of eventual directories share."""

import errno
import os
import subprocess
import time

from harness import CLUSTER, errno_of, mounted, put, wait_until

MODE = 'user.grove.consistency'
OP_TIMEOUT_S = 4
AGREE_S = 10  # 5 s are promised; a busy machine gets twice that.


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


def make_eventual(c, name, node=1):
    os.mkdir(c.path(node, name))
    os.setxattr(c.path(node, name), MODE, b'eventual')


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


def odd_files_in(folder):
    """What one directory may have in it, but for directories."""
    for number in range(300):
        put(f'{folder}/{number:03}', os.urandom(number * 7))
    for name, size in (('whole MiB', 1 << 20), ('a chunk', 65536), ('more than a chunk', 65537)):
        put(f'{folder}/{name}', os.urandom(size))
    os.chmod(f'{folder}/007', 0o4751)
    os.chown(f'{folder}/008', 1234, 2345)
    os.utime(f'{folder}/009', ns=(10**18, 10**18 + 7))
    os.symlink('nowhere', f'{folder}/link')


def open_cut_off(c, node, name):
    """Starts a node that reaches nobody; returns its directory when it shows it."""
    start_cut_off(c, node)
    return wait_until(f'node {node} shows the directory', 30,
                      lambda: opened(c.path(node, name)))
