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
    exec_put_namespace(x, &record);
    if (marked)
        mark(x, record.nsid);
    return 0;
}

/* One that becomes strong again has the times that it was shown with. */
static struct namespace_record with_times(const struct exec *x,
                                          const struct namespace_record *part,
                                          const struct attr *times)
{
    struct namespace_record copy = *part;

    if (x->command->txn_kind == TXN_TO_STRONG) {
        copy.mtime_ns = times->mtime_ns;
        copy.ctime_ns = times->ctime_ns;
    }
    return copy;
}

int exec_open_namespace(struct exec *x, const struct txn_ref *txn)
{
    const struct command *c = x->command;
    struct namespace_record parent = {0};
    struct namespace_record here;
    struct namespace_record part = {.nsid = txn->opens_nsid,
                                    .mtime_ns = c->now_ns,
                                    .ctime_ns = c->now_ns,
                                    .reopened = c->txn_kind == TXN_TO_STRONG};
    int rc = exec_get_namespace(x, c->dir, &parent);

    if (rc != 0)
        return rc;
    part.domain = parent.domain;
    namespace_release(&parent);
    here = with_times(x, &part, &c->set);
    if (range_has_namespace(x->range, txn->opens_nsid))
        rc = exec_open_part(x, txn, &here, false);
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
    kv_batch_delete_all(x->batch, x->state, key_slice(&lower),
                        key_slice(&upper));
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

/* ---- several of them ---- */

enum { TIMES_SIZE = 16 }; /* of command.further_times: of one namespace */

/* `at`: 0, the one that the command names itself, or a further one. */
typedef int part_function(struct exec *x, const struct txn_ref *txn, size_t at);

static uint64_t *nsid_of(struct txn_ref *txn)
{
    return txn->opens_nsid != 0 ? &txn->opens_nsid : &txn->closes_nsid;
}

/* Because of what is there, and not because that cannot be read. */
static bool is_refusal(int rc)
{
    return rc == ERR_LOCKED || rc == ERR_NOT_EMPTY || rc == ERR_BUSY;
}

/* The one behind those that are done, as far as the region goes: the last one
 * may go on in the next region, and has to be done there first. */
static bool find_further(const struct exec *x, size_t count,
                         struct txn_ref *txn)
{
    struct slice further = x->command->further;
    struct key next;

    if (count == domain_count(further) ||
        key_next_part(*nsid_of(txn), x->range.end, &next))
        return false;
    *nsid_of(txn) = domain_nsid_at(further, count);
    return range_has_place(x->range, *nsid_of(txn), no_name());
}

/* Those before one that is refused are done. It comes first in the next
 * command, which fails as a whole. */
static int do_parts(struct exec *x, part_function *do_part)
{
    struct txn_ref txn = x->command->txn;
    size_t count = 0;
    int rc = do_part(x, &txn, 0);

    if (rc != 0)
        return rc;
    while (rc == 0 && find_further(x, count, &txn)) {
        rc = do_part(x, &txn, count + 1);
        count += rc == 0;
    }
    if (rc != 0 && !is_refusal(rc))
        return rc;
    x->result->holder = (struct txn_ref){0};
    x->result->offset = count;
    exec_answer(x, buf_copy(x->range.end.data, x->range.end.size));
    return 0;
}

/* In a region of which nothing else may be known. */
static int close_one(struct exec *x, const struct txn_ref *txn, size_t at)
{
    (void)at;
    return exec_close_part(x, txn, true);
}

/* Whether the command has them. */
static bool find_times(const struct command *c, size_t at, struct attr *ret)
{
    const uint8_t *times = c->further_times.data;

    *ret = c->set;
    if (at == 0)
        return true;
    if (c->further_times.size < at * TIMES_SIZE)
        return false;
    times += (at - 1) * TIMES_SIZE;
    ret->mtime_ns = (int64_t)be64_get(times);
    ret->ctime_ns = (int64_t)be64_get(times + TIMES_SIZE / 2);
    return true;
}

static int open_one(struct exec *x, const struct txn_ref *txn, size_t at)
{
    const struct command *c = x->command;
    struct namespace_record like = {0};
    struct namespace_record part;
    struct attr times;
    int rc;

    if (!find_times(c, at, &times) || namespace_decode(&like, c->data) != 0)
        return ERR_INVALID;
    part = with_times(x, &like, &times);
    rc = exec_open_part(x, txn, &part, true);
    namespace_release(&like);
    return rc;
}

int exec_prepare_parts(struct exec *x)
{
    const struct txn_ref *txn = &x->command->txn;

    if (txn->closes_nsid == 0 && txn->opens_nsid == 0)
        return ERR_INVALID;
    return do_parts(x, txn->closes_nsid != 0 ? close_one : open_one);
}

static int resolve_one(struct exec *x, const struct txn_ref *txn, size_t at)
{
    (void)at;
    return exec_resolve_part(x, txn);
}

int exec_resolve_parts(struct exec *x)
{
    const struct txn_ref *txn = &x->command->txn;

    if (txn->closes_nsid == 0 && txn->opens_nsid == 0)
        return ERR_INVALID;
    return do_parts(x, resolve_one);
}
