/* SPDX-License-Identifier: Apache-2.0 */

/* Memory for small internal objects, whose allocation never fails: when
 * memory is out the program aborts, which is what Raft is built to survive.
 * Sizes that come from a user or the wire go through buf_new() instead. */

#ifndef GROVEFS_RAFT_BASE_MEM_H
#define GROVEFS_RAFT_BASE_MEM_H

#include <stddef.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member)                                    \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Zeroed memory, released with free(). Aborts when there is none. */
void *mem_zalloc(size_t size);

/* Grows an array to hold at least `count_min` items of `item_size` bytes;
 * `*count_max` is its capacity and is updated (doubling). New space is not
 * initialised. Returns the array, moved or not. Aborts when memory is out. */
void *mem_grow(void *array, size_t item_size, size_t *count_max,
               size_t count_min);

/* Frees an array of mem_grow() that nothing is in, and returns NULL; returns
 * any other as it is. */
void *mem_trim(void *array, size_t *count_max, size_t count);

/* A copy of the string, released with free(). Aborts when memory is out. */
char *mem_strdup(const char *text);

#endif
