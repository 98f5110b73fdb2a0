/* SPDX-License-Identifier: Apache-2.0 */

/* What a read waits for before this node's replica may be read, where another
 * node leads. The peer and the way to its leader are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/barrier.h"
#include "engine/router.h"
#include "tests/engine/fake_env.h"

enum { START_MS = 1000, INDEX = 40 };

struct peer {
    bool leads;
    uint64_t current_ns; /* the last that was noted */
    struct applied_waiter *waiter;
};

struct node {
    struct fake_env fake;
    struct peer peer;
    struct router_call *call; /* under way */
    unsigned asked_count;
    struct barrier *barrier;
};

/* ---- node.h, peer.h, router.h ---- */

struct env *node_env(struct node *node)
{
    return &node->fake.env;
}

struct router *node_router(const struct node *node)
{
    (void)node;
    return NULL;
}

uint64_t peer_region_id(const struct peer *peer)
{
    (void)peer;
    return REGION_FIRST_DATA;
}

bool peer_is_leader(const struct peer *peer)
{
    return peer->leads;
}

bool peer_leads(const struct peer *peer, uint64_t now_ns)
{
    (void)now_ns;
    return peer->leads;
}

uint64_t peer_leader_node(const struct peer *peer)
{
    (void)peer;
    return 2;
}

uint64_t peer_commit(const struct peer *peer)
{
    (void)peer;
    return INDEX;
}

void peer_note_use(struct peer *peer)
{
    (void)peer;
}

void peer_read_index(struct peer *peer, struct index_request *request)
{
    (void)peer;
    (void)request;
    fail(); /* It leads under a lease, or another node does. */
}

void peer_wait_applied(struct peer *peer, struct applied_waiter *waiter,
                       uint64_t index)
{
    waiter->index = index;
    if (index == 0)
        waiter->done(waiter);
    else
        peer->waiter = waiter;
}

void peer_stop_waiting(struct peer *peer, struct applied_waiter *waiter)
{
    (void)waiter;
    peer->waiter = NULL;
}

void peer_note_current(struct peer *peer, uint64_t ns)
{
    peer->current_ns = ns;
}

bool peer_is_current(const struct peer *peer, uint64_t since_ns)
{
    return since_ns != 0 && peer->current_ns >= since_ns;
}

void router_to_region(struct router_call *call, uint64_t region)
{
    (void)call;
    assert_int_equal(region, REGION_FIRST_DATA);
}

static struct node *the_node; /* the_node's calls are the router's */

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    (void)router;
    assert_null(command);
    the_node->call = call;
    the_node->asked_count++;
}

void router_cancel(struct router *router, struct router_call *call)
{
    (void)router;
    if (the_node->call == call)
        the_node->call = NULL;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    the_node = node;
    fake_env_init(&node->fake, NULL, NULL);
    fake_env_pass(&node->fake, START_MS);
    node->barrier = barrier_new(node, &node->peer);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    barrier_free(node->barrier);
    free(node);
    return 0;
}

struct reading {
    struct barrier_wait wait;
    bool done;
};

static void passed(struct barrier_wait *wait)
{
    container_of(wait, struct reading, wait)->done = true;
}

/* From which moment on it is to see everything; 0: now. */
static void begin(struct node *node, struct reading *reading, uint64_t since_ns)
{
    *reading = (struct reading){.wait = {.done = passed, .since_ns = since_ns}};
    barrier_wait(node->barrier, &reading->wait);
}

static void answer(struct node *node)
{
    struct router_call *call = node->call;

    node->call = NULL;
    call->done(call, 0, NULL, INDEX);
}

static void apply(struct node *node)
{
    struct applied_waiter *waiter = node->peer.waiter;

    assert_int_equal(waiter->index, INDEX);
    node->peer.waiter = NULL;
    waiter->done(waiter);
}

static void end_round(struct node *node)
{
    answer(node);
    apply(node);
}

static uint64_t now_ns(struct node *node)
{
    return env_mono_ns(&node->fake.env);
}

/* ---- tests ---- */

static void test_a_read_waits_for_an_index_and_that_it_is_applied(void **state)
{
    struct node *node = *state;
    struct reading reading;

    begin(node, &reading, 0);
    assert_int_equal(node->asked_count, 1);
    answer(node);
    assert_false(reading.done);
    apply(node);
    assert_true(reading.done);
}

static void test_what_comes_while_others_ask_asks_after_them(void **state)
{
    struct node *node = *state;
    struct reading first;
    struct reading second;

    begin(node, &first, 0);
    begin(node, &second, 0);
    assert_int_equal(node->asked_count, 1);
    end_round(node);
    assert_true(first.done);
    assert_false(second.done);
    assert_int_equal(node->asked_count, 2);
    end_round(node);
    assert_true(second.done);
}

static void test_what_began_before_a_round_needs_no_other(void **state)
{
    struct node *node = *state;
    uint64_t before_ns = now_ns(node);
    struct reading first;
    struct reading second;

    begin(node, &first, 0);
    end_round(node);
    begin(node, &second, before_ns);
    assert_true(second.done);
    assert_int_equal(node->asked_count, 1);
}

/* Others may have been told of a change while it was under way. */
static void test_what_began_during_a_round_asks_again(void **state)
{
    struct node *node = *state;
    uint64_t during_ns;
    struct reading first;
    struct reading second;

    begin(node, &first, 0);
    fake_env_pass(&node->fake, 1);
    during_ns = now_ns(node);
    answer(node);
    fake_env_pass(&node->fake, 1);
    apply(node);
    begin(node, &second, during_ns);
    assert_false(second.done);
    assert_int_equal(node->asked_count, 2);
    end_round(node);
    assert_true(second.done);
}

static void test_a_round_counts_when_it_is_applied(void **state)
{
    struct node *node = *state;
    uint64_t before_ns = now_ns(node);
    struct reading first;
    struct reading second;

    begin(node, &first, 0);
    answer(node);
    begin(node, &second, before_ns);
    assert_false(second.done);
    assert_int_equal(node->asked_count, 2);
    apply(node);
    assert_true(first.done);
    end_round(node);
    assert_true(second.done);
}

/* What is acknowledged under a lease is not known to be here later. */
static void test_a_lease_says_nothing_of_later_reads(void **state)
{
    struct node *node = *state;
    uint64_t before_ns = now_ns(node);
    struct reading first;
    struct reading second;

    node->peer.leads = true;
    begin(node, &first, 0);
    apply(node);
    assert_true(first.done);
    assert_int_equal(node->peer.current_ns, 0);
    node->peer.leads = false;
    begin(node, &second, before_ns);
    assert_false(second.done);
    assert_int_equal(node->asked_count, 1);
    barrier_cancel(&second.wait);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* clang-format off */
        cmocka_unit_test_setup_teardown(test_a_read_waits_for_an_index_and_that_it_is_applied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_comes_while_others_ask_asks_after_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_began_before_a_round_needs_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_began_during_a_round_asks_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_round_counts_when_it_is_applied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lease_says_nothing_of_later_reads, setup, teardown),
        /* clang-format on */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
