/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/read_impl.h"

#include <string.h>
#include <xxhash.h>

/* ---- what was looked at ---- */

enum counts_as { COUNTS_OLD, COUNTS_NEW, COUNTS_UNDECIDED };

void read_note(struct reading *r, struct slice bytes)
{
    r->looked_at = XXH3_64bits_withSeed(bytes.data, bytes.size, r->looked_at);
}

/* A file's version grows with each change. */
static void note_entry(struct reading *r, const struct entry *entry,
                       struct slice bytes)
{
    uint64_t numbers[] = {entry->attr.ino, entry->attr.version};

    if (entry->kind == ENTRY_FILE)
        bytes = (struct slice){numbers, sizeof numbers};
    read_note(r, bytes);
}

static void note_intent(struct reading *r, enum counts_as counts_as)
{
    r->met_intent = true;
    r->met_undecided = r->met_undecided || counts_as == COUNTS_UNDECIDED;
    r->looked_at += counts_as;
}

/* ERR_LOCKED until a read that has met an intent was repeated, see read.h. */
int read_confirm(const struct reading *r, int status)
{
    struct read_unknown *unknown = r->unknown;
    bool same = unknown->looked_at == r->looked_at;

    if (!r->met_intent || status == ERR_UNAVAILABLE)
        return status;
    unknown->looked_at = r->looked_at;
    unknown->repeats = same ? unknown->repeats + 1 : 0;
    return unknown->repeats < (r->met_undecided ? 2 : 1) ? ERR_LOCKED : status;
}

/* ---- decisions ---- */

static bool was_unknown(const struct read_unknown *unknown, struct txn_id id)
{
    for (size_t i = 0; i < unknown->count; i++)
        if (txn_id_equal(unknown->txn[i], id))
            return true;
    return false;
}

int read_get_decision(struct kv *state, struct txn_id id, struct decision *ret)
{
    struct key key = key_decision(id.node, id.boot, id.sequence);
    struct kv_value value = {0};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = decision_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

/* How a transaction stands, as the top of read.h says. */
static int ask_decision(struct reading *r, const struct txn_ref *txn,
                        bool *ret_committed)
{
    struct decision decision = {0};
    int rc;

    rc = read_get_decision(r->state, txn->id, &decision);
    *ret_committed = decision.committed;
    decision_release(&decision);
    if (rc == ERR_CORRUPT) {
        r->region = REGION_PLACEMENT;
        return rc;
    }
    if (rc == 0)
        note_intent(r, *ret_committed ? COUNTS_NEW : COUNTS_OLD);
    if (rc != ERR_NOT_FOUND)
        return rc;
    note_intent(r, COUNTS_UNDECIDED);
    if (was_unknown(r->unknown, txn->id)) {
        *ret_committed = false;
        return 0;
    }
    if (r->unknown->count < READ_UNKNOWN_MAX)
        r->unknown->txn[r->unknown->count++] = txn->id;
    return ERR_LOCKED;
}

/* Replaces an intent by what counts of it; ERR_NOT_FOUND for nothing. */
static int settle_intent(struct reading *r, struct entry *entry)
{
    struct entry settled = {0};
    struct slice record;
    bool committed;
    int rc;

    rc = ask_decision(r, &entry->txn, &committed);
    if (rc != 0)
        return rc;
    record = committed ? entry->new_record : entry->old_record;
    if (record.size == 0)
        return ERR_NOT_FOUND;
    rc = entry_decode(&settled, record);
    if (rc != 0)
        return rc;
    entry_release(entry);
    *entry = settled;
    return 0;
}

/* ---- entries ---- */

int read_get_entry(struct reading *r, struct slice bytes, struct entry *ret)
{
    struct entry entry = {0};
    int rc = entry_decode(&entry, bytes);

    if (rc == 0)
        note_entry(r, &entry, bytes);
    if (rc == 0 && entry.kind == ENTRY_INTENT)
        rc = settle_intent(r, &entry);
    if (rc != 0) {
        entry_release(&entry);
        return rc;
    }
    *ret = entry;
    return 0;
}
