/* SPDX-License-Identifier: Apache-2.0 */

/* A state/ in memory with the root directory in it, and commands executed on
 * it one after the other, as an applier would. */

#ifndef GROVEFS_TESTS_ENGINE_EXEC_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_EXEC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/exec.h"
#include "engine/read.h"

enum { CUTS_MAX = 24 };

struct exec_fixture {
    struct kv *state;
    /* Where one region ends and the next begins: user keys with a class,
     * ascending. Without any there is one region. */
    struct key cuts[CUTS_MAX];
    size_t cut_count;
    struct result result; /* of the last command or read */
    struct read_unknown unknown;
    uint64_t version;
    uint64_t sequence; /* of the last transaction */
    uint64_t ino;      /* the last one given to a file or directory */
    uint64_t random;
};

int setup_exec(void **state);
/* Checks counts and the index of intents, too. */
int teardown_exec(void **state);
/* An empty state/ with the root. */
struct kv *exec_state_new(void);

/* A number below `bound`; the same ones for the same seed (f->random). */
uint64_t pick(struct exec_fixture *f, uint64_t bound);

/* Executes in the region of (dir, name), and writes what is to be written.
 * Returns the status. */
int run(struct exec_fixture *f, const struct command *command);
/* The same in the region of a user key with a class. */
int run_at(struct exec_fixture *f, const struct command *command,
           const struct key *at);
/* The region of a user key without a class. */
struct range range_at(const struct exec_fixture *f, struct slice user_key);
/* Executes a read; unknown decisions are noted in f->unknown. */
int run_read(struct exec_fixture *f, const struct command *command);
/* The same, and once more when it met an unknown decision. */
int run_read_again(struct exec_fixture *f, const struct command *command);

/* ---- Files. Return the status. ---- */

int create(struct exec_fixture *f, uint64_t dir, const char *name);
/* With content; f->ino is the new file's number. */
int create_sized(struct exec_fixture *f, uint64_t dir, const char *name,
                 size_t size);
int unlink_file(struct exec_fixture *f, uint64_t dir, const char *name);
int rename_file(struct exec_fixture *f, uint64_t dir, const char *name,
                uint64_t to_dir, const char *to_name, unsigned flags);
int lookup(struct exec_fixture *f, uint64_t dir, const char *name);

/* ---- Directory transactions ---- */

/* A transaction as its coordinator knows it. */
struct test_txn {
    struct command command; /* of the PREPARE */
    struct catalog_change changes[CATALOG_CHANGES_MAX];
    size_t change_count;
    char names[CATALOG_CHANGES_MAX][8];
    uint64_t nsid; /* MKDIR: the new one */
};

struct test_txn txn_mkdir(struct exec_fixture *f, uint64_t dir,
                          const char *name);
struct test_txn txn_rmdir(struct exec_fixture *f, uint64_t dir,
                          const char *name);
struct test_txn txn_rename(struct exec_fixture *f, uint64_t dir,
                           const char *name, uint64_t to_dir,
                           const char *to_name, unsigned flags);
/* Of the directory `nsid` there, which is empty. */
struct test_txn txn_to_eventual(struct exec_fixture *f, uint64_t dir,
                                const char *name, uint64_t nsid);
struct test_txn txn_to_strong(struct exec_fixture *f, uint64_t dir,
                              const char *name, uint64_t nsid, uint64_t epoch);
int prepare(struct exec_fixture *f, struct test_txn *txn);
int decide(struct exec_fixture *f, const struct test_txn *txn);
int abort_txn(struct exec_fixture *f, const struct test_txn *txn);
int resolve(struct exec_fixture *f, const struct test_txn *txn, bool commit);
int forget(struct exec_fixture *f, const struct test_txn *txn);
/* All of it; asserts that nothing is refused. */
void commit(struct exec_fixture *f, struct test_txn txn);
/* One that is prepared is aborted and goes; asserts the same. */
void roll_back(struct exec_fixture *f, const struct test_txn *txn);
/* The command came back with `rc`, as it met `txn`. */
void assert_locked_by(struct exec_fixture *f, int rc,
                      const struct test_txn *txn);
/* mkdir to its end; returns the new directory's nsid. */
uint64_t make_dir(struct exec_fixture *f, uint64_t dir, const char *name);
/* The same, and it is eventual then. */
uint64_t make_eventual(struct exec_fixture *f, uint64_t dir, const char *name);
/* DIR_MODE. Returns the status; the new epoch is f->result.first_id. */
int try_mode(struct exec_fixture *f, uint64_t nsid, uint64_t mode,
             uint64_t epoch);
/* The same; asserts that it is not refused. Returns the new epoch. */
uint64_t set_mode(struct exec_fixture *f, uint64_t nsid, enum mode_state mode,
                  uint64_t epoch);
/* DIR_FILL; the same two. */
int try_fill(struct exec_fixture *f, uint64_t nsid);
uint64_t begin_filling(struct exec_fixture *f, uint64_t nsid);

/* ---- What state/ must be like ---- */

/* The number of names, with and without intents, in a namespace. */
uint64_t count_names(struct exec_fixture *f, uint64_t nsid);
/* Its first part. */
bool has_namespace(struct exec_fixture *f, uint64_t nsid);
/* What the catalog says of a directory; its name is not set. */
struct directory catalog_of(struct exec_fixture *f, uint64_t nsid);
struct mode mode_of(struct exec_fixture *f, uint64_t nsid);
/* How many keys have this class in front. */
uint64_t count_class(struct kv *state, const char *class);
/* Each namespace has a part wherever it has a name, the counts of its parts
 * are the number of its names, intents and marks are indexed, content is as
 * content.h says. */
void check_state(struct exec_fixture *f);
/* The same, and that no transaction has left anything behind: no intent, no
 * mark on a namespace; catalog, references and namespaces agree. */
void check_settled(struct exec_fixture *f);
/* What a reader sees, as "a=101 d/=102 d/f=103": names in order, with the
 * inode number or the namespace id. In static memory. */
const char *tree(struct exec_fixture *f);
/* All keys and values of two stores are equal. */
void assert_same_stores(struct kv *a, struct kv *b);
/* A second store with the same in it. */
struct kv *copy_store(struct kv *from);

#endif
