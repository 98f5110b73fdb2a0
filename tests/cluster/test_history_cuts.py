#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients of all mounts see is linearizable while links fail, in both
directions or in one."""

from harness import main, test
from history import Trial


@test
def a_history_with_cut_links_is_linearizable(t):
    trial = Trial(t)
    trial.each_role_twice('cut', trial.cut, trial.cluster.heal)


@test
def a_history_with_nodes_that_hear_nothing_is_linearizable(t):
    trial = Trial(t)
    trial.each_role_twice('cut of what comes in', lambda node: trial.cut(node, 'in'),
                          trial.cluster.heal)


@test
def a_history_with_nodes_that_nobody_hears_is_linearizable(t):
    trial = Trial(t)
    trial.each_role_twice('cut of what goes out', lambda node: trial.cut(node, 'out'),
                          trial.cluster.heal)


main()
