/* SPDX-License-Identifier: Apache-2.0 */

/* A coordinator of transactions, and one who settles an abandoned one. Router,
 * reader, what is brought to other nodes and the search for the abandoned are
 * the test's: each step waits until it is answered. */

#ifndef GROVEFS_TESTS_ENGINE_TXN_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_TXN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/modes.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/settle.h"
#include "engine/txn.h"
#include "engine/txn_export.h"

enum {
    OWN_NODE = 3,
    DIR_NSID = 5,
    CLOSED_NSID = 7,
    SINCE = 9, /* when its mode began to change */
    TIMEOUT_MS = 1000,
    PARTS = 20 /* regions that have some of the namespace */
};

static const uint64_t timeout_ns = (uint64_t)TIMEOUT_MS * 1000000;

struct router {
    struct router_call *call; /* NULL: none is under way */
    struct command command;   /* of the last one */
    uint64_t sequence;
    unsigned calls; /* so far */
};

struct reader {
    struct read_op *op; /* NULL: none is under way */
};

struct node {
    struct env env;
    struct node_config config;
    uint64_t now_ns;
    struct router *router;
    struct reader *reader;
    struct modes *modes;
    struct txn_export *export; /* NULL: none is under way */
    struct env_timer *timer;   /* likewise */
};

struct fixture {
    struct node node;
    struct router router;
    struct reader reader;
    struct txns *txns;
    struct txn_op op;
    struct buf *left_out; /* goes with what is started; the test's to drop */
    bool has_no_place;    /* likewise */
    bool inherits;        /* likewise */
    struct settle settle;
    unsigned done;
    int status;
};

int setup_txn(void **state);
int teardown_txn(void **state);

/* ---- steps of a transaction ---- */

void start(struct fixture *f, enum txn_kind kind);
/* `offset`: 0, or since when the directory is being filled. */
void start_mode(struct fixture *f, enum txn_kind kind, uint64_t offset);
/* The call under way, whose command is of this kind, comes back. */
void answer(struct fixture *f, enum command_op op, int status,
            const struct result *result);
void succeed(struct fixture *f, enum command_op op);
/* Somebody may have it in its log. */
void lose(struct fixture *f, enum command_op op);
/* The end of the `i`th part, as its region tells it. */
void pass_part(struct fixture *f, enum command_op op, int i);
/* It is over, with this status. */
void assert_failed(const struct fixture *f, int status);

/* ---- modes ---- */

/* That of CLOSED_NSID, while it changes. */
extern const struct mode filling;
extern const struct mode fenced;

void put_directory(struct fixture *f, uint64_t nsid, uint64_t parent,
                   const char *name, struct mode mode, int64_t time_ns);
/* CLOSED_NSID has it, as this node learns. */
void apply_mode(struct fixture *f, struct mode mode, uint64_t version);
/* What is in the directory was brought to all nodes, or was not. */
void end_export(struct fixture *f, int status);

/* ---- settling ---- */

/* `done` of f->settle. */
void on_settled(struct settle *settle, int status);
/* The read under way comes back. */
void tell_decision(struct fixture *f, struct result *result);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_txn, teardown_txn)

#endif
