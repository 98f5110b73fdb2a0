/* SPDX-License-Identifier: Apache-2.0 */

/* Joint configurations (thesis §4.3), learners (§4.2.1), leaders that are
 * removed (§4.2.2), and changes that are refused. */

#include "tests/raft/unit.h"

static int propose(struct peer *p, const struct raft_conf_change *change)
{
    int rc = raft_propose_conf_change(p->raft, change, NULL);

    peer_pump(p);
    return rc;
}

static int change(struct peer *p, enum raft_conf_transition transition,
                  enum raft_conf_change_type type, uint64_t peer)
{
    return propose(p, &(struct raft_conf_change){.transition = transition,
                                                 .count = 1,
                                                 .change = {{type, peer}}});
}

static int leave(struct peer *p)
{
    return propose(p, &(struct raft_conf_change){.count = 0});
}

static void lead(struct peer *p)
{
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    peer_forget(p);
}

static struct raft_conf_state conf_of(const struct peer *p)
{
    struct raft_conf_state conf;

    raft_conf_state(p->raft, &conf);
    return conf;
}

static enum raft_entry_type last_applied_type(const struct peer *p)
{
    return p->applied.item[p->applied.count - 1].type;
}

/* Leads {1, 2, 3} && {1, 2, 3} minus 3, entered at index 2. */
static void lead_joint(struct peer *p)
{
    lead(p);
    (void)change(p, RAFT_TRANSITION_EXPLICIT, RAFT_REMOVE_PEER, 3);
    peer_acknowledge(p, 2, 2);
    assert_true(peer_status(p).joint);
}

/* From a joint configuration there is only the way out. */
static void test_joint_configuration_is_only_left(void **state)
{
    struct peer *p = *state;

    lead_joint(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4);
    peer_acknowledge(p, 2, 3);
    assert_int_equal(last_applied_type(p), RAFT_ENTRY_NORMAL);
    assert_true(peer_status(p).joint);
    (void)leave(p);
    peer_acknowledge(p, 2, 4);
    assert_false(peer_status(p).joint);
}

/* And it is a way out of nothing else. */
static void test_leaving_a_simple_configuration_is_refused(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)leave(p);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(last_applied_type(p), RAFT_ENTRY_NORMAL);
}

/* A host that checks changes itself may propose them at any time. */
static void test_validation_can_be_disabled(void **state)
{
    struct peer *p = *state;

    p->config.disable_conf_change_validation = true;
    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_LEARNER, 5);
    for (uint64_t id = 2; id <= 4; id++)
        peer_acknowledge(p, id, 3);
    assert_int_equal(conf_of(p).voters.count, 4);
    assert_int_equal(conf_of(p).learners.count, 1);
}

/* A change that this version cannot read is no change. */
static void test_unreadable_change_becomes_an_empty_entry(void **state)
{
    struct peer *p = *state;
    struct raft_entry entry = {.type = RAFT_ENTRY_CONF_CHANGE_V2,
                               .data = buf_copy("\x7f???", 4)};

    lead(p);
    assert_int_equal(raft_propose(p->raft, &entry, 1, NULL), 0);
    buf_unref(entry.data);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(last_applied_type(p), RAFT_ENTRY_NORMAL);
}

/* In a batch the first change counts; the second's place stays. */
static void test_second_change_of_a_batch_becomes_an_empty_entry(void **state)
{
    struct peer *p = *state;
    struct raft_conf_change add = {.count = 1,
                                   .change = {{RAFT_ADD_LEARNER, 4}}};
    struct raft_entry entries[2] = {{.type = RAFT_ENTRY_CONF_CHANGE_V2},
                                    {.type = RAFT_ENTRY_CONF_CHANGE_V2}};

    lead(p);
    for (size_t i = 0; i < 2; i++) {
        add.change[0].peer = 4 + i;
        entries[i].data = raft_conf_change_encode(&add);
    }
    assert_int_equal(raft_propose(p->raft, entries, 2, NULL), 0);
    for (size_t i = 0; i < 2; i++)
        buf_unref(entries[i].data);
    peer_acknowledge(p, 2, 3);
    assert_int_equal(raft_applied(p->raft), 3);
    assert_int_equal(conf_of(p).learners.count, 1);
    assert_int_equal(conf_of(p).learners.id[0], 4);
}

/* No limit stops a group from leaving a joint configuration. */
static void test_size_limit_does_not_stop_leaving(void **state)
{
    struct peer *p = *state;

    p->config.uncommitted_size_max = 4;
    p->conf.voters_outgoing = (struct raft_id_set){2, {1, 2}};
    p->conf.auto_leave = true;
    peer_lead(p, 3);
    assert_int_equal(peer_propose(p, "12345678"), 0);
    assert_int_equal(peer_propose(p, "1"), ERR_DROPPED);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(raft_last_index(p->raft), 3);
    peer_acknowledge(p, 2, 3);
    assert_false(peer_status(p).joint);
}

/* A change that was dropped for its size does not block the next one. */
static void test_dropped_change_does_not_block_the_next(void **state)
{
    struct peer *p = *state;

    p->config.uncommitted_size_max = 16;
    lead(p);
    (void)peer_propose(p, "0123456789abcdef");
    assert_int_equal(change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4),
                     ERR_DROPPED);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4), 0);
    peer_acknowledge(p, 2, 3);
    assert_int_equal(conf_of(p).voters.count, 4);
}

/* Whoever becomes leader of an implicit joint configuration leaves it. */
static void test_new_leader_leaves_a_joint_configuration(void **state)
{
    struct peer *p = *state;

    p->conf.voters_outgoing = p->conf.voters;
    p->conf.voters = (struct raft_id_set){2, {1, 2}};
    p->conf.auto_leave = true;
    peer_lead(p, 2);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(raft_last_index(p->raft), 2);
    peer_acknowledge(p, 2, 2);
    assert_false(peer_status(p).joint);
}

/* A voter that is demoted votes until the joint configuration is left. */
static void test_demoted_voter_is_a_learner_afterwards(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_EXPLICIT, RAFT_ADD_LEARNER, 3);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(conf_of(p).learners.count, 0);
    assert_int_equal(conf_of(p).learners_next.id[0], 3);
    (void)leave(p);
    peer_acknowledge(p, 3, 3);
    assert_int_equal(raft_commit(p->raft), 2); /* 2 is half of {1, 2} */
    peer_acknowledge(p, 2, 3);
    assert_int_equal(conf_of(p).learners.id[0], 3);
    assert_int_equal(conf_of(p).voters.count, 2);
}

/* A new server catches up as learner and counts when it is promoted. */
static void test_promoted_learner_is_counted(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){2, {1, 2}};
    p->conf.learners = (struct raft_id_set){1, {3}};
    peer_lead(p, 2);
    peer_acknowledge(p, 2, 1);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 3);
    peer_acknowledge(p, 3, 2);
    assert_int_equal(raft_commit(p->raft), 1);
    peer_acknowledge(p, 2, 2);
    (void)peer_propose(p, "x");
    peer_acknowledge(p, 3, 3);
    assert_int_equal(raft_commit(p->raft), 3);
}

/* A leader that is not in the new configuration does not count itself. */
static void test_removed_leader_does_not_count_itself(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_REMOVE_PEER, 1);
    (void)peer_propose(p, "x");
    peer_acknowledge(p, 2, 2);
    assert_false(peer_status(p).voter);
    peer_acknowledge(p, 2, 3);
    assert_int_equal(raft_commit(p->raft), 2);
    peer_acknowledge(p, 3, 3);
    assert_int_equal(raft_commit(p->raft), 3);
}

/* It goes on replicating, so that the others learn that it is gone. */
static void test_removed_leader_tells_the_others(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_REMOVE_PEER, 1);
    peer_acknowledge(p, 2, 2);
    peer_acknowledge(p, 3, 2);
    peer_forget(p);
    peer_tick(p, PEER_HEARTBEAT_TICKS);
    for (uint64_t id = 2; id <= 3; id++)
        assert_int_equal(peer_last_to(p, RAFT_MSG_HEARTBEAT, id)->commit, 2);
}

/* Reads, too, need both halves. */
static void test_joint_read_needs_both_halves(void **state)
{
    struct peer *p = *state;
    struct raft_message m = {.type = RAFT_MSG_HEARTBEAT_RESP, .term = 1};

    p->conf.voters_outgoing = (struct raft_id_set){3, {1, 4, 5}};
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    peer_vote_from(p, 2);
    peer_vote_from(p, 4);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 4, 1);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    m.context = peer_last(p, RAFT_MSG_HEARTBEAT)->context;
    for (m.from = 2; m.from <= 3; m.from++)
        (void)peer_receive(p, &m);
    assert_int_equal(p->read_state_count, 0);
    m.from = 5;
    (void)peer_receive(p, &m);
    assert_int_equal(p->read_state_count, 1);
}

/* A smaller quorum answers the reads that wait for one. */
static void test_smaller_quorum_answers_reads(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){2, {1, 2}};
    peer_lead(p, 2);
    peer_acknowledge(p, 2, 1);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_REMOVE_PEER, 2);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    assert_int_equal(p->read_state_count, 0);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(p->read_state_count, 1);
}

/* What cannot be applied changes nothing, and says so. */
static void test_impossible_change_is_not_applied(void **state)
{
    struct peer *p = *state;
    struct raft_conf_change none = {.count = 0};

    lead(p);
    assert_int_equal(raft_apply_conf_change(p->raft, &none, NULL), ERR_INVALID);
    assert_int_equal(conf_of(p).voters.count, 3);
}

/* While a snapshot is being restored its configuration is in force. */
static void test_change_during_a_restore_is_canceled(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot = {.index = 9, .term = 1};
    struct raft_conf_change add = {.count = 1, .change = {{RAFT_ADD_VOTER, 7}}};
    struct raft_message m = {.type = RAFT_MSG_SNAP,
                             .from = 2,
                             .to = 1,
                             .term = 1,
                             .snapshot = &snapshot};

    peer_start(p);
    snapshot.conf_state.voters = (struct raft_id_set){2, {1, 2}};
    assert_int_equal(raft_step(p->raft, &m), 0);
    assert_int_equal(raft_apply_conf_change(p->raft, &add, NULL), ERR_CANCELED);
    assert_int_equal(conf_of(p).voters.count, 2);
}

/* What such a leader has written itself counts for nothing, also late. */
static void test_removed_leader_gets_a_late_acknowledgment(void **state)
{
    struct peer *p = *state;
    struct raft_conf_change remove = {.count = 1,
                                      .change = {{RAFT_REMOVE_PEER, 1}}};
    struct raft_ready ready;

    lead(p);
    (void)raft_propose(p->raft, &(struct raft_entry){.term = 0}, 1, NULL);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(raft_apply_conf_change(p->raft, &remove, NULL), 0);
    memory_storage_append(&p->storage, &ready.entries);
    assert_int_equal(raft_append_done(p->raft, &ready.token), 0);
    raft_ready_release(&ready);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(raft_commit(p->raft), 1);
    peer_acknowledge(p, 3, 2);
    assert_int_equal(raft_commit(p->raft), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_joint_configuration_is_only_left),
        UNIT(test_leaving_a_simple_configuration_is_refused),
        UNIT(test_validation_can_be_disabled),
        UNIT(test_unreadable_change_becomes_an_empty_entry),
        UNIT(test_second_change_of_a_batch_becomes_an_empty_entry),
        UNIT(test_size_limit_does_not_stop_leaving),
        UNIT(test_dropped_change_does_not_block_the_next),
        UNIT(test_new_leader_leaves_a_joint_configuration),
        UNIT(test_demoted_voter_is_a_learner_afterwards),
        UNIT(test_promoted_learner_is_counted),
        UNIT(test_removed_leader_does_not_count_itself),
        UNIT(test_removed_leader_tells_the_others),
        UNIT(test_joint_read_needs_both_halves),
        UNIT(test_smaller_quorum_answers_reads),
        UNIT(test_impossible_change_is_not_applied),
        UNIT(test_change_during_a_restore_is_canceled),
        UNIT(test_removed_leader_gets_a_late_acknowledgment),
    };

    return cmocka_run_group_tests_name("joint", tests, NULL, NULL);
}
