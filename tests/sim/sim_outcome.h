/* SPDX-License-Identifier: Apache-2.0 */

/* What an operation's status says about the operation. */

#ifndef GROVEFS_TESTS_SIM_SIM_OUTCOME_H
#define GROVEFS_TESTS_SIM_SIM_OUTCOME_H

#include "tests/sim/sim_history.h"

static inline bool sim_is_read(enum request_kind kind)
{
    return kind < REQUEST_CREATE;
}

enum sim_outcome sim_outcome_of(const struct sim_op *op, int status);

/* Counts it, by its status, in sim_seen.h. */
void sim_outcome_count(const struct sim_op *op);

#endif
