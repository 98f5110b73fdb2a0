/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/applier.h"
#include "engine/founding.h"
#include "engine/region_log.h"
#include "exec_fixture.h"
#include "fake_env.h"
#include "tests/sim/kv_mem.h"

#define FIVE "5@e:5+1@a:1+2@b:2+3@[::1]:3+4@d:4"

/* ---- the list ---- */

static struct founders parse(const char *text)
{
    struct founders founders;

    assert_int_equal(founders_parse(&founders, text, NULL), 0);
    return founders;
}

static void test_a_list_is_sorted_by_id(void **state)
{
    struct founders founders = parse(FIVE);

    (void)state;
    assert_int_equal(founders.count, 5);
    for (size_t i = 0; i < founders.count; i++)
        assert_int_equal(founders.founder[i].id, i + 1);
    assert_string_equal(founders.founder[2].address, "[::1]:3");
    assert_string_equal(founders.founder[4].address, "e:5");
}

static void test_a_list_s_hash_does_not_depend_on_its_order(void **state)
{
    struct founders one = parse("1@a:1+2@b:2");
    struct founders two = parse("2@b:2+1@a:1");
    struct founders three = parse("1@b:2+2@a:1");
    struct founders four = parse("1@a:1+2@b:2+3@c:3");

    (void)state;
    assert_int_equal(founders_hash(&one), founders_hash(&two));
    assert_int_not_equal(founders_hash(&one), founders_hash(&three));
    assert_int_not_equal(founders_hash(&one), founders_hash(&four));
}

static void test_anything_else_is_refused(void **state)
{
    static const char *const lists[] = {"",
                                        "1",
                                        "a:1",
                                        "1@",
                                        "1@a",
                                        "0@a:1",
                                        "-1@a:1",
                                        "70000@a:1",
                                        "1@a:1+",
                                        "1@a:1++2@b:2",
                                        "1@a:1+1@b:2",
                                        "1@a:0",
                                        "1@a:99999",
                                        "1@::1:5",
                                        "1@a:1,2@b:2",
                                        "99999999999999999999@a:1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        struct founders founders;
        struct err e = ERR_INIT;

        if (founders_parse(&founders, lists[i], &e) != ERR_INVALID)
            fail_msg("'%s' is accepted", lists[i]);
        assert_true(e.text[0] != '\0');
    }
}

static void test_more_nodes_than_there_may_be_are_refused(void **state)
{
    char list[512] = "";
    struct founders founders;

    (void)state;
    for (int i = 1; i <= NODES_MAX; i++)
        (void)sprintf(list + strlen(list), "%s%d@a:%d", i > 1 ? "+" : "", i, i);
    assert_int_equal(founders_parse(&founders, list, NULL), 0);
    strcat(list, "+99@a:99");
    assert_int_equal(founders_parse(&founders, list, NULL), ERR_INVALID);
}

static void test_cluster_ids_follow_from_list_and_tokens(void **state)
{
    struct founders one = parse("1@a:1+2@b:2");
    struct founders two = parse("1@a:1+2@c:2");
    const uint64_t tokens[] = {5, 6};
    const uint64_t others[] = {6, 5};
    uint64_t id = founding_cluster_id(&one, tokens);

    (void)state;
    assert_int_equal(founding_cluster_id(&one, tokens), id);
    assert_int_not_equal(founding_cluster_id(&one, others), id);
    assert_int_not_equal(founding_cluster_id(&two, tokens), id);
}

/* ---- the state ---- */

struct stores {
    struct kv *log;
    struct kv *state;
};

static struct identity identity_of(uint64_t node, size_t count)
{
    struct identity identity = {
        .cluster_id = 77, .node_id = node, .token_count = count};

    for (size_t i = 0; i < count; i++)
        identity.tokens[i] = founding_token(i, (1000 + i) * 1000000);
    identity.token = identity.tokens[node - 1];
    return identity;
}

static void write_founding(struct stores *stores, uint64_t node,
                           const struct founders *founders)
{
    struct identity identity = identity_of(node, founders->count);

    assert_int_equal(
        founding_write(stores->log, stores->state, &identity, founders, NULL),
        0);
}

static struct stores found(uint64_t node, const char *list)
{
    struct stores stores = {kv_mem_new(), kv_mem_new()};
    struct founders founders = parse(list);

    write_founding(&stores, node, &founders);
    return stores;
}

static void stores_close(struct stores *stores)
{
    kv_close(stores->log);
    kv_close(stores->state);
}

static void test_founders_make_the_same_state(void **state)
{
    struct stores one = found(1, "1@a:1+2@b:2+3@c:3");
    struct stores two = found(2, "3@c:3+2@b:2+1@a:1");

    (void)state;
    assert_same_stores(one.state, two.state);
    stores_close(&one);
    stores_close(&two);
}

static void load_region(struct stores *stores, uint64_t id, struct region *ret)
{
    struct key key = key_region(id);
    struct kv_value value = {0};

    assert_int_equal(kv_get(stores->state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(region_decode(ret, (struct slice){value.data, value.size}),
                     0);
    kv_value_release(&value);
}

static void expect_region(struct stores *stores, uint64_t id, size_t voters,
                          size_t learners)
{
    struct region region = {0};

    load_region(stores, id, &region);
    assert_int_equal(region.peer_count, voters + learners);
    assert_int_equal(region.voter_count, voters);
    assert_int_equal(region.learner_count, learners);
    for (size_t i = 0; i < region.peer_count; i++) {
        assert_int_equal(region.peers[i].node, i + 1);
        assert_int_equal(region.peers[i].role,
                         i < voters ? PEER_VOTER : PEER_LEARNER);
        assert_int_equal(region.peers[i].id, i < voters
                                                 ? region.voters[i]
                                                 : region.learners[i - voters]);
    }
    region_release(&region);
}

static void test_voters_are_one_three_or_five(void **state)
{
    static const struct {
        const char *list;
        size_t placement[2];
        size_t data[2];
    } rows[] = {
        {"1@a:1", {1, 0}, {1, 0}},
        {"1@a:1+2@b:2", {1, 1}, {1, 1}},
        {"1@a:1+2@b:2+3@c:3", {3, 0}, {3, 0}},
        {"1@a:1+2@b:2+3@c:3+4@d:4", {3, 1}, {3, 0}},
        {FIVE, {5, 0}, {3, 0}},
        {FIVE "+6@f:6+7@g:7", {5, 2}, {3, 0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct stores stores = found(1, rows[i].list);

        expect_region(&stores, REGION_PLACEMENT, rows[i].placement[0],
                      rows[i].placement[1]);
        expect_region(&stores, REGION_FIRST_DATA, rows[i].data[0],
                      rows[i].data[1]);
        stores_close(&stores);
    }
}

static void test_a_node_without_the_data_region_has_none_of_it(void **state)
{
    struct stores stores = found(4, FIVE);
    struct fake_env fake;
    struct applier *applier = NULL;

    (void)state;
    fake_env_init(&fake, stores.log, stores.state);
    assert_int_equal(applier_open(&applier, &fake.env, REGION_FIRST_DATA),
                     ERR_NOT_FOUND);
    assert_int_equal(applier_open(&applier, &fake.env, REGION_PLACEMENT), 0);
    applier_free(applier);
    assert_int_equal(count_class(stores.state, "n"), 0);
    assert_int_equal(count_class(stores.state, "cn"), 5);
    stores_close(&stores);
}

/* A replica without this state is never brought up by the log alone. */
static void test_logs_start_behind_the_founding(void **state)
{
    struct stores stores = found(1, "1@a:1");
    struct fake_env fake;

    (void)state;
    fake_env_init(&fake, stores.log, stores.state);
    for (uint64_t id = 0; id < 2; id++) {
        struct region_log *log = NULL;
        struct applier *applier = NULL;

        assert_int_equal(region_log_open(&log, &fake.env, id), 0);
        assert_int_equal(applier_open(&applier, &fake.env, id), 0);
        assert_int_equal(region_log_first_index(log), FOUNDING_INDEX + 1);
        assert_int_equal(region_log_hard_state(log)->commit, FOUNDING_INDEX);
        assert_int_equal(region_log_hard_state(log)->term, FOUNDING_TERM);
        assert_int_equal(applier_marker(applier)->index, FOUNDING_INDEX);
        assert_int_equal(applier_marker(applier)->term, FOUNDING_TERM);
        applier_free(applier);
        region_log_free(log);
    }
    stores_close(&stores);
}

static void test_the_root_is_there_and_empty(void **state)
{
    struct stores stores = found(1, "1@a:1");
    struct exec_fixture f = {.state = stores.state, .version = 10};
    struct command c = {.op = COMMAND_GETATTR, .ino = ino_of_nsid(NSID_ROOT)};

    (void)state;
    assert_int_equal(run_read(&f, &c), 0);
    assert_int_equal(f.result.attr.mode, S_IFDIR | 0755);
    assert_int_equal(f.result.attr.entry_count, 0);
    assert_int_equal(f.result.attr.mtime_ns, 1000 * 1000000);
    assert_int_equal(create(&f, NSID_ROOT, "a"), 0);
    check_settled(&f);
    result_release(&f.result);
    stores_close(&stores);
}

/* Only the identity makes it count; until then it is done once more. */
static void test_a_founding_is_done_again_after_a_crash(void **state)
{
    struct stores stores = found(1, "1@a:1");
    struct stores whole = found(1, "1@a:1");
    struct founders founders = parse("1@a:1");
    struct key key = key_identity();
    struct kv_value value = {0};

    (void)state;
    kv_mem_crash(stores.state, 0);
    assert_same_stores(stores.state, whole.state);
    kv_close(stores.log);
    stores.log = kv_mem_new();
    write_founding(&stores, 1, &founders);
    assert_same_stores(stores.state, whole.state);
    kv_mem_crash(stores.log, 0);
    assert_int_equal(kv_get(stores.log, NULL, key_slice(&key), &value), 0);
    kv_value_release(&value);
    stores_close(&stores);
    stores_close(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_sorted_by_id),
        cmocka_unit_test(test_a_list_s_hash_does_not_depend_on_its_order),
        cmocka_unit_test(test_anything_else_is_refused),
        cmocka_unit_test(test_more_nodes_than_there_may_be_are_refused),
        cmocka_unit_test(test_cluster_ids_follow_from_list_and_tokens),
        cmocka_unit_test(test_founders_make_the_same_state),
        cmocka_unit_test(test_voters_are_one_three_or_five),
        cmocka_unit_test(test_a_node_without_the_data_region_has_none_of_it),
        cmocka_unit_test(test_logs_start_behind_the_founding),
        cmocka_unit_test(test_the_root_is_there_and_empty),
        cmocka_unit_test(test_a_founding_is_done_again_after_a_crash),
    };

    return cmocka_run_group_tests_name("founding", tests, NULL, NULL);
}
