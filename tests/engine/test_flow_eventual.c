/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of requests about eventual namespaces, and for what they wait.
 * What region 0, a majority and the node's eventual entries say is the test's.
 */

#include "asking_node.h"

#include <sys/stat.h>

#include "engine/flow_impl.h"
#include "engine/status.h"

enum { STRONG_DIR = 8, NODE = 1 };

struct fixture {
    struct node node;
    struct flows flows;
    struct request request;
    struct flow flow;
    unsigned end_count;
    int status;
};

/* ---- node.h, eventual.h ---- */

uint64_t node_id(const struct node *node)
{
    (void)node;
    return NODE;
}

struct buf *status_lag(struct node *node, enum mode_state state)
{
    (void)node;
    return buf_copy(state == MODE_EVENTUAL ? "1.5" : "0.0", 3);
}

uint64_t node_new_ino(struct node *node)
{
    (void)node;
    return 77;
}

/* They are the node itself. */
struct eventual *node_eventual(const struct node *node)
{
    return (struct eventual *)(void *)node->self;
}

bool eventual_is_whole(const struct eventual *eventual)
{
    return ((const struct node *)(const void *)eventual)->is_whole;
}

void eventual_start(struct eventual *eventual, struct eventual_op *op)
{
    struct node *node = (struct node *)(void *)eventual;

    assert_null(node->op);
    node->op = op;
}

void eventual_cancel(struct eventual_op *op)
{
    (void)op;
}

/* ---- catch_up.h, mode_change.h ---- */

void catch_up_start(struct catch_up *catch_up, struct node *node)
{
    assert_null(node->catch_up);
    node->catch_up = catch_up;
}

void catch_up_cancel(struct catch_up *catch_up, struct node *node)
{
    (void)catch_up;
    (void)node;
}

void mode_change_start(struct mode_change *change, struct node *node)
{
    node->change = change;
}

void mode_change_cancel(struct mode_change *change)
{
    (void)change;
}

/* ---- flow.c ---- */

void flow_end(struct flow *flow, int status, const struct result *result)
{
    struct fixture *f = container_of(flow, struct fixture, flow);

    (void)result;
    f->end_count++;
    f->status = status;
}

void flow_start(struct flow *flow)
{
    assert_true(flow_start_eventual(flow));
}

/* ---- the node ---- */

/* Region 0 applies that a directory has this mode. */
static void apply(struct fixture *f, enum mode_state state, uint64_t epoch)
{
    struct mode mode = {.state = state};

    if (state != MODE_STRONG)
        mode = (struct mode){state, DIR, SINCE, epoch};
    apply_mode(&f->node, NSID_ROOT, mode, epoch);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    asking_node_init(&f->node);
    f->node.is_whole = true;
    f->flows.node = &f->node;
    f->flow.flows = &f->flows;
    apply(f, MODE_EVENTUAL, EPOCH);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    flow_cancel_eventual(&f->flow);
    asking_node_close(&f->node);
    free(f);
    return 0;
}

static void put_file(struct fixture *f, const char *name)
{
    struct kv *kv = f->node.fake.env.state;
    struct kv_batch *batch = kv_batch_new(kv);
    const struct eventual_record record = {
        .dir = DIR,
        .name = slice_of(name),
        .hlc = 1,
        .origin = NODE,
        .sequence = 1,
        .since = SINCE,
        .local = 1,
        .attr = {.ino = 77, .mode = S_IFREG | 0644},
    };

    eventual_put(batch, &record, NULL);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void pass(struct fixture *f, unsigned ms)
{
    for (unsigned at = 0; at < ms; at += 10)
        fake_env_pass(&f->node.fake, 10);
}

static void begin(struct fixture *f, enum request_kind kind,
                  const struct command *command)
{
    f->flow = (struct flow){.flows = &f->flows,
                            .request = &f->request,
                            .deadline_ns = f->node.fake.now_ns + 10000000000,
                            .command = *command};
    f->request = (struct request){.kind = kind};
    f->end_count = 0;
    assert_true(flow_start_eventual(&f->flow));
}

static void begin_lookup(struct fixture *f)
{
    const struct command command = {
        .op = COMMAND_LOOKUP, .dir = DIR, .name = slice_of("a")};

    begin(f, REQUEST_LOOKUP, &command);
}

static void begin_mkdir(struct fixture *f, const char *name)
{
    const struct command command = {
        .op = COMMAND_DIR_ADD, .dir = DIR, .name = slice_of(name)};

    begin(f, REQUEST_MKDIR, &command);
}

static void begin_unlink(struct fixture *f)
{
    const struct command command = {
        .op = COMMAND_UNLINK, .dir = DIR, .name = slice_of("a")};

    begin(f, REQUEST_UNLINK, &command);
}

static void expect_end(const struct fixture *f, int status)
{
    assert_int_equal(f->end_count, 1);
    assert_int_equal(f->status, status);
}

static void has_caught_up(struct fixture *f, int status)
{
    struct catch_up *catch_up = f->node.catch_up;

    assert_non_null(catch_up);
    assert_int_equal(f->end_count, 0);
    f->node.catch_up = NULL;
    catch_up->done(catch_up, status);
}

static void accept_op(struct fixture *f, int status)
{
    struct eventual_op *op = f->node.op;
    const struct result result = {.status = status};

    assert_non_null(op);
    f->node.op = NULL;
    op->done(op, status, &result);
}

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

static void put_directory(struct fixture *f, const char *name)
{
    struct kv *kv = f->node.fake.env.state;
    struct kv_batch *batch = kv_batch_new(kv);
    struct key key = key_directory_name(DIR, slice_of(name));
    uint8_t nsid[8];

    be64_put(nsid, DIR + 1);
    kv_batch_put(batch, key_slice(&key), (struct slice){nsid, sizeof nsid});
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

/* A directory above it may be changing its mode. */
static void test_a_removal_waits_for_another_change_to_end(void **state)
{
    struct fixture *f = *state;
    const struct command command = {
        .op = COMMAND_UNLINK, .dir = DIR, .name = slice_of("a")};
    struct mode_change *change = &f->flow.mode_change;

    put_directory(f, "a");
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

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_read_behind_a_fence_waits_for_region_0),
        TEST(test_a_read_waits_until_the_node_is_whole),
        TEST(test_only_what_need_not_wait_is_read_at_once),
        TEST(test_a_majority_says_that_a_directory_is_strong),
        TEST(test_nothing_is_moved_to_a_strong_directory),
        TEST(test_a_change_waits_for_a_fence_to_go),
        TEST(test_a_change_does_not_wait_for_a_fence_for_ever),
        TEST(test_the_attribute_changes_the_mode),
        TEST(test_whoever_makes_a_directory_sees_it),
        TEST(test_a_file_keeps_its_name_from_a_directory),
        TEST(test_a_removal_waits_for_another_change_to_end),
        TEST(test_what_is_not_found_may_have_become_eventual),
    };

    return cmocka_run_group_tests_name("flow_eventual", tests, NULL, NULL);
}
