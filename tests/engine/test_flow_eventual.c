/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of requests about eventual namespaces, and for what they wait.
 */

#include "flow_fixture.h"

#include "engine/keys.h"

/* ---- reads ---- */

static void test_a_read_behind_a_fence_waits_for_region_0(void **state)
{
    struct fixture *f = *state;

    put_file(f, "a");
    begin_lookup(f);
    expect_end(f, 0);
    apply(f, MODE_FENCED, FENCE);
    begin_lookup(f);
    has_caught_up(f, 0);
    expect_end(f, 0);
    begin_lookup(f);
    has_caught_up(f, ERR_NO_QUORUM);
    expect_end(f, ERR_NO_QUORUM);
}

static void spoil(struct fixture *f, struct key key)
{
    struct kv *kv = f->node.fake.env.state;
    struct kv_batch *batch = kv_batch_new(kv);

    kv_batch_put(batch, key_slice(&key), slice_of("?"));
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

/* Also one that need not wait, which is on any thread. */
static void test_a_read_that_meets_damage_tells_of_it(void **state)
{
    struct fixture *f = *state;
    const struct command command = {
        .op = COMMAND_LOOKUP, .dir = DIR, .name = slice_of("a")};
    struct result result = {.status = 0};

    put_file(f, "a");
    spoil(f, key_user('v', DIR, slice_of("a")));
    assert_false(flow_try_eventual(&f->node, &command, &result));
    assert_int_equal(f->node.searched, 0);
    begin_lookup(f);
    expect_end(f, ERR_CORRUPT);
    assert_int_equal(f->node.searched, DIR);
    assert_string_equal(f->node.searched_name, "a");
}

static void test_a_count_that_cannot_be_read_is_told_of(void **state)
{
    struct fixture *f = *state;
    const struct command command = {.op = COMMAND_GETATTR,
                                    .dir = STRONG_DIR,
                                    .name = slice_of("d"),
                                    .ino = ino_of_nsid(DIR)};

    spoil(f, key_eventual_namespace(DIR));
    begin(f, REQUEST_GETATTR, &command);
    expect_end(f, ERR_CORRUPT);
    assert_int_equal(f->node.searched, DIR);
    assert_string_equal(f->node.searched_name, "");
}

static void test_a_read_waits_until_the_node_is_whole(void **state)
{
    struct fixture *f = *state;

    put_file(f, "a");
    f->node.is_whole = false;
    begin_lookup(f);
    pass(f, 1000);
    assert_int_equal(f->end_count, 0);
    f->node.is_whole = true;
    pass(f, 100);
    expect_end(f, 0);
    f->node.is_whole = false;
    begin_lookup(f);
    pass(f, 11000);
    expect_end(f, ERR_NO_QUORUM);
}

static void test_only_what_need_not_wait_is_read_at_once(void **state)
{
    struct fixture *f = *state;
    const struct command command = {
        .op = COMMAND_LOOKUP, .dir = DIR, .name = slice_of("a")};
    struct result result = {.status = 0};

    put_file(f, "a");
    assert_true(flow_try_eventual(&f->node, &command, &result));
    assert_int_equal(result.attr.ino, 77);
    result_release(&result);
    f->node.is_whole = false;
    assert_false(flow_try_eventual(&f->node, &command, &result));
    f->node.is_whole = true;
    apply(f, MODE_FENCED, FENCE);
    assert_false(flow_try_eventual(&f->node, &command, &result));
}

static void test_a_majority_says_that_a_directory_is_strong(void **state)
{
    struct fixture *f = *state;
    const struct command command = {.op = COMMAND_GETXATTR,
                                    .ino = ino_of_nsid(DIR),
                                    .xattr = slice_of(XATTR_CONSISTENCY)};

    begin(f, REQUEST_GETXATTR, &command);
    expect_end(f, 0);
    apply(f, MODE_STRONG, FENCE);
    begin(f, REQUEST_GETXATTR, &command);
    has_caught_up(f, 0);
    expect_end(f, 0);
    begin(f, REQUEST_GETXATTR, &command);
    has_caught_up(f, ERR_NO_QUORUM);
    expect_end(f, ERR_NO_QUORUM);
}

static void test_what_may_be_old_is_said_by_this_node(void **state)
{
    struct fixture *f = *state;
    struct command command = {.op = COMMAND_GETXATTR,
                              .ino = ino_of_nsid(DIR),
                              .xattr = slice_of(XATTR_LAG)};

    begin(f, REQUEST_GETXATTR, &command);
    expect_end(f, 0);
    assert_string_equal(f->text, "1.5");
    command.xattr = slice_of(XATTR_DIGEST);
    begin(f, REQUEST_GETXATTR, &command);
    expect_end(f, 0);
    assert_string_equal(f->text, "ab");
}

/* ---- changes ---- */

static void test_nothing_is_moved_to_a_strong_directory(void **state)
{
    struct fixture *f = *state;
    struct command command = {.op = COMMAND_RENAME,
                              .dir = DIR,
                              .name = slice_of("a"),
                              .to_dir = STRONG_DIR,
                              .to_name = slice_of("a")};

    begin(f, REQUEST_RENAME, &command);
    expect_end(f, ERR_CROSS_DEVICE);
    command.dir = STRONG_DIR;
    command.to_dir = DIR;
    begin(f, REQUEST_RENAME, &command);
    expect_end(f, ERR_CROSS_DEVICE);
}

static void test_a_change_waits_for_a_fence_to_go(void **state)
{
    struct fixture *f = *state;

    begin_unlink(f);
    apply(f, MODE_FENCED, FENCE);
    accept_op(f, ERR_EPOCH);
    pass(f, 1000);
    assert_int_equal(f->end_count, 0);
    assert_null(f->node.op);
    apply(f, MODE_EVENTUAL, FENCE + 1);
    pass(f, 100);
    accept_op(f, 0);
    expect_end(f, 0);
}

static void test_a_change_does_not_wait_for_a_fence_for_ever(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_FENCED, FENCE);
    begin_unlink(f);
    pass(f, 4900);
    assert_int_equal(f->end_count, 0);
    pass(f, 200);
    expect_end(f, ERR_BUSY);
}

/* ---- modes ---- */

static void begin_mode(struct fixture *f, enum command_op op, const char *value)
{
    const struct command command = {.op = op,
                                    .ino = ino_of_nsid(DIR),
                                    .xattr = slice_of(XATTR_CONSISTENCY),
                                    .data = slice_of(value)};

    begin(f, REQUEST_SETXATTR, &command);
}

static void expect_change(const struct fixture *f, enum mode_goal goal,
                          bool force)
{
    assert_non_null(f->node.change);
    assert_int_equal(f->node.change->nsid, DIR);
    assert_int_equal(f->node.change->goal, goal);
    assert_false(f->node.change->only_empty);
    assert_int_equal(f->node.change->force, force);
    assert_int_equal(f->end_count, 0);
}

static void test_the_attribute_changes_the_mode(void **state)
{
    struct fixture *f = *state;

    begin_mode(f, COMMAND_DIR_SETXATTR, XATTR_EVENTUAL);
    expect_change(f, MODE_TO_EVENTUAL, false);
    begin_mode(f, COMMAND_DIR_SETXATTR, XATTR_STRONG);
    expect_change(f, MODE_TO_STRONG, false);
    begin_mode(f, COMMAND_DIR_SETXATTR, XATTR_STRONG_FORCE);
    expect_change(f, MODE_TO_STRONG, true);
    begin_mode(f, COMMAND_DIR_REMOVEXATTR, "");
    expect_change(f, MODE_INHERIT, false);
    f->node.change = NULL;
    begin_mode(f, COMMAND_DIR_SETXATTR, "weak");
    expect_end(f, ERR_INVALID);
    begin_mode(f, COMMAND_DIR_SETXATTR, "eventual force");
    expect_end(f, ERR_INVALID);
    assert_null(f->node.change);
}

/* ---- directories ---- */

static void test_whoever_makes_a_directory_sees_it(void **state)
{
    struct fixture *f = *state;
    const struct result result = {.status = 0};

    begin_mkdir(f, "b");
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_ADD);
    f->node.call->done(f->node.call, 0, &result, 0);
    has_caught_up(f, 0);
    expect_end(f, 0);
}

static void test_a_file_keeps_its_name_from_a_directory(void **state)
{
    struct fixture *f = *state;

    put_file(f, "a");
    begin_mkdir(f, "a");
    assert_null(f->node.call);
    expect_end(f, ERR_EXISTS);
}

/* A directory above it may be changing its mode. */
static void test_a_removal_waits_for_another_change_to_end(void **state)
{
    struct fixture *f = *state;
    const struct command command = {
        .op = COMMAND_UNLINK, .dir = DIR, .name = slice_of("a")};
    struct mode_change *change = &f->flow.mode_change;

    put_directory(f, "a", MODE_EVENTUAL);
    begin(f, REQUEST_RMDIR, &command);
    change->done(change, ERR_BUSY);
    pass(f, 4900);
    assert_int_equal(f->end_count, 0);
    change->done(change, 0);
    expect_end(f, 0);
    begin(f, REQUEST_RMDIR, &command);
    change->done(change, ERR_BUSY);
    pass(f, 5100);
    change->done(change, ERR_BUSY);
    expect_end(f, ERR_BUSY);
}

static void region_0_says(struct fixture *f, int status)
{
    const struct result result = {.status = status};
    struct router_call *call = f->node.call;

    assert_non_null(call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_MOVE);
    f->node.call = NULL;
    call->done(call, status, &result, 0);
}

/* Of directory "a" to the name "b". */
static void begin_move(struct fixture *f, unsigned flags)
{
    const struct command command = {.op = COMMAND_RENAME,
                                    .dir = DIR,
                                    .name = slice_of("a"),
                                    .to_dir = DIR,
                                    .to_name = slice_of("b"),
                                    .flags = flags};

    put_directory(f, "a", MODE_EVENTUAL);
    begin(f, REQUEST_RENAME, &command);
    accept_op(f, ERR_IS_DIR);
}

static void test_an_empty_directory_goes_for_another_one(void **state)
{
    struct fixture *f = *state;
    struct mode_change *change = &f->flow.mode_change;

    put_directory(f, "b", MODE_EVENTUAL);
    begin_move(f, 0);
    region_0_says(f, ERR_EXISTS);
    assert_int_equal(change->goal, MODE_REMOVE);
    assert_true(change->only_empty);
    change->done(change, ERR_BUSY);
    pass(f, 1000);
    accept_op(f, ERR_IS_DIR);
    region_0_says(f, ERR_EXISTS);
    change->done(change, 0);
    accept_op(f, ERR_IS_DIR);
    region_0_says(f, 0);
    has_caught_up(f, 0);
    expect_end(f, 0);
}

static void test_one_that_is_not_empty_does_not_go_for_another(void **state)
{
    struct fixture *f = *state;
    struct mode_change *change = &f->flow.mode_change;

    put_directory(f, "b", MODE_EVENTUAL);
    begin_move(f, 0);
    region_0_says(f, ERR_EXISTS);
    change->done(change, ERR_NOT_EMPTY);
    expect_end(f, ERR_NOT_EMPTY);
}

static void test_none_goes_for_one_that_is_not_to_replace_it(void **state)
{
    struct fixture *f = *state;

    put_directory(f, "b", MODE_EVENTUAL);
    begin_move(f, REQUEST_NOREPLACE);
    region_0_says(f, ERR_EXISTS);
    expect_end(f, ERR_EXISTS);
}

static void test_a_strong_one_goes_for_none(void **state)
{
    struct fixture *f = *state;

    begin_move(f, 0);
    put_directory(f, "b", MODE_STRONG);
    region_0_says(f, ERR_EXISTS);
    expect_end(f, ERR_EXISTS);
}

static void test_a_name_that_is_taken_may_not_be_known_here_yet(void **state)
{
    struct fixture *f = *state;

    begin_move(f, 0);
    region_0_says(f, ERR_EXISTS);
    has_caught_up(f, 0);
    accept_op(f, ERR_IS_DIR);
    region_0_says(f, ERR_EXISTS);
    expect_end(f, ERR_EXISTS);
}

static void test_only_directories_are_exchanged_with_directories(void **state)
{
    struct fixture *f = *state;

    begin_move(f, REQUEST_EXCHANGE);
    assert_null(f->node.call);
    expect_end(f, ERR_INVALID);
    put_directory(f, "b", MODE_EVENTUAL);
    begin_move(f, REQUEST_EXCHANGE);
    region_0_says(f, 0);
    has_caught_up(f, 0);
    expect_end(f, 0);
}

/* Regions know nothing of an eventual namespace. */
static void test_what_is_not_found_may_have_become_eventual(void **state)
{
    struct fixture *f = *state;
    const struct command command = {
        .op = COMMAND_LOOKUP, .dir = DIR, .name = slice_of("a")};

    put_file(f, "a");
    apply(f, MODE_STRONG, FENCE);
    f->flow = (struct flow){
        .flows = &f->flows, .request = &f->request, .command = command};
    assert_false(flow_start_eventual(&f->flow));
    assert_false(flow_failed_strong(&f->flow, ERR_EXISTS));
    assert_true(flow_failed_strong(&f->flow, ERR_NOT_FOUND));
    apply(f, MODE_EVENTUAL, FENCE + 1);
    has_caught_up(f, 0);
    expect_end(f, 0);
    assert_false(flow_failed_strong(&f->flow, ERR_NOT_FOUND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(test_what_may_be_old_is_said_by_this_node),
        FLOW_TEST(test_a_read_behind_a_fence_waits_for_region_0),
        FLOW_TEST(test_a_read_that_meets_damage_tells_of_it),
        FLOW_TEST(test_a_count_that_cannot_be_read_is_told_of),
        FLOW_TEST(test_a_read_waits_until_the_node_is_whole),
        FLOW_TEST(test_only_what_need_not_wait_is_read_at_once),
        FLOW_TEST(test_a_majority_says_that_a_directory_is_strong),
        FLOW_TEST(test_nothing_is_moved_to_a_strong_directory),
        FLOW_TEST(test_a_change_waits_for_a_fence_to_go),
        FLOW_TEST(test_a_change_does_not_wait_for_a_fence_for_ever),
        FLOW_TEST(test_the_attribute_changes_the_mode),
        FLOW_TEST(test_whoever_makes_a_directory_sees_it),
        FLOW_TEST(test_a_file_keeps_its_name_from_a_directory),
        FLOW_TEST(test_a_removal_waits_for_another_change_to_end),
        FLOW_TEST(test_an_empty_directory_goes_for_another_one),
        FLOW_TEST(test_one_that_is_not_empty_does_not_go_for_another),
        FLOW_TEST(test_none_goes_for_one_that_is_not_to_replace_it),
        FLOW_TEST(test_a_strong_one_goes_for_none),
        FLOW_TEST(test_a_name_that_is_taken_may_not_be_known_here_yet),
        FLOW_TEST(test_only_directories_are_exchanged_with_directories),
        FLOW_TEST(test_what_is_not_found_may_have_become_eventual),
    };

    return cmocka_run_group_tests_name("flow_eventual", tests, NULL, NULL);
}
