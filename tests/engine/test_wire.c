/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include "engine/wire.h"

static int try_call(struct slice bytes)
{
    struct call call;

    return call_decode(&call, bytes);
}

static int try_return(struct slice bytes)
{
    struct call_return answer;

    return call_return_decode(&answer, bytes);
}

static int try_status(struct slice bytes)
{
    struct node_status status = {0};
    int rc = node_status_decode(&status, bytes);

    node_status_release(&status);
    return rc;
}

static int try_begin(struct slice bytes)
{
    struct snapshot_begin begin = {0};
    int rc = snapshot_begin_decode(&begin, bytes);

    snapshot_begin_release(&begin);
    return rc;
}

static int try_chunk(struct slice bytes)
{
    struct snapshot_chunk chunk;

    return snapshot_chunk_decode(&chunk, bytes);
}

static int try_ack(struct slice bytes)
{
    struct snapshot_ack ack;

    return snapshot_ack_decode(&ack, bytes);
}

static int try_locate(struct slice bytes)
{
    struct locate locate = {.held = NULL};
    int rc = locate_decode(&locate, bytes);

    locate_release(&locate);
    return rc;
}

static int try_located(struct slice bytes)
{
    struct located located = {.leader_node = 0};
    int rc = located_decode(&located, bytes);

    located_release(&located);
    return rc;
}

static struct buf *empty(void)
{
    return buf_copy("", 0);
}

static void test_a_call_comes_back(void **state)
{
    struct call in = {UINT64_MAX, 2, CALL_READ_INDEX};
    struct buf *b = call_encode(&in);
    struct call out;

    (void)state;
    assert_int_equal(call_decode(&out, buf_slice(b)), 0);
    assert_true(out.ticket == UINT64_MAX);
    assert_int_equal(out.region, 2);
    assert_int_equal(out.kind, CALL_READ_INDEX);
    buf_unref(b);
}

static void test_a_call_has_a_known_kind(void **state)
{
    (void)state;
    assert_decodes_to(ERR_PROTOCOL, try_call, empty());
    assert_decodes_to(0, try_call, with_number(empty(), 3, CALL_PROPOSE));
    assert_decodes_to(ERR_PROTOCOL, try_call,
                      with_number(empty(), 3, CALL_CONTROL + 1));
}

static void test_an_answer_comes_back(void **state)
{
    struct call_return in = {1, ERR_NOT_LEADER, 3, UINT64_MAX, true};
    struct buf *b = call_return_encode(&in);
    struct call_return out;

    (void)state;
    assert_int_equal(call_return_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.ticket, 1);
    assert_int_equal(out.status, ERR_NOT_LEADER);
    assert_int_equal(out.leader_node, 3);
    assert_true(out.index == UINT64_MAX);
    assert_true(out.proposed);
    buf_unref(b);
}

/* A status is zigzag: 2 is 1, odd ones are negative. */
static void test_an_answer_has_a_known_status(void **state)
{
    (void)state;
    assert_decodes_to(ERR_PROTOCOL, try_return, with_number(empty(), 2, 2));
    assert_decodes_to(ERR_PROTOCOL, try_return,
                      with_number(empty(), 2, 2 * ERR__COUNT - 1));
    assert_decodes_to(ERR_PROTOCOL, try_ack, with_number(empty(), 3, 2));
}

static struct region_status filled_regions[STATUS_REGIONS_MAX + 1];

static struct node_status filled_status(void)
{
    for (unsigned i = 0; i <= STATUS_REGIONS_MAX; i++)
        filled_regions[i] = (struct region_status){
            .region = i,
            .term = UINT64_MAX - i,
            .leader_node = 2 + i,
            .applied = 3 + i,
            .commit = 4 + i,
            .last_index = 5 + i,
            .applied_wall_ns = -6 - (int64_t)i,
            .role = i % 3,
            .state = 7 + i,
            .damaged_ns = -8 - (int64_t)i,
            .check_index = 9 + i,
            .check_hash = UINT64_MAX - 10 - i,
            .size_bytes = i,
            .size_keys = UINT64_MAX,
            .conf_ver = 11 + i,
            .version = UINT64_MAX - 12 - i,
        };
    return (struct node_status){
        .node = 1,
        .wall_ns = -2,
        .since_ns = INT64_MAX,
        .disk_used = UINT64_MAX,
        .disk_free = 5,
        .catalog = UINT64_MAX - 4,
        .quarantine = UINT64_MAX,
        .version = "0.1.0",
        .changes = {.list = UINT64_MAX - 1,
                    .base = 6,
                    .change = UINT64_MAX - 2,
                    .regions = filled_regions,
                    .region_count = STATUS_REGIONS_MAX},
        .known_list = UINT64_MAX - 3,
        .known_change = 7,
    };
}

static void test_a_status_comes_back(void **state)
{
    struct node_status in = filled_status();
    struct buf *b = node_status_encode(&in);
    struct node_status out;

    (void)state;
    assert_int_equal(node_status_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.node, 1);
    assert_int_equal(out.wall_ns, -2);
    assert_true(out.since_ns == INT64_MAX);
    assert_true(out.disk_used == UINT64_MAX);
    assert_int_equal(out.disk_free, 5);
    assert_true(out.catalog == UINT64_MAX - 4);
    assert_true(out.quarantine == UINT64_MAX);
    assert_string_equal(out.version, "0.1.0");
    assert_true(out.changes.list == UINT64_MAX - 1);
    assert_int_equal(out.changes.base, 6);
    assert_true(out.changes.change == UINT64_MAX - 2);
    assert_true(out.known_list == UINT64_MAX - 3);
    assert_int_equal(out.known_change, 7);
    assert_int_equal(out.changes.region_count, STATUS_REGIONS_MAX);
    assert_memory_equal(out.changes.regions, filled_regions,
                        STATUS_REGIONS_MAX * sizeof filled_regions[0]);
    node_status_release(&out);
    buf_unref(b);
}

/* Numbers of fields are those of wire.proto. */
static void test_a_status_over_a_limit_is_refused(void **state)
{
    struct node_status in = filled_status();
    struct buf *b = node_status_encode(&in);
    struct buf *role = with_number(empty(), 4, PEER_LEARNER + 1);

    (void)state;
    assert_decodes_to(ERR_PROTOCOL, try_status,
                      with_bytes(b, 7, (struct slice){NULL, 0}));
    assert_decodes_to(0, try_status,
                      with_bytes(empty(), 6, letters(VERSION_TEXT_SIZE - 1)));
    assert_decodes_to(ERR_PROTOCOL, try_status,
                      with_bytes(empty(), 6, letters(VERSION_TEXT_SIZE)));
    assert_decodes_to(ERR_PROTOCOL, try_status,
                      with_bytes(empty(), 7, buf_slice(role)));
    buf_unref(role);
}

static void test_a_sign_of_life_comes_back(void **state)
{
    struct alive in = {.boot = UINT64_MAX};
    struct buf *b = alive_encode(&in);
    struct alive out;

    (void)state;
    assert_int_equal(alive_decode(&out, buf_slice(b)), 0);
    assert_true(out.boot == UINT64_MAX);
    buf_unref(b);
}

static void test_a_note_about_a_peer_comes_back(void **state)
{
    struct peer_note in = {1, UINT64_MAX, 3, UINT64_MAX - 1};
    struct buf *b = peer_note_encode(&in);
    struct peer_note out;

    (void)state;
    assert_int_equal(peer_note_decode(&out, buf_slice(b)), 0);
    assert_memory_equal(&out, &in, sizeof in);
    buf_unref(b);
}

static void test_a_query_about_a_merge_comes_back(void **state)
{
    struct merge_query in = {1, UINT64_MAX, 3, 4, 5, UINT64_MAX - 6, 7};
    struct buf *b = merge_query_encode(&in);
    struct merge_query out;

    (void)state;
    assert_int_equal(merge_query_decode(&out, buf_slice(b)), 0);
    assert_memory_equal(&out, &in, sizeof in);
    buf_unref(b);
}

static int try_merge_report(struct slice bytes)
{
    struct merge_report report;

    return merge_report_decode(&report, bytes);
}

static void test_a_report_about_a_merge_comes_back(void **state)
{
    struct merge_report in = {1, 2, UINT64_MAX, MERGE_UNSAVED};
    struct buf *b = merge_report_encode(&in);
    struct merge_report out;

    (void)state;
    assert_int_equal(merge_report_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.target, 1);
    assert_int_equal(out.source, 2);
    assert_true(out.attempt == UINT64_MAX);
    assert_int_equal(out.state, MERGE_UNSAVED);
    buf_unref(b);
    for (unsigned number = 0; number < 9; number++)
        assert_decodes_to(
            number >= MERGE_READY && number <= MERGE_UNSAVED ? 0 : ERR_PROTOCOL,
            try_merge_report, with_number(buf_copy("", 0), 4, number));
}

static struct snapshot_begin filled_begin(void)
{
    return (struct snapshot_begin){
        .stream = 1,
        .from_peer = 2,
        .to_peer = 3,
        .index = 4,
        .term = 5,
        .raft_term = 6,
        .region = {.id = 7,
                   .start = slice_of("00000001start"),
                   .peers = {{2, 9, PEER_VOTER}},
                   .peer_count = 1,
                   .voters = {2},
                   .voter_count = 1},
    };
}

static void test_a_snapshot_begin_comes_back(void **state)
{
    struct snapshot_begin in = filled_begin();
    struct buf *b = snapshot_begin_encode(&in);
    struct snapshot_begin out;

    (void)state;
    assert_int_equal(snapshot_begin_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_int_equal(out.stream, 1);
    assert_int_equal(out.from_peer, 2);
    assert_int_equal(out.to_peer, 3);
    assert_int_equal(out.index, 4);
    assert_int_equal(out.term, 5);
    assert_int_equal(out.raft_term, 6);
    assert_int_equal(out.region.id, 7);
    assert_slice_equal(out.region.start, in.region.start);
    assert_int_equal(out.region.peers[0].node, 9);
    assert_int_equal(out.region.voter_count, 1);
    snapshot_begin_release(&out);
}

static void test_a_snapshot_begin_has_a_descriptor(void **state)
{
    struct snapshot_begin in = filled_begin();

    (void)state;
    assert_decodes_to(ERR_PROTOCOL, try_begin, empty());
    assert_decodes_to(ERR_PROTOCOL, try_begin,
                      with_number(snapshot_begin_encode(&in), 2, 8));
}

static void test_a_snapshot_chunk_comes_back(void **state)
{
    struct snapshot_chunk in = {1, 2, UINT64_MAX, true};
    struct buf *b = snapshot_chunk_encode(&in);
    struct snapshot_chunk out;

    (void)state;
    assert_int_equal(snapshot_chunk_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.stream, 1);
    assert_int_equal(out.number, 2);
    assert_true(out.checksum == UINT64_MAX);
    assert_true(out.last);
    buf_unref(b);
}

static void test_a_snapshot_ack_comes_back(void **state)
{
    struct snapshot_ack in = {1, UINT64_MAX, ERR_CORRUPT, true};
    struct buf *b = snapshot_ack_encode(&in);
    struct snapshot_ack out;

    (void)state;
    assert_int_equal(snapshot_ack_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.stream, 1);
    assert_true(out.number == UINT64_MAX);
    assert_int_equal(out.status, ERR_CORRUPT);
    buf_unref(b);
}

static void test_a_question_for_a_region_comes_back(void **state)
{
    struct buf *b = locate_encode(
        &(struct locate){.user_key = {"\0\0\xff", 3}, .region = 4});
    struct locate out = {.held = NULL};

    (void)state;
    assert_int_equal(locate_decode(&out, buf_slice(b)), 0);
    assert_slice_equal(out.user_key, (struct slice){"\0\0\xff", 3});
    assert_int_equal(out.region, 4);
    locate_release(&out);
    assert_damage_is_survived(try_locate, b);
}

static void test_the_answer_with_a_region_comes_back(void **state)
{
    struct buf *b = located_encode(
        &(struct located){.region = {.id = 7,
                                     .conf_ver = 2,
                                     .version = 3,
                                     .start = slice_of("a"),
                                     .end = slice_of("b"),
                                     .peers = {{4, 5, PEER_LEARNER}},
                                     .peer_count = 1},
                          .leader_node = UINT64_MAX});
    struct located out = {.leader_node = 0};

    (void)state;
    assert_int_equal(located_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.region.id, 7);
    assert_int_equal(out.region.conf_ver, 2);
    assert_int_equal(out.region.version, 3);
    assert_slice_equal(out.region.start, slice_of("a"));
    assert_slice_equal(out.region.end, slice_of("b"));
    assert_int_equal(out.region.peer_count, 1);
    assert_int_equal(out.region.peers[0].node, 5);
    assert_true(out.leader_node == UINT64_MAX);
    located_release(&out);
    assert_damage_is_survived(try_located, b);
}

static void test_an_answer_without_a_region_is_refused(void **state)
{
    (void)state;
    assert_decodes_to(ERR_PROTOCOL, try_located, empty());
}

static void test_a_header_over_the_limit_is_refused(void **state)
{
    (void)state;
    assert_decodes_to(ERR_PROTOCOL, try_chunk,
                      with_bytes(empty(), 100, letters(WIRE_HEADER_SIZE_MAX)));
    assert_decodes_to(
        0, try_chunk,
        with_bytes(empty(), 100, letters(WIRE_HEADER_SIZE_MAX - 10)));
}

static void test_damaged_packets_are_survived(void **state)
{
    struct call call = {1, 2, CALL_READ};
    struct call_return answer = {1, ERR_IO, 3, 4, true};
    struct node_status status = filled_status();
    struct snapshot_begin begin = filled_begin();
    struct snapshot_chunk chunk = {1, 2, 3, true};
    struct snapshot_ack ack = {1, 2, ERR_IO, false};

    (void)state;
    status.changes.region_count = 2;
    assert_damage_is_survived(try_call, call_encode(&call));
    assert_damage_is_survived(try_return, call_return_encode(&answer));
    assert_damage_is_survived(try_status, node_status_encode(&status));
    assert_damage_is_survived(try_begin, snapshot_begin_encode(&begin));
    assert_damage_is_survived(try_chunk, snapshot_chunk_encode(&chunk));
    assert_damage_is_survived(try_ack, snapshot_ack_encode(&ack));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_comes_back),
        cmocka_unit_test(test_a_call_has_a_known_kind),
        cmocka_unit_test(test_an_answer_comes_back),
        cmocka_unit_test(test_an_answer_has_a_known_status),
        cmocka_unit_test(test_a_status_comes_back),
        cmocka_unit_test(test_a_status_over_a_limit_is_refused),
        cmocka_unit_test(test_a_sign_of_life_comes_back),
        cmocka_unit_test(test_a_note_about_a_peer_comes_back),
        cmocka_unit_test(test_a_query_about_a_merge_comes_back),
        cmocka_unit_test(test_a_report_about_a_merge_comes_back),
        cmocka_unit_test(test_a_snapshot_begin_comes_back),
        cmocka_unit_test(test_a_snapshot_begin_has_a_descriptor),
        cmocka_unit_test(test_a_snapshot_chunk_comes_back),
        cmocka_unit_test(test_a_snapshot_ack_comes_back),
        cmocka_unit_test(test_a_question_for_a_region_comes_back),
        cmocka_unit_test(test_the_answer_with_a_region_comes_back),
        cmocka_unit_test(test_an_answer_without_a_region_is_refused),
        cmocka_unit_test(test_a_header_over_the_limit_is_refused),
        cmocka_unit_test(test_damaged_packets_are_survived),
    };

    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
