/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/eventual, and what eventual directories add to health and metrics.
 */

#include <inttypes.h>
#include <string.h>

#include "engine/digest.h"
#include "engine/eventual.h"
#include "engine/eventual_damage.h"
#include "engine/key_path.h"
#include "engine/modes.h"
#include "engine/pull.h"
#include "engine/splitter.h"
#include "engine/stamps.h"
#include "engine/status.h"

enum {
    TROUBLE_AFTER_S = 30,
    NS_PER_MS = 1000000,
    REMOVED_COUNT_MAX = 10000,
    DAMAGED_SHOWN_MAX = 20
};

#define NS_PER_S INT64_C(1000000000)

static struct kv *state_of(struct node *node)
{
    return node_env(node)->state;
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

/* How old the oldest change is that the other one lacks; as old as clocks say.
 */
static double lag_s(struct node *node, const struct pull_lag *peer)
{
    int64_t lag_ns =
        (int64_t)env_wall_ns(node_env(node)) - stamp_time_ns(peer->oldest_hlc);

    return peer->oldest_hlc == 0 || lag_ns < 0
               ? 0
               : (double)lag_ns / (double)NS_PER_S;
}

static const char *const verdict_names[DIGEST_VERDICTS] = {
    [DIGEST_NONE] = "-",
    [DIGEST_BEHIND] = "no",
    [DIGEST_EQUAL] = "yes",
    [DIGEST_DIFFERS] = "differs",
};

static void print_pending(struct node *node, const struct pull_lag *peer,
                          FILE *out)
{
    if (peer->is_known)
        (void)fprintf(out, "%" PRIu64 " %" PRIu64 " %.1f ",
                      peer->pending_entries, peer->pending_bytes,
                      lag_s(node, peer));
    else
        (void)fputs("- - - ", out);
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

/* As the other one has told. */
static void print_quarantine(struct node *node, const struct pull_lag *peer,
                             FILE *out)
{
    const struct node_status *status =
        status_board_find(node_status_board(node), peer->node);

    if (status == NULL || status->quarantine == SIZE_UNKNOWN)
        (void)fputc('-', out);
    else
        (void)fprintf(out, "%" PRIu64, status->quarantine);
}

void status_render_eventual(struct node *node, FILE *out)
{
    struct pull_lag peers[NODES_MAX];
    size_t count = pulls_lag(node_pulls(node), peers);

    (void)fputs("# node peer pending_entries pending_bytes lag_s contact_s "
                "conflicts state quarantine converged\n",
                out);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(out, "%" PRIu64 " %" PRIu64 " ", node_id(node),
                      peers[i].node);
        print_pending(node, &peers[i], out);
        print_contact(node, &peers[i], out);
        (void)fprintf(out, " %" PRIu64 " %s ", peers[i].conflicts,
                      state_name(node, &peers[i]));
        print_quarantine(node, &peers[i], out);
        (void)fprintf(out, " %s\n", verdict_names[peers[i].verdict]);
    }
}

/* Reads in strong directories show all that was acknowledged. */
struct buf *status_lag(struct node *node, enum mode_state state)
{
    uint64_t behind_ns = 0;
    char text[24] = "-";

    if (state == MODE_STRONG || pulls_behind(node_pulls(node), &behind_ns))
        (void)snprintf(text, sizeof text, "%.1f",
                       (double)behind_ns / (double)NS_PER_S);
    return buf_copy(text, strlen(text));
}

/* What it has is looked at, not what was counted when it came. */
static int digest_file(struct kv *state, const struct command *command,
                       uint64_t *ret)
{
    struct eventual_record record = {0};
    int rc =
        eventual_get(state, NULL, command->dir, command->name, true, &record);

    if (rc == 0)
        *ret = digest_record(&record);
    eventual_release(&record);
    return rc;
}

static int digest_directory(struct kv *state, uint64_t nsid, uint64_t *ret)
{
    struct eventual_namespace record;
    int rc = eventual_namespace_get(state, NULL, nsid, &record);

    if (rc != 0)
        return rc;
    *ret = record.digest;
    return record.has_digest ? 0 : ERR_CORRUPT;
}

struct buf *status_digest(struct node *node, const struct command *command,
                          enum mode_state state)
{
    struct kv *kv = state_of(node);
    char text[24] = "-";
    uint64_t digest = 0;
    int rc = ERR_NOT_FOUND;

    if (state != MODE_STRONG)
        rc = (command->ino & INO_DIR_BIT) != 0
                 ? digest_directory(kv, nsid_of_ino(command->ino), &digest)
                 : digest_file(kv, command, &digest);
    if (rc == 0)
        (void)snprintf(text, sizeof text, "%016" PRIx64, digest);
    return buf_copy(text, strlen(text));
}

/* ---- health ---- */

/* An epoch is a version of region 0. */
static int64_t begin_of(const struct mode *mode)
{
    return stamp_time_ns(mode->epoch);
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

static int report_differences(struct node *node, FILE *out)
{
    int64_t since_ns = 0;
    uint64_t id = 0;
    int troubles = 0;

    for (; pulls_next_differing(node_pulls(node), id, &id, &since_ns); id++) {
        (void)fprintf(out,
                      "node %" PRIu64
                      " has something else in eventual directories than this "
                      "one, though all changes are on both, since ",
                      id);
        status_print_time(out, since_ns);
        (void)fputs(
            ": compare user.grove.digest of directories, then of files, on "
            "both mounts, write those that differ anew, and look at the "
            "disks\n",
            out);
        troubles++;
    }
    return troubles;
}

struct damage_report {
    struct kv *state;
    FILE *out;
    int troubles;
};

static int report_damaged(void *context, uint64_t nsid, struct slice name,
                          int64_t since_ns)
{
    struct damage_report *report = context;

    if (report->troubles++ == DAMAGED_SHOWN_MAX)
        return ERR_RANGE;
    (void)fputs("file ", report->out);
    key_path_print_directory(report->out, report->state, nsid);
    (void)fputc('/', report->out);
    key_path_print_bytes(report->out, name);
    (void)fputs(" cannot be read on this node since ", report->out);
    status_print_time(report->out, since_ns);
    (void)fputs(": it comes back from a node that has it, so start those that "
                "are down; where none has it, write it anew on another node's "
                "mount\n",
                report->out);
    return 0;
}

static int report_damage(struct node *node, FILE *out)
{
    struct damage_report report = {.state = state_of(node), .out = out};

    if (eventual_is_damaged(node_eventual(node)))
        (void)eventual_visit_damage(report.state, report_damaged, &report);
    return report.troubles;
}

int status_report_eventual(struct node *node, FILE *out)
{
    return report_fenced(node, out) + status_report_modes(node, out) +
           report_not_whole(node, out) + report_damage(node, out) +
           report_differences(node, out);
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

/* Another node's number; false: it is not known. */
struct peer_metric {
    const char *name;
    const char *type;
    const char *help;
    bool (*get)(struct node *node, const struct pull_lag *peer, double *ret);
};

static bool get_entries(struct node *node, const struct pull_lag *peer,
                        double *ret)
{
    (void)node;
    *ret = (double)peer->pending_entries;
    return peer->is_known;
}

static bool get_bytes(struct node *node, const struct pull_lag *peer,
                      double *ret)
{
    (void)node;
    *ret = (double)peer->pending_bytes;
    return peer->is_known;
}

static bool get_lag(struct node *node, const struct pull_lag *peer, double *ret)
{
    *ret = lag_s(node, peer);
    return peer->is_known;
}

static bool get_contact(struct node *node, const struct pull_lag *peer,
                        double *ret)
{
    *ret = (double)silence_ns(node, peer) / (double)NS_PER_S;
    return peer->contact_ns != 0;
}

static bool get_conflicts(struct node *node, const struct pull_lag *peer,
                          double *ret)
{
    (void)node;
    *ret = (double)peer->conflicts;
    return true;
}

static bool get_differs(struct node *node, const struct pull_lag *peer,
                        double *ret)
{
    (void)node;
    *ret = peer->verdict == DIGEST_DIFFERS ? 1 : 0;
    return peer->verdict != DIGEST_NONE;
}

/* clang-format off */
static const struct peer_metric peer_metrics[] = {
    /* name                              type       help */
    {"grovefs_eventual_pending_entries", "gauge",   "Changes here that another node has not asked for.", get_entries},
    {"grovefs_eventual_pending_bytes",   "gauge",   "Their content.",                                    get_bytes},
    {"grovefs_eventual_lag_seconds",     "gauge",   "How old the oldest of them is.",                    get_lag},
    {"grovefs_eventual_contact_seconds", "gauge",   "Since another node's last answer.",                 get_contact},
    {"grovefs_eventual_conflicts_total", "counter", "Conflicts met in another node's changes.",          get_conflicts},
    {"grovefs_eventual_differs",         "gauge",   "1 where another node has something else.",          get_differs},
};
/* clang-format on */

static void render_peers(struct node *node, FILE *out)
{
    struct pull_lag peers[NODES_MAX];
    size_t count = pulls_lag(node_pulls(node), peers);

    for (size_t m = 0; m < ARRAY_SIZE(peer_metrics); m++) {
        const struct peer_metric *metric = &peer_metrics[m];

        status_metric_head(out, metric->name, metric->type, metric->help);
        for (size_t i = 0; i < count; i++) {
            double number;

            if (metric->get(node, &peers[i], &number))
                (void)fprintf(out, "%s{peer=\"%" PRIu64 "\"} %.15g\n",
                              metric->name, peers[i].node, number);
        }
    }
}

/* No number while a node has not been heard of. */
static void render_behind(struct node *node, FILE *out)
{
    uint64_t behind_ns;

    status_metric_head(out, "grovefs_eventual_behind_seconds", "gauge",
                       "What others had accepted so long ago is here.");
    if (pulls_behind(node_pulls(node), &behind_ns))
        (void)fprintf(out, "grovefs_eventual_behind_seconds %.3f\n",
                      (double)behind_ns / (double)NS_PER_S);
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
    status_metric(out, "grovefs_eventual_restamped_total", "counter",
                  "Own changes, ahead of the clock, with a new version.",
                  counts.restamped);
    status_metric(out, "grovefs_eventual_journal_entries", "gauge",
                  "Changes in the journal.", counts.journal_entries);
    status_metric(out, "grovefs_eventual_forgotten_total", "counter",
                  "Removed names that were forgotten here.", counts.dropped);
    status_metric(out, "grovefs_eventual_damages_total", "counter",
                  "Files that were found unreadable here.", counts.damages);
    status_metric(out, "grovefs_eventual_healed_total", "counter",
                  "Those of them that can be read again.", counts.healed);
    render_floor(node, out);
    render_peers(node, out);
    render_behind(node, out);
    status_render_modes_metrics(node, out);
}
