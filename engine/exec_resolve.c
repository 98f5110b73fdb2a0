/* SPDX-License-Identifier: Apache-2.0 */

/* RESOLVE: what PREPARE has left in this region becomes what was decided. Done
 * twice, or after somebody else, it does nothing.
 *
 * The first one goes to the target, or the only end: its intent is the last
 * thing to go, save for the source, since it says which namespace is to be
 * opened or closed. When that has parts in other regions the first one only
 * tells so. */

#include <assert.h>

#include "engine/exec_txn.h"

static struct place main_end(const struct txn_ref *txn)
{
    return txn->to_dir != 0 ? (struct place){txn->to_dir, txn->to_name, 0}
                            : (struct place){txn->dir, txn->name, 0};
}

static bool is_here(const struct exec *x, struct place place)
{
    return range_has_place(x->range, place.dir, place.name);
}

/* The transaction's intent at one of its ends. ERR_NOT_FOUND: there is none,
 * any more or yet. */
static int get_intent(struct exec *x, struct place place, struct entry *ret)
{
    struct entry intent = {0};
    int rc = exec_get_raw_entry(x, place.dir, place.name, &intent);

    if (rc != 0)
        return rc;
    if (intent.kind != ENTRY_INTENT ||
        !txn_id_equal(intent.txn.id, x->command->txn.id)) {
        entry_release(&intent);
        return ERR_NOT_FOUND;
    }
    *ret = intent;
    return 0;
}

/* ---- one end ---- */

/* One name fewer, whether the namespace is open or not; it may be gone. */
static int uncount(struct exec *x, uint64_t nsid)
{
    struct namespace_record record = {0};
    int rc = exec_get_raw_namespace(x, nsid, &record);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    record.entry_count--;
    exec_put_namespace(x, &record);
    namespace_release(&record);
    return 0;
}

/* The chunks of what is not to be there. */
static int delete_content(struct exec *x, struct place place,
                          struct slice record)
{
    struct entry entry = {0};
    int rc;

    if (record.size == 0)
        return 0;
    rc = entry_decode(&entry, record);
    if (rc != 0)
        return rc;
    if (entry.kind == ENTRY_FILE)
        content_delete(x, place_of(place.dir, place.name, &entry),
                       entry.attr.size);
    entry_release(&entry);
    return 0;
}

static int resolve_end(struct exec *x, struct place place)
{
    bool commit = x->command->commit;
    struct entry intent = {0};
    struct slice stays;
    int rc = get_intent(x, place, &intent);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    stays = commit ? intent.new_record : intent.old_record;
    rc = delete_content(x, place,
                        commit ? intent.old_record : intent.new_record);
    if (rc == 0 && stays.size > 0)
        exec_put_raw_entry(x, place.dir, place.name, stays);
    if (rc == 0 && stays.size == 0) {
        exec_delete_entry(x, place.dir, place.name);
        rc = uncount(x, place.dir);
    }
    exec_mark_intent(x, place, false);
    entry_release(&intent);
    return rc;
}

/* At most one end loses its name: the source by a commit, the target by an
 * abort. So the two never count in one namespace twice. */
static int resolve_ends(struct exec *x)
{
    const struct txn_ref *txn = &x->command->txn;
    struct place source = {txn->dir, txn->name, 0};
    int rc = 0;

    if (txn->to_dir != 0 && is_here(x, main_end(txn)))
        rc = resolve_end(x, main_end(txn));
    if (rc == 0 && is_here(x, source))
        rc = resolve_end(x, source);
    else
        x->result->left |= TXN_LEFT_SOURCE;
    return rc;
}

/* ---- all of it ---- */

static int resolve_first(struct exec *x)
{
    struct txn_ref txn = x->command->txn;
    struct entry intent = {0};
    uint64_t nsid;
    int rc = get_intent(x, main_end(&txn), &intent);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (rc == 0) {
        txn.opens_nsid = intent.txn.opens_nsid;
        txn.closes_nsid = intent.txn.closes_nsid;
    }
    entry_release(&intent);
    nsid = txn.opens_nsid != 0 ? txn.opens_nsid : txn.closes_nsid;
    if (nsid != 0 && !range_has_namespace(x->range, nsid)) {
        exec_name_holder(x, &txn);
        x->result->left = TXN_LEFT_PARTS;
        return 0;
    }
    rc = nsid == 0 ? 0 : exec_resolve_part(x, &txn);
    return rc == 0 ? resolve_ends(x) : rc;
}

int exec_txn_resolve(struct exec *x)
{
    switch (x->command->txn_step) {
    case TXN_STEP_FIRST:
        return resolve_first(x);
    case TXN_STEP_ENDS:
        return resolve_ends(x);
    case TXN_STEP_PART:
        return exec_resolve_parts(x);
    default:
        return ERR_INVALID;
    }
}
