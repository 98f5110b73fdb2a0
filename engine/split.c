/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/split.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Lives until the peer answers, which may be after the split was given up. */
struct split_attempt {
    struct proposal proposal;
    struct split *split; /* NULL: given up */
};

static void end(struct split *split, int status)
{
    split->active = false;
    split->attempt = NULL;
    split->done(split, status);
}

void split_cancel(struct split *split)
{
    if (!split->active)
        return;
    router_cancel(node_router(split->node), &split->call);
    if (split->attempt != NULL)
        split->attempt->split = NULL;
    split->attempt = NULL;
    split->active = false;
}

static int status_of(const struct buf *bytes)
{
    struct result result = {0};
    int rc = result_decode(&result, (struct slice){bytes->data, bytes->size});

    if (rc == 0)
        rc = result.status;
    result_release(&result);
    return rc;
}

static void attempt_free(struct split_attempt *attempt)
{
    buf_unref(attempt->proposal.command);
    free(attempt);
}

static void on_proposed(struct proposal *proposal, int status, bool in_log,
                        struct buf *result)
{
    struct split_attempt *attempt =
        container_of(proposal, struct split_attempt, proposal);
    struct split *split = attempt->split;

    (void)in_log;
    attempt_free(attempt);
    if (split != NULL)
        end(split, status == 0 ? status_of(result) : status);
}

/* At the epoch that the region has now. */
static void propose(struct split *split, uint64_t new_region)
{
    struct peer *peer = node_peer(split->node, split->region);
    struct split_attempt *attempt = mem_zalloc(sizeof *attempt);
    struct command command = {
        .op = COMMAND_SPLIT,
        .dir = split->dir,
        .name = split->name,
        .new_region = new_region,
    };
    int rc = ERR_NOT_LEADER;

    if (peer != NULL) {
        command.region_version = peer_region(peer)->version;
        command.region_conf_ver = peer_region(peer)->conf_ver;
        attempt->split = split;
        attempt->proposal.done = on_proposed;
        attempt->proposal.command = command_encode(&command);
        assert(attempt->proposal.command != NULL);
        rc = peer_propose_split(peer, &attempt->proposal);
    }
    if (rc == 0) {
        split->attempt = attempt;
        return;
    }
    attempt_free(attempt);
    end(split, rc);
}

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

void split_start(struct split *split, struct node *node, uint64_t region,
                 uint64_t dir, struct slice name)
{
    struct command command = {.op = COMMAND_LEASE_REGION_IDS, .size = 1};

    assert(name.size <= NAME_SIZE_MAX);

    split->node = node;
    split->active = true;
    split->attempt = NULL;
    split->region = region;
    split->dir = dir;
    if (name.size > 0)
        memcpy(split->name_bytes, name.data, name.size);
    split->name = (struct slice){split->name_bytes, name.size};
    split->call.kind = CALL_PROPOSE;
    router_to_region(&split->call, REGION_PLACEMENT);
    split->call.deadline_ns = split->deadline_ns;
    split->call.done = id_leased;
    router_call(node_router(node), &split->call, &command);
}
