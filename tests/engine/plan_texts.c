/* SPDX-License-Identifier: Apache-2.0 */

#include "plan_texts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- regions and nodes ---- */

static void add_id(uint64_t *ids, size_t *count, uint64_t id)
{
    ids[(*count)++] = id;
}

/* A peer's id is a hundred times its node's. */
static void add_peer(struct plan_case *c, uint64_t node, const char *marks)
{
    struct region *region = &c->report.region;
    size_t at = region->peer_count++;
    uint64_t id = 100 * node;
    bool learns = strchr(marks, 'l') != NULL;

    region->peers[at] =
        (struct region_peer){id, node, learns ? PEER_LEARNER : PEER_VOTER};
    region->peer_max = id > region->peer_max ? id : region->peer_max;
    if (learns)
        add_id(region->learners, &region->learner_count, id);
    if (strpbrk(marks, "vnb") != NULL)
        add_id(region->voters, &region->voter_count, id);
    if (strchr(marks, 'o') != NULL || strchr(marks, 'b') != NULL)
        add_id(region->voters_outgoing, &region->voter_outgoing_count, id);
    if (strchr(marks, '*') != NULL)
        c->leader = node;
    c->report.peers[at].match = strchr(marks, '?') != NULL ? 10 : 1000;
    if (strchr(marks, '?') == NULL)
        c->report.peers[at].flags |= PEER_FLAG_CAUGHT_UP;
    if (strchr(marks, '!') != NULL)
        c->report.peers[at].flags |= PEER_FLAG_SILENT;
    if (strchr(marks, 'd') != NULL)
        c->report.peers[at].flags |= PEER_FLAG_DAMAGED;
}

static void add_node(struct plan_case *c, uint64_t id, const char *marks)
{
    bool down = strchr(marks, 'x') != NULL;
    enum node_state state = NODE_UP;

    if (strchr(marks, 'g') != NULL)
        state = NODE_DRAINING;
    if (strchr(marks, 'r') != NULL)
        state = NODE_REMOVED;
    c->nodes.node[c->nodes.count++] = (struct plan_node){
        .id = id,
        .state = state,
        .live = !down && strchr(marks, '-') == NULL,
        .down = down,
    };
}

static void each_word(struct plan_case *c, const char *text,
                      void (*add)(struct plan_case *c, uint64_t id,
                                  const char *marks))
{
    char *copy = mem_strdup(text);
    char *rest = copy;
    char *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        char *marks = NULL;
        uint64_t id = strtoull(word, &marks, 10);

        assert(id != 0);
        add(c, id, marks);
    }
    free(copy);
}

struct plan_case plan_case(const char *region, const char *nodes)
{
    struct plan_case c = {
        .report = {.region = {.id = 1, .conf_ver = 7, .version = 3},
                   .term = 5,
                   .last_index = 1000},
        .nodes = {.replicas = 3},
    };

    each_word(&c, region, add_peer);
    each_word(&c, nodes, add_node);
    return c;
}

/* ---- steps ---- */

static const char *const kind_texts[STEP_KINDS] = {
    [STEP_NONE] = "none",         [STEP_WAIT] = "wait",
    [STEP_FAIL] = "fail",         [STEP_REPORT] = "report",
    [STEP_ADD] = "add",           [STEP_VOTERS] = "voters",
    [STEP_LEAVE] = "leave",       [STEP_REMOVE] = "remove",
    [STEP_TRANSFER] = "transfer", [STEP_MERGE] = "merge",
};

const char *plan_text(const struct plan *plan)
{
    static char text[128];
    const struct step *step = &plan->step;
    size_t used =
        (size_t)snprintf(text, sizeof text, "%s", kind_texts[step->kind]);

    for (size_t i = 0; i < step->change_count; i++) {
        const char *sign = "";

        if (step->kind == STEP_VOTERS)
            sign = step->changes[i].role == PEER_VOTER ? "+" : "-";
        used += (size_t)snprintf(text + used, sizeof text - used, " %s%" PRIu64,
                                 sign, step->changes[i].node);
    }
    return text;
}

/* ---- doing them ---- */

static void drop_id(uint64_t *ids, size_t *count, uint64_t id)
{
    for (size_t i = 0; i < *count; i++)
        if (ids[i] == id)
            memmove(&ids[i], &ids[i + 1], (--*count - i) * sizeof *ids);
}

static void remove_peer(struct plan_case *c, uint64_t node)
{
    struct region *region = &c->report.region;

    for (size_t i = 0; i < region->peer_count; i++) {
        if (region->peers[i].node != node)
            continue;
        assert(region->peers[i].role == PEER_LEARNER);
        region->peer_count--;
        memmove(&region->peers[i], &region->peers[i + 1],
                (region->peer_count - i) * sizeof region->peers[0]);
        memmove(&c->report.peers[i], &c->report.peers[i + 1],
                (region->peer_count - i) * sizeof c->report.peers[0]);
    }
}

static void change_role(struct region *region, const struct step_change *change)
{
    uint64_t id = 100 * change->node;

    if (change->role == PEER_VOTER)
        add_id(region->voters, &region->voter_count, id);
    else
        drop_id(region->voters, &region->voter_count, id);
}

/* Those that vote in neither half are learners then. */
static void settle_roles(struct region *region)
{
    for (size_t i = 0; i < region->peer_count; i++) {
        bool votes = false;

        for (size_t j = 0; j < region->voter_count; j++)
            votes = votes || region->voters[j] == region->peers[i].id;
        for (size_t j = 0; j < region->voter_outgoing_count; j++)
            votes = votes || region->voters_outgoing[j] == region->peers[i].id;
        region->peers[i].role = votes ? PEER_VOTER : PEER_LEARNER;
    }
}

static void change_voters(struct region *region, const struct step *step)
{
    if (step->change_count > 1) {
        memcpy(region->voters_outgoing, region->voters, sizeof region->voters);
        region->voter_outgoing_count = region->voter_count;
    }
    for (size_t i = 0; i < step->change_count; i++)
        change_role(region, &step->changes[i]);
}

void plan_do(struct plan_case *c, const struct plan *plan)
{
    struct region *region = &c->report.region;
    const struct step *step = &plan->step;

    assert(step->conf_ver == region->conf_ver);
    if (step->kind == STEP_TRANSFER) {
        c->leader = step->changes[0].node;
        c->report.term++;
        return;
    }
    if (step->kind == STEP_ADD)
        add_peer(c, step->changes[0].node, "l");
    else if (step->kind == STEP_REMOVE)
        remove_peer(c, step->changes[0].node);
    else if (step->kind == STEP_VOTERS)
        change_voters(region, step);
    else if (step->kind == STEP_LEAVE)
        region->voter_outgoing_count = 0;
    settle_roles(region);
    region->conf_ver++;
}
