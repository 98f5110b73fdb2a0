/* SPDX-License-Identifier: Apache-2.0 */

/* PREPARE of a directory that changes how consistent it is: its namespace is
 * closed like that of one which is to go, or opened like that of a new one; but
 * the name stays as it is. The intent there keeps everything else away from it,
 * and says how to go on. */

#include <assert.h>

#include "engine/exec_txn.h"

static int check_reference(struct exec *x)
{
    const struct command *c = x->command;
    struct entry entry = {0};
    int rc = exec_get_entry(x, c->dir, c->name, &entry);

    if (rc == 0 && (entry.kind != ENTRY_DIR || entry.attr.ino != c->ino))
        rc = ERR_STALE;
    entry_release(&entry);
    return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
}

/* What is closed may go with all names in it, but not with an intent. */
static int check_parent(struct exec *x)
{
    struct namespace_record part = {0};
    int rc = exec_get_namespace(x, x->command->dir, &part);

    namespace_release(&part);
    return rc;
}

/* What is there, both if it commits and if it aborts. */
static int put_intent(struct exec *x, const struct txn_ref *txn)
{
    const struct command *c = x->command;
    struct key key = key_user('d', c->dir, c->name);
    struct entry intent = {.kind = ENTRY_INTENT, .txn = *txn};
    struct kv_value value = {0};
    int rc = kv_get(x->state, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    intent.old_record = (struct slice){value.data, value.size};
    intent.new_record = intent.old_record;
    exec_put_entry(x, c->dir, c->name, &intent);
    exec_mark_intent(x, (struct place){c->dir, c->name, 0}, true);
    kv_value_release(&value);
    return 0;
}

static void add_change(struct exec *x, struct catalog_change change)
{
    struct result *result = x->result;

    assert(result->change_count == 0);
    result->changes[result->change_count++] = change;
}

static int close_namespace(struct exec *x, struct txn_ref *txn)
{
    txn->closes_nsid = nsid_of_ino(x->command->ino);
    add_change(
        x, (struct catalog_change){.kind = CATALOG_EVENTUAL,
                                   .nsid = txn->closes_nsid,
                                   .attr = {.version = x->command->offset}});
    if (range_has_namespace(x->range, txn->closes_nsid))
        return exec_close_part(x, txn, false);
    x->result->left |= TXN_LEFT_PARTS;
    return 0;
}

static int open_namespace(struct exec *x, struct txn_ref *txn)
{
    txn->opens_nsid = nsid_of_ino(x->command->ino);
    add_change(
        x, (struct catalog_change){.kind = CATALOG_STRONG,
                                   .nsid = txn->opens_nsid,
                                   .attr = {.version = x->command->offset}});
    return exec_open_namespace(x, txn);
}

int exec_prepare_mode(struct exec *x)
{
    struct txn_ref txn = x->command->txn;
    int rc = check_reference(x);

    if (rc == 0)
        rc = check_parent(x);
    if (rc != 0)
        return rc;
    rc = x->command->txn_kind == TXN_TO_EVENTUAL ? close_namespace(x, &txn)
                                                 : open_namespace(x, &txn);
    return rc == 0 ? put_intent(x, &txn) : rc;
}
