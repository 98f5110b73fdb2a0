/* SPDX-License-Identifier: Apache-2.0 */

/* Handing a region's leadership to the replica on a given node, because
 * somebody wants it so. Runs on the leader:
 *
 *     leads elsewhere      ERR_NOT_LEADER: whoever wants it asks there; also
 *                          when it leads again, in another term
 *     leads here already   done
 *     else                 waits until that replica answers and lacks little,
 *                          and transfers; again when that was in vain
 *
 * So the one who says that it is done is the new leader, and it leaves the
 * region alone from then on: see node_on_manual_transfer(). Writes pause only
 * while Raft transfers, which is not begun while it would take long.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TRANSFER_H
#define GROVEFS_ENGINE_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/env.h"

struct node;
struct peer;

/* Embedded. */
struct transfer {
    /* `status` 0: this node leads as it was wanted. ERR_NOT_LEADER;
     * ERR_NOT_PERMITTED: the replica there may not lead; ERR_UNKNOWN_OUTCOME:
     * not done in time. `why`, borrowed, has it in words; "" if there is
     * nothing to say. */
    void (*done)(struct transfer *transfer, int status, const char *why);
    struct node *node; /* private from here on; NULL: does not run */
    uint64_t region;
    uint64_t term; /* in which it was begun */
    uint64_t target_node;
    uint64_t until_ns;
    struct env_timer timer;
};

/* `done` may be called before this returns. */
void transfer_start(struct transfer *transfer, struct node *node,
                    uint64_t region, uint64_t target_node);
bool transfer_is_running(const struct transfer *transfer);
/* Does not call `done`; what was begun goes on. One that does not run is
 * ignored. */
void transfer_cancel(struct transfer *transfer);

#endif
