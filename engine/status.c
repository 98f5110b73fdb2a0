/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/status.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "engine/check.h"
#include "engine/event_log.h"
#include "engine/keys.h"

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

/* A number that is not known is 0. */
static void print_known(FILE *out, uint64_t number)
{
    if (number == 0)
        (void)fputs("-", out);
    else
        (void)fprintf(out, "%" PRIu64, number);
}

static void print_nodes(FILE *out, const struct region *region,
                        enum peer_role role)
{
    const char *comma = "";

    for (size_t i = 0; i < region->peer_count; i++) {
        if (region->peers[i].role != role)
            continue;
        (void)fprintf(out, "%s%" PRIu64, comma, region->peers[i].node);
        comma = ",";
    }
    if (comma[0] == '\0')
        (void)fputs("-", out);
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

/* ---- nodes ---- */

static void print_regions_of(const struct node_status *status, FILE *out)
{
    size_t leaders = 0;

    for (size_t i = 0; i < status->region_count; i++)
        if (status->regions[i].leader_node == status->node)
            leaders++;
    (void)fprintf(out, " %zu %zu %" PRIu64 " %" PRIu64 " %s\n",
                  status->region_count, leaders, status->disk_used,
                  status->disk_free, status->version);
}

static void render_node(struct node *node, const struct node_record *record,
                        FILE *out)
{
    const struct status_board *board = node_status_board(node);
    const struct node_status *status = status_board_find(board, record->id);

    (void)fprintf(out, "%" PRIu64 " %s %s ", record->id,
                  record->address[0] != '\0' ? record->address : "-",
                  status != NULL ? "up" : "unreachable");
    if (status != NULL) {
        status_print_time(out, status->since_ns);
        print_regions_of(status, out);
    } else {
        status_print_time(out, status_board_heard_ns(board, record->id));
        (void)fputs(" - - - - -\n", out);
    }
}

static void render_nodes(struct node *node, FILE *out)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(node_env(node)->state, NULL,
                                       key_slice(&lower), key_slice(&upper));

    (void)fputs("# id address state since regions leaders disk_used disk_free "
                "version\n",
                out);
    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct node_record record = {0};

        if (node_decode(&record, kv_iter_value(iter)) == 0)
            render_node(node, &record, out);
    }
    kv_iter_free(iter);
}

/* ---- regions, leaders ---- */

static void render_region(const struct peer *peer, FILE *out)
{
    const struct region *region = peer_region(peer);
    struct peer_status status;

    peer_status(peer, &status);
    (void)fprintf(out, "%" PRIu64 " - - ", region->id);
    print_known(out, status.leader_node);
    (void)fprintf(out, " %" PRIu64 " %" PRIu64 ".%" PRIu64 " ", status.term,
                  region->conf_ver, region->version);
    print_nodes(out, region, PEER_VOTER);
    (void)fputc(' ', out);
    print_nodes(out, region, PEER_LEARNER);
    (void)fprintf(out, " - - %s\n", peer_state_name(status.state));
}

static void render_regions(struct node *node, FILE *out)
{
    const struct peer *peer = NULL;

    (void)fputs("# id start end leader term epoch peers learners size keys "
                "state\n",
                out);
    while ((peer = node_next_peer(node, peer)) != NULL)
        render_region(peer, out);
}

static void render_leaders(struct node *node, FILE *out)
{
    const struct peer *peer = NULL;

    (void)fputs("# region leader_node term lease_s\n", out);
    while ((peer = node_next_peer(node, peer)) != NULL) {
        struct peer_status status;

        peer_status(peer, &status);
        (void)fprintf(out, "%" PRIu64 " ", status.region);
        print_known(out, status.leader_node);
        (void)fprintf(out, " %" PRIu64 " ", status.term);
        if (status.lease_left_ns > 0)
            (void)fprintf(out, "%.3f\n", (double)status.lease_left_ns / 1e9);
        else
            (void)fputs("-\n", out);
    }
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
    print_known(out, view.match);
    (void)fprintf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %.1f %s\n",
                  view.applied, view.lag_entries, view.lag_bytes,
                  view.lag_s > 0 ? view.lag_s : 0.0, view.state);
}

static void render_lag(struct node *node, FILE *out)
{
    const struct peer *peer = NULL;

    /* Not older than this moment as far as this node itself goes. */
    status_board_tick(node_status_board(node));
    (void)fputs("# region node role match applied lag_entries lag_bytes lag_s "
                "state\n",
                out);
    while ((peer = node_next_peer(node, peer)) != NULL)
        for (size_t i = 0; i < peer_region(peer)->peer_count; i++)
            render_replica(node, peer, &peer_region(peer)->peers[i], out);
}

static void render_check(struct node *node, FILE *out)
{
    const struct peer *peer = NULL;

    (void)fputs("# region index checked replicas damaged state\n", out);
    while ((peer = node_next_peer(node, peer)) != NULL)
        check_render(peer_check(peer), out);
}

static void render_log(struct node *node, FILE *out)
{
    event_log_render(node_events(node), out);
}

/* ---- the table of tables ---- */

static void (*const renderers[TABLES])(struct node *node, FILE *out) = {
    [TABLE_VERSION] = render_version, [TABLE_HEALTH] = status_render_health,
    [TABLE_NODES] = render_nodes,     [TABLE_REGIONS] = render_regions,
    [TABLE_LEADERS] = render_leaders, [TABLE_LAG] = render_lag,
    [TABLE_LOG] = render_log,         [TABLE_METRICS] = status_render_metrics,
    [TABLE_CHECK] = render_check,
};

struct buf *status_render(struct node *node, enum engine_table table)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct buf *bytes;

    assert(table < TABLES);
    if (out == NULL)
        return NULL;
    renderers[table](node, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    bytes = buf_copy(text, size);
    free(text);
    return bytes;
}
