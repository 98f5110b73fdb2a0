/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_commits.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/peer_impl.h"
#include "tests/sim/sim_table.h"

enum { NO_VERSION = 0 };

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
    uint64_t commit_max;
};

struct sim_commits {
    struct sim_cluster *cluster;
    struct sim_logs *logs;
    struct sim_commands *commands;
    struct sim_table regions; /* known_region */
};

struct sim_commits *sim_commits_new(struct sim_cluster *cluster,
                                    struct sim_logs *logs,
                                    struct sim_commands *commands)
{
    struct sim_commits *commits = mem_zalloc(sizeof *commits);

    commits->cluster = cluster;
    commits->logs = logs;
    commits->commands = commands;
    commits->regions.item_size = sizeof(struct known_region);
    return commits;
}

void sim_commits_free(struct sim_commits *commits)
{
    for (size_t i = 0; i < commits->regions.count; i++)
        free(((struct known_region *)commits->regions.rows[i].item)->entries);
    sim_table_clear(&commits->regions);
    free(commits);
}

static struct known_region *region_of(struct sim_commits *commits,
                                      const struct peer *peer)
{
    return sim_table_at(&commits->regions, peer->region_id);
}

/* ---- what is committed ---- */

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
static void note_entry(struct sim_commits *commits, const struct sim_node *node,
                       const struct peer *peer, uint64_t index)
{
    struct raft_entries entries = {0};
    struct known_entry *known;

    if (region_log_entries(peer->log, index, index + 1, UINT64_MAX, &entries) !=
        0)
        sim_fail(commits->cluster->loop, "node %zu: its log cannot be read",
                 node->number + 1);
    known = entry_at(region_of(commits, peer), index);
    *known = (struct known_entry){
        .term = entries.item[0].term,
        .known_term = raft_term(peer->raft),
        .tag = sim_commands_committed(commits->commands, peer->region_id,
                                      &entries.item[0]),
    };
    sim_logs_committed(commits->logs, peer, index, known->term);
    raft_entries_release(&entries);
}

static void compare_entry(struct sim_commits *commits,
                          const struct sim_node *node, const struct peer *peer,
                          uint64_t index)
{
    const struct known_entry *known = entry_at(region_of(commits, peer), index);

    if (known->term == 0)
        note_entry(commits, node, peer, index);
    else if (known->term != raft_term_at(peer->raft, index))
        sim_fail(commits->cluster->loop,
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

static void compare_committed(struct sim_commits *commits,
                              const struct sim_node *node,
                              const struct peer *peer,
                              struct sim_commits_seen *seen)
{
    uint64_t first = region_log_first_index(peer->log);
    uint64_t commit = raft_commit(peer->raft);
    struct known_region *r = region_of(commits, peer);

    if (seen->compared + 1 < first)
        seen->compared = first - 1;
    while (seen->compared < commit && is_logged(peer, seen->compared + 1)) {
        compare_entry(commits, node, peer, seen->compared + 1);
        seen->compared++;
    }
    if (seen->compared > r->commit_max)
        r->commit_max = seen->compared;
}

/* The node has acted upon what it knows as committed: from now on whoever
 * reads anywhere sees it, but not before. */
static void note_published(struct sim_commits *commits, const struct peer *peer,
                           struct sim_commits_seen *seen)
{
    struct known_region *r = region_of(commits, peer);

    for (; seen->published < seen->compared; seen->published++) {
        struct known_entry *entry;

        if (seen->published + 1 >= r->count)
            continue; /* From before the founding. */
        entry = &r->entries[seen->published + 1];
        if (entry->published || entry->term == 0)
            continue;
        entry->published = true;
        if (entry->tag != 0)
            sim_commands_published(commits->commands, entry->tag);
    }
}

/* Who has executed the same commands has given out the same versions. */
static void compare_marker(struct sim_commits *commits,
                           const struct sim_node *node, const struct peer *peer,
                           struct sim_commits_seen *seen)
{
    const struct marker *marker = applier_marker(peer->applier);
    struct known_region *r = region_of(commits, peer);
    struct known_entry *entry;

    if (marker->index == seen->marker_index || marker->index >= r->count)
        return;
    seen->marker_index = marker->index;
    entry = &r->entries[marker->index];
    if (entry->term == 0)
        return; /* From before the founding. */
    if (entry->version == NO_VERSION)
        entry->version = marker->version;
    if (entry->term != marker->term || entry->version != marker->version)
        sim_fail(commits->cluster->loop,
                 "state machine safety: region %" PRIu64 ": node %zu has "
                 "applied entry %" PRIu64 " to another state",
                 peer->region_id, node->number + 1, marker->index);
}

/* ---- one replica ---- */

void sim_commits_step(struct sim_commits *commits,
                      struct sim_commits_seen *seen,
                      const struct sim_node *node, const struct peer *peer)
{
    if (peer->install == NULL)
        compare_committed(commits, node, peer, seen);
    compare_marker(commits, node, peer, seen);
    if (peer->install == NULL && !peer->process_posted)
        note_published(commits, peer, seen);
}

void sim_commits_check_leader(struct sim_commits *commits,
                              const struct sim_node *node,
                              const struct peer *peer)
{
    const struct known_region *r = region_of(commits, peer);
    uint64_t first = region_log_first_index(peer->log);

    for (uint64_t i = first; i < r->count && i <= r->commit_max; i++)
        if (r->entries[i].term != 0 &&
            r->entries[i].known_term < raft_term(peer->raft) &&
            raft_term_at(peer->raft, i) != r->entries[i].term)
            sim_fail(commits->cluster->loop,
                     "leader completeness: region %" PRIu64
                     ": node %zu leads without entry %" PRIu64,
                     peer->region_id, node->number + 1, i);
}

uint64_t sim_commits_last(const struct sim_commits *commits, uint64_t region)
{
    const struct known_region *known =
        sim_table_find(&commits->regions, region);

    return known == NULL ? 0 : known->commit_max;
}
