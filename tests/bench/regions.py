# SPDX-License-Identifier: Apache-2.0
"""What a writer notices of a region that is split or moved beside it.

One client puts values of 128 bytes into the region, one after the other, on the
mount of the node that leads it. Measured in one run: nothing else happening;
the region, with all that lies in it, moving from a follower's node to one that
has none of it, and from its leader's; the region being split.
"""

import os
import random
import statistics
import tempfile
import time

from systems import Grovefs, running
from tools import Failure, note, wait_until

KEYS = 1000
VALUE_SIZE = 128
FILE_SIZE = 1024 * 1024
SPLITS = 10
SPLIT_S = 1.0        # of writing around each split
CALM_S = 20
LOOK_S = 0.25        # between looks at whether a move is over
MOVE_S = 600
AIM_P99 = 3
AIM_SPLIT_MS = 50


class Writer:
    """Puts until it is told to stop, and remembers how long each took."""

    def __init__(self, mount):
        self.mount = mount
        self.random = random.Random(1)
        self.value = bytes(VALUE_SIZE)

    def put(self):
        key = self.random.randrange(KEYS)
        fd = os.open(f"{self.mount}/keys/k{key:04}",
                     os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(fd, self.value)
        finally:
            os.close(fd)

    def until(self, over):
        """Seconds that each put took until over(), which is asked now and
        then and not counted."""
        latencies = []
        look = time.monotonic() + LOOK_S
        while True:
            before = time.monotonic()
            self.put()
            after = time.monotonic()
            latencies.append(after - before)
            if after >= look:
                if over():
                    return latencies
                look = time.monotonic() + LOOK_S

    def for_seconds(self, seconds):
        end = time.monotonic() + seconds
        return self.until(lambda: time.monotonic() >= end)


def p99_ms(latencies):
    return statistics.quantiles(latencies, n=100)[98] * 1000


class FourNodes(Grovefs):
    """Three have the region; the fourth is where it goes."""

    nodes = 4

    def control(self, name, text):
        with open(f"{self.mount(1)}/.cluster/{name}", "w") as file:
            file.write(f"{text}\n")

    def operator(self):
        """The facts of region 1's operator file."""
        lines = self.read(1, "region/1/operator").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def fill(self, mebibytes):
        """In files of one mebibyte, which do not compress."""
        self.control("settings/region_size", 1024 * 1024 * 1024)
        self.control("settings/balance", "off")
        os.mkdir(f"{self.mount(1)}/keys")
        os.mkdir(f"{self.mount(1)}/more")
        for i in range(mebibytes):
            with open(f"{self.mount(1)}/more/m{i:06}", "wb") as file:
                file.write(os.urandom(FILE_SIZE))

    def is_moved(self):
        return self.operator()["result"] != "running"


class Regions:
    def __init__(self, options, tools, folder):
        self.options = options
        self.tools = tools
        self.folder = folder
        self.rounds = []

    def move(self, cluster, source, target):
        """(seconds, what each put took meanwhile)"""
        writer = Writer(cluster.mount(cluster.leader()))
        began = time.monotonic()
        cluster.control("region/1/move", f"{source} {target}")
        latencies = writer.until(
            lambda: cluster.is_moved() or time.monotonic() > began + MOVE_S)
        result = cluster.operator()["result"]
        if result != "done":
            raise Failure(f"the move of region 1 is not done: {result}")
        return time.monotonic() - began, latencies

    def split_gaps(self, cluster):
        """The longest put around each of some splits, in milliseconds."""
        writer = Writer(cluster.mount(cluster.leader()))
        gaps = []
        for i in range(SPLITS):
            at = self.options.mebibytes * (SPLITS - i) // (SPLITS + 1)
            child = os.fork()
            if child == 0:
                time.sleep(SPLIT_S / 2)
                status = 1
                try:
                    cluster.control("region/1/split", f"/more/m{at:06}")
                    status = 0
                finally:
                    os._exit(status)
            gaps.append(max(writer.for_seconds(SPLIT_S)) * 1000)
            if os.waitpid(child, 0)[1] != 0:
                raise Failure(f"no split at /more/m{at:06}")
        return gaps

    def calm_gaps(self, cluster):
        writer = Writer(cluster.mount(cluster.leader()))
        return [max(writer.for_seconds(SPLIT_S)) * 1000
                for _ in range(SPLITS)]

    def measure(self, cluster):
        results = {}
        cluster.fill(self.options.mebibytes)
        leader = cluster.leader()
        follower = leader % 3 + 1
        writer = Writer(cluster.mount(leader))
        writer.for_seconds(1)
        results["calm"] = writer.for_seconds(CALM_S)
        for name, source, target in (("follower", follower, 4),
                                     ("leader", leader, follower)):
            results[name + "_s"], results[name] = self.move(cluster, source,
                                                            target)
        wait_until("region 1 has a leader", lambda: cluster.leader() > 0)
        results["calm gaps"] = self.calm_gaps(cluster)
        results["split gaps"] = self.split_gaps(cluster)
        return results

    def run(self):
        for number in range(self.options.rounds):
            note(f"round {number + 1} of {self.options.rounds}")
            folder = tempfile.mkdtemp(dir=self.folder)
            with running(FourNodes(self.tools, self.options.options,
                                   folder)) as cluster:
                self.rounds.append(self.measure(cluster))

    # ---- what is printed ----

    def spread(self, values):
        text = f"{statistics.median(values):.2f}"
        if len(values) > 1:
            text += f" ({min(values):.2f}-{max(values):.2f})"
        return text

    def line(self, text, values, aim=None):
        verdict = ""
        if aim is not None:
            met = statistics.median(values) <= aim
            verdict = f"  aim at most {aim}: {'met' if met else 'missed'}"
        print(f"{text:56} {self.spread(values):>24}{verdict}")

    def print(self):
        def each(function):
            return [function(r) for r in self.rounds]

        print(f"{os.cpu_count()} processors, {len(self.rounds)} round(s), "
              f"{self.options.mebibytes} MiB in the region")
        self.line("put, nothing else: p50 ms", each(
            lambda r: statistics.median(r["calm"]) * 1000))
        self.line("put, nothing else: p99 ms", each(
            lambda r: p99_ms(r["calm"])))
        for name in "follower", "leader":
            self.line(f"move from the {name}'s node: seconds", each(
                lambda r: r[name + "_s"]))
            self.line("put meanwhile: p99 ms", each(
                lambda r: p99_ms(r[name])))
            self.line("put meanwhile: longest ms", each(
                lambda r: max(r[name]) * 1000))
            self.line("put meanwhile: p99 / p99 with nothing else", each(
                lambda r: p99_ms(r[name]) / p99_ms(r["calm"])), AIM_P99)
        self.line(f"longest put in {SPLIT_S:.0f} s, nothing else: ms", each(
            lambda r: statistics.median(r["calm gaps"])))
        self.line(f"longest put in {SPLIT_S:.0f} s with a split in it: ms",
                  each(lambda r: statistics.median(r["split gaps"])),
                  AIM_SPLIT_MS)
        self.line("the worst of these", each(
            lambda r: max(r["split gaps"])))
