/* SPDX-License-Identifier: Apache-2.0 */

/* PREPARE: what a transaction does in the data regions before it is decided;
 * txn.h tells the whole story.
 *
 * It checks everything that the region can check and leaves intents: each says
 * what lies at its key if the transaction aborts, and what if it commits.
 * Counts of namespaces go up at PREPARE and down only when RESOLVE knows the
 * outcome, so a namespace without entries is empty in either case. Content in
 * chunks lies beside what is there until then.
 *
 * The first step does all that lies in its region and says what is left. The
 * source of a rename to another region is held before anything is known of its
 * target; what is there comes back, and goes along to the target. */

#include <assert.h>
#include <sys/stat.h>

#include "engine/exec_txn.h"

static struct slice nothing(void)
{
    return (struct slice){NULL, 0};
}

static struct slice bytes_of(const struct buf *b)
{
    return b == NULL ? nothing() : buf_slice(b);
}

/* ---- answers ---- */

static void add_change(struct exec *x, struct catalog_change change)
{
    struct result *result = x->result;

    assert(result->change_count < CATALOG_CHANGES_MAX);
    result->changes[result->change_count++] = change;
}

/* ---- intents ---- */

/* One end of a transaction: what is there, and what shall be. */
struct end {
    struct place place;
    struct entry old; /* kind 0: nothing */
    struct entry new; /* kind 0: nothing; borrows from the other end's old */
};

static void end_release(struct end *end)
{
    entry_release(&end->old);
}

static int end_load(struct exec *x, struct end *end, uint64_t dir,
                    struct slice name)
{
    int rc;

    end->place = (struct place){dir, name, 0};
    rc = exec_get_entry(x, dir, name, &end->old);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

void exec_mark_intent(struct exec *x, struct place place, bool present)
{
    struct key key = key_user('x', place.dir, place.name);

    if (present)
        kv_batch_put(x->batch, key_slice(&key), nothing());
    else
        kv_batch_delete(x->batch, key_slice(&key));
}

static void put_intent(struct exec *x, const struct end *end,
                       const struct txn_ref *txn)
{
    struct buf *old = end->old.kind == 0 ? NULL : entry_encode(&end->old);
    struct buf *new = end->new.kind == 0 ? NULL : entry_encode(&end->new);
    struct entry intent = {
        .kind = ENTRY_INTENT,
        .txn = *txn,
        .old_record = bytes_of(old),
        .new_record = bytes_of(new),
    };

    exec_put_entry(x, end->place.dir, end->place.name, &intent);
    exec_mark_intent(x, end->place, true);
    buf_unref(old);
    buf_unref(new);
}

/* ---- mkdir ---- */

struct entry exec_reference_to(uint64_t nsid)
{
    return (struct entry){
        .kind = ENTRY_DIR,
        .attr = {.ino = ino_of_nsid(nsid), .mode = S_IFDIR},
    };
}

static void add_directory(struct exec *x, uint64_t nsid)
{
    const struct command *c = x->command;
    struct attr attr = c->set;

    attr.ino = c->ino;
    attr.size = 0;
    attr.entry_count = 0;
    attr.version = x->version;
    attr.atime_ns = attr.mtime_ns = attr.ctime_ns = c->now_ns;
    add_change(x, (struct catalog_change){.kind = CATALOG_ADD,
                                          .nsid = nsid,
                                          .parent = c->dir,
                                          .name = c->name,
                                          .attr = attr});
    x->result->attr = attr;
}

static int prepare_mkdir(struct exec *x)
{
    const struct command *c = x->command;
    struct txn_ref txn = c->txn;
    struct end end = {.new = exec_reference_to(nsid_of_ino(c->ino))};
    int rc;

    txn.opens_nsid = nsid_of_ino(c->ino);
    rc = end_load(x, &end, c->dir, c->name);
    if (rc == 0 && end.old.kind != 0)
        rc = ERR_EXISTS;
    if (rc == 0)
        rc = exec_touch_namespace(x, c->dir, 1);
    if (rc == 0)
        rc = exec_open_namespace(x, &txn);
    if (rc == 0) {
        put_intent(x, &end, &txn);
        add_directory(x, txn.opens_nsid);
    }
    end_release(&end);
    return rc;
}

/* ---- rmdir ---- */

/* Closes the namespace of a directory that is to go, unless that takes other
 * regions, too. */
static int close_namespace(struct exec *x, struct txn_ref *txn, uint64_t ino)
{
    txn->closes_nsid = nsid_of_ino(ino);
    add_change(x, (struct catalog_change){.kind = CATALOG_REMOVE,
                                          .nsid = txn->closes_nsid});
    if (range_has_namespace(x->range, txn->closes_nsid))
        return exec_close_part(x, txn, false);
    x->result->left |= TXN_LEFT_PARTS;
    return 0;
}

static int prepare_rmdir(struct exec *x)
{
    const struct command *c = x->command;
    struct txn_ref txn = c->txn;
    struct end end = {0};
    int rc;

    rc = end_load(x, &end, c->dir, c->name);
    if (rc == 0 && end.old.kind == 0)
        rc = ERR_NOT_FOUND;
    if (rc == 0 && end.old.kind != ENTRY_DIR)
        rc = ERR_NOT_DIR;
    if (rc == 0)
        rc = close_namespace(x, &txn, end.old.attr.ino);
    if (rc == 0)
        rc = exec_touch_namespace(x, c->dir, 0);
    if (rc == 0)
        put_intent(x, &end, &txn);
    end_release(&end);
    return rc;
}

/* ---- rename ---- */

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

/* Puts what is at `from` into `to`'s future. Its version grows, wherever it
 * comes from. */
static void plan_move(struct exec *x, const struct end *from, struct end *to)
{
    to->new = from->old;
    to->new.held = NULL; /* Borrowed. */
    if (from->old.kind != ENTRY_FILE)
        return;
    if (x->version <= from->old.attr.version)
        x->version = from->old.attr.version + 1;
    to->new.attr.ctime_ns = exec_now(x, from->old.attr.ctime_ns);
    to->new.attr.version = x->version;
    to->new.chunk_base = to->old.kind == ENTRY_FILE && to->old.chunk_base == 0
                             ? CHUNK_BASE_OTHER
                             : 0;
}

/* The same, with the content of what lies in this region. */
static int move_here(struct exec *x, const struct end *from, struct end *to)
{
    plan_move(x, from, to);
    if (from->old.kind != ENTRY_FILE)
        return 0;
    return content_copy(x,
                        place_of(from->place.dir, from->place.name, &from->old),
                        from->old.attr.size,
                        place_of(to->place.dir, to->place.name, &to->new), 0);
}

static bool is_exchange(const struct exec *x)
{
    return (x->command->flags & REQUEST_EXCHANGE) != 0;
}

/* What follows from both ends together. */
static int add_changes(struct exec *x, const struct end *from,
                       const struct end *to, struct txn_ref *txn)
{
    add_move(x, from, to);
    if (is_exchange(x))
        add_move(x, to, from);
    else if (to->old.kind == ENTRY_DIR)
        return close_namespace(x, txn, to->old.attr.ino);
    return 0;
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

/* Both ends lie in this region. */
static int rename_here(struct exec *x, struct end *from, struct end *to)
{
    struct txn_ref txn = x->command->txn;
    int rc = check_rename(x, from, to);

    if (rc == 0)
        rc = move_here(x, from, to);
    if (rc == 0 && is_exchange(x))
        rc = move_here(x, to, from);
    if (rc == 0)
        rc = add_changes(x, from, to, &txn);
    if (rc == 0)
        rc = touch_renamed(x, from, to);
    if (rc == 0) {
        put_intent(x, from, &txn);
        put_intent(x, to, &txn);
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

/* ---- rename to another region ---- */

static int hold_source(struct exec *x, struct end *from)
{
    int rc;

    if (from->old.kind == 0)
        return ERR_NOT_FOUND;
    rc = exec_touch_namespace(x, from->place.dir, 0);
    if (rc != 0)
        return rc;
    put_intent(x, from, &x->command->txn);
    exec_answer(x, entry_encode(&from->old));
    x->result->left = TXN_LEFT_TARGET;
    return 0;
}

/* What another region has answered. */
static int decode_other(const struct exec *x, struct entry *ret)
{
    return entry_decode(ret, x->command->data) == 0 && ret->kind != ENTRY_INTENT
               ? 0
               : ERR_INVALID;
}

/* The target, when the source is held elsewhere: the command's data. */
static int prepare_target(struct exec *x)
{
    const struct command *c = x->command;
    struct txn_ref txn = c->txn;
    struct end from = {.place = {c->dir, c->name, 0}};
    struct end to = {0};
    int rc;

    rc = decode_other(x, &from.old);
    if (rc == 0)
        rc = end_load(x, &to, c->to_dir, c->to_name);
    if (rc == 0)
        rc = check_rename(x, &from, &to);
    if (rc == 0) {
        plan_move(x, &from, &to);
        rc = add_changes(x, &from, &to, &txn);
    }
    if (rc == 0)
        rc = exec_touch_namespace(x, c->to_dir, to.old.kind == 0 ? 1 : 0);
    if (rc == 0)
        put_intent(x, &to, &txn);
    if (rc == 0 && is_exchange(x)) {
        exec_answer(x, entry_encode(&to.old));
        x->result->left |= TXN_LEFT_SOURCE;
    }
    end_release(&from);
    end_release(&to);
    return rc;
}

/* An exchange: the source's future is what was found at the target. */
static int prepare_source(struct exec *x)
{
    const struct command *c = x->command;
    struct end from = {.place = {c->dir, c->name, 0}};
    struct end to = {0};
    struct entry intent = {0};
    int rc;

    rc = exec_get_raw_entry(x, c->dir, c->name, &intent);
    if (rc == ERR_NOT_FOUND ||
        (rc == 0 && !txn_id_equal(intent.txn.id, c->txn.id)))
        rc = ERR_ABORTED; /* Somebody took this node for dead. */
    if (rc == 0)
        rc = entry_decode(&from.old, intent.old_record);
    if (rc == 0)
        rc = decode_other(x, &to.old);
    if (rc == 0) {
        plan_move(x, &to, &from);
        put_intent(x, &from, &intent.txn);
    }
    end_release(&from);
    end_release(&to);
    entry_release(&intent);
    return rc;
}

/* ---- all of them ---- */

static int prepare_rename(struct exec *x)
{
    const struct command *c = x->command;
    struct end from = {0};
    struct end to = {0};
    int rc;

    rc = end_load(x, &from, c->dir, c->name);
    if (rc == 0 && !range_has_place(x->range, c->to_dir, c->to_name)) {
        rc = hold_source(x, &from);
        end_release(&from);
        return rc;
    }
    if (rc == 0)
        rc = end_load(x, &to, c->to_dir, c->to_name);
    if (rc == 0 && is_plain(&from, &to))
        rc = exec_rename(x);
    else if (rc == 0 && same_place(from.place, to.place))
        rc = (c->flags & REQUEST_NOREPLACE) != 0 ? ERR_EXISTS : 0;
    else if (rc == 0)
        rc = rename_here(x, &from, &to);
    end_release(&from);
    end_release(&to);
    return rc;
}

static int prepare_first(struct exec *x)
{
    switch (x->command->txn_kind) {
    case TXN_MKDIR:
        return prepare_mkdir(x);
    case TXN_RMDIR:
        return prepare_rmdir(x);
    case TXN_RENAME:
        return prepare_rename(x);
    case TXN_TO_EVENTUAL:
    case TXN_TO_STRONG:
        return exec_prepare_mode(x);
    }
    return ERR_INVALID;
}

int exec_txn_prepare(struct exec *x)
{
    switch (x->command->txn_step) {
    case TXN_STEP_FIRST:
        return prepare_first(x);
    case TXN_STEP_TARGET:
        return prepare_target(x);
    case TXN_STEP_SOURCE:
        return prepare_source(x);
    case TXN_STEP_PART:
        return exec_prepare_parts(x);
    default:
        return ERR_INVALID;
    }
}
