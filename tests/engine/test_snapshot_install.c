/* SPDX-License-Identifier: Apache-2.0 */

/* A follower that puts a snapshot in the place of what it has: which keys go
 * and which stay, how its log follows, and crashes in between. */

#include "snapshot_fixture.h"

#include "tests/sim/kv_mem.h"

/* ---- ranges ---- */

static struct key entry(const char *name)
{
    return key_user('d', ENTRIES_NSID, slice_of(name));
}

/* Of what lies behind the new end nothing stays but what is another's. */
static void test_a_snapshot_of_a_smaller_range_clears_the_rest(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    put_key(follower, entry("k"));
    put_key(follower, key_user('x', ENTRIES_NSID, slice_of("z")));
    put_key(follower, key_sender(REGION_FIRST_DATA + 1, 1));
    put_range(&all->node[LEADER], NULL, "k");
    assert_restored(all);
    assert_false(has_key(follower, entry("k")));
    assert_false(has_key(follower, key_user('x', ENTRIES_NSID, slice_of("z"))));
    assert_true(has_key(follower, key_sender(REGION_FIRST_DATA + 1, 1)));
    assert_int_equal(peer_region(follower->peer)->end.size, 9);
}

/* What is in neither range is none of its business. */
static void test_a_snapshot_of_a_larger_range_leaves_the_others_alone(void **s)
{
    struct two_nodes *all = *s;
    struct node *follower = &all->node[FOLLOWER];

    put_range(follower, "a", "g");
    restart(follower);
    put_key(follower, entry("Z"));
    put_key(follower, entry("h"));
    put_key(follower, entry("k"));
    put_range(&all->node[LEADER], "b", "k");
    assert_restored(all);
    assert_true(has_key(follower, entry("Z")));
    assert_false(has_key(follower, entry("h")));
    assert_true(has_key(follower, entry("k")));
}

static bool is_restoring(struct two_nodes *all)
{
    return peer_is_restoring(all->node[FOLLOWER].peer);
}

/* It has no range yet: not the whole one. */
static void test_the_first_snapshot_leaves_the_others_alone(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    begin_without_state(follower, FOLLOWER_PEER);
    put_key(follower, entry("h"));
    put_range(&all->node[LEADER], NULL, "h");
    assert_restored(all);
    assert_true(has_key(follower, entry("h")));
}

/* The old range, too, as it was. */
static void test_a_crash_before_the_switch_leaves_the_old_range(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    put_key(follower, entry("k"));
    put_range(&all->node[LEADER], NULL, "k");
    follower->hold_install = true;
    assert_true(tick_until(all, is_restoring, PATIENCE));
    follower->hold_install = false;
    restart(follower);
    assert_true(has_entries(follower, OLD_ENTRIES));
    assert_true(has_key(follower, entry("k")));
    assert_int_equal(peer_region(follower->peer)->end.size, 0);
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    assert_restored(all);
    assert_false(has_key(follower, entry("k")));
}

/* What is there when a stream is not to be. */
static const struct region neighbour = {
    .id = 7, .start = {"m", 1}, .end = {"n", 1}, .peer_count = 1};

static void assert_put_off_for_the_neighbour(struct two_nodes *all)
{
    assert_true(tick_until(all, tries_again, PATIENCE));
    assert_true(has_entries(&all->node[FOLLOWER], OLD_ENTRIES));
    assert_int_equal(all->node[LEADER].warning_count, 0);
    assert_int_equal(all->node[FOLLOWER].warning_count, 0);
}

static void test_a_snapshot_over_another_region_waits_until_it_is_gone(void **s)
{
    struct two_nodes *all = *s;

    all->node[FOLLOWER].neighbour = &neighbour;
    assert_put_off_for_the_neighbour(all);
    all->node[FOLLOWER].neighbour = NULL;
    assert_restored(all);
}

static bool get_neighbour_at_chunks(struct two_nodes *all,
                                    struct packet *packet)
{
    if (packet->packet.type == WIRE_SNAPSHOT_CHUNK)
        all->node[FOLLOWER].neighbour = &neighbour;
    return true;
}

static void test_a_region_that_comes_under_a_stream_keeps_its_keys(void **state)
{
    struct two_nodes *all = *state;

    all->filter = get_neighbour_at_chunks;
    assert_put_off_for_the_neighbour(all);
    all->filter = NULL;
    all->node[FOLLOWER].neighbour = NULL;
    assert_restored(all);
}

/* ---- the log, and crashes before it follows ---- */

static bool has_switched(struct two_nodes *all)
{
    return has_entries(&all->node[FOLLOWER], ENTRIES);
}

static bool hold_log_at_chunks(struct two_nodes *all, struct packet *packet)
{
    if (packet->packet.type == WIRE_SNAPSHOT_CHUNK)
        all->node[FOLLOWER].hold_log = true;
    return true;
}

/* Up to where the new state is there and the log is still the old one. */
static void install_without_log(struct two_nodes *all)
{
    all->filter = hold_log_at_chunks;
    assert_true(tick_until(all, has_switched, PATIENCE));
    all->filter = NULL;
}

static void test_a_crash_before_the_log_is_reset_is_repaired(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    install_without_log(all);
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX);
    follower->hold_log = false;
    restart(follower);
    assert_true(peer_applied(follower->peer) >= LEADER_INDEX);
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    assert_restored(all);
}

/* It may be the split that has made room for the region. */
static void test_what_was_written_before_an_install_is_durable_with_it(void **s)
{
    struct two_nodes *all = *s;
    struct node *follower = &all->node[FOLLOWER];
    struct key key = key_region(REGION_FIRST_DATA + 1);
    struct kv_batch *batch = kv_batch_new(follower->env.state);

    kv_batch_put(batch, key_slice(&key), slice_of("another's"));
    assert_int_equal(kv_write(follower->env.state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    install_without_log(all);
    follower->hold_log = false;
    kv_mem_crash(follower->env.state, 0);
    restart(follower);
    assert_true(has_entries(follower, ENTRIES));
    assert_true(has_key(follower, key));
}

/* At the snapshot's place the log has an entry of another term. */
static void test_a_crash_before_a_contradicting_log_is_reset(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    append_entries(follower, LEADER_INDEX, 0);
    install_without_log(all);
    follower->hold_log = false;
    restart(follower);
    assert_int_equal(follower_first_index(all), LEADER_INDEX + 1);
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    assert_restored(all);
}

static unsigned passed_count;

static void note_passed(struct applied_waiter *waiter)
{
    (void)waiter;
    passed_count++;
}

/* What is read would be of both states. */
static void test_readers_wait_for_an_install(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];
    struct applied_waiter waiter = {.done = note_passed};

    passed_count = 0;
    install_without_log(all);
    peer_wait_applied(follower->peer, &waiter, FOLLOWER_INDEX);
    assert_int_equal(passed_count, 0);
    follower->hold_log = false;
    run(all);
    assert_int_equal(passed_count, 1);
    assert_restored(all);
}

static bool lose_what_the_follower_says(struct two_nodes *all,
                                        struct packet *packet)
{
    return packet->from != all->node[FOLLOWER].id;
}

/* Nothing is acknowledged and nothing more is taken in while the log's reset
 * is not durable. */
static void test_an_install_waits_for_the_log(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];
    struct peer_status status;

    install_without_log(all);
    all->filter = lose_what_the_follower_says;
    for (unsigned i = 0; i < 5; i++)
        tick(all);
    assert_int_equal(all->filtered, 0);
    peer_status(follower->peer, &status);
    assert_int_equal(status.state, PEER_RESTORING);
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 1);
    all->filter = NULL;
    follower->hold_log = false;
    run(all);
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
}

/* As from a leader of a term that the follower hears of only now. */
static bool raise_term_of_snapshot(struct two_nodes *all, struct packet *packet)
{
    struct buf *header = packet->packet.header;
    struct snapshot_begin begin;

    (void)all;
    if (packet->packet.type != WIRE_SNAPSHOT_BEGIN)
        return true;
    assert_int_equal(snapshot_begin_decode(&begin, buf_slice(header)), 0);
    begin.raft_term++;
    packet->packet.header = snapshot_begin_encode(&begin);
    snapshot_begin_release(&begin);
    buf_unref(header);
    return true;
}

static bool has_installed(struct two_nodes *all)
{
    struct peer_status status;

    peer_status(all->node[FOLLOWER].peer, &status);
    return status.snapshots_restored > 0;
}

/* It was acknowledged in that term, so no older leader may take it back. */
static void test_the_term_of_a_snapshot_survives_a_restart(void **state)
{
    struct two_nodes *all = *state;
    uint64_t term;

    all->filter = raise_term_of_snapshot;
    assert_true(tick_until(all, has_installed, PATIENCE));
    term = follower_term(all);
    restart(&all->node[FOLLOWER]);
    assert_int_equal(follower_term(all), term);
    all->filter = NULL;
    assert_restored(all);
}

/* The snapshot was the first that was heard of that term, and all that was
 * written of it: a term below that of the log's end would be voted in twice. */
static void test_a_repaired_log_has_the_term_of_its_position(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    install_without_log(all);
    follower->hold_log = false;
    put_term(follower, FOLLOWER_TERM);
    restart(follower);
    assert_int_equal(follower_term(all), LEADER_TERM);
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    assert_restored(all);
}

/* They would be applied to the new state, and the marker go back. */
static void test_an_install_waits_for_entries_being_applied(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    follower->hold_apply = true;
    append_entries(follower, 2, 2);
    assert_true(tick_until(all, is_restoring, PATIENCE));
    for (unsigned i = 0; i < 5; i++)
        tick(all);
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX);
    assert_true(has_entries(follower, OLD_ENTRIES));
    follower->hold_apply = false;
    run(all);
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
}

/* A split may be among it, and have made a region that goes on with its log. */
static void test_what_was_committed_at_the_start_is_applied_before(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    follower->hold_apply = true;
    append_entries(follower, 2, 2);
    peer_save_commit(follower->peer);
    run(all);
    restart(follower);
    assert_true(tick_until(all, tries_again, PATIENCE));
    assert_false(is_restoring(all));
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX);
    follower->hold_apply = false;
    run(all);
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX + 2);
    assert_restored(all);
}

/* The leader gives the stream up, but a replica that is silent gets no other,
 * and what it says when it is done is enough. */
static void test_an_install_that_takes_long_brings_no_second_stream(void **s)
{
    struct two_nodes *all = *s;
    struct node *follower = &all->node[FOLLOWER];

    make_learner(all);
    follower->hold_install = true;
    assert_true(tick_until(all, is_restoring, PATIENCE));
    for (unsigned i = 0; i < 2 * SNAPSHOT_STALL_MS / TICK_MS; i++)
        tick(all);
    assert_true(peer_is_leader(all->node[LEADER].peer));
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 0);
    assert_true(is_restoring(all));
    follower->hold_install = false;
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_snapshot, teardown_snapshot)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_snapshot_of_a_smaller_range_clears_the_rest),
        TEST(test_a_snapshot_of_a_larger_range_leaves_the_others_alone),
        TEST(test_the_first_snapshot_leaves_the_others_alone),
        TEST(test_a_crash_before_the_switch_leaves_the_old_range),
        TEST(test_a_snapshot_over_another_region_waits_until_it_is_gone),
        TEST(test_a_region_that_comes_under_a_stream_keeps_its_keys),
        TEST(test_a_crash_before_the_log_is_reset_is_repaired),
        TEST(test_what_was_written_before_an_install_is_durable_with_it),
        TEST(test_a_crash_before_a_contradicting_log_is_reset),
        TEST(test_readers_wait_for_an_install),
        TEST(test_an_install_waits_for_the_log),
        TEST(test_the_term_of_a_snapshot_survives_a_restart),
        TEST(test_a_repaired_log_has_the_term_of_its_position),
        TEST(test_an_install_waits_for_entries_being_applied),
        TEST(test_what_was_committed_at_the_start_is_applied_before),
        TEST(test_an_install_that_takes_long_brings_no_second_stream),
    };

    return cmocka_run_group_tests_name("snapshot install", tests, NULL, NULL);
}
