/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/mode_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

/* uthash's default function has unmarked fall-throughs. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct mode_entry {
    uint64_t nsid;
    struct mode mode;
    UT_hash_handle hh;
};

/* ---- the order ---- */

/* Where in it the first one of at least this nsid is. */
static size_t place_of(const struct mode_table *table, uint64_t nsid)
{
    size_t low = 0;
    size_t high = table->order_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table->order[middle] < nsid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put_in_order(struct mode_table *table, uint64_t nsid)
{
    size_t at = place_of(table, nsid);
    size_t behind = table->order_count - at;

    table->order = mem_grow(table->order, sizeof *table->order,
                            &table->order_max, table->order_count + 1);
    memmove(table->order + at + 1, table->order + at,
            behind * sizeof *table->order);
    table->order[at] = nsid;
    table->order_count++;
}

static void take_out_of_order(struct mode_table *table, uint64_t nsid)
{
    size_t at = place_of(table, nsid);

    assert(at < table->order_count);
    assert(table->order[at] == nsid);

    table->order_count--;
    memmove(table->order + at, table->order + at + 1,
            (table->order_count - at) * sizeof *table->order);
}

/* ---- entries ---- */

static struct mode_entry *find(const struct mode_table *table, uint64_t nsid)
{
    struct mode_entry *entry;

    HASH_FIND(hh, table->entries, &nsid, sizeof nsid, entry);
    return entry;
}

static struct mode_entry *add(struct mode_table *table, uint64_t nsid)
{
    struct mode_entry *entry = mem_zalloc(sizeof *entry);

    entry->nsid = nsid;
    HASH_ADD(hh, table->entries, nsid, sizeof entry->nsid, entry);
    put_in_order(table, nsid);
    return entry;
}

static void forget(struct mode_table *table, struct mode_entry *entry)
{
    take_out_of_order(table, entry->nsid);
    HASH_DEL(table->entries, entry);
    free(entry);
}

void mode_table_release(struct mode_table *table)
{
    struct mode_entry *entry;
    struct mode_entry *next;

    HASH_ITER (hh, table->entries, entry, next) {
        HASH_DEL(table->entries, entry);
        free(entry);
    }
    free(table->order);
    *table = (struct mode_table){0};
}

/* ---- modes ---- */

static void count(struct mode_table *table, struct mode mode)
{
    table->strong_count += mode_is_settled_strong(mode) ? 1 : 0;
    table->filling_count += mode_is_filling(mode) ? 1 : 0;
}

static void uncount(struct mode_table *table, struct mode mode)
{
    table->strong_count -= mode_is_settled_strong(mode) ? 1 : 0;
    table->filling_count -= mode_is_filling(mode) ? 1 : 0;
}

static bool is_kept(struct mode mode)
{
    return !mode_is_settled_strong(mode) || mode.domain != 0;
}

void mode_table_set(struct mode_table *table, uint64_t nsid, struct mode mode)
{
    struct mode_entry *entry = find(table, nsid);

    if (entry != NULL)
        uncount(table, entry->mode);
    if (is_kept(mode)) {
        if (entry == NULL)
            entry = add(table, nsid);
        entry->mode = mode;
        count(table, mode);
    } else if (entry != NULL) {
        forget(table, entry);
    }
}

struct mode mode_table_find(const struct mode_table *table, uint64_t nsid)
{
    const struct mode_entry *entry = find(table, nsid);

    return entry != NULL ? entry->mode : (struct mode){0};
}

bool mode_table_any(const struct mode_table *table)
{
    return table->order_count > table->strong_count;
}

bool mode_table_next(const struct mode_table *table, uint64_t nsid_min,
                     uint64_t *ret_nsid, struct mode *ret)
{
    size_t place = place_of(table, nsid_min);

    if (place == table->order_count)
        return false;
    *ret_nsid = table->order[place];
    *ret = mode_table_find(table, *ret_nsid);
    return true;
}
