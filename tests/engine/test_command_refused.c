/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes that are no command or no result, and which of them are. */

#include "command_helpers.h"

#include <string.h>

static struct buf *command_bytes(void)
{
    struct command command = filled_command();

    return command_encode(&command);
}

/* Fields 3 and 4 of the message 26 are its lists. */
static void test_a_verdict_over_a_limit_is_refused(void **state)
{
    struct buf *named = with_number(empty_message(), 1, 7);
    struct buf *right = buf_copy(named->data, named->size);
    struct buf *wrong = buf_copy(named->data, named->size);

    (void)state;
    for (uint64_t i = 0; i < REGION_PEERS_MAX; i++)
        right = with_number(right, 3, i);
    assert_decodes_to(
        0, try_command,
        framed(with_bytes(empty_message(), 26, buf_slice(right))));
    right = with_number(right, 3, 1);
    assert_decodes_to(
        ERR_CORRUPT, try_command,
        framed(with_bytes(empty_message(), 26, buf_slice(right))));
    for (uint64_t i = 0; i <= REGION_PEERS_MAX; i++)
        wrong = with_number(wrong, 4, i);
    assert_decodes_to(
        ERR_CORRUPT, try_command,
        framed(with_bytes(empty_message(), 26, buf_slice(wrong))));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty_message(), 26, slice_of(""))));
    buf_unref(named);
    buf_unref(right);
    buf_unref(wrong);
}

static void test_more_data_than_one_write_is_refused(void **state)
{
    struct slice data = letters(COMMAND_DATA_SIZE_MAX + 1);
    struct buf *b = buf_new(COMMAND_PREFIX_SIZE + data.size);

    (void)state;
    assert_non_null(b);
    b->data[0] = COMMAND_FORMAT;
    be32_put(b->data + 1, 0);
    memcpy(b->data + COMMAND_PREFIX_SIZE, data.data, data.size);
    assert_int_equal(try_command(buf_slice(b)), ERR_CORRUPT);
    b->size--;
    assert_decodes_to(0, try_command, b);
}

static void test_each_known_operation_is_taken_and_no_other(void **state)
{
    (void)state;
    for (unsigned op = 0; op < 300; op++) {
        bool known = op <= COMMAND_SET || op == COMMAND_NODE_JOIN ||
                     op == COMMAND_NODE_STATE || op == COMMAND_TXN_COPY ||
                     op == COMMAND_TXN_IMPORT || op == COMMAND_TXN_EXPORT ||
                     (op >= COMMAND_LOOKUP && op <= COMMAND_PART) ||
                     op == COMMAND_START_CHECK || op == COMMAND_TRANSFER ||
                     (op >= COMMAND_MERGE && op <= COMMAND_REGION_GONE) ||
                     (op >= COMMAND_DIR_MODE && op <= COMMAND_DIR_OWN) ||
                     op == COMMAND_CHECK_GOAL || op == COMMAND_CHANGE_NODE ||
                     op == COMMAND_START_SPLIT || op == COMMAND_START_MERGE;

        assert_decodes_to(known ? 0 : ERR_CORRUPT, try_command,
                          framed(with_number(empty_message(), 1, op)));
    }
}

/* Numbers of fields are those of command.proto. */
static void test_a_command_over_a_limit_is_refused(void **state)
{
    static const unsigned names[] = {13, 14, 15, 24};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_decodes_to(
            ERR_CORRUPT, try_command,
            framed(with_bytes(empty_message(), names[i], letters(256))));
        assert_decodes_to(ERR_CORRUPT, try_command,
                          framed(with_bytes(empty_message(), names[i],
                                            (struct slice){"a\0b", 3})));
    }
    assert_decodes_to(0, try_command,
                      framed(with_bytes(empty_message(), 24, letters(127))));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty_message(), 24, letters(128))));
    assert_decodes_to(
        ERR_CORRUPT, try_command,
        framed(with_number(empty_message(), 20, TXN_TO_STRONG + 1)));
}

/* Namespaces that come along, and the times of each. */
static void test_a_list_of_namespaces_over_a_limit_is_refused(void **state)
{
    struct buf *two = with_bytes(empty_message(), 70, letters(16));

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty_message(), 70, letters(15))));
    assert_decodes_to(0, try_command,
                      framed(with_bytes(empty_message(), 70,
                                        letters(8 * COMMAND_FURTHER_MAX))));
    assert_decodes_to(
        ERR_CORRUPT, try_command,
        framed(with_bytes(empty_message(), 70,
                          letters(8 * (COMMAND_FURTHER_MAX + 1)))));
    assert_decodes_to(0, try_command,
                      framed(with_bytes(buf_ref(two), 71, letters(32))));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(two, 71, letters(16))));
}

static void test_the_changes_of_a_command_are_checked(void **state)
{
    struct buf *change = with_number(empty_message(), 1, CATALOG_MOVE);
    struct buf *other = with_number(empty_message(), 1, CATALOG_STRONG + 1);
    struct buf *b = empty_message();

    (void)state;
    for (unsigned i = 0; i < CATALOG_CHANGES_MAX; i++)
        b = with_bytes(b, 22, buf_slice(change));
    assert_decodes_to(0, try_command, framed(buf_ref(b)));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(b, 22, buf_slice(change))));
    assert_decodes_to(
        ERR_CORRUPT, try_command,
        framed(with_bytes(empty_message(), 22, buf_slice(other))));
    buf_unref(change);
    buf_unref(other);
}

static void test_a_transaction_without_identity_is_refused(void **state)
{
    struct buf *txn = with_number(empty_message(), 2, 5);

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty_message(), 19, buf_slice(txn))));
    buf_unref(txn);
}

static void test_other_formats_are_not_guessed(void **state)
{
    struct buf *b = command_bytes();

    (void)state;
    assert_int_equal(try_command((struct slice){NULL, 0}), ERR_CORRUPT);
    assert_int_equal(try_result((struct slice){NULL, 0}), ERR_CORRUPT);
    b->data[0] = COMMAND_FORMAT + 1;
    assert_int_equal(try_command(buf_slice(b)), ERR_VERSION);
    assert_int_equal(try_result(buf_slice(b)), ERR_VERSION);
    b->data[0] = 0;
    assert_decodes_to(ERR_CORRUPT, try_command, b);
}

static void test_a_message_larger_than_its_bytes_is_refused(void **state)
{
    struct buf *b = command_bytes();

    (void)state;
    be32_put(b->data + 1, UINT32_MAX);
    assert_int_equal(try_command(buf_slice(b)), ERR_CORRUPT);
    be32_put(b->data + 1, (uint32_t)b->size - COMMAND_PREFIX_SIZE + 1);
    assert_decodes_to(ERR_CORRUPT, try_command, b);
}

static void test_each_error_code_comes_back_and_no_other(void **state)
{
    (void)state;
    for (int status = 0; status > -(int)ERR__COUNT; status--) {
        struct buf *b = result_encode(&(struct result){.status = status});
        struct result out;

        assert_int_equal(result_decode(&out, buf_slice(b)), 0);
        assert_int_equal(out.status, status);
        result_release(&out);
        buf_unref(b);
    }
    /* Zigzag: 2 is 1, odd ones are negative. */
    assert_decodes_to(ERR_CORRUPT, try_result,
                      framed(with_number(empty_message(), 1, 2)));
    assert_decodes_to(
        ERR_CORRUPT, try_result,
        framed(with_number(empty_message(), 1, 2 * ERR__COUNT - 1)));
}

static void test_damaged_commands_are_survived(void **state)
{
    struct result result = filled_result();

    (void)state;
    assert_damage_is_survived(try_command, command_bytes());
    assert_damage_is_survived(try_result, result_encode(&result));
}

/* A piece of a command is never taken for a whole one with less data. */
static void test_a_command_cut_in_its_message_is_refused(void **state)
{
    struct buf *b = command_bytes();
    size_t message_size = be32_get(b->data + 1);

    (void)state;
    for (size_t size = 0; size < COMMAND_PREFIX_SIZE + message_size; size++)
        assert_int_equal(try_command((struct slice){b->data, size}),
                         ERR_CORRUPT);
    buf_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_verdict_over_a_limit_is_refused),
        cmocka_unit_test(test_more_data_than_one_write_is_refused),
        cmocka_unit_test(test_each_known_operation_is_taken_and_no_other),
        cmocka_unit_test(test_a_command_over_a_limit_is_refused),
        cmocka_unit_test(test_a_list_of_namespaces_over_a_limit_is_refused),
        cmocka_unit_test(test_the_changes_of_a_command_are_checked),
        cmocka_unit_test(test_a_transaction_without_identity_is_refused),
        cmocka_unit_test(test_other_formats_are_not_guessed),
        cmocka_unit_test(test_a_message_larger_than_its_bytes_is_refused),
        cmocka_unit_test(test_each_error_code_comes_back_and_no_other),
        cmocka_unit_test(test_damaged_commands_are_survived),
        cmocka_unit_test(test_a_command_cut_in_its_message_is_refused),
    };

    return cmocka_run_group_tests_name("command refused", tests, NULL, NULL);
}
