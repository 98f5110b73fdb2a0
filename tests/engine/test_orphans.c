/* SPDX-License-Identifier: Apache-2.0 */

/* Which transactions a region's leader takes for abandoned. What is in state/
 * is the test's, and so is the settling. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/orphans.h"
#include "engine/settle.h"
#include "tests/sim/kv_mem.h"

enum { TIMEOUT_MS = 1000, DIR_NSID = 5, DEAD_NODE = 7, LIVE_NODE = 3 };

struct peer {
    struct region region;
};

struct node {
    struct env env;
    struct node_config config;
    uint64_t now_ns;
    struct peer *peer; /* the only one, which leads */
    unsigned settled;  /* ... was begun for so many */
    struct settle *settle;
    struct txn_id last;
    size_t met; /* how many namespaces came with it */
};

struct fixture {
    struct node node;
    struct peer peer;
    struct orphans *orphans;
};

/* ---- env.h, node.h, peer.h, settle.h ---- */

static uint64_t fake_clock(struct env *env)
{
    return container_of(env, struct node, env)->now_ns;
}

static const struct env_ops fake_ops = {.mono_ns = fake_clock};

struct env *node_env(struct node *node)
{
    return &node->env;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct peer *node_next_awake(const struct node *node, const struct peer *peer)
{
    return peer == NULL ? node->peer : NULL;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    (void)node;
    (void)level;
    (void)format;
}

bool peer_is_serving(const struct peer *peer)
{
    (void)peer;
    return true;
}

void peer_note_use(struct peer *peer)
{
    (void)peer;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

void settle_force(struct settle *settle, struct node *node,
                  const struct txn_ref *holder, struct domain met)
{
    assert_false(settle->active);
    node->met = met.count;
    domain_release(&met);
    settle->active = true;
    settle->txn = *holder;
    node->settled++;
    node->settle = settle;
    node->last = holder->id;
}

struct txn_ref txn_ref_copy(const struct txn_ref *from,
                            char names[2][NAME_SIZE_MAX])
{
    (void)names;
    return *from;
}

void settle_cancel(struct settle *settle)
{
    settle->active = false;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->node.env = (struct env){.ops = &fake_ops, .state = kv_mem_new()};
    f->node.config.op_timeout_ms = TIMEOUT_MS;
    f->node.now_ns = 1000;
    f->node.peer = &f->peer;
    f->orphans = orphans_new(&f->node);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    orphans_stop(f->orphans);
    orphans_free(f->orphans);
    kv_close(f->node.env.state);
    free(f);
    return 0;
}

static void put(struct fixture *f, struct key key, struct slice value)
{
    struct kv_batch *batch = kv_batch_new(f->node.env.state);

    kv_batch_put(batch, key_slice(&key), value);
    assert_int_equal(kv_write(f->node.env.state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void take_away(struct fixture *f, struct key key)
{
    struct kv_batch *batch = kv_batch_new(f->node.env.state);

    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(f->node.env.state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static struct txn_ref txn_of(uint64_t node, uint64_t sequence,
                             struct slice name)
{
    return (struct txn_ref){
        .id = {node, 1, sequence}, .dir = DIR_NSID, .name = name};
}

static void put_decision(struct fixture *f, uint64_t node, uint64_t sequence,
                         bool committed)
{
    struct decision decision = {.txn = txn_of(node, sequence, slice_of("a")),
                                .committed = committed};
    struct buf *bytes = decision_encode(&decision);

    put(f, key_decision(node, 1, sequence),
        (struct slice){bytes->data, bytes->size});
    buf_unref(bytes);
}

static void put_intent(struct fixture *f, uint64_t node, uint64_t sequence,
                       const char *name)
{
    struct entry entry = {.kind = ENTRY_INTENT,
                          .txn = txn_of(node, sequence, slice_of(name))};
    struct buf *bytes = entry_encode(&entry);

    put(f, key_user('d', DIR_NSID, slice_of(name)),
        (struct slice){bytes->data, bytes->size});
    put(f, key_user('x', DIR_NSID, slice_of(name)), (struct slice){NULL, 0});
    buf_unref(bytes);
}

static void take_intent_away(struct fixture *f, const char *name)
{
    take_away(f, key_user('d', DIR_NSID, slice_of(name)));
    take_away(f, key_user('x', DIR_NSID, slice_of(name)));
}

/* Once a second, until any coordinator must have given up. */
static void tick(struct fixture *f)
{
    f->node.now_ns += 1000000000;
    orphans_tick(f->orphans);
}

static void look_long_enough(struct fixture *f)
{
    for (int i = 0; i <= (TIMEOUT_MS + SETTLE_PATIENCE_MS) / 1000; i++)
        tick(f);
}

/* ---- tests ---- */

static void test_what_stays_is_settled_when_its_time_is_up(void **state)
{
    struct fixture *f = *state;

    f->peer.region.id = REGION_FIRST_DATA;
    put_intent(f, DEAD_NODE, 1, "a");
    tick(f);
    assert_int_equal(f->node.settled, 0);
    look_long_enough(f);
    assert_int_equal(f->node.settled, 1);
    assert_int_equal(f->node.last.node, DEAD_NODE);
}

static void test_what_is_being_settled_is_not_settled_twice(void **state)
{
    struct fixture *f = *state;

    f->peer.region.id = REGION_FIRST_DATA;
    put_intent(f, DEAD_NODE, 1, "a");
    look_long_enough(f);
    look_long_enough(f);
    assert_int_equal(f->node.settled, 1);
}

static void test_what_could_not_be_settled_gets_its_time_again(void **state)
{
    struct fixture *f = *state;

    f->peer.region.id = REGION_FIRST_DATA;
    put_intent(f, DEAD_NODE, 1, "a");
    look_long_enough(f);
    f->node.settle->active = false;
    f->node.settle->done(f->node.settle, ERR_NO_QUORUM);
    tick(f);
    assert_int_equal(f->node.settled, 1);
    look_long_enough(f);
    assert_int_equal(f->node.settled, 2);
}

static void put_closed(struct fixture *f, uint64_t nsid, uint64_t sequence)
{
    const struct slice start = {NULL, 0};
    struct namespace_record record = {
        .closing = txn_of(DEAD_NODE, sequence, slice_of("a"))};
    struct buf *bytes;

    record.closing.closes_nsid = nsid;
    bytes = namespace_encode(&record);
    put(f, key_namespace(nsid, start), buf_slice(bytes));
    put(f, key_namespace_mark(nsid, start), start);
    buf_unref(bytes);
}

/* A directory was to become eventual, with all below it: ten parts are closed,
 * and the first one that is asked about was decided so. */
static void settle_closed(struct fixture *f, bool commit)
{
    struct settle *first;

    f->peer.region.id = REGION_FIRST_DATA;
    for (uint64_t nsid = 10; nsid < 20; nsid++)
        put_closed(f, nsid, 1);
    look_long_enough(f);
    assert_int_equal(f->node.settled, 1);
    assert_int_equal(f->node.met, 0);
    first = f->node.settle;
    first->active = false;
    first->commit = commit;
    first->done(first, 0);
}

static void test_what_was_aborted_is_undone_together(void **state)
{
    struct fixture *f = *state;

    settle_closed(f, false);
    tick(f);
    assert_int_equal(f->node.settled, 1 + 1);
    assert_int_equal(f->node.met, 10);
    tick(f);
    assert_int_equal(f->node.settled, 1 + 1);
}

/* What the same node finds in another region that it leads. */
static void test_each_region_undoes_what_is_in_it(void **state)
{
    struct fixture *f = *state;

    settle_closed(f, false);
    tick(f);
    f->peer.region.id++;
    tick(f);
    assert_int_equal(f->node.settled, 1 + 2);
    assert_int_equal(f->node.met, 10);
}

/* The rest is undone next. */
static void test_so_many_of_an_abort_are_undone_at_once(void **state)
{
    struct fixture *f = *state;

    for (uint64_t nsid = 100; nsid < 100 + 2 * TXNS_SEEN_MAX; nsid++)
        put_closed(f, nsid, 1);
    settle_closed(f, false);
    tick(f);
    assert_int_equal(f->node.settled, 1 + 1);
    assert_int_equal(f->node.met, TXNS_SEEN_MAX);
}

static void test_a_commit_is_completed_once(void **state)
{
    struct fixture *f = *state;

    settle_closed(f, true);
    tick(f);
    assert_int_equal(f->node.settled, 1);
    look_long_enough(f);
    assert_int_equal(f->node.settled, 2);
}

/* They stay until their sender says that it waits for them no more, and what
 * the cluster has removed says nothing. */
static void test_aborts_that_stay_hide_no_commit(void **state)
{
    struct fixture *f = *state;

    f->peer.region.id = REGION_PLACEMENT;
    for (uint64_t i = 0; i < 2 * TXNS_SEEN_MAX; i++)
        put_decision(f, LIVE_NODE, i + 1, false);
    put_decision(f, DEAD_NODE, 1, true);
    look_long_enough(f);
    assert_int_equal(f->node.settled, 1);
    assert_int_equal(f->node.last.node, DEAD_NODE);
}

/* Others come and go before it, more than can be settled at once. */
static void test_what_is_at_work_hides_nothing_abandoned(void **state)
{
    struct fixture *f = *state;
    uint64_t sequence = 0;

    f->peer.region.id = REGION_FIRST_DATA;
    put_intent(f, DEAD_NODE, 1, "z");
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 2 * ORPHANS_MAX; i++) {
            char name[] = {'a', (char)('0' + i / 16), (char)('0' + i % 16),
                           '\0'};

            take_intent_away(f, name);
            put_intent(f, LIVE_NODE, ++sequence, name);
        }
        tick(f);
    }
    assert_int_equal(f->node.settled, 1);
    assert_int_equal(f->node.last.node, DEAD_NODE);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_stays_is_settled_when_its_time_is_up),
        TEST(test_what_is_being_settled_is_not_settled_twice),
        TEST(test_what_could_not_be_settled_gets_its_time_again),
        TEST(test_what_was_aborted_is_undone_together),
        TEST(test_each_region_undoes_what_is_in_it),
        TEST(test_so_many_of_an_abort_are_undone_at_once),
        TEST(test_a_commit_is_completed_once),
        TEST(test_aborts_that_stay_hide_no_commit),
        TEST(test_what_is_at_work_hides_nothing_abandoned),
    };

    return cmocka_run_group_tests_name("orphans", tests, NULL, NULL);
}
