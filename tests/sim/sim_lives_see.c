/* SPDX-License-Identifier: Apache-2.0 */

/* What a node has in eventual directories since the last look. */

#include <inttypes.h>

#include "engine/floor.h"
#include "engine/keys.h"
#include "engine/stamps.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"

/* ---- around it ---- */

bool lives_is_forgotten(const struct sim_node *node, const struct place *place,
                        struct sim_version version)
{
    struct eventual_head head = {0};

    (void)eventual_head_get(lives_state(node), &head); /* Zeroes are fine. */
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
    struct life *life = lives_life(lives, record->dir, record->since);

    if (life->known == UINT64_MAX)
        life->known = lives_catalog_version(node);
}

/* ---- rules 4 and 6 ---- */

/* A directory that is eventual again has nothing of its earlier lives. What a
 * crash has left of one that is strong nobody sees. */
static void check_life(const struct sim_lives *lives,
                       const struct sim_node *node,
                       const struct eventual_record *record)
{
    struct mode mode = sim_lives_mode(node, record->dir);

    if (mode.state != MODE_STRONG && mode.since > record->since &&
        !lives_has_harm(lives, node))
        sim_fail(lives->cluster->loop,
                 "node %zu takes %" PRIx64 "/%.*s of an earlier life of the "
                 "directory",
                 node->number + 1, record->dir, (int)record->name.size,
                 (const char *)record->name.data);
}

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

/* ---- rule 7 ---- */

static struct kv *log_of(const struct sim_node *node)
{
    return node->env == NULL ? node->log : node->env->env.log;
}

static bool is_journaled(const struct sim_node *node, uint64_t sequence)
{
    struct key key = key_journal(sequence);
    struct kv_value value = {0};
    bool is = kv_get_durable(log_of(node), key_slice(&key), &value) == 0;

    kv_value_release(&value);
    return is;
}

static bool is_durable(const struct sim_node *node, uint64_t sequence)
{
    struct kv *state =
        node->env == NULL ? node->state_kv : node->env->env.state;
    struct eventual_head head = {0};

    if (is_journaled(node, sequence))
        return true;
    (void)eventual_head_get_durable(state, &head); /* Zeroes are fine. */
    return head.sequence >= sequence;
}

/* What was acknowledged is durable, but for what has another version now. */
static bool is_acknowledged(const struct place *place,
                            const struct value *value)
{
    return !value->is_new_version &&
           sim_version_compare(value->version,
                               place->counts[value->version.origin - 1]) <= 0;
}

static void check_durable(const struct sim_lives *lives,
                          const struct place *place, const struct value *value,
                          const struct eventual_record *record)
{
    size_t number = (size_t)record->origin - 1;
    const struct sim_node *origin = &lives->cluster->nodes[number];

    if (lives->nodes[number].lost || origin->removed || origin->forced ||
        is_acknowledged(place, value) || is_durable(origin, record->sequence))
        return;
    sim_fail(lives->cluster->loop,
             "version %" PRIx64 ".%" PRIu64 " of %" PRIx64 "/%s is shown "
             "before it is durable",
             record->hlc, record->origin, place->dir, place->name);
}

/* ---- a record ---- */

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
    check_life(lives, node, record);
    note_life(lives, node, record);
    place = lives_place(lives, record->dir, record->since, record->name);
    seen = &place->seen[node->number];
    is_new = sim_version_compare(sim_version_of(record), seen->version) != 0;
    value = lives_check_value(lives, node, record);
    lives_check_growth(lives, node, place, record, value);
    check_clock(lives, node, record);
    *seen = (struct seen){sim_version_of(record), node->starts};
    if (record->removed &&
        sim_version_compare(seen->version, place->removed) > 0)
        place->removed = seen->version;
    if (record->origin == node->number + 1)
        return;
    check_durable(lives, place, value, record);
    lives_count(lives, place, sim_version_of(record));
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

    if (eventual_get(lives_state(node), NULL, dir, name, true, &record) != 0)
        return; /* Left by a life that is over. */
    see(lives, node, &record);
    eventual_release(&record);
}

void lives_see(struct sim_lives *lives, const struct sim_node *node)
{
    struct known_node *known = &lives->nodes[node->number];
    struct key begin = key_eventual_change(known->sequence + 1);
    struct slice end = slice_of("j");
    struct kv_iter *iter =
        kv_iter_new(lives_state(node), NULL, key_slice(&begin), end);

    kv_iter_seek(iter, key_slice(&begin));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        bool is_change =
            key_parse_sequence(kv_iter_key(iter), 'i', &known->sequence) &&
            kv_iter_value(iter).size > KEY_NSID_SIZE;

        if (is_change)
            see_change(lives, node, kv_iter_value(iter));
        else if (!lives->cluster->index_spoilt)
            sim_fail(lives->cluster->loop, "a change cannot be decoded");
    }
    kv_iter_free(iter);
}
