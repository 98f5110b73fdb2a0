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
#include "engine/node_impl.h"
#include "engine/region_state.h"
#include "engine/replicas.h"
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

static void freeze_for(struct replicas_fixture *f, uint64_t target,
                       uint64_t attempt)
{
    const struct region *source = peer_region(node_peer(f->node, NEW_REGION));
    struct proposal proposal;

    propose(f, NEW_REGION,
            &(struct command){.op = COMMAND_FREEZE,
                              .merge = {.other = target,
                                        .attempt = attempt,
                                        .version = source->version,
                                        .conf_ver = source->conf_ver}},
            &proposal);
    assert_int_equal(source->merge.state, MERGE_FROZEN);
}

static void freeze(struct replicas_fixture *f, uint64_t attempt)
{
    freeze_for(f, REGION_FIRST_DATA, attempt);
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

/* ---- regions that are no more ---- */

enum { ELSEWHERE = 99 /* a region that has no replica here */ };

static bool is_gone(struct replicas_fixture *f, uint64_t region)
{
    return region_state_is_gone(f->fake.env.state, region);
}

/* Region 0 knows it, from whomever. */
static void write_down(struct replicas_fixture *f, uint64_t region)
{
    struct buf *bytes = gone_region_encode(ELSEWHERE);

    put_record(f->fake.env.state, key_gone_region(region), buf_slice(bytes));
    buf_unref(bytes);
}

static void test_what_was_taken_over_is_written_down_in_region_0(void **state)
{
    struct replicas_fixture *f = *state;
    struct proposal proposal;

    begin_merge(f);
    freeze(f, attempt_of(f));
    merges_tick(node_merges(f->node));
    settle(f);
    assert_false(is_gone(f, NEW_REGION));
    take(f, &proposal);
    assert_false(is_gone(f, NEW_REGION));
    merges_tick(node_merges(f->node));
    settle(f);
    assert_true(is_gone(f, NEW_REGION));
    assert_false(is_gone(f, REGION_FIRST_DATA));
}

/* All who were in the merge may have left the cluster. */
static void test_a_frozen_region_that_is_no_more_goes(void **state)
{
    struct replicas_fixture *f = *state;
    struct tombstone tombstone;

    begin_merge(f);
    freeze_for(f, ELSEWHERE, 5);
    replicas_each_second(f->node->replicas);
    assert_non_null(node_peer(f->node, NEW_REGION));
    write_down(f, NEW_REGION);
    replicas_each_second(f->node->replicas);
    assert_null(node_any_peer(f->node, NEW_REGION));
    replicas_tick(f->node->replicas);
    settle(f);
    assert_false(node_is_erasing(f->node));
    assert_int_equal(tombstone_read(&f->fake.env, NEW_REGION, &tombstone), 0);
    assert_true(tombstone.peer == TOMBSTONE_OF_ALL);
}

/* The target's replica here has not heard of the attempt yet. */
static void put_frozen(struct replicas_fixture *f)
{
    struct kv *state = f->fake.env.state;
    struct region region = {0};
    struct marker marker;
    uint8_t small[MARKER_SIZE_MAX];
    struct buf *bytes;

    assert_int_equal(
        region_state_descriptor(state, NULL, REGION_FIRST_DATA, &region), 0);
    assert_int_equal(
        region_state_marker(state, NULL, REGION_FIRST_DATA, &marker), 0);
    region.id = NEW_REGION;
    region.merge = (struct region_merge){.state = MERGE_FROZEN,
                                         .other = REGION_FIRST_DATA,
                                         .attempt = marker.index + 1};
    bytes = region_encode(&region);
    put_record(state, key_region(NEW_REGION), buf_slice(bytes));
    put_record(state, key_marker(NEW_REGION),
               (struct slice){small, marker_encode(&marker, small)});
    buf_unref(bytes);
    region_release(&region);
}

/* The target's log here has the entry, or gets it, and needs it. */
static void test_what_is_no_more_stays_until_it_is_taken_here(void **state)
{
    struct replicas_fixture *f = *state;

    put_frozen(f);
    open_node(f);
    settle(f);
    write_down(f, NEW_REGION);
    fake_env_pass(&f->fake, 6000);
    replicas_each_second(f->node->replicas);
    assert_non_null(node_peer(f->node, NEW_REGION));
}

/* One that was removed before the merge is not frozen. */
static void test_a_silent_region_that_is_no_more_goes(void **state)
{
    struct replicas_fixture *f = *state;

    open_node(f);
    settle(f);
    write_down(f, REGION_FIRST_DATA);
    replicas_each_second(f->node->replicas);
    assert_non_null(node_peer(f->node, REGION_FIRST_DATA));
    fake_env_pass(&f->fake, 6000);
    replicas_each_second(f->node->replicas);
    assert_null(node_any_peer(f->node, REGION_FIRST_DATA));
}

struct waiting {
    struct merge_wait wait;
    unsigned done;
    int status;
};

static void on_merged(struct merge_wait *wait, int status, const char *why)
{
    struct waiting *waiting = container_of(wait, struct waiting, wait);

    (void)why;
    waiting->done++;
    waiting->status = status;
}

static void pass(struct replicas_fixture *f, uint64_t ms)
{
    fake_env_pass(&f->fake, ms);
    settle(f);
}

/* One region was merged into the other one, and then the whole is split. */
static void merge_and_split(struct replicas_fixture *f)
{
    struct command command = {
        .op = COMMAND_SPLIT, .dir = 5, .new_region = NEW_REGION + 1};
    const struct region *whole;
    struct proposal proposal;

    begin_merge(f);
    freeze(f, attempt_of(f));
    take(f, &proposal);
    whole = peer_region(node_peer(f->node, REGION_FIRST_DATA));
    command.region_version = whole->version;
    command.region_conf_ver = whole->conf_ver;
    propose(f, REGION_FIRST_DATA, &command, &proposal);
    assert_non_null(node_peer(f->node, NEW_REGION + 1));
}

/* Returns what it ends with. */
static int merge(struct replicas_fixture *f, uint64_t target, uint64_t source)
{
    struct waiting waiting = {.wait.done = on_merged};

    merge_start(&waiting.wait, f->node, target, source);
    for (int i = 0; i < 1000 && waiting.done == 0; i++)
        pass(f, 5);
    assert_int_equal(waiting.done, 1);
    return waiting.status;
}

/* What the descriptor says of the last one must not be lost. */
static void test_no_merge_begins_before_the_last_is_written_down(void **state)
{
    struct replicas_fixture *f = *state;
    const uint64_t left = REGION_FIRST_DATA;
    const uint64_t right = NEW_REGION + 1;

    merge_and_split(f);
    assert_int_equal(merge(f, left, right), ERR_BUSY);
    assert_int_equal(merge(f, right, left), ERR_BUSY);
    merges_tick(node_merges(f->node));
    settle(f);
    assert_int_equal(merge(f, right, left), 0);
    assert_true(is_gone(f, left));
}

#define ALONE(test) cmocka_unit_test_setup_teardown(test, setup_alone, teardown)
#define OF_THREE(test)                                                         \
    cmocka_unit_test_setup_teardown(test, setup_of_three, teardown)

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
        ALONE(test_what_was_taken_over_is_written_down_in_region_0),
        ALONE(test_a_frozen_region_that_is_no_more_goes),
        OF_THREE(test_what_is_no_more_stays_until_it_is_taken_here),
        OF_THREE(test_a_silent_region_that_is_no_more_goes),
        ALONE(test_no_merge_begins_before_the_last_is_written_down),
    };

    return cmocka_run_group_tests_name("replicas merge", tests, NULL, NULL);
}
