/* SPDX-License-Identifier: Apache-2.0 */

/* Takes a transaction that is decided, or that nobody can commit any more,
 * through RESOLVE in all regions where it has left something, and has region 0
 * forget a commit. It goes by places, never by regions: what was prepared in
 * one region may lie in two by now.
 *
 * The order is that of exec_resolve.c: the parts of a namespace, the target,
 * the source. Whoever is held up by any of them finds the rest until the
 * last is gone. Before that come further namespaces, if there are any: those
 * below a directory whose mode changes, by their numbers and many with one
 * command, as in PREPARE (txn_prepare.h). Which these are, the decision says
 * until it is forgotten, so any of them may be resolved at any time. That of an
 * abort does not: there each part that is met is undone, whatever else is left.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TXN_RESOLVE_H
#define GROVEFS_ENGINE_TXN_RESOLVE_H

#include "engine/command.h"
#include "engine/domain.h"
#include "engine/router.h"

struct txn_resolve {
    /* public: in. 0: nobody waits for it, and each step has op_timeout of its
     * own, so that it comes to its end in however many regions it has to. */
    uint64_t deadline_ns;
    bool is_partial; /* others resolve the rest: region 0 is not to forget it */
    /* 0: nothing is left. ERR_NO_QUORUM, ERR_UNKNOWN_OUTCOME, ERR_CANCELED. */
    void (*done)(struct txn_resolve *resolve, int status);

    struct node *node; /* private from here on */
    struct txn_ref txn;
    char names[2][NAME_SIZE_MAX];
    bool commit;
    struct domain below; /* sorted, and as bytes */
    struct buf *below_bytes;
    size_t below_at; /* the next one */
    bool has_below;  /* they are not done yet */
    struct key part; /* of the namespace: the next */
    struct router_call call;
};

/* A zeroed struct is ready. `txn` is copied; `below`, the further namespaces,
 * is taken over. */
void txn_resolve_start(struct txn_resolve *resolve, struct node *node,
                       const struct txn_ref *txn, bool commit,
                       struct domain below);
/* Ends it without calling `done`; one that does not run is ignored. */
void txn_resolve_cancel(struct txn_resolve *resolve);

/* A copy of a reference whose names lie in the caller's memory. */
struct txn_ref txn_ref_copy(const struct txn_ref *from,
                            char names[2][NAME_SIZE_MAX]);

#endif
