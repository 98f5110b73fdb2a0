/* SPDX-License-Identifier: Apache-2.0 */

/* From one configuration to the next (Raft thesis, chapter 4): pure functions
 * that either give the new configuration or say why there is none.
 *
 *     simple:      (1 2 3)            -> (1 2 3 4)        one voter differs
 *     enter joint: (1 2 3)            -> (1 4 5)&&(1 2 3) any difference
 *     leave joint: (1 4 5)&&(1 2 3)   -> (1 4 5)
 *
 * A voter that is to become a learner stays a voter of the outgoing half while
 * that lasts, and waits in learners_next. */

#ifndef GROVEFS_RAFT_CONF_CHANGE_H
#define GROVEFS_RAFT_CONF_CHANGE_H

#include "raft/raft.h"

/* How a committed change takes effect. */
enum conf_step { CONF_STEP_SIMPLE, CONF_STEP_ENTER, CONF_STEP_LEAVE };

struct conf_next {
    struct raft_conf_state conf;
    /* Peers that were removed on the way, maybe to be added again: what was
     * known of their progress is void. */
    struct raft_id_set forgotten;
};

enum conf_step conf_change_step(const struct raft_conf_change *change);

/* The configuration after `change`, by conf_change_step(). NULL, or why it is
 * impossible; then `*ret` is not written. */
const char *conf_change_next(const struct raft_conf_state *conf,
                             const struct raft_conf_change *change,
                             struct conf_next *ret);

/* The three steps alone. */
const char *conf_change_simple(const struct raft_conf_state *conf,
                               const struct raft_conf_change *change,
                               struct conf_next *ret);
const char *conf_change_enter_joint(const struct raft_conf_state *conf,
                                    const struct raft_conf_change *change,
                                    bool auto_leave, struct conf_next *ret);
const char *conf_change_leave_joint(const struct raft_conf_state *conf,
                                    struct conf_next *ret);

#endif
