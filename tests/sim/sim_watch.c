/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_watch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/command.h"
#include "engine/peer_impl.h"
#include "engine/router.h"
#include "tests/sim/sim_logs.h"
#include "tests/sim/sim_ranges.h"
#include "tests/sim/sim_rare.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_sleep.h"
#include "tests/sim/sim_table.h"

enum {
    TERMS_MAX = 4096,
    CHECK_EVERY = 64,
    NO_VERSION = 0,
    HELD_UNDER_WAY_MAX = 512
};

struct known_entry {
    uint64_t term;       /* 0: not known to be committed */
    uint64_t version;    /* the greatest one given out up to here, if known */
    uint64_t known_term; /* of who knew it first: at least the term in which
                          * it was committed */
    uint32_t tag;
    bool published; /* somebody has acted upon it: see note_published() */
};

/* What all nodes together have shown of a region. */
struct known_region {
    struct known_entry *entries; /* by index */
    size_t count;
    size_t count_max;
    uint64_t leaders[TERMS_MAX]; /* node, by term */
    uint64_t leader_starts[TERMS_MAX];
    uint64_t commit_max;
};

/* One replica in its incarnation. */
struct known_peer {
    uint64_t peer_id;  /* another one's past does not count */
    uint64_t compared; /* committed entries up to here are compared */
    uint64_t published;
    uint64_t commit;
    uint64_t applied;
    uint64_t marker_index; /* compared up to here */
    struct sim_rare rare;
    bool damaged;
};

struct seen_command {
    uint64_t key;
    bool used;
};

struct sim_watch {
    struct sim_cluster *cluster;
    struct sim_logs *logs;
    struct sim_ranges *ranges;
    struct sim_table regions;              /* known_region */
    struct sim_table peers[SIM_NODES_MAX]; /* known_peer */
    struct sim_table harm[SIM_NODES_MAX];  /* sim_harm */
    struct sim_tag *tags;
    size_t tag_count;
    size_t tag_count_max;
    struct seen_command *commands; /* open addressing */
    size_t command_size;
    size_t command_count;
    uint64_t steps;
};

struct sim_watch *sim_watch_new(struct sim_cluster *cluster)
{
    struct sim_watch *watch = mem_zalloc(sizeof *watch);

    watch->cluster = cluster;
    watch->regions.item_size = sizeof(struct known_region);
    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        watch->peers[i].item_size = sizeof(struct known_peer);
        watch->harm[i].item_size = sizeof(struct sim_harm);
    }
    watch->logs = sim_logs_new(cluster);
    watch->ranges = sim_ranges_new(cluster, watch->logs);
    watch->command_size = 1 << 16;
    watch->commands = mem_zalloc(watch->command_size * sizeof *watch->commands);
    return watch;
}

void sim_watch_free(struct sim_watch *watch)
{
    for (size_t i = 0; i < watch->regions.count; i++)
        free(((struct known_region *)watch->regions.rows[i].item)->entries);
    sim_table_clear(&watch->regions);
    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        sim_table_clear(&watch->peers[i]);
        sim_table_clear(&watch->harm[i]);
    }
    sim_logs_free(watch->logs);
    sim_ranges_free(watch->ranges);
    free(watch->tags);
    free(watch->commands);
    free(watch);
}

static struct known_region *region_of(struct sim_watch *watch,
                                      const struct peer *peer)
{
    return sim_table_at(&watch->regions, peer->region_id);
}

/* ---- what the logs say ---- */

static struct sim_tag *tag_of(struct sim_watch *watch, uint32_t tag)
{
    while (watch->tag_count <= tag) {
        watch->tags = mem_grow(watch->tags, sizeof *watch->tags,
                               &watch->tag_count_max, watch->tag_count + 1);
        watch->tags[watch->tag_count++] = (struct sim_tag){0};
    }
    return &watch->tags[tag];
}

struct sim_tag sim_watch_tag(const struct sim_watch *watch, uint32_t tag)
{
    return tag < watch->tag_count ? watch->tags[tag] : (struct sim_tag){0};
}

uint64_t sim_watch_committed(const struct sim_watch *watch, uint64_t region)
{
    const struct known_region *known = sim_table_find(&watch->regions, region);

    return known == NULL ? 0 : known->commit_max;
}

static void note_repeat(struct sim_watch *watch, uint64_t region,
                        const struct command *c)
{
    uint64_t key =
        sim_mix(sim_mix(region * 64 + c->node, c->boot), c->sequence);
    size_t i = (size_t)key % watch->command_size;

    if (c->node == 0 || watch->command_count > watch->command_size / 2)
        return;
    for (; watch->commands[i].used; i = (i + 1) % watch->command_size)
        if (watch->commands[i].key == key) {
            sim_seen(SEEN_REPEATED);
            return;
        }
    watch->commands[i] = (struct seen_command){key, true};
    watch->command_count++;
}

/* A rename's PREPARE does the rename when no directory is in it any more. */
static bool may_take_effect(const struct command *c)
{
    if (c->op == COMMAND_TXN_PREPARE)
        return c->txn_kind == TXN_RENAME;
    return c->op != COMMAND_TXN_RESOLVE;
}

static void note_seen(const struct command *c)
{
    if (c->op == COMMAND_VERIFY)
        sim_seen(SEEN_CHECKED);
    if (c->op == COMMAND_UNFREEZE)
        sim_seen(SEEN_MERGE_GIVEN_UP);
    if (c->op == COMMAND_TXN_DECIDE)
        sim_seen(SEEN_TXN_DECIDED);
    if (c->op == COMMAND_TXN_COPY)
        sim_seen(SEEN_TXN_COPIED);
    if (c->op == COMMAND_TXN_ABORT)
        sim_seen(SEEN_TXN_ABORTED);
    if (c->op == COMMAND_TXN_RESOLVE && c->node != c->txn.id.node)
        sim_seen(SEEN_TXN_SETTLED);
}

static uint32_t note_command(struct sim_watch *watch, uint64_t region,
                             const struct raft_entry *entry)
{
    struct command c = {0};
    uint32_t tag;

    if (entry->data == NULL || entry->type != RAFT_ENTRY_NORMAL)
        return 0;
    if (command_decode(
            &c, (struct slice){entry->data->data, entry->data->size}) != 0)
        sim_fail(watch->cluster->loop, "a committed entry cannot be decoded");
    tag = c.set.uid;
    note_repeat(watch, region, &c);
    sim_note(watch->cluster->loop,
             "log %" PRIu64 ": %" PRIu64 ".%" PRIu64 " op=%d tag=%u id=%" PRIu64
             ".%" PRIu64 ".%" PRIu64 " txn=%" PRIu64 ".%" PRIu64 ".%" PRIu64,
             region, entry->index, entry->term, (int)c.op, tag, c.node, c.boot,
             c.sequence, c.txn.id.node, c.txn.id.boot, c.txn.id.sequence);
    if (tag != 0 && (c.op == COMMAND_CREATE || c.op == COMMAND_TXN_PREPARE) &&
        (c.ino != 0))
        tag_of(watch, tag)->ino = c.ino;
    if (tag != 0 && tag_of(watch, tag)->begun_ns == 0)
        tag_of(watch, tag)->begun_ns = watch->cluster->loop->now_ns;
    if (tag != 0 && may_take_effect(&c)) {
        tag_of(watch, tag)->committed = true;
        tag_of(watch, tag)->unpublished++;
    } else {
        tag = 0;
    }
    if (c.op == COMMAND_SPLIT)
        sim_ranges_committed(watch->ranges, region, entry->index, entry->term,
                             &c);
    if (c.op == COMMAND_FREEZE || c.op == COMMAND_UNFREEZE)
        sim_ranges_touched(watch->ranges, region);
    note_seen(&c);
    command_release(&c);
    return tag;
}

/* ---- comparing logs ---- */

static struct known_entry *entry_at(struct known_region *r, uint64_t index)
{
    while (r->count <= index) {
        r->entries = mem_grow(r->entries, sizeof *r->entries, &r->count_max,
                              r->count + 1);
        r->entries[r->count++] = (struct known_entry){0};
    }
    return &r->entries[index];
}

/* What somebody knows as committed for the first time. */
static void note_entry(struct sim_watch *watch, const struct sim_node *node,
                       const struct peer *peer, uint64_t index)
{
    struct raft_entries entries = {0};
    struct known_entry *known;

    if (region_log_entries(peer->log, index, index + 1, UINT64_MAX, &entries) !=
        0)
        sim_fail(watch->cluster->loop, "node %zu: its log cannot be read",
                 node->number + 1);
    known = entry_at(region_of(watch, peer), index);
    *known = (struct known_entry){
        .term = entries.item[0].term,
        .known_term = raft_term(peer->raft),
        .tag = note_command(watch, peer->region_id, &entries.item[0]),
    };
    sim_logs_committed(watch->logs, peer, index, known->term);
    raft_entries_release(&entries);
}

static void compare_entry(struct sim_watch *watch, const struct sim_node *node,
                          const struct peer *peer, uint64_t index)
{
    const struct known_entry *known = entry_at(region_of(watch, peer), index);

    if (known->term == 0)
        note_entry(watch, node, peer, index);
    else if (known->term != raft_term_at(peer->raft, index))
        sim_fail(watch->cluster->loop,
                 "state machine safety: region %" PRIu64 " index %" PRIu64
                 ": node %zu has committed another entry",
                 peer->region_id, index, node->number + 1);
}

/* Whether the log has what Raft knows there, already. */
static bool is_logged(const struct peer *peer, uint64_t index)
{
    uint64_t term;

    return region_log_term(peer->log, index, &term) == 0 &&
           term == raft_term_at(peer->raft, index);
}

static void compare_committed(struct sim_watch *watch,
                              const struct sim_node *node,
                              const struct peer *peer, struct known_peer *known)
{
    uint64_t first = region_log_first_index(peer->log);
    uint64_t commit = raft_commit(peer->raft);
    struct known_region *r = region_of(watch, peer);

    if (known->compared + 1 < first)
        known->compared = first - 1;
    while (known->compared < commit && is_logged(peer, known->compared + 1)) {
        compare_entry(watch, node, peer, known->compared + 1);
        known->compared++;
    }
    if (known->compared > r->commit_max)
        r->commit_max = known->compared;
}

/* The node has acted upon what it knows as committed: from now on whoever
 * reads anywhere sees it, but not before. */
static void note_published(struct sim_watch *watch, const struct peer *peer,
                           struct known_peer *known)
{
    struct known_region *r = region_of(watch, peer);

    for (; known->published < known->compared; known->published++) {
        struct known_entry *entry;
        struct sim_tag *tag;

        if (known->published + 1 >= r->count)
            continue; /* From before the founding. */
        entry = &r->entries[known->published + 1];
        if (entry->published || entry->term == 0)
            continue;
        entry->published = true;
        if (entry->tag == 0)
            continue;
        tag = tag_of(watch, entry->tag);
        tag->unpublished--;
        tag->last_ns = watch->cluster->loop->now_ns;
    }
}

/* Who has executed the same commands has given out the same versions. */
static void compare_marker(struct sim_watch *watch, const struct sim_node *node,
                           const struct peer *peer, struct known_peer *known)
{
    const struct marker *marker = applier_marker(peer->applier);
    struct known_region *r = region_of(watch, peer);
    struct known_entry *entry;

    if (marker->index == known->marker_index || marker->index >= r->count)
        return;
    known->marker_index = marker->index;
    entry = &r->entries[marker->index];
    if (entry->term == 0)
        return; /* From before the founding. */
    if (entry->version == NO_VERSION)
        entry->version = marker->version;
    if (entry->term != marker->term || entry->version != marker->version)
        sim_fail(watch->cluster->loop,
                 "state machine safety: region %" PRIu64 ": node %zu has "
                 "applied entry %" PRIu64 " to another state",
                 peer->region_id, node->number + 1, marker->index);
}

/* ---- leaders ---- */

static void check_complete(struct sim_watch *watch, const struct sim_node *node,
                           const struct peer *peer)
{
    const struct known_region *r = region_of(watch, peer);
    uint64_t first = region_log_first_index(peer->log);

    for (uint64_t i = first; i < r->count && i <= r->commit_max; i++)
        if (r->entries[i].term != 0 &&
            r->entries[i].known_term < raft_term(peer->raft) &&
            raft_term_at(peer->raft, i) != r->entries[i].term)
            sim_fail(watch->cluster->loop,
                     "leader completeness: region %" PRIu64
                     ": node %zu leads without entry %" PRIu64,
                     peer->region_id, node->number + 1, i);
}

static void check_leader(struct sim_watch *watch, const struct sim_node *node,
                         const struct peer *peer)
{
    struct known_region *r = region_of(watch, peer);
    uint64_t term = raft_term(peer->raft);
    uint64_t *leader = &r->leaders[term % TERMS_MAX];

    assert(term < TERMS_MAX);
    if (*leader == 0) {
        *leader = node->number + 1;
        r->leader_starts[term] = node->starts;
        sim_seen(SEEN_TERM);
        sim_note(watch->cluster->loop,
                 "region %" PRIu64 ": node %zu leads term %" PRIu64,
                 peer->region_id, node->number + 1, term);
        check_complete(watch, node, peer);
    } else if (*leader != node->number + 1 ||
               r->leader_starts[term] != node->starts) {
        sim_fail(watch->cluster->loop,
                 "election safety: region %" PRIu64 " term %" PRIu64
                 ": nodes %" PRIu64 " and %zu",
                 peer->region_id, term, *leader, node->number + 1);
    }
}

/* Whether `peer` has committed in its own leadership. */
static bool rules(const struct peer *peer)
{
    struct raft_status status;

    if (raft_role(peer->raft) != RAFT_LEADER)
        return false;
    raft_status(peer->raft, &status);
    return status.own_term_committed;
}

static void check_leases(struct sim_watch *watch, uint64_t region)
{
    struct sim_cluster *cluster = watch->cluster;
    uint64_t term_max = 0;
    size_t ruler = 0;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];
        const struct peer *peer =
            node->node == NULL ? NULL : node_peer(node->node, region);

        if (peer != NULL && rules(peer) && raft_term(peer->raft) > term_max) {
            term_max = raft_term(peer->raft);
            ruler = i;
        }
    }
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];
        const struct peer *peer =
            node->node == NULL ? NULL : node_peer(node->node, region);

        if (peer != NULL && i != ruler && term_max != 0 &&
            peer_leads(peer, env_mono_ns(&node->env->env)))
            sim_fail(cluster->loop,
                     "lease: region %" PRIu64 ": node %zu holds one in term "
                     "%" PRIu64 ", node %zu has committed in term %" PRIu64,
                     region, i + 1, raft_term(peer->raft), ruler + 1, term_max);
    }
}

/* ---- one peer ---- */

static void check_indexes(struct sim_watch *watch, const struct sim_node *node,
                          const struct peer *peer, struct known_peer *known)
{
    uint64_t commit = raft_commit(peer->raft);
    uint64_t applied = peer->applied_index;

    if (commit < known->commit || applied < known->applied)
        sim_fail(watch->cluster->loop,
                 "region %" PRIu64 ": node %zu: commit %" PRIu64 " -> %" PRIu64
                 ", applied %" PRIu64 " -> %" PRIu64,
                 peer->region_id, node->number + 1, known->commit, commit,
                 known->applied, applied);
    if (applied > commit)
        sim_fail(watch->cluster->loop,
                 "region %" PRIu64 ": node %zu: applied %" PRIu64
                 " > commit %" PRIu64,
                 peer->region_id, node->number + 1, applied, commit);
    known->commit = commit;
    known->applied = applied;
}

struct sim_harm *sim_watch_harm(struct sim_watch *watch, size_t node,
                                uint64_t region)
{
    return sim_table_at(&watch->harm[node], region);
}

void sim_watch_forget_harm(struct sim_watch *watch)
{
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        sim_table_clear(&watch->harm[i]);
}

/* The replica that came to harm is not there any more: it was moved away, or
 * its region was merged into another one. */
static bool has_left(const struct sim_watch *watch, size_t node,
                     uint64_t region)
{
    const struct node *runs = watch->cluster->nodes[node].node;

    return runs != NULL && node_any_peer(runs, region) == NULL;
}

bool sim_watch_is_mended(const struct sim_watch *watch, size_t node)
{
    const struct sim_table *harm = &watch->harm[node];

    for (size_t i = 0; i < harm->count; i++) {
        const struct sim_harm *done = harm->rows[i].item;

        if (done->done && !done->mended &&
            !has_left(watch, node, harm->rows[i].region))
            return false;
    }
    return true;
}

/* A check may find only what was done, but that it finds. */
/* It was to take over a region whose replica here has come to harm. */
static bool lacks_source(struct sim_watch *watch, const struct sim_node *node,
                         const struct peer *peer)
{
    const struct region_merge *merge = &peer->region.merge;
    const struct peer *source = node_peer(node->node, merge->other);

    return merge->state == MERGE_TAKING &&
           (source == NULL || peer_is_restoring(source) ||
            sim_watch_harm(watch, node->number, merge->other)->done);
}

static void note_damage(struct sim_watch *watch, const struct sim_node *node,
                        const struct peer *peer, struct known_peer *known)
{
    struct sim_harm *harm =
        sim_watch_harm(watch, node->number, peer->region_id);

    if (peer->damaged && !harm->done && lacks_source(watch, node, peer)) {
        sim_seen(SEEN_MERGE_LACKING);
        harm->done = true;
    }
    if (peer->damaged && !harm->done)
        sim_fail(watch->cluster->loop,
                 "region %" PRIu64 ": node %zu was found damaged and is not",
                 peer->region_id, node->number + 1);
    if (peer->damaged && !known->damaged) {
        harm->found = true;
        sim_seen(SEEN_DAMAGE_FOUND);
        if (raft_role(peer->raft) == RAFT_LEADER)
            sim_seen(SEEN_DAMAGE_LED);
    }
    if (!peer->damaged && known->damaged) {
        harm->mended = true;
        sim_seen(SEEN_REBUILT);
    }
    known->damaged = peer->damaged;
}

static void step_peer(struct sim_watch *watch, const struct sim_node *node,
                      struct peer *peer)
{
    struct known_peer *known =
        sim_table_at(&watch->peers[node->number], peer->region_id);

    if (known->peer_id != peer->id && known->peer_id != 0)
        *known = (struct known_peer){0};
    known->peer_id = peer->id;
    check_indexes(watch, node, peer, known);
    sim_rare_step(&known->rare, peer);
    note_damage(watch, node, peer, known);
    if (raft_role(peer->raft) == RAFT_LEADER)
        check_leader(watch, node, peer);
    sim_logs_step(watch->logs, node, peer);
    if (peer->install == NULL)
        compare_committed(watch, node, peer, known);
    compare_marker(watch, node, peer, known);
    if (peer->install == NULL && !peer->process_posted)
        note_published(watch, peer, known);
    raft_check(peer->raft);
    sim_sleep_check(watch->cluster, node, peer);
}

/* New changes wait when regions have to remember too many results for their
 * node; changes under way do not: each that meets a lock goes on by a new
 * command about 20 times a second, until its deadline. */
static void check_held(const struct sim_watch *watch,
                       const struct sim_node *node)
{
    uint64_t span = router_held_span(node_router(node->node));

    if (span > watch->cluster->plan->results_held_max + HELD_UNDER_WAY_MAX)
        sim_fail(watch->cluster->loop,
                 "node %zu has regions remember %" PRIu64 " results",
                 node->number + 1, span);
}

void sim_watch_step(struct sim_watch *watch, struct sim_node *node)
{
    struct peer *peer = NULL;

    watch->steps++;
    check_held(watch, node);
    while ((peer = node_next_peer(node->node, peer)) != NULL) {
        step_peer(watch, node, peer);
        check_leases(watch, peer->region_id);
    }
    sim_ranges_step(watch->ranges, node);
    if (watch->steps % CHECK_EVERY == 0)
        sim_logs_check_durable(watch->logs);
}

void sim_watch_end(const struct sim_watch *watch)
{
    sim_ranges_check_end(watch->ranges);
}

void sim_watch_crash(struct sim_watch *watch)
{
    sim_logs_check_durable(watch->logs);
}

void sim_watch_acknowledged(struct sim_watch *watch, uint32_t tag)
{
    if (!sim_watch_tag(watch, tag).committed)
        sim_fail(watch->cluster->loop,
                 "operation %u was acknowledged uncommitted", tag);
}

void sim_watch_start(struct sim_watch *watch, const struct sim_node *node)
{
    const struct peer *peer = NULL;

    sim_logs_start(watch->logs, node);
    sim_ranges_start(watch->ranges, node);
    sim_table_clear(&watch->peers[node->number]);
    while ((peer = node_next_peer(node->node, peer)) != NULL) {
        struct known_peer *known =
            sim_table_at(&watch->peers[node->number], peer->region_id);

        known->applied = peer->applied_index;
        if (peer->applied_index < region_log_last_index(peer->log))
            sim_seen(SEEN_REPLAYED);
    }
}
