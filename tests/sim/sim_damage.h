/* SPDX-License-Identifier: Apache-2.0 */

/* Damage: one record in one replica's state/ is changed behind the engine's
 * back, as a bad disk or a bug would. It is done in the calm, while no client
 * works, so that the history stays what it is; then checks are asked for, of
 * any node, until the engine has found just that replica and rebuilt it. With
 * `damage_crashes` nodes crash meanwhile. */

#ifndef GROVEFS_TESTS_SIM_SIM_DAMAGE_H
#define GROVEFS_TESTS_SIM_SIM_DAMAGE_H

#include "tests/sim/sim_client.h"

struct sim_damage;

/* Does it, and begins to ask. */
struct sim_damage *sim_damage_new(struct sim_cluster *cluster,
                                  struct sim_clients *clients);
bool sim_damage_is_mended(const struct sim_damage *damage);
void sim_damage_stop(struct sim_damage *damage);
void sim_damage_free(struct sim_damage *damage); /* Takes NULL. */

#endif
