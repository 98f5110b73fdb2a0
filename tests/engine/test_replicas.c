/* SPDX-License-Identifier: Apache-2.0 */

/* What a node makes of the replicas in its store when it starts: those that
 * were removed, what they keep away until they are erased, and what has to end
 * before. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/command.h"
#include "engine/erase.h"
#include "engine/founding.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/region_log.h"
#include "engine/region_state.h"
#include "engine/salvage.h"
#include "engine/wire.h"
#include "raft/base/buf.h"
#include "raft/base/mem.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/replicas_fixture.h"
#include "tests/sim/kv_mem.h"

/* The entry that does it was applied, and then came a crash. */
static void remove_replica(struct replicas_fixture *f)
{
    struct kv *state = f->fake.env.state;
    struct region region = {0};
    struct buf *bytes;

    assert_int_equal(
        region_state_descriptor(state, NULL, REGION_FIRST_DATA, &region), 0);
    assert_int_equal(region.peers[0].node, NODE);
    region.peers[0].node = 4;
    region.peers[0].id = ++region.peer_max;
    region.voters[0] = region.peer_max;
    bytes = region_encode(&region);
    put_record(state, key_region(REGION_FIRST_DATA), buf_slice(bytes));
    buf_unref(bytes);
    region_release(&region);
}

static void assert_erased(struct replicas_fixture *f, uint64_t index)
{
    struct tombstone tombstone;
    struct region region;

    settle(f);
    assert_false(node_is_erasing(f->node));
    assert_null(node_any_peer(f->node, REGION_FIRST_DATA));
    assert_int_equal(region_state_descriptor(f->fake.env.state, NULL,
                                             REGION_FIRST_DATA, &region),
                     ERR_NOT_FOUND);
    assert_int_equal(
        tombstone_read(&f->fake.env, REGION_FIRST_DATA, &tombstone), 0);
    assert_int_equal(tombstone.index, index);
}

static void test_a_replica_that_was_removed_is_erased_at_the_start(void **state)
{
    struct replicas_fixture *f = *state;

    remove_replica(f);
    open_node(f);
    assert_true(node_is_erasing(f->node));
    assert_erased(f, FOUNDING_INDEX);
}

/* A log that a crash has erased alone would leave a replica that has forgotten
 * its votes. */
static void test_its_log_goes_when_the_tombstone_is_durable(void **state)
{
    struct replicas_fixture *f = *state;
    struct key key = key_tombstone(REGION_FIRST_DATA);
    struct kv_value value = {0};

    remove_replica(f);
    open_node(f);
    fake_env_run(&f->fake);
    assert_true(f->fake.write_count > 0);
    assert_int_equal(kv_get_durable(f->fake.env.state, key_slice(&key), &value),
                     0);
    kv_value_release(&value);
}

/* Whatever has become of it, it goes. */
static void test_a_removed_replica_that_is_damaged_is_erased_as_well(void **s)
{
    struct replicas_fixture *f = *s;

    remove_replica(f);
    put_record(f->fake.env.state, key_marker(REGION_FIRST_DATA), slice_of("x"));
    open_node(f);
    assert_true(node_is_erasing(f->node));
    assert_erased(f, 0);
}

/* ---- ranges ---- */

static const struct region other = {
    .id = 7, .start = {"m", 1}, .end = {"n", 1}, .peer_count = 1};

static void test_a_replica_keeps_others_out_of_its_range(void **state)
{
    struct replicas_fixture *f = *state;
    struct region same = {.id = REGION_FIRST_DATA};

    open_node(f);
    assert_true(node_overlaps(f->node, &other));
    assert_false(node_overlaps(f->node, &same));
}

/* What is still to be deleted must not be another's by then. */
static void test_a_range_is_free_when_it_is_erased(void **state)
{
    struct replicas_fixture *f = *state;

    remove_replica(f);
    open_node(f);
    assert_true(node_overlaps(f->node, &other));
    assert_erased(f, FOUNDING_INDEX);
    assert_false(node_overlaps(f->node, &other));
}

/* A leader knows of a peer that is not here yet. */
static struct peer *make_peer(struct replicas_fixture *f)
{
    struct raft_message message = {
        .type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 9, .term = 7};
    struct raft_batch *messages = raft_batch_new();
    struct env_packet packet;

    remove_replica(f);
    open_node(f);
    assert_erased(f, FOUNDING_INDEX);
    raft_batch_add(messages, REGION_FIRST_DATA, &message);
    raft_batch_pack(messages, &packet);
    node_on_packet(f->node, 2, &packet);
    raft_batch_free(messages);
    return node_any_peer(f->node, REGION_FIRST_DATA);
}

/* It does not know its range. */
static void test_a_replica_without_state_keeps_nobody_out(void **state)
{
    struct replicas_fixture *f = *state;

    assert_non_null(make_peer(f));
    assert_false(node_overlaps(f->node, &other));
}

/* ---- splits ---- */

/* The old region has let go of it, the new one is not there yet. */
static void test_a_range_is_never_free_while_it_is_split_off(void **state)
{
    struct replicas_fixture *f = *state;
    struct proposal proposal;

    begin_split(f, &proposal);
    assert_true(node_overlaps(f->node, &behind));
    finish_split(f);
    assert_non_null(node_peer(f->node, NEW_REGION));
    assert_true(node_overlaps(f->node, &behind));
}

/* A replica that was removed before it came: what is dropped must not be
 * another's by then. */
static void test_a_range_that_a_split_drops_is_free_when_it_is_gone(void **s)
{
    struct replicas_fixture *f = *s;
    struct tombstone tombstone = {.peer = 1, .index = 9, .term = 9};
    struct proposal proposal;
    uint8_t bytes[MARKER_SIZE_MAX];

    put_record(f->fake.env.state, key_tombstone(NEW_REGION),
               (struct slice){bytes, tombstone_encode(&tombstone, bytes)});
    begin_split(f, &proposal);
    assert_true(node_overlaps(f->node, &behind));
    finish_split(f);
    assert_null(node_any_peer(f->node, NEW_REGION));
    assert_false(node_overlaps(f->node, &behind));
}

/* ---- ends ---- */

/* What it has begun to write to the log takes from its memory. */
static void assert_settles_when_written(struct replicas_fixture *f,
                                        struct peer *peer)
{
    peer_stop(peer);
    fake_env_run(&f->fake);
    assert_false(peer_has_settled(peer));
    settle(f);
    assert_true(peer_has_settled(peer));
    peer_close(peer);
}

static void test_a_peer_that_was_just_made_is_not_freed_too_early(void **state)
{
    struct replicas_fixture *f = *state;
    struct peer *peer;

    open_node(f);
    settle(f);
    assert_int_equal(peer_create(&peer, f->node, NEW_REGION, 9, NULL), 0);
    assert_settles_when_written(f, peer);
}

/* As with one that a split has made, of which the log knows nothing. */
static void test_a_peer_that_mends_its_log_is_not_freed_too_early(void **state)
{
    struct replicas_fixture *f = *state;
    struct marker marker = {.index = FOUNDING_INDEX + 1, .term = 1};
    struct peer *peer;
    uint8_t bytes[MARKER_SIZE_MAX];

    open_node(f);
    settle(f);
    put_record(f->fake.env.state, key_marker(REGION_FIRST_DATA),
               (struct slice){bytes, marker_encode(&marker, bytes)});
    assert_int_equal(peer_open(&peer, f->node, REGION_FIRST_DATA, NULL), 0);
    assert_settles_when_written(f, peer);
}

/* ---- what is under way ---- */

/* What comes back from there finds the replica where it was. */
static void test_a_replica_is_there_until_its_hash_is_made(void **state)
{
    struct replicas_fixture *f = *state;
    struct command command = {.op = COMMAND_CHECK};
    struct proposal proposal = {.command = command_encode(&command),
                                .done = on_proposed};
    struct peer *peer;

    open_node(f);
    settle(f);
    peer = node_peer(f->node, REGION_FIRST_DATA);
    f->fake.held = ENV_BULK;
    peer_propose(peer, &proposal);
    settle(f);
    peer_stop(peer);
    assert_false(peer_has_settled(peer));
    f->fake.held = ENV_WORKER;
    settle(f);
    assert_true(peer_has_settled(peer));
}

/* Its id is on the way to the disk. */
static void test_a_replica_is_there_until_its_log_is_written(void **state)
{
    struct replicas_fixture *f = *state;
    struct peer *peer = make_peer(f);

    peer_stop(peer);
    fake_env_run(&f->fake);
    assert_false(peer_has_settled(peer));
    settle(f);
    assert_true(peer_has_settled(peer));
}

/* ---- giving a state/ up ---- */

static void put_entry(struct replicas_fixture *f, uint64_t index,
                      enum raft_entry_type type)
{
    uint8_t entry[10] = {LOG_ENTRY_FORMAT, (uint8_t)type};

    be64_put(entry + 2, FOUNDING_TERM);
    put_record(f->fake.env.log, key_log_entry(REGION_FIRST_DATA, index),
               (struct slice){entry, sizeof entry});
}

static int give_up(struct replicas_fixture *f)
{
    return salvage_mark(f->fake.env.log, f->fake.env.state, NODE, 1);
}

/* The change may leave nobody else. */
static void test_a_state_is_kept_behind_which_its_members_change(void **state)
{
    struct replicas_fixture *f = *state;

    put_entry(f, FOUNDING_INDEX + 1, RAFT_ENTRY_NORMAL);
    put_entry(f, FOUNDING_INDEX + 2, RAFT_ENTRY_CONF_CHANGE_V2);
    assert_int_equal(give_up(f), ERR_UNAVAILABLE);
    put_entry(f, FOUNDING_INDEX + 2, RAFT_ENTRY_NORMAL);
    assert_int_equal(give_up(f), 0);
    open_node(f);
}

/* Its members may have changed since, too. */
static void test_a_state_is_kept_that_a_split_is_still_to_change(void **state)
{
    struct replicas_fixture *f = *state;
    struct hard_state hard_state = {.term = FOUNDING_TERM};
    uint8_t bytes[MARKER_SIZE_MAX];

    put_record(f->fake.env.log, key_hard_state(NEW_REGION),
               (struct slice){bytes, hard_state_encode(&hard_state, bytes)});
    assert_int_equal(give_up(f), ERR_UNAVAILABLE);
    open_node(f);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_of_three, teardown)
#define ALONE(test) cmocka_unit_test_setup_teardown(test, setup_alone, teardown)

static void tell_gone(struct replicas_fixture *f)
{
    const struct peer *peer = node_any_peer(f->node, REGION_FIRST_DATA);
    struct peer_note note = {.region = REGION_FIRST_DATA,
                             .peer = peer_id(peer),
                             .index = 99,
                             .term = 9};
    struct env_packet packet = {.type = WIRE_PEER_GONE,
                                .header = peer_note_encode(&note)};

    node_on_packet(f->node, 2, &packet);
    buf_unref(packet.header);
}

/* What log/ has of the new region goes on from there. */
static void test_a_replica_is_there_until_its_split_is_applied_again(void **s)
{
    struct replicas_fixture *f = *s;
    struct proposal proposal;

    begin_split(f, &proposal);
    finish_split(f);
    node_close(f->node);
    kv_mem_crash(f->fake.env.state, 0);
    f->fake.held = ENV_APPLY;
    open_node(f);
    settle(f);
    tell_gone(f);
    assert_non_null(node_any_peer(f->node, REGION_FIRST_DATA));
    finish_split(f);
    assert_non_null(node_peer(f->node, NEW_REGION));
    tell_gone(f);
    assert_null(node_any_peer(f->node, REGION_FIRST_DATA));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_replica_that_was_removed_is_erased_at_the_start),
        TEST(test_its_log_goes_when_the_tombstone_is_durable),
        TEST(test_a_removed_replica_that_is_damaged_is_erased_as_well),
        TEST(test_a_replica_keeps_others_out_of_its_range),
        TEST(test_a_range_is_free_when_it_is_erased),
        TEST(test_a_replica_without_state_keeps_nobody_out),
        ALONE(test_a_range_is_never_free_while_it_is_split_off),
        ALONE(test_a_range_that_a_split_drops_is_free_when_it_is_gone),
        TEST(test_a_peer_that_was_just_made_is_not_freed_too_early),
        TEST(test_a_peer_that_mends_its_log_is_not_freed_too_early),
        ALONE(test_a_replica_is_there_until_its_hash_is_made),
        TEST(test_a_replica_is_there_until_its_log_is_written),
        ALONE(test_a_replica_is_there_until_its_split_is_applied_again),
        TEST(test_a_state_is_kept_behind_which_its_members_change),
        TEST(test_a_state_is_kept_that_a_split_is_still_to_change),
    };

    return cmocka_run_group_tests_name("replicas", tests, NULL, NULL);
}
