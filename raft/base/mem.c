/* SPDX-License-Identifier: Apache-2.0 */

#include "raft/base/mem.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Thousands of groups have queues in which there is hardly ever more. */
enum { GROW_COUNT_MIN = 2 };

void *mem_zalloc(size_t size)
{
    void *memory = calloc(1, size);

    assert(memory != NULL && "out of memory");
    return memory;
}

void *mem_grow(void *array, size_t item_size, size_t *count_max,
               size_t count_min)
{
    size_t count = *count_max;
    void *grown;

    if (count_min <= count)
        return array;

    if (count < GROW_COUNT_MIN)
        count = GROW_COUNT_MIN;
    while (count < count_min)
        count *= 2;
    assert(count <= SIZE_MAX / item_size);
    grown = realloc(array, count * item_size);
    assert(grown != NULL && "out of memory");
    *count_max = count;
    return grown;
}

void *mem_trim(void *array, size_t *count_max, size_t count)
{
    if (count > 0)
        return array;
    free(array);
    *count_max = 0;
    return NULL;
}

char *mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(mem_zalloc(size), text, size);
}
