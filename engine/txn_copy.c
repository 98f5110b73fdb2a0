/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_copy.h"

static void read_next(struct txn_copy *copy);

void txn_copy_cancel(struct txn_copy *copy)
{
    if (copy->node == NULL)
        return;
    reader_cancel(node_reader(copy->node), &copy->read);
    router_cancel(node_router(copy->node), &copy->call);
}

static void written(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct txn_copy *copy = container_of(call, struct txn_copy, call);

    (void)result;
    (void)index;
    if (status != 0 || copy->offset == copy->size)
        copy->done(copy, status);
    else
        read_next(copy);
}

static void write_piece(struct txn_copy *copy, struct slice data)
{
    struct command command = {
        .op = COMMAND_TXN_COPY,
        .dir = copy->to_dir,
        .name = copy->to_name,
        .txn = {.id = copy->txn},
        .offset = copy->offset,
        .data = data,
    };

    copy->offset += data.size;
    copy->call.kind = CALL_PROPOSE;
    router_to_place(&copy->call, copy->to_dir, copy->to_name);
    copy->call.deadline_ns = copy->deadline_ns;
    copy->call.done = written;
    router_call(node_router(copy->node), &copy->call, &command);
}

static void piece_read(struct read_op *read, int status, struct result *result)
{
    struct txn_copy *copy = container_of(read, struct txn_copy, read);
    uint64_t left = copy->size - copy->offset;
    uint64_t expected = left < WRITE_SIZE_MAX ? left : WRITE_SIZE_MAX;

    if (status == ERR_STALE || (status == 0 && result->data.size != expected))
        copy->done(copy, ERR_ABORTED);
    else if (status != 0)
        copy->done(copy, status);
    else
        write_piece(copy, result->data);
}

static void read_next(struct txn_copy *copy)
{
    copy->question = (struct command){
        .op = COMMAND_READ,
        .dir = copy->dir,
        .name = copy->name,
        .ino = copy->ino,
        .offset = copy->offset,
        .size = WRITE_SIZE_MAX,
    };
    copy->read.command = &copy->question;
    copy->read.deadline_ns = copy->deadline_ns;
    copy->read.done = piece_read;
    reader_start(node_reader(copy->node), &copy->read);
}

void txn_copy_start(struct txn_copy *copy, struct node *node)
{
    copy->node = node;
    copy->offset = 0;
    read_next(copy);
}
