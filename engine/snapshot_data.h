/* SPDX-License-Identifier: Apache-2.0 */

/* A region's state as the bytes of a snapshot stream, without the stream: the
 * reader cuts one moment of state/ into payloads, the writer checks payloads
 * and collects them in an ingest. snapshot.h says what a payload looks like.
 *
 * 1. Reader and writer derive the same ranges from the same descriptor.
 * 2. A payload holds whole pairs and is closed as soon as it has reached
 *    SNAPSHOT_CHUNK_BYTES; only the last one may be smaller.
 * 3. The writer lets nothing into the ingest but keys of the region's ranges,
 *    in ascending order; a stream that does not bring the descriptor and the
 *    marker that were announced is refused.
 *
 * Opening a reader reads two small records; everything else may block on the
 * disk and belongs on ENV_BULK. One thread at a time. */

#ifndef GROVEFS_ENGINE_SNAPSHOT_DATA_H
#define GROVEFS_ENGINE_SNAPSHOT_DATA_H

#include "engine/record.h"
#include "engine/snapshot.h"

enum {
    SNAPSHOT_PAIR_HEADER_SIZE = 8,
    /* The largest are intents, with two entries in them. */
    SNAPSHOT_VALUE_BYTES_MAX = 512 * 1024,
    SNAPSHOT_PAIR_BYTES_MAX = SNAPSHOT_PAIR_HEADER_SIZE +
                              sizeof(((struct key *)0)->data) +
                              SNAPSHOT_VALUE_BYTES_MAX,
    SNAPSHOT_PAYLOAD_BYTES_MAX = SNAPSHOT_CHUNK_BYTES + SNAPSHOT_PAIR_BYTES_MAX
};

/* Takes the first pair off `rest`, from which key and value are borrowed.
 * ERR_PROTOCOL when it is cut short or out of bounds. `rest` is not empty. */
int snapshot_pair_next(struct slice *rest, struct slice *ret_key,
                       struct slice *ret_value);

/* What snapshot_ranges() relies on: bounds that fit into keys, in order. */
bool snapshot_bounds_valid(const struct region *region);

uint64_t snapshot_checksum(struct slice payload);

struct snapshot_reader;

/* Takes a view of this moment. ERR_NOT_FOUND: no such region; ERR_CORRUPT,
 * ERR_VERSION, ERR_IO. */
int snapshot_reader_open(struct snapshot_reader **ret, struct kv *state,
                         uint64_t region);
void snapshot_reader_free(struct snapshot_reader *reader); /* Takes NULL. */

/* As of the reader's moment. Any thread. */
const struct region *
snapshot_reader_region(const struct snapshot_reader *reader);
const struct marker *
snapshot_reader_marker(const struct snapshot_reader *reader);

/* The next payload, a new reference; not to be called after the last one.
 * ERR_CORRUPT, ERR_IO, ERR_TOO_LARGE, ERR_NO_MEMORY. */
int snapshot_reader_next(struct snapshot_reader *reader,
                         struct buf **ret_payload, bool *ret_last);

struct snapshot_writer;

/* `index` and `term`: where the marker must stand. ERR_INVALID: impossible
 * bounds; else what kv_ingest_new() says. */
int snapshot_writer_open(struct snapshot_writer **ret, struct kv *state,
                         const struct region *region, uint64_t index,
                         uint64_t term, struct err *e);
/* With the ingest, unless that was taken. Takes NULL. */
void snapshot_writer_free(struct snapshot_writer *writer);

/* ERR_PROTOCOL: not what a reader would have made; ERR_CORRUPT: damaged on
 * the way; else what the ingest says. After an error only free it. */
int snapshot_writer_put(struct snapshot_writer *writer, struct slice payload,
                        uint64_t checksum, struct err *e);

/* After the last payload: the ingest is complete then. Errors as above. */
int snapshot_writer_finish(struct snapshot_writer *writer, struct err *e);

/* The caller owns the ingest then. */
struct kv_ingest *snapshot_writer_take(struct snapshot_writer *writer);

#endif
