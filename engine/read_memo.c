/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/read_memo.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/keys.h"

enum { SLOTS = 512, DATA_SIZE_MAX = 8 * 1024 };

/* What a read is about; NUL bytes where a name ends. */
struct question {
    uint64_t op;
    uint64_t dir;
    uint64_t ino;
    uint64_t offset;
    uint64_t size;
    size_t name_size;
    char name[NAME_SIZE_MAX];
};

struct slot {
    struct read_moment moment;
    struct question question; /* op 0: free */
    int status;
    struct attr attr;
    uint64_t offset;
    bool at_end;
    struct buf *data;
};

struct read_memo {
    atomic_flag busy;
    struct slot slots[SLOTS]; /* each question has one place */
};

struct read_memo *read_memo_new(void)
{
    struct read_memo *memo = mem_zalloc(sizeof *memo);

    atomic_flag_clear(&memo->busy);
    return memo;
}

void read_memo_free(struct read_memo *memo)
{
    if (memo == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        buf_unref(memo->slots[i].data);
    free(memo);
}

static bool is_kind_kept(enum command_op op)
{
    return op == COMMAND_LOOKUP || op == COMMAND_GETATTR || op == COMMAND_READ;
}

static struct question question_of(const struct command *command)
{
    struct question question = {
        .op = command->op,
        .dir = command->dir,
        .ino = command->ino,
        .offset = command->offset,
        .size = command->size,
        .name_size = command->name.size,
    };

    if (command->name.size > 0)
        memcpy(question.name, command->name.data, command->name.size);
    return question;
}

static size_t question_size(const struct question *question)
{
    return offsetof(struct question, name) + question->name_size;
}

static struct slot *place_of(struct read_memo *memo,
                             const struct question *question)
{
    return &memo->slots[XXH3_64bits(question, question_size(question)) % SLOTS];
}

static bool is_same(const struct question *a, const struct question *b)
{
    return memcmp(a, b, question_size(b)) == 0;
}

static void fill_result(const struct slot *slot, struct result *ret)
{
    *ret = (struct result){
        .status = slot->status,
        .attr = slot->attr,
        .offset = slot->offset,
        .at_end = slot->at_end,
        .data_buf = buf_ref(slot->data),
    };
    if (slot->data != NULL)
        ret->data = buf_slice(slot->data);
}

bool read_memo_find(struct read_memo *memo, const struct command *command,
                    struct read_moment moment, struct result *ret)
{
    struct question question;
    const struct slot *slot;
    bool found;

    if (!is_kind_kept(command->op) || command->name.size > NAME_SIZE_MAX ||
        atomic_flag_test_and_set(&memo->busy))
        return false;
    question = question_of(command);
    slot = place_of(memo, &question);
    found = slot->question.op != 0 && read_moment_equal(slot->moment, moment) &&
            is_same(&slot->question, &question);
    if (found)
        fill_result(slot, ret);
    atomic_flag_clear(&memo->busy);
    return found;
}

void read_memo_keep(struct read_memo *memo, const struct command *command,
                    struct read_moment moment, const struct result *result)
{
    struct question question;
    struct slot *slot;

    if (!is_kind_kept(command->op) || command->name.size > NAME_SIZE_MAX ||
        result->data.size > DATA_SIZE_MAX ||
        atomic_flag_test_and_set(&memo->busy))
        return;
    question = question_of(command);
    slot = place_of(memo, &question);
    buf_unref(slot->data);
    *slot = (struct slot){
        .moment = moment,
        .question = question,
        .status = result->status,
        .attr = result->attr,
        .offset = result->offset,
        .at_end = result->at_end,
        .data = buf_ref(result->data_buf),
    };
    atomic_flag_clear(&memo->busy);
}
