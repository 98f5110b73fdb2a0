/* SPDX-License-Identifier: Apache-2.0 */

/* Waits until this node has applied all of region 0 that was acknowledged
 * before: a linearizable read of it whose answer does not matter.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_CATCH_UP_H
#define GROVEFS_ENGINE_CATCH_UP_H

#include "engine/reader.h"

struct catch_up {
    uint64_t deadline_ns; /* public: in */
    /* 0, ERR_NO_QUORUM, ERR_CANCELED. */
    void (*done)(struct catch_up *catch_up, int status);

    struct command question; /* private from here on */
    struct read_op read;
};

/* A zeroed struct is ready. `done` may be called before this returns. */
void catch_up_start(struct catch_up *catch_up, struct node *node);
/* Ends it without calling `done`; one that does not run is ignored. */
void catch_up_cancel(struct catch_up *catch_up, struct node *node);

#endif
