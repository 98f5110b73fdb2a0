/* SPDX-License-Identifier: Apache-2.0 */

/* What changes of modes and abandoned fences ask region 0 for, and when. What
 * region 0, transactions and other nodes say is the test's. */

#include "asking_node.h"

#include "engine/eventual_record.h"
#include "engine/mode_change.h"
#include "engine/pull.h"
#include "tests/engine/kv_helpers.h"

enum { PARENT = 6, MISSING = 3 };

struct fixture {
    struct node node;
    struct peer peer;
    struct mode_change change;
    bool only_empty; /* goes to the change */
    bool over;
    int status;
};

/* ---- node.h, peer.h ---- */

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    assert_int_equal(region, REGION_PLACEMENT);
    return node->peer;
}

struct mode_changes *node_mode_changes(const struct node *node)
{
    return node->changes;
}

bool peer_is_leader(const struct peer *peer)
{
    return peer->leads;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    (void)node;
    (void)level;
    (void)format;
}

/* Each of these is the node itself. */

struct pulls *node_pulls(const struct node *node)
{
    return (struct pulls *)(void *)node->self;
}

struct reader *node_reader(const struct node *node)
{
    return (struct reader *)(void *)node->self;
}

struct txns *node_txns(const struct node *node)
{
    return (struct txns *)(void *)node->self;
}

/* ---- pull.h, router.h, reader.h, txn.h ---- */

bool pulls_hear_all(struct pulls *pulls, uint64_t *ret_missing)
{
    const struct node *node = (const struct node *)(void *)pulls;

    *ret_missing = MISSING;
    return node->hears_all;
}

bool pulls_are_drained(struct pulls *pulls, uint64_t fence,
                       uint64_t *ret_missing)
{
    const struct node *node = (const struct node *)(void *)pulls;

    *ret_missing = MISSING;
    return node->told_fence >= fence;
}

void router_cancel(struct router *router, struct router_call *call)
{
    struct node *node = (struct node *)(void *)router;

    call->active = false;
    if (node->call == call)
        node->call = NULL;
}

void reader_start(struct reader *reader, struct read_op *op)
{
    struct node *node = (struct node *)(void *)reader;
    struct result result = {.status = node->read_status};

    op->done(op, node->read_status, &result);
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    (void)reader;
    (void)op;
}

void txns_start(struct txns *txns, struct txn_op *op,
                const struct command *command)
{
    struct node *node = (struct node *)(void *)txns;

    assert_null(node->txn);
    node->txn = op;
    node->transaction = *command;
}

void txns_detach(struct txn_op *op)
{
    (void)op;
}

/* ---- the node ---- */

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    asking_node_init(&f->node);
    f->node.peer = &f->peer;
    f->node.hears_all = true;
    f->node.config.op_timeout_ms = 10000;
    f->node.changes = mode_changes_new(&f->node);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    mode_change_cancel(&f->change);
    mode_changes_stop(f->node.changes);
    mode_changes_free(f->node.changes);
    asking_node_close(&f->node);
    free(f);
    return 0;
}

/* Region 0 applies that DIR has this mode. */
static void apply(struct fixture *f, enum mode_state state, uint64_t domain,
                  uint64_t epoch)
{
    const struct mode mode = {state, domain, SINCE, epoch};

    apply_mode(&f->node, PARENT, mode, epoch);
}

static void put_entries(struct fixture *f, uint64_t count)
{
    const struct eventual_namespace record = {.entry_count = count};
    struct buf *bytes = eventual_namespace_encode(&record);

    put_record(f->node.fake.env.state, key_eventual_namespace(DIR),
               buf_slice(bytes));
    buf_unref(bytes);
}

static void ended(struct mode_change *change, int status)
{
    struct fixture *f = container_of(change, struct fixture, change);

    assert_false(f->over);
    f->over = true;
    f->status = status;
}

static void start(struct fixture *f, enum mode_goal goal)
{
    f->change = (struct mode_change){.nsid = DIR,
                                     .goal = goal,
                                     .only_empty = f->only_empty,
                                     .deadline_ns = UINT64_MAX,
                                     .done = ended};
    mode_change_start(&f->change, &f->node);
}

static void pass(struct fixture *f, unsigned ms)
{
    for (unsigned at = 0; at < ms; at += 10)
        fake_env_pass(&f->node.fake, 10);
}

/* The mode of DIR that region 0 is asked for. */
static void expect_asked(const struct fixture *f, enum mode_state state,
                         uint64_t epoch)
{
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_MODE);
    assert_int_equal(f->node.asked.ino, ino_of_nsid(DIR));
    assert_int_equal(f->node.asked.size, state);
    assert_int_equal(f->node.asked.offset, epoch);
}

static void answer(struct fixture *f, int status)
{
    const struct result result = {.status = status, .first_id = FENCE};
    struct router_call *call = f->node.call;

    f->node.call = NULL;
    call->active = false;
    call->done(call, status, &result, 0);
}

/* Up to where the fence is put up. */
static void start_fenced(struct fixture *f, enum mode_goal goal)
{
    start(f, goal);
    expect_asked(f, MODE_FENCED, EPOCH);
    answer(f, 0);
}

static void expect_end(const struct fixture *f, int status)
{
    assert_true(f->over);
    assert_int_equal(f->status, status);
    assert_null(f->node.call);
    assert_null(f->node.txn);
}

/* ---- changes ---- */

static void test_a_directory_becomes_strong_when_all_have_told(void **state)
{
    struct fixture *f = *state;
    struct txn_op *txn;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_TO_STRONG);
    apply(f, MODE_FENCED, DIR, FENCE);
    pass(f, 100);
    assert_null(f->node.txn);
    f->node.told_fence = FENCE;
    pass(f, 20);
    txn = f->node.txn;
    assert_non_null(txn);
    assert_int_equal(f->node.transaction.txn_kind, TXN_TO_STRONG);
    assert_int_equal(f->node.transaction.offset, FENCE);
    assert_false(f->over);
    f->node.txn = NULL;
    txn->done(txn, 0, NULL);
    expect_end(f, 0);
}

static void test_the_fence_has_to_be_on_this_node_too(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    f->node.told_fence = FENCE;
    start_fenced(f, MODE_TO_STRONG);
    pass(f, 100);
    assert_null(f->node.txn);
    apply(f, MODE_FENCED, DIR, FENCE);
    pass(f, 20);
    assert_non_null(f->node.txn);
}

static void test_what_came_before_the_fence_keeps_it_from_removal(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    start_fenced(f, MODE_REMOVE);
    apply(f, MODE_FENCED, PARENT, FENCE);
    put_entries(f, 1);
    f->node.told_fence = FENCE;
    pass(f, 20);
    expect_asked(f, MODE_EVENTUAL, FENCE);
    assert_false(f->over);
    answer(f, 0);
    expect_end(f, ERR_NOT_EMPTY);
}

static void test_what_has_files_is_not_fenced_to_be_removed(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    put_entries(f, 1);
    f->only_empty = true;
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NOT_EMPTY);
    f->over = false;
    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    f->only_empty = false;
    start(f, MODE_REMOVE);
    expect_end(f, ERR_NOT_EMPTY);
}

static void test_files_become_strong_with_their_directory(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    put_entries(f, 1);
    start_fenced(f, MODE_TO_STRONG);
    apply(f, MODE_FENCED, DIR, FENCE);
    f->node.told_fence = FENCE;
    pass(f, 20);
    assert_non_null(f->node.txn);
    assert_int_equal(f->node.transaction.txn_kind, TXN_TO_STRONG);
}

/* Others would wait for it until region 0's leader does. */
static void test_whoever_gives_up_takes_the_fence_away(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_TO_STRONG);
    mode_change_cancel(&f->change);
    expect_asked(f, MODE_EVENTUAL, FENCE);
    assert_false(f->over);
    answer(f, 0);
    start(f, MODE_TO_STRONG);
    assert_non_null(f->node.call);
    mode_change_cancel(&f->change);
    assert_null(f->node.call);
}

static void test_there_is_no_fence_where_a_node_is_away(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    f->node.hears_all = false;
    start(f, MODE_TO_STRONG);
    pass(f, 1000);
    assert_null(f->node.call);
    assert_false(f->over);
    pass(f, 10000);
    expect_end(f, ERR_NO_QUORUM);
}

static void test_a_node_that_does_not_tell_keeps_it_eventual(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_TO_STRONG);
    apply(f, MODE_FENCED, DIR, FENCE);
    pass(f, FENCE_MS - 100);
    assert_null(f->node.call);
    pass(f, 200);
    expect_asked(f, MODE_EVENTUAL, FENCE);
    answer(f, 0);
    expect_end(f, ERR_NO_QUORUM);
}

/* It may be done: by whom it was decided is not known. */
static void test_an_unknown_outcome_leaves_the_fence_alone(void **state)
{
    struct fixture *f = *state;
    struct txn_op *txn;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_TO_STRONG);
    apply(f, MODE_FENCED, DIR, FENCE);
    f->node.told_fence = FENCE;
    pass(f, 20);
    txn = f->node.txn;
    f->node.txn = NULL;
    txn->done(txn, ERR_UNKNOWN_OUTCOME, NULL);
    expect_end(f, ERR_UNKNOWN_OUTCOME);
}

static void test_a_mode_is_changed_where_it_is_set(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NOT_PERMITTED);
    f->over = false;
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start(f, MODE_REMOVE);
    expect_end(f, ERR_NOT_PERMITTED);
}

static void test_what_inherits_its_mode_is_removed_by_one_entry(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    start_fenced(f, MODE_REMOVE);
    apply(f, MODE_FENCED, PARENT, FENCE);
    f->node.told_fence = FENCE;
    pass(f, 20);
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_REMOVE);
    assert_int_equal(f->node.asked.dir, PARENT);
    assert_int_equal(f->node.asked.offset, FENCE);
    answer(f, 0);
    expect_end(f, 0);
}

static void test_to_become_eventual_takes_no_fence(void **state)
{
    struct fixture *f = *state;
    struct txn_op *txn;

    apply(f, MODE_STRONG, 0, EPOCH);
    start(f, MODE_TO_EVENTUAL);
    assert_null(f->node.call);
    txn = f->node.txn;
    assert_non_null(txn);
    assert_int_equal(f->node.transaction.txn_kind, TXN_TO_EVENTUAL);
    f->node.txn = NULL;
    txn->done(txn, ERR_ABORTED, NULL);
    expect_end(f, ERR_BUSY);
}

static void test_nothing_begins_without_a_majority(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    f->node.read_status = ERR_NO_QUORUM;
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NO_QUORUM);
}

/* ---- fences that nobody takes away ---- */

static void pass_seconds(struct fixture *f, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        fake_env_pass(&f->node.fake, 1000);
        mode_changes_each_second(f->node.changes);
    }
}

static void test_the_leader_takes_an_abandoned_fence_away(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_FENCED, DIR, FENCE);
    pass_seconds(f, 30);
    assert_null(f->node.call);
    f->peer.leads = true;
    pass_seconds(f, 9);
    assert_null(f->node.call);
    pass_seconds(f, 2);
    expect_asked(f, MODE_EVENTUAL, FENCE);
}

static void test_a_fence_behind_another_one_gets_its_own_time(void **state)
{
    struct fixture *f = *state;

    f->peer.leads = true;
    apply(f, MODE_FENCED, DIR, FENCE);
    pass_seconds(f, 9);
    apply(f, MODE_EVENTUAL, DIR, FENCE + 1);
    apply(f, MODE_FENCED, DIR, FENCE + 2);
    pass_seconds(f, 9);
    assert_null(f->node.call);
    pass_seconds(f, 2);
    expect_asked(f, MODE_EVENTUAL, FENCE + 2);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_directory_becomes_strong_when_all_have_told),
        TEST(test_the_fence_has_to_be_on_this_node_too),
        TEST(test_what_came_before_the_fence_keeps_it_from_removal),
        TEST(test_what_has_files_is_not_fenced_to_be_removed),
        TEST(test_files_become_strong_with_their_directory),
        TEST(test_whoever_gives_up_takes_the_fence_away),
        TEST(test_there_is_no_fence_where_a_node_is_away),
        TEST(test_a_node_that_does_not_tell_keeps_it_eventual),
        TEST(test_an_unknown_outcome_leaves_the_fence_alone),
        TEST(test_a_mode_is_changed_where_it_is_set),
        TEST(test_what_inherits_its_mode_is_removed_by_one_entry),
        TEST(test_to_become_eventual_takes_no_fence),
        TEST(test_nothing_begins_without_a_majority),
        TEST(test_the_leader_takes_an_abandoned_fence_away),
        TEST(test_a_fence_behind_another_one_gets_its_own_time),
    };

    return cmocka_run_group_tests_name("mode_change", tests, NULL, NULL);
}
