/* SPDX-License-Identifier: Apache-2.0 */

/* Who follows the catalog is told behind each entry: applier_watch_catalog().
 */

#include "engine/applier_impl.h"

void applier_watch_catalog(struct applier *applier,
                           void (*on_catalog)(void *context, uint64_t nsid,
                                              uint64_t version),
                           void *context)
{
    applier->on_catalog = on_catalog;
    applier->on_catalog_context = context;
}

static void tell_catalog(const struct applier *applier, uint64_t nsid)
{
    if (applier->on_catalog != NULL)
        applier->on_catalog(applier->on_catalog_context, nsid,
                            applier->marker.version);
}

int applier_finish_other(struct applier *applier,
                         const struct raft_entry *entry)
{
    int rc = applier_finish(applier, entry, applier->marker.version);

    if (rc == 0)
        tell_catalog(applier, 0);
    return rc;
}

static uint64_t added_nsid(const struct buf *bytes)
{
    struct result result = {0};
    uint64_t nsid = 0;

    if (result_decode(&result, buf_slice(bytes)) == 0 && result.status == 0)
        nsid = nsid_of_ino(result.attr.ino);
    result_release(&result);
    return nsid;
}

/* The directories that the command may have given another mode. */
void applier_tell_catalog(const struct applier *applier,
                          const struct command *command,
                          const struct buf *result)
{
    if (applier->on_catalog == NULL)
        return;
    switch (command->op) {
    case COMMAND_TXN_DECIDE:
        for (size_t i = 0; i < command->change_count; i++)
            tell_catalog(applier, command->changes[i].nsid);
        if (command->change_count == 0)
            tell_catalog(applier, 0);
        break;
    case COMMAND_DIR_MODE:
    case COMMAND_DIR_FILL:
    case COMMAND_DIR_OWN:
    case COMMAND_DIR_REMOVE:
        tell_catalog(applier, nsid_of_ino(command->ino));
        break;
    case COMMAND_DIR_ADD:
        tell_catalog(applier, added_nsid(result));
        break;
    default:
        tell_catalog(applier, 0);
    }
}
