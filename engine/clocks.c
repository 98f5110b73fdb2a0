/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/clocks.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/stamps.h"
#include "engine/status.h"

enum {
    WINDOW_SECONDS = 5,
    SURE_SECONDS = 3, /* that a clock is seen to be wrong, or right again */
    MAJORITY_MIN = 3
};

static const int64_t max_drift_ns = (int64_t)MAX_DRIFT_MS * 1000000;
static const int64_t unknown = INT64_MIN;
/* In the year 2116: all later ones are wrong alike, and sums stay sums. */
static const int64_t wall_max_ns = INT64_MAX / 2;

/* A node's clock. Differences are taken from this node's monotonic clock, so
 * that a step of its own clock does not make them wrong. */
struct clock {
    uint64_t node;                   /* 0: free */
    int64_t seconds[WINDOW_SECONDS]; /* the greatest of each; the first is the
                                      * one that runs */
    int64_t offset_ns;               /* as it was judged */
    int64_t deviation_ns;
    bool judged;
    unsigned doubts; /* seconds that speak against what it counts as */
    int64_t since_ns;
};

struct clocks {
    struct node *node;
    struct clock clocks[NODES_MAX]; /* the first one is this node's */
    size_t judged_count;
    /* This node's wall clock less its monotonic one: now; and as it was when it
     * was last believed, or unknown. */
    int64_t own_ns;
    atomic_int_fast64_t believed_ns;
    atomic_bool differs;      /* as of the last comparison */
    bool was_compared;        /* since the node has started */
    unsigned unheard_seconds; /* before it was */
};

struct clocks *clocks_new(struct node *node)
{
    struct clocks *clocks = mem_zalloc(sizeof *clocks);

    clocks->node = node;
    clocks->clocks[0].node = node_id(node);
    clocks->believed_ns = unknown;
    return clocks;
}

void clocks_free(struct clocks *clocks)
{
    free(clocks);
}

static struct clock *find(struct clocks *clocks, uint64_t node_id)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        if (clocks->clocks[i].node == node_id)
            return &clocks->clocks[i];
    return NULL;
}

/* ---- what comes in ---- */

static struct clock *make(struct clocks *clocks, uint64_t node_id)
{
    struct clock *clock = find(clocks, 0);

    if (clock == NULL)
        return NULL;
    *clock = (struct clock){.node = node_id};
    for (size_t i = 0; i < WINDOW_SECONDS; i++)
        clock->seconds[i] = unknown;
    return clock;
}

void clocks_hear(struct clocks *clocks, uint64_t node_id, int64_t wall_ns)
{
    int64_t mono_ns = (int64_t)env_mono_ns(node_env(clocks->node));
    struct clock *clock = find(clocks, node_id);

    if (clock == NULL)
        clock = make(clocks, node_id);
    if (clock == NULL || clock == &clocks->clocks[0] || wall_ns < 0)
        return;
    if (wall_ns > wall_max_ns)
        wall_ns = wall_max_ns;
    if (wall_ns - mono_ns > clock->seconds[0])
        clock->seconds[0] = wall_ns - mono_ns;
}

/* Of those that cannot be reached nothing is remembered. */
static void forget_silent(struct clocks *clocks)
{
    const struct status_board *board = node_status_board(clocks->node);

    for (size_t i = 1; i < NODES_MAX; i++)
        if (status_board_find(board, clocks->clocks[i].node) == NULL)
            clocks->clocks[i] = (struct clock){0};
}

/* ---- judging ---- */

/* Of the other clock, ahead of this node's; or unknown. */
static int64_t measure(const struct clocks *clocks, const struct clock *clock)
{
    int64_t best_ns = clock->seconds[0];

    if (clock == &clocks->clocks[0])
        return 0;
    for (size_t i = 1; i < WINDOW_SECONDS; i++)
        if (clock->seconds[i] > best_ns)
            best_ns = clock->seconds[i];
    return best_ns == unknown ? unknown : best_ns - clocks->own_ns;
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static int64_t find_median(struct clocks *clocks)
{
    int64_t offsets[NODES_MAX];
    size_t count = 0;

    for (size_t i = 0; i < NODES_MAX; i++)
        if (clocks->clocks[i].judged)
            offsets[count++] = clocks->clocks[i].offset_ns;
    qsort(offsets, count, sizeof offsets[0], compare_numbers);
    clocks->judged_count = count;
    return offsets[(count - 1) / 2];
}

static void say(const struct clocks *clocks, const struct clock *clock)
{
    if (clock->since_ns == 0)
        node_log_event(clocks->node, LOG_INFO,
                       "the clock of node %" PRIu64 " is right again",
                       clock->node);
    else
        node_log_event(clocks->node, LOG_WARN,
                       "the clock of node %" PRIu64
                       " is %.3f s %s the median of %zu nodes%s",
                       clock->node, (double)llabs(clock->deviation_ns) / 1e9,
                       clock->deviation_ns > 0 ? "ahead of" : "behind",
                       clocks->judged_count,
                       clock == &clocks->clocks[0] &&
                               clocks->judged_count >= MAJORITY_MIN
                           ? ": this node hands over what it leads"
                           : "");
}

/* Within half of the limit a clock is right again, so that one at the limit
 * does not flap. */
static void judge(const struct clocks *clocks, struct clock *clock)
{
    bool wrong = clock->since_ns != 0;
    int64_t limit_ns = wrong ? max_drift_ns / 2 : max_drift_ns;
    bool outside = llabs(clock->deviation_ns) > limit_ns;

    clock->doubts = outside == wrong ? 0 : clock->doubts + 1;
    if (clock->doubts < SURE_SECONDS)
        return;
    clock->doubts = 0;
    clock->since_ns =
        outside ? (int64_t)env_wall_ns(node_env(clocks->node)) : 0;
    say(clocks, clock);
}

static void begin_second(struct clock *clock)
{
    for (size_t i = WINDOW_SECONDS - 1; i > 0; i--)
        clock->seconds[i] = clock->seconds[i - 1];
    clock->seconds[0] = unknown;
}

/* ---- believing this node's own clock ---- */

static void read_own(struct clocks *clocks)
{
    struct env *env = node_env(clocks->node);

    clocks->own_ns = (int64_t)env_wall_ns(env) - (int64_t)env_mono_ns(env);
}

static bool is_alone(const struct clocks *clocks)
{
    uint64_t nodes[NODES_MAX];

    return node_all_nodes(clocks->node, nodes) == 1;
}

static bool has_jumped(const struct clocks *clocks)
{
    int64_t believed_ns = clocks->believed_ns;

    return believed_ns == unknown ||
           llabs(clocks->own_ns - believed_ns) > max_drift_ns;
}

/* A node that starts where it hears nobody has to go on alone. */
static bool hears_nobody(struct clocks *clocks)
{
    return clocks->believed_ns == unknown && !clocks->was_compared &&
           ++clocks->unheard_seconds >= SURE_SECONDS;
}

/* One that drifts is followed: it is judged as all are. */
static void believe(struct clocks *clocks)
{
    bool compared = clocks->judged_count > 1;
    bool agrees =
        compared && llabs(clocks->clocks[0].deviation_ns) <= max_drift_ns;

    clocks->differs = compared && !agrees;
    clocks->was_compared = clocks->was_compared || compared;
    if (agrees || !has_jumped(clocks) || is_alone(clocks) ||
        hears_nobody(clocks))
        clocks->believed_ns = clocks->own_ns;
    if (!agrees && clocks_is_wrong(clocks, node_id(clocks->node)))
        clocks->believed_ns = unknown;
}

void clocks_tick(struct clocks *clocks)
{
    if (clocks->believed_ns != unknown || !is_alone(clocks))
        return;
    read_own(clocks);
    clocks->believed_ns = clocks->own_ns;
}

int clocks_read(const struct clocks *clocks, uint64_t *ret_wall_ns)
{
    struct env *env = node_env(clocks->node);
    int64_t believed_ns = clocks->believed_ns;
    int64_t before_ns = (int64_t)env_mono_ns(env);
    int64_t wall_ns = (int64_t)env_wall_ns(env);
    int64_t after_ns = (int64_t)env_mono_ns(env);

    /* Time that passes between the readings is no jump. */
    if (believed_ns == unknown ||
        wall_ns - before_ns < believed_ns - max_drift_ns ||
        wall_ns - after_ns > believed_ns + max_drift_ns)
        return clocks->differs ? ERR_READ_ONLY : ERR_UNAVAILABLE;
    *ret_wall_ns = (uint64_t)wall_ns;
    return 0;
}

bool clocks_is_doubted(const struct clocks *clocks)
{
    return has_jumped(clocks) && clocks->judged_count == 1 &&
           (clocks->was_compared || clocks->believed_ns != unknown);
}

/* ---- all of it ---- */

void clocks_each_second(struct clocks *clocks)
{
    int64_t median_ns;

    read_own(clocks);
    forget_silent(clocks);
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct clock *clock = &clocks->clocks[i];
        int64_t offset_ns = clock->node == 0 ? unknown : measure(clocks, clock);

        clock->judged = offset_ns != unknown;
        clock->offset_ns = clock->judged ? offset_ns : 0;
    }
    median_ns = find_median(clocks);
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct clock *clock = &clocks->clocks[i];

        if (!clock->judged)
            continue;
        clock->deviation_ns = clock->offset_ns - median_ns;
        judge(clocks, clock);
        begin_second(clock);
    }
    believe(clocks);
}

/* ---- what is known ---- */

bool clocks_find(const struct clocks *clocks, uint64_t node_id,
                 struct clock_view *ret)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct clock *clock = &clocks->clocks[i];

        if (clock->node != node_id || !clock->judged)
            continue;
        *ret = (struct clock_view){
            .offset_ns = clock->offset_ns,
            .deviation_ns = clock->deviation_ns,
            .since_ns = clock->since_ns,
            .by_majority = clocks->judged_count >= MAJORITY_MIN,
        };
        return true;
    }
    return false;
}

bool clocks_all_agree(const struct clocks *clocks)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(clocks->node, nodes);

    for (size_t i = 0; i < count; i++) {
        struct clock_view view;

        if (!clocks_find(clocks, nodes[i], &view) || view.since_ns != 0 ||
            llabs(view.deviation_ns) > max_drift_ns)
            return false;
    }
    return count > 0;
}

bool clocks_is_wrong(const struct clocks *clocks, uint64_t node_id)
{
    struct clock_view view;

    return clocks_find(clocks, node_id, &view) && view.since_ns != 0 &&
           view.by_majority;
}
