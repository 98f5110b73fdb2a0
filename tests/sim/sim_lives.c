/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_lives.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/floor.h"
#include "engine/keys.h"
#include "engine/peer_impl.h"
#include "engine/stamps.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_watch.h"

int sim_version_compare(struct sim_version a, struct sim_version b)
{
    if (a.hlc != b.hlc)
        return a.hlc < b.hlc ? -1 : 1;
    if (a.origin != b.origin)
        return a.origin < b.origin ? -1 : 1;
    return 0;
}

/* ---- places ---- */

struct life *lives_find_life(const struct sim_lives *lives, uint64_t dir,
                             uint64_t since)
{
    for (size_t i = 0; i < lives->life_count; i++)
        if (lives->lives[i].dir == dir && lives->lives[i].since == since)
            return &lives->lives[i];
    return NULL;
}

struct life *lives_life(struct sim_lives *lives, uint64_t dir, uint64_t since)
{
    struct life *life = lives_find_life(lives, dir, since);

    if (life != NULL)
        return life;
    lives->lives = mem_grow(lives->lives, sizeof *lives->lives,
                            &lives->life_count_max, lives->life_count + 1);
    lives->lives[lives->life_count] =
        (struct life){.dir = dir, .since = since, .known = UINT64_MAX};
    return &lives->lives[lives->life_count++];
}

struct place *lives_place(struct sim_lives *lives, uint64_t dir, uint64_t since,
                          struct slice name)
{
    struct place *place;

    assert(name.size < SIM_LIVES_NAME_MAX);
    for (size_t i = 0; i < lives->place_count; i++) {
        place = &lives->places[i];
        if (place->dir == dir && place->since == since &&
            slice_equal(slice_of(place->name), name))
            return place;
    }
    lives->places = mem_grow(lives->places, sizeof *lives->places,
                             &lives->place_count_max, lives->place_count + 1);
    place = &lives->places[lives->place_count++];
    *place = (struct place){.dir = dir, .since = since};
    memcpy(place->name, name.data, name.size);
    return place;
}

/* ---- what counts ---- */

static bool may_be_gone(const struct sim_lives *lives, size_t number)
{
    return lives->cluster->nodes[number].forced;
}

struct sim_version lives_required(const struct sim_lives *lives,
                                  const struct place *place)
{
    const struct life *life = lives_find_life(lives, place->dir, place->since);
    struct sim_version greatest = {0};

    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        if (!may_be_gone(lives, i) &&
            sim_version_compare(place->counts[i], greatest) > 0 &&
            (life == NULL || !lives_is_left_out(life, place->counts[i])))
            greatest = place->counts[i];
    return greatest;
}

static bool removes(struct sim_version version, struct sim_version required)
{
    return version.removed && sim_version_compare(version, required) > 0;
}

/* Or perhaps by a node that is gone, or by a request of which nobody knows how
 * it has ended. */
static bool was_removed(const struct sim_lives *lives,
                        const struct place *place)
{
    struct sim_version required = lives_required(lives, place);

    if (required.hlc == 0 || required.removed)
        return true;
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        if ((may_be_gone(lives, i) && removes(place->counts[i], required)) ||
            removes(place->seen[i].version, required))
            return true;
    return false;
}

/* What is acknowledged later than the end of a life was there before it. */
static void check_over(const struct sim_lives *lives, const struct life *life,
                       const struct place *place)
{
    struct sim_version required = lives_required(lives, place);
    bool is_kept = life->strong
                       ? place->last.hlc == 0 ||
                             sim_version_compare(place->last, required) >= 0
                       : was_removed(lives, place);

    if (!is_kept)
        sim_fail(lives->cluster->loop,
                 "%" PRIx64 "/%s is lost: version %" PRIx64 ".%" PRIu64
                 " counted when the directory was no longer eventual",
                 place->dir, place->name, required.hlc, required.origin);
}

void lives_count(struct sim_lives *lives, struct place *place,
                 struct sim_version version)
{
    struct sim_version *known = &place->counts[version.origin - 1];
    const struct life *life;

    if (version.sequence == 0)
        version.sequence = lives_sequence_of(lives, place, version);
    if (sim_version_compare(version, *known) > 0)
        *known = version;
    life = lives_life(lives, place->dir, place->since);
    if (life->over && life->begun)
        check_over(lives, life, place);
}

void sim_lives_acknowledged(struct sim_lives *lives, uint64_t dir,
                            uint64_t since, const char *name,
                            struct sim_version version)
{
    lives_count(lives, lives_place(lives, dir, since, slice_of(name)), version);
}

/* ---- reading state/ ---- */

struct mode sim_lives_mode(const struct sim_node *node, uint64_t nsid)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    struct directory directory = {0};
    struct mode mode = {0};

    if (kv_get(lives_state(node), NULL, key_slice(&key), &value) != 0)
        return mode;
    if (directory_decode(&directory, (struct slice){value.data, value.size}) ==
        0)
        mode = directory.mode;
    directory_release(&directory);
    kv_value_release(&value);
    return mode;
}

static bool has_directory(const struct sim_node *node, uint64_t nsid)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    bool has = kv_get(lives_state(node), NULL, key_slice(&key), &value) == 0;

    kv_value_release(&value);
    return has;
}

bool sim_lives_get(const struct sim_node *node, uint64_t dir, const char *name,
                   struct eventual_record *ret)
{
    return eventual_get(lives_state(node), NULL, dir, slice_of(name), true,
                        ret) == 0;
}

uint64_t lives_catalog_version(const struct sim_node *node)
{
    struct key key = key_marker(REGION_PLACEMENT);
    struct kv_value value = {0};
    struct marker marker = {0};

    if (kv_get(lives_state(node), NULL, key_slice(&key), &value) != 0)
        return 0;
    if (marker_decode(&marker, (struct slice){value.data, value.size}) != 0)
        marker.version = 0;
    kv_value_release(&value);
    return marker.version;
}

/* ---- lives ---- */

/* The node has applied region 0 up to where it was there, at least, and it is
 * not there any more. */
static bool is_over(const struct life *life, struct mode mode, uint64_t version)
{
    return version >= life->known && mode.since != life->since;
}

/* Here and now a life has an end, of which others may not know yet. */
static void end_life(struct sim_lives *lives, const struct sim_node *node,
                     struct life *life)
{
    life->over = true;
    life->strong = has_directory(node, life->dir) &&
                   sim_lives_mode(node, life->dir).state == MODE_STRONG;
    sim_note(lives->cluster->loop,
             "node %zu: %" PRIx64 " is not eventual any more (%" PRIx64 ")",
             node->number + 1, life->dir, life->since);
    if (life->begun && life->strong)
        lives_note_left_out(lives, node, life);
    if (life->begun && life->strong)
        lives_check_names(lives, node, life->dir);
    for (size_t i = 0; life->begun && i < lives->place_count; i++) {
        struct place *place = &lives->places[i];

        if (place->dir != life->dir || place->since != life->since)
            continue;
        if (life->strong)
            lives_check_strong(lives, node, place);
        check_over(lives, life, place);
    }
}

/* As long as the node knows it as eventual, it has what it has shown, and what
 * it has accepted in other starts. */
static void check_kept(struct sim_lives *lives, const struct sim_node *node,
                       const struct place *place)
{
    const struct known_node *known = &lives->nodes[node->number];
    const struct seen *seen = &place->seen[node->number];
    bool is_own = place->counts[node->number].hlc != 0 && !known->lost;
    struct sim_version least = place->counts[node->number];
    struct eventual_record record = {0};
    struct mode mode;

    if (seen->starts != node->starts && !is_own)
        return;
    mode = sim_lives_mode(node, place->dir);
    if (mode.since != place->since)
        return;
    if (seen->starts == node->starts)
        least = seen->version;
    if (!sim_lives_get(node, place->dir, place->name, &record) &&
        !lives_is_forgotten(node, place, least) &&
        !lives->cluster->entry_spoilt)
        sim_fail(lives->cluster->loop,
                 "node %zu has no %" PRIx64 "/%s any more", node->number + 1,
                 place->dir, place->name);
    eventual_release(&record);
}

bool lives_has_harm(const struct sim_lives *lives, const struct sim_node *node)
{
    const struct sim_harm *harm = sim_harms_of(
        sim_watch_harms(lives->cluster->watch), node->number, REGION_PLACEMENT);

    return harm->done && !harm->mended;
}

static void look_at_life(struct sim_lives *lives, const struct sim_node *node,
                         uint64_t version, struct life *life)
{
    struct mode mode = sim_lives_mode(node, life->dir);

    if (!life->begun && mode.since == life->since && !mode_is_filling(mode)) {
        life->begun = true;
        lives_check_filled(lives, node, life);
    }
    if (is_over(life, mode, version))
        end_life(lives, node, life);
}

static void look_at_lives(struct sim_lives *lives, const struct sim_node *node)
{
    uint64_t version = lives_catalog_version(node);

    if (lives_has_harm(lives, node))
        return;
    for (size_t i = 0; i < lives->life_count; i++) {
        struct life *life = &lives->lives[i];

        if (!life->over)
            look_at_life(lives, node, version, life);
    }
    for (size_t i = 0; i < lives->place_count; i++)
        check_kept(lives, node, &lives->places[i]);
}

/* ---- a step ---- */

static void note_links(struct known_node *known, const struct sim_node *node)
{
    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        if (node->linked[i] || i == node->number)
            known->apart_ns[i] = 0;
        else if (known->apart_ns[i] == 0)
            known->apart_ns[i] = node->machine.loop->now_ns;
    }
}

static void note_counts(struct known_node *known, const struct sim_node *node)
{
    struct eventual_counts counts;

    eventual_count(node_eventual(node->node), &counts);
    if (counts.held > known->counts.held)
        sim_seen(SEEN_ZONE_HELD);
    if (counts.outlived > known->counts.outlived)
        sim_seen(SEEN_ZONE_OUTLIVED);
    if (counts.dropped > known->counts.dropped)
        sim_seen(SEEN_ZONE_FORGOTTEN);
    if (counts.restamped > known->counts.restamped)
        sim_seen(SEEN_ZONE_RESTAMPED);
    known->counts = counts;
}

static void note_floor(struct known_node *known, const struct sim_node *node)
{
    struct floor floor;

    if (floor_get(lives_state(node), NULL, &floor) != 0)
        return;
    if (known->withdrawn < floor.withdrawn)
        sim_seen(SEEN_ZONE_WITHDRAWN);
    known->withdrawn = floor.withdrawn;
}

void sim_lives_step(struct sim_lives *lives, struct sim_node *node)
{
    struct known_node *known = &lives->nodes[node->number];
    const struct peer *peer = node_peer(node->node, REGION_PLACEMENT);
    struct eventual_head head = {0};

    if (known->starts != node->starts) {
        known->starts = node->starts;
        known->start_ns = node->machine.loop->now_ns;
        known->sequence = known->head = known->applied = known->moment = 0;
        known->counts = (struct eventual_counts){0};
    }
    if (!lives->cluster->calm)
        lives->calm_ns = 0;
    else if (lives->calm_ns == 0)
        lives->calm_ns = node->machine.loop->now_ns;
    note_links(known, node);
    note_counts(known, node);
    (void)eventual_head_get(lives_state(node), &head); /* Zeroes are fine. */
    if (head.sequence != known->head) {
        lives_see(lives, node);
        known->head = head.sequence;
    }
    if (peer != NULL && peer->applied_index != known->applied) {
        known->applied = peer->applied_index;
        note_floor(known, node);
        if (!lives_has_harm(lives, node))
            lives_look_at_tree(lives, node);
        look_at_lives(lives, node);
        lives_check_kept(lives, node);
    }
    lives_check_moment(lives, node);
}

/* The journal's last change, if it has one. */
static uint64_t journal_end(const struct sim_node *node)
{
    struct key begin = key_journal(0);
    struct slice end = slice_of("F");
    struct kv_iter *iter = kv_iter_new(node->log, NULL, key_slice(&begin), end);
    uint64_t sequence = 0;

    kv_iter_seek(iter, key_slice(&begin));
    for (; kv_iter_valid(iter); kv_iter_next(iter))
        (void)key_parse_sequence(kv_iter_key(iter), 'E', &sequence);
    kv_iter_free(iter);
    return sequence;
}

void sim_lives_on_crash(const struct sim_node *node)
{
    struct eventual_head head = {0};

    (void)eventual_head_get(node->state_kv, &head); /* Zeroes are fine. */
    if (journal_end(node) > head.sequence)
        sim_seen(SEEN_ZONE_REPLAYED);
}

void sim_lives_on_loss(struct sim_lives *lives, const struct sim_node *node)
{
    lives->nodes[node->number].lost = true;
}

struct sim_lives *sim_lives_new(struct sim_cluster *cluster)
{
    struct sim_lives *lives = mem_zalloc(sizeof *lives);

    lives->cluster = cluster;
    return lives;
}

void sim_lives_free(struct sim_lives *lives)
{
    if (lives == NULL)
        return;
    free(lives->tree.items);
    free(lives->newest.items);
    free(lives->switched.items);
    free(lives->lives);
    free(lives->places);
    free(lives->values);
    free(lives);
}
