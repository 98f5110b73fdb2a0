/* SPDX-License-Identifier: Apache-2.0 */

/* When a node gives its changes new versions, and what it keeps from the others
 * meanwhile: restamp.h. Node A has changes that are an hour ahead. */

#include "pull_fixture.h"

#include <string.h>

#include "engine/clocks.h"
#include "engine/floor.h"
#include "engine/keys.h"
#include "engine/restamp.h"

enum { A = 1, B = 2, C = 3, CONF_VER = 4, TRIED_MS = 30000 };

static const uint64_t hour_ns = UINT64_C(3600) * 1000 * 1000 * 1000;

static struct restamps *restamps;
static bool clocks_agree;

/* ---- node.h and clocks.h ---- */

struct clocks *node_clocks(const struct node *node)
{
    return (struct clocks *)(uintptr_t)node;
}

struct pulls *node_pulls(const struct node *node)
{
    return node->pulls;
}

bool clocks_all_agree(const struct clocks *clocks)
{
    (void)clocks;
    return clocks_agree;
}

int clocks_read(const struct clocks *clocks, uint64_t *ret_wall_ns)
{
    struct node *node = (struct node *)(uintptr_t)clocks;

    *ret_wall_ns = env_wall_ns(&node->fake.env);
    return 0;
}

/* ---- region 0 ---- */

static void put(struct node *node, struct key key, struct slice value)
{
    struct kv_batch *batch = kv_batch_new(node->state);

    kv_batch_put(batch, key_slice(&key), value);
    assert_int_equal(kv_write(node->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void put_members(struct cluster *c)
{
    struct region region = {.conf_ver = CONF_VER, .version = 1};
    struct buf *bytes;

    for (size_t i = 0; i < c->count; i++) {
        region.peers[i] = (struct region_peer){i + 1, i + 1, PEER_VOTER};
        region.voters[i] = i + 1;
    }
    region.peer_count = region.voter_count = region.peer_max = c->count;
    bytes = region_encode(&region);
    for (size_t i = 0; i < c->count; i++)
        put(&c->nodes[i], key_region(REGION_PLACEMENT), buf_slice(bytes));
    buf_unref(bytes);
}

/* What its leader does where a node wants that. */
static void withdraw(struct cluster *c)
{
    struct node *a = node_of(c, A);
    struct floor_members members;
    struct floor floor;
    uint8_t bytes[16];

    assert_int_equal(floor_members_get(a->state, &members), 0);
    if (!eventual_must_withdraw(a->eventual, members.roll))
        return;
    assert_int_equal(floor_get(a->state, NULL, &floor), 0);
    be64_put(bytes, floor.hlc);
    be64_put(bytes + 8, floor.withdrawn + 1);
    for (size_t i = 0; i < c->count; i++)
        put(&c->nodes[i], key_floor(), (struct slice){bytes, sizeof bytes});
}

/* ---- time ---- */

static void pass_second(struct cluster *c)
{
    for (unsigned at = 0; at < 10; at++) {
        pass(c, 100);
        restamps_tick(restamps);
        settle(c);
        withdraw(c);
    }
    for (size_t i = 0; i < c->count; i++) {
        assert_int_equal(kv_flush(c->nodes[i].state, true, NULL), 0);
        eventual_tick(c->nodes[i].eventual);
    }
    restamps_each_second(restamps);
    settle(c);
}

static void pass_ms(struct cluster *c, unsigned ms)
{
    for (unsigned at = 0; at < ms; at += 1000)
        pass_second(c);
}

/* ---- what there is ---- */

static struct cluster *begin(size_t count)
{
    struct cluster *c = cluster_new(count);

    put_members(c);
    clocks_agree = true;
    restamps = restamps_new(node_of(c, A));
    return c;
}

static void end(struct cluster *c)
{
    restamps_stop(restamps);
    cluster_free(c);
    restamps_free(restamps);
}

static void put_ahead(struct cluster *c, const char *name)
{
    struct node *a = node_of(c, A);

    a->fake.ahead_ns = hour_ns;
    put_text_file(a, name, name);
    settle(c);
    a->fake.ahead_ns = 0;
}

static bool is_ahead(void)
{
    return restamps_ahead_ms(restamps) != 0;
}

static void expect_warning(struct cluster *c, const char *text)
{
    assert_non_null(strstr(node_of(c, A)->warning, text));
}

/* ---- it is done ---- */

static void test_others_get_what_was_ahead(void **state)
{
    struct cluster *c = begin(3);

    (void)state;
    put_ahead(c, "a");
    pass_ms(c, 3000);
    assert_in_range(restamps_ahead_ms(restamps), 3590000, 3600000);
    pass_ms(c, TRIED_MS);
    assert_false(is_ahead());
    expect_warning(c, "1 of its changes");
    expect_file(node_of(c, B), "a", "a");
    expect_file(node_of(c, C), "a", "a");
    put_text_file(node_of(c, A), "b", "later");
    pass(c, 100);
    expect_file(node_of(c, B), "b", "later");
    end(c);
}

static void test_what_others_tell_is_taken_meanwhile(void **state)
{
    struct cluster *c = begin(2);

    (void)state;
    put_ahead(c, "a");
    put_text_file(node_of(c, B), "a", "of B");
    pass_ms(c, TRIED_MS);
    expect_file(node_of(c, A), "a", "a");
    expect_file(node_of(c, B), "a", "a");
    end(c);
}

static void test_it_is_done_once(void **state)
{
    struct cluster *c = begin(2);
    unsigned warnings;

    (void)state;
    put_ahead(c, "a");
    pass_ms(c, TRIED_MS);
    warnings = node_of(c, A)->warnings;
    pass_ms(c, TRIED_MS);
    assert_int_equal(node_of(c, A)->warnings, warnings);
    end(c);
}

/* Less than two clocks may be apart is over before it is done. */
static void test_a_little_ahead_is_waited_for(void **state)
{
    struct cluster *c = begin(2);
    struct node *a = node_of(c, A);

    (void)state;
    a->fake.ahead_ns = UINT64_C(900) * 1000 * 1000;
    put_text_file(a, "a", "a");
    settle(c);
    a->fake.ahead_ns = 0;
    assert_false(is_ahead());
    pass_ms(c, 2000);
    assert_int_equal(a->warnings, 0);
    expect_file(node_of(c, B), "a", "a");
    end(c);
}

/* ---- it is not ---- */

static void test_nothing_is_done_while_clocks_differ(void **state)
{
    struct cluster *c = begin(2);

    (void)state;
    clocks_agree = false;
    put_ahead(c, "a");
    pass_ms(c, TRIED_MS);
    assert_true(is_ahead());
    expect_file(node_of(c, B), "a", NULL);
    clocks_agree = true;
    pass_ms(c, TRIED_MS);
    assert_false(is_ahead());
    expect_file(node_of(c, B), "a", "a");
    end(c);
}

/* It is not known what has come to that one. But others are told all the time.
 */
static void test_who_is_silent_is_waited_for(void **state)
{
    struct cluster *c = begin(3);
    unsigned answers;

    (void)state;
    put_ahead(c, "a");
    cut(c, A, C);
    pass_ms(c, TRIED_MS);
    assert_true(is_ahead());
    expect_file(node_of(c, B), "a", NULL);
    answers = node_of(c, A)->answers;
    pass_ms(c, 2000);
    assert_true(node_of(c, A)->answers > answers);
    connect_again(c, A, C);
    pass_ms(c, 3 * TRIED_MS);
    assert_false(is_ahead());
    expect_file(node_of(c, C), "a", "a");
    end(c);
}

/* Whoever took it keeps the old version. */
static void test_what_others_have_stays_as_it_is(void **state)
{
    struct cluster *c = begin(2);
    unsigned warnings;

    (void)state;
    node_of(c, B)->fake.ahead_ns = hour_ns;
    put_ahead(c, "a");
    pass(c, 1000);
    node_of(c, B)->fake.ahead_ns = 0;
    expect_file(node_of(c, B), "a", "a");
    pass_ms(c, TRIED_MS);
    assert_true(is_ahead());
    expect_warning(c, "other nodes have such changes, too");
    warnings = node_of(c, A)->warnings;
    pass_ms(c, 5 * TRIED_MS);
    assert_int_equal(node_of(c, A)->warnings, warnings);
    end(c);
}

/* What was kept from the others is told, and promises are made again. */
static void test_others_are_told_again_when_it_is_given_up(void **state)
{
    struct cluster *c = begin(3);

    (void)state;
    put_ahead(c, "a");
    cut(c, A, C);
    pass_ms(c, 3000);
    clocks_agree = false;
    pass_ms(c, 2000);
    node_of(c, B)->fake.ahead_ns = hour_ns;
    pass_ms(c, 2000);
    expect_file(node_of(c, B), "a", "a");
    end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_get_what_was_ahead),
        cmocka_unit_test(test_what_others_tell_is_taken_meanwhile),
        cmocka_unit_test(test_it_is_done_once),
        cmocka_unit_test(test_a_little_ahead_is_waited_for),
        cmocka_unit_test(test_nothing_is_done_while_clocks_differ),
        cmocka_unit_test(test_who_is_silent_is_waited_for),
        cmocka_unit_test(test_what_others_have_stays_as_it_is),
        cmocka_unit_test(test_others_are_told_again_when_it_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
