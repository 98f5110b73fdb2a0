/* SPDX-License-Identifier: Apache-2.0 */

#include "exec_regions.h"

#include <string.h>

#include "engine/txn_resolve.h"

enum { REFS_MAX = 64 };

/* ---- regions ---- */

static struct slice nothing(void)
{
    return (struct slice){NULL, 0};
}

static struct key part_key(const struct exec_fixture *f, uint64_t nsid,
                           struct slice name)
{
    struct key at = key_user('d', nsid, name);

    return key_namespace(nsid, range_at(f, key_user_part(&at)).start);
}

static bool get_part(struct exec_fixture *f, struct key key,
                     struct namespace_record *ret)
{
    struct kv_value value = {0};
    bool found = kv_get(f->state, NULL, key_slice(&key), &value) == 0;

    if (found)
        assert_int_equal(
            namespace_decode(ret, (struct slice){value.data, value.size}), 0);
    kv_value_release(&value);
    return found;
}

static void put_part(struct exec_fixture *f, struct key key,
                     const struct namespace_record *record)
{
    struct kv_batch *batch = kv_batch_new(f->state);
    struct buf *bytes;

    if (record == NULL) {
        kv_batch_delete(batch, key_slice(&key));
    } else {
        bytes = namespace_encode(record);
        kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
        buf_unref(bytes);
    }
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

/* As applier_split() leaves it. */
static void put_right_part(struct exec_fixture *f, struct key key,
                           struct namespace_record *part)
{
    part->entry_count = 0;
    put_part(f, key, part);
    if (part->closing.id.node != 0 || part->opening.id.node != 0) {
        struct key mark = key_namespace_mark(part->nsid, key_user_part(&key));
        struct kv_batch *batch = kv_batch_new(f->state);

        kv_batch_put(batch, key_slice(&mark), nothing());
        assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
        kv_batch_free(batch);
    }
}

void cut_region(struct exec_fixture *f, uint64_t nsid, const char *name)
{
    struct slice s = slice_of(name);
    struct key cut = key_user('d', nsid, s);
    struct namespace_record part = {0};
    bool found;
    size_t i = f->cut_count;

    if (i == CUTS_MAX || slice_equal(range_at(f, key_user_part(&cut)).start,
                                     key_user_part(&cut)))
        return;
    found = s.size > 0 && get_part(f, part_key(f, nsid, s), &part);
    for (; i > 0 &&
           slice_compare(key_slice(&cut), key_slice(&f->cuts[i - 1])) < 0;
         i--)
        f->cuts[i] = f->cuts[i - 1];
    f->cuts[i] = cut;
    f->cut_count++;
    if (found)
        put_right_part(f, part_key(f, nsid, s), &part);
    namespace_release(&part);
}

void cut_through(struct exec_fixture *f, uint64_t nsid)
{
    cut_region(f, NSID_ROOT, "m");
    cut_region(f, nsid, "");
    cut_region(f, nsid, "g");
    cut_region(f, nsid, "t");
}

static void unmark(struct exec_fixture *f, struct key right)
{
    struct range range = range_at(f, key_user_part(&right));
    uint64_t nsid = be64_get(right.data + 1);
    struct key lower = key_namespace(nsid, range.start);
    struct key upper = key_behind_namespace('x', nsid);
    struct kv_batch *batch = kv_batch_new(f->state);
    struct kv_iter *iter;

    lower.data[0] = 'x';
    if (key_next_part(nsid, range.end, &upper))
        upper.data[0] = 'x';
    iter = kv_iter_new(f->state, NULL, key_slice(&lower), key_slice(&upper));
    for (kv_iter_seek(iter, key_slice(&lower)); kv_iter_valid(iter);
         kv_iter_next(iter))
        if (key_parse_namespace_mark(kv_iter_key(iter), &nsid))
            kv_batch_delete(batch, kv_iter_key(iter));
    kv_iter_free(iter);
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void delete_content(struct exec_fixture *f, struct key right)
{
    struct range range = range_at(f, key_user_part(&right));
    uint64_t nsid = be64_get(right.data + 1);
    struct key upper = key_behind_namespace('d', nsid);
    struct kv_batch *batch = kv_batch_new(f->state);

    right.data[0] = 'd';
    (void)key_next_part(nsid, range.end, &upper);
    kv_batch_delete_range(batch, key_slice(&right), key_slice(&upper));
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

/* One part out of two, as applier_merge() has it. */
static void join_parts(struct exec_fixture *f, struct key left_key,
                       struct key right_key)
{
    struct namespace_record left = {0};
    struct namespace_record right = {0};
    bool has_left = get_part(f, left_key, &left);

    if (get_part(f, right_key, &right)) {
        if (right.opening.id.node == 0)
            left.opening = (struct txn_ref){0};
        left.entry_count += right.entry_count;
        if (has_left)
            put_part(f, left_key, &left);
        else
            assert_true(right.opening.id.node != 0 ||
                        right.closing.id.node != 0);
        put_part(f, right_key, NULL);
        if (!has_left)
            delete_content(f, right_key);
        if (left.closing.id.node == 0 && left.opening.id.node == 0)
            unmark(f, right_key);
    }
    namespace_release(&left);
    namespace_release(&right);
}

void join_regions(struct exec_fixture *f, size_t cut)
{
    struct key key = f->cuts[cut];
    struct slice at = key_user_part(&key);
    uint64_t nsid = be64_get(at.data);
    struct slice name = {(const uint8_t *)at.data + KEY_NSID_SIZE,
                         at.size - KEY_NSID_SIZE};
    struct key right = key_user('n', nsid, name);

    f->cut_count--;
    memmove(&f->cuts[cut], &f->cuts[cut + 1],
            (f->cut_count - cut) * sizeof f->cuts[0]);
    if (name.size > 0)
        join_parts(f, part_key(f, nsid, name), right);
}

/* ---- RESOLVE ---- */

static uint64_t nsid_of(const struct txn_ref *txn)
{
    return txn->opens_nsid != 0 ? txn->opens_nsid : txn->closes_nsid;
}

void set_namespace(struct txn_ref *txn, uint64_t nsid)
{
    if (txn->opens_nsid != 0)
        txn->opens_nsid = nsid;
    else
        txn->closes_nsid = nsid;
}

static void next_below(struct test_resolve *r)
{
    if (r->below_at == r->below.count) {
        r->at = r->txn.dir == 0 ? AT_FORGET : AT_FIRST;
        return;
    }
    set_namespace(&r->txn, r->below.nsids[r->below_at++]);
    r->part = key_user('d', nsid_of(&r->txn), nothing());
    r->at = AT_BELOW;
}

struct test_resolve resolve_below(const struct txn_ref *txn, bool commit,
                                  const struct test_below *below)
{
    struct test_resolve r = {.txn = *txn, .commit = commit, .below = *below};

    next_below(&r);
    return r;
}

struct test_resolve resolve_begin(const struct txn_ref *txn, bool commit)
{
    return resolve_below(txn, commit, &(struct test_below){.count = 0});
}

static void run_resolve(struct exec_fixture *f, const struct test_resolve *r,
                        enum txn_step step, struct key at)
{
    uint8_t bytes[8 * BELOW_MAX];
    struct slice further = {NULL, 0};

    if (step == TXN_STEP_PART)
        further = further_below(&r->below, r->below_at, bytes);
    assert_int_equal(run_at(f,
                            &(struct command){.op = COMMAND_TXN_RESOLVE,
                                              .txn_step = step,
                                              .txn = r->txn,
                                              .further = further,
                                              .commit = r->commit},
                            &at),
                     0);
}

static struct key source_of(const struct txn_ref *txn)
{
    return key_user('d', txn->dir, txn->name);
}

static struct key main_end_of(const struct txn_ref *txn)
{
    return txn->to_dir == 0 ? source_of(txn)
                            : key_user('d', txn->to_dir, txn->to_name);
}

static void resolve_first(struct exec_fixture *f, struct test_resolve *r)
{
    run_resolve(f, r, TXN_STEP_FIRST, main_end_of(&r->txn));
    if ((f->result.left & TXN_LEFT_PARTS) != 0) {
        r->txn.opens_nsid = f->result.holder.opens_nsid;
        r->txn.closes_nsid = f->result.holder.closes_nsid;
        r->part = key_user('d', nsid_of(&r->txn), nothing());
        r->at = AT_PARTS;
    } else {
        r->at = (f->result.left & TXN_LEFT_SOURCE) != 0 ? AT_SOURCE : AT_FORGET;
    }
}

static void forget_it(struct exec_fixture *f, const struct test_resolve *r)
{
    if (r->commit)
        assert_int_equal(
            run(f, &(struct command){.op = COMMAND_TXN_FORGET, .txn = r->txn}),
            0);
}

void resolve_step(struct exec_fixture *f, struct test_resolve *r)
{
    switch (r->at) {
    case AT_BELOW:
        run_resolve(f, r, TXN_STEP_PART, r->part);
        r->below_at += f->result.offset;
        if (f->result.offset > 0)
            set_namespace(&r->txn, r->below.nsids[r->below_at - 1]);
        if (!key_next_part(nsid_of(&r->txn), f->result.data, &r->part))
            next_below(r);
        break;
    case AT_FIRST:
        resolve_first(f, r);
        break;
    case AT_PARTS:
        run_resolve(f, r, TXN_STEP_PART, r->part);
        if (!key_next_part(nsid_of(&r->txn), f->result.data, &r->part))
            r->at = AT_ENDS;
        break;
    case AT_ENDS:
        run_resolve(f, r, TXN_STEP_ENDS, main_end_of(&r->txn));
        r->at = (f->result.left & TXN_LEFT_SOURCE) != 0 ? AT_SOURCE : AT_FORGET;
        break;
    case AT_SOURCE:
        run_resolve(f, r, TXN_STEP_ENDS, source_of(&r->txn));
        r->at = AT_FORGET;
        break;
    case AT_FORGET:
        forget_it(f, r);
        r->done = true;
        break;
    }
}

static void resolve_rest(struct exec_fixture *f, struct test_resolve r)
{
    while (!r.done)
        resolve_step(f, &r);
}

void resolve_all(struct exec_fixture *f, const struct txn_ref *txn, bool commit)
{
    resolve_rest(f, resolve_begin(txn, commit));
}

struct slice further_below(const struct test_below *below, size_t at,
                           uint8_t bytes[8 * BELOW_MAX])
{
    size_t count = below->count - at;

    for (size_t i = 0; i < count; i++)
        be64_put(bytes + 8 * i, below->nsids[at + i]);
    return (struct slice){bytes, 8 * count};
}

struct test_below below_of(struct slice bytes)
{
    struct test_below below = {.count = 0};
    struct domain domain = {.count = 0};

    assert_int_equal(domain_decode(bytes, &domain), 0);
    assert_true(domain.count <= BELOW_MAX);
    domain_sort(&domain);
    for (; below.count < domain.count; below.count++)
        below.nsids[below.count] = domain.nsids[below.count];
    domain_release(&domain);
    return below;
}

void settle_txn(struct exec_fixture *f, const struct txn_ref *txn)
{
    char names[2][NAME_SIZE_MAX];
    struct txn_ref copy = txn_ref_copy(txn, names); /* It may be a result's. */
    struct test_below below;

    assert_int_equal(
        run(f, &(struct command){.op = COMMAND_TXN_ABORT, .txn = copy}), 0);
    below = below_of(f->result.data);
    if (!f->result.committed && nsid_of(&copy) != 0)
        below.nsids[below.count++] = nsid_of(&copy);
    resolve_rest(f, resolve_below(&copy, f->result.committed, &below));
}

/* ---- orphans ---- */

/* Settles the transaction of an intent, or of a marked part. */
static bool settle_at(struct exec_fixture *f, struct slice key)
{
    struct namespace_record part = {0};
    struct entry entry = {0};
    struct kv_value value = {0};
    struct txn_ref txn = {{0}, 0, 0, {NULL, 0}, {NULL, 0}, 0, 0};
    struct key at;
    struct slice name;
    uint64_t nsid;

    if (key_parse_user(key, 'x', &nsid, &name)) {
        at = key_user('d', nsid, name);
        assert_int_equal(kv_get(f->state, NULL, key_slice(&at), &value), 0);
        assert_int_equal(
            entry_decode(&entry, (struct slice){value.data, value.size}), 0);
        kv_value_release(&value);
        txn = entry.txn;
    } else if (key_parse_namespace_mark(key, &nsid)) {
        struct slice user_key = {(const uint8_t *)key.data + 1, key.size - 1};

        assert_true(get_part(
            f, key_namespace(nsid, range_at(f, user_key).start), &part));
        txn = part.closing.id.node != 0 ? part.closing : part.opening;
    }
    settle_txn(f, &txn);
    entry_release(&entry);
    namespace_release(&part);
    return true;
}

static bool settle_one(struct exec_fixture *f)
{
    struct slice lower = slice_of("x");
    struct slice upper = slice_of("y");
    struct kv_iter *iter = kv_iter_new(f->state, NULL, lower, upper);
    bool found;

    kv_iter_seek(iter, lower);
    found = kv_iter_valid(iter) && settle_at(f, kv_iter_key(iter));
    kv_iter_free(iter);
    return found;
}

static void settle_decisions(struct exec_fixture *f)
{
    struct slice lower = slice_of("ct");
    struct slice upper = slice_of("cu");
    struct kv_iter *iter = kv_iter_new(f->state, NULL, lower, upper);

    for (kv_iter_seek(iter, lower); kv_iter_valid(iter); kv_iter_next(iter)) {
        struct decision decision = {0};
        struct test_below below;

        assert_int_equal(decision_decode(&decision, kv_iter_value(iter)), 0);
        below = below_of(decision.below);
        if (decision.committed)
            resolve_rest(f, resolve_below(&decision.txn, true, &below));
        decision_release(&decision);
    }
    kv_iter_free(iter);
}

void settle_orphans(struct exec_fixture *f)
{
    for (int i = 0; settle_one(f); i++)
        assert_true(i < REFS_MAX);
    settle_decisions(f);
}
