/* SPDX-License-Identifier: Apache-2.0 */

/* What can be seen of a command in its bytes, and changed there. */

#include "command_helpers.h"

static void assert_peeks(const struct command *command)
{
    struct buf *b = command_encode(command);

    assert_int_equal(command_peek_op(b), command->op);
    assert_int_equal(command_peek_version(b), command->region_version);
    buf_unref(b);
}

static void test_operation_and_version_can_be_seen_from_outside(void **state)
{
    struct command command = filled_command();

    (void)state;
    assert_peeks(&command);
    command.region_version = 1;
    assert_peeks(&command);
    command.region_version = UINT64_MAX;
    assert_peeks(&command);
    assert_peeks(&(struct command){.op = COMMAND_NOOP});
    assert_peeks(&(struct command){.op = COMMAND_SPLIT, .region_version = 7});
}

/* A name that ends like the field of a version: of a directory, of an xattr,
 * or of a node. */
static void test_no_name_is_taken_for_a_version(void **state)
{
    struct slice name = slice_of("x\xa1\x06zzzzzzzz");

    (void)state;
    assert_peeks(&(struct command){.op = COMMAND_TXN_DECIDE,
                                   .changes = {{CATALOG_MOVE, 1, 2, name, {0}}},
                                   .change_count = 1});
    assert_peeks(
        &(struct command){.op = COMMAND_DIR_REMOVEXATTR, .xattr = name});
    assert_peeks(&(struct command){.op = COMMAND_NODE_UPDATE, .address = name});
    assert_peeks(&(struct command){.op = COMMAND_CREATE, .name = name});
}

static void test_no_number_is_taken_for_a_version(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift <= 48; shift += 8)
        assert_peeks(&(struct command){.op = COMMAND_LEASE_IDS,
                                       .now_ns = (int64_t)0x06a1 << shift,
                                       .size = 1});
}

static void test_a_version_is_replaced_in_a_copy(void **state)
{
    struct command command = filled_command();
    struct command decoded = {0};
    struct buf *before;
    struct buf *after;

    (void)state;
    command.region_version = 1;
    before = command_encode(&command);
    after = command_for_version(before, UINT64_MAX - 1);
    assert_int_equal(command_peek_version(before), 1);
    assert_int_equal(command_decode(&decoded, buf_slice(after)), 0);
    assert_true(decoded.region_version == UINT64_MAX - 1);
    assert_int_equal(decoded.op, command.op);
    assert_slice_equal(decoded.to_name, command.to_name);
    assert_slice_equal(decoded.data, command.data);
    command_release(&decoded);
    buf_unref(before);
    buf_unref(after);
}

static void test_the_version_that_it_has_needs_no_copy(void **state)
{
    struct buf *b = command_encode(
        &(struct command){.op = COMMAND_CREATE, .region_version = 3});
    struct buf *same = command_for_version(b, 3);

    (void)state;
    assert_ptr_equal(same, b);
    buf_unref(same);
    buf_unref(b);
}

static void test_what_has_no_version_stays_without(void **state)
{
    struct buf *b = command_encode(&(struct command){.op = COMMAND_TXN_ABORT});
    struct buf *same = command_for_version(b, 3);

    (void)state;
    assert_ptr_equal(same, b);
    buf_unref(same);
    buf_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operation_and_version_can_be_seen_from_outside),
        cmocka_unit_test(test_no_name_is_taken_for_a_version),
        cmocka_unit_test(test_no_number_is_taken_for_a_version),
        cmocka_unit_test(test_a_version_is_replaced_in_a_copy),
        cmocka_unit_test(test_the_version_that_it_has_needs_no_copy),
        cmocka_unit_test(test_what_has_no_version_stays_without),
    };

    return cmocka_run_group_tests_name("command peek", tests, NULL, NULL);
}
