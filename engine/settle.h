/* SPDX-License-Identifier: Apache-2.0 */

/* Gets a transaction out of the way that holds a key (ERR_LOCKED): asks region
 * 0 how it was decided, and resolves it accordingly (txn_resolve.h). While it
 * is undecided, and not given up, its coordinator is given time; after
 * SETTLE_PATIENCE_MS (or SETTLE_FILLING_MS) it is taken for dead and region 0
 * decides to abort.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_SETTLE_H
#define GROVEFS_ENGINE_SETTLE_H

#include "engine/command.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/txn_resolve.h"

enum {
    SETTLE_PATIENCE_MS = 2000,
    SETTLE_FILLING_MS = 4000 /* with one that fills a directory: txn_export.h */
};

struct settle {
    uint64_t deadline_ns; /* public: in */
    /* 0: try again what was locked (it may be locked still). ERR_NO_QUORUM,
     * ERR_UNKNOWN_OUTCOME, ERR_CANCELED. */
    void (*done)(struct settle *settle, int status);

    struct node *node; /* private from here on */
    bool active;
    bool is_forced;
    bool commit;
    struct domain met;
    struct txn_ref txn;
    char names[2][NAME_SIZE_MAX];
    uint64_t since_ns; /* it was first met */
    unsigned rounds;
    struct command question;
    struct read_op read;
    struct router_call call;
    struct txn_resolve resolve;
    struct env_timer timer;
};

/* A zeroed struct is ready; keep it for further locks of the same request, so
 * that the patience runs on. */
void settle_start(struct settle *settle, struct node *node,
                  const struct txn_ref *holder);
/* The same without patience, for one that nobody waits for: the deadline is
 * only that of the question how it was decided (txn_resolve.h). `met`, taken
 * over: the namespaces, if any, whose parts it holds, as far as is known: if it
 * was aborted these are undone, and else the one that `holder` names. */
void settle_force(struct settle *settle, struct node *node,
                  const struct txn_ref *holder, struct domain met);
/* Ends it without calling `done`. */
void settle_cancel(struct settle *settle);

#endif
