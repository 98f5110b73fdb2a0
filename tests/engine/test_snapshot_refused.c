/* SPDX-License-Identifier: Apache-2.0 */

/* Which region a snapshot's reader refuses, and which payloads its writer
 * does. */

#include "snapshot_data_fixture.h"

#include <string.h>

static void test_a_region_that_is_not_there_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct snapshot_reader *reader = NULL;

    assert_int_equal(snapshot_reader_open(&reader, f->from, 1), ERR_NOT_FOUND);
    assert_null(reader);
}

static size_t add_pair(uint8_t *to, struct key key, struct slice value)
{
    be32_put(to, (uint32_t)key.size);
    be32_put(to + 4, (uint32_t)value.size);
    memcpy(to + 8, key.data, key.size);
    memcpy(to + 8 + key.size, value.data, value.size);
    return 8 + key.size + value.size;
}

/* Feeds one payload with both keys to a writer; returns its answer. */
static int put_two(struct fixture *f, struct key a, struct key b)
{
    struct snapshot_writer *writer = NULL;
    uint8_t bytes[1024];
    struct slice payload = {bytes, 0};
    int rc;

    assert_int_equal(snapshot_writer_open(&writer, f->to, &region_data,
                                          MARKER_INDEX, MARKER_TERM, NULL),
                     0);
    payload.size = add_pair(bytes, a, slice_of("v"));
    payload.size += add_pair(bytes + payload.size, b, slice_of("v"));
    rc = snapshot_writer_put(writer, payload, snapshot_checksum(payload), NULL);
    if (rc == 0) /* But marker and descriptor did not come. */
        assert_int_equal(snapshot_writer_finish(writer, NULL), ERR_PROTOCOL);
    snapshot_writer_free(writer);
    return rc;
}

static void test_only_keys_of_the_region_in_order_are_taken(void **state)
{
    struct fixture *f = *state;
    struct key low = key_user('d', 5, slice_of("a"));
    struct key high = key_user('d', 5, slice_of("b"));

    assert_int_equal(put_two(f, low, high), 0);
    assert_int_equal(put_two(f, high, low), ERR_PROTOCOL);
    assert_int_equal(put_two(f, low, low), ERR_PROTOCOL);
    assert_int_equal(put_two(f, low, key_user('d', 9, slice_of("m"))),
                     ERR_PROTOCOL);
    assert_int_equal(put_two(f, key_user('d', 1, slice_of("a")), low),
                     ERR_PROTOCOL);
    assert_int_equal(put_two(f, low, key_sender(2, 1)), ERR_PROTOCOL);
    assert_int_equal(put_two(f, low, key_region(0)), ERR_PROTOCOL);
    assert_int_equal(put_two(f, low, key_user('x', 10, slice_of("a"))),
                     ERR_PROTOCOL);
    assert_int_equal(put_two(f, low, key_marker(1)), ERR_PROTOCOL);
    assert_int_equal(put_two(f, low, key_region(1)), ERR_PROTOCOL);
}

/* Whether a snapshot that has only this one record could be finished. */
static int finish_with(struct fixture *f, struct key key, struct slice value)
{
    struct snapshot_writer *writer = NULL;
    uint8_t bytes[1024];
    struct slice payload = {bytes, add_pair(bytes, key, value)};
    int rc;

    assert_int_equal(snapshot_writer_open(&writer, f->to, &region_data,
                                          MARKER_INDEX, MARKER_TERM, NULL),
                     0);
    assert_int_equal(
        snapshot_writer_put(writer, payload, snapshot_checksum(payload), NULL),
        0);
    rc = snapshot_writer_finish(writer, NULL);
    snapshot_writer_free(writer);
    return rc;
}

static void test_marker_and_descriptor_must_both_come(void **state)
{
    struct fixture *f = *state;
    struct marker marker = {.index = MARKER_INDEX, .term = MARKER_TERM};
    uint8_t small[MARKER_SIZE_MAX];
    size_t size = marker_encode(&marker, small);
    struct buf *descriptor = region_encode(&region_data);

    assert_int_equal(finish_with(f, key_marker(1), (struct slice){small, size}),
                     ERR_PROTOCOL);
    assert_int_equal(finish_with(f, key_region(1), buf_slice(descriptor)),
                     ERR_PROTOCOL);
    buf_unref(descriptor);
}

static void test_a_damaged_payload_is_refused(void **state)
{
    struct fixture *f = *state;
    struct snapshot_writer *writer = NULL;
    uint8_t bytes[64];
    struct slice payload = {bytes, 0};
    uint64_t checksum;

    payload.size =
        add_pair(bytes, key_user('d', 5, slice_of("a")), slice_of("value"));
    checksum = snapshot_checksum(payload);
    bytes[payload.size - 1] ^= 1;
    assert_int_equal(snapshot_writer_open(&writer, f->to, &region_data,
                                          MARKER_INDEX, MARKER_TERM, NULL),
                     0);
    assert_int_equal(snapshot_writer_put(writer, payload, checksum, NULL),
                     ERR_CORRUPT);
    snapshot_writer_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_region_that_is_not_there_cannot_be_read),
        T(test_only_keys_of_the_region_in_order_are_taken),
        T(test_marker_and_descriptor_must_both_come),
        T(test_a_damaged_payload_is_refused),
    };

    return cmocka_run_group_tests_name("snapshot refused", tests, NULL, NULL);
}
