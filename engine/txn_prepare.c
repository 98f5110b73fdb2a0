/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_prepare.h"

#include <assert.h>
#include <string.h>

#include "engine/txn_resolve.h"

void txn_prepare_release(struct txn_prepare *prepare)
{
    if (prepare->node != NULL)
        router_cancel(node_router(prepare->node), &prepare->call);
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
        if (result->changes[i].kind == CATALOG_REMOVE)
            prepare->txn.closes_nsid = result->changes[i].nsid;
    }
}

static void keep_data(struct txn_prepare *prepare, const struct result *result)
{
    buf_unref(prepare->data);
    prepare->data = buf_copy(result->data.data, result->data.size);
}

static void end(struct txn_prepare *prepare, int status)
{
    buf_unref(prepare->data);
    prepare->data = NULL;
    prepare->done(prepare, status);
}

/* ---- steps ---- */

static uint64_t nsid_of(const struct txn_prepare *prepare)
{
    return prepare->txn.opens_nsid != 0 ? prepare->txn.opens_nsid
                                        : prepare->txn.closes_nsid;
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
        break;
    case TXN_STEP_TARGET:
        prepare->left = result->left;
        keep_changes(prepare, result);
        keep_data(prepare, result);
        break;
    case TXN_STEP_SOURCE:
        prepare->left &= ~(unsigned)TXN_LEFT_SOURCE;
        buf_unref(prepare->data);
        prepare->data = NULL;
        break;
    default:
        if (!key_next_part(nsid_of(prepare), result->data, &prepare->part))
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

void txn_prepare_again(struct txn_prepare *prepare)
{
    struct command command = *prepare->command;

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

static void go_on(struct txn_prepare *prepare)
{
    bool was_part = prepare->step == TXN_STEP_PART;

    if (prepare->left == 0) {
        end(prepare, 0);
        return;
    }
    if ((prepare->left & TXN_LEFT_TARGET) != 0)
        prepare->step = TXN_STEP_TARGET;
    else if ((prepare->left & TXN_LEFT_SOURCE) != 0)
        prepare->step = TXN_STEP_SOURCE;
    else
        prepare->step = TXN_STEP_PART;
    if (prepare->step == TXN_STEP_PART && !was_part)
        prepare->part =
            key_user('d', nsid_of(prepare), (struct slice){NULL, 0});
    txn_prepare_again(prepare);
}

void txn_prepare_start(struct txn_prepare *prepare, struct node *node)
{
    prepare->node = node;
    prepare->step = TXN_STEP_FIRST;
    prepare->begun = false;
    prepare->has_happened = false;
    prepare->left = 0;
    buf_unref(prepare->data);
    prepare->data = NULL;
    txn_prepare_again(prepare);
}
