/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/region_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/node.h"
#include "engine/range.h"

/* Sorted arrays of pointers: a region is looked up far more often than one
 * comes or goes. Region 0 has no range and is in `by_id` only. */
struct region_table {
    struct table_entry **by_id;
    size_t count;
    size_t count_max;
};

struct region_table *region_table_new(void)
{
    return mem_zalloc(sizeof(struct region_table));
}

static void entry_free(struct table_entry *entry)
{
    region_report_release(&entry->report);
    free(entry);
}

void region_table_free(struct region_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->count; i++)
        entry_free(table->by_id[i]);
    free(table->by_id);
    free(table);
}

/* ---- finding ---- */

/* The place of the first entry that is not below. */
static size_t place_of(const struct region_table *table, uint64_t region)
{
    size_t low = 0;
    size_t high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table->by_id[middle]->report.region.id < region)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct table_entry *at(const struct region_table *table, size_t place)
{
    return place < table->count ? table->by_id[place] : NULL;
}

struct table_entry *region_table_find(const struct region_table *table,
                                      uint64_t region)
{
    struct table_entry *entry = at(table, place_of(table, region));

    return entry != NULL && entry->report.region.id == region ? entry : NULL;
}

struct table_entry *region_table_first(const struct region_table *table)
{
    return at(table, 0);
}

struct table_entry *region_table_next(const struct region_table *table,
                                      const struct table_entry *entry)
{
    return at(table, place_of(table, entry->report.region.id) + 1);
}

size_t region_table_count(const struct region_table *table)
{
    return table->count;
}

/* ---- ranges ---- */

static bool overlap(const struct region *a, const struct region *b)
{
    return a->id != b->id && a->id != REGION_PLACEMENT &&
           b->id != REGION_PLACEMENT &&
           range_overlaps((struct range){a->start, a->end},
                          (struct range){b->start, b->end});
}

/* Rule 2: whether a report is older than what holds its range now. */
static bool is_overruled(const struct region_table *table,
                         const struct region *region)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct region *other = &table->by_id[i]->report.region;

        if (overlap(region, other) && other->version > region->version)
            return true;
    }
    return false;
}

static void drop_overlapped(struct region_table *table,
                            const struct region *region)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->count; i++) {
        struct table_entry *entry = table->by_id[i];

        if (overlap(region, &entry->report.region))
            entry_free(entry);
        else
            table->by_id[kept++] = entry;
    }
    table->count = kept;
}

static int compare_starts(const void *a, const void *b)
{
    const struct region *const *left = a;
    const struct region *const *right = b;

    return slice_compare((*left)->start, (*right)->start);
}

static bool covers_all(const struct region **regions, size_t count)
{
    struct slice end = {NULL, 0};

    if (count == 0 || regions[0]->start.size > 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (slice_compare(regions[i]->start, end) != 0)
            return false;
        end = regions[i]->end;
        if (end.size == 0 && i + 1 < count)
            return false;
    }
    return end.size == 0;
}

bool region_table_is_whole(const struct region_table *table)
{
    const struct region **regions =
        mem_zalloc((table->count + 1) * sizeof *regions);
    size_t count = 0;
    bool whole;

    for (size_t i = 0; i < table->count; i++)
        if (table->by_id[i]->report.region.id != REGION_PLACEMENT)
            regions[count++] = &table->by_id[i]->report.region;
    qsort(regions, count, sizeof *regions, compare_starts);
    whole = covers_all(regions, count);
    free(regions);
    return whole;
}

void region_table_check(const struct region_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        for (size_t j = 0; j < i; j++)
            assert(!overlap(&table->by_id[i]->report.region,
                            &table->by_id[j]->report.region));
}

/* ---- taking ---- */

/* Rule 1. */
static bool is_newer(const struct region_report *report,
                     const struct region_report *known)
{
    if (report->region.version != known->region.version)
        return report->region.version > known->region.version;
    if (report->region.conf_ver != known->region.conf_ver)
        return report->region.conf_ver > known->region.conf_ver;
    if (report->term != known->term)
        return report->term > known->term;
    return report->sequence > known->sequence;
}

static bool has_progressed(const struct region_report *report,
                           const struct region_report *known)
{
    if (report->region.conf_ver != known->region.conf_ver ||
        report->region.version != known->region.version ||
        report->term != known->term)
        return true;
    for (size_t i = 0; i < report->region.peer_count; i++)
        if (report->region.peers[i].role == PEER_LEARNER &&
            report->peers[i].match > known->peers[i].match)
            return true;
    return false;
}

static struct table_entry *insert(struct region_table *table, uint64_t region)
{
    size_t place = place_of(table, region);
    struct table_entry *entry = mem_zalloc(sizeof *entry);

    table->by_id = mem_grow(table->by_id, sizeof(struct table_entry *),
                            &table->count_max, table->count + 1);
    memmove(&table->by_id[place + 1], &table->by_id[place],
            (table->count - place) * sizeof *table->by_id);
    table->by_id[place] = entry;
    table->count++;
    return entry;
}

/* The entry for a report, with the room that it takes: only where a range is
 * new may it be that others overlap. NULL: it is out of date. */
static struct table_entry *make_room(struct region_table *table,
                                     const struct region_report *report)
{
    struct table_entry *entry = region_table_find(table, report->region.id);

    if (entry != NULL && !is_newer(report, &entry->report))
        return NULL;
    if (entry != NULL && entry->report.region.version == report->region.version)
        return entry;
    if (is_overruled(table, &report->region))
        return NULL;
    drop_overlapped(table, &report->region);
    entry = region_table_find(table, report->region.id);
    return entry != NULL ? entry : insert(table, report->region.id);
}

struct table_entry *region_table_take(struct region_table *table,
                                      uint64_t from_node,
                                      struct region_report *report,
                                      uint64_t now_ns)
{
    struct table_entry *entry = make_room(table, report);

    if (entry == NULL)
        return NULL;
    if (report->term != entry->report.term)
        entry->led_ns = now_ns;
    if (report->region.version != entry->report.region.version)
        entry->ranged_ns = now_ns;
    if (has_progressed(report, &entry->report))
        entry->progress_ns = now_ns;
    region_report_release(&entry->report);
    entry->report = *report;
    entry->leader_node = from_node;
    *report = (struct region_report){0};
    return entry;
}

/* ---- all of a node ---- */

void region_table_keep(struct region_table *table, uint64_t node,
                       uint64_t first)
{
    for (size_t i = 0; i < table->count; i++) {
        struct table_entry *entry = table->by_id[i];

        if (entry->leader_node == node && entry->report.sequence < first)
            entry->leader_node = 0;
    }
}

bool region_table_agrees(const struct region_table *table, uint64_t node,
                         const struct reported *reported)
{
    uint64_t count = 0;
    uint64_t digest = 0;

    for (size_t i = 0; i < table->count; i++) {
        const struct table_entry *entry = table->by_id[i];

        if (entry->leader_node != node)
            continue;
        count++;
        digest ^= entry->report.digest;
    }
    return count == reported->led_count && digest == reported->led_digest;
}
