/* SPDX-License-Identifier: Apache-2.0 */

/* Draining a node and removing it, because somebody wants it so. Runs on region
 * 0's leader, which proposes COMMAND_NODE_STATE:
 *
 *     UP <-> DRAINING      always
 *     DRAINING -> REMOVED  when nothing is left there: no replica of a data
 *                          region, no vote in region 0, and nothing in
 *                          eventual directories that only it has (leave.h),
 *                          unless that is given up by force
 *
 * What the command itself can see is checked again where it is applied; the
 * rest stays as it was found unless the node has been up again meanwhile,
 * which is checked there, too.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_NODE_CHANGE_H
#define GROVEFS_ENGINE_NODE_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/record.h"

struct node;
struct node_proposal;

/* Embedded. */
struct node_change {
    bool force; /* public: in */
    /* `status` 0: it is so now. ERR_NOT_LEADER: whoever wants it asks there;
     * ERR_NOT_FOUND; ERR_NOT_PERMITTED: not from the state that it is in;
     * ERR_BUSY: it still holds something, or was up again. `why`, borrowed, has
     * it in words. */
    void (*done)(struct node_change *change, int status, const char *why);
    struct node *node; /* private from here on */
    uint64_t id;
    struct node_proposal *proposal; /* NULL: does not run */
};

/* `done` may be called before this returns. */
void node_change_start(struct node_change *change, struct node *node,
                       uint64_t id, enum node_state state);
bool node_change_is_running(const struct node_change *change);
/* Does not call `done`; what was begun goes on. One that does not run is
 * ignored. */
void node_change_cancel(struct node_change *change);

#endif
