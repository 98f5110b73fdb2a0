/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_prepare.h"

#include <assert.h>
#include <string.h>

#include "engine/eventual_read.h"
#include "engine/txn_resolve.h"

void txn_prepare_release(struct txn_prepare *prepare)
{
    if (prepare->node != NULL)
        router_cancel(node_router(prepare->node), &prepare->call);
    txn_copy_cancel(&prepare->copy);
    buf_unref(prepare->data);
    prepare->data = NULL;
}

/* ---- answers ---- */

static void keep_changes(struct txn_prepare *prepare,
                         const struct result *result)
{
    prepare->change_count = result->change_count;
    for (size_t i = 0; i < result->change_count; i++) {
        struct slice name = result->changes[i].name;

        assert(name.size <= NAME_SIZE_MAX);
        prepare->changes[i] = result->changes[i];
        if (name.size > 0)
            memcpy(prepare->change_names[i], name.data, name.size);
        prepare->changes[i].name.data = prepare->change_names[i];
        if (result->changes[i].kind == CATALOG_REMOVE ||
            result->changes[i].kind == CATALOG_EVENTUAL)
            prepare->txn.closes_nsid = result->changes[i].nsid;
    }
}

static void keep_data(struct txn_prepare *prepare, const struct result *result)
{
    buf_unref(prepare->data);
    prepare->data = buf_copy(result->data.data, result->data.size);
}

/* What a region has answered is an entry: whether it has content besides. */
static struct txn_content content_of(const struct result *result)
{
    struct txn_content content = {0, 0};
    struct entry entry = {0};

    if (entry_decode(&entry, result->data) == 0 && entry.kind == ENTRY_FILE &&
        entry.attr.size > INLINE_SIZE_MAX)
        content = (struct txn_content){entry.attr.ino, entry.attr.size};
    entry_release(&entry);
    return content;
}

static void end(struct txn_prepare *prepare, int status)
{
    buf_unref(prepare->data);
    prepare->data = NULL;
    prepare->done(prepare, status);
}

/* ---- steps ---- */

/* That of the request. */
static uint64_t nsid_of(const struct txn_prepare *prepare)
{
    return prepare->txn.opens_nsid != 0 ? prepare->txn.opens_nsid
                                        : prepare->txn.closes_nsid;
}

static void begin_namespace(struct txn_prepare *prepare, uint64_t nsid)
{
    prepare->nsid = nsid;
    prepare->part = key_user('d', nsid, (struct slice){NULL, 0});
}

/* False: there is none. */
static bool begin_next_below(struct txn_prepare *prepare)
{
    if (prepare->below == NULL || prepare->below_at == prepare->below->count)
        return false;
    begin_namespace(prepare, prepare->below->nsids[prepare->below_at++]);
    return true;
}

/* As the parts of the namespace that is next are to name it. */
static struct txn_ref txn_of_part(const struct txn_prepare *prepare)
{
    struct txn_ref txn = prepare->txn;

    if (txn.opens_nsid != 0)
        txn.opens_nsid = prepare->nsid;
    else
        txn.closes_nsid = prepare->nsid;
    return txn;
}

static void go_on(struct txn_prepare *prepare);

/* The step is done; what it has found to be left is added to what was. */
static void take(struct txn_prepare *prepare, const struct result *result)
{
    switch (prepare->step) {
    case TXN_STEP_FIRST:
        prepare->attr = result->attr;
        prepare->left = result->left;
        keep_changes(prepare, result);
        keep_data(prepare, result);
        if ((result->left & TXN_LEFT_TARGET) != 0)
            prepare->to_target = content_of(result);
        break;
    case TXN_STEP_TARGET:
        prepare->left = result->left;
        keep_changes(prepare, result);
        keep_data(prepare, result);
        if ((result->left & TXN_LEFT_SOURCE) != 0)
            prepare->to_source = content_of(result);
        break;
    case TXN_STEP_SOURCE:
        prepare->left &= ~(unsigned)TXN_LEFT_SOURCE;
        buf_unref(prepare->data);
        prepare->data = NULL;
        break;
    default:
        if (!key_next_part(prepare->nsid, result->data, &prepare->part) &&
            !begin_next_below(prepare))
            prepare->left = 0;
    }
}

static void stepped(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct txn_prepare *prepare = container_of(call, struct txn_prepare, call);
    bool is_first = prepare->step == TXN_STEP_FIRST;

    (void)index;
    if (status == ERR_LOCKED) {
        prepare->holder = txn_ref_copy(&result->holder, prepare->holder_names);
        prepare->done(prepare, status); /* `data` may be needed again. */
        return;
    }
    if (status != 0) {
        end(prepare, status);
        return;
    }
    take(prepare, result);
    prepare->begun = true;
    prepare->has_happened =
        is_first && prepare->left == 0 && prepare->change_count == 0;
    go_on(prepare);
}

/* A directory that becomes strong again has the times that it was shown with.
 */
static int add_times(const struct txn_prepare *prepare, struct command *command)
{
    if (command->txn_kind != TXN_TO_STRONG)
        return 0;
    return eventual_directory_attr(node_env(prepare->node)->state, NULL,
                                   prepare->nsid, &command->set);
}

void txn_prepare_again(struct txn_prepare *prepare)
{
    struct command command = *prepare->command;
    int rc = add_times(prepare, &command);

    if (rc != 0) {
        end(prepare, rc);
        return;
    }
    command.op = COMMAND_TXN_PREPARE;
    command.txn = prepare->txn;
    command.txn_step = prepare->step;
    if (prepare->data != NULL)
        command.data = (struct slice){prepare->data->data, prepare->data->size};
    switch (prepare->step) {
    case TXN_STEP_TARGET:
        router_to_place(&prepare->call, command.to_dir, command.to_name);
        break;
    case TXN_STEP_PART:
        command.txn = txn_of_part(prepare);
        router_to_key(&prepare->call, &prepare->part);
        break;
    default:
        router_to_place(&prepare->call, command.dir, command.name);
    }
    prepare->call.kind = CALL_PROPOSE;
    prepare->call.deadline_ns = prepare->deadline_ns;
    prepare->call.done = stepped;
    router_call(node_router(prepare->node), &prepare->call, &command);
}

/* ---- content ---- */

static void copied(struct txn_copy *copy, int status)
{
    struct txn_prepare *prepare = container_of(copy, struct txn_prepare, copy);

    if (prepare->to_target.size > 0)
        prepare->to_target.size = 0;
    else
        prepare->to_source.size = 0;
    if (status != 0)
        end(prepare, status);
    else
        go_on(prepare);
}

/* False: there is none. */
static bool copy_content(struct txn_prepare *prepare)
{
    const struct txn_ref *txn = &prepare->txn;
    struct txn_copy *copy = &prepare->copy;
    bool to_target = prepare->to_target.size > 0;
    const struct txn_content *content =
        to_target ? &prepare->to_target : &prepare->to_source;

    if (content->size == 0)
        return false;
    copy->txn = txn->id;
    copy->dir = to_target ? txn->dir : txn->to_dir;
    copy->name = to_target ? txn->name : txn->to_name;
    copy->to_dir = to_target ? txn->to_dir : txn->dir;
    copy->to_name = to_target ? txn->to_name : txn->name;
    copy->ino = content->ino;
    copy->size = content->size;
    copy->deadline_ns = prepare->deadline_ns;
    copy->done = copied;
    txn_copy_start(copy, prepare->node);
    return true;
}

/* ---- all of it ---- */

static void go_on_with_parts(struct txn_prepare *prepare)
{
    if (prepare->step != TXN_STEP_PART)
        begin_namespace(prepare, nsid_of(prepare));
    prepare->step = TXN_STEP_PART;
    txn_prepare_again(prepare);
}

/* The namespace of the request lies in one region, and is done. */
static bool go_on_below(struct txn_prepare *prepare)
{
    if (prepare->step == TXN_STEP_PART || !begin_next_below(prepare))
        return false;
    prepare->left = TXN_LEFT_PARTS;
    prepare->step = TXN_STEP_PART;
    txn_prepare_again(prepare);
    return true;
}

static void go_on(struct txn_prepare *prepare)
{
    if ((prepare->left & TXN_LEFT_TARGET) != 0) {
        prepare->step = TXN_STEP_TARGET;
        txn_prepare_again(prepare);
    } else if ((prepare->left & TXN_LEFT_SOURCE) != 0) {
        prepare->step = TXN_STEP_SOURCE;
        txn_prepare_again(prepare);
    } else if (copy_content(prepare)) {
        return;
    } else if (prepare->left != 0) {
        go_on_with_parts(prepare);
    } else if (!go_on_below(prepare)) {
        end(prepare, 0);
    }
}

void txn_prepare_start(struct txn_prepare *prepare, struct node *node)
{
    prepare->node = node;
    prepare->nsid = nsid_of(prepare);
    prepare->step = TXN_STEP_FIRST;
    prepare->begun = false;
    prepare->has_happened = false;
    prepare->left = 0;
    prepare->below_at = 0;
    prepare->to_target.size = 0;
    prepare->to_source.size = 0;
    buf_unref(prepare->data);
    prepare->data = NULL;
    txn_prepare_again(prepare);
}
