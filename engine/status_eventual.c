/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/modes and /.cluster/eventual, and what eventual directories add to
 * health and metrics. */

#include <inttypes.h>

#include "engine/eventual.h"
#include "engine/key_path.h"
#include "engine/modes.h"
#include "engine/pull.h"
#include "engine/stamps.h"
#include "engine/status.h"

enum { TROUBLE_AFTER_S = 30, NS_PER_MS = 1000000, REMOVED_COUNT_MAX = 10000 };

#define NS_PER_S INT64_C(1000000000)

static struct kv *state_of(struct node *node)
{
    return node_env(node)->state;
}

/* ---- modes ---- */

static void print_fence(FILE *out, uint64_t node_id, uint64_t fence)
{
    (void)fprintf(out, "%" PRIu64 ":", node_id);
    status_print_known(out, fence);
}

/* In ascending order of the nodes, this one among them. */
static void print_fences(struct node *node, const struct pull_lag *peers,
                         size_t count, FILE *out)
{
    size_t i = 0;

    for (; i < count && peers[i].node < node_id(node); i++) {
        print_fence(out, peers[i].node, peers[i].fence);
        (void)fputc(',', out);
    }
    print_fence(out, node_id(node), eventual_fence(node_eventual(node)));
    for (; i < count; i++) {
        (void)fputc(',', out);
        print_fence(out, peers[i].node, peers[i].fence);
    }
}

void status_render_modes(struct node *node, FILE *out)
{
    struct pull_lag peers[NODES_MAX];
    size_t count = pulls_lag(node_pulls(node), peers);
    struct mode mode;
    uint64_t nsid = 0;

    (void)fputs("# namespace mode epoch state nodes\n", out);
    for (; modes_next(node_modes(node), nsid, &nsid, &mode); nsid++) {
        if (mode.domain != nsid)
            continue; /* Inherited. */
        key_path_print_directory(out, state_of(node), nsid);
        (void)fprintf(out, " eventual %" PRIu64 " %s ", mode.epoch,
                      mode.state == MODE_FENCED ? "fenced" : "ok");
        print_fences(node, peers, count, out);
        (void)fputc('\n', out);
    }
}

/* ---- eventual ---- */

static int64_t silence_ns(struct node *node, const struct pull_lag *peer)
{
    return (int64_t)(env_mono_ns(node_env(node)) - peer->contact_ns);
}

static const char *state_name(struct node *node, const struct pull_lag *peer)
{
    if (peer->contact_ns == 0 ||
        silence_ns(node, peer) > (int64_t)STATUS_SILENT_MS * NS_PER_MS)
        return "silent";
    return peer->is_held ? "held" : "ok";
}

static void print_pending(const struct pull_lag *peer, FILE *out)
{
    if (peer->is_known)
        (void)fprintf(out, "%" PRIu64 " %" PRIu64 " ", peer->pending_entries,
                      peer->pending_bytes);
    else
        (void)fputs("- - ", out);
}

static void print_contact(struct node *node, const struct pull_lag *peer,
                          FILE *out)
{
    if (peer->contact_ns == 0)
        (void)fputc('-', out);
    else
        (void)fprintf(out, "%.1f",
                      (double)silence_ns(node, peer) / (double)NS_PER_S);
}

void status_render_eventual(struct node *node, FILE *out)
{
    struct pull_lag peers[NODES_MAX];
    size_t count = pulls_lag(node_pulls(node), peers);

    (void)fputs("# node peer pending_entries pending_bytes contact_s state\n",
                out);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(out, "%" PRIu64 " %" PRIu64 " ", node_id(node),
                      peers[i].node);
        print_pending(&peers[i], out);
        print_contact(node, &peers[i], out);
        (void)fprintf(out, " %s\n", state_name(node, &peers[i]));
    }
}

/* ---- health ---- */

/* An epoch is a version of region 0, and versions tell the time. */
static int64_t begin_of(const struct mode *mode)
{
    return (int64_t)(mode->epoch >> 16) * NS_PER_MS;
}

static bool is_old(struct node *node, int64_t since_ns)
{
    return (int64_t)env_wall_ns(node_env(node)) - since_ns >
           TROUBLE_AFTER_S * NS_PER_S;
}

/* The fence ends when all nodes are through with it, whichever node waits for
 * that: this one knows what it itself lacks. */
static void print_missing(struct node *node, uint64_t fence, FILE *out)
{
    uint64_t missing;

    if (pulls_are_drained(node_pulls(node), fence, &missing))
        (void)fputs("waits for what other nodes lack: see health there\n", out);
    else
        (void)fprintf(out,
                      "waits for node %" PRIu64
                      ": start it, or look at the network between\n",
                      missing);
}

static int report_fenced(struct node *node, FILE *out)
{
    struct mode mode;
    uint64_t nsid = 0;
    int troubles = 0;

    for (; modes_next(node_modes(node), nsid, &nsid, &mode); nsid++) {
        if (mode.state != MODE_FENCED || !is_old(node, begin_of(&mode)))
            continue;
        (void)fputs("directory ", out);
        key_path_print_directory(out, state_of(node), nsid);
        (void)fputs(" is fenced, since ", out);
        status_print_time(out, begin_of(&mode));
        (void)fputs(", ", out);
        print_missing(node, mode.epoch, out);
        troubles++;
    }
    return troubles;
}

/* It only ever lacks something from its start on. */
static int report_not_whole(struct node *node, FILE *out)
{
    const struct node_status *own =
        status_board_find(node_status_board(node), node_id(node));

    if (!modes_any(node_modes(node)) ||
        eventual_is_whole(node_eventual(node)) || own == NULL ||
        !is_old(node, own->since_ns))
        return 0;
    (void)fputs("the eventual directories of this node are incomplete since ",
                out);
    status_print_time(out, own->since_ns);
    (void)fputs(": they can be used as soon as a node that has all of them can "
                "be reached\n",
                out);
    return 1;
}

int status_report_eventual(struct node *node, FILE *out)
{
    return report_fenced(node, out) + report_not_whole(node, out);
}

/* ---- metrics ---- */

static uint64_t count_namespaces(struct node *node)
{
    struct mode mode;
    uint64_t nsid = 0;
    uint64_t count = 0;

    for (; modes_next(node_modes(node), nsid, &nsid, &mode); nsid++)
        count++;
    return count;
}

static void render_peers(struct node *node, FILE *out)
{
    struct pull_lag peers[NODES_MAX];
    size_t count = pulls_lag(node_pulls(node), peers);

    status_metric_head(out, "grovefs_eventual_pending_entries", "gauge",
                       "Changes here that another node has not asked for.");
    for (size_t i = 0; i < count; i++)
        if (peers[i].is_known)
            (void)fprintf(out,
                          "grovefs_eventual_pending_entries{peer=\"%" PRIu64
                          "\"} %" PRIu64 "\n",
                          peers[i].node, peers[i].pending_entries);
    status_metric_head(out, "grovefs_eventual_contact_seconds", "gauge",
                       "Since another node's last answer.");
    for (size_t i = 0; i < count; i++)
        if (peers[i].contact_ns != 0)
            (void)fprintf(
                out,
                "grovefs_eventual_contact_seconds{peer=\"%" PRIu64 "\"} %.3f\n",
                peers[i].node,
                (double)silence_ns(node, &peers[i]) / (double)NS_PER_S);
}

static void render_floor(struct node *node, FILE *out)
{
    struct eventual_floor_view view;

    eventual_floor_look(node_eventual(node), &view);
    status_metric(out, "grovefs_eventual_removed_names", "gauge",
                  "Removed names that are remembered here, up to 10000.",
                  eventual_removed_count(state_of(node), REMOVED_COUNT_MAX));
    status_metric(out, "grovefs_eventual_floor_seconds", "gauge",
                  "The time up to which removed names are forgotten here.",
                  (view.floor >> STAMP_COUNTER_BITS) / 1000);
}

void status_render_eventual_metrics(struct node *node, FILE *out)
{
    struct eventual_counts counts;

    eventual_count(node_eventual(node), &counts);
    status_metric(out, "grovefs_eventual_namespaces", "gauge",
                  "Directories that are eventual.", count_namespaces(node));
    status_metric(out, "grovefs_eventual_accepted_total", "counter",
                  "Changes that were accepted here.", counts.accepted);
    status_metric(out, "grovefs_eventual_pulled_total", "counter",
                  "Changes from other nodes.", counts.pulled);
    status_metric(out, "grovefs_eventual_outlived_total", "counter",
                  "Changes from other nodes that were too old.",
                  counts.outlived);
    status_metric(out, "grovefs_eventual_held_total", "counter",
                  "Changes held because they are ahead of the clock.",
                  counts.held);
    status_metric(out, "grovefs_eventual_journal_entries", "gauge",
                  "Changes in the journal.", counts.journal_entries);
    status_metric(out, "grovefs_eventual_forgotten_total", "counter",
                  "Removed names that were forgotten here.", counts.dropped);
    render_floor(node, out);
    render_peers(node, out);
}
