/* SPDX-License-Identifier: Apache-2.0 */

/* Versions that do not grow: rules 2 and 12. */

#include <inttypes.h>

#include "engine/eventual_impl.h"
#include "engine/stamps.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"

/* A clock goes on while new versions are given, also one of a node that is
 * paused meanwhile. */
enum { RESTAMP_SECONDS = 30 };

/* A version of a name that was greater, and the one that is there now. */
struct step {
    struct sim_lives *lives;
    const struct sim_node *node;
    struct place *place;
    struct sim_version from;
    struct value *to;
    bool is_start; /* the node has not shown the greater one since then */
};

static const struct known_node *known_of(const struct step *step)
{
    return &step->lives->nodes[step->node->number];
}

static uint64_t now_ms(const struct step *step)
{
    return env_wall_ns(&step->node->env->env) / 1000000;
}

static bool is_own(const struct step *step)
{
    return step->from.origin == step->node->number + 1 &&
           step->to->version.origin == step->from.origin;
}

/* What a crash has left has come before anybody could look. */
static bool is_told(const struct step *step)
{
    return step->is_start || known_of(step)->counts.restamped > 0 ||
           node_eventual(step->node->node)->is_restamping;
}

static bool was_ahead(const struct step *step)
{
    return (step->from.hlc >> STAMP_COUNTER_BITS) + RESTAMP_SECONDS * 1000 >
           now_ms(step);
}

static bool is_ahead(const struct step *step)
{
    return step->to->version.hlc >> STAMP_COUNTER_BITS >
           now_ms(step) + 3 * MAX_DRIFT_MS;
}

/* What a node had before its present start may have gone with a power cut;
 * what has not is seen again at the start. */
static bool is_had(const struct step *step, const struct value *value)
{
    const struct sim_node *nodes = step->lives->cluster->nodes;

    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        if (i != step->node->number && value->had[i] != 0 &&
            value->had[i] == nodes[i].starts)
            return true;
    return false;
}

/* Or may have had what the node had of the name since then. */
static bool is_known_to_others(const struct step *step)
{
    const struct sim_node *nodes = step->lives->cluster->nodes;
    const struct place *place = step->place;
    const size_t number = step->node->number;
    const struct value *from = lives_find_value(step->lives, place, step->from);
    const struct value *counted =
        lives_find_value(step->lives, place, place->counts[number]);

    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        if (i != number && place->seen[i].starts == nodes[i].starts &&
            place->seen[i].version.origin == number + 1 &&
            sim_version_compare(place->seen[i].version, step->to->version) > 0)
            return true;
    return is_had(step, from) ||
           (is_had(step, counted) &&
            sim_version_compare(counted->version, step->to->version) > 0);
}

static bool is_other_value(const struct step *step)
{
    const struct value *from =
        lives_find_value(step->lives, step->place, step->from);

    return from->key != 0 &&
           (from->plain != step->to->plain ||
            from->version.removed != step->to->version.removed);
}

/* NULL: the version may go down. */
static const char *why_not(const struct step *step)
{
    if (!is_own(step))
        return "which is not its own";
    if (!is_told(step))
        return "and says nothing of new versions";
    if (!was_ahead(step))
        return "which was not ahead of its clock";
    if (is_ahead(step))
        return "which is ahead of its clock, too";
    if (is_known_to_others(step))
        return "and others have the greater one";
    if (is_other_value(step))
        return "which is another value";
    return NULL;
}

/* What was required of the node is required as what it is now. */
static void give_up(struct step *step)
{
    struct place *place = step->place;
    struct sim_version *counts = &place->counts[step->node->number];
    const struct sim_version to = step->to->version;
    struct value *from = lives_find_value(step->lives, place, step->from);

    if (from->key != 0) {
        from->instead = to;
        from->given_up_starts = step->node->starts;
    }
    step->to->is_new_version = true;
    if (sim_version_compare(*counts, to) > 0)
        *counts = to;
    if (to.removed && sim_version_compare(place->removed, step->from) == 0)
        place->removed = to;
}

/* Only a crash brings back what was given up, and only where nobody else has
 * what had come in its place. Then it is as if that had never been: its time
 * may have come meanwhile. */
static bool may_come_back(const struct step *step)
{
    const struct value *value = step->to;

    return value->version.origin == step->node->number + 1 &&
           value->given_up_starts != step->node->starts &&
           lives_find_value(step->lives, step->place, value->instead)->starts !=
               0;
}

static void look_at_given_up(const struct step *step)
{
    struct sim_version *counts = &step->place->counts[step->node->number];
    struct value *value = step->to;

    if (value->instead.hlc == 0)
        return;
    if (!may_come_back(step))
        sim_fail(step->lives->cluster->loop,
                 "%" PRIx64 "/%s: node %zu has version %" PRIx64 ".%" PRIu64
                 ", which was given up for %" PRIx64,
                 step->place->dir, step->place->name, step->node->number + 1,
                 value->version.hlc, value->version.origin, value->instead.hlc);
    sim_seen(SEEN_ZONE_RESTAMP_LOST);
    if (sim_version_compare(*counts, value->instead) == 0)
        *counts = value->version;
    value->instead = (struct sim_version){0};
}

static struct sim_version least_of(const struct step *step)
{
    const struct seen *seen = &step->place->seen[step->node->number];

    if (!step->is_start)
        return seen->version;
    return known_of(step)->lost ? (struct sim_version){0}
                                : step->place->counts[step->node->number];
}

void lives_check_growth(struct sim_lives *lives, const struct sim_node *node,
                        struct place *place,
                        const struct eventual_record *record,
                        struct value *value)
{
    const struct sim_version version = sim_version_of(record);
    struct step step = {
        .lives = lives,
        .node = node,
        .place = place,
        .to = value,
        .is_start = place->seen[node->number].starts != node->starts,
    };
    const char *why;

    look_at_given_up(&step);
    step.from = least_of(&step);
    if (sim_version_compare(version, step.from) >= 0)
        return;
    why = why_not(&step);
    if (why != NULL)
        sim_fail(lives->cluster->loop,
                 "%" PRIx64 "/%s: node %zu goes back from version %" PRIx64
                 ".%" PRIu64 " to %" PRIx64 ".%" PRIu64 ", %s",
                 place->dir, place->name, node->number + 1, step.from.hlc,
                 step.from.origin, version.hlc, version.origin, why);
    give_up(&step);
}

/* Each one that is given in place of another is less, so this ends. */
struct sim_version sim_lives_now(struct sim_lives *lives,
                                 const struct sim_node *node, uint64_t dir,
                                 uint64_t since, const char *name,
                                 struct sim_version version)
{
    const struct place *place;
    const struct value *value;

    if (version.hlc == 0 || version.origin != node->number + 1)
        return version;
    place = lives_place(lives, dir, since, slice_of(name));
    value = lives_find_value(lives, place, version);
    while (value->key != 0 && value->instead.hlc != 0 &&
           value->given_up_starts == node->starts) {
        version = value->instead;
        value = lives_find_value(lives, place, version);
    }
    return version;
}
