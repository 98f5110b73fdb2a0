/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/leave.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/eventual_record.h"
#include "engine/left_out.h"
#include "engine/members.h"
#include "engine/modes.h"
#include "engine/node.h"
#include "engine/pull.h"

enum { NS_PER_S = 1000000000 };

/* One that is going itself is none to leave anything with. */
static bool stays(struct node *node, uint64_t id)
{
    struct node_record record;

    return members_find(node, id, &record) == 0 && record.state == NODE_UP;
}

static bool is_durable(struct node *node, uint64_t sequence)
{
    struct eventual_head head;

    return eventual_head_get_durable(node_env(node)->state, &head) == 0 &&
           head.sequence >= sequence;
}

/* What only it had of a directory that is strong by now it moves into
 * quarantine when it is back. What cannot be read may be such a record. */
static bool is_left_out(struct node *node, uint64_t id)
{
    bool found = true;
    int rc = left_out_find(node_env(node)->state, id, &found);

    return rc != 0 || found;
}

/* Without an eventual directory. */
static enum leave_state look_at_left_out(struct node *node,
                                         const struct node_record *record)
{
    struct pull_told told = pulls_told(node_pulls(node), record->id);

    return told.fence < record->epoch && is_left_out(node, record->id)
               ? LEAVE_UNTOLD
               : LEAVE_FREE;
}

enum leave_state leave_look(struct node *node, const struct node_record *record)
{
    const struct pulls *pulls = node_pulls(node);
    struct pull_told told;
    uint64_t lacking;

    if (record->state != NODE_DRAINING || record->id == node_id(node))
        return LEAVE_FREE;
    if (!modes_any_before(node_modes(node), record->epoch))
        return look_at_left_out(node, record);
    told = pulls_told(pulls, record->id);
    if (told.fence < record->epoch)
        return LEAVE_UNTOLD;
    if (pulls_lack(pulls, record->id, told.sequence, stays, &lacking))
        return LEAVE_SPREADS;
    return is_durable(node, told.head) ? LEAVE_FREE : LEAVE_UNSAFE;
}

const char *leave_words(enum leave_state state)
{
    static const char *const words[LEAVE_STATES] = {
        [LEAVE_FREE] = "has nothing that others have not",
        [LEAVE_UNTOLD] =
            "has not told what it accepted in eventual directories",
        [LEAVE_SPREADS] = "has accepted in eventual directories what is not "
                          "everywhere yet",
        [LEAVE_UNSAFE] = "has accepted in eventual directories what is not on "
                         "another disk yet",
    };

    return words[state];
}

void leave_prepare(struct node *node, const struct node_record *record)
{
    if (leave_look(node, record) == LEAVE_UNSAFE)
        node_flush_state(node);
}

void leave_log_loss(struct node *node, uint64_t id, enum leave_state state)
{
    uint64_t contact_ns = pulls_told(node_pulls(node), id).contact_ns;
    uint64_t silent_ns = env_mono_ns(node_env(node)) - contact_ns;
    char heard[64] = "since this node's start it has told nothing";

    if (state != LEAVE_UNTOLD && state != LEAVE_UNSAFE)
        return;
    if (contact_ns != 0)
        (void)snprintf(heard, sizeof heard,
                       "it has told nothing for %" PRIu64 " s",
                       silent_ns / NS_PER_S);
    node_log_event(node, LOG_WARN,
                   "node %" PRIu64 " was removed by force and %s, which is "
                   "given up where no other node has it; %s",
                   id, leave_words(state), heard);
}
