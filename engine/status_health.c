/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/health and /.cluster/metrics. */

#include <inttypes.h>
#include <stdlib.h>

#include "engine/check.h"
#include "engine/clocks.h"
#include "engine/leave.h"
#include "engine/members.h"
#include "engine/modes.h"
#include "engine/restamp.h"
#include "engine/router.h"
#include "engine/settings.h"
#include "engine/snapshot.h"
#include "engine/status.h"

enum { LAG_ENTRIES_MAX = 1000, DISK_FREE_BYTES_MIN = 512 * 1024 * 1024 };

/* ---- health: one line per trouble: what, where, since when, what to do ----
 */

static int report_silent_nodes(struct node *node, FILE *out)
{
    const struct status_board *board = node_status_board(node);
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);
    int troubles = 0;

    for (size_t i = 0; i < count; i++) {
        if (nodes[i] == node_id(node) ||
            status_board_find(board, nodes[i]) != NULL)
            continue;
        (void)fprintf(out, "node %" PRIu64 " unreachable since ", nodes[i]);
        if (status_board_heard_ns(board, nodes[i]) != 0)
            status_print_time(out, status_board_heard_ns(board, nodes[i]));
        else
            (void)fputs("this node's start", out);
        (void)fputs(": start it, or look at the network between\n", out);
        troubles++;
    }
    return troubles;
}

/* What no other node can be asked to do remains undone. */
static bool can_be_drained(struct node *node)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);
    struct settings settings;
    struct node_record record;
    uint64_t usable = 0;

    for (size_t i = 0; i < count; i++)
        usable += members_find(node, nodes[i], &record) == 0 &&
                  record.state == NODE_UP;
    return settings_read(node_env(node)->state, &settings) != 0 ||
           usable >= settings.value[SETTING_REPLICAS];
}

/* Each has a replica of region 0 to the end. */
static int report_left_replicas(struct node *node, uint64_t id, FILE *out)
{
    size_t regions;
    size_t leaders;

    status_board_count_regions(node_status_board(node), id, &regions, &leaders);
    if (regions <= 1)
        return 0;
    (void)fprintf(out,
                  "node %" PRIu64
                  " is being drained, %zu of its replicas left: %s\n",
                  id, regions - 1,
                  can_be_drained(node)
                      ? "wait"
                      : "no other node can take them, so add one, or lower "
                        "settings/replicas");
    return 1;
}

/* What is only not on disk yet is soon. */
static int report_left_changes(struct node *node,
                               const struct node_record *record, FILE *out)
{
    static const char *const advice[LEAVE_STATES] = {
        [LEAVE_UNTOLD] = "start it, or look at the network between",
        [LEAVE_SPREADS] = "wait",
        [LEAVE_KEEPS] = "start it, and see /.cluster/quarantine there",
    };
    enum leave_state state = leave_look(node, record);

    if (advice[state] == NULL)
        return 0;
    (void)fprintf(out, "node %" PRIu64 " is being drained and %s: %s\n",
                  record->id, leave_words(state), advice[state]);
    return 1;
}

static int report_read_only(struct node *node, FILE *out)
{
    if (!modes_is_leaving(node_modes(node)) || !modes_any(node_modes(node)))
        return 0;
    (void)fprintf(out,
                  "node %" PRIu64
                  " is being drained, its eventual directories are read-only: "
                  "use another node's mount\n",
                  node_id(node));
    return 1;
}

static int report_draining(struct node *node, FILE *out)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);
    int troubles = report_read_only(node, out);

    for (size_t i = 0; i < count; i++) {
        struct node_record record;

        if (members_find(node, nodes[i], &record) != 0 ||
            record.state != NODE_DRAINING)
            continue;
        troubles += report_left_replicas(node, nodes[i], out);
        troubles += report_left_changes(node, &record, out);
    }
    return troubles;
}

static int report_leaderless(struct node *node, uint64_t region, FILE *out)
{
    uint64_t leader_node;

    if (status_region_leader(node, region, &leader_node) != 0 ||
        leader_node != 0)
        return 0;
    (void)fprintf(out,
                  "region %" PRIu64 " has no leader: strong reads and writes "
                  "wait until a majority of its nodes is back\n",
                  region);
    return 1;
}

/* On any node, as that has said. */
static int report_damaged(struct node *node, uint64_t region, FILE *out)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);
    int troubles = 0;

    for (size_t i = 0; i < count; i++) {
        const struct region_status *status =
            status_board_region(node_status_board(node), nodes[i], region);

        if (status == NULL || status->state != PEER_DAMAGED)
            continue;
        (void)fprintf(
            out, "region %" PRIu64 " on node %" PRIu64 " is damaged since ",
            region, nodes[i]);
        status_print_time(out, status->damaged_ns);
        (void)fputs(": wait, it is rebuilt from a snapshot\n", out);
        troubles++;
    }
    return troubles;
}

static int report_regions(struct node *node, FILE *out)
{
    size_t count;
    uint64_t *regions = status_region_ids(node, &count);
    int troubles = 0;

    for (size_t i = 0; i < count; i++) {
        troubles += report_leaderless(node, regions[i], out);
        troubles += report_damaged(node, regions[i], out);
    }
    free(regions);
    return troubles;
}

static int report_behind(struct node *node, const struct peer *peer, FILE *out)
{
    struct peer_status status;

    peer_status(peer, &status);
    if (status.state == PEER_RESTORING)
        (void)fprintf(out,
                      "region %" PRIu64 " on node %" PRIu64
                      " is being restored from a snapshot: wait\n",
                      status.region, node_id(node));
    else if (status.commit > status.applied + LAG_ENTRIES_MAX)
        (void)fprintf(out,
                      "region %" PRIu64 " on node %" PRIu64 " is %" PRIu64
                      " entries behind: wait, or look at its disk\n",
                      status.region, node_id(node),
                      status.commit - status.applied);
    else
        return 0;
    return 1;
}

static int report_check(const struct peer *peer, FILE *out)
{
    int64_t since_ns = check_unclear_ns(peer_check(peer));

    if (since_ns == 0)
        return 0;
    (void)fprintf(out, "region %" PRIu64 " has replicas that differ since ",
                  peer_region_id(peer));
    status_print_time(out, since_ns);
    (void)fputs(" and no majority of them agrees: see check and log, and look "
                "at the disks of its nodes\n",
                out);
    return 1;
}

static int report_disk(struct node *node, FILE *out)
{
    const struct node_config *config = node_config(node);
    struct engine_space space = {0};

    if (config->space == NULL)
        return 0;
    config->space(config->context, &space);
    if (space.bytes_free >= DISK_FREE_BYTES_MIN)
        return 0;
    (void)fprintf(out,
                  "node %" PRIu64 " has only %" PRIu64
                  " bytes of disk left: free some\n",
                  node_id(node), space.bytes_free);
    return 1;
}

static void print_clock(const struct clock_view *view, uint64_t id, FILE *out)
{
    (void)fprintf(out, "the clock of node %" PRIu64 " is %.3f s %s ", id,
                  (double)llabs(view->deviation_ns) / 1e9,
                  view->deviation_ns > 0 ? "ahead of" : "behind");
    (void)fputs(view->by_majority ? "the median of all nodes since "
                                  : "the other node's since ",
                out);
    status_print_time(out, view->since_ns);
    (void)fputs(view->by_majority
                    ? ": set it right, until then it does not lead where "
                      "another node can\n"
                    : ": set right the one of the two that is wrong\n",
                out);
}

/* Nobody is there to judge it. */
static int report_doubts(struct node *node, FILE *out)
{
    struct clock_view view;

    if (!clocks_is_doubted(node_clocks(node)) ||
        (clocks_find(node_clocks(node), node_id(node), &view) &&
         view.since_ns != 0))
        return 0;
    (void)fputs(
        "this node's clock has jumped, or was found wrong, and no other "
        "node is there to compare it with: until then no change is "
        "accepted here in eventual directories\n",
        out);
    return 1;
}

static int report_clocks(struct node *node, FILE *out)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);
    int troubles = 0;

    for (size_t i = 0; i < count; i++) {
        struct clock_view view;

        if (!clocks_find(node_clocks(node), nodes[i], &view) ||
            view.since_ns == 0)
            continue;
        print_clock(&view, nodes[i], out);
        troubles++;
    }
    return troubles + report_doubts(node, out);
}

static int report_versions(struct node *node, FILE *out)
{
    uint64_t ahead_ms = restamps_ahead_ms(node_restamps(node));

    if (ahead_ms == 0)
        return 0;
    (void)fprintf(out,
                  "changes that are accepted here in eventual directories are "
                  "stamped %.1f s ahead: other nodes take them when that time "
                  "has come, or soon when all nodes are there and agree on "
                  "the time\n",
                  (double)ahead_ms / 1000);
    return 1;
}

/* It has joined, and no leader has reached it yet. */
static int report_waiting(const struct node *node, FILE *out)
{
    if (node_peer(node, REGION_PLACEMENT) != NULL)
        return 0;
    (void)fputs("this node has no replica of region 0 yet: wait until the "
                "others have found it at the address that it tells them\n",
                out);
    return 1;
}

void status_render_health(struct node *node, FILE *out)
{
    const struct peer *peer = NULL;
    int troubles = 0;

    troubles += report_silent_nodes(node, out);
    troubles += report_clocks(node, out);
    troubles += report_versions(node, out);
    troubles += report_waiting(node, out);
    troubles += report_draining(node, out);
    troubles += report_regions(node, out);
    while ((peer = node_next_peer(node, peer)) != NULL) {
        troubles += report_behind(node, peer, out);
        troubles += report_check(peer, out);
    }
    troubles += status_report_eventual(node, out);
    troubles += status_report_quarantine(node, out);
    troubles += report_disk(node, out);
    if (troubles == 0)
        (void)fputs("ok\n", out);
}

/* ---- metrics ---- */

void status_metric_head(FILE *out, const char *name, const char *type,
                        const char *help)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One number per region that is on this node. */
struct region_metric {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*get)(const struct peer_status *status);
};

static uint64_t get_leading(const struct peer_status *s)
{
    return s->role == RAFT_LEADER ? 1 : 0;
}

static uint64_t get_has_leader(const struct peer_status *s)
{
    return s->leader_node != 0 ? 1 : 0;
}

static uint64_t get_term(const struct peer_status *s)
{
    return s->term;
}

static uint64_t get_applied(const struct peer_status *s)
{
    return s->applied;
}

static uint64_t get_commit(const struct peer_status *s)
{
    return s->commit;
}

static uint64_t get_log_entries(const struct peer_status *s)
{
    return s->last_index + 1 - s->first_index;
}

static uint64_t get_log_bytes(const struct peer_status *s)
{
    return s->log_bytes;
}

static uint64_t get_snapshots_sent(const struct peer_status *s)
{
    return s->snapshots_sent;
}

static uint64_t get_snapshots_restored(const struct peer_status *s)
{
    return s->snapshots_restored;
}

static uint64_t get_damaged(const struct peer_status *s)
{
    return s->damaged_ns != 0 ? 1 : 0;
}

static uint64_t get_checks(const struct peer_status *s)
{
    return s->checks;
}

static uint64_t get_compactions(const struct peer_status *s)
{
    return s->compactions;
}

/* clang-format off */
static const struct region_metric region_metrics[] = {
    /* name                             type       help */
    {"grovefs_region_leading",          "gauge",   "1 where this node leads the region.",     get_leading},
    {"grovefs_region_has_leader",       "gauge",   "1 where this node knows a leader.",       get_has_leader},
    {"grovefs_region_term",             "counter", "Raft term.",                              get_term},
    {"grovefs_region_applied_index",    "counter", "Last applied log index.",                 get_applied},
    {"grovefs_region_commit_index",     "counter", "Last committed log index.",               get_commit},
    {"grovefs_region_log_entries",      "gauge",   "Entries in the Raft log.",                get_log_entries},
    {"grovefs_region_log_bytes",        "gauge",   "Bytes in the Raft log.",                  get_log_bytes},
    {"grovefs_region_snapshots_sent_total",     "counter", "Snapshot streams wanted.",        get_snapshots_sent},
    {"grovefs_region_snapshots_restored_total", "counter", "Snapshots that replaced the state.", get_snapshots_restored},
    {"grovefs_region_damaged",          "gauge",   "1 where this replica is damaged.",        get_damaged},
    {"grovefs_region_checks_total",     "counter", "Consistency checks seen to their end.",   get_checks},
    {"grovefs_region_compactions_total", "counter", "Log compactions.",                       get_compactions},
};
/* clang-format on */

static void render_region_metric(struct node *node,
                                 const struct region_metric *metric, FILE *out)
{
    const struct peer *peer = NULL;

    status_metric_head(out, metric->name, metric->type, metric->help);
    while ((peer = node_next_peer(node, peer)) != NULL) {
        struct peer_status status;

        peer_status(peer, &status);
        (void)fprintf(out, "%s{region=\"%" PRIu64 "\"} %" PRIu64 "\n",
                      metric->name, status.region, metric->get(&status));
    }
}

void status_metric(FILE *out, const char *name, const char *type,
                   const char *help, uint64_t number)
{
    status_metric_head(out, name, type, help);
    (void)fprintf(out, "%s %" PRIu64 "\n", name, number);
}

static void render_clocks(struct node *node, FILE *out)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);

    status_metric_head(out, "grovefs_clock_offset_seconds", "gauge",
                       "How far a node's clock is ahead of this node's.");
    for (size_t i = 0; i < count; i++) {
        struct clock_view view;

        if (nodes[i] != node_id(node) &&
            clocks_find(node_clocks(node), nodes[i], &view))
            (void)fprintf(out,
                          "grovefs_clock_offset_seconds{node=\"%" PRIu64
                          "\"} %.3f\n",
                          nodes[i], (double)view.offset_ns / 1e9);
    }
}

void status_render_metrics(struct node *node, FILE *out)
{
    const struct node_config *config = node_config(node);
    const struct status_board *board = node_status_board(node);

    for (size_t i = 0; i < ARRAY_SIZE(region_metrics); i++)
        render_region_metric(node, &region_metrics[i], out);
    status_metric(out, "grovefs_requests_total", "counter",
                  "Requests that did not end at once.",
                  status_board_requests(board));
    status_metric(out, "grovefs_requests_failed_total", "counter",
                  "Requests that failed for want of a majority or a disk.",
                  status_board_failures(board));
    status_metric(out, "grovefs_calls_waiting", "gauge",
                  "Commands on their way to a leader.",
                  router_waiting(node_router(node)));
    status_metric(out, "grovefs_snapshot_streams", "gauge",
                  "Snapshot streams under way.",
                  snapshots_running(node_snapshots(node)));
    render_clocks(node, out);
    status_render_eventual_metrics(node, out);
    status_render_quarantine_metrics(node, out);
    if (config->metrics != NULL)
        config->metrics(config->context, out);
}
