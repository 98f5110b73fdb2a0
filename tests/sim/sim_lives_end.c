/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>

#include "engine/floor.h"
#include "engine/keys.h"
#include "tests/sim/sim_lives_impl.h"

struct visit {
    struct sim_lives *lives;
    const struct sim_node *node;
    void (*each)(struct visit *visit, const struct eventual_record *record);
    uint64_t sum;
    uint64_t floor; /* that the node knows of */
};

static bool is_there(const struct sim_node *node)
{
    return !node->removed && node->node != NULL;
}

/* What a crash has left of a directory that is not eventual any more counts for
 * nobody. */
static bool counts(const struct sim_node *node,
                   const struct eventual_record *record)
{
    return sim_lives_mode(node, record->dir).state != MODE_STRONG;
}

/* Each entry that the node has, removed ones, too. */
static void visit_all(struct visit *visit)
{
    const struct sim_node *node = visit->node;
    struct slice begin = slice_of("v");
    struct kv_iter *iter =
        kv_iter_new(node->env->env.state, NULL, begin, slice_of("w"));

    for (kv_iter_seek(iter, begin); kv_iter_valid(iter); kv_iter_next(iter)) {
        struct eventual_record record = {0};
        struct slice name;
        uint64_t dir;

        if (!key_parse_user(kv_iter_key(iter), 'v', &dir, &name) ||
            eventual_get(node->env->env.state, NULL, dir, name, true,
                         &record) != 0)
            sim_fail(visit->lives->cluster->loop,
                     "node %zu has an entry that cannot be read",
                     node->number + 1);
        if (counts(node, &record))
            visit->each(visit, &record);
        eventual_release(&record);
    }
    kv_iter_free(iter);
}

/* ---- the same everywhere ---- */

static void add_hash(struct visit *visit, const struct eventual_record *record)
{
    /* Who has forgotten it has the same. */
    if (!record->removed || record->hlc > visit->floor)
        visit->sum = sim_mix(visit->sum, lives_hash(record));
}

static uint64_t digest(struct sim_lives *lives, const struct sim_node *node)
{
    struct visit visit = {.lives = lives, .node = node, .each = add_hash};
    struct kv *state = node->env->env.state;
    struct eventual_head head = {0};
    struct floor floor = {0};

    /* Zeroes are fine. A node where nothing is to be forgotten need not have
     * raised its own. */
    (void)eventual_head_get(state, &head);
    (void)floor_get(state, NULL, &floor);
    visit.floor = floor.hlc;
    visit.sum = sim_mix(head.whole, floor.hlc);
    visit_all(&visit);
    return visit.sum;
}

/* Or something is being filled. */
static bool has_fence(const struct sim_lives *lives,
                      const struct sim_node *node)
{
    for (size_t i = 0; i < lives->life_count; i++) {
        struct mode mode = sim_lives_mode(node, lives->lives[i].dir);

        if (mode.state == MODE_FENCED || mode_is_filling(mode))
            return true;
    }
    return false;
}

bool sim_lives_are_settled(struct sim_lives *lives)
{
    const struct sim_cluster *cluster = lives->cluster;
    uint64_t sum = 0;
    bool any = false;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];
        uint64_t other;

        if (node->removed)
            continue;
        if (!is_there(node) || has_fence(lives, node) ||
            !lives_is_converged(node))
            return false;
        other = digest(lives, node);
        if (any && other != sum)
            return false;
        sum = other;
        any = true;
    }
    return true;
}

/* What a crash has left of an earlier life goes with some later floor. */
static void add_removed(struct visit *visit,
                        const struct eventual_record *record)
{
    visit->sum +=
        record->removed &&
        sim_lives_mode(visit->node, record->dir).since == record->since;
}

bool sim_lives_are_forgotten(struct sim_lives *lives)
{
    const struct sim_cluster *cluster = lives->cluster;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        struct visit visit = {
            .lives = lives, .node = &cluster->nodes[i], .each = add_removed};

        if (is_there(visit.node))
            visit_all(&visit);
        if (visit.sum > 0)
            return false;
    }
    return true;
}

/* ---- rules 4 and 11 ---- */

static void check_belongs(struct visit *visit,
                          const struct eventual_record *record)
{
    struct mode mode = sim_lives_mode(visit->node, record->dir);

    if (mode.state != MODE_EVENTUAL || mode.since != record->since)
        sim_fail(visit->lives->cluster->loop,
                 "node %zu still has %" PRIx64 "/%.*s of an earlier life of "
                 "the directory",
                 visit->node->number + 1, record->dir, (int)record->name.size,
                 (const char *)record->name.data);
}

static void check_place(const struct sim_lives *lives,
                        const struct sim_node *node, const struct place *place)
{
    struct sim_version required = lives_required(lives, place);
    struct mode mode = sim_lives_mode(node, place->dir);
    struct sim_version found = {0};
    struct eventual_record record = {0};

    if (mode.state == MODE_STRONG || mode.since != place->since)
        return;
    if (sim_lives_get(node, place->dir, place->name, &record)) {
        found = sim_version_of(&record);
        eventual_release(&record);
    }
    if (found.hlc == 0 && lives_is_forgotten(node, place, required))
        return;
    if (sim_version_compare(found, required) < 0)
        sim_fail(lives->cluster->loop,
                 "%" PRIx64 "/%s: node %zu has version %" PRIx64 ".%" PRIu64
                 ", but %" PRIx64 ".%" PRIu64 " counts",
                 place->dir, place->name, node->number + 1, found.hlc,
                 found.origin, required.hlc, required.origin);
}

static void check_node(struct sim_lives *lives, const struct sim_node *node)
{
    struct visit visit = {.lives = lives, .node = node, .each = check_belongs};

    visit_all(&visit);
    for (size_t i = 0; i < lives->place_count; i++)
        check_place(lives, node, &lives->places[i]);
    lives_check_sums(lives, node);
    lives_check_kept(lives, node);
}

void sim_lives_check(struct sim_lives *lives)
{
    struct sim_cluster *cluster = lives->cluster;

    if (!sim_lives_are_settled(lives)) {
        sim_lives_print(lives);
        sim_fail(cluster->loop, "eventual directories do not settle");
    }
    for (size_t i = 0; i < cluster->plan->nodes; i++)
        if (!cluster->nodes[i].removed)
            check_node(lives, &cluster->nodes[i]);
}

/* ---- for people ---- */

static void print_entry(struct visit *visit,
                        const struct eventual_record *record)
{
    sim_note(visit->lives->cluster->loop,
             "node %zu: %" PRIx64 "/%.*s version %" PRIx64 ".%" PRIu64
             " since %" PRIx64 " number %" PRIx64 "%s",
             visit->node->number + 1, record->dir, (int)record->name.size,
             (const char *)record->name.data, record->hlc, record->origin,
             record->since, record->local, record->removed ? " removed" : "");
}

static void print_head(struct sim_lives *lives, const struct sim_node *node)
{
    struct eventual_head head = {0};

    (void)eventual_head_get(node->env->env.state, &head); /* As above. */
    sim_note(lives->cluster->loop,
             "node %zu: floor %" PRIx64 ", %swhole, catalog %" PRIu64,
             node->number + 1, head.floor, head.whole ? "" : "not ",
             modes_version(node_modes(node->node)));
}

static void print_modes(struct sim_lives *lives, const struct sim_node *node)
{
    for (size_t i = 0; i < lives->life_count; i++) {
        const struct life *life = &lives->lives[i];
        struct mode mode = sim_lives_mode(node, life->dir);

        if (!life->over)
            sim_note(lives->cluster->loop,
                     "node %zu: %" PRIx64 " mode %d since %" PRIx64
                     " epoch %" PRIx64,
                     node->number + 1, life->dir, (int)mode.state, mode.since,
                     mode.epoch);
    }
}

void sim_lives_print(struct sim_lives *lives)
{
    const struct sim_cluster *cluster = lives->cluster;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        struct visit visit = {
            .lives = lives, .node = &cluster->nodes[i], .each = print_entry};

        if (!is_there(visit.node))
            continue;
        print_head(lives, visit.node);
        lives_print_moments(lives, visit.node);
        print_modes(lives, visit.node);
        visit_all(&visit);
    }
}
