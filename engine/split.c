/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/split.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/measure.h"
#include "engine/router.h"

/* Lives until whatever it has asked for comes back, which may be after it was
 * given up. */
struct split {
    struct split_wait *wait; /* NULL: given up */
    struct node *node;
    uint64_t region;
    struct key at;
    struct router_call call;
    struct proposal proposal;
};

static const char *why_not(int status)
{
    switch (status) {
    case ERR_INVALID:
        return "the key does not lie inside the region";
    case ERR_BUSY:
        return "its membership is just being changed";
    case ERR_NOT_FOUND:
        return "it has too few entries for a middle";
    default:
        return "";
    }
}

static void end(struct split *split, int status)
{
    struct split_wait *wait = split->wait;

    buf_unref(split->proposal.command);
    free(split);
    if (wait == NULL)
        return;
    wait->split = NULL;
    wait->done(wait, status, why_not(status));
}

bool split_is_running(const struct split_wait *wait)
{
    return wait->split != NULL;
}

void split_cancel(struct split_wait *wait)
{
    struct split *split = wait->split;

    if (split == NULL)
        return;
    wait->split = NULL;
    split->wait = NULL;
    if (!split->call.active)
        return;
    router_cancel(node_router(split->node), &split->call);
    end(split, ERR_CANCELED);
}

/* ---- proposing ---- */

static void on_proposed(struct proposal *proposal, int status, bool in_log,
                        struct buf *result)
{
    struct split *split = container_of(proposal, struct split, proposal);

    (void)in_log;
    end(split, status == 0 ? result_status(buf_slice(result)) : status);
}

/* The command for the epoch that the region has now. */
static struct command command_of(const struct split *split,
                                 const struct peer *peer, uint64_t new_region)
{
    return (struct command){
        .op = COMMAND_SPLIT,
        .dir = be64_get(split->at.data + 1),
        .name = {split->at.data + 1 + KEY_NSID_SIZE,
                 split->at.size - 1 - KEY_NSID_SIZE},
        .new_region = new_region,
        .region_version = peer_region(peer)->version,
        .region_conf_ver = peer_region(peer)->conf_ver,
    };
}

static void propose(struct split *split, uint64_t new_region)
{
    struct peer *peer = node_peer(split->node, split->region);
    struct command command;
    int rc = ERR_NOT_LEADER;

    if (peer != NULL) {
        command = command_of(split, peer, new_region);
        split->proposal.done = on_proposed;
        split->proposal.command = command_encode(&command);
        assert(split->proposal.command != NULL);
        rc = peer_propose_split(peer, &split->proposal);
    }
    if (rc != 0)
        end(split, rc);
}

/* ---- an id ---- */

static void id_leased(struct router_call *call, int status,
                      const struct result *result, uint64_t index)
{
    struct split *split = container_of(call, struct split, call);

    (void)index;
    if (status != 0)
        end(split, ERR_NO_QUORUM); /* Nothing was begun. */
    else
        propose(split, result->first_id);
}

static void lease_id(struct split *split)
{
    struct command command = {.op = COMMAND_LEASE_REGION_IDS, .size = 1};
    struct node *node = split->node;

    split->call.kind = CALL_PROPOSE;
    router_to_region(&split->call, REGION_PLACEMENT);
    split->call.deadline_ns = env_mono_ns(node_env(node)) +
                              node_config(node)->op_timeout_ms * 1000000;
    split->call.done = id_leased;
    router_call(node_router(node), &split->call, &command);
}

/* What would be refused is refused before an id is used up. */
static void at_known(struct split *split)
{
    const struct peer *peer = node_peer(split->node, split->region);
    int rc = ERR_NOT_LEADER;

    if (peer != NULL && peer_is_serving(peer)) {
        struct command command = command_of(split, peer, UINT64_MAX);

        rc = region_split_check(peer_region(peer), &command);
    }
    if (rc != 0)
        end(split, rc);
    else
        lease_id(split);
}

/* ---- the middle ---- */

static void on_measured(void *context, const struct measured *measured)
{
    struct split *split = context;
    int rc = measured->status;

    split->at = measured->middle;
    if (rc == 0 && split->at.size == 0)
        rc = ERR_NOT_FOUND;
    if (split->wait == NULL)
        rc = ERR_CANCELED;
    if (rc != 0)
        end(split, rc);
    else
        at_known(split);
}

static void find_middle(struct split *split)
{
    const struct peer *peer = node_peer(split->node, split->region);

    if (peer == NULL)
        end(split, ERR_NOT_LEADER);
    else
        measure_start(node_env(split->node), peer_region(peer), on_measured,
                      split);
}

void split_start(struct split_wait *wait, struct node *node, uint64_t region,
                 const struct key *at)
{
    struct split *split = mem_zalloc(sizeof *split);

    wait->split = split;
    split->wait = wait;
    split->node = node;
    split->region = region;
    split->at = *at;
    if (at->size == 0)
        find_middle(split);
    else
        at_known(split);
}
