/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/mode_change_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/catalog.h"
#include "engine/domain.h"
#include "engine/eventual.h"
#include "engine/eventual_record.h"
#include "engine/modes.h"
#include "engine/status.h"

enum {
    LOOK_MS = 10,
    AWAY_MS = 1000 /* without a look */
};

/* ---- the end ---- */

/* What it was, and is again where the fence or filling leads to nothing. */
static enum mode_state state_before(const struct mode_change *change)
{
    return change->goal == MODE_TO_EVENTUAL ? MODE_STRONG : MODE_EVENTUAL;
}

static void end(struct mode_change *change, int status)
{
    change->active = false;
    if (status != 0)
        mode_change_say_failed(change, status);
    change->done(change, status);
}

void mode_change_cancel(struct mode_change *change)
{
    if (!change->active)
        return;
    change->active = false;
    catch_up_cancel(&change->catch_up, change->node);
    router_cancel(node_router(change->node), &change->call);
    txns_detach(&change->txn);
    env_timer_stop(node_env(change->node), &change->look);
    if (change->has_fence)
        mode_changes_take_away(node_mode_changes(change->node), change->nsid,
                               change->epoch, state_before(change));
}

static uint64_t now_ns(const struct mode_change *change)
{
    return env_mono_ns(node_env(change->node));
}

/* It is done; whoever asked for it is to see it. */
static void shown(struct catch_up *catch_up, int status)
{
    struct mode_change *change =
        container_of(catch_up, struct mode_change, catch_up);

    if (status == 0)
        mode_change_say_done(change);
    end(change, status == ERR_CANCELED ? status : 0);
}

static void show(struct mode_change *change)
{
    change->catch_up.deadline_ns = change->deadline_ns;
    change->catch_up.done = shown;
    catch_up_start(&change->catch_up, change->node);
}

/* ---- asking region 0 ---- */

static void propose(struct mode_change *change, struct command *command,
                    void (*done)(struct router_call *call, int status,
                                 const struct result *result, uint64_t index))
{
    change->call.kind = CALL_PROPOSE;
    router_to_region(&change->call, REGION_PLACEMENT);
    change->call.deadline_ns = change->deadline_ns;
    change->call.done = done;
    router_call(node_router(change->node), &change->call, command);
}

static void
propose_mode(struct mode_change *change, enum mode_state state, uint64_t epoch,
             void (*done)(struct router_call *call, int status,
                          const struct result *result, uint64_t index))
{
    struct command command = {
        .op = COMMAND_DIR_MODE,
        .ino = ino_of_nsid(change->nsid),
        .size = state,
        .offset = epoch,
    };

    propose(change, &command, done);
}

static void unfenced(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct mode_change *change = container_of(call, struct mode_change, call);

    (void)result;
    (void)index;
    end(change, status == ERR_CANCELED ? status : change->status);
}

/* Takes the fence away, and ends with `status`. */
static void give_up(struct mode_change *change, int status)
{
    change->status = status;
    change->deadline_ns = now_ns(change) + (uint64_t)FENCE_MS * 1000000;
    propose_mode(change, state_before(change), change->epoch, unfenced);
}

/* ---- behind the fence ---- */

static void decided(struct mode_change *change, int status)
{
    if (status == 0) {
        mode_change_say_left_out(change);
        show(change);
    } else if (status == ERR_UNKNOWN_OUTCOME || status == ERR_CANCELED) {
        end(change, status);
    } else if (!change->has_fence) {
        end(change, status == ERR_ABORTED ? ERR_BUSY : status);
    } else {
        give_up(change, status == ERR_ABORTED ? ERR_BUSY : status);
    }
}

static void wait_for_nodes(struct mode_change *change);

static void txn_decided(struct txn_op *txn, int status, const struct attr *attr)
{
    struct mode_change *change = container_of(txn, struct mode_change, txn);

    (void)attr;
    change->has_said = txn->has_said;
    if (change->has_fence && status == ERR_NO_QUORUM)
        mode_change_say_not_brought(change);
    if (change->has_fence && status == ERR_UNAVAILABLE)
        mode_change_say_not_ready(change);
    /* Not for lack of a majority: that has taken the fence. */
    if (change->has_fence &&
        (status == ERR_NO_QUORUM || status == ERR_UNAVAILABLE))
        status = ERR_BUSY;
    if (status == ERR_NOT_EMPTY && change->goal == MODE_TO_EVENTUAL &&
        !change->has_fence && !change->only_empty)
        wait_for_nodes(change);
    else
        decided(change, status);
}

static void entry_decided(struct router_call *call, int status,
                          const struct result *result, uint64_t index)
{
    struct mode_change *change = container_of(call, struct mode_change, call);

    (void)result;
    (void)index;
    if (status == ERR_TOO_LARGE)
        mode_change_say_too_large(change);
    decided(change, status);
}

/* Changes wait for a fence to go, but not for ever. */
static uint64_t decision_deadline(const struct mode_change *change)
{
    return change->goal != MODE_REMOVE && change->has_fence &&
                   change->fence_until_ns < change->deadline_ns
               ? change->fence_until_ns
               : change->deadline_ns;
}

/* Of the place that the directory had when this began: whoever moves it
 * meanwhile has us fail. */
static void decide(struct mode_change *change)
{
    struct command *command = &change->command;

    command->offset = change->has_fence ? change->epoch : 0;
    if (change->goal == MODE_REMOVE) {
        command->op = COMMAND_DIR_REMOVE;
        propose(change, command, entry_decided);
        return;
    }
    command->txn_kind =
        change->goal == MODE_TO_EVENTUAL ? TXN_TO_EVENTUAL : TXN_TO_STRONG;
    change->txn.has_no_place = change->is_below;
    change->txn.inherits = change->inherits;
    change->txn.deadline_ns = decision_deadline(change);
    change->txn.done = txn_decided;
    if (change->left_out.count > 0)
        change->txn.left_out = left_out_encode(&change->left_out);
    txns_start(node_txns(change->node), &change->txn, command);
    buf_unref(change->txn.left_out);
    change->txn.left_out = NULL;
}

/* ---- waiting for all nodes ---- */

static int check_empty(const struct mode_change *change)
{
    struct kv *state = node_env(change->node)->state;
    struct eventual_namespace record;
    bool occupied = false;
    int rc = eventual_namespace_get(state, NULL, change->nsid, &record);

    if (rc == 0 && record.entry_count != 0)
        return ERR_NOT_EMPTY;
    if (rc == 0)
        rc = catalog_has_child(state, change->nsid, &occupied);
    return rc == 0 && occupied ? ERR_NOT_EMPTY : rc;
}

/* What is in it goes with it to where it becomes strong. */
static int check_content(const struct mode_change *change)
{
    return change->goal == MODE_REMOVE || change->only_empty
               ? check_empty(change)
               : 0;
}

static bool epoch_is_here(const struct mode_change *change)
{
    return modes_version(node_modes(change->node)) >= change->epoch;
}

static bool all_have_told(struct mode_change *change)
{
    struct pulls *pulls = node_pulls(change->node);

    return change->force
               ? pulls_are_drained_without(pulls, change->epoch,
                                           &change->absence, &change->left_out,
                                           &change->missing)
               : pulls_are_drained(pulls, change->epoch, &change->missing);
}

static void look(struct env_timer *timer)
{
    struct mode_change *change = container_of(timer, struct mode_change, look);
    int rc;

    if (epoch_is_here(change) && all_have_told(change)) {
        rc = check_content(change);
        if (rc == 0)
            decide(change);
        else
            give_up(change, rc);
    } else if (now_ns(change) >= change->fence_until_ns) {
        mode_change_say_missing(change);
        give_up(change, ERR_NO_QUORUM);
    } else {
        env_timer_start(node_env(change->node), timer,
                        (uint64_t)LOOK_MS * 1000000);
    }
}

/* Files are brought only where this node knows of their life. */
static void look_for_epoch(struct env_timer *timer)
{
    struct mode_change *change = container_of(timer, struct mode_change, look);

    if (epoch_is_here(change) || now_ns(change) >= change->fence_until_ns)
        decide(change);
    else
        env_timer_start(node_env(change->node), timer,
                        (uint64_t)LOOK_MS * 1000000);
}

static void fenced(struct router_call *call, int status,
                   const struct result *result, uint64_t index)
{
    struct mode_change *change = container_of(call, struct mode_change, call);

    (void)index;
    if (status == ERR_TOO_LARGE)
        mode_change_say_too_large(change);
    if (status != 0) {
        end(change, status == ERR_ABORTED ? ERR_BUSY : status);
        return;
    }
    change->epoch = result->first_id;
    change->has_fence = true;
    change->fence_until_ns = now_ns(change) + (uint64_t)FENCE_MS * 1000000;
    change->look.fire =
        change->goal == MODE_TO_EVENTUAL ? look_for_epoch : look;
    change->look.fire(&change->look);
}

static void propose_filling(struct mode_change *change)
{
    struct command command = {.op = COMMAND_DIR_FILL,
                              .ino = ino_of_nsid(change->nsid)};

    propose(change, &command, fenced);
}

/* No fence without hope. It is this node that accepts what a directory is
 * filled with. */
static void look_for_nodes(struct env_timer *timer)
{
    struct mode_change *change = container_of(timer, struct mode_change, look);
    struct node *node = change->node;
    bool fills = change->goal == MODE_TO_EVENTUAL;
    int own = fills ? eventual_readiness(node_eventual(node)) : 0;

    if (own == ERR_READ_ONLY) {
        end(change, own);
    } else if (own == 0 && pulls_hear_all(node_pulls(node), &change->missing)) {
        if (fills)
            propose_filling(change);
        else
            propose_mode(change, MODE_FENCED, change->epoch, fenced);
    } else if (now_ns(change) < change->fence_until_ns) {
        env_timer_start(node_env(node), timer, (uint64_t)LOOK_MS * 1000000);
    } else if (own != 0) {
        mode_change_say_not_ready(change);
        end(change, ERR_BUSY);
    } else {
        mode_change_say_missing(change);
        end(change, ERR_NO_QUORUM);
    }
}

/* What others have sent may wait here when this node itself was away: then
 * nobody counts as silent. */
static void notice_pause(struct mode_change *change)
{
    uint64_t now = now_ns(change);

    if (now - change->looked_ns >= (uint64_t)AWAY_MS * 1000000)
        change->absence.since_ns = now;
    change->looked_ns = now;
}

static void look_who_is_there(struct env_timer *timer)
{
    struct mode_change *change = container_of(timer, struct mode_change, look);

    notice_pause(change);
    if (pulls_know_who_is_there(node_pulls(change->node), &change->absence))
        propose_mode(change, MODE_FENCED, change->epoch, fenced);
    else if (now_ns(change) < change->deadline_ns)
        env_timer_start(node_env(change->node), timer,
                        (uint64_t)LOOK_MS * 1000000);
    else
        end(change, ERR_NO_QUORUM);
}

static void find_out_who_is_there(struct mode_change *change)
{
    change->looked_ns = now_ns(change);
    change->absence.since_ns = change->looked_ns;
    change->look.fire = look_who_is_there;
    look_who_is_there(&change->look);
}

static void wait_for_nodes(struct mode_change *change)
{
    change->fence_until_ns =
        now_ns(change) + (uint64_t)STATUS_SILENT_MS * 1000000;
    change->look.fire = look_for_nodes;
    look_for_nodes(&change->look);
}

/* `epoch` is that of the mode it has. */
static void fence(struct mode_change *change, uint64_t epoch)
{
    int rc = check_content(change);

    change->epoch = epoch;
    if (rc != 0)
        end(change, rc);
    else if (change->force)
        find_out_who_is_there(change);
    else
        wait_for_nodes(change);
}

/* ---- start ---- */

static void keep_place(struct mode_change *change,
                       const struct directory *directory)
{
    assert(directory->name.size <= NAME_SIZE_MAX);
    if (directory->name.size > 0)
        memcpy(change->name, directory->name.data, directory->name.size);
    change->command = (struct command){
        .dir = directory->parent,
        .name = {change->name, directory->name.size},
        .ino = ino_of_nsid(directory->nsid),
    };
}

static void own(struct mode_change *change, uint64_t epoch)
{
    struct command command = {
        .op = COMMAND_DIR_OWN,
        .ino = ino_of_nsid(change->nsid),
        .size = change->goal == MODE_INHERIT ? 0 : 1,
        .offset = epoch,
    };

    propose(change, &command, entry_decided);
}

/* A strong one that is to be as the one above it is to be eventual. */
static void become_eventual(struct mode_change *change)
{
    change->inherits = change->goal == MODE_INHERIT;
    change->goal = MODE_TO_EVENTUAL;
    decide(change);
}

static void take(struct mode_change *change, enum mode_step step,
                 uint64_t epoch)
{
    switch (step) {
    case MODE_STEP_NONE:
        end(change, 0);
        return;
    case MODE_STEP_CLOSE:
        become_eventual(change);
        return;
    case MODE_STEP_FENCE:
        fence(change, epoch);
        return;
    case MODE_STEP_OWN:
        own(change, epoch);
    }
}

/* `ret_parent`: the mode of the directory that it is in. The root is in none.
 */
static int look_up(const struct mode_change *change, struct directory *ret,
                   struct mode *ret_parent)
{
    struct kv *state = node_env(change->node)->state;
    struct directory parent = {0};
    int rc = catalog_get(state, NULL, change->nsid, ret);

    if (rc == 0 && ret->parent != 0)
        rc = catalog_get(state, NULL, ret->parent, &parent);
    *ret_parent = parent.mode;
    directory_release(&parent);
    return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
}

static void caught_up(struct catch_up *catch_up, int status)
{
    struct mode_change *change =
        container_of(catch_up, struct mode_change, catch_up);
    struct directory directory = {0};
    struct mode parent = {0};
    enum mode_step step = MODE_STEP_NONE;
    int rc = status != 0 ? status : look_up(change, &directory, &parent);

    if (rc == 0)
        rc = mode_goal_step(change->goal, change->nsid, directory.mode, parent,
                            &step);
    if (rc == 0) {
        keep_place(change, &directory);
        change->is_below = parent.state != MODE_STRONG;
        take(change, step, directory.mode.epoch);
    } else {
        end(change, rc);
    }
    directory_release(&directory);
}

void mode_change_start(struct mode_change *change, struct node *node)
{
    assert(!change->force || change->goal == MODE_TO_STRONG);

    change->node = node;
    change->active = true;
    change->epoch = 0;
    change->has_fence = false;
    change->has_said = false;
    change->inherits = false;
    change->left_out = (struct left_out){.count = 0};
    change->txn.left_out = NULL;
    change->catch_up.deadline_ns = change->deadline_ns;
    change->catch_up.done = caught_up;
    catch_up_start(&change->catch_up, node);
}
