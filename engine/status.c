/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/status.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "engine/check.h"
#include "engine/event_log.h"
#include "engine/placement_show.h"

/* ---- printing ---- */

void status_print_time(FILE *out, int64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / 1000000000);
    struct tm parts;
    char text[32];

    if (wall_ns == 0) {
        (void)fputs("-", out);
        return;
    }
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    (void)fputs(text, out);
}

void status_print_known(FILE *out, uint64_t number)
{
    if (number == 0)
        (void)fputs("-", out);
    else
        (void)fprintf(out, "%" PRIu64, number);
}

/* ---- version ---- */

static void render_version(struct node *node, FILE *out)
{
    const struct identity *identity = &node_config(node)->identity;

    (void)fprintf(out, "version %s\n", GROVEFS_VERSION);
    (void)fprintf(out, "format %d\n", RECORD_FORMAT);
    (void)fprintf(out, "cluster %016" PRIx64 "\n", identity->cluster_id);
    (void)fprintf(out, "node %" PRIu64 "\n", identity->node_id);
    (void)fprintf(out, "boot %" PRIu64 "\n", identity->boot);
}

/* ---- regions, leaders ---- */

static void render_regions(struct node *node, FILE *out)
{
    size_t count;
    uint64_t *regions = status_region_ids(node, &count);

    (void)fputs("# id start end leader term epoch peers learners size keys "
                "state\n",
                out);
    for (size_t i = 0; i < count; i++)
        status_print_region(node, regions[i], out);
    free(regions);
}

static void render_leaders(struct node *node, FILE *out)
{
    size_t count;
    uint64_t *regions = status_region_ids(node, &count);

    (void)fputs("# region leader_node term lease_s\n", out);
    for (size_t i = 0; i < count; i++)
        status_print_leader(node, regions[i], out);
    free(regions);
}

/* ---- lag ---- */

/* The greatest commit index that anybody has told of. */
static uint64_t commit_of(struct node *node, const struct peer *peer)
{
    const struct region *region = peer_region(peer);
    struct peer_status own;
    uint64_t commit;

    peer_status(peer, &own);
    commit = own.commit;
    for (size_t i = 0; i < region->peer_count; i++) {
        const struct region_status *status = status_board_region(
            node_status_board(node), region->peers[i].node, region->id);

        if (status != NULL && status->commit > commit)
            commit = status->commit;
    }
    return commit;
}

static uint64_t entry_bytes(const struct peer *peer)
{
    struct peer_status own;

    peer_status(peer, &own);
    if (own.last_index < own.first_index)
        return 0;
    return own.log_bytes / (own.last_index - own.first_index + 1);
}

bool status_replica(struct node *node, const struct peer *peer,
                    const struct region_peer *replica, struct replica_view *ret)
{
    const struct region_status *status = status_board_region(
        node_status_board(node), replica->node, peer_region_id(peer));
    struct raft_peer_status progress = {0};
    uint64_t commit = commit_of(node, peer);
    int64_t now_ns = (int64_t)env_wall_ns(node_env(node));

    if (status == NULL)
        return false;
    (void)peer_progress(peer, replica->node, &progress);
    *ret = (struct replica_view){
        .match = progress.match,
        .applied = status->applied,
        .role = status->leader_node == replica->node ? "leader"
                : replica->role == PEER_VOTER        ? "follower"
                                                     : "learner",
        .state = peer_state_name(status->state),
    };
    if (commit > status->applied) {
        ret->lag_entries = commit - status->applied;
        ret->lag_bytes = ret->lag_entries * entry_bytes(peer);
        if (status->applied_wall_ns != 0)
            ret->lag_s = (double)(now_ns - status->applied_wall_ns) / 1e9;
    }
    return true;
}

static void render_replica(struct node *node, const struct peer *peer,
                           const struct region_peer *replica, FILE *out)
{
    struct replica_view view;

    (void)fprintf(out, "%" PRIu64 " %" PRIu64 " ", peer_region_id(peer),
                  replica->node);
    if (!status_replica(node, peer, replica, &view)) {
        (void)fprintf(out, "%s - - - - - unreachable\n",
                      replica->role == PEER_VOTER ? "follower" : "learner");
        return;
    }
    (void)fprintf(out, "%s ", view.role);
    status_print_known(out, view.match);
    (void)fprintf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %.1f %s\n",
                  view.applied, view.lag_entries, view.lag_bytes,
                  view.lag_s > 0 ? view.lag_s : 0.0, view.state);
}

static void render_lag_of(struct node *node, const struct peer *peer, FILE *out)
{
    const struct region *region = peer_region(peer);

    for (size_t i = 0; i < region->peer_count; i++)
        render_replica(node, peer, &region->peers[i], out);
}

void status_render_lag(struct node *node, const struct peer *only, FILE *out)
{
    const struct peer *peer = NULL;

    /* Not older than this moment as far as this node itself goes. */
    status_board_tick(node_status_board(node));
    (void)fputs("# region node role match applied lag_entries lag_bytes lag_s "
                "state\n",
                out);
    if (only != NULL)
        render_lag_of(node, only, out);
    while (only == NULL && (peer = node_next_peer(node, peer)) != NULL)
        render_lag_of(node, peer, out);
}

static void render_lag(struct node *node, FILE *out)
{
    status_render_lag(node, NULL, out);
}

static void render_check(struct node *node, FILE *out)
{
    const struct peer *peer = NULL;

    (void)fputs("# region index checked replicas damaged state\n", out);
    while ((peer = node_next_peer(node, peer)) != NULL)
        check_render(peer_check(peer), out);
}

static void render_events(struct node *node, FILE *out)
{
    (void)node;
    (void)fputs(EVENT_COLUMNS, out);
}

static void render_log(struct node *node, FILE *out)
{
    event_log_render(node_events(node), out);
}

/* ---- the table of tables ---- */

static void (*const renderers[])(struct node *node, FILE *out) = {
    [TABLE_VERSION] = render_version,
    [TABLE_HEALTH] = status_render_health,
    [TABLE_NODES] = status_render_nodes,
    [TABLE_REGIONS] = render_regions,
    [TABLE_LEADERS] = render_leaders,
    [TABLE_LAG] = render_lag,
    [TABLE_LOG] = render_log,
    [TABLE_EVENTS] = render_events,
    [TABLE_METRICS] = status_render_metrics,
    [TABLE_CHECK] = render_check,
    [TABLE_OPERATORS] = placement_render_operators,
    [TABLE_MODES] = status_render_modes,
    [TABLE_EVENTUAL] = status_render_eventual,
    [TABLE_REGION_IDS] = status_render_region_ids,
    [TABLE_NODE_IDS] = status_render_node_ids,
    [TABLE_QUARANTINE_IDS] = status_render_quarantine_ids,
};

static int render(struct node *node, enum engine_table table, uint64_t object,
                  FILE *out)
{
    if (table < ARRAY_SIZE(renderers)) {
        renderers[table](node, out);
        return 0;
    }
    if (table < TABLE_NODE_ADDRESS)
        return status_render_region_file(node, table, object, out);
    if (table >= TABLE_SETTING_REPLICAS)
        return placement_render_setting(node, table, out);
    if (table >= TABLE_QUARANTINE_PATH)
        return status_render_quarantine_file(node, table, object, out);
    return status_render_node_file(node, table, object, out);
}

int status_render(struct node *node, enum engine_table table, uint64_t object,
                  struct buf **ret)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int rc;

    assert(table < TABLES);
    if (out == NULL)
        return ERR_NO_MEMORY;
    rc = render(node, table, object, out);
    if (fclose(out) != 0)
        rc = ERR_NO_MEMORY;
    if (rc == 0)
        *ret = buf_copy(text, size);
    free(text);
    return rc;
}
