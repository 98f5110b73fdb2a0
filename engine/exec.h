/* SPDX-License-Identifier: Apache-2.0 */

/* Executing one command on state/: what the functions of exec_file.c,
 * exec_txn.c, exec_catalog.c, exec_directory.c, exec_domain.c, exec_mode.c,
 * exec_floor.c, exec_node.c and exec_placement.c share. exec_txn.h has what the
 * files about transactions share beside that.
 *
 * Rules: (1) a command reads only state/ and itself, no clock and nothing
 * random, so that every replica comes to the same. (2) Reads see the state
 * before the command: what the command writes goes into `batch`, which takes
 * effect as one, together with the applied marker. (3) A command that fails
 * writes nothing. (4) A key that a transaction holds answers ERR_LOCKED and
 * who holds it, nothing else. */

#ifndef GROVEFS_ENGINE_EXEC_H
#define GROVEFS_ENGINE_EXEC_H

#include "engine/command.h"
#include "engine/domain.h"
#include "engine/keys.h"
#include "engine/kv.h"
#include "engine/range.h"
#include "engine/record.h"

struct exec {
    struct kv *state;
    struct range range; /* of the region */
    const struct command *command;
    struct kv_batch *batch;
    struct result *result;
    uint64_t version; /* what this command gives to all that it changes; it
                       * may take a greater one, which the region keeps */
    bool keep;        /* the batch counts although the command fails */
};

/* Executes a write command. Returns what is in the result's status; on an
 * error the batch is to be thrown away. ERR_CORRUPT and ERR_IO mean that the
 * store cannot be read: then the replica must stop. */
int exec_command(struct exec *x);

/* One function per file, by command; see exec.c's table. */
int exec_create(struct exec *x);
int exec_write(struct exec *x);
int exec_setattr(struct exec *x);
int exec_unlink(struct exec *x);
int exec_rename(struct exec *x);
int exec_setxattr(struct exec *x);
int exec_removexattr(struct exec *x);
int exec_txn_prepare(struct exec *x);
int exec_txn_resolve(struct exec *x);
int exec_txn_decide(struct exec *x);
int exec_txn_abort(struct exec *x);
int exec_txn_copy(struct exec *x);
int exec_txn_import(struct exec *x);
int exec_txn_forget(struct exec *x);
int exec_dir_setattr(struct exec *x);
int exec_dir_setxattr(struct exec *x);
int exec_dir_removexattr(struct exec *x);
int exec_dir_mode(struct exec *x);
int exec_dir_fill(struct exec *x);
int exec_dir_own(struct exec *x);
int exec_dir_add(struct exec *x);
int exec_dir_remove(struct exec *x);
int exec_dir_move(struct exec *x);
int exec_floor(struct exec *x);
int exec_lease_ids(struct exec *x);
int exec_lease_region_ids(struct exec *x);
int exec_node_update(struct exec *x);
int exec_begin_goal(struct exec *x);
int exec_end_goal(struct exec *x);
int exec_set(struct exec *x);
int exec_region_gone(struct exec *x);
int exec_node_join(struct exec *x);
int exec_node_state(struct exec *x);

/* The entry at (dir, name), to be released by the caller. ERR_NOT_FOUND,
 * ERR_LOCKED (the holder is in the result then), ERR_CORRUPT, ERR_IO. */
int exec_get_entry(struct exec *x, uint64_t dir, struct slice name,
                   struct entry *ret);
/* The same without rule (4): intents are returned. */
int exec_get_raw_entry(struct exec *x, uint64_t dir, struct slice name,
                       struct entry *ret);
void exec_put_entry(struct exec *x, uint64_t dir, struct slice name,
                    const struct entry *entry);
void exec_put_raw_entry(struct exec *x, uint64_t dir, struct slice name,
                        struct slice record);
void exec_delete_entry(struct exec *x, uint64_t dir, struct slice name);

/* The record of an open namespace. ERR_NOT_FOUND when the directory is gone, or
 * eventual; ERR_LOCKED while it is being closed, or opened again. */
int exec_get_namespace(struct exec *x, uint64_t nsid,
                       struct namespace_record *ret);
/* The same without rule (4). */
int exec_get_raw_namespace(struct exec *x, uint64_t nsid,
                           struct namespace_record *ret);
void exec_put_namespace(struct exec *x, const struct namespace_record *record);
void exec_delete_namespace(struct exec *x, uint64_t nsid);

/* Loads a namespace, adds to its count, moves its times on and stores it. */
int exec_touch_namespace(struct exec *x, uint64_t nsid, int count_change);

/* The directory in the catalog. ERR_NOT_FOUND. */
int exec_get_directory(struct exec *x, uint64_t nsid, struct directory *ret);
void exec_put_directory(struct exec *x, const struct directory *directory);

/* Gives a directory another mode, and stores all of those below it that follow,
 * which are listed in `ret`, to be released in any case; the directory itself
 * is the caller's to store.
 * `data`: empty, or what comes with it. To become eventual: mtimes with which
 * it and they are shown from now on (txn_export.h), as the regions had that so
 * far. To become strong: without whom (left_out.h).
 * ERR_INVALID: it is neither; errors as of domain_list(). */
int exec_change_mode(struct exec *x, struct directory *directory,
                     struct mode mode, struct slice data, struct domain *ret);

/* exec_mode.c: a name in it that only the catalog has has come or gone. Stores
 * it. */
void exec_touch_directory(struct exec *x, struct directory *directory);

/* exec_node.c: whether it was a node and is none any more. */
int exec_node_is_removed(struct exec *x, uint64_t id, bool *ret);

/* exec_catalog.c: the index of directories by their names. */
void exec_put_child(struct exec *x, const struct directory *directory);
void exec_delete_child(struct exec *x, uint64_t parent, struct slice name);
/* Takes ids from one of the catalog's counters. */
int exec_take_ids(struct exec *x, struct key counter, uint64_t count,
                  uint64_t *ret_first);

/* Puts `txn` into the result as the holder. */
void exec_name_holder(struct exec *x, const struct txn_ref *txn);
/* The same; returns ERR_LOCKED. */
int exec_locked(struct exec *x, const struct txn_ref *txn);

/* Answers with `data`, of which it takes a reference over. */
void exec_answer(struct exec *x, struct buf *data);

/* A time for a change: the accepting node's, but later than `before_ns`. */
int64_t exec_now(const struct exec *x, int64_t before_ns);

/* Changes mode, owner and times as the command's `set` says. */
void exec_change_attr(const struct exec *x, struct attr *attr);

#endif
