/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/story.h"

enum { STEP_NS = 100, OP_NS = 50 };

struct sim_op *story_tell(struct story *s, enum request_kind kind)
{
    struct sim_op *op = sim_history_add(&s->history);

    op->kind = kind;
    op->dir = NSID_ROOT;
    op->call_ns = s->now_ns += STEP_NS;
    op->return_ns = op->call_ns + OP_NS;
    op->outcome = SIM_OP_OK;
    return op;
}

void story_together(struct story *s)
{
    struct sim_op *ops = s->history.ops;
    size_t last = s->history.count - 1;

    ops[last].call_ns = ops[last - 1].call_ns;
    ops[last].client = ops[last - 1].client + 1;
    ops[last - 1].return_ns = ops[last].return_ns;
}

struct sim_op *story_refused(struct sim_op *op, int status)
{
    op->outcome = SIM_OP_REFUSED;
    op->status = status;
    return op;
}

struct sim_op *story_unknown(struct sim_op *op)
{
    op->outcome = SIM_OP_UNKNOWN;
    op->return_ns = UINT64_MAX;
    return op;
}

struct sim_op *story_create(struct story *s, uint8_t name, uint64_t ino,
                            unsigned flags)
{
    struct sim_op *op = story_tell(s, REQUEST_CREATE);

    op->name = name;
    op->flags = flags;
    op->ret_ino = ino;
    op->created = true;
    return op;
}

/* `offset` is where it landed; a TRUNCATE has 0. */
static struct sim_op *write_file(struct story *s, uint8_t name, uint64_t ino,
                                 unsigned flags, uint32_t offset)
{
    struct sim_op *op = story_tell(s, REQUEST_WRITE);

    op->name = name;
    op->ino = op->ret_ino = ino;
    op->flags = flags;
    op->piece_size = 10;
    op->ret_offset = offset;
    op->ret_size = offset + 10;
    return op;
}

struct sim_op *story_put(struct story *s, uint8_t name, uint64_t ino)
{
    return write_file(s, name, ino, REQUEST_TRUNCATE, 0);
}

struct sim_op *story_append(struct story *s, uint32_t offset)
{
    return write_file(s, STORY_A, STORY_INO_A, REQUEST_APPEND, offset);
}

struct sim_op *story_get(struct story *s, uint8_t name, uint64_t ino,
                         const uint32_t *tags)
{
    struct sim_op *op = story_tell(s, REQUEST_READ);

    op->name = name;
    op->ino = op->ret_ino = ino;
    op->first_tag = tags[0];
    for (; *tags != 0; tags++) {
        op->content = sim_fold_piece(op->content, *tags);
        op->ret_size += 10;
    }
    return op;
}

struct sim_op *story_lookup(struct story *s, uint8_t name, uint64_t ino)
{
    struct sim_op *op = story_tell(s, REQUEST_LOOKUP);

    op->name = name;
    op->ret_ino = ino;
    return ino == 0 ? story_refused(op, ERR_NOT_FOUND) : op;
}

struct sim_op *story_unlink(struct story *s, uint8_t name)
{
    struct sim_op *op = story_tell(s, REQUEST_UNLINK);

    op->name = name;
    return op;
}

struct sim_op *story_mkdir(struct story *s)
{
    struct sim_op *op = story_tell(s, REQUEST_MKDIR);

    op->name = STORY_D;
    op->ret_ino = ino_of_nsid(STORY_NSID_D);
    return op;
}

struct sim_op *story_rmdir(struct story *s)
{
    struct sim_op *op = story_tell(s, REQUEST_RMDIR);

    op->name = STORY_D;
    return op;
}

struct sim_op *story_rename(struct story *s, unsigned flags)
{
    struct sim_op *op = story_tell(s, REQUEST_RENAME);

    op->name = STORY_A;
    op->to_dir = NSID_ROOT;
    op->to_name = STORY_B;
    op->flags = flags;
    return op;
}

struct sim_op *story_list(struct story *s, uint8_t behind, bool at_end)
{
    struct sim_op *op = story_tell(s, REQUEST_READDIR);

    op->behind = behind;
    op->limit = SIM_NAMES_MAX;
    op->at_end = at_end;
    return op;
}

void story_lists(struct sim_op *op, uint8_t name, uint64_t ino)
{
    op->content += sim_fold_name(name, ino);
    op->entry_count++;
}

struct sim_op *story_on_a(struct story *s, enum request_kind kind)
{
    struct sim_op *op = story_tell(s, kind);

    op->name = STORY_A;
    op->ino = STORY_INO_A;
    return op;
}
