/* SPDX-License-Identifier: Apache-2.0 */

/* Packets to bytes and back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/frame.h"
#include "raft/base/mem.h"

enum { BYTES_MAX = 64 * 1024, OFFSET_COUNT = 12 };

struct fixture {
    struct buf *buffers[FRAME_PAYLOADS_MAX + 1];
    struct env_packet packet; /* its payloads are in buffers[1..] */
    uint8_t bytes[BYTES_MAX]; /* of the encoded packet */
    size_t size;
    struct frame_decoder *decoder;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->decoder = frame_decoder_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(f->buffers); i++)
        buf_unref(f->buffers[i]);
    frame_decoder_free(f->decoder);
    free(f);
    return 0;
}

/* A packet of type 7 whose payloads have the sizes given. */
static void make_packet(struct fixture *f, size_t header_size,
                        const size_t *sizes, size_t count)
{
    f->buffers[0] = buf_new(header_size);
    memset(f->buffers[0]->data, 'h', header_size);
    for (size_t i = 0; i < count; i++) {
        f->buffers[i + 1] = buf_new(sizes[i]);
        memset(f->buffers[i + 1]->data, (int)('a' + i % 26), sizes[i]);
    }
    f->packet = (struct env_packet){
        .type = 7,
        .header = f->buffers[0],
        .payloads = &f->buffers[1],
        .payload_count = count,
    };
}

static void encode(struct fixture *f)
{
    struct frame *frame;

    assert_int_equal(frame_new(&frame, &f->packet, NULL), 0);
    f->size = 0;
    for (size_t i = 0; i < frame->vec_count; i++) {
        assert_true(f->size + frame->vecs[i].iov_len <= sizeof f->bytes);
        memcpy(f->bytes + f->size, frame->vecs[i].iov_base,
               frame->vecs[i].iov_len);
        f->size += frame->vecs[i].iov_len;
    }
    assert_int_equal(f->size, frame->size);
    frame_free(frame);
}

/* Header "hhh", payloads "aaaa", "" and "cc", encoded. */
static void encode_example(struct fixture *f)
{
    make_packet(f, 3, (const size_t[]){4, 0, 2}, 3);
    encode(f);
}

static int feed(struct fixture *f, size_t size, struct err *e)
{
    size_t used;

    return frame_decoder_feed(f->decoder, f->bytes, size, &used, e);
}

static void assert_example(const struct env_packet *packet)
{
    assert_non_null(packet);
    assert_int_equal(packet->type, 7);
    assert_int_equal(packet->header->size, 3);
    assert_memory_equal(packet->header->data, "hhh", 3);
    assert_int_equal(packet->payload_count, 3);
    assert_int_equal(packet->payloads[0]->size, 4);
    assert_memory_equal(packet->payloads[0]->data, "aaaa", 4);
    assert_int_equal(packet->payloads[1]->size, 0);
    assert_memory_equal(packet->payloads[2]->data, "cc", 2);
}

static void assert_refused(struct fixture *f, const char *reason)
{
    struct err e = ERR_INIT;

    assert_int_equal(feed(f, f->size, &e), ERR_PROTOCOL);
    assert_non_null(strstr(e.text, reason));
}

/* ---- Whole frames ---- */

static void test_a_packet_survives_the_wire(void **state)
{
    struct fixture *f = *state;

    encode_example(f);
    assert_int_equal(f->size, FRAME_PREFIX_SIZE + 3 * 4 + 3 + 6);

    assert_int_equal(feed(f, f->size, NULL), 0);
    assert_example(frame_decoder_packet(f->decoder));
}

/* The layout is a promise to other versions: it changes with FRAME_VERSION. */
static void test_the_bytes_stay_as_they_are(void **state)
{
    struct fixture *f = *state;
    static const uint8_t begin[] = {'G', 'R', 'V', 'F', 1, 0, 7, 0,
                                    3,   0,   0,   0,   3, 0, 0, 0};
    static const uint8_t end[] = {4,   0,   0,   0,   0,   0,   0,
                                  0,   2,   0,   0,   0,   'h', 'h',
                                  'h', 'a', 'a', 'a', 'a', 'c', 'c'};

    encode_example(f);

    assert_memory_equal(f->bytes, begin, sizeof begin);
    assert_memory_equal(f->bytes + FRAME_PREFIX_SIZE, end, sizeof end);
}

static void test_an_empty_packet_is_one(void **state)
{
    struct fixture *f = *state;

    make_packet(f, 0, NULL, 0);
    encode(f);

    assert_int_equal(feed(f, f->size, NULL), 0);
    assert_non_null(frame_decoder_packet(f->decoder));
    assert_int_equal(frame_decoder_packet(f->decoder)->header->size, 0);
}

/* Wherever the network cuts the bytes in two. */
static void test_any_cut_gives_the_same_packet(void **state)
{
    struct fixture *f = *state;
    size_t used;

    encode_example(f);
    for (size_t cut = 0; cut < f->size; cut++) {
        assert_int_equal(feed(f, cut, NULL), 0);
        assert_null(frame_decoder_packet(f->decoder));
        assert_int_equal(frame_decoder_feed(f->decoder, f->bytes + cut,
                                            f->size - cut, &used, NULL),
                         0);
        assert_int_equal(used, f->size - cut);
        assert_example(frame_decoder_packet(f->decoder));
    }
}

static void test_feeding_stops_at_the_end_of_a_frame(void **state)
{
    struct fixture *f = *state;
    size_t used;

    encode_example(f);
    assert_int_equal(
        frame_decoder_feed(f->decoder, f->bytes, f->size + 10, &used, NULL), 0);

    assert_int_equal(used, f->size);
}

/* The way large payloads take: from the socket to where they stay. */
static void test_bytes_can_be_read_to_where_they_belong(void **state)
{
    struct fixture *f = *state;
    uint8_t *space;
    size_t size;

    encode_example(f);
    for (size_t at = 0; at < f->size; at += size) {
        size = frame_decoder_space(f->decoder, &space);
        memcpy(space, f->bytes + at, size);
        assert_int_equal(frame_decoder_filled(f->decoder, size, NULL), 0);
    }

    assert_example(frame_decoder_packet(f->decoder));
}

static void test_a_kept_payload_outlives_the_decoder(void **state)
{
    struct fixture *f = *state;
    struct buf *kept;

    encode_example(f);
    assert_int_equal(feed(f, f->size, NULL), 0);
    kept = buf_ref(frame_decoder_packet(f->decoder)->payloads[0]);
    assert_int_equal(feed(f, f->size, NULL), 0);
    frame_decoder_free(f->decoder);
    f->decoder = NULL;

    assert_memory_equal(kept->data, "aaaa", 4);
    buf_unref(kept);
}

/* ---- Bad bytes ---- */

/* No single changed byte passes, wherever it is. */
static void test_every_damaged_byte_is_noticed(void **state)
{
    struct fixture *f = *state;

    encode_example(f);
    for (size_t i = 0; i < f->size; i++) {
        f->bytes[i] ^= 0x01;
        if (feed(f, f->size, NULL) == 0)
            assert_null(frame_decoder_packet(f->decoder));
        f->bytes[i] ^= 0x01;
        frame_decoder_free(f->decoder);
        f->decoder = frame_decoder_new();
    }
}

static void test_a_damaged_payload_is_told_by_its_checksum(void **state)
{
    struct fixture *f = *state;

    encode_example(f);
    f->bytes[f->size - 1] ^= 0x80;

    assert_refused(f, "checksum");
}

static void test_other_bytes_are_not_a_frame(void **state)
{
    struct fixture *f = *state;

    encode_example(f);
    f->bytes[0] = 'X';

    assert_refused(f, "not a frame");
}

static void test_an_unknown_version_is_refused(void **state)
{
    struct fixture *f = *state;

    encode_example(f);
    f->bytes[4] = 2;

    assert_refused(f, "version 2");
}

/* Sizes are refused before anything of that size is allocated or awaited. */
static void test_sizes_over_the_limits_are_refused_at_once(void **state)
{
    struct fixture *f = *state;
    static const size_t offsets[] = {10, OFFSET_COUNT + 1, 26};
    static const char *const reasons[] = {"header of", "payloads",
                                          "bytes in payload 0"};

    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        make_packet(f, 3, (const size_t[]){4}, 1);
        encode(f);
        f->bytes[offsets[i]] = 0x7f;
        f->size = FRAME_PREFIX_SIZE + 4;
        assert_refused(f, reasons[i]);
        frame_decoder_free(f->decoder);
        f->decoder = frame_decoder_new();
        buf_unref(f->buffers[0]);
        buf_unref(f->buffers[1]);
    }
    f->buffers[0] = f->buffers[1] = NULL;
}

/* Nine payloads of 2 MiB are each within bounds. */
static void test_a_frame_over_16_mib_is_refused(void **state)
{
    struct fixture *f = *state;
    const uint32_t size = FRAME_PAYLOAD_SIZE_MAX;

    make_packet(f, 3, (const size_t[9]){0}, 9);
    encode(f);
    for (size_t i = 0; i < 9; i++)
        memcpy(f->bytes + FRAME_PREFIX_SIZE + 4 * i, &size, sizeof size);

    assert_refused(f, "frame of");
}

/* ---- The sender's side ---- */

static void test_packets_over_the_limits_are_not_made(void **state)
{
    struct fixture *f = *state;
    struct frame *frame;
    struct err e = ERR_INIT;

    make_packet(f, FRAME_HEADER_SIZE_MAX + 1,
                (const size_t[]){FRAME_PAYLOAD_SIZE_MAX + 1}, 1);
    assert_int_equal(frame_new(&frame, &f->packet, &e), ERR_TOO_LARGE);
    f->packet.header->size = 1;
    assert_int_equal(frame_new(&frame, &f->packet, &e), ERR_TOO_LARGE);
    f->packet.payloads[0]->size = 1;
    f->packet.payload_count = FRAME_PAYLOADS_MAX + 1;
    assert_int_equal(frame_new(&frame, &f->packet, &e), ERR_TOO_LARGE);
}

static void test_a_frame_does_not_copy_its_buffers(void **state)
{
    struct fixture *f = *state;
    struct frame *frame;

    make_packet(f, 3, (const size_t[]){4}, 1);
    assert_int_equal(frame_new(&frame, &f->packet, NULL), 0);

    assert_int_equal(frame->vec_count, 3);
    assert_ptr_equal(frame->vecs[1].iov_base, f->buffers[0]->data);
    assert_ptr_equal(frame->vecs[2].iov_base, f->buffers[1]->data);
    frame_free(frame);
}

/* What the kernel took in part goes on where it stopped. */
static void test_a_queue_goes_on_where_the_network_stopped(void **state)
{
    struct fixture *f = *state;
    struct frame_queue queue;
    struct frame *frame;
    struct iovec vecs[8];

    make_packet(f, 10, NULL, 0);
    frame_queue_init(&queue);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(frame_new(&frame, &f->packet, NULL), 0);
        frame_queue_push(&queue, frame);
    }
    assert_int_equal(frame_queue_sent(&queue, 34 + 24 + 4), 1);
    frame_queue_check(&queue);

    assert_int_equal(queue.size_bytes, 6);
    assert_int_equal(frame_unsent(frame, vecs, ARRAY_SIZE(vecs)), 1);
    assert_ptr_equal(vecs[0].iov_base, f->buffers[0]->data + 4);
    assert_int_equal(vecs[0].iov_len, 6);
    assert_int_equal(frame_queue_clear(&queue), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_packet_survives_the_wire),
        TEST(test_the_bytes_stay_as_they_are),
        TEST(test_an_empty_packet_is_one),
        TEST(test_any_cut_gives_the_same_packet),
        TEST(test_feeding_stops_at_the_end_of_a_frame),
        TEST(test_bytes_can_be_read_to_where_they_belong),
        TEST(test_a_kept_payload_outlives_the_decoder),
        TEST(test_every_damaged_byte_is_noticed),
        TEST(test_a_damaged_payload_is_told_by_its_checksum),
        TEST(test_other_bytes_are_not_a_frame),
        TEST(test_an_unknown_version_is_refused),
        TEST(test_sizes_over_the_limits_are_refused_at_once),
        TEST(test_a_frame_over_16_mib_is_refused),
        TEST(test_packets_over_the_limits_are_not_made),
        TEST(test_a_frame_does_not_copy_its_buffers),
        TEST(test_a_queue_goes_on_where_the_network_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
