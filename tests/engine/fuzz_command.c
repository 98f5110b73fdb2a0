/* SPDX-License-Identifier: Apache-2.0 */

/* Fuzzes the decoders of commands and results; the first byte selects one.
 * Whatever decodes can be encoded, and what that gives decodes and encodes to
 * itself. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf *recode_command(struct slice bytes)
{
    struct command command;
    struct buf *b;

    if (command_decode(&command, bytes) != 0)
        return NULL;
    b = command_encode(&command);
    command_release(&command);
    return b;
}

static struct buf *recode_result(struct slice bytes)
{
    struct result result;
    struct buf *b;

    if (result_decode(&result, bytes) != 0)
        return NULL;
    b = result_encode(&result);
    result_release(&result);
    return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf *(*recode)(struct slice bytes);
    struct buf *first;
    struct buf *second;

    if (size == 0)
        return 0;
    recode = data[0] % 2 == 0 ? recode_command : recode_result;
    first = recode((struct slice){data + 1, size - 1});
    if (first == NULL)
        return 0;
    second = recode(buf_slice(first));
    assert(second != NULL && second->size == first->size);
    assert(memcmp(first->data, second->data, first->size) == 0);
    buf_unref(first);
    buf_unref(second);
    return 0;
}
