/* SPDX-License-Identifier: Apache-2.0 */

/* Reads what state/ has of a region itself. `snapshot` may be NULL. Errors:
 * ERR_NOT_FOUND, ERR_CORRUPT, ERR_VERSION, ERR_IO. Any thread. */

#ifndef GROVEFS_ENGINE_REGION_STATE_H
#define GROVEFS_ENGINE_REGION_STATE_H

#include "engine/record.h"

int region_state_marker(struct kv *state, const struct kv_snapshot *snapshot,
                        uint64_t region, struct marker *ret);
/* `*ret` is to be released. ERR_CORRUPT also for another region's. */
int region_state_descriptor(struct kv *state,
                            const struct kv_snapshot *snapshot, uint64_t region,
                            struct region *ret);
/* Whether region 0's replica here knows that the region was merged into another
 * one: it is no more, and never will be. */
bool region_state_is_gone(struct kv *state, uint64_t region);

#endif
