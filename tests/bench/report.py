# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench prints at the end: medians, their spread, ratios.

The input is a list of rounds, each a dictionary from (target, workload,
clients) to a Row; what the machine costs is under the target "machine".
"""

import os
import statistics
from collections import namedtuple

Row = namedtuple("Row", "ops p50 p99 syncs")


def spread(values, digits):
    """median (smallest-largest)"""
    values = [v for v in values if v is not None]
    if not values:
        return "-"
    median = statistics.median(values)
    text = f"{median:.{digits}f}"
    if len(values) > 1:
        text += f" ({min(values):.{digits}f}-{max(values):.{digits}f})"
    return text


class Report:
    known_targets = ["leader", "follower", "null", "etcd"]
    pairs = [(a, b) for a in ("leader", "follower") for b in ("null", "etcd")]

    def __init__(self, bench):
        self.options = bench.options
        self.rounds = bench.rounds
        self.busy = bench.busy
        keys = bench.rounds[0].keys()
        self.targets = [t for t in self.known_targets
                        if any(k[0] == t for k in keys)]

    def values(self, key, field):
        return [getattr(r[key], field) for r in self.rounds if key in r]

    def ratios(self, above, below):
        """above / below in each round, of ops/s."""
        return [r[above].ops / r[below].ops for r in self.rounds
                if above in r and below in r and r[below].ops > 0]

    def machine(self):
        sync = self.values(("machine", "syncwrite", 1), "p50")
        turn = self.values(("machine", "turn", 1), "p50")
        print(f"kernel {os.uname().release}, {os.cpu_count()} processors, "
              f"{len(self.rounds)} round(s) of {self.options.seconds} s, "
              f"{self.options.keys} keys")
        print("used by other work before the rounds: "
              f"{spread(self.busy, 0)} % of the processors")
        print(f"one synced RocksDB write of 128 bytes: p50 {spread(sync, 0)} "
              "us, p99 "
              f"{spread(self.values(('machine', 'syncwrite', 1), 'p99'), 0)}"
              " us")
        print(f"one loopback turn of 128 bytes: p50 {spread(turn, 0)} us")

    def table(self):
        line = "{:8} {:>2}  {:9} {:>23} {:>22} {:>22} {:>16}"
        print("\n" + line.format("workload", "cl", "system", "ops/s",
                                 "p50 us", "p99 us", "syncs/op").rstrip())
        for workload in self.options.workloads:
            for clients in self.options.clients:
                for target in self.targets:
                    key = (target, workload, clients)
                    if key not in self.rounds[0]:
                        continue
                    print(line.format(workload, clients, target,
                                      spread(self.values(key, "ops"), 0),
                                      spread(self.values(key, "p50"), 0),
                                      spread(self.values(key, "p99"), 0),
                                      spread(self.values(key, "syncs"), 2)))

    def ratio_table(self):
        pairs = [(a, b) for a, b in self.pairs
                 if a in self.targets and b in self.targets]
        if not pairs:
            return
        line = "{:8} {:>2}" + "  {:>20}" * len(pairs)
        print("\n" + line.format("ratio", "cl",
                                 *(f"{a}/{b}" for a, b in pairs)))
        for workload in self.options.workloads:
            for clients in self.options.clients:
                cells = [spread(self.ratios((a, workload, clients),
                                            (b, workload, clients)), 2)
                         for a, b in pairs]
                print(line.format(workload, clients, *cells))

    def ideal_shares(self, target, costs):
        """Of one that takes what a null put and these costs of the machine do
        together, in each round."""
        shares = []
        for r in self.rounds:
            put, null = (r.get((t, "put", 1)) for t in (target, "null"))
            if put and null and null.ops > 0:
                ideal_us = 1e6 / null.ops + sum(r["machine", cost, 1].p50
                                                for cost in costs)
                shares.append(put.ops * ideal_us / 1e6)
        return shares

    def aim(self, text, values, wanted=None):
        if not values:
            return
        verdict = ""
        if wanted is not None:
            met = statistics.median(values) >= wanted
            verdict = f"aim {wanted:.1f}: {'met' if met else 'missed'}"
        print(f"{text:44} {spread(values, 2):>20}  {verdict}".rstrip())

    def aims(self):
        sync_us = statistics.median(self.values(("machine", "syncwrite", 1),
                                                "p50"))
        print()
        self.aim("put, clients 1: leader / etcd",
                 self.ratios(("leader", "put", 1), ("etcd", "put", 1)),
                 1.5 if sync_us < 200 else 1.0)
        self.aim("put, clients 1: leader / ideal",
                 self.ideal_shares("leader", ["syncwrite", "turn"]))
        for clients in self.options.clients:
            self.aim(f"get, clients {clients}: leader / null",
                     self.ratios(("leader", "get", clients),
                                 ("null", "get", clients)), 0.7)

    def print(self):
        self.machine()
        self.table()
        self.ratio_table()
        self.aims()
