/* SPDX-License-Identifier: Apache-2.0 */

/* Commands and results come back from their bytes as they were. */

#include "command_helpers.h"

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
    assert_slice_equal(a->further, b->further);
    assert_slice_equal(a->further_times, b->further_times);
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

static void test_an_empty_command_comes_back(void **state)
{
    struct command in = {.op = COMMAND_NOOP};
    struct buf *b = command_encode(&in);
    struct command out;

    (void)state;
    assert_int_equal(b->size, COMMAND_PREFIX_SIZE);
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
    command.op = COMMAND_BRING;
    assert_true(command_grows(&command));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_commands_origin_comes_back),
        cmocka_unit_test(test_a_commands_arguments_come_back),
        cmocka_unit_test(test_a_verdict_comes_back),
        cmocka_unit_test(test_an_empty_command_comes_back),
        cmocka_unit_test(test_data_is_borrowed_from_the_bytes),
        cmocka_unit_test(test_a_result_comes_back),
        cmocka_unit_test(test_each_flag_of_a_result_is_its_own),
        cmocka_unit_test(test_releasing_a_result_drops_its_data),
        cmocka_unit_test(test_what_brings_content_grows),
    };

    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
