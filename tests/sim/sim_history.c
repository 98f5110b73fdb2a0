/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_history.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char names[SIM_NAMES_MAX][2] = {"a", "b", "c", "d",
                                             "e", "f", "g", "h"};

const char *sim_name(uint8_t number)
{
    assert(number < SIM_NAMES_MAX);
    return names[number];
}

uint8_t sim_name_number(const char *name, size_t size)
{
    if (size != 1 || name[0] < 'a' || name[0] >= 'a' + SIM_NAMES_MAX)
        return SIM_NAMES_MAX;
    return (uint8_t)(name[0] - 'a');
}

struct sim_op *sim_history_add(struct sim_history *history)
{
    struct sim_op *op;

    history->ops = mem_grow(history->ops, sizeof *history->ops,
                            &history->count_max, history->count + 1);
    op = &history->ops[history->count++];
    *op = (struct sim_op){.tag = (uint32_t)history->count,
                          .return_ns = UINT64_MAX,
                          .outcome = SIM_OP_UNKNOWN};
    return op;
}

void sim_history_close(struct sim_history *history)
{
    free(history->ops);
    *history = (struct sim_history){0};
}

/* ---- content ---- */

static uint8_t filling(uint32_t tag, size_t i)
{
    return (uint8_t)(tag * 7 + i * 13);
}

struct buf *sim_piece(uint32_t tag, uint32_t size)
{
    struct buf *b = buf_new(size);

    assert(size >= SIM_PIECE_HEADER);
    memcpy(b->data, &tag, sizeof tag);
    memcpy(b->data + 4, &size, sizeof size);
    for (size_t i = SIM_PIECE_HEADER; i < size; i++)
        b->data[i] = filling(tag, i);
    return b;
}

uint64_t sim_fold_piece(uint64_t content, uint32_t tag)
{
    return sim_mix(content, tag);
}

bool sim_fold_content(const uint8_t *data, size_t size, uint64_t *ret,
                      uint32_t *ret_first)
{
    uint64_t content = 0;
    uint32_t first = 0;

    while (size > 0) {
        uint32_t tag;
        uint32_t piece_size;

        if (size < SIM_PIECE_HEADER)
            return false;
        memcpy(&tag, data, sizeof tag);
        memcpy(&piece_size, data + 4, sizeof piece_size);
        if (piece_size < SIM_PIECE_HEADER || piece_size > size)
            return false;
        for (size_t i = SIM_PIECE_HEADER; i < piece_size; i++)
            if (data[i] != filling(tag, i))
                return false;
        if (first == 0)
            first = tag;
        content = sim_fold_piece(content, tag);
        data += piece_size;
        size -= piece_size;
    }
    *ret = content;
    *ret_first = first;
    return true;
}

uint64_t sim_fold_name(uint8_t name, uint64_t ino)
{
    return sim_mix(ino, name + UINT64_C(77));
}

/* ---- for people ---- */

static const char *const kinds[REQUEST_KINDS] = {
    [REQUEST_LOOKUP] = "lookup",     [REQUEST_GETATTR] = "getattr",
    [REQUEST_READ] = "read",         [REQUEST_READDIR] = "readdir",
    [REQUEST_CREATE] = "create",     [REQUEST_WRITE] = "write",
    [REQUEST_UNLINK] = "unlink",     [REQUEST_MKDIR] = "mkdir",
    [REQUEST_RMDIR] = "rmdir",       [REQUEST_RENAME] = "rename",
    [REQUEST_SETATTR] = "setattr",   [REQUEST_GETXATTR] = "getxattr",
    [REQUEST_SETXATTR] = "setxattr", [REQUEST_REMOVEXATTR] = "removexattr",
};

static const char *outcome_text(const struct sim_op *op)
{
    switch (op->outcome) {
    case SIM_OP_OK:
        return "ok";
    case SIM_OP_REFUSED:
        return "refused";
    case SIM_OP_FAILED:
        return "failed";
    case SIM_OP_UNKNOWN:
        return "unknown";
    }
    return "?";
}

/* Of a page, the name that it begins behind. */
static const char *place_text(const struct sim_op *op)
{
    if (op->kind != REQUEST_READDIR)
        return sim_name(op->name);
    return op->behind == SIM_NAMES_MAX ? "" : sim_name(op->behind);
}

void sim_op_print(const struct sim_op *op, char *text, size_t size)
{
    uint64_t back_us = op->return_ns == UINT64_MAX ? 0 : op->return_ns / sim_us;

    (void)snprintf(
        text, size,
        "#%u c%u %s flags=%x %" PRIx64 "/%s -> %" PRIx64 "/%s ino=%" PRIx64
        " [%" PRIu64 " %" PRIu64 "] %s (%s) ino=%" PRIx64 " size=%" PRIu64
        " offset=%" PRIu64 " content=%" PRIx64 " count=%u%s gid=%u xattr=%u%s",
        op->tag, op->client, kinds[op->kind], op->flags, op->dir,
        place_text(op), op->to_dir,
        op->to_dir == 0 ? "" : sim_name(op->to_name), op->ino,
        op->call_ns / sim_us, back_us, outcome_text(op), err_text(op->status),
        op->ret_ino, op->ret_size, op->ret_offset, op->content, op->entry_count,
        op->at_end ? "" : "+", op->gid, op->xattr,
        op->malformed ? " MALFORMED" : "");
}
