/* SPDX-License-Identifier: Apache-2.0 */

/* Takes a transaction through PREPARE in all regions that it concerns: in most
 * cases one, with one command, which tells what lies elsewhere (exec_txn.c).
 * Ends come before the parts of a namespace: from a part one finds the ends,
 * and from the target the parts, whatever else may be missing. Content comes to
 * ends that are held. Where the mode of a directory changes the namespaces
 * below it come last, by their numbers, many with one command: each region does
 * as many as lie in it (exec_part.c), and what it answers says where to go on.
 * What is left of these is found by itself (txn_resolve.h).
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TXN_PREPARE_H
#define GROVEFS_ENGINE_TXN_PREPARE_H

#include "engine/command.h"
#include "engine/domain.h"
#include "engine/router.h"
#include "engine/txn_copy.h"

/* Content in chunks that has to come to another region. */
struct txn_content {
    uint64_t ino;
    uint64_t size; /* 0: none, or it is there */
};

struct txn_prepare {
    /* public: in; borrowed until done */
    const struct command *command; /* the request */
    const struct domain *below; /* further namespaces that are closed, or opened
                                 * like that of the request; NULL: none */
    struct txn_ref txn;         /* in; out: with the namespace that is closed */
    bool has_no_place; /* as in struct txn_op; `ino` is the directory */
    bool inherits;     /* likewise */
    uint64_t deadline_ns;
    /* 0: it may be decided. ERR_LOCKED: by `holder`. ERR_UNKNOWN_OUTCOME and
     * ERR_CANCELED say nothing about the last step. */
    void (*done)(struct txn_prepare *prepare, int status);

    /* public: out */
    bool begun;        /* some steps are done: to be resolved */
    bool has_happened; /* it was no transaction, and nothing is left to do */
    struct attr attr;
    struct catalog_change changes[CATALOG_CHANGES_MAX];
    size_t change_count;
    struct txn_ref holder;

    struct node *node; /* private from here on */
    enum txn_step step;
    unsigned left;
    struct buf *data;     /* what the last step answered for the next one */
    uint64_t nsid;        /* the namespace whose parts are next */
    struct key part;      /* the next */
    struct domain sorted; /* those below, and as bytes */
    struct buf *sorted_bytes;
    size_t below_at;    /* which of them comes behind `nsid` */
    struct buf *times;  /* what they are to have that become strong */
    size_t times_count; /* how many are known */
    char change_names[CATALOG_CHANGES_MAX][NAME_SIZE_MAX];
    char holder_names[2][NAME_SIZE_MAX];
    struct txn_content to_target;
    struct txn_content to_source;
    struct txn_copy copy;
    struct router_call call;
};

/* What is private may be left from an earlier one that was released. */
void txn_prepare_start(struct txn_prepare *prepare, struct node *node);
/* The step that was ERR_LOCKED, once more. */
void txn_prepare_again(struct txn_prepare *prepare);
/* Ends one that runs without calling `done`; drops what it keeps. A zeroed one
 * is ignored. */
void txn_prepare_release(struct txn_prepare *prepare);

#endif
