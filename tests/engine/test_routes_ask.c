/* SPDX-License-Identifier: Apache-2.0 */

/* How a node asks others for routes, and answers them. */

#include "routes_fixture.h"

static void test_all_others_that_can_be_reached_are_asked(void **state)
{
    struct node *node = *state;
    struct locate locate = {.held = NULL};

    routes_ask(node->routes, slice_of("key"));
    assert_int_equal(node->sent_type, WIRE_LOCATE);
    for (unsigned i = 1; i <= NODE_COUNT; i++)
        assert_int_equal(node->sent_to[i], i != OWN_NODE && i != DOWN_NODE);
    assert_int_equal(locate_decode(&locate, buf_slice(node->sent)), 0);
    assert_true(slice_equal(locate.user_key, slice_of("key")));
    locate_release(&locate);
}

/* Whether it was asked where region 7 is, of which it was told. */
static bool follows(struct node *node, uint64_t version, uint64_t conf_ver)
{
    struct locate locate = {.held = NULL};
    unsigned before = node->sent_count;

    routes_follow(node->routes, 3, 7, version, conf_ver);
    if (node->sent_count == before)
        return false;
    assert_int_equal(node->sent_type, WIRE_LOCATE);
    assert_int_equal(node->sent_to[3], node->sent_count);
    assert_int_equal(locate_decode(&locate, (struct slice){node->sent->data,
                                                           node->sent->size}),
                     0);
    assert_int_equal(locate.region, 7);
    locate_release(&locate);
    return true;
}

static void test_who_told_of_a_newer_region_is_asked_where_it_is(void **state)
{
    struct node *node = *state;

    assert_true(follows(node, 3, 1));
    assert_true(learn(node, 7, 3, "b", "d"));
    assert_false(follows(node, 3, 1));
    assert_false(follows(node, 2, 9));
    assert_true(follows(node, 3, 2));
    assert_true(follows(node, 4, 1));
    host(node, 7, 3, "b", "d");
    assert_false(follows(node, 4, 1)); /* It is here. */
}

static struct env_packet packet_of(uint16_t type, struct buf *header)
{
    return (struct env_packet){.type = type, .header = header};
}

static void on_locate(struct node *node, const struct locate *locate)
{
    struct buf *header = locate_encode(locate);
    struct env_packet packet = packet_of(WIRE_LOCATE, header);

    routes_on_locate(node->routes, 2, &packet);
    buf_unref(header);
}

static void ask(struct node *node, const char *user_key)
{
    on_locate(node, &(struct locate){.user_key = slice_of(user_key)});
}

static void test_who_has_it_answers(void **state)
{
    struct node *node = *state;
    struct located located = {.leader_node = 0};

    host(node, 7, 2, "b", "d");
    ask(node, "c");
    assert_int_equal(node->sent_count, 1);
    assert_int_equal(node->sent_to[2], 1);
    assert_int_equal(node->sent_type, WIRE_LOCATED);
    assert_int_equal(located_decode(&located, buf_slice(node->sent)), 0);
    assert_int_equal(located.region.id, 7);
    assert_int_equal(located.leader_node, OWN_NODE);
    located_release(&located);
    on_locate(node, &(struct locate){.region = 7});
    assert_int_equal(node->sent_count, 2);
    on_locate(node, &(struct locate){.region = 8});
    assert_int_equal(node->sent_count, 2);
}

/* Also when it knows who has: it tells nothing from hearsay. */
static void test_who_does_not_have_it_is_silent(void **state)
{
    struct node *node = *state;

    assert_true(learn(node, 7, 3, "b", "d"));
    ask(node, "c");
    assert_int_equal(node->sent_count, 0);
}

static bool on_located(struct node *node, struct buf *header)
{
    struct env_packet packet = packet_of(WIRE_LOCATED, header);
    bool news = routes_on_located(node->routes, &packet);

    buf_unref(header);
    return news;
}

static void test_an_answer_teaches(void **state)
{
    struct node *node = *state;
    struct located located = {.region = region(7, 3, "b", "d"),
                              .leader_node = 2};

    assert_true(on_located(node, located_encode(&located)));
    assert_int_equal(at(node, "c"), 703);
    assert_false(on_located(node, located_encode(&located)));
}

static void test_rubbish_teaches_nothing(void **state)
{
    struct node *node = *state;
    struct buf *header = buf_copy("\xff\xff", 2);
    struct env_packet packet = packet_of(WIRE_LOCATE, header);

    host(node, 7, 2, "", "");
    routes_on_locate(node->routes, 2, &packet);
    assert_int_equal(node->sent_count, 0);
    assert_false(on_located(node, header));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_others_that_can_be_reached_are_asked),
        TEST(test_who_told_of_a_newer_region_is_asked_where_it_is),
        TEST(test_who_has_it_answers),
        TEST(test_who_does_not_have_it_is_silent),
        TEST(test_an_answer_teaches),
        TEST(test_rubbish_teaches_nothing),
    };

    return cmocka_run_group_tests_name("routes_ask", tests, NULL, NULL);
}
