/* SPDX-License-Identifier: Apache-2.0 */

/* Digests: rule 13 of sim_lives.h. */

#include <inttypes.h>

#include "engine/keys.h"
#include "engine/pull.h"
#include "tests/sim/sim_harm.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_watch.h"

static const struct eventual *eventual_of(const struct sim_node *node)
{
    return node_eventual(node->node);
}

/* ---- at each step ---- */

/* A life that is over on a third node, and only there so far, has no changes
 * there: with its answer all of them seem to be had. So what two nodes have in
 * it says nothing. */
static void compare(const struct sim_lives *lives, const struct sim_node *a,
                    const struct sim_node *b)
{
    const struct digest_moment of_a =
        eventual_moment(eventual_of(a), b->number + 1);
    const struct digest_moment of_b =
        eventual_moment(eventual_of(b), a->number + 1);

    if (of_a.lives != lives_going_on(lives))
        return;
    switch (digest_compare(&of_a, &of_b)) {
    case DIGEST_DIFFERS:
        sim_fail(lives->cluster->loop,
                 "nodes %zu and %zu have digests %" PRIx64 " and %" PRIx64
                 " of the same",
                 a->number + 1, b->number + 1, of_a.digest, of_b.digest);
        break;
    case DIGEST_EQUAL:
        if (of_a.digest != 0)
            sim_seen(SEEN_ZONE_CONVERGED);
        break;
    default:
        break;
    }
}

/* A catalog that was damaged may have made it drop what it should not. */
static bool is_judged(const struct sim_lives *lives,
                      const struct sim_node *node)
{
    const struct sim_harm *harm = sim_harms_of(
        sim_watch_harms(lives->cluster->watch), node->number, REGION_PLACEMENT);

    return lives_is_there(node) && !harm->done;
}

/* As the node itself compares, too: what it was told may be old. */
static void check_verdict(const struct sim_lives *lives,
                          const struct sim_node *node)
{
    uint64_t other = 0;
    int64_t since_ns;

    while (pulls_next_differing(node_pulls(node->node), other, &other,
                                &since_ns)) {
        if (is_judged(lives, &lives->cluster->nodes[other - 1]))
            sim_fail(lives->cluster->loop,
                     "node %zu says that node %" PRIu64 " differs",
                     node->number + 1, other);
        other++;
    }
}

void lives_check_moment(struct sim_lives *lives, const struct sim_node *node)
{
    struct known_node *known = &lives->nodes[node->number];
    uint64_t moment = eventual_moment_number(eventual_of(node));

    if (moment == known->moment || !is_judged(lives, node))
        return;
    known->moment = moment;
    check_verdict(lives, node);
    for (size_t i = 0; i < lives->cluster->plan->nodes; i++)
        if (i != node->number && is_judged(lives, &lives->cluster->nodes[i]))
            compare(lives, node, &lives->cluster->nodes[i]);
}

/* ---- at the end ---- */

/* Where nothing is eventual there is nothing to be found. */
bool lives_is_converged(const struct sim_node *node)
{
    struct pull_lag peers[NODES_MAX];
    size_t count = modes_any(node_modes(node->node))
                       ? pulls_lag(node_pulls(node->node), peers)
                       : 0;

    for (size_t i = 0; i < count; i++)
        if (peers[i].verdict != DIGEST_EQUAL)
            return false;
    return true;
}

static void check_sum(const struct sim_lives *lives,
                      const struct sim_node *node, uint64_t dir)
{
    struct eventual_namespace record;
    uint64_t digest = 0;

    if (eventual_namespace_get(lives_state(node), NULL, dir, &record) != 0 ||
        digest_entries(lives_state(node), dir, &digest) != 0 ||
        !record.has_digest || record.digest != digest)
        sim_fail(lives->cluster->loop,
                 "node %zu: directory %" PRIx64 " has digest %" PRIx64
                 ", but its entries have %" PRIx64,
                 node->number + 1, dir, record.digest, digest);
}

void lives_check_sums(const struct sim_lives *lives,
                      const struct sim_node *node)
{
    for (size_t i = 0; i < lives->life_count; i++)
        if (sim_lives_mode(node, lives->lives[i].dir).since ==
            lives->lives[i].since)
            check_sum(lives, node, lives->lives[i].dir);
}

/* ---- for people ---- */

void lives_print_moments(const struct sim_lives *lives,
                         const struct sim_node *node)
{
    for (size_t i = 0; i < lives->cluster->plan->nodes; i++) {
        const struct digest_moment moment =
            eventual_moment(eventual_of(node), i + 1);

        if (i != node->number)
            sim_note(lives->cluster->loop,
                     "node %zu: to node %zu lives %" PRIx64 " number %" PRIx64
                     " cursor %" PRIx64 " digest %" PRIx64,
                     node->number + 1, i + 1, moment.lives, moment.sequence,
                     moment.cursor, moment.digest);
    }
}
