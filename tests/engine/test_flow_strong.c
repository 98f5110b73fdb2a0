/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of requests about strong directories whose names are in eventual
 * ones. */

#include "flow_fixture.h"

static const uint64_t strong_ino = INO_DIR_BIT | (DIR + 1);

static void begin_rmdir(struct fixture *f)
{
    const struct command command = {
        .op = COMMAND_UNLINK, .dir = DIR, .name = slice_of("a")};

    begin(f, REQUEST_RMDIR, &command);
}

/* ---- LOOKUP ---- */

static void test_what_it_is_like_the_regions_say(void **state)
{
    struct fixture *f = *state;

    put_directory(f, "a", MODE_STRONG);
    begin_lookup(f);
    assert_int_equal(f->end_count, 0);
    assert_int_equal(f->read_count, 1);
    assert_int_equal(f->flow.command.op, COMMAND_GETATTR);
    assert_int_equal(f->flow.command.ino, strong_ino);
}

static void test_of_an_eventual_one_no_region_is_asked(void **state)
{
    struct fixture *f = *state;

    put_directory(f, "a", MODE_EVENTUAL);
    begin_lookup(f);
    expect_end(f, 0);
    assert_int_equal(f->read_count, 0);
}

static void test_it_may_be_read_at_once(void **state)
{
    struct fixture *f = *state;
    const struct command command = {
        .op = COMMAND_LOOKUP, .dir = DIR, .name = slice_of("a")};
    struct result result = {.status = 0};

    put_directory(f, "a", MODE_STRONG);
    assert_false(flow_try_eventual(&f->node, &command, &result));
    assert_int_equal(result.attr.ino, 0);
    f->may_try = true;
    assert_true(flow_try_eventual(&f->node, &command, &result));
    assert_int_equal(f->tried.op, COMMAND_GETATTR);
    assert_int_equal(result.attr.ino, strong_ino);
    result_release(&result);
}

static void test_one_that_is_gone_is_not_found(void **state)
{
    static const struct {
        enum request_kind kind;
        int status;
        int expected;
    } rows[] = {{REQUEST_LOOKUP, ERR_STALE, ERR_NOT_FOUND},
                {REQUEST_LOOKUP, 0, 0},
                {REQUEST_GETATTR, ERR_STALE, ERR_STALE}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct request request = {.kind = rows[i].kind};

        assert_int_equal(flow_status_of_read(&request, rows[i].status),
                         rows[i].expected);
    }
}

/* ---- RMDIR ---- */

static void test_a_transaction_without_a_place_removes_it(void **state)
{
    struct fixture *f = *state;

    put_directory(f, "a", MODE_STRONG);
    begin_rmdir(f);
    assert_int_equal(f->txn_count, 1);
    assert_null(f->node.change);
    assert_true(f->flow.txn.has_no_place);
    assert_int_equal(f->flow.command.ino, strong_ino);
}

static void test_an_eventual_one_is_fenced_first(void **state)
{
    struct fixture *f = *state;

    put_directory(f, "a", MODE_EVENTUAL);
    begin_rmdir(f);
    assert_int_equal(f->txn_count, 0);
    assert_non_null(f->node.change);
    assert_int_equal(f->node.change->goal, MODE_REMOVE);
}

static void test_one_that_is_being_filled_waits(void **state)
{
    struct fixture *f = *state;

    put_directory(f, "a", MODE_STRONG);
    apply_mode_of(&f->node, DIR + 1, DIR,
                  (struct mode){MODE_STRONG, DIR + 1, FENCE, FENCE}, FENCE);
    begin_rmdir(f);
    assert_int_equal(f->txn_count, 0);
    assert_non_null(f->node.change);
}

/* A mount shows what it did. */
static void test_whoever_removes_one_sees_it_gone(void **state)
{
    struct fixture *f = *state;
    const struct attr none = {.ino = 0};

    put_directory(f, "a", MODE_STRONG);
    begin_rmdir(f);
    flow_show(&f->flow, &none);
    has_caught_up(f, ERR_NO_QUORUM);
    expect_end(f, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(test_what_it_is_like_the_regions_say),
        FLOW_TEST(test_of_an_eventual_one_no_region_is_asked),
        FLOW_TEST(test_it_may_be_read_at_once),
        FLOW_TEST(test_one_that_is_gone_is_not_found),
        FLOW_TEST(test_a_transaction_without_a_place_removes_it),
        FLOW_TEST(test_an_eventual_one_is_fenced_first),
        FLOW_TEST(test_one_that_is_being_filled_waits),
        FLOW_TEST(test_whoever_removes_one_sees_it_gone),
    };

    return cmocka_run_group_tests_name("flow_strong", tests, NULL, NULL);
}
