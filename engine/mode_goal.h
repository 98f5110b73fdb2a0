/* SPDX-License-Identifier: Apache-2.0 */

/* What somebody wants of a directory's mode, and what that takes where it is
 * now: mode_change.h does it. A directory may have a mode of its own, with
 * which it stays as it is when the one above changes. Strong below an eventual
 * one, or eventual below a strong one, it is in no other way. Any thread. */

#ifndef GROVEFS_ENGINE_MODE_GOAL_H
#define GROVEFS_ENGINE_MODE_GOAL_H

#include "engine/record.h"

enum mode_goal {
    MODE_TO_EVENTUAL, /* by a mode of its own */
    MODE_TO_STRONG,   /* likewise */
    MODE_INHERIT, /* no mode of its own, so that of the directory it is in */
    MODE_REMOVE   /* it is in an eventual one */
};

enum mode_step {
    MODE_STEP_NONE,  /* it is so already */
    MODE_STEP_CLOSE, /* to eventual */
    MODE_STEP_FENCE, /* to strong, or to be removed */
    MODE_STEP_OWN    /* COMMAND_DIR_OWN */
};

/* `parent`: the mode of the directory that it is in; zeroed for the root.
 * ERR_NO_DATA: to inherit, without a mode of its own; ERR_BUSY: another change
 * is under way, or it is not where it was thought to be; ERR_NOT_PERMITTED: the
 * root to eventual. */
int mode_goal_step(enum mode_goal goal, uint64_t nsid, struct mode mode,
                   struct mode parent, enum mode_step *ret);

#endif
