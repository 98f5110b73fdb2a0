/* SPDX-License-Identifier: Apache-2.0 */

/* Directories that become strong without some nodes: what the decision says of
 * the lives that it ends, and when that goes again. */

#include <sys/stat.h>

#include "engine/left_out.h"
#include "engine/node.h"
#include "exec_fixture.h"
#include "exec_regions.h"
#include "tests/engine/kv_helpers.h"

#define ROOT NSID_ROOT

enum { T = 101, A = 102, OWN = 103, LATE = 1024 };

/* t/a, with a directory of a mode of its own beside a. */
static int setup_tree(void **state)
{
    struct exec_fixture *f;

    (void)setup_exec(state);
    f = *state;
    assert_int_equal(make_dir(f, ROOT, "t"), T);
    assert_int_equal(make_dir(f, T, "a"), A);
    assert_int_equal(make_eventual(f, T, "e"), OWN);
    return 0;
}

static void become_eventual(struct exec_fixture *f)
{
    struct test_txn txn = txn_to_eventual(f, ROOT, "t", T);

    txn.command.offset = begin_filling(f, T);
    assert_true(commit_until(f, &txn, UINT32_MAX));
}

/* In a; its life begins later than that of the others. */
static void add_late(struct exec_fixture *f)
{
    assert_int_equal(run(f, &(struct command){.op = COMMAND_DIR_ADD,
                                              .dir = A,
                                              .name = slice_of("late"),
                                              .set.mode = S_IFDIR | 0700}),
                     0);
    assert_int_equal(mode_of(f, LATE).since, f->version);
}

static struct test_txn txn_fenced(struct exec_fixture *f)
{
    uint64_t epoch = set_mode(f, T, MODE_FENCED, mode_of(f, T).epoch);

    return txn_to_strong(f, ROOT, "t", T, epoch);
}

/* Returns what the decision came to, and ends the transaction. */
static int decide_with(struct exec_fixture *f, struct slice data)
{
    struct test_txn txn = txn_fenced(f);
    struct test_prepare p = prepare_begin(&txn);
    int rc;

    assert_int_equal(prepare_all(f, &p), 0);
    p.txn.command.data = data;
    rc = decide_prepared(f, &p);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    check_settled(f);
    return rc;
}

static void become_strong_without(struct exec_fixture *f,
                                  const struct left_out *left_out)
{
    struct buf *bytes = left_out_encode(left_out);

    assert_int_equal(decide_with(f, buf_slice(bytes)), 0);
    buf_unref(bytes);
    assert_int_equal(mode_of(f, T).state, MODE_STRONG);
}

/* Nodes 2, up to its change 20, and 3, up to 30. */
static struct left_out two(void)
{
    struct left_out left_out = {.count = 0};

    left_out_add(&left_out, 2, 20);
    left_out_add(&left_out, 3, 30);
    return left_out;
}

static void put_node(struct exec_fixture *f, uint64_t id, enum node_state as)
{
    struct node_record node = {.id = id, .state = as, .address = "a:1"};
    struct buf *bytes = node_encode(&node);

    put_relaxed(f->state, key_node(id), buf_slice(bytes));
    buf_unref(bytes);
}

static void put_placement(struct exec_fixture *f)
{
    struct region region = {
        .conf_ver = 1,
        .version = 1,
        .peers = {{1, 1, PEER_VOTER}},
        .peer_count = 1,
        .voters = {1},
        .voter_count = 1,
        .peer_max = 1,
    };
    struct buf *bytes = region_encode(&region);

    put_relaxed(f->state, key_region(REGION_PLACEMENT), buf_slice(bytes));
    buf_unref(bytes);
}

static void remove_node(struct exec_fixture *f, uint64_t id)
{
    struct command c = {.op = COMMAND_NODE_STATE,
                        .target_node = id,
                        .node_state = NODE_DRAINING};

    assert_int_equal(run(f, &c), 0);
    c.node_state = NODE_REMOVED;
    c.offset = f->version;
    assert_int_equal(run(f, &c), 0);
}

static struct left_out left_out_of(struct exec_fixture *f, uint64_t nsid,
                                   uint64_t since)
{
    struct left_out left_out;

    assert_int_equal(left_out_get(f->state, nsid, since, &left_out), 0);
    return left_out;
}

static void expect_two(struct exec_fixture *f, uint64_t nsid, uint64_t since)
{
    struct left_out left_out = left_out_of(f, nsid, since);

    assert_int_equal(left_out.count, 2);
    assert_int_equal(left_out.of[0].node, 2);
    assert_int_equal(left_out.of[0].sequence, 20);
    assert_int_equal(left_out.of[1].node, 3);
    assert_int_equal(left_out.of[1].sequence, 30);
}

static unsigned count_records(struct exec_fixture *f)
{
    unsigned count = 0;
    uint64_t nsid = 0;
    uint64_t since = 0;

    while (left_out_next(f->state, nsid, since, &nsid, &since) == 0) {
        count++;
        since++;
    }
    return count;
}

/* ---- to strong ---- */

static void test_each_life_that_ends_says_without_whom(void **state)
{
    const struct left_out left_out = two();
    struct exec_fixture *f = *state;
    uint64_t since;
    uint64_t late;

    become_eventual(f);
    add_late(f);
    since = mode_of(f, T).since;
    late = mode_of(f, LATE).since;
    assert_true(late > since);
    assert_int_equal(mode_of(f, A).since, since);
    become_strong_without(f, &left_out);
    expect_two(f, T, since);
    expect_two(f, A, since);
    expect_two(f, LATE, late);
    assert_int_equal(count_records(f), 3);
}

static void test_what_is_made_strong_with_all_says_nothing(void **state)
{
    struct exec_fixture *f = *state;

    become_eventual(f);
    assert_int_equal(decide_with(f, slice_of("")), 0);
    assert_int_equal(mode_of(f, T).state, MODE_STRONG);
    assert_int_equal(count_records(f), 0);
}

/* The next life is another one. */
static void test_a_record_stays_when_a_new_life_begins(void **state)
{
    const struct left_out left_out = two();
    struct exec_fixture *f = *state;
    uint64_t first;

    become_eventual(f);
    first = mode_of(f, T).since;
    become_strong_without(f, &left_out);
    become_eventual(f);
    expect_two(f, T, first);
    assert_int_equal(left_out_of(f, T, mode_of(f, T).since).count, 0);
    assert_int_equal(decide_with(f, slice_of("")), 0);
    expect_two(f, T, first);
    assert_int_equal(count_records(f), 2);
}

static void abort_prepared(struct exec_fixture *f, struct test_prepare *p)
{
    settle_txn(f, &p->ref);
    prepare_end(p);
    settle_orphans(f);
    check_settled(f);
}

/* A replica that stopped at it would have all others stop, too. */
static void test_bytes_that_say_nothing_change_nothing(void **state)
{
    const struct slice bytes[] = {slice_of("\x01"), slice_of("\x7f"),
                                  slice_of("none")};
    struct exec_fixture *f = *state;
    struct test_txn txn;
    struct test_prepare p;

    become_eventual(f);
    txn = txn_fenced(f);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
        p.txn.command.data = bytes[i];
        assert_int_equal(decide_prepared(f, &p), ERR_INVALID);
        assert_false(f->result.decided);
        assert_int_equal(mode_of(f, T).state, MODE_FENCED);
        assert_int_equal(mode_of(f, A).state, MODE_FENCED);
        assert_int_equal(count_records(f), 0);
    }
    abort_prepared(f, &p);
}

static void test_an_abort_says_nothing_of_it(void **state)
{
    const struct left_out left_out = two();
    struct buf *bytes = left_out_encode(&left_out);
    struct exec_fixture *f = *state;
    struct test_txn txn;
    struct test_prepare p;

    become_eventual(f);
    txn = txn_fenced(f);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), 0);
    (void)set_mode(f, T, MODE_EVENTUAL, txn.command.offset);
    p.txn.command.data = buf_slice(bytes);
    assert_int_equal(decide_prepared(f, &p), ERR_BUSY);
    assert_int_equal(count_records(f), 0);
    abort_prepared(f, &p);
    buf_unref(bytes);
}

/* ---- nodes that go ---- */

/* Both are nodes of the cluster; returns the life of T. */
static uint64_t begin_with_nodes(struct exec_fixture *f)
{
    put_placement(f);
    put_node(f, 2, NODE_UP);
    put_node(f, 3, NODE_UP);
    become_eventual(f);
    return mode_of(f, T).since;
}

static void test_who_is_removed_is_taken_out(void **state)
{
    const struct left_out left_out = two();
    struct exec_fixture *f = *state;
    uint64_t since = begin_with_nodes(f);

    become_strong_without(f, &left_out);
    remove_node(f, 2);
    assert_int_equal(count_records(f), 2);
    assert_int_equal(left_out_of(f, A, since).count, 1);
    assert_int_equal(left_out_of(f, T, since).of[0].node, 3);
    assert_int_equal(left_out_of(f, T, since).of[0].sequence, 30);
    remove_node(f, 3);
    assert_int_equal(count_records(f), 0);
}

/* It may be drained no more. */
static void test_who_is_drained_is_not_taken_out(void **state)
{
    const struct left_out left_out = two();
    struct command c = {.op = COMMAND_NODE_STATE,
                        .target_node = 2,
                        .node_state = NODE_DRAINING};
    struct exec_fixture *f = *state;
    uint64_t since = begin_with_nodes(f);

    become_strong_without(f, &left_out);
    assert_int_equal(run(f, &c), 0);
    expect_two(f, T, since);
    c.node_state = NODE_UP;
    assert_int_equal(run(f, &c), 0);
    expect_two(f, T, since);
}

static void test_who_was_removed_meanwhile_does_not_come_in(void **state)
{
    const struct left_out left_out = two();
    struct exec_fixture *f = *state;
    uint64_t since = begin_with_nodes(f);

    remove_node(f, 2);
    become_strong_without(f, &left_out);
    assert_int_equal(left_out_of(f, T, since).count, 1);
    assert_int_equal(left_out_of(f, T, since).of[0].node, 3);
    become_eventual(f);
    remove_node(f, 3);
    assert_int_equal(count_records(f), 0);
    become_strong_without(f, &left_out);
    assert_int_equal(count_records(f), 0);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_tree, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_life_that_ends_says_without_whom),
        TEST(test_what_is_made_strong_with_all_says_nothing),
        TEST(test_a_record_stays_when_a_new_life_begins),
        TEST(test_bytes_that_say_nothing_change_nothing),
        TEST(test_an_abort_says_nothing_of_it),
        TEST(test_who_is_removed_is_taken_out),
        TEST(test_who_is_drained_is_not_taken_out),
        TEST(test_who_was_removed_meanwhile_does_not_come_in),
    };

    return cmocka_run_group_tests_name("exec_left_out", tests, NULL, NULL);
}
