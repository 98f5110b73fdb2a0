/* SPDX-License-Identifier: Apache-2.0 */

/* Zones: eventual directories, each with one client on each node. Names of
 * zones are those of nobody else, and what is in them is no part of the
 * history; what must hold is in sim_lives.h, and here:
 *
 *   1. An operation on a file sees what the node had when it was begun, or
 *      what is newer.
 *   2. A change that was acknowledged is there, with what was written.
 *   3. Where a node has accepted a change since its start, it goes on to
 *      accept them, whoever can be reached: as long as it has room, its clock
 *      is not wrong, nothing is fenced and the node is not being drained; then
 *      it accepts none.
 *   4. Whatever a client may not see of the engine's errors it does not. */

#ifndef GROVEFS_TESTS_SIM_SIM_ZONE_H
#define GROVEFS_TESTS_SIM_SIM_ZONE_H

#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_zone_choice.h"

struct sim_zones;

/* The cluster knows of them from then on. As many as the plan says, which may
 * be none. */
struct sim_zones *sim_zones_new(struct sim_cluster *cluster);
/* No client may have anything under way. */
void sim_zones_free(struct sim_zones *zones);

/* As those of sim_client.h. */
void sim_zones_work(struct sim_zones *zones);
void sim_zones_rest(struct sim_zones *zones);
bool sim_zones_are_idle(const struct sim_zones *zones);
/* Since they began to work, or to end, each node has accepted something, but
 * those that are being drained. */
bool sim_zones_have_worked(const struct sim_zones *zones);

/* Likewise the one with that number. */
bool sim_zones_has_worked(const struct sim_zones *zones, size_t number);

/* The client of that node begins that. False: it has something under way, or
 * its node does not serve. */
bool sim_zones_do(struct sim_zones *zones, size_t number,
                  const struct sim_zone_op *op);
/* What is known of a zone. */
const struct sim_zone *sim_zones_find(const struct sim_zones *zones,
                                      size_t zone);

/* They work until no zone is eventual any more. */
void sim_zones_end(struct sim_zones *zones);
bool sim_zones_have_ended(const struct sim_zones *zones);

/* What nodes have: see sim_lives.h. */
bool sim_zones_are_settled(struct sim_zones *zones);
bool sim_zones_are_forgotten(struct sim_zones *zones);
void sim_zones_check(struct sim_zones *zones);

/* The cluster's: NULL is taken, too. */
void sim_zones_step(struct sim_zones *zones, struct sim_node *node);
void sim_zones_on_crash(struct sim_zones *zones, const struct sim_node *node);
void sim_zones_on_loss(struct sim_zones *zones, const struct sim_node *node);
/* Somebody has resolved a part of that namespace for another one. */
void sim_zones_on_resolved(struct sim_zones *zones, uint64_t nsid);

#endif
