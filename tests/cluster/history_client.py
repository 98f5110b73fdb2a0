#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One client of a mount: random operations on a few hot keys, and a line of
JSON for each, with the times of call and return and what came back.

usage: history_client.py MOUNT FOLDER NODE CLIENT START_NS OUT [told|own]

The keys change all the time, so that a checker has many small histories
instead of a large one: window N lasts WINDOW_S from START_NS (CLOCK_MONOTONIC)
+ N * WINDOW_S, and has the groups `Nr`, one key, and `Np`, two keys that are
renamed to each other; for longer there is a key `sN` that is only put. Some
reads go to keys of former windows. Ends when its standard input does. With
`told` it only reads the keys that come there, a line each, when they come.
With `own` it reads and puts keys that are there for good, for own_reads.py:
one that no other client puts, and some that all do.

One line is one step that must take effect at one moment, all mounts together:
  read    the whole value; text null: there is no such key
  touch   open(O_CREAT): makes an empty key where there is none
  put     the write of `echo text > key`, after a touch
  append  the write of `echo text >> key`, after a touch
  create  open(O_CREAT | O_EXCL)
  unlink
  rename  key to key2, which it replaces
with start and end in ns, `since`, when its descriptor began to be opened, and
the result: ok; seen: refused for what was there (EEXIST, ENOENT); none: an
error that says that nothing happened; unknown: any other.
"""

import errno
import json
import os
import random
import select
import sys
import time

from harness import MountedFolder, errno_name

WINDOW_S = 0.25
PAUSE_S = 0.006
PAUSE_AFTER_ERROR_S = 0.05
LASTING = 40  # windows that a key `sN` is put in
OLD_READS = 0.1
LASTING_PUTS = 0.03
READ_SIZE = 1 << 16
MIX = {'read': 35, 'put': 25, 'append': 15, 'create': 8, 'unlink': 10, 'rename': 15}

SEEN = {errno.EEXIST, errno.ENOENT}
# grovefs(8): surely not applied; the disk is full; the file is another one; or
# the mount is for reading only.
NOTHING_DONE = {errno.EHOSTUNREACH, errno.ENOSPC, errno.ESTALE, errno.EROFS}


OWN_SHARED = ['shared-1', 'shared-2', 'shared-3']
OWN_READS = 0.6


def own_key(number):
    return f'own-{number}'


def keys_of(window):
    return [f'{window}r.a', f'{window}p.a', f'{window}p.b']


def window_at(start_ns):
    return int((time.monotonic_ns() - start_ns) / 1e9 / WINDOW_S)


def lasting_key(window):
    return f's{window // LASTING}.a'


def result_of(op, error):
    if error.errno in SEEN:
        return 'ok' if op == 'read' else 'seen'
    return 'none' if error.errno in NOTHING_DONE else 'unknown'


class Client:
    def __init__(self, folder, node, number, out):
        self.folder = folder
        self.node = node
        self.number = number
        self.out = out
        self.texts = 0
        self.held = {}  # key → descriptor

    def new_text(self):
        """Never written before, and as long as any other."""
        self.texts += 1
        return f'{self.number:02}{self.texts:06} '

    def step(self, op, key, call, **fields):
        """Makes the call and writes down how it went; raises what it raised."""
        start = time.monotonic_ns()
        record = {'client': self.number, 'node': self.node, 'op': op, 'key': key,
                  'start': start, 'since': start, **fields}
        try:
            value = call()
            record['result'] = 'ok'
            if op == 'read':
                record['text'] = value
            return value
        except OSError as e:
            record['result'] = result_of(op, e)
            record['errno'] = errno_name(e.errno)
            raise
        finally:
            record['end'] = time.monotonic_ns()
            self.out.write(json.dumps(record) + '\n')

    # ---- operations

    def read(self, root, key):
        """In one read(2): between two, a change in place may be seen."""
        def call():
            fd = os.open(key, os.O_RDONLY, dir_fd=root)
            try:
                return os.read(fd, READ_SIZE).decode('latin-1')
            finally:
                os.close(fd)
        self.step('read', key, call, text=None)

    def read_held(self, root, key):
        """Through a descriptor that stays open: a node that stands still is
        asked for the value and for nothing else, and behind no other call."""
        if key not in self.held:
            self.held[key] = self.step('touch', key, lambda: os.open(
                key, os.O_RDONLY | os.O_CREAT, 0o644, dir_fd=root))
        self.step('read', key, lambda: os.pread(
            self.held[key], READ_SIZE, 0).decode('latin-1'), text=None)

    def write(self, root, key, op, flag):
        """Two steps: another client may see the new key before its text."""
        since = time.monotonic_ns()
        fd = self.step('touch', key, lambda: os.open(
            key, os.O_WRONLY | os.O_CREAT | flag, 0o644, dir_fd=root))
        try:
            text = self.new_text()
            self.step(op, key, lambda: os.write(fd, text.encode()),
                      since=since, text=text)
        finally:
            os.close(fd)

    def put(self, root, key):
        self.write(root, key, 'put', os.O_TRUNC)

    def replace(self, root, key):
        """Of a value that is as long, in one step: the key stays."""
        fd = os.open(key, os.O_WRONLY, dir_fd=root)
        try:
            text = self.new_text()
            self.step('put', key, lambda: os.write(fd, text.encode()), text=text)
        finally:
            os.close(fd)

    def append(self, root, key):
        self.write(root, key, 'append', os.O_APPEND)

    def create(self, root, key):
        os.close(self.step('create', key, lambda: os.open(
            key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=root)))

    def unlink(self, root, key):
        self.step('unlink', key, lambda: os.unlink(key, dir_fd=root))

    def rename(self, root, key):
        group = key.partition('.')[0]
        key, key2 = random.sample([f'{group}.a', f'{group}.b'], 2)
        self.step('rename', key, lambda: os.rename(
            key, key2, src_dir_fd=root, dst_dir_fd=root), key2=key2)

    # ---- what is done when

    def attempt(self, op, key):
        """False after a failure that is worth a pause."""
        try:
            getattr(self, op)(self.folder.root(), key)
        except OSError as e:
            if e.errno in SEEN:
                return True
            self.forget()
            return False
        return True

    def forget(self):
        self.folder.forget()
        for fd in self.held.values():
            os.close(fd)
        self.held = {}

    def choose(self, window):
        """An operation and its key."""
        if window > 0 and random.random() < OLD_READS:
            return 'read', random.choice(keys_of(random.randrange(window)))
        if random.random() < LASTING_PUTS:
            return 'put', lasting_key(window)
        op = random.choices(list(MIX), MIX.values())[0]
        key = random.choice(keys_of(window))
        return op if op != 'rename' or 'p' in key else 'read', key

    def choose_own(self):
        key = random.choice([own_key(self.number), *OWN_SHARED])
        return 'read' if random.random() < OWN_READS else 'replace', key

    def work(self, choose):
        pause = 0
        while not select.select([sys.stdin], [], [], pause)[0]:
            good = self.attempt(*choose())
            self.out.flush()
            pause = random.uniform(0, PAUSE_S) if good else PAUSE_AFTER_ERROR_S

    def obey(self):
        for line in sys.stdin:
            key = line.strip()
            while not self.attempt('read_held' if key.startswith('s') else 'read', key):
                time.sleep(PAUSE_AFTER_ERROR_S)
            self.out.flush()


def main():
    mount, folder, node, number, start_ns, out = sys.argv[1:7]
    with open(out, 'w', encoding='ascii') as file:
        client = Client(MountedFolder(mount, folder), int(node), int(number), file)
        if sys.argv[7:] == ['told']:
            client.obey()
        elif sys.argv[7:] == ['own']:
            client.work(client.choose_own)
        else:
            client.work(lambda: client.choose(window_at(int(start_ns))))


if __name__ == '__main__':
    main()
