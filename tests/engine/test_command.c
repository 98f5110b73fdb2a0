/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include <string.h>

#include "engine/command.h"

/* In front of the message: the format and the message's size. */
enum { PREFIX_SIZE = 5 };

static int try_command(struct slice bytes)
{
    struct command command = {0};
    int rc = command_decode(&command, bytes);

    command_release(&command);
    return rc;
}

static int try_result(struct slice bytes)
{
    struct result result = {0};
    int rc = result_decode(&result, bytes);

    result_release(&result);
    return rc;
}

static struct command filled_command(void)
{
    return (struct command){
        .op = COMMAND_TXN_DECIDE,
        .node = 1,
        .boot = 2,
        .sequence = 3,
        .lowest = 4,
        .stamp = UINT64_MAX - 5,
        .now_ns = INT64_MIN + 6,
        .flags = REQUEST_APPEND | REQUEST_KILL_PRIV,
        .set_mask = SET_SIZE | SET_MTIME_NOW,
        .dir = 9,
        .to_dir = 10,
        .ino = UINT64_MAX - 11,
        .name = slice_of("name"),
        .to_name = slice_of("to name"),
        .xattr = slice_of("user.xattr"),
        .offset = UINT64_MAX - 15,
        .size = 16,
        .set = filled_attr(17),
        .value_size_max = 18,
        .address = slice_of("[::1]:7420"),
        .txn = filled_txn(20),
        .txn_kind = TXN_RENAME,
        .commit = true,
        .changes = {{CATALOG_ADD, 1, 2, slice_of("added"), filled_attr(3)},
                    {CATALOG_REMOVE, 4, 5, slice_of("removed"), {0}}},
        .change_count = 2,
        .verdict = {.index = 21,
                    .hash = UINT64_MAX - 22,
                    .right = {1, UINT64_MAX},
                    .right_count = 2,
                    .wrong = {3},
                    .wrong_count = 1},
        .token = UINT64_MAX - 24,
        .node_state = NODE_REMOVED,
        .target_node = UINT64_MAX - 23,
        .merge = {.state = MERGE_GIVING_UP,
                  .other = 25,
                  .attempt = 26,
                  .version = 27,
                  .conf_ver = 28,
                  .start = slice_of("12345678a"),
                  .end = slice_of("12345678b")},
        .merge_step = MERGE_STEP_END,
        .data = letters(128),
    };
}

static struct result filled_result(void)
{
    return (struct result){
        .status = ERR_LOCKED,
        .attr = filled_attr(1),
        .offset = UINT64_MAX - 2,
        .created = true,
        .at_end = true,
        .decided = true,
        .committed = true,
        .first_id = 3,
        .holder = filled_txn(4),
        .changes = {{CATALOG_MOVE, 1, 2, slice_of("moved"), filled_attr(5)}},
        .change_count = 1,
        .data = letters(1000),
    };
}

static struct buf *command_bytes(void)
{
    struct command command = filled_command();

    return command_encode(&command);
}

/* A command or result without data whose message is `message`. Takes it. */
static struct buf *framed(struct buf *message)
{
    struct buf *b = buf_new(PREFIX_SIZE + message->size);

    assert_non_null(b);
    b->data[0] = COMMAND_FORMAT;
    be32_put(b->data + 1, (uint32_t)message->size);
    memcpy(b->data + PREFIX_SIZE, message->data, message->size);
    buf_unref(message);
    return b;
}

static struct buf *empty(void)
{
    return buf_copy("", 0);
}

static void assert_changes_equal(const struct catalog_change *a,
                                 const struct catalog_change *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].kind, b[i].kind);
        assert_int_equal(a[i].nsid, b[i].nsid);
        assert_int_equal(a[i].parent, b[i].parent);
        assert_slice_equal(a[i].name, b[i].name);
        assert_attr_equal(&a[i].attr, &b[i].attr);
    }
}

static void assert_names_equal(const struct command *a, const struct command *b)
{
    assert_slice_equal(a->name, b->name);
    assert_slice_equal(a->to_name, b->to_name);
    assert_slice_equal(a->xattr, b->xattr);
    assert_slice_equal(a->address, b->address);
    assert_slice_equal(a->data, b->data);
}

static void assert_places_equal(const struct command *a,
                                const struct command *b)
{
    assert_int_equal(a->dir, b->dir);
    assert_int_equal(a->to_dir, b->to_dir);
    assert_true(a->ino == b->ino);
    assert_true(a->offset == b->offset);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->value_size_max, b->value_size_max);
    assert_true(a->token == b->token);
    assert_int_equal(a->node_state, b->node_state);
    assert_true(a->target_node == b->target_node);
    assert_int_equal(a->merge_step, b->merge_step);
    assert_int_equal(a->merge.state, b->merge.state);
    assert_int_equal(a->merge.other, b->merge.other);
    assert_int_equal(a->merge.attempt, b->merge.attempt);
    assert_int_equal(a->merge.version, b->merge.version);
    assert_int_equal(a->merge.conf_ver, b->merge.conf_ver);
    assert_slice_equal(a->merge.start, b->merge.start);
    assert_slice_equal(a->merge.end, b->merge.end);
}

static void test_a_commands_origin_comes_back(void **state)
{
    struct command in = filled_command();
    struct buf *b = command_encode(&in);
    struct command out;

    (void)state;
    assert_int_equal(command_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.op, in.op);
    assert_int_equal(out.node, in.node);
    assert_int_equal(out.boot, in.boot);
    assert_int_equal(out.sequence, in.sequence);
    assert_int_equal(out.lowest, in.lowest);
    assert_true(out.stamp == in.stamp);
    assert_true(out.now_ns == in.now_ns);
    assert_int_equal(out.flags, in.flags);
    assert_int_equal(out.set_mask, in.set_mask);
    command_release(&out);
    buf_unref(b);
}

static void test_a_commands_arguments_come_back(void **state)
{
    struct command in = filled_command();
    struct buf *b = command_encode(&in);
    struct command out;

    (void)state;
    assert_int_equal(command_decode(&out, buf_slice(b)), 0);
    assert_places_equal(&out, &in);
    assert_names_equal(&out, &in);
    assert_attr_equal(&out.set, &in.set);
    assert_txn_equal(&out.txn, &in.txn);
    assert_int_equal(out.txn_kind, in.txn_kind);
    assert_true(out.commit);
    assert_int_equal(out.change_count, 2);
    assert_changes_equal(out.changes, in.changes, 2);
    command_release(&out);
    buf_unref(b);
}

static void test_a_verdict_comes_back(void **state)
{
    struct command in = filled_command();
    struct buf *b = command_encode(&in);
    struct command out;

    (void)state;
    assert_int_equal(command_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.verdict.index, 21);
    assert_true(out.verdict.hash == UINT64_MAX - 22);
    assert_int_equal(out.verdict.right_count, 2);
    assert_true(out.verdict.right[1] == UINT64_MAX);
    assert_int_equal(out.verdict.wrong_count, 1);
    assert_int_equal(out.verdict.wrong[0], 3);
    command_release(&out);
    buf_unref(b);
}

/* Fields 3 and 4 of the message 26 are its lists. */
static void test_a_verdict_over_a_limit_is_refused(void **state)
{
    struct buf *named = with_number(empty(), 1, 7);
    struct buf *right = buf_copy(named->data, named->size);
    struct buf *wrong = buf_copy(named->data, named->size);

    (void)state;
    for (uint64_t i = 0; i < REGION_PEERS_MAX; i++)
        right = with_number(right, 3, i);
    assert_decodes_to(0, try_command,
                      framed(with_bytes(empty(), 26, buf_slice(right))));
    right = with_number(right, 3, 1);
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty(), 26, buf_slice(right))));
    for (uint64_t i = 0; i <= REGION_PEERS_MAX; i++)
        wrong = with_number(wrong, 4, i);
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty(), 26, buf_slice(wrong))));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty(), 26, slice_of(""))));
    buf_unref(named);
    buf_unref(right);
    buf_unref(wrong);
}

static void test_an_empty_command_comes_back(void **state)
{
    struct command in = {.op = COMMAND_NOOP};
    struct buf *b = command_encode(&in);
    struct command out;

    (void)state;
    assert_int_equal(b->size, PREFIX_SIZE);
    assert_int_equal(command_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.op, COMMAND_NOOP);
    assert_int_equal(out.data.size, 0);
    assert_int_equal(out.txn.id.node, 0);
    command_release(&out);
    buf_unref(b);
}

/* A value is not copied when a command is taken apart. */
static void test_data_is_borrowed_from_the_bytes(void **state)
{
    struct command in = {.op = COMMAND_WRITE,
                         .data = letters(COMMAND_DATA_SIZE_MAX)};
    struct buf *b = command_encode(&in);
    struct command out;

    (void)state;
    assert_int_equal(command_decode(&out, buf_slice(b)), 0);
    assert_slice_equal(out.data, in.data);
    assert_ptr_equal((const uint8_t *)out.data.data + out.data.size,
                     b->data + b->size);
    command_release(&out);
    buf_unref(b);
}

static void test_more_data_than_one_write_is_refused(void **state)
{
    struct slice data = letters(COMMAND_DATA_SIZE_MAX + 1);
    struct buf *b = buf_new(PREFIX_SIZE + data.size);

    (void)state;
    assert_non_null(b);
    b->data[0] = COMMAND_FORMAT;
    be32_put(b->data + 1, 0);
    memcpy(b->data + PREFIX_SIZE, data.data, data.size);
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
                     op == COMMAND_TXN_IMPORT ||
                     (op >= COMMAND_LOOKUP && op <= COMMAND_PART) ||
                     op == COMMAND_START_CHECK || op == COMMAND_TRANSFER ||
                     (op >= COMMAND_MERGE && op <= COMMAND_REGION_GONE) ||
                     (op >= COMMAND_DIR_MODE && op <= COMMAND_FLOOR) ||
                     op == COMMAND_CHECK_GOAL || op == COMMAND_CHANGE_NODE ||
                     op == COMMAND_START_SPLIT || op == COMMAND_START_MERGE;

        assert_decodes_to(known ? 0 : ERR_CORRUPT, try_command,
                          framed(with_number(empty(), 1, op)));
    }
}

/* Numbers of fields are those of command.proto. */
static void test_a_command_over_a_limit_is_refused(void **state)
{
    static const unsigned names[] = {13, 14, 15, 24};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_decodes_to(ERR_CORRUPT, try_command,
                          framed(with_bytes(empty(), names[i], letters(256))));
        assert_decodes_to(
            ERR_CORRUPT, try_command,
            framed(with_bytes(empty(), names[i], (struct slice){"a\0b", 3})));
    }
    assert_decodes_to(0, try_command,
                      framed(with_bytes(empty(), 24, letters(127))));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty(), 24, letters(128))));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_number(empty(), 20, TXN_TO_STRONG + 1)));
}

static void test_the_changes_of_a_command_are_checked(void **state)
{
    struct buf *change = with_number(empty(), 1, CATALOG_MOVE);
    struct buf *other = with_number(empty(), 1, CATALOG_STRONG + 1);
    struct buf *b = empty();

    (void)state;
    for (unsigned i = 0; i < CATALOG_CHANGES_MAX; i++)
        b = with_bytes(b, 22, buf_slice(change));
    assert_decodes_to(0, try_command, framed(buf_ref(b)));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(b, 22, buf_slice(change))));
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty(), 22, buf_slice(other))));
    buf_unref(change);
    buf_unref(other);
}

static void test_a_transaction_without_identity_is_refused(void **state)
{
    struct buf *txn = with_number(empty(), 2, 5);

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_command,
                      framed(with_bytes(empty(), 19, buf_slice(txn))));
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
    be32_put(b->data + 1, (uint32_t)b->size - PREFIX_SIZE + 1);
    assert_decodes_to(ERR_CORRUPT, try_command, b);
}

static void test_a_result_comes_back(void **state)
{
    struct result in = filled_result();
    struct buf *b = result_encode(&in);
    struct result out;

    (void)state;
    assert_int_equal(result_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.status, ERR_LOCKED);
    assert_attr_equal(&out.attr, &in.attr);
    assert_true(out.offset == in.offset);
    assert_true(out.created && out.at_end && out.decided && out.committed);
    assert_int_equal(out.first_id, 3);
    assert_txn_equal(&out.holder, &in.holder);
    assert_int_equal(out.change_count, 1);
    assert_changes_equal(out.changes, in.changes, 1);
    assert_slice_equal(out.data, in.data);
    assert_null(out.data_buf);
    result_release(&out);
    buf_unref(b);
}

static void test_each_flag_of_a_result_is_its_own(void **state)
{
    const struct result in[] = {{.created = true},
                                {.at_end = true},
                                {.decided = true},
                                {.committed = true}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(in); i++) {
        struct buf *b = result_encode(&in[i]);
        struct result out;

        assert_int_equal(result_decode(&out, buf_slice(b)), 0);
        assert_int_equal(out.created, i == 0);
        assert_int_equal(out.at_end, i == 1);
        assert_int_equal(out.decided, i == 2);
        assert_int_equal(out.committed, i == 3);
        result_release(&out);
        buf_unref(b);
    }
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
                      framed(with_number(empty(), 1, 2)));
    assert_decodes_to(ERR_CORRUPT, try_result,
                      framed(with_number(empty(), 1, 2 * ERR__COUNT - 1)));
}

static void test_releasing_a_result_drops_its_data(void **state)
{
    struct buf *data = buf_copy("data", 4);
    struct result result = {.data = buf_slice(data), .data_buf = data};

    (void)state;
    buf_ref(data);
    result_release(&result);
    assert_null(result.data_buf);
    buf_unref(data); /* The last one, or ASan says so. */
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
    for (size_t size = 0; size < PREFIX_SIZE + message_size; size++)
        assert_int_equal(try_command((struct slice){b->data, size}),
                         ERR_CORRUPT);
    buf_unref(b);
}

/* ---- Looking into bytes ---- */

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

/* What frees space must go on when the disks are full. */
static void test_what_brings_content_grows(void **state)
{
    struct command command = {.op = COMMAND_TXN_PREPARE,
                              .txn_kind = TXN_RENAME};

    (void)state;
    assert_false(command_grows(&command));
    command.txn_step = TXN_STEP_TARGET;
    assert_true(command_grows(&command));
    command.txn_step = TXN_STEP_SOURCE;
    assert_true(command_grows(&command));
    command.txn_step = TXN_STEP_PART;
    assert_false(command_grows(&command));
    command.txn_kind = TXN_MKDIR;
    assert_true(command_grows(&command));
    command.op = COMMAND_TXN_RESOLVE;
    assert_false(command_grows(&command));
    command.op = COMMAND_DIR_ADD;
    assert_true(command_grows(&command));
    command.op = COMMAND_DIR_REMOVE;
    assert_false(command_grows(&command));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_commands_origin_comes_back),
        cmocka_unit_test(test_a_commands_arguments_come_back),
        cmocka_unit_test(test_a_verdict_comes_back),
        cmocka_unit_test(test_a_verdict_over_a_limit_is_refused),
        cmocka_unit_test(test_an_empty_command_comes_back),
        cmocka_unit_test(test_data_is_borrowed_from_the_bytes),
        cmocka_unit_test(test_more_data_than_one_write_is_refused),
        cmocka_unit_test(test_each_known_operation_is_taken_and_no_other),
        cmocka_unit_test(test_a_command_over_a_limit_is_refused),
        cmocka_unit_test(test_the_changes_of_a_command_are_checked),
        cmocka_unit_test(test_a_transaction_without_identity_is_refused),
        cmocka_unit_test(test_other_formats_are_not_guessed),
        cmocka_unit_test(test_a_message_larger_than_its_bytes_is_refused),
        cmocka_unit_test(test_a_result_comes_back),
        cmocka_unit_test(test_each_flag_of_a_result_is_its_own),
        cmocka_unit_test(test_each_error_code_comes_back_and_no_other),
        cmocka_unit_test(test_releasing_a_result_drops_its_data),
        cmocka_unit_test(test_damaged_commands_are_survived),
        cmocka_unit_test(test_a_command_cut_in_its_message_is_refused),
        cmocka_unit_test(test_operation_and_version_can_be_seen_from_outside),
        cmocka_unit_test(test_no_name_is_taken_for_a_version),
        cmocka_unit_test(test_no_number_is_taken_for_a_version),
        cmocka_unit_test(test_a_version_is_replaced_in_a_copy),
        cmocka_unit_test(test_the_version_that_it_has_needs_no_copy),
        cmocka_unit_test(test_what_has_no_version_stays_without),
        cmocka_unit_test(test_what_brings_content_grows),
    };

    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
