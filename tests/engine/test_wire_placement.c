/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "codec_helpers.h"

#include "engine/wire_placement.h"

static int try_report(struct slice bytes)
{
    struct region_report report = {0};
    int rc = region_report_decode(&report, bytes);

    region_report_release(&report);
    return rc;
}

static int try_reported(struct slice bytes)
{
    struct reported reported;

    return reported_decode(&reported, bytes);
}

static int try_step(struct slice bytes)
{
    struct step step;

    return step_decode(&step, bytes);
}

static int try_operators(struct slice bytes)
{
    struct operators_view view;

    return operators_decode(&view, bytes);
}

static int try_goal(struct slice bytes)
{
    struct goal goal;

    return goal_decode(&goal, bytes);
}

/* ---- reports ---- */

static struct region_report filled_report(void)
{
    return (struct region_report){
        .sequence = UINT64_MAX,
        .region = {.id = 1,
                   .conf_ver = 2,
                   .version = 3,
                   .start = slice_of("12345678a"),
                   .peers = {{4, 5, PEER_VOTER}, {6, 7, PEER_LEARNER}},
                   .peer_count = 2,
                   .voters = {4},
                   .voter_count = 1},
        .term = 8,
        .last_index = 9,
        .size_bytes = 10,
        .keys = 11,
        .measured = true,
        .digest = UINT64_MAX - 1,
        .peers = {{PEER_FLAG_CAUGHT_UP, 12}, {PEER_FLAGS, UINT64_MAX}},
    };
}

static void test_a_report_comes_back(void **state)
{
    struct region_report in = filled_report();
    struct buf *b = region_report_encode(&in);
    struct region_report out;

    (void)state;
    assert_int_equal(region_report_decode(&out, buf_slice(b)), 0);
    assert_true(out.sequence == in.sequence);
    assert_int_equal(out.region.version, 3);
    assert_slice_equal(out.region.start, in.region.start);
    assert_int_equal(out.region.peer_count, 2);
    assert_int_equal(out.term, 8);
    assert_int_equal(out.last_index, 9);
    assert_int_equal(out.size_bytes, 10);
    assert_int_equal(out.keys, 11);
    assert_true(out.measured);
    assert_true(out.digest == in.digest);
    assert_memory_equal(out.peers, in.peers, sizeof in.peers);
    region_report_release(&out);
    assert_damage_is_survived(try_report, b);
}

/* Numbers of fields are those of wire.proto. */
static void test_a_report_has_something_to_say_of_each_peer(void **state)
{
    struct region_report in = filled_report();
    struct buf *peer = with_number(buf_copy("", 0), 1, PEER_FLAGS + 1);

    (void)state;
    assert_decodes_to(
        ERR_PROTOCOL, try_report,
        with_bytes(region_report_encode(&in), 8, buf_slice(peer)));
    assert_decodes_to(ERR_PROTOCOL, try_report, buf_copy("", 0));
    in.region.peer_count = 1;
    assert_decodes_to(
        ERR_PROTOCOL, try_report,
        with_bytes(region_report_encode(&in), 8, buf_slice(peer)));
    buf_unref(peer);
}

static void test_a_sum_comes_back(void **state)
{
    struct reported in = {1, UINT64_MAX, 3, UINT64_MAX - 1};
    struct buf *b = reported_encode(&in);
    struct reported out;

    (void)state;
    assert_int_equal(reported_decode(&out, buf_slice(b)), 0);
    assert_memory_equal(&out, &in, sizeof in);
    assert_damage_is_survived(try_reported, b);
}

/* ---- steps ---- */

static void test_a_step_comes_back(void **state)
{
    struct step in = {.kind = STEP_VOTERS,
                      .region = 1,
                      .conf_ver = 2,
                      .version = 3,
                      .changes = {{4, PEER_VOTER}, {5, PEER_LEARNER}},
                      .change_count = 2,
                      .source = 6,
                      .source_version = UINT64_MAX};
    struct buf *b = step_encode(&in);
    struct step out;

    (void)state;
    assert_int_equal(step_decode(&out, buf_slice(b)), 0);
    assert_memory_equal(&out, &in, sizeof in);
    assert_damage_is_survived(try_step, b);
}

static void test_a_step_is_of_a_kind_that_is_sent(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind <= STEP_KINDS; kind++) {
        bool sent = kind >= STEP_REPORT && kind < STEP_KINDS;

        assert_decodes_to(sent ? 0 : ERR_PROTOCOL, try_step,
                          with_number(buf_copy("", 0), 1, kind));
    }
}

static void test_a_step_has_a_bounded_number_of_sound_changes(void **state)
{
    struct buf *change =
        with_number(with_number(buf_copy("", 0), 1, 7), 2, PEER_VOTER);
    struct buf *no_node = with_number(buf_copy("", 0), 2, PEER_VOTER);
    struct buf *no_role = with_number(buf_copy("", 0), 1, 7);
    struct buf *b = with_number(buf_copy("", 0), 1, STEP_VOTERS);

    (void)state;
    for (unsigned i = 0; i < REGION_PEERS_MAX; i++)
        b = with_bytes(b, 5, buf_slice(change));
    assert_int_equal(try_step(buf_slice(b)), 0);
    assert_decodes_to(ERR_PROTOCOL, try_step,
                      with_bytes(b, 5, buf_slice(change)));
    b = with_number(buf_copy("", 0), 1, STEP_VOTERS);
    assert_decodes_to(ERR_PROTOCOL, try_step,
                      with_bytes(b, 5, buf_slice(no_node)));
    b = with_number(buf_copy("", 0), 1, STEP_VOTERS);
    assert_decodes_to(ERR_PROTOCOL, try_step,
                      with_bytes(b, 5, buf_slice(no_role)));
    buf_unref(change);
    buf_unref(no_node);
    buf_unref(no_role);
}

/* ---- operators and goals ---- */

static void test_operators_come_back(void **state)
{
    struct operators_view in = {
        .term = UINT64_MAX - 2,
        .operators = {{.region = 1,
                       .from = 2,
                       .to = 3,
                       .manual = true,
                       .begin_ns = -4,
                       .step = STEP_WAIT,
                       .percent = 55,
                       .why = "node 3 catches up"},
                      {.region = 2,
                       .leader = 3,
                       .end_ns = 9,
                       .status = ERR_UNAVAILABLE}},
        .count = 2,
    };
    struct buf *b = operators_encode(&in);
    struct operators_view out = {.count = 0};

    (void)state;
    assert_int_equal(operators_decode(&out, buf_slice(b)), 0);
    assert_memory_equal(&out, &in, sizeof in);
    assert_damage_is_survived(try_operators, b);
}

static void test_operators_are_bounded(void **state)
{
    struct buf *b = buf_copy("", 0);
    struct buf *item =
        with_bytes(buf_copy("", 0), 11, letters(GOAL_WHY_SIZE - 1));
    struct buf *wordy = with_bytes(buf_copy("", 0), 11, letters(GOAL_WHY_SIZE));

    (void)state;
    assert_decodes_to(ERR_PROTOCOL, try_operators,
                      with_bytes(buf_copy("", 0), 1, buf_slice(wordy)));
    for (unsigned i = 0; i < OPERATORS_TOLD_MAX; i++)
        b = with_bytes(b, 1, buf_slice(item));
    assert_int_equal(try_operators(buf_slice(b)), 0);
    assert_decodes_to(ERR_PROTOCOL, try_operators,
                      with_bytes(b, 1, buf_slice(item)));
    buf_unref(item);
    buf_unref(wordy);
}

static void test_a_goal_comes_back(void **state)
{
    struct goal in = {
        1, UINT64_MAX, 3, 4, -5, 6, ERR_UNAVAILABLE, "node 4 is down"};
    struct buf *b = goal_encode(&in);
    struct goal out;

    (void)state;
    assert_int_equal(goal_decode(&out, buf_slice(b)), 0);
    assert_memory_equal(&out, &in, offsetof(struct goal, why));
    assert_string_equal(out.why, in.why);
    assert_decodes_to(ERR_CORRUPT, try_goal,
                      with_bytes(goal_encode(&in), 8, letters(GOAL_WHY_SIZE)));
    assert_decodes_to(ERR_CORRUPT, try_goal,
                      with_number(goal_encode(&in), 1, 0));
    assert_damage_is_survived(try_goal, b);
}

static void test_a_setting_comes_back(void **state)
{
    struct buf *b = setting_encode(UINT64_MAX);
    uint64_t out = 0;

    (void)state;
    assert_int_equal(setting_decode(&out, buf_slice(b)), 0);
    assert_true(out == UINT64_MAX);
    buf_unref(b);
}

static int try_gone_region(struct slice bytes)
{
    uint64_t target;

    return gone_region_decode(&target, bytes);
}

static void test_a_region_that_is_gone_comes_back(void **state)
{
    struct buf *b = gone_region_encode(UINT64_MAX);
    uint64_t out = 0;

    (void)state;
    assert_int_equal(gone_region_decode(&out, buf_slice(b)), 0);
    assert_true(out == UINT64_MAX);
    assert_decodes_to(ERR_CORRUPT, try_gone_region,
                      with_number(gone_region_encode(7), 1, 0));
    assert_damage_is_survived(try_gone_region, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_report_comes_back),
        cmocka_unit_test(test_a_report_has_something_to_say_of_each_peer),
        cmocka_unit_test(test_a_sum_comes_back),
        cmocka_unit_test(test_a_step_comes_back),
        cmocka_unit_test(test_a_step_is_of_a_kind_that_is_sent),
        cmocka_unit_test(test_a_step_has_a_bounded_number_of_sound_changes),
        cmocka_unit_test(test_operators_come_back),
        cmocka_unit_test(test_operators_are_bounded),
        cmocka_unit_test(test_a_goal_comes_back),
        cmocka_unit_test(test_a_setting_comes_back),
        cmocka_unit_test(test_a_region_that_is_gone_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
