/* SPDX-License-Identifier: Apache-2.0 */

/* Splits the regions that this node leads once they have grown too large, that
 * is beyond one and a half times of what the setting `region_size` wants: the
 * split check of design 7.
 *
 * How large a region is shows only when all of it is read. So it is measured,
 * one region of the node at a time, when it could be too large: when what it
 * had the last time, and all that was written since, is more than the limit.
 * As long as it was not measured by this leader, what files it takes of state/
 * stands in for that. That goes on while the region sleeps, and one that could
 * not be split is tried again.
 *
 * With the setting `auto_merge` a region is also measured when it could have
 * become smaller: whenever anything was written to it since. That may be for
 * nothing, so only so much is read for it as READ_BYTES in a second, of all
 * regions of the node together.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_SPLITTER_H
#define GROVEFS_ENGINE_SPLITTER_H

#include <stdint.h>

struct node;
struct splitter;

#define SIZE_UNKNOWN UINT64_MAX

struct region_size {
    uint64_t bytes; /* about, of entries and chunks, with their keys */
    uint64_t keys;  /* entries, when it was last measured; SIZE_UNKNOWN: it
                     * was not, as it is now */
};

struct splitter *splitter_new(struct node *node);
/* Takes NULL. Nothing that it has begun may come back any more. */
void splitter_free(struct splitter *splitter);
void splitter_stop(struct splitter *splitter);

void splitter_each_second(struct splitter *splitter);

/* SIZE_UNKNOWN: this node does not lead the region, or has not measured it. */
void splitter_find_size(const struct splitter *splitter, uint64_t region,
                        struct region_size *ret);

#endif
