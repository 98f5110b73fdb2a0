/* SPDX-License-Identifier: Apache-2.0 */

/* Judges the answers of operations in zones: the rules of sim_zone.h. What the
 * node has is looked at before and behind an operation; in between entries may
 * come from other nodes. */

#ifndef GROVEFS_TESTS_SIM_SIM_ZONE_JUDGE_H
#define GROVEFS_TESTS_SIM_SIM_ZONE_JUDGE_H

#include "engine/record.h"
#include "tests/sim/sim_lives.h"
#include "tests/sim/sim_zone_choice.h"

/* One operation, as it began. */
struct sim_zone_case {
    uint32_t tag;           /* public: set behind sim_zone_open_case() */
    bool has_accepted;      /* public: the node has, since its start */
    bool is_short;          /* public: it has little time */
    bool is_cancelled;      /* public: it may be */
    bool all_reached;       /* public: out; by the node, all others */
    bool alone;             /* private from here on; it reaches no majority */
    bool clock_wrong;       /* or not believed */
    bool is_restamping;     /* it gives changes other versions */
    bool is_directory;      /* a directory has the name there */
    bool is_strong;         /* ... that is strong */
    uint64_t restamped;     /* how many it has given */
    struct node_record own; /* the node's, in its catalog */
    uint64_t call_ns;
    uint64_t dirs[2];
    struct mode modes[2];
    struct sim_version before[2];
};

void sim_zone_open_case(struct sim_zone_case *zone_case,
                        const struct sim_node *node,
                        const struct sim_zone_op *op,
                        const struct sim_zone *zone);

/* Fails the run when the answer is not possible. True: the node has accepted an
 * eventual change. */
bool sim_zone_judge(struct sim_zone_case *zone_case, struct sim_lives *lives,
                    const struct sim_node *node, const struct sim_zone_op *op,
                    const struct request *request);

const char *sim_zone_kind_text(const struct sim_zone_op *op);

#endif
