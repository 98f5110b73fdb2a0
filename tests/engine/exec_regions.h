/* SPDX-License-Identifier: Apache-2.0 */

/* Several regions over one state/, and transactions that go over them, one
 * command at a time, as engine/txn_prepare.c and engine/txn_resolve.c take
 * them. */

#ifndef GROVEFS_TESTS_ENGINE_EXEC_REGIONS_H
#define GROVEFS_TESTS_ENGINE_EXEC_REGIONS_H

#include "exec_fixture.h"

/* Splits the region of (nsid, name) there; nothing when there is no room or it
 * begins there already. An empty name: before all of the namespace. */
void cut_region(struct exec_fixture *f, uint64_t nsid, const char *name);
/* Once in front of it and twice through it, and at "m" in the root. */
void cut_through(struct exec_fixture *f, uint64_t nsid);
/* Merges the regions on both sides of a cut. */
void join_regions(struct exec_fixture *f, size_t cut);

/* ---- RESOLVE ---- */

/* Namespaces that take part besides the one at the name. */
enum { BELOW_MAX = 64 };

struct test_below {
    uint64_t nsids[BELOW_MAX];
    size_t count;
};

/* As a decision has them. */
struct test_below below_of(struct slice bytes);
/* Those that come along with the namespace before them, as `bytes`. */
struct slice further_below(const struct test_below *below, size_t at,
                           uint8_t bytes[8 * BELOW_MAX]);
/* The one that the transaction opens or closes. */
void set_namespace(struct txn_ref *txn, uint64_t nsid);

struct test_resolve {
    struct txn_ref txn; /* names as in the transaction's command */
    bool commit;
    bool done;
    struct test_below below;
    size_t below_at; /* the next one */
    enum { AT_BELOW, AT_FIRST, AT_PARTS, AT_ENDS, AT_SOURCE, AT_FORGET } at;
    struct key part;
};

struct test_resolve resolve_begin(const struct txn_ref *txn, bool commit);
struct test_resolve resolve_below(const struct txn_ref *txn, bool commit,
                                  const struct test_below *below);
void resolve_step(struct exec_fixture *f, struct test_resolve *r);
void resolve_all(struct exec_fixture *f, const struct txn_ref *txn,
                 bool commit);
/* As somebody does who has met a transaction and takes its coordinator for
 * dead: has it decided, and resolves it. */
void settle_txn(struct exec_fixture *f, const struct txn_ref *txn);
/* What the leaders of the regions find once in a while. */
void settle_orphans(struct exec_fixture *f);

/* ---- PREPARE ---- */

struct test_prepare {
    struct test_txn txn; /* what is to be done, and its changes */
    struct txn_ref ref;  /* with the namespace, when it is known */
    enum txn_step step;
    unsigned left;
    struct buf *data;
    struct test_below below;
    size_t below_at; /* the next one */
    uint64_t nsid;   /* whose parts are next */
    struct key part;
    bool begun;
    bool has_happened;
    unsigned steps; /* taken */
    /* Content that is to be copied: inode numbers, or 0. */
    uint64_t to_target;
    uint64_t to_source;
    /* Names of directories that become strong. */
    size_t import_at; /* in which namespace; 0: the top */
    char imported[8]; /* the last one there */
    char importing[8];
    uint64_t importing_nsid; /* 0: none is left */
    bool complete;
};

struct test_prepare prepare_begin(const struct test_txn *txn);
/* One command. Returns the status. */
int prepare_step(struct exec_fixture *f, struct test_prepare *p);
/* All of them. Returns the first status that is not 0. */
int prepare_all(struct exec_fixture *f, struct test_prepare *p);
void prepare_end(struct test_prepare *p);
int decide_prepared(struct exec_fixture *f, const struct test_prepare *p);
/* Settles `met`, and prepares all of `p`, which has waited for that. Ends both,
 * and settles `p`, too. */
void prepare_behind(struct exec_fixture *f, struct test_prepare *p,
                    struct test_prepare *met);
/* A coordinator that dies after so many commands. Returns whether it got to
 * its end. */
bool commit_until(struct exec_fixture *f, const struct test_txn *txn,
                  unsigned commands);

#endif
