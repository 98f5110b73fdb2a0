/* SPDX-License-Identifier: Apache-2.0 */

/* What of floor.h is asked of region 0: its leader raises the floor as far as
 * all members consent, if there is something to be forgotten; and a node that
 * has lost its state/ withdraws its consent.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_FLOOR_CHANGE_H
#define GROVEFS_ENGINE_FLOOR_CHANGE_H

#include "engine/node.h"

struct floor_changes;

struct floor_changes *floor_changes_new(struct node *node);
/* Ends what is under way, without effect here. */
void floor_changes_stop(struct floor_changes *changes);
void floor_changes_free(struct floor_changes *changes); /* Takes NULL. */

void floor_changes_each_second(struct floor_changes *changes);

#endif
