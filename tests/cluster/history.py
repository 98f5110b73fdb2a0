# SPDX-License-Identifier: Apache-2.0
"""Histories of real mounts: clients (see history_client.py) that work while
nodes and links fail, a count of what they get done before, during and after
each fault, and the verdict of linearizability.py on all that they saw.

    trial = Trial(t)
    trial.each_role_twice('kill -9', trial.cluster.kill, trial.cluster.start)

or, for other mounts than those of one cluster,

    history = History(t, {node: mount, ...})
    history.endure(what, inflict, mend, alive)
    history.judge()
"""

import collections
import json
import os
import subprocess
import sys
import time

from harness import together, wait_until
from history_client import keys_of, lasting_key, window_at
from linearizability import judge

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'history_client.py')
CLIENTS = 3  # of each mount, that work
READERS = 4  # of each mount, that wait until they are told to read

# So many operations each mount has to get done, or the run proves nothing.
BEFORE = 50
DURING = 400
AFTER = 100
WAIT_S = 90

# What users may be told while nodes and links fail.
ERRORS = {'EEXIST', 'ENOENT', 'ESTALE', 'EHOSTUNREACH', 'ETIMEDOUT', 'ENOTCONN',
          'ECONNABORTED', 'ECANCELED'}


class Clients:
    """Processes of history_client.py, and the lines that they have written."""

    def __init__(self, t, below='.'):
        self.t = t
        self.below = below  # the folder of each mount that they work in
        self.folder = t.scratch('history')
        self.processes = []
        self.files = {}  # path → how far it was read
        self.records = []

    def start(self, mount, node, start_ns, *words):
        number = len(self.files) + 1
        path = f'{self.folder}/client{number}'
        open(path, 'wb').close()
        self.t.kept.append(path)
        self.files[path] = 0
        self.processes.append(self.t.popen(
            sys.executable, CLIENT, mount, self.below, str(node), str(number), str(start_ns),
            path, *words, stdin=subprocess.PIPE))
        return self.processes[-1]

    def collect(self):
        for path, offset in self.files.items():
            with open(path, 'rb') as f:
                f.seek(offset)
                whole = f.read().rpartition(b'\n')
            self.records += map(json.loads, whole[0].splitlines())
            self.files[path] += len(whole[0]) + len(whole[1])
        return self.records

    def end(self):
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            assert process.wait(WAIT_S) == 0, f'a client has failed: {process.args}'


class History:
    def __init__(self, t, mounts, below='.'):
        self.t = t
        self.mounts = mounts  # node → path
        self.start_ns = time.monotonic_ns()
        self.clients = Clients(t, below)
        for node, mount in mounts.items():
            for _ in range(CLIENTS):
                self.clients.start(mount, node, self.start_ns)
        self.readers = {
            node: [self.clients.start(mount, node, self.start_ns, 'told') for _ in range(READERS)]
            for node, mount in mounts.items()}

    def windows(self):
        """How many there were."""
        return window_at(self.start_ns)

    def tell(self, node, keys):
        """Has the keys read on the mount, as many at once as there are readers."""
        for i, key in enumerate(keys):
            reader = self.readers[node][i % READERS]
            reader.stdin.write(f'{key}\n'.encode())
            reader.stdin.flush()

    def done(self, since_ns, ops=None):
        """How many steps succeeded since then on each mount."""
        counts = collections.Counter(
            r['node'] for r in self.clients.collect()
            if r['start'] >= since_ns and r['result'] == 'ok' and (not ops or r['op'] in ops))
        return {node: counts[node] for node in self.mounts}

    def wait_for(self, least, nodes, ops=None):
        """Until each of the mounts has got so much done from now on."""
        since_ns = time.monotonic_ns()

        def enough():
            counts = self.done(since_ns, ops)
            return counts if all(counts[node] >= least for node in nodes) else None
        return wait_until(f'{least} operations on each of {nodes}', WAIT_S, enough, 0.2)

    def errors(self, since_ns=0, nodes=None):
        return collections.Counter(
            r['errno'] for r in self.clients.collect()
            if r['start'] >= since_ns and 'errno' in r and r['node'] in (nodes or self.mounts))

    def endure(self, what, inflict, mend, alive, ops=None):
        """A fault under load. `alive`: the nodes whose mounts go on during it,
        with all operations or with these."""
        before = self.wait_for(BEFORE, self.mounts)
        inflict()
        during = self.wait_for(DURING, alive, ops) if alive else {}
        mend()
        after = self.wait_for(AFTER, self.mounts)
        counted = [' '.join(map(str, phase.values())) or '-' for phase in (before, during, after)]
        self.t.say(f'{what}: operations before {counted[0]}, during {counted[1]},'
                   f' after {counted[2]}')

    # ---- the end

    def end(self):
        """Reads every key there was on every mount, and ends the clients."""
        windows = range(self.windows())
        keys = [key for window in windows for key in keys_of(window)]
        keys += sorted(set(map(lasting_key, windows)))
        together(*(lambda node=node: self.tell(node, keys) for node in self.mounts))
        self.clients.end()
        return self.clients.collect()

    def judge(self, errors=()):
        """Fails unless all that was seen is linearizable, and no error but
        these and the usual ones came. Returns the records."""
        records = self.end()
        verdict = judge(records)
        self.t.say(str(verdict))
        assert verdict.linearizable(), str(verdict)
        odd = set(self.errors()) - ERRORS - set(errors)
        assert not odd, f'unexpected errors: {odd}'
        missing = {'read', 'touch', 'put', 'append', 'create', 'unlink', 'rename'} - {
            r['op'] for r in records if r['result'] == 'ok'}
        assert not missing, f'never succeeded: {missing}'
        return records


# ---- clusters under load


class Trial:
    """A cluster in network namespaces, under load on all mounts, whose nodes
    fail in turn."""

    def __init__(self, t, disk_mib=None):
        self.t = t
        self.cluster = t.cluster(netns=True, options='op_timeout=3')
        self.disks = {}  # node → where its store's filesystem is mounted
        self.open_key = None  # of the readers at a node that stands still
        if disk_mib is not None:
            self.move_to_disks(disk_mib)
        self.history = History(t, dict(zip(self.cluster.nodes, self.cluster.mounts())))

    def move_to_disks(self, mib):
        c = self.cluster
        c.stop(*c.nodes)
        for node in c.nodes:
            self.disks[node] = self.t.disk(mib)
            c.move_store(node, self.disks[node])
        c.start(*c.nodes)

    def others(self, node):
        return [other for other in self.cluster.nodes if other != node]

    def new_leader(self, node):
        """Until the others know another leader than this node."""
        other = self.others(node)[0]
        wait_until(f'another node than {node} leads', 30,
                   lambda: self.cluster.leader(other) != node, 0.2)

    def pause(self, node):
        """With readers that have a key open that the others go on to put."""
        self.open_key = lasting_key(self.history.windows())
        since = time.monotonic_ns()
        self.history.tell(node, [self.open_key] * READERS)
        wait_until('the readers have read', WAIT_S, lambda: len(
            {r['client'] for r in self.history.clients.collect()
             if r['start'] >= since and r['node'] == node and r['op'] == 'read' and
             r['key'] == self.open_key}) == READERS, 0.1)
        self.cluster.pause(node)

    def resume(self, node):
        """When it goes on it is asked for that key before it has heard from
        the others, and must not answer from what it knew."""
        self.history.tell(node, [self.open_key] * READERS)
        time.sleep(0.2)
        self.cluster.resume(node)

    def cut(self, node, way=None):
        """Until the node's own clients have been refused for it."""
        since = time.monotonic_ns()
        self.cluster.cut(node, way=way)
        wait_until(f'the clients of node {node} are refused', WAIT_S,
                   lambda: self.history.errors(since, [node])['EHOSTUNREACH'], 0.2)

    def fail(self, what, node, inflict, mend):
        """One fault of one node; a leader's lasts until another one leads."""
        leads = self.cluster.leader(node) == node

        def begin():
            inflict(node)
            if leads:
                self.new_leader(node)

        role = 'leader' if leads else 'follower'
        self.history.endure(f'{what} of the {role}, node {node}', begin,
                            lambda: mend(node), self.others(node))

    def each_role_twice(self, what, inflict, mend):
        """The leader, a follower, the new leader, a follower; and the verdict."""
        for _ in range(2):
            self.fail(what, self.cluster.leader(), inflict, mend)
            self.fail(what, self.cluster.followers()[0], inflict, mend)
        self.history.judge()
