/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/modes: which directories have a mode of their own, and which nodes
 * know that, as far as this one was told. */

#include <inttypes.h>

#include "engine/eventual.h"
#include "engine/key_path.h"
#include "engine/modes.h"
#include "engine/pull.h"
#include "engine/stamps.h"
#include "engine/status.h"

/* So long a node may lag without a word: it tells once a second. */
enum { MOMENT_MS = 3000 };

#define NS_PER_MS INT64_C(1000000)

/* ---- what nodes know ---- */

enum mismatch { MISMATCH_NONE, MISMATCH_BEHIND, MISMATCH_UNFENCED, MISMATCHES };

static const char *const mismatch_names[MISMATCHES] = {
    [MISMATCH_BEHIND] = "behind",
    [MISMATCH_UNFENCED] = "unfenced",
};

/* What a node has said last. */
struct view {
    uint64_t node;
    uint64_t catalog; /* 0: not known now */
    uint64_t fence;   /* 0: none */
    bool is_behind;   /* what another one says: for this node itself */
};

struct views {
    struct view view[NODES_MAX];
    size_t count;
};

/* Versions of region 0 tell the time. */
static bool is_old(struct node *node, uint64_t version)
{
    return (int64_t)env_wall_ns(node_env(node)) - stamp_time_ns(version) >
           MOMENT_MS * NS_PER_MS;
}

static void look_at_self(struct node *node, struct view *view)
{
    view->catalog = modes_version(node_modes(node));
    view->fence = eventual_fence(node_eventual(node));
}

static void look_at_other(struct node *node, struct view *view)
{
    const struct node_status *status =
        status_board_find(node_status_board(node), view->node);

    view->catalog = status == NULL ? 0 : status->catalog;
    view->fence = pulls_told(node_pulls(node), view->node).fence;
}

/* Whoever knows more than this node, and for more than a moment; NULL: nobody.
 */
static const struct view *find_ahead(struct node *node,
                                     const struct views *views)
{
    uint64_t own = modes_version(node_modes(node));

    for (size_t i = 0; own != 0 && i < views->count; i++)
        if (views->view[i].catalog > own &&
            is_old(node, views->view[i].catalog))
            return &views->view[i];
    return NULL;
}

/* In ascending order of their ids. */
static void look_at_all(struct node *node, struct views *ret)
{
    uint64_t nodes[NODES_MAX];
    struct view *self = NULL;

    *ret = (struct views){.count = node_all_nodes(node, nodes)};
    for (size_t i = 0; i < ret->count; i++) {
        struct view *view = &ret->view[i];

        view->node = nodes[i];
        if (nodes[i] != node_id(node)) {
            look_at_other(node, view);
            continue;
        }
        look_at_self(node, view);
        self = view;
    }
    if (self != NULL)
        self->is_behind = find_ahead(node, ret) != NULL;
}

/* Of a node that says nothing it is not known. */
static enum mismatch mismatch_of(struct node *node, const struct view *view,
                                 const struct mode *mode)
{
    if (view->catalog == 0)
        return MISMATCH_NONE;
    if (view->is_behind)
        return MISMATCH_BEHIND;
    if (!is_old(node, mode->epoch))
        return MISMATCH_NONE;
    if (view->catalog < mode->epoch)
        return MISMATCH_BEHIND;
    return mode->state == MODE_FENCED && view->fence < mode->epoch
               ? MISMATCH_UNFENCED
               : MISMATCH_NONE;
}

/* ---- the table ---- */

/* A node that knows of this epoch may know of any later entry of region 0. */
static uint64_t acknowledged(const struct view *view, const struct mode *mode)
{
    return view->catalog < mode->epoch ? view->catalog : mode->epoch;
}

static void print_nodes(const struct views *views, const struct mode *mode,
                        FILE *out)
{
    for (size_t i = 0; i < views->count; i++) {
        const struct view *view = &views->view[i];

        (void)fprintf(out, "%s%" PRIu64 ":", i > 0 ? "," : "", view->node);
        status_print_known(out, acknowledged(view, mode));
        (void)fputc(':', out);
        status_print_known(out, view->fence);
    }
}

static void print_mismatches(struct node *node, const struct views *views,
                             const struct mode *mode, FILE *out)
{
    const char *between = "";

    for (size_t i = 0; i < views->count; i++) {
        const struct view *view = &views->view[i];
        enum mismatch kind = mismatch_of(node, view, mode);

        if (kind == MISMATCH_NONE)
            continue;
        (void)fprintf(out, "%sMISMATCH:%" PRIu64 ":%s", between, view->node,
                      mismatch_names[kind]);
        between = ",";
    }
    if (*between == '\0')
        (void)fputc('-', out);
}

static const char *state_text(const struct mode *mode)
{
    if (mode_is_filling(*mode))
        return "filling";
    return mode->state == MODE_FENCED ? "fenced" : "ok";
}

/* One that is being filled is still strong. */
static void print_state(const struct mode *mode, FILE *out)
{
    (void)fprintf(out, " %s %" PRIu64 " %s ",
                  mode->state == MODE_STRONG ? "strong" : "eventual",
                  mode->epoch, state_text(mode));
}

void status_render_modes(struct node *node, FILE *out)
{
    struct views views;
    struct mode mode;
    uint64_t nsid = 0;

    look_at_all(node, &views);
    (void)fputs("# namespace mode epoch state nodes mismatch\n", out);
    for (; modes_next_own(node_modes(node), nsid, &nsid, &mode); nsid++) {
        key_path_print_directory(out, node_env(node)->state, nsid);
        print_state(&mode, out);
        print_nodes(&views, &mode, out);
        (void)fputc(' ', out);
        print_mismatches(node, &views, &mode, out);
        (void)fputc('\n', out);
    }
}

/* ---- health ---- */

/* The directories in which a node differs in one way. */
struct difference {
    size_t count;
    uint64_t nsid; /* the first one */
    uint64_t epoch;
};

static void find_differences(struct node *node, const struct view *view,
                             struct difference ret[MISMATCHES])
{
    struct mode mode;
    uint64_t nsid = 0;

    for (; modes_next_own(node_modes(node), nsid, &nsid, &mode); nsid++) {
        struct difference *kind = &ret[mismatch_of(node, view, &mode)];

        if (kind->count++ > 0)
            continue;
        kind->nsid = nsid;
        kind->epoch = mode.epoch;
    }
}

static void print_difference(struct node *node, const struct view *view,
                             enum mismatch kind,
                             const struct difference *difference, FILE *out)
{
    (void)fprintf(out, "MISMATCH: node %" PRIu64 " ", view->node);
    (void)fputs(kind == MISMATCH_BEHIND
                    ? "knows an older mode of directory "
                    : "has not told that it is behind the fence of directory ",
                out);
    key_path_print_directory(out, node_env(node)->state, difference->nsid);
    if (difference->count > 1)
        (void)fprintf(out, " and of %zu more", difference->count - 1);
    (void)fputs(", since ", out);
    status_print_time(out, stamp_time_ns(difference->epoch));
    (void)fputs(kind == MISMATCH_BEHIND
                    ? ": look at the network between it and the leader of "
                      "region 0\n"
                    : ": see health there\n",
                out);
}

static int report_other(struct node *node, const struct view *view, FILE *out)
{
    struct difference differences[MISMATCHES] = {{.count = 0}};
    int troubles = 0;

    find_differences(node, view, differences);
    for (enum mismatch kind = MISMATCH_BEHIND; kind < MISMATCHES; kind++) {
        if (differences[kind].count == 0)
            continue;
        print_difference(node, view, kind, &differences[kind], out);
        troubles++;
    }
    return troubles;
}

/* What it lacks it cannot say. */
static int report_self(const struct view *self, const struct view *ahead,
                       FILE *out)
{
    (void)fputs("MISMATCH: this node knows directories and their modes as of ",
                out);
    status_print_time(out, stamp_time_ns(self->catalog));
    (void)fprintf(out,
                  ", and node %" PRIu64
                  " knows newer ones: look at the network between this node "
                  "and the leader of region 0\n",
                  ahead->node);
    return 1;
}

int status_report_modes(struct node *node, FILE *out)
{
    struct views views;
    int troubles = 0;

    look_at_all(node, &views);
    for (size_t i = 0; i < views.count; i++) {
        const struct view *view = &views.view[i];

        troubles += view->is_behind
                        ? report_self(view, find_ahead(node, &views), out)
                        : report_other(node, view, out);
    }
    return troubles;
}

/* ---- metrics ---- */

void status_render_modes_metrics(struct node *node, FILE *out)
{
    struct views views;

    look_at_all(node, &views);
    status_metric_head(out, "grovefs_mode_mismatches", "gauge",
                       "Directories of which a node does not know the mode.");
    for (size_t i = 0; i < views.count; i++) {
        struct difference differences[MISMATCHES] = {{.count = 0}};

        if (views.view[i].catalog == 0)
            continue;
        find_differences(node, &views.view[i], differences);
        for (enum mismatch kind = MISMATCH_BEHIND; kind < MISMATCHES; kind++)
            (void)fprintf(out,
                          "grovefs_mode_mismatches{node=\"%" PRIu64
                          "\",kind=\"%s\"} %zu\n",
                          views.view[i].node, mismatch_names[kind],
                          differences[kind].count);
    }
}
