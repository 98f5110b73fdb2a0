/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_logs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <xxhash.h>

#include "engine/founding.h"
#include "engine/keys.h"
#include "engine/peer_impl.h"
#include "tests/sim/sim_table.h"

/* An entry that some log has had. */
struct logged {
    uint64_t term;
    uint64_t before_term; /* of the entry before it */
    uint64_t hash;
    struct logged *next; /* of another term */
};

/* Nodes of which a majority is needed to elect a leader. */
struct quorum {
    uint64_t nodes[REGION_PEERS_MAX];
    size_t count;
};

struct region_logs {
    struct logged **entries; /* by index */
    size_t count;
    size_t count_max;
    uint64_t committed_index; /* 0: nothing yet */
    uint64_t committed_term;
    uint64_t parent;       /* the region that it came out of; 0: none */
    uint64_t parent_index; /* by that entry */
    uint64_t parent_term;
    bool ended;
    uint64_t conf_ver;        /* the newest configuration that was applied */
    struct quorum quorums[2]; /* the second one counts in a joint one */
};

/* What a replica's log looked like after its last step. */
struct seen_log {
    uint64_t peer_id; /* another one has another log */
    uint64_t first;
    uint64_t *terms; /* by index */
    size_t count;    /* the last index is one less; 0: never seen */
    size_t count_max;
};

struct sim_logs {
    struct sim_cluster *cluster;
    struct sim_table regions;             /* region_logs */
    struct sim_table seen[SIM_NODES_MAX]; /* seen_log */
};

struct sim_logs *sim_logs_new(struct sim_cluster *cluster)
{
    struct sim_logs *logs = mem_zalloc(sizeof *logs);

    logs->cluster = cluster;
    logs->regions.item_size = sizeof(struct region_logs);
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        logs->seen[i].item_size = sizeof(struct seen_log);
    return logs;
}

static struct region_logs *region_of(struct sim_logs *logs, uint64_t region)
{
    return sim_table_at(&logs->regions, region);
}

static void free_entries(struct region_logs *r)
{
    for (size_t i = 0; i < r->count; i++)
        while (r->entries[i] != NULL) {
            struct logged *next = r->entries[i]->next;

            free(r->entries[i]);
            r->entries[i] = next;
        }
    free(r->entries);
}

static void free_seen(struct sim_table *seen)
{
    for (size_t i = 0; i < seen->count; i++)
        free(((struct seen_log *)seen->rows[i].item)->terms);
    sim_table_clear(seen);
}

void sim_logs_free(struct sim_logs *logs)
{
    for (size_t i = 0; i < logs->regions.count; i++)
        free_entries(logs->regions.rows[i].item);
    sim_table_clear(&logs->regions);
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        free_seen(&logs->seen[i]);
    free(logs);
}

/* ---- what is durable ---- */

static bool has_logged(struct kv *log, uint64_t region, uint64_t index,
                       uint64_t term)
{
    struct key key = key_log_entry(region, index);
    struct kv_value value = {0};
    bool found = kv_get_durable(log, key_slice(&key), &value) == 0 &&
                 value.size >= 10 && be64_get(value.data + 2) == term;

    kv_value_release(&value);
    return found;
}

static bool has_applied(struct kv *state, uint64_t region, uint64_t index)
{
    struct key key = key_marker(region);
    struct kv_value value = {0};
    struct marker marker = {0};
    bool found =
        kv_get_durable(state, key_slice(&key), &value) == 0 &&
        marker_decode(&marker, (struct slice){value.data, value.size}) == 0 &&
        marker.index >= index;

    kv_value_release(&value);
    return found;
}

static bool is_durable_on(const struct sim_node *node, uint64_t region,
                          uint64_t index, uint64_t term)
{
    struct kv *log = node->env != NULL ? node->env->env.log : node->log;
    struct kv *state =
        node->env != NULL ? node->env->env.state : node->state_kv;

    return has_logged(log, region, index, term) ||
           has_applied(state, region, index);
}

/* ---- log matching ---- */

static uint64_t term_at(const struct peer *peer, uint64_t index)
{
    uint64_t term = 0;

    (void)region_log_term(peer->log, index, &term); /* 0: it is not there. */
    return term;
}

static struct logged *find_or_add(struct region_logs *r, uint64_t index,
                                  uint64_t term)
{
    struct logged *logged;

    while (r->count <= index) {
        r->entries = mem_grow(r->entries, sizeof(struct logged *),
                              &r->count_max, r->count + 1);
        r->entries[r->count++] = NULL;
    }
    for (logged = r->entries[index]; logged != NULL; logged = logged->next)
        if (logged->term == term)
            return logged;
    logged = mem_zalloc(sizeof *logged);
    logged->next = r->entries[index];
    r->entries[index] = logged;
    return logged;
}

static uint64_t hash_of(const struct raft_entry *entry)
{
    return entry->data == NULL
               ? 0
               : XXH3_64bits_withSeed(entry->data->data, entry->data->size,
                                      (uint64_t)entry->type + 1);
}

static void compare(struct sim_logs *logs, const struct sim_node *node,
                    const struct peer *peer, const struct raft_entry *entry)
{
    struct logged *logged = find_or_add(region_of(logs, peer->region_id),
                                        entry->index, entry->term);
    uint64_t before_term = term_at(peer, entry->index - 1);
    uint64_t hash = hash_of(entry);

    if (logged->term == 0) {
        logged->term = entry->term;
        logged->before_term = before_term;
        logged->hash = hash;
    } else if (logged->hash != hash || logged->before_term != before_term) {
        sim_fail(logs->cluster->loop,
                 "log matching: region %" PRIu64 " entry %" PRIu64
                 " of term %" PRIu64 ": node %zu has another one, or another "
                 "one before it",
                 peer->region_id, entry->index, entry->term, node->number + 1);
    }
}

static void look_at(struct sim_logs *logs, const struct sim_node *node,
                    const struct peer *peer, uint64_t index)
{
    struct raft_entries entries = {0};

    if (region_log_entries(peer->log, index, index + 1, UINT64_MAX, &entries) !=
        0)
        sim_fail(logs->cluster->loop, "node %zu: its log cannot be read",
                 node->number + 1);
    compare(logs, node, peer, &entries.item[0]);
    raft_entries_release(&entries);
}

static void remember_terms(struct seen_log *seen, const struct peer *peer,
                           uint64_t first, uint64_t last)
{
    if (seen->count > first)
        seen->count = (size_t)first;
    while (seen->count <= last) {
        seen->terms = mem_grow(seen->terms, sizeof *seen->terms,
                               &seen->count_max, seen->count + 1);
        seen->terms[seen->count] = term_at(peer, seen->count);
        seen->count++;
    }
    seen->count = (size_t)last + 1;
}

void sim_logs_start(struct sim_logs *logs, const struct sim_node *node)
{
    const struct sim_table *seen = &logs->seen[node->number];

    for (size_t i = 0; i < seen->count; i++)
        ((struct seen_log *)seen->rows[i].item)->peer_id = 0; /* None has it. */
}

void sim_logs_born(struct sim_logs *logs, uint64_t region, uint64_t parent,
                   uint64_t parent_index, uint64_t parent_term)
{
    struct region_logs *r = region_of(logs, region);

    r->parent = parent;
    r->parent_index = parent_index;
    r->parent_term = parent_term;
}

void sim_logs_ended(struct sim_logs *logs, uint64_t region)
{
    region_of(logs, region)->ended = true;
}

/* Whether what lies before the log's first entry can be had again. */
static bool has_base(const struct region_logs *r, const struct sim_node *node,
                     uint64_t region, uint64_t index)
{
    return has_applied(node->env->env.state, region, index) ||
           (index == FOUNDING_INDEX && r->parent != 0 &&
            is_durable_on(node, r->parent, r->parent_index, r->parent_term));
}

static void check_first(struct sim_logs *logs, const struct sim_node *node,
                        const struct peer *peer, struct seen_log *seen)
{
    uint64_t first = region_log_first_index(peer->log);

    if (first == seen->first)
        return;
    seen->first = first;
    if (first > 1 && !peer->damaged && /* That has given up its state. */
        !has_base(region_of(logs, peer->region_id), node, peer->region_id,
                  first - 1))
        sim_fail(logs->cluster->loop,
                 "durability: region %" PRIu64 ": node %zu gives up its log "
                 "before entry %" PRIu64 ", which its state needs",
                 peer->region_id, node->number + 1, first);
}

static void compare_new(struct sim_logs *logs, const struct sim_node *node,
                        const struct peer *peer, struct seen_log *seen)
{
    uint64_t last = region_log_last_index(peer->log);
    uint64_t begin = last + 1;

    while (begin > region_log_first_index(peer->log) &&
           (begin > seen->count ||
            seen->terms[begin - 1] != term_at(peer, begin - 1)))
        begin--;
    if (begin > last && seen->count == last + 1)
        return; /* As it nearly always is. */
    for (uint64_t i = begin; i <= last; i++)
        look_at(logs, node, peer, i);
    remember_terms(seen, peer, begin, last);
}

/* ---- what is committed ---- */

/* Whether a majority is without the newest committed entry. */
static bool is_majority_without(const struct sim_logs *logs, uint64_t region,
                                const struct region_logs *r,
                                const struct quorum *quorum)
{
    size_t count = 0;

    for (size_t i = 0; i < quorum->count; i++)
        count += !is_durable_on(&logs->cluster->nodes[quorum->nodes[i] - 1],
                                region, r->committed_index, r->committed_term);
    return count > quorum->count / 2;
}

static void check_region(const struct sim_logs *logs, uint64_t region,
                         const struct region_logs *r)
{
    if (r->committed_index > 0 && !r->ended &&
        is_majority_without(logs, region, r, &r->quorums[0]) &&
        (r->quorums[1].count == 0 ||
         is_majority_without(logs, region, r, &r->quorums[1])))
        sim_fail(logs->cluster->loop,
                 "durability: region %" PRIu64 ": entry %" PRIu64
                 " is committed, and a majority is without it",
                 region, r->committed_index);
}

void sim_logs_check_durable(const struct sim_logs *logs)
{
    for (size_t i = 0; i < logs->regions.count; i++)
        check_region(logs, logs->regions.rows[i].region,
                     logs->regions.rows[i].item);
}

static struct quorum quorum_of(const struct peer *peer, const uint64_t *voters,
                               size_t count)
{
    struct quorum quorum = {.count = count};

    for (size_t i = 0; i < count; i++)
        quorum.nodes[i] = peer_node_of(peer, voters[i]);
    return quorum;
}

static void note_members(struct region_logs *r, const struct peer *peer)
{
    const struct region *region = peer_region(peer);

    if (region->conf_ver <= r->conf_ver)
        return;
    r->conf_ver = region->conf_ver;
    r->quorums[0] = quorum_of(peer, region->voters, region->voter_count);
    r->quorums[1] =
        quorum_of(peer, region->voters_outgoing, region->voter_outgoing_count);
}

void sim_logs_committed(struct sim_logs *logs, const struct peer *peer,
                        uint64_t index, uint64_t term)
{
    struct region_logs *r = region_of(logs, peer->region_id);

    if (index <= r->committed_index)
        return;
    r->committed_index = index;
    r->committed_term = term;
    check_region(logs, peer->region_id, r);
}

void sim_logs_step(struct sim_logs *logs, const struct sim_node *node,
                   const struct peer *peer)
{
    struct seen_log *seen =
        sim_table_at(&logs->seen[node->number], peer->region_id);

    if (seen->peer_id != peer->id) {
        seen->peer_id = peer->id;
        seen->first = 0;
        seen->count = 0;
    }
    note_members(region_of(logs, peer->region_id), peer);
    check_first(logs, node, peer, seen);
    compare_new(logs, node, peer, seen);
}
