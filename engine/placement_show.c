/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/placement_show.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/keys.h"
#include "engine/placement.h"
#include "engine/settings.h"
#include "engine/status.h"

static const char *const step_names[STEP_KINDS] = {
    [STEP_NONE] = "-",
    [STEP_WAIT] = "wait",
    [STEP_FAIL] = "-",
    [STEP_REPORT] = "-",
    [STEP_ADD] = "add",
    [STEP_VOTERS] = "voters",
    [STEP_LEAVE] = "leave",
    [STEP_REMOVE] = "remove",
    [STEP_TRANSFER] = "transfer",
    [STEP_MERGE] = "merge",
};

/* ---- what there is ---- */

static struct operator_view view_of_goal(const struct goal *goal)
{
    struct operator_view view = {
        .region = goal->region,
        .from = goal->from,
        .to = goal->to,
        .manual = true,
        .begin_ns = goal->begin_ns,
        .end_ns = goal->end_ns,
        .status = goal->status,
        .step = goal_is_running(goal) ? STEP_WAIT : STEP_NONE,
    };

    (void)snprintf(view.why, sizeof view.why, "%s", goal->why);
    return view;
}

static const struct operator_view *find_told(const struct node *node,
                                             uint64_t region, bool manual)
{
    const struct operators_view *told =
        placement_operators(node_placement(node));

    for (size_t i = told->count; i > 0; i--)
        if (told->operators[i - 1].region == region &&
            told->operators[i - 1].manual == manual)
            return &told->operators[i - 1];
    return NULL;
}

/* The record says whether it is running; region 0's leader, how it goes. */
static struct operator_view view_of_manual(const struct node *node,
                                           const struct goal *goal)
{
    struct operator_view view = view_of_goal(goal);
    const struct operator_view *told = find_told(node, goal->region, true);

    if (!goal_is_running(goal) || told == NULL ||
        told->begin_ns != goal->begin_ns || told->end_ns != 0)
        return view;
    return *told;
}

/* Whether what was set by hand comes after what was not: their clocks are of
 * different nodes and count only where region 0's leader does not say which
 * one began first. */
static bool is_later(const struct node *node, const struct goal *goal,
                     const struct operator_view *automatic)
{
    const struct operator_view *told = find_told(node, goal->region, true);

    if (goal_is_running(goal) || automatic == NULL)
        return true;
    if (told != NULL && told->begin_ns == goal->begin_ns)
        return told > automatic; /* In one list. */
    return goal->begin_ns > automatic->begin_ns;
}

/* The later one of the two. */
static bool find_view(struct node *node, uint64_t region,
                      struct operator_view *ret)
{
    const struct operator_view *automatic = find_told(node, region, false);
    struct goal goal;
    bool has_goal =
        placement_read_goal(node_env(node)->state, region, &goal) == 0;

    if (has_goal && is_later(node, &goal, automatic))
        *ret = view_of_manual(node, &goal);
    else if (automatic != NULL)
        *ret = *automatic;
    return has_goal || automatic != NULL;
}

/* ---- printing ---- */

static void print_goal(const struct operator_view *view, FILE *out)
{
    if (view->into != 0)
        (void)fprintf(out, "into %" PRIu64, view->into);
    else if (view->leader != 0)
        (void)fprintf(out, "leader %" PRIu64, view->leader);
    else if (view->from != 0 && view->to != 0)
        (void)fprintf(out, "%" PRIu64 " %" PRIu64, view->from, view->to);
    else if (view->to != 0)
        (void)fprintf(out, "+%" PRIu64, view->to);
    else if (view->from != 0)
        (void)fprintf(out, "-%" PRIu64, view->from);
    else
        (void)fputs("roles", out);
}

static const char *result_of(const struct operator_view *view)
{
    if (view->end_ns == 0)
        return "running";
    if (view->status == 0)
        return "done";
    return view->status == ERR_CANCELED ? "canceled" : "failed";
}

static double seconds_of(struct node *node, const struct operator_view *view)
{
    int64_t end_ns =
        view->end_ns != 0 ? view->end_ns : (int64_t)env_wall_ns(node_env(node));

    return end_ns > view->begin_ns ? (double)(end_ns - view->begin_ns) / 1e9
                                   : 0;
}

/* A column has no blanks. */
static void print_column(const char *text, FILE *out)
{
    if (text[0] == '\0')
        (void)fputc('-', out);
    for (; *text != '\0'; text++) {
        if (*text > ' ' && *text <= '~' && *text != '\\')
            (void)fputc(*text, out);
        else
            (void)fprintf(out, "\\%03o", (unsigned char)*text);
    }
}

static void print_row(struct node *node, const struct operator_view *view,
                      FILE *out)
{
    (void)fprintf(out, "%" PRIu64 " ", view->region);
    status_print_known(out, view->from);
    (void)fputc(' ', out);
    status_print_known(out, view->to);
    (void)fputc(' ', out);
    status_print_known(out, view->leader);
    (void)fprintf(out, " %s %s %u %.1f %s ", view->manual ? "hand" : "auto",
                  step_names[view->step], view->percent, seconds_of(node, view),
                  result_of(view));
    print_column(view->why, out);
    (void)fputc(' ', out);
    status_print_known(out, view->into);
    (void)fputc('\n', out);
}

/* ---- files ---- */

static void print_goals(struct node *node, FILE *out)
{
    struct key lower = key_goal(0);
    struct key upper = key_goal(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(node_env(node)->state, NULL,
                                       key_slice(&lower), key_slice(&upper));

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct operator_view view;
        struct goal goal;

        if (goal_decode(&goal, kv_iter_value(iter)) != 0)
            continue;
        view = view_of_manual(node, &goal);
        print_row(node, &view, out);
    }
    kv_iter_free(iter);
}

void placement_render_operators(struct node *node, FILE *out)
{
    const struct operators_view *told =
        placement_operators(node_placement(node));

    (void)fputs("# region from to leader by step progress_percent seconds "
                "result reason into\n",
                out);
    print_goals(node, out);
    for (size_t i = 0; i < told->count; i++)
        if (!told->operators[i].manual)
            print_row(node, &told->operators[i], out);
}

void placement_render_operator(struct node *node, uint64_t region, FILE *out)
{
    struct operator_view view;

    if (!find_view(node, region, &view)) {
        (void)fputs("result -\n", out);
        return;
    }
    (void)fputs("goal ", out);
    print_goal(&view, out);
    (void)fprintf(out, "\nby %s\nstep %s\nprogress_percent %u\nseconds %.1f\n",
                  view.manual ? "hand" : "auto", step_names[view.step],
                  view.percent, seconds_of(node, &view));
    (void)fprintf(out, "result %s\nreason %s\n", result_of(&view),
                  view.why[0] != '\0' ? view.why : "-");
}

void placement_print_move(struct node *node, uint64_t region, FILE *out)
{
    struct goal goal;
    struct operator_view view;

    if (placement_read_goal(node_env(node)->state, region, &goal) != 0) {
        (void)fputc('-', out);
        return;
    }
    view = view_of_goal(&goal);
    print_goal(&view, out);
}

int placement_render_setting(struct node *node, enum engine_table table,
                             FILE *out)
{
    enum setting setting = (enum setting)(table - TABLE_SETTING_REPLICAS);
    struct settings settings;
    int rc = settings_read(node_env(node)->state, &settings);

    assert(setting < SETTINGS);
    if (rc == 0)
        setting_print(setting, settings.value[setting], out);
    return rc;
}
