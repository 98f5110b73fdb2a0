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

static struct life *life_of(struct sim_lives *lives, uint64_t dir,
                            uint64_t since)
{
    for (size_t i = 0; i < lives->life_count; i++)
        if (lives->lives[i].dir == dir && lives->lives[i].since == since)
            return &lives->lives[i];
    lives->lives = mem_grow(lives->lives, sizeof *lives->lives,
                            &lives->life_count_max, lives->life_count + 1);
    lives->lives[lives->life_count] =
        (struct life){.dir = dir, .since = since, .known = UINT64_MAX};
    return &lives->lives[lives->life_count++];
}

static struct place *place_of(struct sim_lives *lives, uint64_t dir,
                              uint64_t since, struct slice name)
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
    struct sim_version greatest = {0};

    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        if (!may_be_gone(lives, i) &&
            sim_version_compare(place->counts[i], greatest) > 0)
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

static void count(struct sim_lives *lives, struct place *place,
                  struct sim_version version)
{
    struct sim_version *known = &place->counts[version.origin - 1];
    const struct life *life;

    if (sim_version_compare(version, *known) > 0)
        *known = version;
    life = life_of(lives, place->dir, place->since);
    if (life->over)
        check_over(lives, life, place);
}

void sim_lives_acknowledged(struct sim_lives *lives, uint64_t dir,
                            uint64_t since, const char *name,
                            struct sim_version version)
{
    count(lives, place_of(lives, dir, since, slice_of(name)), version);
}

/* ---- reading state/ ---- */

static struct kv *state_of(const struct sim_node *node)
{
    return node->env->env.state;
}

struct mode sim_lives_mode(const struct sim_node *node, uint64_t nsid)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    struct directory directory = {0};
    struct mode mode = {0};

    if (kv_get(state_of(node), NULL, key_slice(&key), &value) != 0)
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
    bool has = kv_get(state_of(node), NULL, key_slice(&key), &value) == 0;

    kv_value_release(&value);
    return has;
}

bool sim_lives_get(const struct sim_node *node, uint64_t dir, const char *name,
                   struct eventual_record *ret)
{
    return eventual_get(state_of(node), NULL, dir, slice_of(name), true, ret) ==
           0;
}

static uint64_t catalog_version(const struct sim_node *node)
{
    struct key key = key_marker(REGION_PLACEMENT);
    struct kv_value value = {0};
    struct marker marker = {0};

    if (kv_get(state_of(node), NULL, key_slice(&key), &value) != 0)
        return 0;
    if (marker_decode(&marker, (struct slice){value.data, value.size}) != 0)
        marker.version = 0;
    kv_value_release(&value);
    return marker.version;
}

/* ---- rule 2 ---- */

static void check_growth(const struct sim_lives *lives,
                         const struct sim_node *node, const struct place *place,
                         struct sim_version version)
{
    const struct known_node *known = &lives->nodes[node->number];
    const struct seen *seen = &place->seen[node->number];
    struct sim_version least = {0};

    if (seen->starts == node->starts)
        least = seen->version;
    else if (!known->lost)
        least = place->counts[node->number];
    if (sim_version_compare(version, least) < 0)
        sim_fail(lives->cluster->loop,
                 "%" PRIx64 "/%s: node %zu goes back from version %" PRIx64
                 ".%" PRIu64 " to %" PRIx64 ".%" PRIu64,
                 place->dir, place->name, node->number + 1, least.hlc,
                 least.origin, version.hlc, version.origin);
}

bool lives_is_forgotten(const struct sim_node *node, const struct place *place,
                        struct sim_version version)
{
    struct eventual_head head = {0};

    (void)eventual_head_get(state_of(node), &head); /* Zeroes are fine. */
    return version.hlc <= head.floor &&
           sim_version_compare(place->removed, version) >= 0;
}

/* Its origin and this node have lost each other before it was there. */
static void note_way(const struct sim_lives *lives, const struct sim_node *node,
                     const struct value *value,
                     const struct eventual_record *record)
{
    uint64_t apart_ns = lives->nodes[node->number].apart_ns[record->origin - 1];

    if (apart_ns != 0 && apart_ns < value->first_ns)
        sim_seen(SEEN_ZONE_RELAYED);
}

/* Whoever has an entry has applied what made its directory eventual. */
static void note_life(struct sim_lives *lives, const struct sim_node *node,
                      const struct eventual_record *record)
{
    struct life *life = life_of(lives, record->dir, record->since);

    if (life->known == UINT64_MAX)
        life->known = catalog_version(node);
}

/* ---- rule 5 ---- */

/* Right when it was taken: the clock may go back later. */
static void check_clock(const struct sim_lives *lives,
                        const struct sim_node *node,
                        const struct eventual_record *record)
{
    uint64_t now_ms = env_wall_ns(&node->env->env) / 1000000;

    if (lives->nodes[node->number].head != 0 &&
        record->origin != node->number + 1 &&
        record->hlc >> STAMP_COUNTER_BITS > now_ms + MAX_DRIFT_MS)
        sim_fail(lives->cluster->loop,
                 "node %zu takes %" PRIx64 "/%.*s, which is ahead of its clock",
                 node->number + 1, record->dir, (int)record->name.size,
                 (const char *)record->name.data);
}

static void see(struct sim_lives *lives, const struct sim_node *node,
                const struct eventual_record *record)
{
    struct place *place;
    struct seen *seen;
    struct value *value;
    bool is_new;

    if (record->origin == 0 || record->origin > SIM_NODES_MAX ||
        record->name.size >= SIM_LIVES_NAME_MAX)
        sim_fail(lives->cluster->loop, "node %zu has a record of nobody",
                 node->number + 1);
    note_life(lives, node, record);
    place = place_of(lives, record->dir, record->since, record->name);
    seen = &place->seen[node->number];
    is_new = sim_version_compare(sim_version_of(record), seen->version) != 0;
    value = lives_check_value(lives, node, record);
    check_growth(lives, node, place, sim_version_of(record));
    check_clock(lives, node, record);
    *seen = (struct seen){sim_version_of(record), node->starts};
    if (record->removed &&
        sim_version_compare(seen->version, place->removed) > 0)
        place->removed = seen->version;
    if (record->origin == node->number + 1)
        return;
    count(lives, place, sim_version_of(record));
    if (is_new)
        note_way(lives, node, value, record);
}

/* ---- what has changed ---- */

static void see_change(struct sim_lives *lives, const struct sim_node *node,
                       struct slice user_key)
{
    struct slice name = {(const uint8_t *)user_key.data + KEY_NSID_SIZE,
                         user_key.size - KEY_NSID_SIZE};
    struct eventual_record record = {0};
    uint64_t dir = be64_get(user_key.data);

    if (eventual_get(state_of(node), NULL, dir, name, true, &record) != 0)
        return; /* Left by a life that is over. */
    see(lives, node, &record);
    eventual_release(&record);
}

/* What was changed since the last look, in whatever order. */
static void see_changes(struct sim_lives *lives, const struct sim_node *node)
{
    struct known_node *known = &lives->nodes[node->number];
    struct key begin = key_eventual_change(known->sequence + 1);
    struct slice end = slice_of("j");
    struct kv_iter *iter =
        kv_iter_new(state_of(node), NULL, key_slice(&begin), end);

    kv_iter_seek(iter, key_slice(&begin));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        if (!key_parse_sequence(kv_iter_key(iter), 'i', &known->sequence) ||
            kv_iter_value(iter).size <= KEY_NSID_SIZE)
            sim_fail(lives->cluster->loop, "a change cannot be decoded");
        see_change(lives, node, kv_iter_value(iter));
    }
    kv_iter_free(iter);
}

/* ---- lives ---- */

/* The node has applied region 0 up to where it was there, at least, and it is
 * not there any more. */
static bool is_over(const struct sim_node *node, const struct life *life,
                    uint64_t version)
{
    struct mode mode = sim_lives_mode(node, life->dir);

    return version >= life->known &&
           (mode.state == MODE_STRONG || mode.since != life->since);
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
    for (size_t i = 0; i < lives->place_count; i++) {
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
    if (mode.state == MODE_STRONG || mode.since != place->since)
        return;
    if (seen->starts == node->starts)
        least = seen->version;
    if (!sim_lives_get(node, place->dir, place->name, &record) &&
        !lives_is_forgotten(node, place, least))
        sim_fail(lives->cluster->loop,
                 "node %zu has no %" PRIx64 "/%s any more", node->number + 1,
                 place->dir, place->name);
    eventual_release(&record);
}

/* What it says of directories may be damaged: see sim_damage.h. */
static bool has_harm(const struct sim_lives *lives, const struct sim_node *node)
{
    const struct sim_harm *harm =
        sim_watch_harm(lives->cluster->watch, node->number, REGION_PLACEMENT);

    return harm->done && !harm->mended;
}

static void look_at_lives(struct sim_lives *lives, const struct sim_node *node)
{
    uint64_t version = catalog_version(node);

    if (has_harm(lives, node))
        return;
    for (size_t i = 0; i < lives->life_count; i++) {
        struct life *life = &lives->lives[i];

        if (!life->over && is_over(node, life, version))
            end_life(lives, node, life);
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
    known->counts = counts;
}

static void note_floor(struct known_node *known, const struct sim_node *node)
{
    struct floor floor;

    if (floor_get(state_of(node), NULL, &floor) != 0)
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
        known->sequence = known->head = known->applied = 0;
        known->counts = (struct eventual_counts){0};
    }
    note_links(known, node);
    note_counts(known, node);
    (void)eventual_head_get(state_of(node), &head); /* Zeroes are fine. */
    if (head.sequence != known->head) {
        see_changes(lives, node);
        known->head = head.sequence;
    }
    if (peer != NULL && peer->applied_index != known->applied) {
        known->applied = peer->applied_index;
        note_floor(known, node);
        look_at_lives(lives, node);
    }
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
    free(lives->lives);
    free(lives->places);
    free(lives->values);
    free(lives);
}
