/* SPDX-License-Identifier: Apache-2.0 */

/* Small sorted sets of peer ids, kept by value. */

#ifndef GROVEFS_RAFT_ID_SET_H
#define GROVEFS_RAFT_ID_SET_H

#include "raft/raft.h"

bool id_set_contains(const struct raft_id_set *set, uint64_t id);

/* False when the set is full; true when `id` is in it afterwards. */
bool id_set_add(struct raft_id_set *set, uint64_t id);

void id_set_remove(struct raft_id_set *set, uint64_t id);

/* Adds all of `more`; false when they do not fit. */
bool id_set_add_all(struct raft_id_set *set, const struct raft_id_set *more);

/* How many ids are in one of the sets only. */
size_t id_set_difference(const struct raft_id_set *a,
                         const struct raft_id_set *b);

/* The same ids in ascending order, each once. */
struct raft_id_set id_set_sorted(const struct raft_id_set *set);

/* All voters of both halves. */
struct raft_id_set conf_state_voters(const struct raft_conf_state *conf);

bool conf_state_is_voter(const struct raft_conf_state *conf, uint64_t id);
bool conf_state_is_joint(const struct raft_conf_state *conf);

/* Asserts order and that roles do not overlap. */
void conf_state_check(const struct raft_conf_state *conf);

/* The same with all sets sorted. ERR_INVALID when roles overlap or there are
 * too many peers. */
int conf_state_normalize(const struct raft_conf_state *conf,
                         struct raft_conf_state *ret);

#endif
