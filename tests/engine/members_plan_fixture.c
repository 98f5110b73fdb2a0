/* SPDX-License-Identifier: Apache-2.0 */

#include "members_plan_fixture.h"

#include <stdio.h>

struct member_node *node_at(struct cluster *c, uint64_t id)
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

struct cluster make(const char *what)
{
    struct cluster c = {.region = {.conf_ver = 5, .version = 1}};

    for (uint64_t id = 1; what[id - 1] != '\0'; id++)
        add_node(&c, id, what[id - 1]);
    c.view.leader = 1;
    return c;
}

const char *plan(struct cluster *c)
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
