/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/snapshot_data.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/range.h"
#include "engine/region_state.h"
#include "raft/base/mem.h"

/* ---- ranges ---- */

static struct key class_key(int class, struct slice user_key)
{
    struct key key;

    assert(user_key.size < KEY_SIZE_MAX);

    key.data[0] = (uint8_t) class;
    if (user_key.size > 0)
        memcpy(key.data + 1, user_key.data, user_key.size);
    key.size = 1 + user_key.size;
    return key;
}

static struct slice no_key(void)
{
    return (struct slice){NULL, 0};
}

static struct key_range whole_class(int class)
{
    return (struct key_range){class_key(class, no_key()),
                              class_key(class + 1, no_key())};
}

struct key_range snapshot_class_range(int class, const struct region *region)
{
    struct key_range range = whole_class(class);

    range.begin = class_key(class, region->start);
    if (region->end.size > 0)
        range.end = class_key(class, region->end);
    return range;
}

/* The region's own keys of a class that is sorted by region. */
static struct key_range own_range(int class, uint64_t region)
{
    struct key_range range = whole_class(class);
    uint8_t number[8];

    be64_put(number, region);
    range.begin = class_key(class, (struct slice){number, sizeof number});
    if (region == UINT64_MAX)
        return range;
    be64_put(number, region + 1);
    range.end = class_key(class, (struct slice){number, sizeof number});
    return range;
}

size_t snapshot_own_ranges(const struct region *region,
                           struct key_range ranges[SNAPSHOT_RANGES_MAX])
{
    static const char classes[] = {'m', 'r', 's'};

    for (size_t i = 0; i < sizeof classes; i++)
        ranges[i] = own_range(classes[i], region->id);
    return sizeof classes;
}

size_t snapshot_ranges(const struct region *region,
                       struct key_range ranges[SNAPSHOT_RANGES_MAX])
{
    bool is_placement = region->id == REGION_PLACEMENT;
    size_t count = 0;

    if (is_placement)
        ranges[count++] = whole_class('c');
    else
        ranges[count++] = snapshot_class_range('d', region);
    ranges[count++] = own_range('m', region->id);
    if (!is_placement)
        ranges[count++] = snapshot_class_range('n', region);
    ranges[count++] = own_range('r', region->id);
    ranges[count++] = own_range('s', region->id);
    if (!is_placement)
        ranges[count++] = snapshot_class_range('x', region);
    assert(count <= SNAPSHOT_RANGES_MAX);
    return count;
}

static struct key least(struct key a, struct key b)
{
    return slice_compare(key_slice(&a), key_slice(&b)) < 0 ? a : b;
}

static struct key greatest(struct key a, struct key b)
{
    return slice_compare(key_slice(&a), key_slice(&b)) > 0 ? a : b;
}

static size_t add_range(struct key_range *to, struct key begin, struct key end)
{
    if (slice_compare(key_slice(&begin), key_slice(&end)) >= 0)
        return 0;
    *to = (struct key_range){begin, end};
    return 1;
}

size_t snapshot_leftovers(const struct region *old, const struct region *fresh,
                          struct key_range ranges[SNAPSHOT_LEFTOVERS_MAX])
{
    struct key_range had[SNAPSHOT_RANGES_MAX];
    struct key_range has[SNAPSHOT_RANGES_MAX];
    size_t range_count = snapshot_ranges(old, had);
    size_t count = 0;

    assert(old->id == fresh->id);

    (void)snapshot_ranges(fresh, has); /* As many, of the same classes. */
    for (size_t i = 0; i < range_count; i++) {
        count += add_range(&ranges[count], had[i].begin,
                           least(had[i].end, has[i].begin));
        count += add_range(&ranges[count], greatest(had[i].begin, has[i].end),
                           had[i].end);
    }
    return count;
}

bool snapshot_overlaps(const struct region *a, const struct region *b)
{
    if (a->id == b->id || a->id == REGION_PLACEMENT ||
        b->id == REGION_PLACEMENT)
        return false;
    return range_overlaps((struct range){a->start, a->end},
                          (struct range){b->start, b->end});
}

bool snapshot_bounds_valid(const struct region *region)
{
    return region->start.size < KEY_SIZE_MAX &&
           region->end.size < KEY_SIZE_MAX &&
           (region->end.size == 0 ||
            slice_compare(region->start, region->end) < 0);
}

/* ---- pairs ---- */

static bool sizes_valid(size_t key_size, size_t value_size)
{
    return key_size > 0 && key_size <= sizeof(((struct key *)0)->data) &&
           value_size <= SNAPSHOT_VALUE_BYTES_MAX;
}

int snapshot_pair_next(struct slice *rest, struct slice *ret_key,
                       struct slice *ret_value)
{
    const uint8_t *from = rest->data;
    size_t key_size;
    size_t value_size;
    size_t size;

    assert(rest->size > 0);

    if (rest->size < SNAPSHOT_PAIR_HEADER_SIZE)
        return ERR_PROTOCOL;
    key_size = be32_get(from);
    value_size = be32_get(from + 4);
    if (!sizes_valid(key_size, value_size))
        return ERR_PROTOCOL;
    size = SNAPSHOT_PAIR_HEADER_SIZE + key_size + value_size;
    if (size > rest->size)
        return ERR_PROTOCOL;

    from += SNAPSHOT_PAIR_HEADER_SIZE;
    *ret_key = (struct slice){from, key_size};
    *ret_value = (struct slice){from + key_size, value_size};
    *rest = (struct slice){from + key_size + value_size, rest->size - size};
    return 0;
}

uint64_t snapshot_checksum(struct slice payload)
{
    return XXH3_64bits(payload.data, payload.size);
}

/* ---- reader ---- */

struct snapshot_reader {
    struct kv *state;
    struct kv_snapshot *snapshot;
    struct marker marker;
    struct region region;
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t range_count;
    size_t range_next;    /* the first without an iterator yet */
    struct kv_iter *iter; /* at the next pair; NULL: before the first range or
                           * behind the last */
};

static int read_region(struct snapshot_reader *reader, uint64_t region)
{
    int rc = region_state_descriptor(reader->state, reader->snapshot, region,
                                     &reader->region);

    if (rc != 0)
        return rc;
    if (!snapshot_bounds_valid(&reader->region))
        return ERR_CORRUPT;
    reader->range_count = snapshot_ranges(&reader->region, reader->ranges);
    return 0;
}

int snapshot_reader_open(struct snapshot_reader **ret, struct kv *state,
                         uint64_t region)
{
    struct snapshot_reader *reader = mem_zalloc(sizeof *reader);
    int rc;

    reader->state = state;
    reader->snapshot = kv_snapshot_new(state);
    rc = region_state_marker(reader->state, reader->snapshot, region,
                             &reader->marker);
    if (rc == 0)
        rc = read_region(reader, region);
    if (rc != 0) {
        snapshot_reader_free(reader);
        return rc;
    }
    *ret = reader;
    return 0;
}

void snapshot_reader_free(struct snapshot_reader *reader)
{
    if (reader == NULL)
        return;
    kv_iter_free(reader->iter);
    kv_snapshot_free(reader->snapshot);
    region_release(&reader->region);
    free(reader);
}

const struct region *
snapshot_reader_region(const struct snapshot_reader *reader)
{
    return &reader->region;
}

const struct marker *
snapshot_reader_marker(const struct snapshot_reader *reader)
{
    return &reader->marker;
}

static void open_range(struct snapshot_reader *reader)
{
    const struct key_range *range = &reader->ranges[reader->range_next++];

    reader->iter =
        kv_iter_new(reader->state, reader->snapshot, key_slice(&range->begin),
                    key_slice(&range->end));
    kv_iter_seek(reader->iter, key_slice(&range->begin));
}

static int close_range(struct snapshot_reader *reader)
{
    int rc = kv_iter_status(reader->iter, NULL);

    kv_iter_free(reader->iter);
    reader->iter = NULL;
    return rc;
}

/* Goes on to the range that has the next pair. */
static int find_pair(struct snapshot_reader *reader)
{
    int rc = 0;

    while (rc == 0) {
        if (reader->iter != NULL && kv_iter_valid(reader->iter))
            return 0;
        if (reader->iter != NULL)
            rc = close_range(reader);
        else if (reader->range_next == reader->range_count)
            return 0;
        else
            open_range(reader);
    }
    return rc;
}

static int add_pair(const struct snapshot_reader *reader, struct buf *payload,
                    size_t *size)
{
    struct slice key = kv_iter_key(reader->iter);
    struct slice value = kv_iter_value(reader->iter);
    uint8_t *to = payload->data + *size;

    if (!sizes_valid(key.size, value.size))
        return ERR_TOO_LARGE;
    be32_put(to, (uint32_t)key.size);
    be32_put(to + 4, (uint32_t)value.size);
    to += SNAPSHOT_PAIR_HEADER_SIZE;
    memcpy(to, key.data, key.size);
    if (value.size > 0)
        memcpy(to + key.size, value.data, value.size);
    *size += SNAPSHOT_PAIR_HEADER_SIZE + key.size + value.size;
    return 0;
}

int snapshot_reader_next(struct snapshot_reader *reader,
                         struct buf **ret_payload, bool *ret_last)
{
    struct buf *payload = buf_new(SNAPSHOT_PAYLOAD_BYTES_MAX);
    size_t size = 0;
    int rc;

    if (payload == NULL)
        return ERR_NO_MEMORY;
    rc = find_pair(reader);
    while (rc == 0 && reader->iter != NULL && size < SNAPSHOT_CHUNK_BYTES) {
        rc = add_pair(reader, payload, &size);
        if (rc != 0)
            break;
        kv_iter_next(reader->iter);
        rc = find_pair(reader);
    }
    if (rc != 0) {
        buf_unref(payload);
        return rc;
    }
    payload->size = size;
    *ret_payload = payload;
    *ret_last = reader->iter == NULL;
    return 0;
}
