/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_ids.h"

#include <stdlib.h>

#include "engine/router.h"

enum { IDS_LEASED = 1024 };

TAILQ_HEAD(waiting_list, txn_ids_wait);

struct txn_ids {
    struct node *node;
    uint64_t next;
    uint64_t end;
    struct waiting_list waiting;
    struct router_call call;
};

struct txn_ids *txn_ids_new(struct node *node)
{
    struct txn_ids *ids = mem_zalloc(sizeof *ids);

    ids->node = node;
    TAILQ_INIT(&ids->waiting);
    return ids;
}

void txn_ids_stop(struct txn_ids *ids)
{
    router_cancel(node_router(ids->node), &ids->call);
    TAILQ_INIT(&ids->waiting);
}

void txn_ids_free(struct txn_ids *ids)
{
    free(ids);
}

bool txn_ids_take(struct txn_ids *ids, uint64_t *ret)
{
    if (ids->next == ids->end)
        return false;
    *ret = ids->next++;
    return true;
}

static void leased(struct router_call *call, int status,
                   const struct result *result, uint64_t index)
{
    struct txn_ids *ids = container_of(call, struct txn_ids, call);
    struct waiting_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
    struct txn_ids_wait *wait;

    (void)index;
    if (status == 0) {
        ids->next = result->first_id;
        ids->end = result->first_id + IDS_LEASED;
    }
    TAILQ_CONCAT(&waiting, &ids->waiting, link);
    while ((wait = TAILQ_FIRST(&waiting)) != NULL) {
        TAILQ_REMOVE(&waiting, wait, link);
        wait->done(wait, status);
    }
}

static void lease(struct txn_ids *ids)
{
    struct command command = {.op = COMMAND_LEASE_IDS, .size = IDS_LEASED};
    struct node *node = ids->node;

    ids->call.kind = CALL_PROPOSE;
    router_to_region(&ids->call, REGION_PLACEMENT);
    ids->call.deadline_ns = env_mono_ns(node_env(node)) +
                            node_config(node)->op_timeout_ms * 1000000;
    ids->call.done = leased;
    router_call(node_router(node), &ids->call, &command);
}

void txn_ids_wait(struct txn_ids *ids, struct txn_ids_wait *wait)
{
    TAILQ_INSERT_TAIL(&ids->waiting, wait, link);
    if (!ids->call.active)
        lease(ids);
}
