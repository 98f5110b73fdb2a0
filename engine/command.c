/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/command.h"

#include <assert.h>
#include <string.h>

#include "engine/codec.h"
#include "engine/command_impl.h"
#include "engine/keys.h"

enum { MESSAGE_SIZE_MAX = 16 * 1024 };

/* ---- The frame of both ------------------------------------------------ */

static struct buf *frame_pack(const ProtobufCMessage *message,
                              struct slice data)
{
    struct buf *b;

    assert(data.size <= COMMAND_DATA_SIZE_MAX);
    b = codec_pack(message, PREFIX_SIZE, data);
    if (b == NULL)
        return NULL;
    b->data[0] = COMMAND_FORMAT;
    be32_put(b->data + 1, (uint32_t)(b->size - PREFIX_SIZE - data.size));
    return b;
}

static int frame_unpack(struct codec_message *ret,
                        const ProtobufCMessageDescriptor *descriptor,
                        struct slice bytes, struct slice *ret_data)
{
    const uint8_t *data = bytes.data;
    size_t rest_size;
    size_t size;

    if (bytes.size == 0 || data[0] == 0)
        return ERR_CORRUPT;
    if (data[0] != COMMAND_FORMAT)
        return ERR_VERSION;
    if (bytes.size < PREFIX_SIZE)
        return ERR_CORRUPT;
    rest_size = bytes.size - PREFIX_SIZE;
    size = be32_get(data + 1);
    if (size > MESSAGE_SIZE_MAX || size > rest_size ||
        rest_size - size > COMMAND_DATA_SIZE_MAX)
        return ERR_CORRUPT;

    *ret_data = (struct slice){data + PREFIX_SIZE + size, rest_size - size};
    return codec_unpack(ret, descriptor,
                        (struct slice){data + PREFIX_SIZE, size});
}

/* ---- Changes of the catalog ------------------------------------------- */

struct pb_changes {
    Grove__CatalogChange change[CATALOG_CHANGES_MAX];
    Grove__Attr attr[CATALOG_CHANGES_MAX];
    Grove__CatalogChange *changes[CATALOG_CHANGES_MAX];
};

static Grove__CatalogChange **changes_to_pb(struct pb_changes *to,
                                            const struct catalog_change *from,
                                            size_t count)
{
    assert(count <= CATALOG_CHANGES_MAX);

    for (size_t i = 0; i < count; i++) {
        assert(from[i].kind >= CATALOG_ADD && from[i].kind <= CATALOG_STRONG);
        assert(from[i].name.size <= NAME_SIZE_MAX);
        to->change[i] = (Grove__CatalogChange)GROVE__CATALOG_CHANGE__INIT;
        to->change[i].kind = from[i].kind;
        to->change[i].nsid = from[i].nsid;
        to->change[i].parent = from[i].parent;
        to->change[i].name = codec_bytes(from[i].name);
        to->change[i].attr = attr_to_pb(&to->attr[i], &from[i].attr);
        to->changes[i] = &to->change[i];
    }
    return to->changes;
}

static bool changes_from_pb(struct catalog_change *to, size_t *ret_count,
                            Grove__CatalogChange *const *from, size_t count)
{
    if (count > CATALOG_CHANGES_MAX)
        return false;

    for (size_t i = 0; i < count; i++) {
        if (from[i]->kind < CATALOG_ADD || from[i]->kind > CATALOG_STRONG)
            return false;
        to[i].kind = (enum catalog_change_kind)from[i]->kind;
        to[i].nsid = from[i]->nsid;
        to[i].parent = from[i]->parent;
        to[i].name = codec_slice(from[i]->name);
        attr_from_pb(&to[i].attr, from[i]->attr);
        if (!name_is_valid(to[i].name))
            return false;
    }
    *ret_count = count;
    return true;
}

/* ---- Verdicts --------------------------------------------------------- */

static Grove__Verdict *verdict_to_pb(Grove__Verdict *to,
                                     const struct verdict *from)
{
    assert(from->right_count <= REGION_PEERS_MAX);
    assert(from->wrong_count <= REGION_PEERS_MAX);
    if (from->index == 0)
        return NULL;

    *to = (Grove__Verdict)GROVE__VERDICT__INIT;
    to->index = from->index;
    to->hash = from->hash;
    to->right = codec_numbers(from->right);
    to->n_right = from->right_count;
    to->wrong = codec_numbers(from->wrong);
    to->n_wrong = from->wrong_count;
    return to;
}

static bool verdict_from_pb(struct verdict *to, const Grove__Verdict *from)
{
    *to = (struct verdict){0};
    if (from == NULL)
        return true;
    to->index = from->index;
    to->hash = from->hash;
    return from->index != 0 &&
           numbers_from_pb(to->right, &to->right_count, REGION_PEERS_MAX,
                           from->right, from->n_right) &&
           numbers_from_pb(to->wrong, &to->wrong_count, REGION_PEERS_MAX,
                           from->wrong, from->n_wrong);
}

/* ---- Commands --------------------------------------------------------- */

struct pb_command {
    Grove__Command command;
    Grove__Attr set;
    struct pb_txn txn;
    struct pb_changes changes;
    Grove__Verdict verdict;
    Grove__Merge merge;
    Grove__Goal goal;
};

static void numbers_to_pb(Grove__Command *to, const struct command *from)
{
    to->op = from->op;
    to->node = from->node;
    to->boot = from->boot;
    to->sequence = from->sequence;
    to->lowest = from->lowest;
    to->stamp = from->stamp;
    to->now_ns = from->now_ns;
    to->flags = from->flags;
    to->set_mask = from->set_mask;
    to->dir = from->dir;
    to->to_dir = from->to_dir;
    to->ino = from->ino;
    to->offset = from->offset;
    to->size = from->size;
    to->value_size_max = from->value_size_max;
    to->txn_kind = from->txn_kind;
    to->txn_step = from->txn_step;
    to->commit = from->commit;
    to->token = from->token;
    to->node_state = from->node_state;
    to->target_node = from->target_node;
    to->region_version = from->region_version;
    to->region_conf_ver = from->region_conf_ver;
    to->new_region = from->new_region;
    to->merge_step = from->merge_step;
}

/* ---- Further namespaces ---- */

enum { NSID_SIZE = 8, TIMES_SIZE = 16 };

static bool further_is_valid(const struct command *command)
{
    size_t count = command->further.size / NSID_SIZE;
    size_t times_size = command->further_times.size;

    return command->further.size % NSID_SIZE == 0 &&
           count <= COMMAND_FURTHER_MAX &&
           (times_size == 0 || times_size == count * TIMES_SIZE);
}

struct buf *command_encode(const struct command *command)
{
    struct pb_command message;
    Grove__Command *m = &message.command;

    assert(command->name.size <= NAME_SIZE_MAX);
    assert(command->to_name.size <= NAME_SIZE_MAX);
    assert(command->xattr.size <= XATTR_NAME_SIZE_MAX);
    assert(command->address.size <= CODEC_ADDRESS_SIZE_MAX);
    assert(further_is_valid(command));

    *m = (Grove__Command)GROVE__COMMAND__INIT;
    numbers_to_pb(m, command);
    m->name = codec_bytes(command->name);
    m->to_name = codec_bytes(command->to_name);
    m->xattr = codec_bytes(command->xattr);
    m->address = codec_bytes(command->address);
    m->further = codec_bytes(command->further);
    m->further_times = codec_bytes(command->further_times);
    m->set = attr_to_pb(&message.set, &command->set);
    m->txn = txn_to_pb(&message.txn, &command->txn);
    m->changes = changes_to_pb(&message.changes, command->changes,
                               command->change_count);
    m->n_changes = command->change_count;
    m->verdict = verdict_to_pb(&message.verdict, &command->verdict);
    m->merge = merge_to_pb(&message.merge, &command->merge);
    m->goal = goal_to_pb(&message.goal, &command->goal);
    return frame_pack(&m->base, command->data);
}

/* A new last one of any kind is to be named here. */
static bool op_is_known(uint32_t op)
{
    return op <= COMMAND_SET || op == COMMAND_NODE_JOIN ||
           op == COMMAND_NODE_STATE || op == COMMAND_TXN_COPY ||
           op == COMMAND_TXN_IMPORT || op == COMMAND_TXN_EXPORT ||
           (op >= COMMAND_LOOKUP && op <= COMMAND_PART) ||
           (op >= COMMAND_MERGE && op <= COMMAND_REGION_GONE) ||
           (op >= COMMAND_DIR_MODE && op <= COMMAND_DIR_OWN) ||
           op == COMMAND_START_CHECK || op == COMMAND_TRANSFER ||
           op == COMMAND_CHECK_GOAL || op == COMMAND_CHANGE_NODE ||
           op == COMMAND_START_SPLIT || op == COMMAND_START_MERGE;
}

static void numbers_from_message(struct command *to, const Grove__Command *from)
{
    *to = (struct command){
        .op = (enum command_op)from->op,
        .node = from->node,
        .boot = from->boot,
        .sequence = from->sequence,
        .lowest = from->lowest,
        .stamp = from->stamp,
        .now_ns = from->now_ns,
        .flags = from->flags,
        .set_mask = from->set_mask,
        .dir = from->dir,
        .to_dir = from->to_dir,
        .ino = from->ino,
        .offset = from->offset,
        .size = from->size,
        .value_size_max = from->value_size_max,
        .txn_kind = (enum txn_kind)from->txn_kind,
        .txn_step = (enum txn_step)from->txn_step,
        .commit = from->commit != 0,
        .token = from->token,
        .node_state = (enum node_state)from->node_state,
        .target_node = from->target_node,
        .region_version = from->region_version,
        .region_conf_ver = from->region_conf_ver,
        .new_region = from->new_region,
        .merge_step = (enum merge_step)from->merge_step,
    };
}

static bool command_from_pb(struct command *to, const Grove__Command *from)
{
    if (!op_is_known(from->op) || from->txn_kind > TXN_TO_STRONG ||
        from->txn_step > TXN_STEP_ENDS || from->node_state > NODE_REMOVED ||
        from->merge_step > MERGE_STEP_END)
        return false;

    numbers_from_message(to, from);
    to->name = codec_slice(from->name);
    to->to_name = codec_slice(from->to_name);
    to->xattr = codec_slice(from->xattr);
    to->address = codec_slice(from->address);
    to->further = codec_slice(from->further);
    to->further_times = codec_slice(from->further_times);
    attr_from_pb(&to->set, from->set);
    return name_is_valid(to->name) && name_is_valid(to->to_name) &&
           name_is_valid(to->xattr) &&
           to->address.size <= CODEC_ADDRESS_SIZE_MAX &&
           name_is_valid(to->address) && further_is_valid(to) &&
           txn_from_pb(&to->txn, from->txn) &&
           changes_from_pb(to->changes, &to->change_count, from->changes,
                           from->n_changes) &&
           verdict_from_pb(&to->verdict, from->verdict) &&
           merge_from_pb(&to->merge, from->merge) &&
           goal_from_pb(&to->goal, from->goal);
}

static_assert((int)XATTR_NAME_SIZE_MAX == (int)NAME_SIZE_MAX,
              "name_is_valid() is for both");

int command_decode(struct command *ret, struct slice bytes)
{
    struct codec_message m;
    struct command command;
    struct slice data;
    int rc = frame_unpack(&m, &grove__command__descriptor, bytes, &data);

    if (rc != 0)
        return rc;
    if (!command_from_pb(&command, m.message)) {
        codec_free(m.held);
        return ERR_CORRUPT;
    }
    command.data = data;
    command.held = m.held;
    *ret = command;
    return 0;
}

void command_release(struct command *command)
{
    codec_free(command->held);
    *command = (struct command){0};
}

/* ---- Results ---------------------------------------------------------- */

struct buf *result_encode(const struct result *result)
{
    Grove__Result message = GROVE__RESULT__INIT;
    Grove__Attr attr;
    struct pb_txn holder;
    struct pb_changes changes;

    assert(status_is_valid(result->status));

    message.status = result->status;
    message.attr = attr_to_pb(&attr, &result->attr);
    message.offset = result->offset;
    message.created = result->created;
    message.at_end = result->at_end;
    message.decided = result->decided;
    message.committed = result->committed;
    message.first_id = result->first_id;
    message.left = result->left;
    message.next = codec_bytes(slice_of(result->next));
    message.holder = txn_to_pb(&holder, &result->holder);
    message.changes =
        changes_to_pb(&changes, result->changes, result->change_count);
    message.n_changes = result->change_count;
    return frame_pack(&message.base, result->data);
}

static bool result_from_pb(struct result *to, const Grove__Result *from)
{
    if (!status_is_valid(from->status))
        return false;

    *to = (struct result){
        .status = from->status,
        .offset = from->offset,
        .created = from->created != 0,
        .at_end = from->at_end != 0,
        .decided = from->decided != 0,
        .committed = from->committed != 0,
        .first_id = from->first_id,
        .left = from->left,
    };
    attr_from_pb(&to->attr, from->attr);
    if (from->next.len > 0 && from->next.len <= NAME_SIZE_MAX)
        memcpy(to->next, from->next.data, from->next.len);
    return name_is_valid(codec_slice(from->next)) &&
           txn_from_pb(&to->holder, from->holder) &&
           changes_from_pb(to->changes, &to->change_count, from->changes,
                           from->n_changes);
}

int result_decode(struct result *ret, struct slice bytes)
{
    struct codec_message m;
    struct result result;
    struct slice data;
    int rc = frame_unpack(&m, &grove__result__descriptor, bytes, &data);

    if (rc != 0)
        return rc;
    if (!result_from_pb(&result, m.message)) {
        codec_free(m.held);
        return ERR_CORRUPT;
    }
    result.data = data;
    result.held = m.held;
    *ret = result;
    return 0;
}

int result_status(struct slice bytes)
{
    struct result result = {0};
    int rc = result_decode(&result, bytes);

    if (rc == 0)
        rc = result.status;
    result_release(&result);
    return rc;
}

void result_release(struct result *result)
{
    buf_unref(result->data_buf);
    codec_free(result->held);
    *result = (struct result){0};
}

bool command_grows(const struct command *command)
{
    switch (command->op) {
    case COMMAND_CREATE:
    case COMMAND_SETXATTR:
    case COMMAND_DIR_SETXATTR:
    case COMMAND_DIR_ADD:
    case COMMAND_TXN_COPY:
    case COMMAND_TXN_IMPORT:
    case COMMAND_BRING:
        return true;
    case COMMAND_WRITE:
        return command->data.size > 0;
    case COMMAND_TXN_PREPARE:
        /* Steps between two ends bring inline content. */
        return command->txn_kind == TXN_MKDIR ||
               command->txn_step == TXN_STEP_TARGET ||
               command->txn_step == TXN_STEP_SOURCE;
    default:
        return false;
    }
}
