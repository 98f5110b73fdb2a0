/* SPDX-License-Identifier: Apache-2.0 */

/* Commands of the placement group (region 0) that steer it: goals, settings,
 * and what it is told of regions that are no more.
 *
 * Whether a goal can be reached is not asked here, but by its leader before
 * (placement.h): where the regions' replicas are is known in its memory
 * only. */

#include <assert.h>

#include "engine/exec.h"
#include "engine/node.h"
#include "engine/placement.h"
#include "engine/settings.h"

static void put_goal(struct exec *x, const struct goal *goal)
{
    struct key key = key_goal(goal->region);
    struct buf *bytes = goal_encode(goal);

    kv_batch_put(x->batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

/* 0: it is a member. ERR_NOT_FOUND: not, or not any more. */
static int check_node(struct exec *x, uint64_t id)
{
    struct key key = key_node(id);
    struct kv_value value = {0};
    struct node_record node = {0};
    int rc = kv_get(x->state, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = node_decode(&node, (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc == 0 && node.state == NODE_REMOVED)
        rc = ERR_NOT_FOUND;
    return rc;
}

int exec_begin_goal(struct exec *x)
{
    struct goal goal = x->command->goal;
    struct goal last = {0};
    int rc;

    if (goal.region == 0 || goal.from == goal.to)
        return ERR_INVALID;
    rc = goal.to == 0 ? 0 : check_node(x, goal.to);
    if (rc != 0)
        return rc;
    rc = placement_read_goal(x->state, goal.region, &last);
    if (rc == 0 && goal_is_running(&last))
        return ERR_BUSY;
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    goal.id = x->version;
    goal.begin_ns = x->command->now_ns;
    goal.end_ns = 0;
    goal.status = 0;
    goal.why[0] = '\0';
    put_goal(x, &goal);
    x->result->first_id = goal.id;
    return 0;
}

/* Names the goal, so that one that came later is never ended for it. */
int exec_end_goal(struct exec *x)
{
    const struct goal *end = &x->command->goal;
    struct goal goal = {0};
    int rc = placement_read_goal(x->state, end->region, &goal);

    if (rc != 0)
        return rc;
    if (!goal_is_running(&goal) || (end->id != 0 && end->id != goal.id))
        return ERR_NOT_FOUND;
    goal.end_ns = exec_now(x, goal.begin_ns);
    goal.status = end->status;
    for (size_t i = 0; i < sizeof goal.why; i++)
        goal.why[i] = end->why[i];
    put_goal(x, &goal);
    return 0;
}

int exec_set(struct exec *x)
{
    enum setting setting = setting_find(x->command->name);
    struct key key = key_setting(x->command->name);
    struct buf *bytes;

    if (setting == SETTINGS)
        return ERR_NOT_FOUND;
    if (!setting_allows(setting, x->command->size))
        return ERR_INVALID;
    bytes = setting_encode(x->command->size);
    kv_batch_put(x->batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
    return 0;
}

/* For ever: a region id is never used again. */
int exec_region_gone(struct exec *x)
{
    uint64_t target = x->command->new_region;
    struct key key = key_gone_region(x->command->merge.other);
    struct buf *bytes;

    if (x->command->merge.other == REGION_PLACEMENT ||
        target == REGION_PLACEMENT)
        return ERR_INVALID;
    bytes = gone_region_encode(target);
    kv_batch_put(x->batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
    return 0;
}
