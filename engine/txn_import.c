/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_import.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/catalog.h"
#include "engine/eventual_damage.h"
#include "engine/eventual_read.h"

static void release(struct txn_import *import)
{
    eventual_items_release(&import->items);
    domain_release(&import->sorted);
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

static struct kv *state_of(const struct txn_import *import)
{
    return node_env(import->node)->state;
}

/* ---- what is here ---- */

static struct slice last_name(const struct txn_import *import)
{
    return (struct slice){import->last, import->last_size};
}

static bool is_last(const struct txn_import *import, struct slice name)
{
    return slice_equal(name, last_name(import));
}

static void begin(struct txn_import *import, enum import_stage stage)
{
    import->stage = stage;
    import->last_size = 0;
}

/* `*full`: there is no room for it. `name`: where it lies, which need not be
 * what it is called. */
static int add(struct txn_import *import, struct slice name,
               const struct eventual_record *record, bool *full)
{
    int rc = eventual_items_add(&import->items, record, full);

    if (rc == 0 && !*full) {
        assert(name.size <= sizeof import->last);
        memcpy(import->last, name.data, name.size);
        import->last_size = name.size;
    }
    return rc;
}

/* ---- names of directories ---- */

struct naming {
    struct txn_import *import;
    bool full;
    int status;
};

static bool add_directory(void *context, struct slice name, uint64_t nsid)
{
    struct naming *naming = context;
    struct eventual_record record = {
        .dir = naming->import->nsid_now,
        .name = name,
        .attr = {.ino = ino_of_nsid(nsid), .mode = S_IFDIR},
    };

    if (is_last(naming->import, name))
        return true;
    naming->status = add(naming->import, name, &record, &naming->full);
    return naming->status == 0 && !naming->full;
}

static int collect_directories(struct txn_import *import, bool *full)
{
    struct naming naming = {.import = import};
    char from[NAME_SIZE_MAX];
    int rc;

    memcpy(from, import->last, import->last_size);
    rc = catalog_visit(state_of(import), import->nsid_now,
                       (struct slice){from, import->last_size}, add_directory,
                       &naming);
    *full = naming.full;
    return rc == 0 ? naming.status : rc;
}

/* ---- files ---- */

/* Whether there is a directory of that name. */
static int find_directory(struct txn_import *import, struct slice name,
                          bool *ret)
{
    uint64_t nsid;
    int rc =
        catalog_find(state_of(import), NULL, import->nsid_now, name, &nsid);

    *ret = rc == 0;
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* ERR_EXISTS: what a file is shown as is another one's name. */
static int check_shown(struct txn_import *import, struct slice shown)
{
    struct eventual_record other = {0};
    bool is_directory = false;
    int rc = eventual_get_live(state_of(import), NULL, import->nsid_now, shown,
                               false, &other);

    eventual_release(&other);
    if (rc != ERR_NOT_FOUND)
        return rc == 0 ? ERR_EXISTS : rc;
    rc = find_directory(import, shown, &is_directory);
    return rc == 0 && is_directory ? ERR_EXISTS : rc;
}

/* Beside a directory of its name it is called what it was shown as. */
static int add_file(struct txn_import *import, struct eventual_record *record,
                    bool *full)
{
    const struct slice name = record->name;
    struct eventual_shown_name shown;
    bool is_beside = false;
    int rc = find_directory(import, name, &is_beside);

    if (rc == 0 && is_beside) {
        shown = eventual_show_name(record);
        record->name = (struct slice){shown.data, shown.size};
        rc = check_shown(import, record->name);
    }
    return rc == 0 ? add(import, name, record, full) : rc;
}

static int look_at(struct txn_import *import, struct slice key, bool *full)
{
    struct eventual_record record = {0};
    struct slice name;
    uint64_t nsid;
    int rc;

    if (!key_parse_user(key, 'v', &nsid, &name) || name.size == 0)
        return ERR_CORRUPT;
    if (is_last(import, name))
        return 0;
    rc = eventual_get(state_of(import), NULL, nsid, name, true, &record);
    if (rc == 0 && !record.removed)
        rc = add_file(import, &record, full);
    else if (rc == ERR_CORRUPT)
        eventual_find_damage(node_eventual(import->node), nsid, name);
    eventual_release(&record);
    return rc;
}

static int collect_files(struct txn_import *import, bool *full)
{
    struct key lower = key_user('v', import->nsid_now, last_name(import));
    struct key upper = key_behind_namespace('v', import->nsid_now);
    struct kv_iter *iter = kv_iter_new(state_of(import), NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && !*full && kv_iter_valid(iter); kv_iter_next(iter))
        rc = look_at(import, kv_iter_key(iter), full);
    if (rc == 0 && !*full)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* ---- all of it ---- */

static void begin_next_namespace(struct txn_import *import)
{
    if (import->below_at == import->sorted.count) {
        begin(import, IMPORT_END);
        return;
    }
    import->nsid_now = import->sorted.nsids[import->below_at++];
    begin(import, IMPORT_DIRECTORIES);
}

static int collect_some(struct txn_import *import, bool *full)
{
    int rc;

    if (import->stage == IMPORT_DIRECTORIES) {
        rc = collect_directories(import, full);
        if (rc == 0 && !*full)
            begin(import, IMPORT_FILES);
    } else {
        rc = collect_files(import, full);
        if (rc == 0 && !*full)
            begin_next_namespace(import);
    }
    return rc;
}

static int collect(struct txn_import *import)
{
    bool full = false;
    int rc = 0;

    import->items.size = import->at = 0;
    while (rc == 0 && !full && import->stage != IMPORT_END)
        rc = collect_some(import, &full);
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
        .txn = {.id = import->txn},
        .data = {import->items.bytes + import->at, items.size - import->at},
    };
    struct slice bytes;
    size_t at = import->at;
    int rc = ERR_CORRUPT;

    if (eventual_items_next(items, &at, &bytes))
        rc = eventual_decode_item(&first, bytes);
    if (rc == 0) {
        command.dir = first.dir;
        command.name = first.name;
        import->call.kind = CALL_PROPOSE;
        router_to_place(&import->call, first.dir, first.name);
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
    import->nsid_now = import->nsid;
    import->sorted = domain_sorted(import->below);
    import->below_at = 0;
    begin(import, IMPORT_DIRECTORIES);
    go_on(import);
}
