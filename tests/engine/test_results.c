/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>

#include "engine/node.h"
#include "engine/results.h"
#include "exec_fixture.h"
#include "tests/engine/kv_helpers.h"

enum { REGION = 1, NODE = 3 };

struct fixture {
    struct kv *state;
    struct results *results;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->state = exec_state_new();
    assert_int_equal(results_open(&f->results, f->state, REGION), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    results_free(f->results);
    kv_close(f->state);
    free(f);
    return 0;
}

static struct command command(uint64_t boot, uint64_t sequence, uint64_t lowest)
{
    return (struct command){.op = COMMAND_WRITE,
                            .node = NODE,
                            .boot = boot,
                            .sequence = sequence,
                            .lowest = lowest};
}

static void add(struct fixture *f, struct command c, const char *text)
{
    struct kv_batch *batch = kv_batch_new(f->state);
    struct slice bytes = slice_of(text);
    struct buf *result = buf_copy(bytes.data, bytes.size);

    results_add(f->results, &c, result, batch);
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    buf_unref(result);
    kv_batch_free(batch);
}

static void reload(struct fixture *f)
{
    results_free(f->results);
    assert_int_equal(results_open(&f->results, f->state, REGION), 0);
}

static void expect_one(struct fixture *f, struct command c, int status,
                       const char *text)
{
    struct buf *result = NULL;

    assert_int_equal(results_find(f->results, &c, &result), status);
    if (status == 0)
        assert_true(slice_equal(slice_of(text), buf_slice(result)));
    buf_unref(result);
}

/* What is answered now, and what after a restart. */
static void expect(struct fixture *f, struct command c, int status,
                   const char *text)
{
    expect_one(f, c, status, text);
    reload(f);
    expect_one(f, c, status, text);
}

static void test_a_command_is_new_once(void **state)
{
    struct fixture *f = *state;

    expect(f, command(1, 5, 5), ERR_NOT_FOUND, NULL);
    add(f, command(1, 5, 5), "five");
    expect(f, command(1, 5, 5), 0, "five");
    expect(f, command(1, 6, 5), ERR_NOT_FOUND, NULL);
}

/* Later ones may come first: they were proposed at once. */
static void test_order_does_not_count(void **state)
{
    struct fixture *f = *state;

    add(f, command(1, 7, 5), "seven");
    expect(f, command(1, 5, 5), ERR_NOT_FOUND, NULL);
    add(f, command(1, 5, 5), "five");
    add(f, command(1, 6, 5), "six");
    expect(f, command(1, 5, 5), 0, "five");
    expect(f, command(1, 6, 5), 0, "six");
    expect(f, command(1, 7, 5), 0, "seven");
}

static void test_what_nobody_waits_for_is_forgotten_and_refused(void **state)
{
    struct fixture *f = *state;

    add(f, command(1, 5, 5), "five");
    add(f, command(1, 6, 5), "six");
    add(f, command(1, 7, 6), "seven");
    expect(f, command(1, 5, 5), ERR_CANCELED, NULL);
    expect(f, command(1, 6, 5), 0, "six");
    assert_int_equal(count_class(f->state, "m"), 3);
}

/* An old copy of a command cannot bring back what a newer one dropped. */
static void test_lowest_never_goes_back(void **state)
{
    struct fixture *f = *state;

    add(f, command(1, 7, 7), "seven");
    add(f, command(1, 8, 3), "eight");
    expect(f, command(1, 5, 5), ERR_CANCELED, NULL);
    expect(f, command(1, 8, 3), 0, "eight");
}

static void test_a_newer_boot_drops_the_older_one_s(void **state)
{
    struct fixture *f = *state;

    add(f, command(1, 5, 5), "five");
    expect(f, command(2, 5, 1), ERR_NOT_FOUND, NULL);
    add(f, command(2, 1, 1), "one");
    expect(f, command(1, 5, 5), ERR_CANCELED, NULL);
    expect(f, command(1, 99, 99), ERR_CANCELED, NULL);
    expect(f, command(2, 5, 1), ERR_NOT_FOUND, NULL);
    expect(f, command(2, 1, 1), 0, "one");
    assert_int_equal(count_class(f->state, "m"), 2);
}

static void test_senders_are_apart(void **state)
{
    struct fixture *f = *state;
    struct command other = command(1, 5, 5);

    other.node = 4;
    add(f, command(2, 5, 5), "three's");
    expect(f, other, ERR_NOT_FOUND, NULL);
    add(f, other, "four's");
    expect(f, other, 0, "four's");
    expect(f, command(2, 5, 5), 0, "three's");
}

/* The memory of an abort goes with its transaction, so a DECIDE that is still
 * on its way must go, too. */
static void test_a_decide_counts_while_its_transaction_is_held(void **state)
{
    struct fixture *f = *state;
    struct command decide = command(1, 9, 5);

    decide.op = COMMAND_TXN_DECIDE;
    decide.txn.id = (struct txn_id){NODE, 1, 5};
    add(f, command(1, 6, 5), "six");
    expect(f, decide, ERR_NOT_FOUND, NULL);
    add(f, command(1, 7, 7), "seven");
    expect(f, decide, ERR_CANCELED, NULL);
}

static void put_decision(struct fixture *f, uint64_t sequence, bool committed)
{
    struct kv_batch *batch = kv_batch_new(f->state);
    struct key key = key_decision(NODE, 1, sequence);
    struct decision decision = {.txn.id = {NODE, 1, sequence},
                                .committed = committed};
    struct buf *bytes = decision_encode(&decision);

    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    buf_unref(bytes);
    kv_batch_free(batch);
}

static bool has_decision(struct fixture *f, uint64_t sequence)
{
    return has_record(f->state, key_decision(NODE, 1, sequence));
}

/* Commits are forgotten by FORGET, aborts when nobody can ask to commit them
 * any more. */
static void test_an_abort_is_remembered_while_its_sender_waits(void **state)
{
    struct fixture *f = *state;

    results_free(f->results);
    assert_int_equal(results_open(&f->results, f->state, REGION_PLACEMENT), 0);
    put_decision(f, 5, false);
    put_decision(f, 6, true);
    put_decision(f, 7, false);
    add(f, command(1, 9, 5), "nine");
    assert_true(has_decision(f, 5));
    add(f, command(1, 10, 7), "ten");
    assert_false(has_decision(f, 5));
    assert_true(has_decision(f, 6));
    assert_true(has_decision(f, 7));
}

/* Its intents would wait for nobody. */
static void test_a_prepare_counts_while_its_transaction_is_held(void **state)
{
    struct fixture *f = *state;
    struct command prepare = command(1, 9, 5);

    prepare.op = COMMAND_TXN_PREPARE;
    prepare.txn.id = (struct txn_id){NODE, 1, 5};
    add(f, command(1, 6, 5), "six");
    expect(f, prepare, ERR_NOT_FOUND, NULL);
    add(f, command(1, 7, 7), "seven");
    expect(f, prepare, ERR_CANCELED, NULL);
}

/* ---- a new region ---- */

static void copy_to(struct fixture *f, uint64_t region)
{
    struct kv_batch *batch = kv_batch_new(f->state);

    assert_int_equal(results_copy(f->state, REGION, region, batch), 0);
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

/* From here on `f` is about that region. */
static void go_to(struct fixture *f, uint64_t region)
{
    results_free(f->results);
    assert_int_equal(results_open(&f->results, f->state, region), 0);
}

static void test_a_new_region_remembers_what_the_old_one_did(void **state)
{
    struct fixture *f = *state;
    struct command other = command(4, 9, 9);

    other.node = NODE + 1;
    add(f, command(2, 5, 5), "five");
    add(f, other, "nine");
    copy_to(f, 8);
    go_to(f, 8);
    expect_one(f, command(2, 5, 5), 0, "five");
    expect_one(f, command(2, 4, 4), ERR_CANCELED, NULL);
    expect_one(f, command(1, 6, 6), ERR_CANCELED, NULL);
    expect_one(f, command(2, 6, 6), ERR_NOT_FOUND, NULL);
    expect_one(f, other, 0, "nine");
}

static void test_the_old_region_and_the_new_one_forget_apart(void **state)
{
    struct fixture *f = *state;

    add(f, command(1, 5, 5), "five");
    copy_to(f, 8);
    add(f, command(1, 6, 6), "six");
    expect(f, command(1, 5, 5), ERR_CANCELED, NULL);
    go_to(f, 8);
    expect_one(f, command(1, 5, 5), 0, "five");
    expect_one(f, command(1, 6, 6), ERR_NOT_FOUND, NULL);
}

static void test_only_one_region_is_copied(void **state)
{
    struct fixture *f = *state;

    go_to(f, REGION + 1);
    add(f, command(1, 5, 5), "the neighbour's");
    go_to(f, REGION);
    copy_to(f, 8);
    go_to(f, 8);
    expect_one(f, command(1, 5, 5), ERR_NOT_FOUND, NULL);
}

/* ---- two regions become one ---- */

/* `f` unites what region 8 remembers with what its own does. */
static int unite(struct fixture *f)
{
    struct kv_batch *batch = kv_batch_new(f->state);
    int rc = results_unite(f->results, 8, batch);

    if (rc == 0)
        assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    return rc;
}

static void add_to_8(struct fixture *f, struct command c, const char *text)
{
    go_to(f, 8);
    add(f, c, text);
    go_to(f, REGION);
}

static void test_what_both_regions_remember_is_united(void **state)
{
    struct fixture *f = *state;
    struct command other = command(1, 9, 9);

    other.node = 4;
    add(f, command(1, 5, 5), "five");
    add_to_8(f, command(1, 6, 5), "six");
    add_to_8(f, other, "four's");
    assert_int_equal(unite(f), 0);
    expect(f, command(1, 5, 5), 0, "five");
    expect(f, command(1, 6, 5), 0, "six");
    expect(f, other, 0, "four's");
    expect(f, command(1, 7, 5), ERR_NOT_FOUND, NULL);
}

/* They were one when it was applied. */
static void test_what_both_have_answered_is_remembered_once(void **state)
{
    struct fixture *f = *state;

    add(f, command(1, 5, 5), "five");
    copy_to(f, 8);
    add(f, command(1, 6, 5), "six");
    assert_int_equal(unite(f), 0);
    expect(f, command(1, 5, 5), 0, "five");
    expect(f, command(1, 6, 5), 0, "six");
    assert_int_equal(count_class(f->state, "m"), 3 + 2);
    add(f, command(1, 7, 7), "seven");
    assert_int_equal(count_class(f->state, "m"), 2 + 2);
}

static void test_the_sender_of_either_has_stopped_waiting(void **state)
{
    struct fixture *f = *state;

    add(f, command(1, 5, 5), "five");
    add(f, command(1, 8, 5), "eight");
    add_to_8(f, command(1, 7, 7), "seven");
    assert_int_equal(unite(f), 0);
    expect(f, command(1, 5, 5), ERR_CANCELED, NULL);
    expect(f, command(1, 7, 7), 0, "seven");
    expect(f, command(1, 8, 7), 0, "eight");
    add(f, command(1, 9, 9), "nine");
    add_to_8(f, command(1, 10, 7), "ten");
    assert_int_equal(unite(f), 0);
    expect(f, command(1, 7, 7), ERR_CANCELED, NULL);
    expect(f, command(1, 8, 8), ERR_CANCELED, NULL);
    expect(f, command(1, 9, 9), 0, "nine");
    expect(f, command(1, 10, 9), 0, "ten");
}

static void test_the_newer_boot_counts_when_united(void **state)
{
    struct fixture *f = *state;
    struct command other = command(1, 5, 5);

    other.node = 4;
    add(f, command(1, 5, 5), "old");
    add_to_8(f, command(2, 3, 3), "new");
    add_to_8(f, other, "old");
    other.boot = 2;
    other.sequence = other.lowest = 2;
    add(f, other, "new");
    assert_int_equal(unite(f), 0);
    expect(f, command(1, 5, 5), ERR_CANCELED, NULL);
    expect(f, command(2, 3, 3), 0, "new");
    expect(f, command(2, 5, 3), ERR_NOT_FOUND, NULL);
    expect(f, other, 0, "new");
    other.sequence = 5;
    expect(f, other, ERR_NOT_FOUND, NULL);
}

static void test_a_damaged_memory_is_not_united(void **state)
{
    struct fixture *f = *state;

    put_record(f->state, key_sender(8, NODE), slice_of("\x01\xff\xff"));
    assert_int_equal(unite(f), ERR_CORRUPT);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_command_is_new_once),
        TEST(test_order_does_not_count),
        TEST(test_what_nobody_waits_for_is_forgotten_and_refused),
        TEST(test_lowest_never_goes_back),
        TEST(test_a_newer_boot_drops_the_older_one_s),
        TEST(test_senders_are_apart),
        TEST(test_a_decide_counts_while_its_transaction_is_held),
        TEST(test_an_abort_is_remembered_while_its_sender_waits),
        TEST(test_a_prepare_counts_while_its_transaction_is_held),
        TEST(test_a_new_region_remembers_what_the_old_one_did),
        TEST(test_the_old_region_and_the_new_one_forget_apart),
        TEST(test_only_one_region_is_copied),
        TEST(test_what_both_regions_remember_is_united),
        TEST(test_what_both_have_answered_is_remembered_once),
        TEST(test_the_sender_of_either_has_stopped_waiting),
        TEST(test_the_newer_boot_counts_when_united),
        TEST(test_a_damaged_memory_is_not_united),
    };

    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
