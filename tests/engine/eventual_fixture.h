/* SPDX-License-Identifier: Apache-2.0 */

/* The eventual entries of one node over stores in memory. Its catalog has the
 * directory DIR, which is eventual, and the node is whole. */

#ifndef GROVEFS_TESTS_ENGINE_EVENTUAL_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_EVENTUAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/eventual.h"
#include "engine/eventual_scan.h"
#include "engine/keys.h"
#include "engine/stamps.h"
#include "fake_env.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum {
    NODE = 3,
    OTHER = 4, /* a node that sends changes */
    DIR = 7,
    SINCE = 5,     /* of DIR */
    VERSION = 9,   /* of the catalog */
    CONF_VER = 7,  /* of region 0's members: put_members() */
    LOOK_TICKS = 2 /* between two looks at tombstones */
};

struct eventual_fixture {
    struct kv *log;
    struct kv *state;
    struct fake_env fake;
    struct modes *modes;
    struct eventual *eventual;
    uint64_t boot;
    bool clock_is_wrong;
    int clock_status;         /* of reading it ... */
    uint64_t clock_behind_ns; /* ... and so much time passes behind that */
    bool disk_is_full;
    bool catalog_is_damaged; /* as it is known at a start */
    size_t kept_count; /* writes to state/ that a power cut leaves though they
                        * were not synced */
    unsigned flush_count;
    unsigned save_count;
    unsigned notice_count;
};

int setup_eventual(void **state);
int teardown_eventual(void **state);

/* A power cut: what was not synced is gone. Then the node starts anew. */
void crash(struct eventual_fixture *f);
/* Without the last step: the fixture has no `eventual` meanwhile. */
void cut_power(struct eventual_fixture *f);
/* It, too, but state/ is given up as a whole; only log/ stays. */
void lose_state(struct eventual_fixture *f);
/* Returns the status of eventual_open(). */
int open_again(struct eventual_fixture *f);

/* Region 0 applies that a directory has another mode; `since` and `epoch` as
 * in struct mode, `version` is that of the catalog then. */
void apply_mode(struct eventual_fixture *f, uint64_t nsid,
                enum mode_state state, uint64_t since, uint64_t version);

/* ... that this node has another state, with that version. */
void apply_state(struct eventual_fixture *f, enum node_state state,
                 uint64_t version);

/* ---- changes that are accepted ---- */

struct test_op {
    struct eventual_op op;
    bool over;
    int status;
    struct attr attr;
};

struct command command_on(enum command_op op, const char *name);
/* Up to where it is posted to region 0's owner. */
void post_op(struct eventual_fixture *f, struct test_op *op,
             const struct command *command);
/* Up to where only the journal is to be synced. */
void begin(struct eventual_fixture *f, struct test_op *op,
           const struct command *command);
/* To the end; returns the status. */
int carry_out(struct eventual_fixture *f, const struct command *command);
int create(struct eventual_fixture *f, const char *name);
int write_text(struct eventual_fixture *f, const char *name, const char *text);
int unlink_name(struct eventual_fixture *f, const char *name);
/* All writes to log/. */
void sync_all(struct eventual_fixture *f);
/* Runs what was posted, and then what it writes to log/. */
void settle(struct eventual_fixture *f);

/* ---- changes of other nodes ---- */

struct test_merge {
    struct eventual_merge merge;
    bool over;
    int status;
};

/* A file of OTHER's in DIR; the version is the current time and `counter`. */
struct eventual_record record_of(struct eventual_fixture *f, const char *name,
                                 uint64_t counter, const char *text);
/* One more item behind those of `items` (NULL: none), which it takes. */
struct buf *add_item(struct buf *items, const struct eventual_record *record,
                     uint64_t local);
/* Merges these items, which it takes, as all that OTHER has. Returns the
 * status. */
int merge_items(struct eventual_fixture *f, struct test_merge *merge,
                struct buf *items);
/* The same of one record with this number. */
int merge_one(struct eventual_fixture *f, const struct eventual_record *record,
              uint64_t local);

/* ---- the floor: floor.h ---- */

/* The members are this node and, unless it is alone, OTHER. */
void put_members(struct eventual_fixture *f, bool alone);
void put_floor(struct eventual_fixture *f, uint64_t hlc);
/* Until all that one look at tombstones does is done. */
void look(struct eventual_fixture *f);

/* ---- what there is ---- */

/* The content of a file in DIR; NULL: there is none. Good until the next call.
 */
const char *text_of(struct eventual_fixture *f, const char *name);
/* Whether anything is known of a name. */
bool is_known(struct eventual_fixture *f, const char *name);
/* What is known of a name, of which something is; its slices are gone. */
struct eventual_record known_of(struct eventual_fixture *f, const char *name);
uint64_t hlc_of(struct eventual_fixture *f, const char *name);
uint64_t local_of(struct eventual_fixture *f, const char *name);
uint64_t entry_count(struct eventual_fixture *f);
struct eventual_counts counts_of(struct eventual_fixture *f);

#endif
