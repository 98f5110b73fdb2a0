/* SPDX-License-Identifier: Apache-2.0 */

/* Greetings, and addresses as people write them. */

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

#include "engine/hello.h"
#include "raft/base/mem.h"

static const struct hello_message example = {
    .kind = HELLO_HELLO,
    .hello = {.cluster_id = 1,
              .node_id = 2,
              .incarnation = 3,
              .channel = ENV_CHANNEL_BULK,
              .address = {.host = "::1", .port = 7420}},
};

/* After a change to the bytes, so that only the change is judged. */
static void repair_checksum(uint8_t *bytes, size_t size)
{
    const uint64_t sum = htole64(XXH3_64bits(bytes, size - sizeof sum));

    memcpy(bytes + size - sizeof sum, &sum, sizeof sum);
}

static void test_a_hello_survives_the_wire(void **state)
{
    uint8_t bytes[HELLO_SIZE_MAX];
    const size_t size = hello_encode(&example, bytes);
    struct hello_message message;
    size_t used;

    (void)state;
    assert_int_equal(hello_decode(&message, bytes, size, &used, NULL), 0);
    assert_int_equal(used, size);
    assert_int_equal(message.kind, HELLO_HELLO);
    assert_int_equal(message.hello.cluster_id, 1);
    assert_int_equal(message.hello.node_id, 2);
    assert_int_equal(message.hello.incarnation, 3);
    assert_int_equal(message.hello.channel, ENV_CHANNEL_BULK);
    assert_string_equal(message.hello.address.host, "::1");
    assert_int_equal(message.hello.address.port, 7420);
}

static void test_a_part_of_a_hello_is_waited_for(void **state)
{
    uint8_t bytes[HELLO_SIZE_MAX];
    const size_t size = hello_encode(&example, bytes);
    struct hello_message message;
    size_t used = 1;

    (void)state;
    for (size_t part = 0; part < size; part++) {
        assert_int_equal(hello_decode(&message, bytes, part, &used, NULL), 0);
        assert_int_equal(used, 0);
    }
}

static void test_every_damaged_byte_is_noticed(void **state)
{
    uint8_t bytes[HELLO_SIZE_MAX];
    const size_t size = hello_encode(&example, bytes);
    struct hello_message message;
    size_t used;

    (void)state;
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x01;
        if (hello_decode(&message, bytes, size, &used, NULL) == 0)
            assert_int_equal(used, 0); /* It claims to be longer. */
        bytes[i] ^= 0x01;
    }
}

/* Its text goes to a log line: it may not forge others. */
static void test_a_refusal_keeps_its_text_on_one_line(void **state)
{
    const struct hello_message refusal = {
        .kind = HELLO_REFUSED, .code = ERR_FOREIGN, .text = "not\nhere"};
    uint8_t bytes[HELLO_SIZE_MAX];
    const size_t size = hello_encode(&refusal, bytes);
    struct hello_message message;
    size_t used;

    (void)state;
    assert_int_equal(hello_decode(&message, bytes, size, &used, NULL), 0);
    assert_int_equal(message.code, ERR_FOREIGN);
    assert_string_equal(message.text, "not?here");
}

static void test_another_version_is_told_apart_from_garbage(void **state)
{
    uint8_t bytes[HELLO_SIZE_MAX];
    const size_t size = hello_encode(&example, bytes);
    struct hello_message message;
    size_t used;

    (void)state;
    bytes[8] = HELLO_VERSION + 1;
    repair_checksum(bytes, size);
    assert_int_equal(hello_decode(&message, bytes, size, &used, NULL),
                     ERR_VERSION);
    assert_int_equal(used, size);
    assert_int_equal(
        hello_decode(&message, (const uint8_t *)"GET /", 5, &used, NULL),
        ERR_PROTOCOL);
}

/* Whoever does not know our version must still be able to say so. */
static void test_a_refusal_is_read_in_any_version(void **state)
{
    const struct hello_message refusal = {
        .kind = HELLO_REFUSED, .code = ERR_VERSION, .text = "no"};
    uint8_t bytes[HELLO_SIZE_MAX];
    const size_t size = hello_encode(&refusal, bytes);
    struct hello_message message;
    size_t used;

    (void)state;
    bytes[8] = HELLO_VERSION + 1;
    repair_checksum(bytes, size);
    assert_int_equal(hello_decode(&message, bytes, size, &used, NULL), 0);
    assert_string_equal(message.text, "no");
}

static void test_an_address_is_read_as_it_is_written(void **state)
{
    static const char *const texts[] = {"127.0.0.1:7420", "[::1]:7420",
                                        "node-1.example:1", "h:65535"};
    struct address address;
    char text[ADDRESS_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(address_parse(&address, texts[i], NULL), 0);
        assert_string_equal(address_format(&address, text), texts[i]);
    }
}

static void test_a_wrong_address_is_refused_in_words(void **state)
{
    static const char *const texts[] = {
        "",     "host",     "host:", ":7420", "h:65536",
        "h:7x", "::1:7420", "[]:1",  "h:-1"};
    struct address address;
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(address_parse(&address, texts[i], &e), ERR_INVALID);
        assert_non_null(strstr(e.text, texts[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hello_survives_the_wire),
        cmocka_unit_test(test_a_part_of_a_hello_is_waited_for),
        cmocka_unit_test(test_every_damaged_byte_is_noticed),
        cmocka_unit_test(test_a_refusal_keeps_its_text_on_one_line),
        cmocka_unit_test(test_another_version_is_told_apart_from_garbage),
        cmocka_unit_test(test_a_refusal_is_read_in_any_version),
        cmocka_unit_test(test_an_address_is_read_as_it_is_written),
        cmocka_unit_test(test_a_wrong_address_is_refused_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
