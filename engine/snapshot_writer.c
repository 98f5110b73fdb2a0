/* SPDX-License-Identifier: Apache-2.0 */

/* Collects a snapshot's payloads in an ingest: rule 3 of snapshot_data.h. */

#include "engine/snapshot_data.h"

#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

struct snapshot_writer {
    struct kv_ingest *ingest;
    uint64_t region;
    uint64_t index;
    uint64_t term;
    struct buf *descriptor; /* encoded */
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t range_count;
    size_t declared_count; /* of the ranges, to the ingest */
    struct key last;       /* size 0: nothing was put yet */
    bool has_marker;
    bool has_descriptor;
};

int snapshot_writer_open(struct snapshot_writer **ret, struct kv *state,
                         const struct region *region, uint64_t index,
                         uint64_t term, struct err *e)
{
    struct kv_ingest *ingest = NULL;
    struct snapshot_writer *writer;
    int rc;

    if (!snapshot_bounds_valid(region))
        return err_set(e, ERR_INVALID, "impossible bounds");
    rc = kv_ingest_new(state, &ingest, e);
    if (rc != 0)
        return rc;
    writer = mem_zalloc(sizeof *writer);
    writer->ingest = ingest;
    writer->region = region->id;
    writer->index = index;
    writer->term = term;
    writer->descriptor = region_encode(region);
    writer->range_count = snapshot_ranges(region, writer->ranges);
    *ret = writer;
    return 0;
}

void snapshot_writer_free(struct snapshot_writer *writer)
{
    if (writer == NULL)
        return;
    kv_ingest_free(writer->ingest);
    buf_unref(writer->descriptor);
    free(writer);
}

static int declare_next(struct snapshot_writer *writer, struct err *e)
{
    const struct key_range *range = &writer->ranges[writer->declared_count++];

    return kv_ingest_replace_range(writer->ingest, key_slice(&range->begin),
                                   key_slice(&range->end), e);
}

static bool is_behind_declared(const struct snapshot_writer *writer,
                               struct slice key)
{
    const struct key_range *range;

    if (writer->declared_count == 0)
        return true;
    range = &writer->ranges[writer->declared_count - 1];
    return slice_compare(key, key_slice(&range->end)) >= 0;
}

/* Declares ranges up to the one that the key is in. */
static int enter_range(struct snapshot_writer *writer, struct slice key,
                       struct err *e)
{
    const struct key_range *range;

    while (is_behind_declared(writer, key)) {
        int rc;

        if (writer->declared_count == writer->range_count)
            return err_set(e, ERR_PROTOCOL, "a key behind all ranges");
        rc = declare_next(writer, e);
        if (rc != 0)
            return rc;
    }
    range = &writer->ranges[writer->declared_count - 1];
    if (slice_compare(key, key_slice(&range->begin)) < 0)
        return err_set(e, ERR_PROTOCOL, "a key outside of the ranges");
    return 0;
}

static bool marker_fits(const struct snapshot_writer *writer,
                        struct slice value)
{
    struct marker marker;

    return marker_decode(&marker, value) == 0 &&
           marker.index == writer->index && marker.term == writer->term;
}

static bool descriptor_fits(const struct snapshot_writer *writer,
                            struct slice value)
{
    struct region region = {0};
    struct buf *bytes;
    bool fits;

    if (region_decode(&region, value) != 0)
        return false;
    bytes = region_encode(&region);
    fits = slice_equal(buf_slice(bytes), buf_slice(writer->descriptor));
    buf_unref(bytes);
    region_release(&region);
    return fits;
}

/* The two records that decide whether the peer can live with the rest. */
static int check_record(struct snapshot_writer *writer, struct slice key,
                        struct slice value, struct err *e)
{
    struct key marker_key = key_marker(writer->region);
    struct key region_key = key_region(writer->region);

    if (slice_equal(key, key_slice(&marker_key))) {
        writer->has_marker = true;
        if (!marker_fits(writer, value))
            return err_set(e, ERR_PROTOCOL, "another marker than announced");
    } else if (slice_equal(key, key_slice(&region_key))) {
        writer->has_descriptor = true;
        if (!descriptor_fits(writer, value))
            return err_set(e, ERR_PROTOCOL,
                           "another descriptor than announced");
    }
    return 0;
}

static int put_pair(struct snapshot_writer *writer, struct slice key,
                    struct slice value, struct err *e)
{
    int rc;

    if (writer->last.size > 0 &&
        slice_compare(key_slice(&writer->last), key) >= 0)
        return err_set(e, ERR_PROTOCOL, "keys out of order");
    rc = enter_range(writer, key, e);
    if (rc == 0)
        rc = check_record(writer, key, value, e);
    if (rc == 0)
        rc = kv_ingest_put(writer->ingest, key, value, e);
    if (rc != 0)
        return rc;
    memcpy(writer->last.data, key.data, key.size);
    writer->last.size = key.size;
    return 0;
}

int snapshot_writer_put(struct snapshot_writer *writer, struct slice payload,
                        uint64_t checksum, struct err *e)
{
    if (snapshot_checksum(payload) != checksum)
        return err_set(e, ERR_CORRUPT, "a chunk failed its checksum");
    while (payload.size > 0) {
        struct slice key;
        struct slice value;
        int rc = snapshot_pair_next(&payload, &key, &value);

        if (rc != 0)
            return err_set(e, rc, "a malformed pair");
        rc = put_pair(writer, key, value, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int snapshot_writer_finish(struct snapshot_writer *writer, struct err *e)
{
    if (!writer->has_marker || !writer->has_descriptor)
        return err_set(e, ERR_PROTOCOL, "marker or descriptor is missing");
    while (writer->declared_count < writer->range_count) {
        int rc = declare_next(writer, e);

        if (rc != 0)
            return rc;
    }
    return 0;
}

struct kv_ingest *snapshot_writer_take(struct snapshot_writer *writer)
{
    struct kv_ingest *ingest = writer->ingest;

    writer->ingest = NULL;
    return ingest;
}
