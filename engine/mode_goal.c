/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/mode_goal.h"

#include "engine/keys.h"

/* The root is strong anyway; below an eventual one it has a mode of its own. */
static int from_strong(enum mode_goal goal, uint64_t nsid, bool is_own,
                       struct mode parent, enum mode_step *ret)
{
    if (goal == MODE_REMOVE)
        return ERR_BUSY;
    if (goal == MODE_TO_EVENTUAL && nsid == NSID_ROOT)
        return ERR_NOT_PERMITTED;
    if (goal == MODE_TO_STRONG)
        *ret = is_own || nsid == NSID_ROOT ? MODE_STEP_NONE : MODE_STEP_OWN;
    else if (parent.state == MODE_FENCED)
        return ERR_BUSY;
    else if (goal == MODE_INHERIT && parent.state == MODE_STRONG)
        *ret = MODE_STEP_OWN;
    else
        *ret = MODE_STEP_CLOSE;
    return 0;
}

static int below_strong(enum mode_goal goal, enum mode_step *ret)
{
    if (goal == MODE_REMOVE)
        return ERR_BUSY;
    *ret = goal == MODE_TO_EVENTUAL ? MODE_STEP_NONE : MODE_STEP_FENCE;
    return 0;
}

/* It stays as eventual as it is where its mode becomes its own, or its own no
 * more, so no node has to tell anything. */
static int below_eventual(enum mode_goal goal, bool is_own, struct mode parent,
                          enum mode_step *ret)
{
    if (goal == MODE_TO_STRONG && parent.state == MODE_FENCED)
        return ERR_BUSY;
    if (goal == MODE_TO_STRONG || goal == MODE_REMOVE)
        *ret = MODE_STEP_FENCE;
    else if (goal == MODE_TO_EVENTUAL && is_own)
        *ret = MODE_STEP_NONE;
    else
        *ret = MODE_STEP_OWN;
    return 0;
}

int mode_goal_step(enum mode_goal goal, uint64_t nsid, struct mode mode,
                   struct mode parent, enum mode_step *ret)
{
    bool is_own = mode.domain == nsid;

    if (goal == MODE_INHERIT && !is_own)
        return ERR_NO_DATA;
    if (mode.state == MODE_FENCED || mode_is_filling(mode))
        return ERR_BUSY;
    if (mode.state == MODE_STRONG)
        return from_strong(goal, nsid, is_own, parent, ret);
    if (parent.state == MODE_STRONG)
        return below_strong(goal, ret);
    return below_eventual(goal, is_own, parent, ret);
}
