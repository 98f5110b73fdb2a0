/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/leave.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/catalog.h"
#include "engine/eventual_record.h"
#include "engine/left_out.h"
#include "engine/members.h"
#include "engine/modes.h"
#include "engine/node.h"
#include "engine/pull.h"
#include "engine/status.h"
#include "engine/wire.h"

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

/* ---- quarantine ---- */

static bool leaves_out(struct kv *state, uint64_t nsid, uint64_t since,
                       uint64_t id)
{
    struct left_out left_out;

    return left_out_get(state, nsid, since, &left_out) != 0 ||
           left_out_is_of(&left_out, id);
}

/* Up to which catalog version at the latest it became strong; where nobody can
 * tell that, it has done so here. */
static uint64_t strong_since(struct node *node, uint64_t nsid)
{
    struct directory directory = {0};
    uint64_t version = modes_version(node_modes(node));

    if (catalog_get(node_env(node)->state, NULL, nsid, &directory) == 0)
        version = directory.mode.epoch;
    directory_release(&directory);
    return version;
}

/* Whether a node was left out, and up to which version that has come about at
 * the latest. True also where the records cannot be read. */
static bool was_left_out(struct node *node, uint64_t id, uint64_t *ret_version)
{
    struct kv *state = node_env(node)->state;
    uint64_t nsid = 0;
    uint64_t since = 0;
    bool found = false;
    int rc;

    *ret_version = 0;
    while ((rc = left_out_next(state, nsid, since, &nsid, &since)) == 0) {
        if (leaves_out(state, nsid, since, id)) {
            uint64_t version = strong_since(node, nsid);

            found = true;
            if (*ret_version < version)
                *ret_version = version;
        }
        since++;
    }
    return found || rc != ERR_NOT_FOUND;
}

/* As far as it has told. When it tells of a version, it has moved all that this
 * brings into quarantine. */
static bool may_keep_something(struct node *node, uint64_t id)
{
    const struct node_status *status;
    uint64_t version;

    if (!was_left_out(node, id, &version))
        return false;
    status = status_board_find(node_status_board(node), id);
    return status == NULL || status->catalog < version ||
           status->quarantine != 0;
}

/* ---- all of it ---- */

enum leave_state leave_look(struct node *node, const struct node_record *record)
{
    const struct pulls *pulls = node_pulls(node);
    struct pull_told told;
    uint64_t lacking;

    if (record->state != NODE_DRAINING || record->id == node_id(node))
        return LEAVE_FREE;
    if (may_keep_something(node, record->id))
        return LEAVE_KEEPS;
    if (!modes_any_before(node_modes(node), record->epoch))
        return LEAVE_FREE;
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
        [LEAVE_KEEPS] = "may keep in quarantine what it accepted in "
                        "directories that were made strong without it",
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

    if (state != LEAVE_UNTOLD && state != LEAVE_UNSAFE && state != LEAVE_KEEPS)
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
