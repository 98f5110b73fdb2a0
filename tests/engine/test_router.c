/* SPDX-License-Identifier: Apache-2.0 */

/* What a call may conclude from answers that come late, twice or for somebody
 * else, on a node that holds no region itself. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/range.h"
#include "tests/engine/lone_node.h"

enum { DEADLINE_MS = 1000 };

struct fixture {
    struct node node;
    struct router_call call;
    unsigned done_count;
    int status;
};

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    lone_node_init(&f->node);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    lone_node_shut_down(&f->node);
    free(f);
    return 0;
}

static void on_done(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct fixture *f = container_of(call, struct fixture, call);

    (void)result;
    (void)index;
    f->done_count++;
    f->status = status;
}

static void start(struct fixture *f)
{
    struct command command = {
        .op = COMMAND_UNLINK, .dir = 1, .name = slice_of("a")};

    f->call = (struct router_call){
        .kind = CALL_PROPOSE,
        .region = REGION_FIRST_DATA,
        .deadline_ns = f->node.now_ns + DEADLINE_MS * UINT64_C(1000000),
        .done = on_done};
    f->done_count = 0;
    router_call(f->node.router, &f->call, &command);
}

static void answer(struct fixture *f, const struct call_return *answer,
                   struct buf *payload)
{
    struct buf *header = call_return_encode(answer);
    struct env_packet packet = {.type = WIRE_RETURN,
                                .header = header,
                                .payloads = &payload,
                                .payload_count = payload != NULL ? 1 : 0};

    router_on_return(f->node.router, &packet);
    buf_unref(header);
}

/* By one that does not lead, and knows as leader `leader`. */
static void refuse(struct fixture *f, uint64_t ticket, uint64_t leader,
                   bool proposed)
{
    answer(f,
           &(struct call_return){.ticket = ticket,
                                 .status = ERR_NOT_LEADER,
                                 .leader_node = leader,
                                 .proposed = proposed},
           NULL);
}

static void succeed(struct fixture *f, uint64_t ticket)
{
    struct buf *bytes = result_encode(&(struct result){.status = 0});

    answer(f, &(struct call_return){.ticket = ticket}, bytes);
    buf_unref(bytes);
}

/* ---- tests ---- */

static void test_an_answer_ends_a_call(void **state)
{
    struct fixture *f = *state;

    start(f);
    succeed(f, f->node.sent.ticket);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, 0);
    succeed(f, f->node.sent.ticket);
    assert_int_equal(f->done_count, 1);
}

static void test_a_refusal_leads_to_the_leader(void **state)
{
    struct fixture *f = *state;

    start(f);
    refuse(f, f->node.sent.ticket, 2, false);
    assert_int_equal(f->node.sent_count, 2);
    assert_int_equal(f->node.sent_to, 2);
}

/* The attempt under way may still be applied, whatever the earlier one says. */
static void test_a_refusal_that_comes_twice_counts_once(void **state)
{
    struct fixture *f = *state;
    uint64_t first;

    start(f);
    first = f->node.sent.ticket;
    refuse(f, first, 2, false);
    refuse(f, first, 2, false);
    assert_int_equal(f->node.sent_count, 2);
    lone_node_pass(&f->node, DEADLINE_MS);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_UNKNOWN_OUTCOME);
}

/* Nothing is under way at the deadline. */
static void test_what_was_only_refused_is_surely_not_applied(void **state)
{
    struct fixture *f = *state;

    start(f);
    lone_node_pass(&f->node, DEADLINE_MS - 5);
    refuse(f, f->node.sent.ticket, 0, false);
    lone_node_pass(&f->node, 5);
    assert_int_equal(f->status, ERR_NO_QUORUM);
}

static void test_what_was_in_a_log_may_still_be_applied(void **state)
{
    struct fixture *f = *state;

    start(f);
    refuse(f, f->node.sent.ticket, 2, true);
    lone_node_pass(&f->node, DEADLINE_MS - 5);
    refuse(f, f->node.sent.ticket, 0, false);
    lone_node_pass(&f->node, 5);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_UNKNOWN_OUTCOME);
}

/* ---- regions that are elsewhere ---- */

/* Region 7 has [a, m) of the root's names, 8 what is behind that. */
static struct region region_seven(uint64_t version)
{
    static struct key start;
    static struct key end;

    start = key_user('d', NSID_ROOT, slice_of("a"));
    end = key_user('d', NSID_ROOT, slice_of("m"));
    return (struct region){
        .id = 7,
        .conf_ver = 1,
        .version = version,
        .start = key_user_part(&start),
        .end = key_user_part(&end),
        .peers = {{1, 1, PEER_VOTER}, {2, 2, PEER_VOTER}, {3, 3, PEER_VOTER}},
        .peer_count = 3};
}

static void tell(struct fixture *f, const struct region *region,
                 uint64_t leader)
{
    struct buf *header = located_encode(
        &(struct located){.region = *region, .leader_node = leader});
    struct env_packet packet = {.type = WIRE_LOCATED, .header = header};

    router_on_located(f->node.router, &packet);
    buf_unref(header);
}

static void start_at_place(struct fixture *f, const char *name)
{
    struct command command = {
        .op = COMMAND_UNLINK, .dir = NSID_ROOT, .name = slice_of(name)};

    f->call = (struct router_call){
        .kind = CALL_PROPOSE,
        .deadline_ns = f->node.now_ns + DEADLINE_MS * UINT64_C(1000000),
        .done = on_done};
    router_to_place(&f->call, NSID_ROOT, slice_of(name));
    f->done_count = 0;
    router_call(f->node.router, &f->call, &command);
}

/* The leader that is known, of a region of another version. */
static void refuse_version(struct fixture *f, const struct region *region)
{
    struct buf *payload = located_encode(
        &(struct located){.region = *region, .leader_node = f->node.sent_to});

    answer(f,
           &(struct call_return){.ticket = f->node.sent.ticket,
                                 .status = ERR_EPOCH,
                                 .leader_node = f->node.sent_to},
           payload);
    buf_unref(payload);
}

static void test_a_call_goes_to_the_region_that_has_its_place(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    tell(f, &seven, 2);
    start_at_place(f, "b");
    assert_int_equal(f->node.asked_count, 0);
    assert_int_equal(f->node.sent.region, 7);
    assert_int_equal(f->node.sent_to, 2);
    assert_int_equal(f->node.sent_version, 3);
}

static void test_all_nodes_are_asked_who_has_an_unknown_place(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    start_at_place(f, "b");
    assert_int_equal(f->node.asked_count, NODE_COUNT);
    assert_int_equal(f->node.sent_count, 0);
    tell(f, &seven, 2);
    lone_node_pass(&f->node, 0);
    assert_int_equal(f->node.sent_to, 2);
}

static void test_no_place_until_the_deadline_means_not_applied(void **state)
{
    struct fixture *f = *state;

    start_at_place(f, "b");
    for (unsigned i = 0; i < DEADLINE_MS / 10; i++)
        lone_node_pass(&f->node, 10);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_NO_QUORUM);
}

static void refuse_by_all(struct fixture *f, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        refuse(f, f->node.sent.ticket, 0, false);
        lone_node_pass(&f->node, 10);
    }
}

/* None of them knows a leader. */
static void test_each_node_is_tried_in_turn(void **state)
{
    struct fixture *f = *state;

    start(f);
    refuse_by_all(f, NODE_COUNT - 1);
    for (unsigned i = 1; i <= NODE_COUNT; i++)
        assert_int_equal(f->node.tried[i], 1);
}

static void test_each_node_is_tried_that_does_not_answer(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->call.deadline_ns = 0;
    for (unsigned i = 1; i < NODE_COUNT; i++)
        lone_node_pass(&f->node, 1000);
    for (unsigned i = 1; i <= NODE_COUNT; i++)
        assert_int_equal(f->node.tried[i], 1);
}

/* Its replicas have all moved: a node that was not said to have one does. */
static void
test_at_last_nodes_are_tried_that_are_not_said_to_have_it(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    tell(f, &seven, 0);
    start_at_place(f, "b");
    refuse_by_all(f, 20);
    assert_true(f->node.tried[4] > 0);
    assert_true(f->node.asked_count > 0);
}

static void test_a_refusal_teaches_the_regions_version(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    tell(f, &seven, 2);
    start_at_place(f, "b");
    seven.version = 4;
    refuse_version(f, &seven);
    assert_int_equal(f->node.sent_count, 2);
    assert_int_equal(f->node.sent_version, 4);
}

/* What it told was known: at once it would only refuse again. */
static void test_a_refusal_that_teaches_nothing_is_waited_out(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    tell(f, &seven, 2);
    start_at_place(f, "b");
    refuse_version(f, &seven);
    assert_int_equal(f->node.sent_count, 1);
    lone_node_pass(&f->node, 10);
    assert_int_equal(f->node.sent_count, 2);
}

/* The command was in a log, and had no effect there. */
static void test_a_copy_that_missed_its_region_is_sent_anew(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);
    struct buf *bytes = result_encode(&(struct result){.status = ERR_EPOCH});

    tell(f, &seven, 2);
    start_at_place(f, "b");
    answer(f, &(struct call_return){.ticket = f->node.sent.ticket}, bytes);
    assert_int_equal(f->done_count, 0);
    lone_node_pass(&f->node, 10);
    assert_int_equal(f->node.sent_count, 2);
    buf_unref(bytes);
}

static void test_what_names_two_regions_ends(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);
    struct buf *bytes = result_encode(&(struct result){.status = ERR_EPOCH});

    tell(f, &seven, 2);
    start_at_place(f, "b");
    f->call.names_more = true;
    answer(f, &(struct call_return){.ticket = f->node.sent.ticket}, bytes);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_EPOCH);
    buf_unref(bytes);
}

static void test_no_answer_of_an_earlier_boot_fits(void **state)
{
    struct fixture *f = *state;
    uint64_t ticket;

    start(f);
    ticket = f->node.sent.ticket;
    lone_node_shut_down(&f->node);
    lone_node_boot(&f->node);
    start(f);
    succeed(f, ticket);
    assert_int_equal(f->done_count, 0);
    succeed(f, f->node.sent.ticket);
    assert_int_equal(f->done_count, 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_answer_ends_a_call),
        TEST(test_a_refusal_leads_to_the_leader),
        TEST(test_a_refusal_that_comes_twice_counts_once),
        TEST(test_what_was_only_refused_is_surely_not_applied),
        TEST(test_what_was_in_a_log_may_still_be_applied),
        TEST(test_a_call_goes_to_the_region_that_has_its_place),
        TEST(test_all_nodes_are_asked_who_has_an_unknown_place),
        TEST(test_no_place_until_the_deadline_means_not_applied),
        TEST(test_each_node_is_tried_in_turn),
        TEST(test_each_node_is_tried_that_does_not_answer),
        TEST(test_at_last_nodes_are_tried_that_are_not_said_to_have_it),
        TEST(test_a_refusal_teaches_the_regions_version),
        TEST(test_a_refusal_that_teaches_nothing_is_waited_out),
        TEST(test_a_copy_that_missed_its_region_is_sent_anew),
        TEST(test_what_names_two_regions_ends),
        TEST(test_no_answer_of_an_earlier_boot_fits),
    };

    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
