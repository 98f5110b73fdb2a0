/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_prepare.h"

#include <assert.h>
#include <string.h>

#include "engine/eventual_read.h"
#include "engine/txn_resolve.h"

enum { TIMES_SIZE = 16 }; /* of command.further_times: of one namespace */

/* What it keeps. */
static void drop(struct txn_prepare *prepare)
{
    buf_unref(prepare->data);
    buf_unref(prepare->sorted_bytes);
    buf_unref(prepare->times);
    prepare->data = NULL;
    prepare->sorted_bytes = NULL;
    prepare->times = NULL;
    domain_release(&prepare->sorted);
}

void txn_prepare_release(struct txn_prepare *prepare)
{
    if (prepare->node != NULL)
        router_cancel(node_router(prepare->node), &prepare->call);
    txn_copy_cancel(&prepare->copy);
    drop(prepare);
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
    drop(prepare);
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
    if (prepare->below_at == prepare->sorted.count)
        return false;
    begin_namespace(prepare, prepare->sorted.nsids[prepare->below_at++]);
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

/* Those that come along with the namespace that is next. */
static struct slice further(const struct txn_prepare *prepare)
{
    return domain_further(buf_slice(prepare->sorted_bytes), prepare->below_at);
}

static void go_on(struct txn_prepare *prepare);

/* The last one that was done may go on elsewhere. */
static int take_parts(struct txn_prepare *prepare, const struct result *result)
{
    if (result->offset > domain_count(further(prepare)))
        return ERR_ABORTED; /* That makes no sense. */
    if (result->offset > 0) {
        prepare->below_at += result->offset;
        prepare->nsid = prepare->sorted.nsids[prepare->below_at - 1];
    }
    if (!key_next_part(prepare->nsid, result->data, &prepare->part) &&
        !begin_next_below(prepare))
        prepare->left = 0;
    return 0;
}

/* The step is done; what it has found to be left is added to what was. */
static int take(struct txn_prepare *prepare, const struct result *result)
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
        return take_parts(prepare, result);
    }
    return 0;
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
    prepare->begun = true;
    status = take(prepare, result);
    if (status != 0) {
        end(prepare, status);
        return;
    }
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

static int read_times(struct txn_prepare *prepare, size_t count)
{
    struct kv *state = node_env(prepare->node)->state;
    struct attr attr;
    int rc = 0;

    while (rc == 0 && prepare->times_count < count) {
        uint64_t nsid = prepare->sorted.nsids[prepare->times_count];
        uint8_t *times =
            prepare->times->data + TIMES_SIZE * prepare->times_count++;

        rc = eventual_directory_attr(state, NULL, nsid, &attr);
        if (rc == 0) {
            be64_put(times, (uint64_t)attr.mtime_ns);
            be64_put(times + sizeof attr.mtime_ns, (uint64_t)attr.ctime_ns);
        }
    }
    return rc;
}

/* With what add_times() adds for the first one. */
static int add_further(struct txn_prepare *prepare, struct command *command)
{
    size_t at = prepare->below_at;
    size_t count;

    command->further = further(prepare);
    count = domain_count(command->further);
    if (command->txn_kind != TXN_TO_STRONG || count == 0)
        return 0;
    command->further_times = (struct slice){
        prepare->times->data + TIMES_SIZE * at, TIMES_SIZE * count};
    return read_times(prepare, at + count);
}

void txn_prepare_again(struct txn_prepare *prepare)
{
    struct command command = *prepare->command;
    int rc = add_times(prepare, &command);

    if (rc == 0 && prepare->step == TXN_STEP_PART)
        rc = add_further(prepare, &command);
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

static void list_below(struct txn_prepare *prepare)
{
    if (prepare->below != NULL)
        prepare->sorted = domain_sorted(prepare->below);
    prepare->sorted_bytes = domain_encode(&prepare->sorted);
    prepare->times = buf_new(TIMES_SIZE * prepare->sorted.count);
    assert(prepare->times != NULL); /* Of a bounded size. */
    prepare->times_count = 0;
}

/* ---- directories of which no region has the name ---- */

static struct catalog_change change_of(const struct txn_prepare *prepare)
{
    const struct command *c = prepare->command;
    struct catalog_change change = {.nsid = nsid_of_ino(c->ino),
                                    .attr = {.version = c->offset}};

    if (c->txn_kind == TXN_RMDIR) {
        change.kind = CATALOG_REMOVE;
        change.parent = c->dir;
        change.name = c->name;
    } else if (c->txn_kind == TXN_TO_STRONG) {
        change.kind = CATALOG_STRONG;
    } else {
        change.kind = CATALOG_EVENTUAL;
        change.parent = prepare->inherits ? c->dir : 0;
    }
    return change;
}

/* What its parts are to be like: no region of a name says so. */
static struct buf *encode_part(uint64_t nsid)
{
    const struct namespace_record part = {
        .nsid = nsid, .domain = NSID_ROOT, .reopened = true};

    return namespace_encode(&part);
}

/* There are only parts, and each of them names no more than its namespace. */
static void begin_without_place(struct txn_prepare *prepare)
{
    uint64_t nsid = nsid_of_ino(prepare->command->ino);

    prepare->txn.dir = 0;
    prepare->txn.name = (struct slice){NULL, 0};
    prepare->changes[0] = change_of(prepare);
    prepare->change_count = 1;
    if (prepare->command->txn_kind == TXN_TO_STRONG) {
        prepare->txn.opens_nsid = nsid;
        prepare->data = encode_part(nsid);
    } else {
        prepare->txn.closes_nsid = nsid;
    }
    prepare->left = TXN_LEFT_PARTS;
    prepare->step = TXN_STEP_PART;
    begin_namespace(prepare, nsid);
}

/* ---- start ---- */

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
    drop(prepare);
    list_below(prepare);
    if (prepare->has_no_place)
        begin_without_place(prepare);
    txn_prepare_again(prepare);
}
