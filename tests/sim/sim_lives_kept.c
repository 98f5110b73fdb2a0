/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 11: what there is of directories that have become strong without some
 * nodes, in the quarantine of these. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"
#include "engine/quarantine.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"

static const uint64_t stayed_ns = UINT64_C(15000000000);

/* Of one name, in the quarantine that is looked at. */
struct kept {
    const struct place *place;
    struct sim_version version;
};

struct look {
    struct sim_lives *lives;
    const struct sim_node *node;
    struct kept *items;
    size_t count;
    size_t count_max;
};

/* ---- who was left out, and of what ---- */

static bool was_left_out(const struct life *life, const struct sim_node *node)
{
    for (size_t i = 0; i < life->left_out.count; i++)
        if (life->left_out.of[i].node == node->number + 1)
            return true;
    return false;
}

bool lives_is_left_out(const struct life *life, struct sim_version version)
{
    /* A number that is not known may be any. */
    return left_out_has(&life->left_out, version.origin,
                        version.sequence == 0 ? UINT64_MAX : version.sequence);
}

/* Nothing has kept the node from being heard of. */
static bool was_there(const struct sim_lives *lives,
                      const struct sim_node *node)
{
    return !node->removed && lives->calm_ns != 0 &&
           lives->cluster->loop->now_ns - lives->calm_ns > stayed_ns &&
           lives_has_stayed(lives, node);
}

static void check_away(const struct sim_lives *lives, const struct life *life)
{
    for (size_t i = 0; i < lives->cluster->plan->nodes; i++) {
        const struct sim_node *node = &lives->cluster->nodes[i];

        if (was_left_out(life, node) && was_there(lives, node))
            sim_fail(lives->cluster->loop,
                     "%" PRIx64 " is strong without node %zu, which is there",
                     life->dir, node->number + 1);
    }
}

/* ---- what was taken along ---- */

static bool has_seen(const struct life *life, const struct sim_node *node,
                     const struct place *place, struct sim_version version)
{
    return !was_left_out(life, node) &&
           sim_version_compare(place->seen[node->number].version, version) >= 0;
}

static bool is_known_to_others(const struct sim_lives *lives,
                               const struct life *life,
                               const struct place *place,
                               struct sim_version version)
{
    const struct sim_cluster *cluster = lives->cluster;

    for (size_t i = 0; i < cluster->plan->nodes; i++)
        if (has_seen(life, &cluster->nodes[i], place, version))
            return true;
    return false;
}

/* Of a node that was left out: it must not be told that something was taken
 * along which nobody had. */
static void check_taken(const struct sim_lives *lives, const struct life *life,
                        const struct place *place, const struct sim_node *node)
{
    struct sim_version version = place->counts[node->number];

    if (version.hlc == 0 || node->forced || lives->nodes[node->number].lost ||
        !was_left_out(life, node) || lives_is_left_out(life, version) ||
        is_known_to_others(lives, life, place, version))
        return;
    sim_fail(lives->cluster->loop,
             "%" PRIx64 "/%s: version %" PRIx64 ".%" PRIu64
             " counts as taken along, and only nodes that were left out had it",
             place->dir, place->name, version.hlc, version.origin);
}

static bool is_in_zone(const struct sim_node *node, uint64_t nsid)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    struct directory directory = {0};
    bool is = kv_get(lives_state(node), NULL, key_slice(&key), &value) == 0 &&
              directory_decode(&directory,
                               (struct slice){value.data, value.size}) == 0 &&
              directory.parent != NSID_ROOT;

    directory_release(&directory);
    kv_value_release(&value);
    return is;
}

void lives_note_left_out(struct sim_lives *lives, const struct sim_node *teller,
                         struct life *life)
{
    const struct sim_cluster *cluster = lives->cluster;
    int rc = left_out_get(lives_state(teller), life->dir, life->since,
                          &life->left_out);

    if (rc != 0)
        sim_fail(cluster->loop,
                 "node %zu cannot read who was left out of %" PRIx64 ": %s",
                 teller->number + 1, life->dir, err_text(rc));
    if (life->left_out.count == 0)
        return;
    sim_seen(SEEN_FORCE_STRONG);
    if (is_in_zone(teller, life->dir))
        sim_seen(SEEN_FORCE_BELOW);
    for (size_t i = 0; i < life->left_out.count; i++)
        sim_note(cluster->loop,
                 "%" PRIx64 " is strong without node %" PRIu64
                 " behind %" PRIx64,
                 life->dir, life->left_out.of[i].node,
                 life->left_out.of[i].sequence);
    check_away(lives, life);
    for (size_t i = 0; i < lives->place_count; i++) {
        const struct place *place = &lives->places[i];

        for (size_t k = 0;
             place->dir == life->dir && place->since == life->since &&
             k < cluster->plan->nodes;
             k++)
            check_taken(lives, life, place, &cluster->nodes[k]);
    }
}

/* ---- what there is ---- */

static void fail_at(const struct look *look, const struct quarantined *item,
                    const char *what)
{
    const struct eventual_record *record = &item->record;

    sim_fail(look->lives->cluster->loop,
             "node %zu has version %" PRIx64 ".%" PRIu64 " (%" PRIx64
             ") of %" PRIx64 "/%.*s in its quarantine, %s",
             look->node->number + 1, record->hlc, record->origin,
             record->sequence, record->dir, (int)record->name.size,
             (const char *)record->name.data, what);
}

static bool ends_with_name(const struct quarantined *item)
{
    size_t size = item->record.name.size;
    const char *path = item->path.data;

    return item->path.size > size && memcmp(path + item->path.size - size,
                                            item->record.name.data, size) == 0;
}

static void check_item(const struct look *look, const struct quarantined *item)
{
    const struct eventual_record *record = &item->record;
    const struct life *life =
        lives_find_life(look->lives, record->dir, record->since);

    if (life == NULL || !life->over || !life->strong ||
        !was_left_out(life, look->node))
        fail_at(look, item, "and was not left out of its directory");
    if (!left_out_has(&life->left_out, record->origin, record->sequence))
        fail_at(look, item, "which was taken along");
    if (record->origin == 0 || record->origin > SIM_NODES_MAX ||
        record->name.size >= SIM_LIVES_NAME_MAX || !ends_with_name(item))
        fail_at(look, item, "at no place where it can have been");
}

static void note_item(const struct look *look, const struct quarantined *item)
{
    const struct eventual_record *record = &item->record;
    const struct known_node *known = &look->lives->nodes[look->node->number];

    if (item->number <= known->kept_last)
        return;
    sim_seen(SEEN_FORCE_KEPT);
    if (record->removed)
        sim_seen(SEEN_FORCE_REMOVED);
    if (record->origin != look->node->number + 1)
        sim_seen(SEEN_FORCE_OTHERS);
    if (known->kept_starts != look->node->starts)
        sim_seen(SEEN_FORCE_FOUND);
}

static void add_item(struct look *look, const struct quarantined *item)
{
    const struct eventual_record *record = &item->record;
    const struct place *place;

    check_item(look, item);
    place = lives_place(look->lives, record->dir, record->since, record->name);
    if (lives_sequence_of(look->lives, place, sim_version_of(record)) == 0)
        fail_at(look, item, "which nobody has ever had");
    (void)lives_check_value(look->lives, look->node, record);
    note_item(look, item);
    look->items = mem_grow(look->items, sizeof *look->items, &look->count_max,
                           look->count + 1);
    look->items[look->count++] = (struct kept){place, sim_version_of(record)};
}

/* Returns the last number of them that was given. */
static uint64_t read_items(struct look *look)
{
    struct kv *state = lives_state(look->node);
    struct quarantine_head head = {0};
    uint64_t number = 0;
    int rc = quarantine_head_get(state, &head);

    while (rc == 0 && quarantine_next(state, number + 1, &number) == 0) {
        struct quarantined item = {0};

        rc = quarantine_get(state, number, &item);
        if (rc != 0)
            break;
        add_item(look, &item);
        quarantined_release(&item);
    }
    if (rc != 0 || look->count != head.count || number > head.last)
        sim_fail(look->lives->cluster->loop,
                 "node %zu has %zu items in its quarantine up to %" PRIu64
                 ", which counts %" PRIu64 " up to %" PRIu64 ": %s",
                 look->node->number + 1, look->count, number, head.count,
                 head.last, err_text(rc));
    return head.last;
}

/* ---- what there has to be ---- */

/* The greatest that it cannot have lost: in this start, or ever. */
static struct sim_version had(const struct look *look,
                              const struct place *place)
{
    const size_t number = look->node->number;
    const struct seen *seen = &place->seen[number];
    struct sim_version version = {0};

    if (!look->lives->nodes[number].lost)
        version = place->counts[number];
    if (seen->starts == look->node->starts &&
        sim_version_compare(seen->version, version) > 0)
        version = seen->version;
    return version;
}

static bool is_kept(const struct look *look, const struct place *place,
                    struct sim_version version)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->items[i].place == place &&
            sim_version_compare(look->items[i].version, version) >= 0)
            return true;
    return false;
}

static void check_place(const struct look *look, const struct life *life,
                        const struct place *place)
{
    struct sim_version version = had(look, place);

    if (version.hlc == 0 || !lives_is_left_out(life, version) ||
        sim_version_compare(version, lives_required(look->lives, place)) <= 0 ||
        is_kept(look, place, version))
        return;
    sim_fail(look->lives->cluster->loop,
             "%" PRIx64 "/%s is lost: version %" PRIx64 ".%" PRIu64 " (%" PRIx64
             ") was left out, and node %zu has not kept it",
             place->dir, place->name, version.hlc, version.origin,
             version.sequence, look->node->number + 1);
}

/* As far as the node knows. */
static bool is_over(const struct sim_node *node, const struct life *life)
{
    return lives_catalog_version(node) >= life->known &&
           sim_lives_mode(node, life->dir).since != life->since;
}

static void check_life(const struct look *look, const struct life *life)
{
    const struct sim_lives *lives = look->lives;

    if (!life->over || !was_left_out(life, look->node) ||
        !is_over(look->node, life))
        return;
    for (size_t i = 0; i < lives->place_count; i++)
        if (lives->places[i].dir == life->dir &&
            lives->places[i].since == life->since)
            check_place(look, life, &lives->places[i]);
}

void lives_check_kept(struct sim_lives *lives, const struct sim_node *node)
{
    struct known_node *known = &lives->nodes[node->number];
    struct look look = {.lives = lives, .node = node};

    /* Else the catalog was replaced just now, and it is about to follow. */
    if (lives_has_harm(lives, node) ||
        modes_version(node_modes(node->node)) != lives_catalog_version(node))
        return;
    known->kept_last = read_items(&look);
    known->kept_starts = node->starts;
    for (size_t i = 0; i < lives->life_count; i++)
        check_life(&look, &lives->lives[i]);
    free(look.items);
}
