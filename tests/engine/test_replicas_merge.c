/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of the replicas of two regions on a node, of which one is merged
 * into the other: when the source's is kept, when it goes, and what tells so
 * for ever. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/command.h"
#include "engine/erase.h"
#include "engine/keys.h"
#include "engine/merge.h"
#include "engine/region_state.h"
#include "engine/wire.h"
#include "raft/base/buf.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/replicas_fixture.h"

/* The region is split, and its left part begins to take over the right one. */
static void begin_merge(struct replicas_fixture *f)
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

static void freeze(struct replicas_fixture *f, uint64_t attempt)
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

static uint64_t attempt_of(const struct replicas_fixture *f)
{
    return peer_region(node_peer(f->node, REGION_FIRST_DATA))->merge.attempt;
}

static void in_target(struct replicas_fixture *f, enum merge_step step,
                      struct proposal *proposal)
{
    const struct region *target =
        peer_region(node_peer(f->node, REGION_FIRST_DATA));

    propose(f, REGION_FIRST_DATA,
            &(struct command){.op = COMMAND_MERGE,
                              .merge_step = step,
                              .merge = target->merge,
                              .region_version = target->version,
                              .region_conf_ver = target->conf_ver},
            proposal);
}

static void take(struct replicas_fixture *f, struct proposal *proposal)
{
    in_target(f, MERGE_STEP_TAKE, proposal);
}

static struct peer *peer_behind(const struct replicas_fixture *f)
{
    return node_peer_at(f->node, behind.start);
}

static bool has_log(struct replicas_fixture *f)
{
    return has_record(f->fake.env.log, key_hard_state(NEW_REGION));
}

/* Between the two it is nobody's: what reads it waits. */
static void test_what_is_taken_over_is_the_target_once_applied(void **state)
{
    struct replicas_fixture *f = *state;
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
    struct replicas_fixture *f = *state;
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
    struct replicas_fixture *f = *state;
    const struct peer *target;

    begin_merge(f);
    target = node_peer(f->node, REGION_FIRST_DATA);
    assert_false(node_on_merge(f->node, target, NEW_REGION, attempt_of(f)));
    assert_false(node_on_merge(f->node, target, 99, attempt_of(f)));
    freeze(f, attempt_of(f));
    assert_false(node_on_merge(f->node, target, NEW_REGION, attempt_of(f) + 1));
    assert_non_null(node_peer(f->node, NEW_REGION));
}

/* The source's peer here is in its region no more. */
static void tell_gone(struct replicas_fixture *f)
{
    struct peer_note note = {.region = NEW_REGION, .peer = 1, 9, 9};
    struct env_packet packet = {.type = WIRE_PEER_GONE,
                                .header = peer_note_encode(&note)};

    node_on_packet(f->node, 2, &packet);
    buf_unref(packet.header);
}

/* Its own log has the entry, or a snapshot brings what comes of it. */
static void test_the_source_stays_while_the_target_is_there(void **state)
{
    struct replicas_fixture *f = *state;

    begin_merge(f);
    freeze(f, attempt_of(f));
    tell_gone(f);
    assert_non_null(node_peer(f->node, NEW_REGION));
}

/* The target has no use for it any more. */
static void test_the_source_of_an_attempt_that_is_over_may_go(void **state)
{
    struct replicas_fixture *f = *state;
    struct proposal proposal;

    begin_merge(f);
    freeze(f, attempt_of(f));
    in_target(f, MERGE_STEP_GIVE_UP, &proposal);
    tell_gone(f);
    assert_null(node_peer(f->node, NEW_REGION));
    assert_true(node_is_erasing(f->node));
}

/* It missed that it was let go, and the target has begun anew. */
static void test_the_source_of_an_earlier_attempt_may_go(void **state)
{
    struct replicas_fixture *f = *state;

    begin_merge(f);
    freeze(f, attempt_of(f) - 1);
    tell_gone(f);
    assert_null(node_peer(f->node, NEW_REGION));
}

/* What comes with the attempt is still to be seen. */
static void test_the_source_of_an_attempt_to_come_stays(void **state)
{
    struct replicas_fixture *f = *state;

    begin_merge(f);
    freeze(f, attempt_of(f) + 100);
    tell_gone(f);
    assert_non_null(node_peer(f->node, NEW_REGION));
}

static void test_the_source_makes_room_for_a_snapshot_of_the_whole(void **state)
{
    struct replicas_fixture *f = *state;
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

#define ALONE(test) cmocka_unit_test_setup_teardown(test, setup_alone, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(test_what_is_taken_over_is_the_target_once_applied),
        ALONE(test_what_was_taken_over_does_not_come_back),
        ALONE(test_only_what_is_frozen_for_it_is_taken_over),
        ALONE(test_the_source_stays_while_the_target_is_there),
        ALONE(test_the_source_of_an_attempt_that_is_over_may_go),
        ALONE(test_the_source_of_an_earlier_attempt_may_go),
        ALONE(test_the_source_of_an_attempt_to_come_stays),
        ALONE(test_the_source_makes_room_for_a_snapshot_of_the_whole),
    };

    return cmocka_run_group_tests_name("replicas merge", tests, NULL, NULL);
}
