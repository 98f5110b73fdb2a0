/* SPDX-License-Identifier: Apache-2.0 */

/* A region's state as payloads and back: ranges, pairs, reader, writer; what
 * the last two refuse is in test_snapshot_refused.c. */

#include "snapshot_data_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { CHUNKY_COUNT = 60 };

static void put_records(struct kv *kv, const struct region *region,
                        uint64_t index)
{
    struct marker marker = {.index = index, .term = MARKER_TERM};
    struct buf *bytes = region_encode(region);
    uint8_t marker_bytes[MARKER_SIZE_MAX];
    size_t size = marker_encode(&marker, marker_bytes);

    put_record(kv, key_region(region->id), buf_slice(bytes));
    put_record(kv, key_marker(region->id), (struct slice){marker_bytes, size});
    buf_unref(bytes);
}

/* The keys around all bounds; `in`: those of the region, else the others. */
static void put_neighbourhood(struct kv *kv, bool in, const char *text)
{
    static const struct {
        const char *class;
        uint64_t nsid;
        const char *name;
        bool in;
    } rows[] = {
        {"dnx", 1, "z", false},  {"dnx", 2, "c", false},
        {"dnx", 2, "d", true},   {"dnx", 2, "da", true},
        {"dnx", 5, "e", true},   {"dnx", 9, "lz", true},
        {"dnx", 9, "m", false},  {"dnx", 9, "ma", false},
        {"dnx", 10, "a", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (const char *class = rows[i].class; *class != '\0'; class ++)
            if (rows[i].in == in)
                put_record(
                    kv, key_user(*class, rows[i].nsid, slice_of(rows[i].name)),
                    slice_of(text));
    put_record(kv, key_sender(in ? 1 : 0, 3), slice_of(text));
    put_record(kv, key_result(in ? 1 : 2, 3, 4), slice_of(text));
    if (!in) {
        put_record(kv, key_directory(1), slice_of(text));
        put_record(kv, key_region(0), slice_of(text));
        put_record(kv, key_region(2), slice_of(text));
        put_record(kv, key_marker(0), slice_of(text));
        put_record(kv, key_marker(2), slice_of(text));
    }
}

/* ---- ranges ---- */

static void assert_ascending(const struct region *region)
{
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t count = snapshot_ranges(region, ranges);

    assert_in_range(count, 1, SNAPSHOT_RANGES_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_true(slice_compare(key_slice(&ranges[i].begin),
                                  key_slice(&ranges[i].end)) < 0);
        if (i > 0)
            assert_true(slice_compare(key_slice(&ranges[i - 1].end),
                                      key_slice(&ranges[i].begin)) <= 0);
    }
}

static bool has_key(const struct region *region, struct key key)
{
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t count = snapshot_ranges(region, ranges);

    for (size_t i = 0; i < count; i++)
        if (slice_compare(key_slice(&ranges[i].begin), key_slice(&key)) <= 0 &&
            slice_compare(key_slice(&key), key_slice(&ranges[i].end)) < 0)
            return true;
    return false;
}

static void test_ranges_ascend_and_do_not_overlap(void **state)
{
    struct region whole = {.id = 1};
    struct region placement = {.id = REGION_PLACEMENT};
    struct region last = {.id = UINT64_MAX, .start = region_data.start};

    (void)state;
    assert_ascending(&region_data);
    assert_ascending(&whole);
    assert_ascending(&placement);
    assert_ascending(&last);
}

static void test_the_placement_region_has_the_catalog_and_its_own(void **state)
{
    struct region placement = {.id = REGION_PLACEMENT};

    (void)state;
    assert_true(has_key(&placement, key_directory(UINT64_MAX)));
    assert_true(has_key(&placement, key_id_allocator()));
    assert_true(has_key(&placement, key_decision(1, 2, 3)));
    assert_true(has_key(&placement, key_region(0)));
    assert_true(has_key(&placement, key_marker(0)));
    assert_true(has_key(&placement, key_result(0, UINT64_MAX, UINT64_MAX)));
    assert_false(has_key(&placement, key_region(1)));
    assert_false(has_key(&placement, key_sender(1, 0)));
    assert_false(has_key(&placement, key_user('d', 1, slice_of("a"))));
}

static void test_an_unbounded_region_has_all_user_keys(void **state)
{
    struct region whole = {.id = 1};

    (void)state;
    assert_true(has_key(&whole, key_user('d', 0, slice_of("a"))));
    assert_true(has_key(&whole, key_chunk(UINT64_MAX, slice_of("\xff"), 9)));
    assert_true(has_key(&whole, key_user('n', 1, slice_of(""))));
    assert_true(has_key(&whole, key_user('x', UINT64_MAX, slice_of("a"))));
    assert_false(has_key(&whole, key_directory(1)));
    assert_false(has_key(&whole, key_marker(0)));
}

static bool overlap(struct region a, struct region b)
{
    bool overlaps = snapshot_overlaps(&a, &b);

    assert_int_equal(snapshot_overlaps(&b, &a), overlaps);
    return overlaps;
}

static struct region range(uint64_t id, const char *start, const char *end)
{
    return (struct region){
        .id = id, .start = slice_of(start), .end = slice_of(end)};
}

static void test_regions_overlap_when_a_key_is_in_both(void **state)
{
    struct region middle = range(2, "f", "m");

    (void)state;
    assert_true(overlap(middle, range(3, "", "")));
    assert_true(overlap(middle, range(3, "g", "h")));
    assert_true(overlap(middle, range(3, "f", "m")));
    assert_true(overlap(middle, range(3, "", "fa")));
    assert_true(overlap(middle, range(3, "lz", "")));
    assert_false(overlap(middle, range(3, "", "f")));
    assert_false(overlap(middle, range(3, "m", "")));
    assert_false(overlap(middle, range(3, "a", "b")));
    assert_false(overlap(middle, range(2, "g", "h")));
    assert_false(overlap(middle, range(REGION_PLACEMENT, "", "")));
}

/* ---- pairs ---- */

static void test_a_pair_cut_short_anywhere_is_refused(void **state)
{
    const uint8_t bytes[] = {0, 0, 0, 2, 0, 0, 0, 3, 'k', 'y', 'v', 'a', 'l'};
    struct slice rest = {bytes, sizeof bytes};
    struct slice key;
    struct slice value;

    (void)state;
    assert_int_equal(snapshot_pair_next(&rest, &key, &value), 0);
    assert_true(slice_equal(key, slice_of("ky")));
    assert_true(slice_equal(value, slice_of("val")));
    assert_int_equal(rest.size, 0);
    for (size_t size = 1; size < sizeof bytes; size++) {
        uint8_t *copy = malloc(size); /* For the sanitizer's sake. */

        assert_non_null(copy);
        memcpy(copy, bytes, size);
        rest = (struct slice){copy, size};
        assert_int_equal(snapshot_pair_next(&rest, &key, &value), ERR_PROTOCOL);
        assert_int_equal(rest.size, size);
        free(copy);
    }
}

static void test_absurd_sizes_are_refused(void **state)
{
    static const uint8_t rows[][10] = {
        {0, 0, 0, 0, 0, 0, 0, 1, 'v', 'v'},
        {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 'k', 'v'},
        {0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 'k', 'v'},
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'k', 'v'},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct slice rest = {rows[i], sizeof rows[i]};
        struct slice key;
        struct slice value;

        assert_int_equal(snapshot_pair_next(&rest, &key, &value), ERR_PROTOCOL);
    }
}

/* ---- reader to writer ---- */

/* Returns how many payloads it took; the ingest is finished. */
static size_t copy(struct fixture *f)
{
    struct snapshot_reader *reader = NULL;
    struct snapshot_writer *writer = NULL;
    struct kv_ingest *ingest;
    bool last = false;
    size_t count = 0;

    assert_int_equal(snapshot_reader_open(&reader, f->from, 1), 0);
    assert_int_equal(snapshot_reader_marker(reader)->index, MARKER_INDEX);
    assert_int_equal(snapshot_writer_open(&writer, f->to,
                                          snapshot_reader_region(reader),
                                          MARKER_INDEX, MARKER_TERM, NULL),
                     0);
    for (; !last; count++) {
        struct buf *payload = NULL;
        struct slice bytes;

        assert_int_equal(snapshot_reader_next(reader, &payload, &last), 0);
        assert_true(last || payload->size >= SNAPSHOT_CHUNK_BYTES);
        assert_in_range(payload->size, 1, SNAPSHOT_PAYLOAD_BYTES_MAX);
        bytes = buf_slice(payload);
        assert_int_equal(
            snapshot_writer_put(writer, bytes, snapshot_checksum(bytes), NULL),
            0);
        buf_unref(payload);
    }
    assert_int_equal(snapshot_writer_finish(writer, NULL), 0);
    ingest = snapshot_writer_take(writer);
    assert_int_equal(kv_ingest_finish(ingest, NULL), 0);
    kv_ingest_free(ingest);
    snapshot_writer_free(writer);
    snapshot_reader_free(reader);
    return count;
}

static struct kv_iter *iterate(struct kv *kv)
{
    struct slice first = {"\0", 1};
    struct kv_iter *iter =
        kv_iter_new(kv, NULL, first, (struct slice){NULL, 0});

    kv_iter_seek(iter, first);
    return iter;
}

static void assert_same_content(struct kv *a, struct kv *b)
{
    struct kv_iter *ia = iterate(a);
    struct kv_iter *ib = iterate(b);

    while (kv_iter_valid(ia) && kv_iter_valid(ib)) {
        assert_true(slice_equal(kv_iter_key(ia), kv_iter_key(ib)));
        assert_true(slice_equal(kv_iter_value(ia), kv_iter_value(ib)));
        kv_iter_next(ia);
        kv_iter_next(ib);
    }
    assert_false(kv_iter_valid(ia));
    assert_false(kv_iter_valid(ib));
    kv_iter_free(ia);
    kv_iter_free(ib);
}

/* What `to` has of the region is replaced, and nothing beside it is touched. */
static void test_a_copy_replaces_the_region_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct kv *expected = kv_mem_new();

    put_neighbourhood(f->from, true, "new");
    put_neighbourhood(f->from, false, "the sender's");
    put_records(f->from, &region_data, MARKER_INDEX);
    put_neighbourhood(f->to, true, "old");
    put_neighbourhood(f->to, false, "the receiver's");
    put_record(f->to, key_user('d', 7, slice_of("gone")), slice_of("old"));
    put_record(f->to, key_sender(1, 77), slice_of("old"));
    put_records(f->to, &region_data, 1);
    assert_int_equal(copy(f), 1);

    put_neighbourhood(expected, true, "new");
    put_neighbourhood(expected, false, "the receiver's");
    put_records(expected, &region_data, MARKER_INDEX);
    assert_same_content(f->to, expected);
    kv_close(expected);
}

static void test_large_content_is_cut_into_chunks(void **state)
{
    struct fixture *f = *state;
    struct slice value = {mem_zalloc(CHUNK_SIZE), CHUNK_SIZE};

    put_records(f->from, &region_data, MARKER_INDEX);
    for (uint32_t i = 0; i < CHUNKY_COUNT; i++)
        put_record(f->from, key_chunk(5, slice_of("file"), i), value);
    free((void *)(uintptr_t)value.data);
    assert_int_equal(copy(f), 1 + (uint64_t)CHUNKY_COUNT * CHUNK_SIZE /
                                      (SNAPSHOT_CHUNK_BYTES + CHUNK_SIZE));
    assert_same_content(f->from, f->to);
}

static void test_what_comes_later_is_not_in_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct snapshot_reader *reader = NULL;
    struct key late = key_user('d', 5, slice_of("late"));
    struct buf *payload = NULL;
    struct slice rest;
    bool last = false;

    put_records(f->from, &region_data, MARKER_INDEX);
    assert_int_equal(snapshot_reader_open(&reader, f->from, 1), 0);
    put_record(f->from, late, slice_of("v"));
    assert_int_equal(snapshot_reader_next(reader, &payload, &last), 0);
    assert_true(last);
    rest = buf_slice(payload);
    while (rest.size > 0) {
        struct slice key;
        struct slice value;

        assert_int_equal(snapshot_pair_next(&rest, &key, &value), 0);
        assert_false(slice_equal(key, key_slice(&late)));
    }
    buf_unref(payload);
    snapshot_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_ranges_ascend_and_do_not_overlap),
        T(test_regions_overlap_when_a_key_is_in_both),
        T(test_the_placement_region_has_the_catalog_and_its_own),
        T(test_an_unbounded_region_has_all_user_keys),
        T(test_a_pair_cut_short_anywhere_is_refused),
        T(test_absurd_sizes_are_refused),
        T(test_a_copy_replaces_the_region_and_nothing_else),
        T(test_large_content_is_cut_into_chunks),
        T(test_what_comes_later_is_not_in_a_snapshot),
    };

    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
