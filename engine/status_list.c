/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/status_list.h"

#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

/* uthash's default function has unmarked fall-throughs. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct status_row {
    struct region_status status; /* first member; compared as bytes */
    uint64_t change;
    UT_hash_handle by_region;
    TAILQ_ENTRY(status_row) link;
};

void status_list_init(struct status_list *list, uint64_t id)
{
    *list = (struct status_list){.id = id};
    TAILQ_INIT(&list->changed);
}

void status_list_release(struct status_list *list)
{
    struct status_row *row;

    HASH_CLEAR(by_region, list->rows);
    while ((row = TAILQ_FIRST(&list->changed)) != NULL) {
        TAILQ_REMOVE(&list->changed, row, link);
        free(row);
    }
}

/* Another list, of which nothing is known. */
static void begin_anew(struct status_list *list, uint64_t id)
{
    status_list_release(list);
    status_list_init(list, id);
}

static struct status_row *find(const struct status_list *list, uint64_t region)
{
    struct status_row *row;

    HASH_FIND(by_region, list->rows, &region, sizeof region, row);
    return row;
}

static struct status_row *add(struct status_list *list, uint64_t region)
{
    struct status_row *row = mem_zalloc(sizeof *row);

    row->status.region = region;
    HASH_ADD(by_region, list->rows, status.region, sizeof region, row);
    TAILQ_INSERT_TAIL(&list->changed, row, link);
    return row;
}

void status_list_put(struct status_list *list,
                     const struct region_status *status)
{
    struct status_row *row = find(list, status->region);

    if (row == NULL)
        row = add(list, status->region);
    else if (memcmp(&row->status, status, sizeof *status) == 0)
        return;
    row->status = *status;
    row->change = ++list->change;
    TAILQ_REMOVE(&list->changed, row, link);
    TAILQ_INSERT_TAIL(&list->changed, row, link);
}

void status_list_remove(struct status_list *list, uint64_t region)
{
    struct status_row *row = find(list, region);

    if (row == NULL)
        return;
    HASH_DELETE(by_region, list->rows, row);
    TAILQ_REMOVE(&list->changed, row, link);
    free(row);
    list->id++;
}

const struct region_status *status_list_find(const struct status_list *list,
                                             uint64_t region)
{
    const struct status_row *row = find(list, region);

    return row == NULL ? NULL : &row->status;
}

static const struct status_row *row_of(const struct region_status *status)
{
    return (const struct status_row *)(const void *)status;
}

const struct region_status *status_list_next(const struct status_list *list,
                                             const struct region_status *status)
{
    const struct status_row *row = status == NULL
                                       ? TAILQ_FIRST(&list->changed)
                                       : TAILQ_NEXT(row_of(status), link);

    return row == NULL ? NULL : &row->status;
}

void status_list_count(const struct status_list *list, uint64_t node_id,
                       size_t *ret_regions, size_t *ret_leaders)
{
    const struct status_row *row;

    *ret_regions = *ret_leaders = 0;
    TAILQ_FOREACH (row, &list->changed, link) {
        (*ret_regions)++;
        *ret_leaders += row->status.leader_node == node_id;
    }
}

/* ---- changes ---- */

/* NULL: there is nothing behind it. */
static const struct status_row *first_behind(const struct status_list *list,
                                             uint64_t base)
{
    const struct status_row *row = TAILQ_LAST(&list->changed, status_rows);
    const struct status_row *first = NULL;

    for (; row != NULL && row->change > base;
         row = TAILQ_PREV(row, status_rows, link))
        first = row;
    return first;
}

void status_list_changes(const struct status_list *list, uint64_t base,
                         struct region_status regions[STATUS_REGIONS_MAX],
                         struct status_changes *ret)
{
    const struct status_row *row = first_behind(list, base);

    *ret = (struct status_changes){.list = list->id,
                                   .base = base,
                                   .change = list->change,
                                   .regions = regions};
    for (; row != NULL && ret->region_count < STATUS_REGIONS_MAX;
         row = TAILQ_NEXT(row, link)) {
        regions[ret->region_count++] = row->status;
        ret->change = row->change;
    }
}

void status_list_follow(struct status_list *list,
                        const struct status_changes *changes)
{
    if (changes->list != list->id && changes->base != 0)
        return; /* All of it comes before long. */
    if (changes->list != list->id)
        begin_anew(list, changes->list);
    if (changes->base > list->change || changes->change <= list->change)
        return;
    for (size_t i = 0; i < changes->region_count; i++)
        status_list_put(list, &changes->regions[i]);
    list->change = changes->change;
}
