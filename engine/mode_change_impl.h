/* SPDX-License-Identifier: Apache-2.0 */

/* What the mode_change*.c files share; for them only. */

#ifndef GROVEFS_ENGINE_MODE_CHANGE_IMPL_H
#define GROVEFS_ENGINE_MODE_CHANGE_IMPL_H

#include "engine/mode_change.h"

/* ---- mode_change_say.c: what the log says ---- */

void mode_change_say_not_ready(struct mode_change *change);
void mode_change_say_missing(struct mode_change *change);
void mode_change_say_not_brought(struct mode_change *change);
/* One entry changes all of them. */
void mode_change_say_too_large(struct mode_change *change);
/* Why a change did not come about, if that was not said; but of one that is
 * interrupted, or has nothing to do. Neither this nor the next one says
 * anything of removals, which are no changes of modes to anybody. */
void mode_change_say_failed(const struct mode_change *change, int status);
/* The mode that it has now, as this node has applied it. */
void mode_change_say_done(const struct mode_change *change);
/* One line for each node that it was made strong without. */
void mode_change_say_left_out(const struct mode_change *change);

#endif
