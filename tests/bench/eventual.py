# SPDX-License-Identifier: Apache-2.0
"""scripts/bench --eventual: what puts into an eventual directory cost, and
whether that depends on other nodes.

A strong and an eventual directory lie in one cluster of three nodes; the null
filesystem is measured in a directory just as deep, because each component of a
path is a request. The first of them is a name in a strong directory, for which
the leader is asked; clients that work inside do not ask. All rows with nodes
down are of one mount, so that they differ in nothing but that.
"""

import os

from report import Report
from systems import Grovefs, NullFs
from tools import wait_until

MODE = "user.grove.consistency"
AIM_IDEAL = 0.6
AIM_DOWN = 0.9  # of what it was: anything less would be a dependence


class DeepNullFs(NullFs):
    def start(self):
        super().start()
        os.mkdir(self.place())

    def place(self):
        return os.path.join(self.mount, "eventual")

    def command(self, target):
        program, _ = super().command(target)
        return program, self.place()


class TwoModes(Grovefs):
    """`here` is the node whose mount is measured, `down` those that do not
    run."""

    def start(self):
        super().start()
        for name in ("strong", "eventual"):
            os.mkdir(os.path.join(self.mount(1), name))
        os.setxattr(os.path.join(self.mount(1), "eventual"), MODE, b"eventual")
        self.here = self.leader()
        self.others = [i for i in range(1, self.nodes + 1) if i != self.here]

    def to_fill(self):
        return ["strong", "eventual"]

    def targets(self):
        return ["strong", "eventual", "other", "inside", "1-down", "2-down",
                "again"]

    def prepare(self, target):
        if target == "1-down":
            self.kill(self.others[1])
            wait_until("the leaders run", self.is_led)
        elif target == "2-down":
            self.kill(self.others[0])
            wait_until("nobody leads", lambda: self.leaders() == {"-"})
        elif target == "again":
            self.start_again()
            wait_until("all nodes have everything", self.is_level)

    def command(self, target):
        if target == "strong":
            program, place = super().command("leader")
            return program, os.path.join(place, "strong")
        elsewhere = target in ("other", "inside")
        program, place = self.on_mount(self.others[0] if elsewhere
                                       else self.here)
        place = os.path.join(place, "eventual")
        if target == "inside":
            return ["env", "-C", place] + program, "."
        return program, place

    def leaders(self):
        """What the node that is measured knows of all regions."""
        return {row["leader_node"] for row in self.table(self.here, "leaders")}

    def is_led(self):
        return self.leaders() <= {str(i) for i in self.up}

    def is_level(self):
        """Nothing is pending anywhere, and all answer."""
        rows = [row for i in self.up for row in self.table(i, "eventual")]
        return all(row["pending_entries"] == "0" and row["state"] == "ok"
                   for row in rows)


class EventualReport(Report):
    known_targets = ["strong", "eventual", "other", "inside", "1-down",
                     "2-down", "again", "null"]
    pairs = [("eventual", "strong"), ("eventual", "null"),
             ("1-down", "eventual"), ("2-down", "eventual")]

    def aims(self):
        def put(target):
            return target, "put", 1

        print()
        for target in self.known_targets[1:-1]:
            self.aim(f"put, clients 1: {target} / ideal",
                     self.ideal_shares(target, ["syncwrite"]), AIM_IDEAL)
        self.aim("put, clients 1: eventual / strong",
                 self.ratios(put("eventual"), put("strong")))
        for target in ("1-down", "2-down"):
            self.aim(f"put, clients 1: {target} / eventual",
                     self.ratios(put(target), put("eventual")), AIM_DOWN)
