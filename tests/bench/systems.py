# SPDX-License-Identifier: Apache-2.0
"""The systems that scripts/bench compares.

Each has start() and stop(); stop() also takes what start() left half done.
targets() are the rows of the report that it fills, in this order, after
prepare() of each; command() is the load generator for one of them and where it
goes, to_fill() those through which all keys are made; syncs() counts since
anything before. A system keeps everything in the folder it is given.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.request

from tools import (TOP, Failure, clean_env, end_process, metric_sum,
                   mounts_below, note, run, undisturbed, wait_until)

NODES = 3


@contextlib.contextmanager
def running(system):
    """Starts the system, and ends it whatever happens."""
    try:
        system.start()
        yield system
    except (Failure, OSError):
        system.show_logs()
        raise
    finally:
        try:
            system.stop()
        except Failure as e:  # Must not hide the failure that led here.
            note(str(e))
            if sys.exc_info()[0] is None:
                raise


class System:
    def to_fill(self):
        return self.targets()[:1]

    def prepare(self, target):
        pass

    def workloads(self, wanted):
        return wanted


class NullFs(System):
    name = "null"

    def __init__(self, tools, options, folder):
        self.tools = tools
        self.mount = os.path.join(folder, "null")
        self.process = None

    def start(self):
        os.mkdir(self.mount)
        with undisturbed():
            self.process = subprocess.Popen([self.tools.bench("nullfs"),
                                             self.mount])
        wait_until("nullfs is mounted", self.is_mounted)

    def is_mounted(self):
        if self.process.poll() is not None:
            raise Failure("nullfs ended at once")
        return os.path.ismount(self.mount)

    def stop(self):
        if self.process is not None:
            end_process(self.process)
        if self.mount in mounts_below(os.path.dirname(self.mount)):
            run(["umount", "-l", self.mount])

    def show_logs(self):
        pass  # It writes to our stderr.

    def targets(self):
        return ["null"]

    def command(self, target):
        if not self.is_mounted():  # Else the disk below would be measured.
            raise Failure("nullfs is not mounted any more")
        return [self.tools.bench("load")], self.mount

    def syncs(self):
        return None


class Etcd(System):
    name = "etcd"

    def __init__(self, tools, options, folder):
        self.tools = tools
        self.folder = os.path.join(folder, "etcd")
        self.processes = []
        self.clients = []

    def start(self):
        os.mkdir(self.folder)
        ports = free_ports(2 * NODES)
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.clients, peers = urls[:NODES], urls[NODES:]
        cluster = ",".join(f"m{i}={url}" for i, url in enumerate(peers))
        with undisturbed():
            for i in range(NODES):
                self.start_member(i, peers[i], cluster)
        wait_until("etcd is healthy", self.is_healthy)

    def start_member(self, i, peer, cluster):
        base = os.path.join(self.folder, f"m{i}")
        with open(base + ".log", "w") as log:
            self.processes.append(subprocess.Popen(
                [self.tools.etcd, "--name", f"m{i}", "--data-dir", base,
                 "--listen-client-urls", self.clients[i],
                 "--advertise-client-urls", self.clients[i],
                 "--listen-peer-urls", peer,
                 "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", cluster,
                 "--initial-cluster-token", os.path.basename(self.folder),
                 "--initial-cluster-state", "new",
                 "--logger", "zap", "--log-level", "error"],
                stdout=log, stderr=log, env=clean_env()))

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            end_process(process)

    def show_logs(self):
        for i in range(len(self.processes)):
            with open(os.path.join(self.folder, f"m{i}.log")) as log:
                for line in log.read().splitlines()[-5:]:
                    note(f"m{i}.log: {line}")

    def is_healthy(self):
        if any(process.poll() is not None for process in self.processes):
            raise Failure("an etcd member ended at once")
        try:
            return all(json.loads(http_get(url + "/health"))["health"] ==
                       "true" for url in self.clients)
        except (OSError, ValueError):
            return False

    def targets(self):
        return ["etcd"]

    def command(self, target):
        for url in self.clients:
            if metric_sum(http_get(url + "/metrics"),
                          "etcd_server_is_leader") == 1:
                return [self.tools.etcd_load], url
        raise Failure("etcd has no leader")

    def workloads(self, wanted):
        return [w for w in wanted if w != "rename"]

    def syncs(self):
        return sum(metric_sum(http_get(url + "/metrics"),
                              "etcd_disk_wal_fsync_duration_seconds_count")
                   for url in self.clients)


class Grovefs(System):
    name = "grovefs"
    nodes = NODES

    def __init__(self, tools, options, folder):
        self.tools = tools
        self.options = options
        self.folder = os.path.join(folder, "grovefs")
        self.up = list(range(1, self.nodes + 1))

    def start(self):
        os.mkdir(self.folder)
        command = ["up", "-n", str(self.nodes)]
        if self.options:
            command += ["-o", self.options]
        with undisturbed():  # A half started cluster is hard to end.
            self.cluster(command)
        wait_until("region 1 has a leader", lambda: self.leader() > 0)

    def cluster(self, command):
        run([TOP + "/scripts/cluster"] + command + ["-d", self.folder], 180,
            env={**os.environ,
                 "GROVEFS": os.path.join(self.tools.build, "grovefs")})

    def kill(self, node):
        with undisturbed():
            self.cluster(["kill", str(node)])
        self.up.remove(node)

    def start_again(self):
        down = [i for i in range(1, self.nodes + 1) if i not in self.up]
        with undisturbed():
            self.cluster(["start"] + [str(i) for i in down])
        self.up = sorted(self.up + down)

    def show_logs(self):
        for i in range(1, self.nodes + 1):
            with contextlib.suppress(OSError):
                with open(os.path.join(self.folder, f"n{i}.log")) as log:
                    for line in log.read().splitlines()[-10:]:
                        note(f"n{i}.log: {line}")

    def stop(self):
        if os.path.exists(os.path.join(self.folder, "cluster")):
            self.cluster(["down", "--wipe"])

    def mount(self, node):
        return os.path.join(self.folder, f"n{node}")

    def read(self, node, name):
        with open(os.path.join(self.mount(node), ".cluster", name)) as file:
            return file.read()

    def table(self, node, name):
        """Its rows: column -> text."""
        columns, *rows = self.read(node, name).splitlines()
        columns = columns.lstrip("# ").split()
        return [dict(zip(columns, row.split())) for row in rows]

    def leader(self):
        """The node that leads region 1, or 0."""
        for row in self.table(1, "leaders"):
            if row["region"] == "1" and row["leader_node"].isdigit():
                return int(row["leader_node"])
        return 0

    def targets(self):
        return ["leader", "follower"]

    def command(self, target):
        leader = self.leader()
        if leader == 0:
            raise Failure("region 1 has no leader")
        node = leader if target == "leader" else leader % self.nodes + 1
        return self.on_mount(node)

    def on_mount(self, node):
        if not os.path.ismount(self.mount(node)):
            raise Failure(f"{self.mount(node)} is not mounted any more")
        return [self.tools.bench("load")], self.mount(node)

    def syncs(self):
        counts = [metric_sum(self.read(i, "metrics"),
                             "grovefs_log_syncs_total") for i in self.up]
        return None if None in counts else sum(counts)


def free_ports(count):
    """Ports that were all free at the same time."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def http_get(url):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=5) as answer:
        return answer.read().decode()
