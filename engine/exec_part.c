/* SPDX-License-Identifier: Apache-2.0 */

/* Parts of namespaces in transactions: see exec_txn.h. */

#include "engine/exec_txn.h"

static struct slice no_name(void)
{
    return (struct slice){NULL, 0};
}

/* Between which keys of a class the region may have of a namespace. */
static void bound_part(const struct exec *x, char class, uint64_t nsid,
                       struct key *ret_lower, struct key *ret_upper)
{
    *ret_lower = key_namespace(nsid, x->range.start);
    ret_lower->data[0] = (uint8_t) class;
    if (key_next_part(nsid, x->range.end, ret_upper))
        ret_upper->data[0] = (uint8_t) class;
    else
        *ret_upper = key_behind_namespace(class, nsid);
}

static struct kv_iter *iter_part(const struct exec *x, char class,
                                 uint64_t nsid)
{
    struct key lower;
    struct key upper;
    struct kv_iter *iter;

    bound_part(x, class, nsid, &lower, &upper);
    iter = kv_iter_new(x->state, NULL, key_slice(&lower), key_slice(&upper));
    kv_iter_seek(iter, key_slice(&lower));
    return iter;
}

/* ---- marks ---- */

static void mark(struct exec *x, uint64_t nsid)
{
    struct key key = key_namespace_mark(nsid, x->range.start);

    kv_batch_put(x->batch, key_slice(&key), no_name());
}

/* A merge may have left marks where the other region began. */
static int unmark(struct exec *x, uint64_t nsid)
{
    struct kv_iter *iter = iter_part(x, 'x', nsid);
    int rc;

    for (; kv_iter_valid(iter); kv_iter_next(iter))
        if (key_parse_namespace_mark(kv_iter_key(iter), &nsid))
            kv_batch_delete(x->batch, kv_iter_key(iter));
    rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* ---- closing ---- */

static int is_occupied(struct exec *x, uint64_t nsid, bool *ret)
{
    struct kv_iter *iter = iter_part(x, 'd', nsid);
    int rc;

    *ret = kv_iter_valid(iter);
    rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* Whether a name in it is only another transaction's intent: then that has to
 * be decided first. Our own is the source of a rename, which is there. */
static int refuse_name(struct exec *x, const struct txn_ref *txn, uint64_t nsid,
                       struct slice name)
{
    struct entry entry = {0};
    int rc = exec_get_raw_entry(x, nsid, name, &entry);

    if (rc == 0 && entry.kind == ENTRY_INTENT &&
        !txn_id_equal(entry.txn.id, txn->id))
        rc = exec_locked(x, &entry.txn);
    entry_release(&entry);
    return rc == 0 || rc == ERR_NOT_FOUND ? ERR_NOT_EMPTY : rc;
}

static int refuse_intents(struct exec *x, const struct txn_ref *txn,
                          uint64_t nsid)
{
    struct kv_iter *iter = iter_part(x, 'x', nsid);
    struct slice name;
    int rc;

    while (kv_iter_valid(iter) &&
           !key_parse_user(kv_iter_key(iter), 'x', &nsid, &name))
        kv_iter_next(iter);
    if (kv_iter_valid(iter))
        rc = refuse_name(x, txn, nsid, name);
    else
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* What may stay in a part that is closed: only that which is brought from there
 * before it is deleted. */
static int refuse_content(struct exec *x, const struct txn_ref *txn,
                          uint64_t nsid)
{
    const struct command *c = x->command;
    bool is_filled = c->txn_kind == TXN_TO_EVENTUAL && c->offset != 0;
    bool occupied = false;
    int rc = is_occupied(x, nsid, &occupied);

    if (rc != 0 || !occupied)
        return rc;
    rc = refuse_intents(x, txn, nsid);
    return rc == 0 && !is_filled ? ERR_NOT_EMPTY : rc;
}

/* A directory that is eventual may have a part where a transaction came too
 * late that was to make it strong. */
static int refuse_holder(struct exec *x, const struct txn_ref *txn,
                         const struct namespace_record *part)
{
    if (part->closing.id.node != 0)
        return txn_id_equal(part->closing.id, txn->id)
                   ? 0
                   : exec_locked(x, &part->closing);
    return part->opening.id.node != 0 && part->reopened
               ? exec_locked(x, &part->opening)
               : 0;
}

/* Counts of parts mean nothing by themselves, so it is looked for entries. A
 * part that is closed already may have been joined with one that was not. */
int exec_close_part(struct exec *x, const struct txn_ref *txn, bool marked)
{
    uint64_t nsid = txn->closes_nsid;
    struct namespace_record record = {0};
    int rc = exec_get_raw_namespace(x, nsid, &record);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_BUSY : rc; /* It is eventual. */
    rc = refuse_holder(x, txn, &record);
    if (rc == 0)
        rc = refuse_content(x, txn, nsid);
    if (rc == 0) {
        record.closing = *txn;
        exec_put_namespace(x, &record);
        if (marked)
            mark(x, nsid);
    }
    namespace_release(&record);
    return rc;
}

/* ---- opening ---- */

/* Of a new directory there is none. Of one that becomes strong again another
 * attempt may have made it, and even be through with it. */
static int refuse_other(struct exec *x, const struct txn_ref *txn)
{
    struct namespace_record record = {0};
    const struct txn_ref *holder = &record.opening;
    int rc = exec_get_raw_namespace(x, txn->opens_nsid, &record);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (record.closing.id.node != 0)
        holder = &record.closing;
    if (holder->id.node == 0)
        rc = ERR_BUSY;
    else if (!txn_id_equal(holder->id, txn->id))
        rc = exec_locked(x, holder);
    namespace_release(&record);
    return rc;
}

int exec_open_part(struct exec *x, const struct txn_ref *txn,
                   const struct namespace_record *part, bool marked)
{
    struct namespace_record record = *part;
    int rc = refuse_other(x, txn);

    if (rc != 0)
        return rc;
    record.nsid = txn->opens_nsid;
    record.version = x->version;
    record.opening = *txn;
    if (x->command->txn_kind == TXN_TO_STRONG) {
        record.mtime_ns = x->command->set.mtime_ns;
        record.ctime_ns = x->command->set.ctime_ns;
    }
    exec_put_namespace(x, &record);
    if (marked)
        mark(x, record.nsid);
    return 0;
}

int exec_open_namespace(struct exec *x, const struct txn_ref *txn)
{
    const struct command *c = x->command;
    struct namespace_record parent = {0};
    struct namespace_record part = {.nsid = txn->opens_nsid,
                                    .mtime_ns = c->now_ns,
                                    .ctime_ns = c->now_ns,
                                    .reopened = c->txn_kind == TXN_TO_STRONG};
    int rc = exec_get_namespace(x, c->dir, &parent);

    if (rc != 0)
        return rc;
    part.domain = parent.domain;
    namespace_release(&parent);
    if (range_has_namespace(x->range, txn->opens_nsid))
        rc = exec_open_part(x, txn, &part, false);
    else
        x->result->left |= TXN_LEFT_PARTS;
    if (rc == 0)
        exec_answer(x, namespace_encode(&part));
    return rc;
}

/* ---- resolving ---- */

/* With what was brought into it for a decision that did not come, or from it
 * for one that did. */
static int delete_part(struct exec *x, const struct namespace_record *record)
{
    struct key lower;
    struct key upper;
    bool occupied = false;
    int rc = is_occupied(x, record->nsid, &occupied);

    if (rc != 0)
        return rc;
    exec_delete_namespace(x, record->nsid);
    if (!occupied)
        return 0;
    bound_part(x, 'd', record->nsid, &lower, &upper);
    kv_batch_delete_range(x->batch, key_slice(&lower), key_slice(&upper));
    return 0;
}

/* Only what the transaction still holds: who has met it long ago may ask region
 * 0 to abort it after it was committed, resolved and forgotten. */
int exec_resolve_part(struct exec *x, const struct txn_ref *txn)
{
    bool opens = txn->opens_nsid != 0;
    uint64_t nsid = opens ? txn->opens_nsid : txn->closes_nsid;
    struct namespace_record record = {0};
    struct txn_ref *holder = opens ? &record.opening : &record.closing;
    int rc = exec_get_raw_namespace(x, nsid, &record);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (txn_id_equal(holder->id, txn->id)) {
        if (x->command->commit != opens) {
            rc = delete_part(x, &record);
        } else {
            *holder = (struct txn_ref){0};
            record.reopened = false;
            exec_put_namespace(x, &record);
        }
        if (rc == 0)
            rc = unmark(x, nsid);
    }
    namespace_release(&record);
    return rc;
}
