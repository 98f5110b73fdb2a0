/* SPDX-License-Identifier: Apache-2.0 */

/* Regions that sleep (engine/peer_sleep.c). After every step: whoever sleeps
 * has nothing to do, and would notice that its leader is gone. In the calm,
 * while no client works: all regions fall asleep, then there is not one Raft
 * message; and when a node goes that leads, the others find another leader by
 * themselves. */

#ifndef GROVEFS_TESTS_SIM_SIM_SLEEP_H
#define GROVEFS_TESTS_SIM_SIM_SLEEP_H

#include "tests/sim/sim_cluster.h"

void sim_sleep_check(struct sim_cluster *cluster, const struct sim_node *node,
                     const struct peer *peer);

/* Every replica of every region. */
bool sim_sleep_is_deep(const struct sim_cluster *cluster);

/* A node that leads a data region which can do without it; NULL: none. */
struct sim_node *sim_sleep_leader(struct sim_cluster *cluster);
/* No replica that is left takes a node that is down for its leader. */
bool sim_sleep_is_led(const struct sim_cluster *cluster);

#endif
