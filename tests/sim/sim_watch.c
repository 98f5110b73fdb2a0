/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_watch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/peer_impl.h"
#include "engine/router.h"
#include "tests/sim/sim_commits.h"
#include "tests/sim/sim_logs.h"
#include "tests/sim/sim_ranges.h"
#include "tests/sim/sim_rare.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_sleep.h"
#include "tests/sim/sim_table.h"

enum { TERMS_MAX = 4096, CHECK_EVERY = 64, HELD_UNDER_WAY_MAX = 512 };

/* Of a region. */
struct known_leaders {
    uint64_t nodes[TERMS_MAX]; /* by term; 0: nobody yet */
    uint64_t starts[TERMS_MAX];
};

/* One replica in its incarnation. */
struct known_peer {
    uint64_t peer_id; /* another one's past does not count */
    uint64_t commit;
    uint64_t applied;
    struct sim_commits_seen commits;
    struct sim_rare rare;
    bool damaged;
};

struct sim_watch {
    struct sim_cluster *cluster;
    struct sim_logs *logs;
    struct sim_ranges *ranges;
    struct sim_commands *commands;
    struct sim_commits *commits;
    struct sim_harms *harms;
    struct sim_table leaders;              /* known_leaders */
    struct sim_table peers[SIM_NODES_MAX]; /* known_peer */
    uint64_t steps;
};

struct sim_watch *sim_watch_new(struct sim_cluster *cluster)
{
    struct sim_watch *watch = mem_zalloc(sizeof *watch);

    watch->cluster = cluster;
    watch->logs = sim_logs_new(cluster);
    watch->ranges = sim_ranges_new(cluster, watch->logs);
    watch->commands = sim_commands_new(cluster, watch->ranges);
    watch->commits = sim_commits_new(cluster, watch->logs, watch->commands);
    watch->harms = sim_harms_new(cluster);
    watch->leaders.item_size = sizeof(struct known_leaders);
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        watch->peers[i].item_size = sizeof(struct known_peer);
    return watch;
}

void sim_watch_free(struct sim_watch *watch)
{
    sim_table_clear(&watch->leaders);
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        sim_table_clear(&watch->peers[i]);
    sim_harms_free(watch->harms);
    sim_commits_free(watch->commits);
    sim_commands_free(watch->commands);
    sim_ranges_free(watch->ranges);
    sim_logs_free(watch->logs);
    free(watch);
}

/* ---- leaders ---- */

static void check_leader(struct sim_watch *watch, const struct sim_node *node,
                         const struct peer *peer)
{
    struct known_leaders *known =
        sim_table_at(&watch->leaders, peer->region_id);
    uint64_t term = raft_term(peer->raft);
    uint64_t *leader = &known->nodes[term % TERMS_MAX];

    assert(term < TERMS_MAX);
    if (*leader == 0) {
        *leader = node->number + 1;
        known->starts[term] = node->starts;
        sim_seen(SEEN_TERM);
        sim_note(watch->cluster->loop,
                 "region %" PRIu64 ": node %zu leads term %" PRIu64,
                 peer->region_id, node->number + 1, term);
        sim_commits_check_leader(watch->commits, node, peer);
    } else if (*leader != node->number + 1 ||
               known->starts[term] != node->starts) {
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
    sim_harms_step(watch->harms, node, peer, &known->damaged);
    if (raft_role(peer->raft) == RAFT_LEADER)
        check_leader(watch, node, peer);
    sim_logs_step(watch->logs, node, peer);
    sim_commits_step(watch->commits, &known->commits, node, peer);
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

struct sim_tag sim_watch_tag(const struct sim_watch *watch, uint32_t tag)
{
    return sim_commands_tag(watch->commands, tag);
}

uint64_t sim_watch_committed(const struct sim_watch *watch, uint64_t region)
{
    return sim_commits_last(watch->commits, region);
}

struct sim_harms *sim_watch_harms(const struct sim_watch *watch)
{
    return watch->harms;
}
