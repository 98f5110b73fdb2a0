/* SPDX-License-Identifier: Apache-2.0 */

/* Steps of region 0's leader in random clusters, until nothing is left to
 * do. */

#include "members_plan_fixture.h"

#include "engine/founding.h"

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
        cmocka_unit_test(test_random_clusters_settle),
    };

    return cmocka_run_group_tests_name("members_plan random", tests, NULL,
                                       NULL);
}
