/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include "engine/record.h"

static int try_region(struct slice bytes)
{
    struct region region = {0};
    int rc = region_decode(&region, bytes);

    region_release(&region);
    return rc;
}

static int try_node(struct slice bytes)
{
    struct node_record node;

    return node_decode(&node, bytes);
}

static int try_identity(struct slice bytes)
{
    struct identity identity;

    return identity_decode(&identity, bytes);
}

static int try_marker(struct slice bytes)
{
    struct marker marker;

    return marker_decode(&marker, bytes);
}

static struct region filled_region(void)
{
    struct region region = {
        .id = 1,
        .conf_ver = 2,
        .version = 3,
        .start = slice_of("12345678a"),
        .end = letters(KEY_NSID_SIZE + NAME_SIZE_MAX),
        .peers = {{4, 5, PEER_VOTER}, {UINT64_MAX, 7, PEER_LEARNER}},
        .peer_count = 2,
        .voters = {4, 8, 9},
        .voter_count = 3,
        .voters_outgoing = {10},
        .voter_outgoing_count = 1,
        .learners = {11, UINT64_MAX},
        .learner_count = 2,
        .learners_next = {12},
        .learner_next_count = 1,
        .auto_leave = true,
        .peer_max = UINT64_MAX,
        .merge = {.state = MERGE_FROZEN,
                  .other = 13,
                  .attempt = UINT64_MAX - 14,
                  .index = 15,
                  .version = 16,
                  .conf_ver = 17,
                  .start = slice_of("12345678b"),
                  .end = slice_of("12345678c")},
        .absorbed = 18,
    };

    return region;
}

static struct buf *region_bytes(void)
{
    struct region region = filled_region();

    return region_encode(&region);
}

static void assert_peers_equal(const struct region *a, const struct region *b)
{
    assert_int_equal(a->peer_count, b->peer_count);
    for (size_t i = 0; i < a->peer_count; i++) {
        assert_true(a->peers[i].id == b->peers[i].id);
        assert_int_equal(a->peers[i].node, b->peers[i].node);
        assert_int_equal(a->peers[i].role, b->peers[i].role);
    }
}

static void test_a_region_comes_back(void **state)
{
    struct region in = filled_region();
    struct buf *b = region_encode(&in);
    struct region out;

    (void)state;
    assert_int_equal(region_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_int_equal(out.id, 1);
    assert_int_equal(out.conf_ver, 2);
    assert_int_equal(out.version, 3);
    assert_slice_equal(out.start, in.start);
    assert_slice_equal(out.end, in.end);
    assert_peers_equal(&out, &in);
    assert_true(out.peer_max == UINT64_MAX);
    assert_int_equal(out.absorbed, 18);
    region_release(&out);
}

static void test_a_region_keeps_its_part_in_a_merge(void **state)
{
    struct region in = filled_region();
    struct region out = region_copy(&in);

    (void)state;
    assert_int_equal(out.merge.state, MERGE_FROZEN);
    assert_int_equal(out.merge.other, 13);
    assert_true(out.merge.attempt == UINT64_MAX - 14);
    assert_int_equal(out.merge.index, 15);
    assert_int_equal(out.merge.version, 16);
    assert_int_equal(out.merge.conf_ver, 17);
    assert_slice_equal(out.merge.start, in.merge.start);
    assert_slice_equal(out.merge.end, in.merge.end);
    assert_ptr_not_equal(out.merge.end.data, in.merge.end.data);
    region_release(&out);
    in.merge = (struct region_merge){0};
    out = region_copy(&in);
    assert_int_equal(out.merge.state, MERGE_NONE);
    assert_int_equal(out.merge.other, 0);
    region_release(&out);
}

/* Numbers of fields are those of record.proto. */
static void test_a_merge_over_a_limit_is_refused(void **state)
{
    struct slice bound = letters(KEY_NSID_SIZE + NAME_SIZE_MAX + 1);

    (void)state;
    for (unsigned field = 7; field <= 8; field++) {
        struct buf *merge =
            with_bytes(with_number(buf_copy("", 0), 2, 5), field, bound);

        assert_decodes_to(ERR_CORRUPT, try_region,
                          with_bytes(region_bytes(), 60, buf_slice(merge)));
        buf_unref(merge);
    }
    for (unsigned number = 0; number < 8; number++) {
        struct buf *merge =
            with_number(with_number(buf_copy("", 0), 2, 5), 1, number);

        assert_decodes_to(number <= MERGE_FROZEN ? 0 : ERR_CORRUPT, try_region,
                          with_bytes(region_bytes(), 60, buf_slice(merge)));
        buf_unref(merge);
    }
    assert_decodes_to(
        ERR_CORRUPT, try_region,
        with_bytes(region_bytes(), 60, slice_of("\x08\x01\x10\x00")));
}

static void test_a_copy_of_a_region_has_memory_of_its_own(void **state)
{
    struct region in = filled_region();
    struct region copy = region_copy(&in);

    (void)state;
    assert_slice_equal(copy.end, in.end);
    assert_ptr_not_equal(copy.end.data, in.end.data);
    assert_peers_equal(&copy, &in);
    region_release(&copy);
}

static void test_a_region_keeps_its_configuration(void **state)
{
    struct region in = filled_region();
    struct buf *b = region_encode(&in);
    struct region out;

    (void)state;
    assert_int_equal(region_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_int_equal(out.voter_count, 3);
    assert_memory_equal(out.voters, in.voters, sizeof in.voters);
    assert_int_equal(out.voter_outgoing_count, 1);
    assert_int_equal(out.voters_outgoing[0], 10);
    assert_int_equal(out.learner_count, 2);
    assert_memory_equal(out.learners, in.learners, sizeof in.learners);
    assert_int_equal(out.learner_next_count, 1);
    assert_int_equal(out.learners_next[0], 12);
    assert_true(out.auto_leave);
    region_release(&out);
}

/* Numbers of fields are those of record.proto. */
static void test_a_region_over_a_limit_is_refused(void **state)
{
    struct slice numbers = letters(REGION_PEERS_MAX + 1); /* Packed. */
    struct slice bound = letters(KEY_NSID_SIZE + NAME_SIZE_MAX + 1);

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_region,
                      with_bytes(region_bytes(), 2, bound));
    assert_decodes_to(ERR_CORRUPT, try_region,
                      with_bytes(region_bytes(), 3, bound));
    for (unsigned field = 7; field <= 10; field++)
        assert_decodes_to(ERR_CORRUPT, try_region,
                          with_bytes(region_bytes(), field, numbers));
}

static void test_a_region_has_a_bounded_number_of_peers(void **state)
{
    struct buf *peer = with_number(buf_copy("", 0), 3, PEER_VOTER);
    struct buf *b = region_bytes();

    (void)state;
    for (unsigned i = 2; i < REGION_PEERS_MAX; i++)
        b = with_bytes(b, 6, buf_slice(peer));
    assert_int_equal(try_region(buf_slice(b)), 0);
    assert_decodes_to(ERR_CORRUPT, try_region,
                      with_bytes(b, 6, buf_slice(peer)));
    buf_unref(peer);
}

static void test_a_peer_has_a_known_role(void **state)
{
    (void)state;
    for (unsigned role = 0; role <= PEER_LEARNER + 1; role++) {
        struct buf *peer = with_number(buf_copy("", 0), 3, role);
        bool known = role == PEER_VOTER || role == PEER_LEARNER;

        assert_decodes_to(known ? 0 : ERR_CORRUPT, try_region,
                          with_bytes(region_bytes(), 6, buf_slice(peer)));
        buf_unref(peer);
    }
}

static void test_a_node_comes_back(void **state)
{
    struct node_record in = {
        7, NODE_DRAINING, -5, "[::1]:7420", UINT64_MAX - 1, UINT64_MAX - 2};
    struct buf *b = node_encode(&in);
    struct node_record out;

    (void)state;
    assert_int_equal(node_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_int_equal(out.id, 7);
    assert_int_equal(out.state, NODE_DRAINING);
    assert_int_equal(out.since_ns, -5);
    assert_string_equal(out.address, "[::1]:7420");
    assert_true(out.token == in.token);
    assert_true(out.epoch == in.epoch);
}

static void test_a_node_over_a_limit_is_refused(void **state)
{
    struct node_record in = {7, NODE_UP, 0, "address", 0, 0};

    (void)state;
    assert_decodes_to(0, try_node,
                      with_bytes(node_encode(&in), 2, letters(127)));
    assert_decodes_to(ERR_CORRUPT, try_node,
                      with_bytes(node_encode(&in), 2, letters(128)));
    assert_decodes_to(ERR_CORRUPT, try_node,
                      with_number(node_encode(&in), 3, 0));
    assert_decodes_to(ERR_CORRUPT, try_node,
                      with_number(node_encode(&in), 3, NODE_REMOVED + 1));
}

/* Nor is one brought back by it. Older records have their state once. */
static void test_a_changed_state_does_not_remove_a_node(void **state)
{
    struct node_record in = {7, NODE_UP, 0, "address", 0, 0};

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_node,
                      with_number(node_encode(&in), 3, NODE_REMOVED));
    assert_decodes_to(
        0, try_node,
        with_number(with_number(node_encode(&in), 3, NODE_REMOVED), 16, 0));
    in.state = NODE_REMOVED;
    assert_decodes_to(0, try_node, node_encode(&in));
    assert_decodes_to(ERR_CORRUPT, try_node,
                      with_number(node_encode(&in), 3, NODE_UP));
}

static void test_a_marker_comes_back(void **state)
{
    struct marker in = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2};
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = marker_encode(&in, bytes);
    struct marker out;

    (void)state;
    assert_in_range(size, 1, sizeof bytes);
    assert_int_equal(marker_decode(&out, (struct slice){bytes, size}), 0);
    assert_memory_equal(&out, &in, sizeof in);
}

static void test_a_hard_state_comes_back(void **state)
{
    struct hard_state in = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2};
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = hard_state_encode(&in, bytes);
    struct hard_state out;

    (void)state;
    assert_in_range(size, 1, sizeof bytes);
    assert_int_equal(hard_state_decode(&out, (struct slice){bytes, size}), 0);
    assert_memory_equal(&out, &in, sizeof in);
}

static void test_a_log_start_comes_back(void **state)
{
    struct log_start in = {UINT64_MAX, UINT64_MAX - 1};
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = log_start_encode(&in, bytes);
    struct log_start out;

    (void)state;
    assert_int_equal(log_start_decode(&out, (struct slice){bytes, size}), 0);
    assert_memory_equal(&out, &in, sizeof in);
}

static void test_a_sender_comes_back(void **state)
{
    struct sender in = {UINT64_MAX, UINT64_MAX - 1};
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = sender_encode(&in, bytes);
    struct sender out;

    (void)state;
    assert_int_equal(sender_decode(&out, (struct slice){bytes, size}), 0);
    assert_memory_equal(&out, &in, sizeof in);
}

static void test_zero_positions_come_back(void **state)
{
    struct marker in = {0, 0, 0};
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = marker_encode(&in, bytes);
    struct marker out = {1, 1, 1};

    (void)state;
    assert_int_equal(size, 1);
    assert_int_equal(marker_decode(&out, (struct slice){bytes, size}), 0);
    assert_memory_equal(&out, &in, sizeof in);
    assert_int_equal(marker_decode(&out, (struct slice){bytes, 0}),
                     ERR_CORRUPT);
}

static struct identity filled_identity(void)
{
    return (struct identity){
        .cluster_id = UINT64_MAX,
        .node_id = 2,
        .boot = 3,
        .token = UINT64_MAX - 3,
        .peers_hash = UINT64_MAX - 4,
        .tokens = {5, 6, UINT64_MAX},
        .token_count = 3,
        .ino_bound = 7,
    };
}

static void test_an_identity_comes_back(void **state)
{
    struct identity in = filled_identity();
    struct buf *b = identity_encode(&in);
    struct identity out;

    (void)state;
    assert_int_equal(identity_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_memory_equal(&out, &in, sizeof in);
}

static void test_an_identity_over_a_limit_is_refused(void **state)
{
    struct identity in = filled_identity();

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_identity,
                      with_bytes(identity_encode(&in), 6, letters(14)));
}

static int try_damage(struct slice bytes)
{
    struct damage damage = {0};
    int rc = damage_decode(&damage, bytes);

    if (rc == 0)
        damage_release(&damage);
    return rc;
}

static struct buf *damage_bytes(void)
{
    struct damage damage = {.since_ns = -7, .region = filled_region()};

    return damage_encode(&damage);
}

static void test_the_mark_of_a_damaged_replica_comes_back(void **state)
{
    struct region in = filled_region();
    struct buf *b = damage_bytes();
    struct damage out;

    (void)state;
    assert_int_equal(damage_decode(&out, buf_slice(b)), 0);
    assert_int_equal(out.since_ns, -7);
    assert_int_equal(out.region.id, in.id);
    assert_slice_equal(out.region.end, in.end);
    assert_peers_equal(&out.region, &in);
    damage_release(&out);
    buf_unref(b);
}

static void test_a_mark_has_a_descriptor(void **state)
{
    struct buf *format = buf_copy("\1", 1);

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_damage, format);
}

static void test_damaged_records_are_survived(void **state)
{
    struct node_record node = {7, NODE_UP, 1, "127.0.0.1:7420", 2, 3};
    struct identity identity = filled_identity();
    uint8_t marker[MARKER_SIZE_MAX];
    size_t size = marker_encode(&(struct marker){1, 2, 3}, marker);

    (void)state;
    assert_damage_is_survived(try_region, region_bytes());
    assert_damage_is_survived(try_damage, damage_bytes());
    assert_damage_is_survived(try_node, node_encode(&node));
    assert_damage_is_survived(try_identity, identity_encode(&identity));
    assert_damage_is_survived(try_marker, buf_copy(marker, size));
}

static void test_a_tombstone_comes_back(void **state)
{
    struct tombstone in = {UINT64_MAX, 2, UINT64_MAX - 1};
    struct tombstone out;
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = tombstone_encode(&in, bytes);

    (void)state;
    assert_int_equal(tombstone_decode(&out, (struct slice){bytes, size}), 0);
    assert_true(out.peer == in.peer);
    assert_true(out.index == in.index);
    assert_true(out.term == in.term);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_region_comes_back),
        cmocka_unit_test(test_a_copy_of_a_region_has_memory_of_its_own),
        cmocka_unit_test(test_a_region_keeps_its_configuration),
        cmocka_unit_test(test_a_region_keeps_its_part_in_a_merge),
        cmocka_unit_test(test_a_merge_over_a_limit_is_refused),
        cmocka_unit_test(test_a_region_over_a_limit_is_refused),
        cmocka_unit_test(test_a_region_has_a_bounded_number_of_peers),
        cmocka_unit_test(test_a_peer_has_a_known_role),
        cmocka_unit_test(test_a_node_comes_back),
        cmocka_unit_test(test_a_node_over_a_limit_is_refused),
        cmocka_unit_test(test_a_changed_state_does_not_remove_a_node),
        cmocka_unit_test(test_a_marker_comes_back),
        cmocka_unit_test(test_a_hard_state_comes_back),
        cmocka_unit_test(test_a_log_start_comes_back),
        cmocka_unit_test(test_a_sender_comes_back),
        cmocka_unit_test(test_zero_positions_come_back),
        cmocka_unit_test(test_an_identity_comes_back),
        cmocka_unit_test(test_an_identity_over_a_limit_is_refused),
        cmocka_unit_test(test_the_mark_of_a_damaged_replica_comes_back),
        cmocka_unit_test(test_a_mark_has_a_descriptor),
        cmocka_unit_test(test_damaged_records_are_survived),
        cmocka_unit_test(test_a_tombstone_comes_back),
    };

    return cmocka_run_group_tests_name("record_region", tests, NULL, NULL);
}
