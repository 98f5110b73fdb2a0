/* SPDX-License-Identifier: Apache-2.0 */

/* What a majority has, for one set of voters and for two joint ones.
 *
 * The same function finds the commit index, the confirmed read position and
 * the confirmed clock: each voter has a value, and the result is the greatest
 * one that a majority has reached. An empty set has reached everything and
 * has won every vote, which lets a configuration with an empty second half be
 * computed like a joint one. */

#ifndef GROVEFS_RAFT_QUORUM_H
#define GROVEFS_RAFT_QUORUM_H

#include "raft/raft.h"

/* A voter's value; 0 when nothing is known of it. */
typedef uint64_t quorum_value(const void *context, uint64_t id);

uint64_t quorum_majority_index(const struct raft_id_set *voters,
                               quorum_value *value, const void *context);
uint64_t quorum_joint_index(const struct raft_conf_state *conf,
                            quorum_value *value, const void *context);

enum quorum_ballot { QUORUM_SILENT, QUORUM_NO, QUORUM_YES };

enum quorum_result { QUORUM_PENDING, QUORUM_LOST, QUORUM_WON };

typedef enum quorum_ballot quorum_vote(const void *context, uint64_t id);

enum quorum_result quorum_majority_vote(const struct raft_id_set *voters,
                                        quorum_vote *vote, const void *context);
enum quorum_result quorum_joint_vote(const struct raft_conf_state *conf,
                                     quorum_vote *vote, const void *context);

#endif
