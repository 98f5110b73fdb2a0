#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients of all mounts see is linearizable while processes fail."""

from harness import main, test
from history import Trial


@test
def a_history_with_kill_9_and_restarts_is_linearizable(t):
    trial = Trial(t)
    trial.each_role_twice('kill -9', trial.cluster.kill, trial.cluster.start)


@test
def a_history_with_nodes_that_stand_still_is_linearizable(t):
    trial = Trial(t)
    trial.each_role_twice('SIGSTOP', trial.pause, trial.resume)


@test
def a_history_with_restarts_of_all_nodes_at_once_is_linearizable(t):
    trial = Trial(t)
    c = trial.cluster
    for what, end in (('SIGTERM', c.stop), ('kill -9', c.kill)) * 2:
        trial.history.endure(f'{what} of all nodes', lambda end=end: end(*c.nodes),
                             lambda: c.start(*c.nodes), alive=[])
    trial.history.judge()


main()
