/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/restamp.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/clocks.h"
#include "engine/eventual.h"
#include "engine/eventual_damage.h"
#include "engine/floor.h"
#include "engine/pull.h"
#include "engine/stamps.h"

enum {
    AHEAD_MIN_MS = 2 * MAX_DRIFT_MS, /* less is over before it is done */
    QUIET_MS = 5000,                 /* for others to ask again */
    SOON_SECONDS = 5,                /* until what is known of clocks is new */
    AGAIN_SECONDS = 60               /* when it could not be done */
};

enum phase {
    PHASE_NONE,
    PHASE_LOOKS,      /* whether it could be done */
    PHASE_TAKES_BACK, /* the promise */
    PHASE_QUIETS,     /* the others */
    PHASE_WRITES
};

struct restamps {
    struct node *node;
    enum phase phase;
    unsigned pause_seconds; /* until it is tried again */
    uint64_t ahead_ms;      /* when it was begun */
    uint64_t until_ns;      /* others are waited for */
    int said;               /* what was in the way last; 0: nothing */
    struct eventual_restamp restamp;
};

struct restamps *restamps_new(struct node *node)
{
    struct restamps *restamps = mem_zalloc(sizeof *restamps);

    restamps->node = node;
    return restamps;
}

void restamps_stop(struct restamps *restamps)
{
    restamps->phase = PHASE_NONE;
}

void restamps_free(struct restamps *restamps)
{
    free(restamps);
}

static struct eventual *own(const struct restamps *restamps)
{
    return node_eventual(restamps->node);
}

uint64_t restamps_ahead_ms(const struct restamps *restamps)
{
    struct eventual_floor_view view;
    uint64_t wall_ns = 0;
    uint64_t end_ms;

    eventual_floor_look(own(restamps), &view);
    if (clocks_read(node_clocks(restamps->node), &wall_ns) != 0)
        return 0;
    end_ms = wall_ns / 1000000 + AHEAD_MIN_MS;
    if (view.clock >> STAMP_COUNTER_BITS <= end_ms)
        return 0;
    return (view.clock >> STAMP_COUNTER_BITS) - wall_ns / 1000000;
}

/* ---- the end of an attempt ---- */

static void rest(struct restamps *restamps, unsigned seconds)
{
    if (restamps->phase >= PHASE_QUIETS)
        pulls_hold(node_pulls(restamps->node), false);
    if (restamps->phase >= PHASE_TAKES_BACK)
        eventual_promise_again(own(restamps));
    restamps->phase = PHASE_NONE;
    restamps->pause_seconds = seconds;
}

static void say(struct restamps *restamps, int status)
{
    if (status == 0 && restamps->restamp.count > 0)
        node_log_event(restamps->node, LOG_WARN,
                       "this node's clock was ahead: %" PRIu64
                       " of its changes in eventual directories, stamped up "
                       "to %.1f s ahead, have new versions",
                       restamps->restamp.count,
                       (double)restamps->ahead_ms / 1000);
    else if (status != 0 && status != restamps->said)
        node_log_event(restamps->node, LOG_WARN,
                       "changes of this node that are up to %.1f s ahead of "
                       "its clock cannot be given new versions: %s",
                       (double)restamps->ahead_ms / 1000,
                       status == ERR_BUSY ? "other nodes have such changes, too"
                                          : err_text(status));
    restamps->said = status;
}

/* ---- what it takes ---- */

/* Rule 1. */
static bool may_begin(const struct restamps *restamps)
{
    struct node *node = restamps->node;

    return eventual_has_all(own(restamps)) &&
           clocks_all_agree(node_clocks(node));
}

static bool is_member(const struct restamps *restamps,
                      struct floor_members *ret)
{
    return floor_members_get(node_env(restamps->node)->state, ret) == 0 &&
           floor_has_member(ret, node_id(restamps->node));
}

static void done(struct eventual_restamp *restamp, int status);

static bool start(struct restamps *restamps, bool writes)
{
    struct eventual_restamp *restamp = &restamps->restamp;

    *restamp = (struct eventual_restamp){.writes = writes, .done = done};
    if (!pulls_seen(node_pulls(restamps->node), &restamp->seen))
        return false;
    eventual_restamp_start(own(restamps), restamp);
    return true;
}

/* ---- its way ---- */

static void done(struct eventual_restamp *restamp, int status)
{
    struct restamps *restamps = container_of(restamp, struct restamps, restamp);
    struct floor_members members;

    if (status == ERR_CANCELED)
        return;
    if (status == 0 && !restamp->writes && is_member(restamps, &members)) {
        eventual_unpromise(own(restamps), members.roll);
        restamps->phase = PHASE_TAKES_BACK;
        return;
    }
    if (status != 0 || restamp->writes)
        say(restamps, status);
    rest(restamps,
         status == 0 && restamp->writes ? SOON_SECONDS : AGAIN_SECONDS);
}

static void look(struct restamps *restamps)
{
    restamps->ahead_ms = restamps_ahead_ms(restamps);
    if (restamps->ahead_ms != 0 && may_begin(restamps) &&
        start(restamps, false))
        restamps->phase = PHASE_LOOKS;
}

static void take_back(struct restamps *restamps)
{
    struct floor_members members;

    if (!may_begin(restamps) || !is_member(restamps, &members)) {
        rest(restamps, SOON_SECONDS);
    } else if (eventual_has_unpromised(own(restamps), members.roll)) {
        pulls_hold(node_pulls(restamps->node), true);
        restamps->until_ns = env_mono_ns(node_env(restamps->node)) +
                             (uint64_t)QUIET_MS * 1000000;
        restamps->phase = PHASE_QUIETS;
    }
}

static void wait_for_others(struct restamps *restamps)
{
    bool is_over = env_mono_ns(node_env(restamps->node)) >= restamps->until_ns;

    if (!may_begin(restamps) || is_over)
        rest(restamps, AGAIN_SECONDS);
    else if (pulls_are_quiet(node_pulls(restamps->node)) &&
             start(restamps, true))
        restamps->phase = PHASE_WRITES;
}

void restamps_tick(struct restamps *restamps)
{
    eventual_restamp_tick(own(restamps));
    if (restamps->phase == PHASE_TAKES_BACK)
        take_back(restamps);
    if (restamps->phase == PHASE_QUIETS)
        wait_for_others(restamps);
}

void restamps_each_second(struct restamps *restamps)
{
    if (restamps->pause_seconds > 0)
        restamps->pause_seconds--;
    else if (restamps->phase == PHASE_NONE)
        look(restamps);
}
