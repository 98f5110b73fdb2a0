/* SPDX-License-Identifier: Apache-2.0 */

/* Which step region 0's leader takes next: one by one, and random clusters
 * until nothing is left to do. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/founding.h"
#include "engine/members_plan.h"
#include "raft/base/mem.h"

/* A cluster in which node n has peer 10 + n; the lowest node that votes and is
 * up leads. */
struct cluster {
    struct region region;
    struct members_view view;
    struct members_step step;
};

static struct member_node *node_at(struct cluster *c, uint64_t id)
{
    for (size_t i = 0; i < c->view.node_count; i++)
        if (c->view.nodes[i].id == id)
            return &c->view.nodes[i];
    fail_msg("no node %u", (unsigned)id);
    return NULL;
}

static void add_node(struct cluster *c, uint64_t id, char what)
{
    struct region *r = &c->region;
    uint64_t peer = 10 + id;

    c->view.nodes[c->view.node_count++] =
        (struct member_node){id, NODE_UP, true, false, true};
    if (what == '-')
        return;
    r->peers[r->peer_count++] =
        (struct region_peer){peer, id, what == 'v' ? PEER_VOTER : PEER_LEARNER};
    if (what == 'v')
        r->voters[r->voter_count++] = peer;
    else
        r->learners[r->learner_count++] = peer;
    r->peer_max = peer;
}

/* "vvl-": nodes 1 and 2 vote, 3 learns, 4 has no replica. */
static struct cluster make(const char *what)
{
    struct cluster c = {.region = {.conf_ver = 5, .version = 1}};

    for (uint64_t id = 1; what[id - 1] != '\0'; id++)
        add_node(&c, id, what[id - 1]);
    c.view.leader = 1;
    return c;
}

static void lose(struct cluster *c, uint64_t id)
{
    node_at(c, id)->up = false;
    node_at(c, id)->lost = true;
    node_at(c, id)->caught_up = false;
}

/* The step as text: "+v13 +l11 -12", "leave", "to 2" or "". */
static const char *plan(struct cluster *c)
{
    static char text[256];
    struct members_step *s = &c->step;
    size_t used = 0;

    text[0] = '\0';
    c->view.region = &c->region;
    members_plan(&c->view, s);
    if (s->kind == MEMBERS_TRANSFER)
        (void)snprintf(text, sizeof text, "to %u", (unsigned)s->node);
    if (s->kind != MEMBERS_CHANGE)
        return text;
    assert_int_equal(peer_change_check(&c->region, &s->change), 0);
    if (s->change.count == 0)
        return "leave";
    for (size_t i = 0; i < s->change.count; i++) {
        const struct peer_step *step = &s->change.steps[i];
        const char *sign = step->type == RAFT_ADD_VOTER     ? "+v"
                           : step->type == RAFT_ADD_LEARNER ? "+l"
                                                            : "-";

        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%u",
                                 i > 0 ? " " : "", sign, (unsigned)step->peer);
    }
    return text;
}

static void expect(struct cluster c, const char *step)
{
    assert_string_equal(plan(&c), step);
}

/* ---- one by one ---- */

static void test_nothing_is_done_when_all_is_well(void **state)
{
    (void)state;
    expect(make("v"), "");
    expect(make("vl"), "");
    expect(make("vvv"), "");
    expect(make("vvvl"), "");
    expect(make("vvvvv"), "");
    expect(make("vvvvvl"), "");
}

static void test_a_new_node_gets_a_learner(void **state)
{
    struct cluster c = make("v-");

    (void)state;
    assert_string_equal(plan(&c), "+l12");
    assert_int_equal(c.step.change.steps[0].node, 2);
    expect(make("v--"), "+l12");
    c = make("v--");
    node_at(&c, 2)->up = false;
    assert_string_equal(plan(&c), "+l12");
    assert_int_equal(c.step.change.steps[0].node, 3);
    node_at(&c, 3)->up = false;
    assert_string_equal(plan(&c), "");
}

static void test_a_peer_id_is_greater_than_all_before(void **state)
{
    struct cluster c = make("v-");

    (void)state;
    c.region.peer_max = 99;
    assert_string_equal(plan(&c), "+l100");
}

static void test_votes_are_odd(void **state)
{
    (void)state;
    expect(make("vll"), "+v12 +v13");
    expect(make("vvl"), "+v13");
    expect(make("vvvll"), "+v14 +v15");
    expect(make("vvvvv"), "");
    expect(make("vv"), "+l12");
    expect(make("vvvv"), "+l14");
    expect(make("vvvvvv"), "+l16");
}

static void test_who_lags_does_not_vote(void **state)
{
    struct cluster c = make("vll");

    (void)state;
    node_at(&c, 3)->caught_up = false;
    assert_string_equal(plan(&c), "");
    c = make("vll");
    node_at(&c, 2)->up = false;
    assert_string_equal(plan(&c), "");
}

static void test_who_is_away_for_a_while_goes_on_voting(void **state)
{
    struct cluster c = make("vvvl");

    (void)state;
    node_at(&c, 3)->up = node_at(&c, 3)->caught_up = false;
    assert_string_equal(plan(&c), "");
}

static void test_who_is_lost_is_replaced(void **state)
{
    struct cluster c = make("vvvl");

    (void)state;
    lose(&c, 3);
    assert_string_equal(plan(&c), "+l13 +v14");
    c = make("vvv");
    lose(&c, 3);
    assert_string_equal(plan(&c), "");
    c = make("vvvvv");
    lose(&c, 3);
    lose(&c, 4);
    assert_string_equal(plan(&c), "");
}

static void test_who_comes_back_does_not_push_others_out(void **state)
{
    struct cluster c = make("vvlv");

    (void)state;
    assert_string_equal(plan(&c), "");
}

static void test_who_is_drained_does_not_vote(void **state)
{
    struct cluster c = make("vvvl");

    (void)state;
    node_at(&c, 3)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l13 +v14");
    c = make("vvv");
    node_at(&c, 3)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l12 +l13");
    c = make("vvvvv");
    node_at(&c, 5)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l14 +l15");
    c = make("vvl");
    node_at(&c, 3)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l12");
}

static void test_the_last_one_goes_on_voting(void **state)
{
    struct cluster c = make("vl");

    (void)state;
    node_at(&c, 1)->state = node_at(&c, 2)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "");
    c = make("vl");
    node_at(&c, 1)->state = NODE_DRAINING;
    node_at(&c, 2)->caught_up = false;
    assert_string_equal(plan(&c), "");
}

static void test_a_drained_node_keeps_and_gets_a_learner(void **state)
{
    struct cluster c = make("vvvl-");

    (void)state;
    node_at(&c, 4)->state = node_at(&c, 5)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l15");
    c = make("vvvl");
    node_at(&c, 4)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "");
}

static void test_a_removed_node_loses_its_replica(void **state)
{
    struct cluster c = make("vvvl-");

    (void)state;
    node_at(&c, 4)->state = NODE_REMOVED;
    node_at(&c, 5)->state = NODE_REMOVED;
    assert_string_equal(plan(&c), "-14");
    lose(&c, 4);
    assert_string_equal(plan(&c), "-14");
    c = make("vvv-");
    node_at(&c, 4)->state = NODE_REMOVED;
    assert_string_equal(plan(&c), "");
}

static void test_a_leader_that_is_drained_hands_over(void **state)
{
    struct cluster c = make("vvvl");

    (void)state;
    node_at(&c, 1)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "to 2");
    node_at(&c, 2)->caught_up = false;
    assert_string_equal(plan(&c), "to 3");
    /* Nobody to hand over to: the change itself makes it step down. */
    c = make("vl");
    node_at(&c, 1)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l11 +v12");
}

static void test_no_majority_is_given_away(void **state)
{
    struct cluster c = make("vvvvv");

    (void)state;
    node_at(&c, 4)->up = node_at(&c, 5)->up = false;
    node_at(&c, 3)->state = NODE_DRAINING;
    /* Of 1, 2 and one that is away a majority is there. */
    assert_string_equal(plan(&c), "+l13 +l15");
    node_at(&c, 2)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "");
}

static void test_a_joint_configuration_is_left_first(void **state)
{
    struct cluster c = make("vvv-");

    (void)state;
    c.region.voters_outgoing[0] = 11;
    c.region.voter_outgoing_count = 1;
    c.region.auto_leave = true;
    assert_string_equal(plan(&c), "leave");
    c.region.auto_leave = false;
    assert_string_equal(plan(&c), "leave");
}

static void test_there_is_room_for_so_many_replicas_only(void **state)
{
    struct cluster c = make("vvvvvlllllllllll-");

    (void)state;
    assert_int_equal(c.region.peer_count, REGION_PEERS_MAX);
    assert_string_equal(plan(&c), "");
    node_at(&c, 16)->state = NODE_REMOVED;
    assert_string_equal(plan(&c), "-26");
}

/* ---- until nothing is left to do ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 16;
}

static bool votes(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static bool majority_is_up(struct cluster *c, const uint64_t *ids, size_t count)
{
    size_t up = 0;

    for (size_t i = 0; i < count; i++) {
        const struct region_peer *peer = region_find_peer(&c->region, ids[i]);

        up += node_at(c, peer->node)->up;
    }
    return up > count / 2;
}

static void drop_id(struct raft_id_set *set, uint64_t id)
{
    size_t kept = 0;

    for (size_t i = 0; i < set->count; i++)
        if (set->id[i] != id)
            set->id[kept++] = set->id[i];
    set->count = kept;
}

/* What Raft makes of a change, for this test's purposes. */
static void change_state(const struct peer_change *change,
                         struct raft_conf_state *s)
{
    const struct raft_id_set before = s->voters;

    s->voters_outgoing.count = 0;
    for (size_t i = 0; i < change->count; i++) {
        const struct peer_step *step = &change->steps[i];

        drop_id(&s->voters, step->peer);
        drop_id(&s->learners, step->peer);
        if (step->type == RAFT_ADD_VOTER)
            s->voters.id[s->voters.count++] = step->peer;
        else if (step->type == RAFT_ADD_LEARNER)
            s->learners.id[s->learners.count++] = step->peer;
    }
    if (change->count > 1)
        s->voters_outgoing = before;
}

static void apply(struct cluster *c)
{
    struct raft_conf_state s;

    region_conf_state(&c->region, &s);
    change_state(&c->step.change, &s);
    peer_change_apply(&c->step.change, &s, &c->region);
}

static struct cluster draw(uint64_t *random)
{
    char what[10] = "";
    size_t count = 1 + next_random(random) % 8;
    struct cluster c;

    for (size_t i = 0; i < count; i++)
        what[i] = i == 0 ? 'v' : "vvll-"[next_random(random) % 5];
    c = make(what);
    for (uint64_t id = 1; id <= count; id++) {
        struct member_node *node = node_at(&c, id);
        uint64_t fate = next_random(random) % 8;

        if (fate == 0 && what[id - 1] != 'v')
            node->state = NODE_REMOVED;
        else if (fate <= 2)
            node->state = NODE_DRAINING;
        if (id > 1 && next_random(random) % 5 == 0)
            node->up = node->caught_up = false;
        node->lost = !node->up && next_random(random) % 2 == 0;
        node->caught_up = node->caught_up && next_random(random) % 4 != 0;
    }
    node_at(&c, 1)->caught_up = true;
    return c;
}

static size_t count_votable(struct cluster *c, bool *ret_spare)
{
    size_t count = 0;

    *ret_spare = false;
    for (size_t i = 0; i < c->region.peer_count; i++) {
        const struct region_peer *peer = &c->region.peers[i];
        const struct member_node *node = node_at(c, peer->node);
        bool voter = peer->role == PEER_VOTER;

        if (node->state != NODE_UP || (!voter && !node->caught_up))
            continue;
        count++;
        *ret_spare = *ret_spare || !voter;
    }
    return count;
}

static void check_end(struct cluster *c)
{
    const struct region *r = &c->region;
    bool spare;
    size_t votable = count_votable(c, &spare);

    assert_false(region_is_joint(r));
    for (size_t i = 0; i < c->view.node_count; i++) {
        const struct member_node *node = &c->view.nodes[i];
        const struct region_peer *peer = region_find_node(r, node->id);

        if (node->state == NODE_REMOVED)
            assert_null(peer);
        else if (node->up)
            assert_non_null(peer);
    }
    if (votable > PLACEMENT_VOTERS_MAX)
        votable = PLACEMENT_VOTERS_MAX;
    if (votable == 0)
        return;
    assert_int_equal(r->voter_count, votable - (votable + 1) % 2);
    for (size_t i = 0; i < r->voter_count; i++) {
        const struct member_node *node =
            node_at(c, region_find_peer(r, r->voters[i])->node);

        assert_int_equal(node->state, NODE_UP);
        assert_false(node->lost && spare);
    }
}

/* A change that would give the majority away is not made, and then what is
 * there stays. */
static bool is_stuck(struct cluster *c)
{
    struct cluster hopeful = *c;

    for (size_t i = 0; i < hopeful.view.node_count; i++)
        hopeful.view.nodes[i].up = true;
    hopeful.view.region = &hopeful.region;
    members_plan(&hopeful.view, &hopeful.step);
    return hopeful.step.kind != MEMBERS_NOTHING;
}

static bool converge(struct cluster *c)
{
    for (int steps = 0; steps < 40; steps++) {
        const struct region *r = &c->region;

        (void)plan(c);
        if (c->step.kind == MEMBERS_NOTHING)
            return true;
        if (c->step.kind == MEMBERS_TRANSFER) {
            const struct region_peer *to = region_find_node(r, c->step.node);

            assert_true(votes(r->voters, r->voter_count, to->id));
            assert_true(node_at(c, c->step.node)->up);
            c->view.leader = c->step.node;
            continue;
        }
        apply(c);
        assert_true(majority_is_up(c, r->voters, r->voter_count));
        if (!votes(r->voters, r->voter_count,
                   region_find_node(r, c->view.leader)->id))
            c->view.leader = region_find_peer(r, r->voters[0])->node;
    }
    return false;
}

static void test_random_clusters_settle(void **state)
{
    uint64_t random = 1;
    int settled = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct cluster c = draw(&random);

        if (!majority_is_up(&c, c.region.voters, c.region.voter_count))
            continue; /* It would have no leader. */
        if (!converge(&c))
            fail_msg("cluster %d goes on changing", i);
        if (is_stuck(&c))
            continue;
        check_end(&c);
        settled++;
    }
    assert_true(settled > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_done_when_all_is_well),
        cmocka_unit_test(test_a_new_node_gets_a_learner),
        cmocka_unit_test(test_a_peer_id_is_greater_than_all_before),
        cmocka_unit_test(test_votes_are_odd),
        cmocka_unit_test(test_who_lags_does_not_vote),
        cmocka_unit_test(test_who_is_away_for_a_while_goes_on_voting),
        cmocka_unit_test(test_who_is_lost_is_replaced),
        cmocka_unit_test(test_who_comes_back_does_not_push_others_out),
        cmocka_unit_test(test_who_is_drained_does_not_vote),
        cmocka_unit_test(test_the_last_one_goes_on_voting),
        cmocka_unit_test(test_a_drained_node_keeps_and_gets_a_learner),
        cmocka_unit_test(test_a_removed_node_loses_its_replica),
        cmocka_unit_test(test_a_leader_that_is_drained_hands_over),
        cmocka_unit_test(test_no_majority_is_given_away),
        cmocka_unit_test(test_a_joint_configuration_is_left_first),
        cmocka_unit_test(test_there_is_room_for_so_many_replicas_only),
        cmocka_unit_test(test_random_clusters_settle),
    };

    return cmocka_run_group_tests_name("members_plan", tests, NULL, NULL);
}
