/* SPDX-License-Identifier: Apache-2.0 */

/* What the mode_change*.c files share; for them only. */

#ifndef GROVEFS_ENGINE_MODE_CHANGE_IMPL_H
#define GROVEFS_ENGINE_MODE_CHANGE_IMPL_H

#include "engine/mode_change.h"

/* ---- mode_change_say.c: what the log says ---- */

void mode_change_say_not_ready(const struct mode_change *change);
void mode_change_say_missing(const struct mode_change *change);
void mode_change_say_not_brought(const struct mode_change *change);
/* One entry changes all of them. */
void mode_change_say_too_large(const struct mode_change *change);
/* One line for each node that it was made strong without. */
void mode_change_say_left_out(const struct mode_change *change);

#endif
