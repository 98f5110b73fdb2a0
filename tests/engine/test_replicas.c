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
#include "engine/region_state.h"
#include "raft/base/buf.h"
#include "raft/base/mem.h"
#include "tests/engine/fake_env.h"
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

static void put(struct kv *kv, struct key key, struct slice value)
{
    struct kv_batch *batch = kv_batch_new(kv);

    kv_batch_put(batch, key_slice(&key), value);
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
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
    put(state, key_region(REGION_FIRST_DATA),
        (struct slice){bytes->data, bytes->size});
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
    put(f->fake.env.state, key_marker(REGION_FIRST_DATA), slice_of("x"));
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

/* It does not know its range. */
static void test_a_replica_without_state_keeps_nobody_out(void **state)
{
    struct fixture *f = *state;
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
    assert_non_null(node_any_peer(f->node, REGION_FIRST_DATA));
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

    put(f->fake.env.state, key_tombstone(NEW_REGION),
        (struct slice){bytes, tombstone_encode(&tombstone, bytes)});
    begin_split(f, &proposal);
    assert_true(node_overlaps(f->node, &behind));
    finish_split(f);
    assert_null(node_any_peer(f->node, NEW_REGION));
    assert_false(node_overlaps(f->node, &behind));
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
        ALONE(test_a_range_is_never_free_while_it_is_split_off),
        ALONE(test_a_range_that_a_split_drops_is_free_when_it_is_gone),
        ALONE(test_a_replica_is_there_until_its_hash_is_made),
    };

    return cmocka_run_group_tests_name("replicas", tests, NULL, NULL);
}
