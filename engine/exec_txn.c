/* SPDX-License-Identifier: Apache-2.0 */

/* Directory transactions, the part in the data region; txn.h tells the whole
 * story.
 *
 * PREPARE checks everything that the data region can check and leaves intents:
 * each says what lies at its key if the transaction aborts, and what if it
 * commits. Counts of namespaces go up at PREPARE and down only when RESOLVE
 * knows the outcome, so a namespace with count 0 is empty in either case.
 * RESOLVE turns the intents into what was decided; done twice, or after
 * somebody else, it does nothing. */

#include <assert.h>
#include <sys/stat.h>

#include "engine/content.h"
#include "engine/exec.h"

static struct slice nothing(void)
{
    return (struct slice){NULL, 0};
}

static struct slice bytes_of(const struct buf *b)
{
    return b == NULL ? nothing() : (struct slice){b->data, b->size};
}

/* ---- intents ---- */

/* One end of a transaction: what is there, and what shall be. */
struct end {
    struct place place;
    struct entry old; /* kind 0: nothing */
    struct entry new; /* kind 0: nothing; borrows from the other end's old */
    struct place moved_from;
    uint64_t opens_nsid;
    uint64_t closes_nsid;
};

static void end_release(struct end *end)
{
    entry_release(&end->old);
}

static int end_load(struct exec *x, struct end *end, uint64_t dir,
                    struct slice name)
{
    int rc;

    end->place = (struct place){dir, name};
    rc = exec_get_entry(x, dir, name, &end->old);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void mark_intent(struct exec *x, struct place place, bool present)
{
    struct key key = key_user('x', place.dir, place.name);

    if (present)
        kv_batch_put(x->batch, key_slice(&key), nothing());
    else
        kv_batch_delete(x->batch, key_slice(&key));
}

static void put_intent(struct exec *x, const struct end *end)
{
    struct buf *old = end->old.kind == 0 ? NULL : entry_encode(&end->old);
    struct buf *new = end->new.kind == 0 ? NULL : entry_encode(&end->new);
    struct entry intent = {
        .kind = ENTRY_INTENT,
        .txn = x->command->txn,
        .old_record = bytes_of(old),
        .new_record = bytes_of(new),
        .moved_from_dir = end->moved_from.dir,
        .moved_from_name = end->moved_from.name,
        .opens_nsid = end->opens_nsid,
        .closes_nsid = end->closes_nsid,
    };

    exec_put_entry(x, end->place.dir, end->place.name, &intent);
    mark_intent(x, end->place, true);
    buf_unref(old);
    buf_unref(new);
}

/* ---- prepare ---- */

static void add_change(struct exec *x, struct catalog_change change)
{
    struct result *result = x->result;

    assert(result->change_count < CATALOG_CHANGES_MAX);
    result->changes[result->change_count++] = change;
}

/* ERR_NOT_EMPTY, unless one of the names is only an intent: then its holder
 * has to be decided first. */
static int refuse_occupied(struct exec *x, uint64_t nsid)
{
    struct key lower = key_user('x', nsid, nothing());
    struct key upper = key_behind_namespace('x', nsid);
    struct kv_iter *iter =
        kv_iter_new(x->state, NULL, key_slice(&lower), key_slice(&upper));
    struct entry entry = {0};
    struct slice name;
    int rc = ERR_NOT_EMPTY;

    kv_iter_seek(iter, key_slice(&lower));
    if (kv_iter_valid(iter) &&
        key_parse_user(kv_iter_key(iter), 'x', &nsid, &name)) {
        rc = exec_get_entry(x, nsid, name, &entry);
        entry_release(&entry);
        if (rc == 0 || rc == ERR_NOT_FOUND)
            rc = ERR_NOT_EMPTY;
    }
    kv_iter_free(iter);
    return rc;
}

/* Closes the namespace of an empty directory that is to go. */
static int close_namespace(struct exec *x, uint64_t nsid)
{
    struct namespace_record record = {0};
    int rc = exec_get_namespace(x, nsid, &record);

    if (rc != 0)
        return rc;
    if (record.entry_count > 0) {
        rc = refuse_occupied(x, nsid);
    } else {
        record.closing = x->command->txn;
        exec_put_namespace(x, &record);
    }
    namespace_release(&record);
    return rc;
}

static int open_namespace(struct exec *x, uint64_t nsid)
{
    const struct command *c = x->command;
    struct namespace_record parent = {0};
    int rc = exec_get_namespace(x, c->dir, &parent);

    if (rc != 0)
        return rc;
    exec_put_namespace(x, &(struct namespace_record){
                              .nsid = nsid,
                              .domain = parent.domain,
                              .mtime_ns = c->now_ns,
                              .ctime_ns = c->now_ns,
                              .version = x->version,
                          });
    namespace_release(&parent);
    return 0;
}

static struct entry reference_to(uint64_t nsid)
{
    return (struct entry){
        .kind = ENTRY_DIR,
        .attr = {.ino = ino_of_nsid(nsid), .mode = S_IFDIR},
    };
}

static int prepare_mkdir(struct exec *x)
{
    const struct command *c = x->command;
    uint64_t nsid = nsid_of_ino(c->ino);
    struct end end = {.opens_nsid = nsid, .new = reference_to(nsid)};
    int rc;

    rc = end_load(x, &end, c->dir, c->name);
    if (rc == 0 && end.old.kind != 0)
        rc = ERR_EXISTS;
    if (rc == 0)
        rc = exec_touch_namespace(x, c->dir, 1);
    if (rc == 0)
        rc = open_namespace(x, nsid);
    if (rc == 0) {
        struct attr attr = c->set;

        attr.ino = c->ino;
        attr.size = 0;
        attr.entry_count = 0;
        attr.version = x->version;
        attr.atime_ns = attr.mtime_ns = attr.ctime_ns = c->now_ns;
        put_intent(x, &end);
        add_change(x, (struct catalog_change){.kind = CATALOG_ADD,
                                              .nsid = nsid,
                                              .parent = c->dir,
                                              .name = c->name,
                                              .attr = attr});
        x->result->attr = attr;
    }
    end_release(&end);
    return rc;
}

static int prepare_rmdir(struct exec *x)
{
    const struct command *c = x->command;
    struct end end = {0};
    int rc;

    rc = end_load(x, &end, c->dir, c->name);
    if (rc == 0 && end.old.kind == 0)
        rc = ERR_NOT_FOUND;
    if (rc == 0 && end.old.kind != ENTRY_DIR)
        rc = ERR_NOT_DIR;
    if (rc == 0) {
        end.closes_nsid = nsid_of_ino(end.old.attr.ino);
        rc = close_namespace(x, end.closes_nsid);
    }
    if (rc == 0)
        rc = exec_touch_namespace(x, c->dir, 0);
    if (rc == 0) {
        put_intent(x, &end);
        add_change(x, (struct catalog_change){.kind = CATALOG_REMOVE,
                                              .nsid = end.closes_nsid});
    }
    end_release(&end);
    return rc;
}

/* The catalog follows a directory that moves. */
static void add_move(struct exec *x, const struct end *from,
                     const struct end *to)
{
    if (from->old.kind == ENTRY_DIR)
        add_change(x, (struct catalog_change){
                          .kind = CATALOG_MOVE,
                          .nsid = nsid_of_ino(from->old.attr.ino),
                          .parent = to->place.dir,
                          .name = to->place.name,
                      });
}

static int check_rename(const struct exec *x, const struct end *from,
                        const struct end *to)
{
    unsigned flags = x->command->flags;

    if (from->old.kind == 0)
        return ERR_NOT_FOUND;
    if (to->old.kind == 0)
        return (flags & REQUEST_EXCHANGE) != 0 ? ERR_NOT_FOUND : 0;
    if ((flags & REQUEST_NOREPLACE) != 0)
        return ERR_EXISTS;
    if ((flags & REQUEST_EXCHANGE) != 0)
        return 0;
    if (from->old.kind == ENTRY_DIR && to->old.kind != ENTRY_DIR)
        return ERR_NOT_DIR;
    if (from->old.kind != ENTRY_DIR && to->old.kind == ENTRY_DIR)
        return ERR_IS_DIR;
    return 0;
}

/* Puts what is at `from` into `to`'s future. */
static void plan_move(const struct exec *x, const struct end *from,
                      struct end *to)
{
    to->new = from->old;
    to->new.held = NULL; /* Borrowed. */
    if (from->old.kind != ENTRY_FILE)
        return;
    to->new.attr.ctime_ns = exec_now(x, from->old.attr.ctime_ns);
    to->new.attr.version = x->version;
    if (from->old.attr.size > INLINE_SIZE_MAX)
        to->moved_from = from->place;
}

static int touch_renamed(struct exec *x, const struct end *from,
                         const struct end *to)
{
    int added = to->old.kind == 0 ? 1 : 0;
    int rc;

    rc = exec_touch_namespace(x, to->place.dir, added);
    if (rc == 0 && from->place.dir != to->place.dir)
        rc = exec_touch_namespace(x, from->place.dir, 0);
    return rc;
}

static int plan_rename(struct exec *x, struct end *from, struct end *to)
{
    bool exchange = (x->command->flags & REQUEST_EXCHANGE) != 0;
    int rc = check_rename(x, from, to);

    if (rc != 0)
        return rc;
    plan_move(x, from, to);
    add_move(x, from, to);
    if (exchange) {
        plan_move(x, to, from);
        add_move(x, to, from);
    } else if (to->old.kind == ENTRY_DIR) {
        to->closes_nsid = nsid_of_ino(to->old.attr.ino);
        rc = close_namespace(x, to->closes_nsid);
        add_change(x, (struct catalog_change){.kind = CATALOG_REMOVE,
                                              .nsid = to->closes_nsid});
    }
    return rc;
}

static bool same_place(struct place a, struct place b)
{
    return a.dir == b.dir && slice_equal(a.name, b.name);
}

/* The directory that called for a transaction may be gone by now. Then there
 * is nothing for region 0 to decide: the rename takes effect here. */
static bool is_plain(const struct end *from, const struct end *to)
{
    return from->old.kind != ENTRY_DIR && to->old.kind != ENTRY_DIR;
}

static int prepare_rename(struct exec *x)
{
    const struct command *c = x->command;
    struct end from = {0};
    struct end to = {0};
    int rc;

    rc = end_load(x, &from, c->dir, c->name);
    if (rc == 0)
        rc = end_load(x, &to, c->to_dir, c->to_name);
    if (rc == 0 && is_plain(&from, &to)) {
        rc = exec_rename(x);
    } else if (rc == 0 && same_place(from.place, to.place)) {
        rc = (c->flags & REQUEST_NOREPLACE) != 0 ? ERR_EXISTS : 0;
    } else if (rc == 0) {
        rc = plan_rename(x, &from, &to);
        if (rc == 0)
            rc = touch_renamed(x, &from, &to);
        if (rc == 0) {
            put_intent(x, &from);
            put_intent(x, &to);
        }
    }
    end_release(&from);
    end_release(&to);
    return rc;
}

int exec_txn_prepare(struct exec *x)
{
    switch (x->command->txn_kind) {
    case TXN_MKDIR:
        return prepare_mkdir(x);
    case TXN_RMDIR:
        return prepare_rmdir(x);
    case TXN_RENAME:
        return prepare_rename(x);
    }
    return ERR_INVALID;
}

/* ---- resolve ---- */

/* One name fewer, whether the namespace is open or not; it may be gone. */
static int uncount(struct exec *x, uint64_t nsid, int change)
{
    struct namespace_record record = {0};
    int rc;

    if (change == 0)
        return 0;
    rc = exec_get_raw_namespace(x, nsid, &record);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (record.entry_count > 0) {
        record.entry_count--;
        exec_put_namespace(x, &record);
    } else {
        rc = ERR_CORRUPT;
    }
    namespace_release(&record);
    return rc;
}

static int reopen_namespace(struct exec *x, uint64_t nsid)
{
    struct namespace_record record = {0};
    int rc = exec_get_raw_namespace(x, nsid, &record);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    record.closing = (struct txn_ref){0};
    exec_put_namespace(x, &record);
    namespace_release(&record);
    return 0;
}

/* Moves the chunks of a file to where the commit has put its entry. */
static int bring_chunks(struct exec *x, struct place place,
                        const struct entry *intent)
{
    struct place from = {intent->moved_from_dir, intent->moved_from_name};
    struct entry moved = {0};
    int rc;

    if (intent->moved_from_dir == 0)
        return 0;
    rc = entry_decode(&moved, intent->new_record);
    if (rc != 0)
        return rc;
    rc = content_copy(x, from, moved.attr.size, place, 0);
    if (rc == 0)
        content_delete(x, from, moved.attr.size);
    entry_release(&moved);
    return rc;
}

static void put_or_delete(struct exec *x, struct place place,
                          struct slice record)
{
    if (record.size > 0)
        exec_put_raw_entry(x, place.dir, place.name, record);
    else
        exec_delete_entry(x, place.dir, place.name);
    mark_intent(x, place, false);
}

static int commit_intent(struct exec *x, struct place place,
                         const struct entry *intent, int *change)
{
    int rc = bring_chunks(x, place, intent);

    if (rc != 0)
        return rc;
    put_or_delete(x, place, intent->new_record);
    if (intent->closes_nsid != 0)
        exec_delete_namespace(x, intent->closes_nsid);
    *change = intent->new_record.size == 0 ? -1 : 0;
    return 0;
}

static int abort_intent(struct exec *x, struct place place,
                        const struct entry *intent, int *change)
{
    put_or_delete(x, place, intent->old_record);
    if (intent->opens_nsid != 0)
        exec_delete_namespace(x, intent->opens_nsid);
    *change = intent->old_record.size == 0 ? -1 : 0;
    return intent->closes_nsid != 0 ? reopen_namespace(x, intent->closes_nsid)
                                    : 0;
}

/* Returns by `change` what happens to the directory's count. */
static int resolve_end(struct exec *x, struct place place, int *change)
{
    struct entry intent = {0};
    int rc;

    *change = 0;
    if (place.dir == 0)
        return 0;
    rc = exec_get_raw_entry(x, place.dir, place.name, &intent);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (intent.kind == ENTRY_INTENT &&
        txn_id_equal(intent.txn.id, x->command->txn.id))
        rc = x->command->commit ? commit_intent(x, place, &intent, change)
                                : abort_intent(x, place, &intent, change);
    entry_release(&intent);
    return rc;
}

int exec_txn_resolve(struct exec *x)
{
    const struct txn_ref *txn = &x->command->txn;
    int change;
    int to_change;
    int rc;

    rc = resolve_end(x, (struct place){txn->dir, txn->name}, &change);
    if (rc == 0)
        rc = resolve_end(x, (struct place){txn->to_dir, txn->to_name},
                         &to_change);
    if (rc == 0)
        rc = uncount(x, txn->dir, change);
    /* At most one end loses its name: the source by a commit, the target by
     * an abort. So the two never count in one namespace twice. */
    if (rc == 0)
        rc = uncount(x, txn->to_dir, to_change);
    return rc;
}
