/* SPDX-License-Identifier: Apache-2.0 */

/* Brings a piece of the content of a file that a transaction moves here from
 * another region. It goes where the intent's new record says: beside what is
 * there until the decision. RESOLVE deletes the one or the other. */

#include "engine/exec_txn.h"

static int copy_to(struct exec *x, const struct entry *file)
{
    const struct command *c = x->command;

    if (file->kind != ENTRY_FILE || file->attr.size <= INLINE_SIZE_MAX ||
        c->offset % CHUNK_SIZE != 0 || c->offset > file->attr.size ||
        c->data.size > file->attr.size - c->offset)
        return ERR_INVALID;
    content_put(x, place_of(c->dir, c->name, file), c->offset, c->data);
    return 0;
}

int exec_txn_copy(struct exec *x)
{
    const struct command *c = x->command;
    struct entry intent = {0};
    struct entry file = {0};
    int rc = exec_get_raw_entry(x, c->dir, c->name, &intent);

    if (rc == ERR_NOT_FOUND ||
        (rc == 0 && !txn_id_equal(intent.txn.id, c->txn.id)))
        rc = ERR_ABORTED; /* Somebody took the coordinator for dead. */
    else if (rc == 0 && intent.new_record.size == 0)
        rc = ERR_INVALID;
    if (rc == 0)
        rc = entry_decode(&file, intent.new_record);
    if (rc == 0)
        rc = copy_to(x, &file);
    entry_release(&file);
    entry_release(&intent);
    return rc;
}
