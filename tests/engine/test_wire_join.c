/* SPDX-License-Identifier: Apache-2.0 */

/* What nodes send that found a cluster, or join one. */

#include "codec_helpers.h"

#include "engine/wire.h"

static int try_boot(struct slice bytes)
{
    struct boot boot;

    return boot_decode(&boot, bytes);
}

static int try_join(struct slice bytes)
{
    struct join_request request;

    return join_request_decode(&request, bytes);
}

static int try_joined(struct slice bytes)
{
    struct join_answer answer;

    return join_answer_decode(&answer, bytes);
}

static struct boot filled_boot(void)
{
    return (struct boot){
        .reply = true,
        .initialised = true,
        .node = 3,
        .cluster_id = UINT64_MAX,
        .peers_hash = UINT64_MAX - 1,
        .token = UINT64_MAX - 2,
        .tokens = {7, UINT64_MAX},
        .token_count = 2,
    };
}

static void test_a_boot_comes_back(void **state)
{
    struct boot in = filled_boot();
    struct buf *b = boot_encode(&in);
    struct boot out;

    (void)state;
    assert_int_equal(boot_decode(&out, buf_slice(b)), 0);
    assert_true(out.reply && out.initialised);
    assert_int_equal(out.node, 3);
    assert_true(out.cluster_id == in.cluster_id);
    assert_true(out.peers_hash == in.peers_hash);
    assert_true(out.token == in.token);
    assert_int_equal(out.token_count, 2);
    assert_memory_equal(out.tokens, in.tokens, sizeof in.tokens);
    buf_unref(b);
}

static void test_a_boot_over_a_limit_is_refused(void **state)
{
    (void)state;
    assert_decodes_to(
        0, try_boot, with_bytes(buf_copy("", 0), 7, letters(REGION_PEERS_MAX)));
    assert_decodes_to(
        ERR_PROTOCOL, try_boot,
        with_bytes(buf_copy("", 0), 7, letters(REGION_PEERS_MAX + 1)));
}

static void test_a_request_to_join_comes_back(void **state)
{
    struct join_request in = {UINT64_MAX - 1, "[::1]:7420", UINT64_MAX - 4};
    struct buf *b = join_request_encode(&in);
    struct join_request out;

    (void)state;
    assert_int_equal(join_request_decode(&out, buf_slice(b)), 0);
    assert_true(out.token == in.token);
    assert_string_equal(out.address, in.address);
    assert_true(out.node == in.node);
    buf_unref(b);
}

static void test_a_request_to_join_over_a_limit_is_refused(void **state)
{
    struct join_request in = {1, "a:1", 0};
    struct join_request none = {0, "a:1", 0};

    (void)state;
    assert_decodes_to(0, try_join,
                      with_bytes(join_request_encode(&in), 2, letters(127)));
    assert_decodes_to(ERR_PROTOCOL, try_join,
                      with_bytes(join_request_encode(&in), 2, letters(128)));
    assert_decodes_to(ERR_PROTOCOL, try_join, join_request_encode(&none));
}

static void test_an_answer_to_who_joins_comes_back(void **state)
{
    struct join_answer in = {0, 1, UINT64_MAX - 2, UINT64_MAX - 3};
    struct buf *b = join_answer_encode(&in);
    struct join_answer out;

    (void)state;
    assert_int_equal(join_answer_decode(&out, buf_slice(b)), 0);
    assert_true(out.token == 1 && out.cluster_id == in.cluster_id &&
                out.node == in.node && out.status == 0);
    buf_unref(b);
}

/* A yes without an id, or a no with one, is nobody's answer. */
static void test_an_answer_to_who_joins_is_whole(void **state)
{
    struct join_answer no = {ERR_QUOTA, 1, 0, 0};
    struct join_answer no_cluster = {0, 1, 0, 3};
    struct join_answer no_node = {0, 1, 2, 0};
    struct join_answer both = {ERR_QUOTA, 1, 2, 3};

    (void)state;
    assert_decodes_to(0, try_joined, join_answer_encode(&no));
    assert_decodes_to(ERR_PROTOCOL, try_joined,
                      join_answer_encode(&no_cluster));
    assert_decodes_to(ERR_PROTOCOL, try_joined, join_answer_encode(&no_node));
    assert_decodes_to(ERR_PROTOCOL, try_joined, join_answer_encode(&both));
}

static void test_damaged_packets_are_survived(void **state)
{
    struct boot boot = filled_boot();
    struct join_request join = {1, "127.0.0.1:7420", 4};
    struct join_answer joined = {0, 1, 2, 3};

    (void)state;
    assert_damage_is_survived(try_boot, boot_encode(&boot));
    assert_damage_is_survived(try_join, join_request_encode(&join));
    assert_damage_is_survived(try_joined, join_answer_encode(&joined));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_boot_comes_back),
        cmocka_unit_test(test_a_boot_over_a_limit_is_refused),
        cmocka_unit_test(test_a_request_to_join_comes_back),
        cmocka_unit_test(test_a_request_to_join_over_a_limit_is_refused),
        cmocka_unit_test(test_an_answer_to_who_joins_comes_back),
        cmocka_unit_test(test_an_answer_to_who_joins_is_whole),
        cmocka_unit_test(test_damaged_packets_are_survived),
    };

    return cmocka_run_group_tests_name("wire_join", tests, NULL, NULL);
}
