/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_import.h"

static void release(struct txn_import *import)
{
    eventual_items_release(&import->items);
    import->at = 0;
    import->node = NULL;
}

void txn_import_cancel(struct txn_import *import)
{
    if (import->node == NULL)
        return;
    router_cancel(node_router(import->node), &import->call);
    release(import);
}

static void end(struct txn_import *import, int status)
{
    release(import);
    import->done(import, status);
}

/* ---- what is here ---- */

/* `*full`: there is no room for it. */
static int add_file(struct txn_import *import, struct slice name, bool *full)
{
    struct eventual_record record = {0};
    int rc = eventual_get(node_env(import->node)->state, NULL, import->nsid,
                          name, true, &record);

    if (rc == 0 && !record.removed)
        rc = eventual_items_add(&import->items, &record, full);
    eventual_release(&record);
    return rc;
}

static int look_at(struct txn_import *import, struct slice key, bool *full)
{
    struct slice name;
    uint64_t nsid;
    int rc;

    if (!key_parse_user(key, 'v', &nsid, &name) || name.size == 0)
        return ERR_CORRUPT;
    rc = add_file(import, name, full);
    if (rc == 0 && !*full) {
        import->next = key_user('v', nsid, name);
        import->next.data[import->next.size++] = '\0'; /* Behind this one. */
    }
    return rc;
}

/* Some more files, if there are any. */
static int collect(struct txn_import *import)
{
    struct key upper = key_behind_namespace('v', import->nsid);
    struct kv_iter *iter =
        kv_iter_new(node_env(import->node)->state, NULL,
                    key_slice(&import->next), key_slice(&upper));
    bool full = false;
    int rc = 0;

    import->items.size = import->at = 0;
    kv_iter_seek(iter, key_slice(&import->next));
    for (; rc == 0 && !full && kv_iter_valid(iter); kv_iter_next(iter))
        rc = look_at(import, kv_iter_key(iter), &full);
    if (rc == 0 && !full)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* ---- to the regions ---- */

static void go_on(struct txn_import *import);

static void imported(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct txn_import *import = container_of(call, struct txn_import, call);

    (void)index;
    if (status == 0 && (result->offset == 0 ||
                        result->offset > import->items.size - import->at))
        status = ERR_ABORTED; /* It has not even the first one. */
    if (status != 0) {
        end(import, status);
        return;
    }
    import->at += result->offset;
    go_on(import);
}

/* To where the first of them lies. */
static int send(struct txn_import *import)
{
    struct slice items = {import->items.bytes, import->items.size};
    struct eventual_record first = {0};
    struct command command = {
        .op = COMMAND_TXN_IMPORT,
        .dir = import->nsid,
        .txn = {.id = import->txn},
        .data = {import->items.bytes + import->at, items.size - import->at},
    };
    struct slice bytes;
    size_t at = import->at;
    int rc = ERR_CORRUPT;

    if (eventual_items_next(items, &at, &bytes))
        rc = eventual_decode(&first, bytes);
    if (rc == 0) {
        command.name = first.name;
        import->call.kind = CALL_PROPOSE;
        router_to_place(&import->call, import->nsid, first.name);
        import->call.deadline_ns = import->deadline_ns;
        import->call.done = imported;
        router_call(node_router(import->node), &import->call, &command);
    }
    eventual_release(&first);
    return rc;
}

static void go_on(struct txn_import *import)
{
    int rc = import->at == import->items.size ? collect(import) : 0;
    bool has_more = rc == 0 && import->items.size > 0;

    if (has_more)
        rc = send(import);
    if (!has_more || rc != 0)
        end(import, rc);
}

void txn_import_start(struct txn_import *import, struct node *node)
{
    import->node = node;
    import->next = key_user('v', import->nsid, (struct slice){NULL, 0});
    go_on(import);
}
