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
#include "tests/engine/fake_env.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { NODE = 1 };

struct fixture {
    struct fake_env fake;
    struct identity identity;
    struct node *node;
};

/* Not opened yet. */
static int setup_founders(void **state, const char *list)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct founders founders;

    fake_env_init(&f->fake, kv_mem_new(), kv_mem_new());
    assert_int_equal(founders_parse(&founders, list, NULL), 0);
    f->identity = (struct identity){.cluster_id = 1,
                                    .node_id = NODE,
                                    .boot = 1,
                                    .token_count = founders.count};
    for (uint64_t i = 0; i < founders.count; i++)
        f->identity.tokens[i] = founding_token(i, 1000000000);
    f->identity.token = f->identity.tokens[NODE - 1];
    assert_int_equal(founding_write(f->fake.env.log, f->fake.env.state,
                                    &f->identity, &founders, NULL),
                     0);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_founders(state, "1@a:1+2@b:2+3@c:3");
}

/* It leads all its regions. */
static int setup_alone(void **state)
{
    return setup_founders(state, "1@a:1");
}

static void settle(struct fixture *f)
{
    fake_env_run(&f->fake);
    while (f->fake.write_count > 0) {
        fake_env_sync(&f->fake, SIZE_MAX);
        fake_env_run(&f->fake);
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    settle(f);
    assert_int_equal(f->fake.fatal_count, 0);
    node_close(f->node);
    kv_close(f->fake.env.log);
    kv_close(f->fake.env.state);
    free(f);
    return 0;
}

static void open_node(struct fixture *f)
{
    struct node_config config = {
        .identity = f->identity, .advertise = "", .ino_next = 1};

    assert_int_equal(node_open(&f->node, &f->fake.env, &config, NULL), 0);
}

/* The entry that does it was applied, and then came a crash. */
static void remove_replica(struct fixture *f)
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

static void assert_erased(struct fixture *f, uint64_t index)
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
    struct fixture *f = *state;

    remove_replica(f);
    open_node(f);
    assert_true(node_is_erasing(f->node));
    assert_erased(f, FOUNDING_INDEX);
}

/* Whatever has become of it, it goes. */
static void test_a_removed_replica_that_is_damaged_is_erased_as_well(void **s)
{
    struct fixture *f = *s;

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
    struct fixture *f = *state;
    struct region same = {.id = REGION_FIRST_DATA};

    open_node(f);
    assert_true(node_overlaps(f->node, &other));
    assert_false(node_overlaps(f->node, &same));
}

/* What is still to be deleted must not be another's by then. */
static void test_a_range_is_free_when_it_is_erased(void **state)
{
    struct fixture *f = *state;

    remove_replica(f);
    open_node(f);
    assert_true(node_overlaps(f->node, &other));
    assert_erased(f, FOUNDING_INDEX);
    assert_false(node_overlaps(f->node, &other));
}

/* A leader knows of a peer that is not here yet. */
static struct peer *make_peer(struct fixture *f)
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
    struct fixture *f = *state;

    assert_non_null(make_peer(f));
    assert_false(node_overlaps(f->node, &other));
}

/* ---- splits ---- */

enum { NEW_REGION = 7 };

/* Behind the place where the region is split. */
static const struct region behind = {
    .id = 9, .start = {"\0\0\0\0\0\0\0\6", 8}, .peer_count = 1};

static void on_proposed(struct proposal *proposal, int status, bool in_log,
                        struct buf *result)
{
    (void)in_log;
    (void)result;
    assert_int_equal(status, 0);
    buf_unref(proposal->command);
}

/* The entry is handed out, and waits to be applied. */
static void begin_split(struct fixture *f, struct proposal *proposal)
{
    struct peer *peer;
    struct command command = {
        .op = COMMAND_SPLIT, .dir = 5, .new_region = NEW_REGION};

    open_node(f);
    settle(f);
    f->fake.hold_apply = true;
    peer = node_peer(f->node, REGION_FIRST_DATA);
    command.region_version = peer_region(peer)->version;
    command.region_conf_ver = peer_region(peer)->conf_ver;
    *proposal = (struct proposal){.command = command_encode(&command),
                                  .done = on_proposed};
    assert_int_equal(peer_propose_split(peer, proposal), 0);
    settle(f);
    assert_int_equal(peer_region(peer)->end.size, KEY_NSID_SIZE);
    assert_null(node_any_peer(f->node, NEW_REGION));
}

static void finish_split(struct fixture *f)
{
    f->fake.hold_apply = false;
    settle(f);
}

/* The old region has let go of it, the new one is not there yet. */
static void test_a_range_is_never_free_while_it_is_split_off(void **state)
{
    struct fixture *f = *state;
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
    struct fixture *f = *s;
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

/* ---- merges ---- */

static void propose(struct fixture *f, uint64_t region,
                    const struct command *command, struct proposal *proposal)
{
    *proposal = (struct proposal){.command = command_encode(command),
                                  .done = on_proposed};
    peer_propose(node_peer(f->node, region), proposal);
    settle(f);
}

/* The region is split, and its left part begins to take over the right one. */
static void begin_merge(struct fixture *f)
{
    const struct region *target;
    const struct region *source;
    struct proposal proposal;

    begin_split(f, &proposal);
    finish_split(f);
    target = peer_region(node_peer(f->node, REGION_FIRST_DATA));
    source = peer_region(node_peer(f->node, NEW_REGION));
    propose(f, REGION_FIRST_DATA,
            &(struct command){.op = COMMAND_MERGE,
                              .merge_step = MERGE_STEP_BEGIN,
                              .merge = {.other = NEW_REGION,
                                        .version = source->version,
                                        .conf_ver = source->conf_ver,
                                        .start = source->start,
                                        .end = source->end},
                              .region_version = target->version,
                              .region_conf_ver = target->conf_ver},
            &proposal);
    assert_int_equal(target->merge.state, MERGE_TAKING);
}

static void freeze(struct fixture *f, uint64_t attempt)
{
    const struct region *source = peer_region(node_peer(f->node, NEW_REGION));
    struct proposal proposal;

    propose(f, NEW_REGION,
            &(struct command){.op = COMMAND_FREEZE,
                              .merge = {.other = REGION_FIRST_DATA,
                                        .attempt = attempt,
                                        .version = source->version,
                                        .conf_ver = source->conf_ver}},
            &proposal);
    assert_int_equal(source->merge.state, MERGE_FROZEN);
}

static uint64_t attempt_of(const struct fixture *f)
{
    return peer_region(node_peer(f->node, REGION_FIRST_DATA))->merge.attempt;
}

static void take(struct fixture *f, struct proposal *proposal)
{
    const struct region *target =
        peer_region(node_peer(f->node, REGION_FIRST_DATA));

    propose(f, REGION_FIRST_DATA,
            &(struct command){.op = COMMAND_MERGE,
                              .merge_step = MERGE_STEP_TAKE,
                              .merge = target->merge,
                              .region_version = target->version,
                              .region_conf_ver = target->conf_ver},
            proposal);
}

static struct peer *peer_behind(const struct fixture *f)
{
    return node_peer_at(f->node, behind.start);
}

static bool has_log(struct fixture *f)
{
    return has_record(f->fake.env.log, key_hard_state(NEW_REGION));
}

/* Between the two it is nobody's: what reads it waits. */
static void test_what_is_taken_over_is_the_target_once_applied(void **state)
{
    struct fixture *f = *state;
    struct proposal proposal;
    struct tombstone tombstone;

    begin_merge(f);
    freeze(f, attempt_of(f));
    assert_ptr_equal(peer_behind(f), node_peer(f->node, NEW_REGION));
    f->fake.hold_apply = true;
    take(f, &proposal);
    assert_null(node_any_peer(f->node, NEW_REGION));
    assert_null(peer_behind(f));
    assert_true(node_overlaps(f->node, &behind));
    assert_int_equal(tombstone_read(&f->fake.env, NEW_REGION, &tombstone),
                     ERR_NOT_FOUND);
    finish_split(f);
    assert_ptr_equal(peer_behind(f), node_peer(f->node, REGION_FIRST_DATA));
    assert_int_equal(tombstone_read(&f->fake.env, NEW_REGION, &tombstone), 0);
    assert_true(tombstone.peer == TOMBSTONE_OF_ALL);
}

/* The crash came before what log/ has of it was erased. */
static void test_what_was_taken_over_does_not_come_back(void **state)
{
    struct fixture *f = *state;
    struct raft_message message = {
        .type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 1000, .term = 70};
    struct raft_batch *messages = raft_batch_new();
    struct env_packet packet;
    struct proposal proposal;

    begin_merge(f);
    freeze(f, attempt_of(f));
    take(f, &proposal);
    assert_true(has_log(f));
    node_close(f->node);
    open_node(f);
    assert_null(node_any_peer(f->node, NEW_REGION));
    assert_false(has_log(f));
    assert_int_equal(peer_region(peer_behind(f))->absorbed, NEW_REGION);
    raft_batch_add(messages, NEW_REGION, &message);
    raft_batch_pack(messages, &packet);
    node_on_packet(f->node, 2, &packet);
    raft_batch_free(messages);
    assert_null(node_any_peer(f->node, NEW_REGION));
}

static void test_only_what_is_frozen_for_it_is_taken_over(void **state)
{
    struct fixture *f = *state;
    const struct peer *target;

    begin_merge(f);
    target = node_peer(f->node, REGION_FIRST_DATA);
    assert_false(node_on_merge(f->node, target, NEW_REGION, attempt_of(f)));
    assert_false(node_on_merge(f->node, target, 99, attempt_of(f)));
    freeze(f, attempt_of(f));
    assert_false(node_on_merge(f->node, target, NEW_REGION, attempt_of(f) + 1));
    assert_non_null(node_peer(f->node, NEW_REGION));
}

/* Its own log has the entry, or a snapshot brings what comes of it. */
static void test_the_source_stays_while_the_target_is_there(void **state)
{
    struct fixture *f = *state;
    struct peer_note note = {.region = NEW_REGION, .peer = 1, 9, 9};
    struct env_packet packet = {.type = WIRE_PEER_GONE,
                                .header = peer_note_encode(&note)};

    begin_merge(f);
    freeze(f, attempt_of(f));
    node_on_packet(f->node, 2, &packet);
    buf_unref(packet.header);
    assert_non_null(node_peer(f->node, NEW_REGION));
}

static void test_the_source_makes_room_for_a_snapshot_of_the_whole(void **state)
{
    struct fixture *f = *state;
    struct region whole = {.id = REGION_FIRST_DATA};

    begin_merge(f);
    node_drop_absorbed(f->node, &whole);
    assert_non_null(node_peer(f->node, NEW_REGION));
    whole.absorbed = NEW_REGION;
    assert_true(node_overlaps(f->node, &whole));
    node_drop_absorbed(f->node, &whole);
    assert_null(node_any_peer(f->node, NEW_REGION));
    assert_true(node_is_erasing(f->node));
}

/* ---- ends ---- */

/* What it has begun to write to the log takes from its memory. */
static void assert_settles_when_written(struct fixture *f, struct peer *peer)
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
    struct fixture *f = *state;
    struct peer *peer;

    open_node(f);
    settle(f);
    assert_int_equal(peer_create(&peer, f->node, NEW_REGION, 9, NULL), 0);
    assert_settles_when_written(f, peer);
}

/* As with one that a split has made, of which the log knows nothing. */
static void test_a_peer_that_mends_its_log_is_not_freed_too_early(void **state)
{
    struct fixture *f = *state;
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
    struct fixture *f = *state;
    struct command command = {.op = COMMAND_CHECK};
    struct proposal proposal = {.command = command_encode(&command),
                                .done = on_proposed};
    struct peer *peer;

    open_node(f);
    settle(f);
    peer = node_peer(f->node, REGION_FIRST_DATA);
    f->fake.hold_bulk = true;
    peer_propose(peer, &proposal);
    settle(f);
    peer_stop(peer);
    assert_false(peer_has_settled(peer));
    f->fake.hold_bulk = false;
    settle(f);
    assert_true(peer_has_settled(peer));
}

/* Its id is on the way to the disk. */
static void test_a_replica_is_there_until_its_log_is_written(void **state)
{
    struct fixture *f = *state;
    struct peer *peer = make_peer(f);

    peer_stop(peer);
    fake_env_run(&f->fake);
    assert_false(peer_has_settled(peer));
    settle(f);
    assert_true(peer_has_settled(peer));
}

/* ---- giving a state/ up ---- */

static void put_entry(struct fixture *f, uint64_t index,
                      enum raft_entry_type type)
{
    uint8_t entry[10] = {LOG_ENTRY_FORMAT, (uint8_t)type};

    be64_put(entry + 2, FOUNDING_TERM);
    put_record(f->fake.env.log, key_log_entry(REGION_FIRST_DATA, index),
               (struct slice){entry, sizeof entry});
}

static int give_up(struct fixture *f)
{
    return salvage_mark(f->fake.env.log, f->fake.env.state, NODE, 1);
}

/* The change may leave nobody else. */
static void test_a_state_is_kept_behind_which_its_members_change(void **state)
{
    struct fixture *f = *state;

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
    struct fixture *f = *state;
    struct hard_state hard_state = {.term = FOUNDING_TERM};
    uint8_t bytes[MARKER_SIZE_MAX];

    put_record(f->fake.env.log, key_hard_state(NEW_REGION),
               (struct slice){bytes, hard_state_encode(&hard_state, bytes)});
    assert_int_equal(give_up(f), ERR_UNAVAILABLE);
    open_node(f);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define ALONE(test) cmocka_unit_test_setup_teardown(test, setup_alone, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_replica_that_was_removed_is_erased_at_the_start),
        TEST(test_a_removed_replica_that_is_damaged_is_erased_as_well),
        TEST(test_a_replica_keeps_others_out_of_its_range),
        TEST(test_a_range_is_free_when_it_is_erased),
        TEST(test_a_replica_without_state_keeps_nobody_out),
        ALONE(test_what_is_taken_over_is_the_target_once_applied),
        ALONE(test_what_was_taken_over_does_not_come_back),
        ALONE(test_only_what_is_frozen_for_it_is_taken_over),
        ALONE(test_the_source_stays_while_the_target_is_there),
        ALONE(test_the_source_makes_room_for_a_snapshot_of_the_whole),
        ALONE(test_a_range_is_never_free_while_it_is_split_off),
        ALONE(test_a_range_that_a_split_drops_is_free_when_it_is_gone),
        TEST(test_a_peer_that_was_just_made_is_not_freed_too_early),
        TEST(test_a_peer_that_mends_its_log_is_not_freed_too_early),
        ALONE(test_a_replica_is_there_until_its_hash_is_made),
        TEST(test_a_replica_is_there_until_its_log_is_written),
        TEST(test_a_state_is_kept_behind_which_its_members_change),
        TEST(test_a_state_is_kept_that_a_split_is_still_to_change),
    };

    return cmocka_run_group_tests_name("replicas", tests, NULL, NULL);
}
