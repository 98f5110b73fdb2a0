/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/orphans.h"
#include "engine/router.h"
#include "engine/settle.h"

enum { IDS_LEASED = 1024, ROOM_MS = 20 /* between looks for room */ };

struct txn {
    struct txns *txns;
    struct txn_op *op; /* NULL: nobody waits any more */
    struct router_hold hold;
    struct command command; /* what is to be done; names in `names` */
    char names[2][NAME_SIZE_MAX];
    struct catalog_change changes[CATALOG_CHANGES_MAX]; /* as PREPARE gave */
    size_t change_count;
    char change_names[CATALOG_CHANGES_MAX][NAME_SIZE_MAX];
    struct attr attr;
    uint64_t deadline_ns;
    bool commit;
    bool again; /* after the abort is resolved, from the start */
    struct router_call call;
    struct settle settle;
    struct env_timer room; /* while a new attempt waits for it */
    TAILQ_ENTRY(txn) link;
};

TAILQ_HEAD(txn_list, txn);

struct txns {
    struct node *node;
    struct txn_list running;
    struct txn_list waiting; /* for namespace ids */
    struct router_call lease_call;
    uint64_t nsid_next;
    uint64_t nsid_end;
    struct orphans *orphans;
    bool stopped;
};

struct txns *txns_new(struct node *node)
{
    struct txns *txns = mem_zalloc(sizeof *txns);

    txns->node = node;
    txns->orphans = orphans_new(node);
    TAILQ_INIT(&txns->running);
    TAILQ_INIT(&txns->waiting);
    return txns;
}

void txns_free(struct txns *txns)
{
    if (txns == NULL)
        return;
    orphans_free(txns->orphans);
    free(txns);
}

void txns_tick(struct txns *txns)
{
    orphans_tick(txns->orphans);
}

/* ---- the end ---- */

static void report(struct txn *txn, int status)
{
    struct txn_op *op = txn->op;

    if (op == NULL)
        return;
    txn->op = NULL;
    op->txn = NULL;
    op->done(op, status, status == 0 ? &txn->attr : NULL);
}

static void end(struct txn *txn)
{
    struct txns *txns = txn->txns;

    env_timer_stop(node_env(txns->node), &txn->room);
    if (txn->hold.sequence != 0)
        router_release(node_router(txns->node), &txn->hold);
    TAILQ_REMOVE(&txns->running, txn, link);
    free(txn);
}

/* The request has failed and nothing is left behind, or only what rule 2
 * takes care of. */
static void fail(struct txn *txn, int status)
{
    report(txn, status);
    end(txn);
}

void txns_detach(struct txn_op *op)
{
    if (op->txn != NULL)
        op->txn->op = NULL;
    op->txn = NULL;
}

void txns_stop(struct txns *txns)
{
    struct txn *txn;

    txns->stopped = true;
    TAILQ_CONCAT(&txns->running, &txns->waiting, link);
    while ((txn = TAILQ_FIRST(&txns->running)) != NULL) {
        router_cancel(node_router(txns->node), &txn->call);
        settle_cancel(&txn->settle);
        fail(txn, ERR_CANCELED);
    }
    router_cancel(node_router(txns->node), &txns->lease_call);
    orphans_stop(txns->orphans);
}

/* ---- steps ---- */

typedef void call_done(struct router_call *call, int status,
                       const struct result *result, uint64_t index);

static void prepare(struct txn *txn);

static void propose(struct txn *txn, enum command_op op, call_done *done)
{
    struct command command = txn->command;
    const struct identity *identity = &node_config(txn->txns->node)->identity;

    command.op = op;
    command.commit = txn->commit;
    command.txn = (struct txn_ref){
        .id = {.node = identity->node_id,
               .boot = identity->boot,
               .sequence = txn->hold.sequence},
        .dir = command.dir,
        .name = command.name,
        .to_dir = command.to_dir,
        .to_name = command.to_name,
    };
    memcpy(command.changes, txn->changes, sizeof txn->changes);
    command.change_count = op == COMMAND_TXN_DECIDE ? txn->change_count : 0;
    txn->call.kind = CALL_PROPOSE;
    if (op == COMMAND_TXN_DECIDE || op == COMMAND_TXN_FORGET)
        router_to_region(&txn->call, REGION_PLACEMENT);
    else
        router_to_place(&txn->call, command.dir, command.name);
    txn->call.deadline_ns = txn->deadline_ns;
    txn->call.done = done;
    router_call(node_router(txn->txns->node), &txn->call, &command);
}

static void forgotten(struct router_call *call, int status,
                      const struct result *result, uint64_t index)
{
    (void)status; /* Only remembered longer than needed. */
    (void)result;
    (void)index;
    end(container_of(call, struct txn, call));
}

static void begin_with_room(struct txn *txn);

static void look_for_room(struct env_timer *timer)
{
    begin_with_room(container_of(timer, struct txn, room));
}

/* An attempt counts as a new change: see flow.c. */
static void begin_with_room(struct txn *txn)
{
    struct node *node = txn->txns->node;
    struct env *env = node_env(node);

    if (router_has_room(node_router(node))) {
        router_hold(node_router(node), &txn->hold);
        prepare(txn);
    } else if (env_mono_ns(env) >= txn->deadline_ns) {
        fail(txn, ERR_BUSY);
    } else {
        txn->room.fire = look_for_room;
        env_timer_start(env, &txn->room, (uint64_t)ROOM_MS * 1000000);
    }
}

/* Nothing of the last attempt is left: a new one is another transaction, so
 * that the regions need not remember the old one's results. */
static void start_again(struct txn *txn)
{
    router_release(node_router(txn->txns->node), &txn->hold);
    txn->again = false;
    begin_with_room(txn);
}

static void resolved(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct txn *txn = container_of(call, struct txn, call);

    (void)result;
    (void)index;
    if (status != 0)
        fail(txn, status); /* Rule 2. */
    else if (txn->again)
        start_again(txn);
    else
        propose(txn, COMMAND_TXN_FORGET, forgotten);
}

static void resolve(struct txn *txn, bool commit)
{
    struct node *node = txn->txns->node;

    txn->commit = commit;
    if (!txn->again)
        txn->deadline_ns = env_mono_ns(node_env(node)) +
                           node_config(node)->op_timeout_ms * 1000000;
    propose(txn, COMMAND_TXN_RESOLVE, resolved);
}

static void decided(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct txn *txn = container_of(call, struct txn, call);

    (void)index;
    if (result == NULL) {
        fail(txn, status); /* Whether it was decided is not known: rule 2. */
        return;
    }
    /* Somebody took this node for dead. */
    txn->again = status == ERR_ABORTED && txn->op != NULL;
    if (!txn->again)
        report(txn, status);
    resolve(txn, status == 0);
}

static void keep_changes(struct txn *txn, const struct result *result)
{
    txn->attr = result->attr;
    txn->change_count = result->change_count;
    for (size_t i = 0; i < result->change_count; i++) {
        struct slice name = result->changes[i].name;

        assert(name.size <= NAME_SIZE_MAX);
        txn->changes[i] = result->changes[i];
        if (name.size > 0)
            memcpy(txn->change_names[i], name.data, name.size);
        txn->changes[i].name.data = txn->change_names[i];
    }
}

static void settled(struct settle *settle, int status)
{
    struct txn *txn = container_of(settle, struct txn, settle);

    if (status != 0)
        fail(txn, status);
    else
        start_again(txn);
}

static void prepared(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct txn *txn = container_of(call, struct txn, call);

    (void)index;
    if (status == ERR_LOCKED) {
        txn->settle.deadline_ns = txn->deadline_ns;
        txn->settle.done = settled;
        settle_start(&txn->settle, txn->txns->node, &result->holder);
    } else if (status != 0 || result->change_count == 0) {
        fail(txn, status); /* Or a rename to itself: done already. */
    } else {
        keep_changes(txn, result);
        propose(txn, COMMAND_TXN_DECIDE, decided);
    }
}

static void prepare(struct txn *txn)
{
    uint64_t now_ns = env_mono_ns(node_env(txn->txns->node));

    if (now_ns >= txn->deadline_ns)
        fail(txn, ERR_BUSY);
    else
        propose(txn, COMMAND_TXN_PREPARE, prepared);
}

/* ---- namespace ids ---- */

static void use_id(struct txn *txn)
{
    struct txns *txns = txn->txns;

    assert(txns->nsid_next < txns->nsid_end);
    txn->command.ino = ino_of_nsid(txns->nsid_next++);
    prepare(txn);
}

static void lease_ids(struct txns *txns);

static void ids_leased(struct router_call *call, int status,
                       const struct result *result, uint64_t index)
{
    struct txns *txns = container_of(call, struct txns, lease_call);
    struct txn_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
    struct txn *txn;

    (void)index;
    if (status == 0) {
        txns->nsid_next = result->first_id;
        txns->nsid_end = result->first_id + IDS_LEASED;
    }
    TAILQ_CONCAT(&waiting, &txns->waiting, link);
    while ((txn = TAILQ_FIRST(&waiting)) != NULL) {
        TAILQ_REMOVE(&waiting, txn, link);
        if (status == 0 && txns->nsid_next == txns->nsid_end) {
            TAILQ_INSERT_TAIL(&txns->waiting, txn, link);
            continue;
        }
        TAILQ_INSERT_TAIL(&txns->running, txn, link);
        if (status != 0)
            fail(txn, ERR_NO_QUORUM); /* Nothing was begun. */
        else
            use_id(txn);
    }
    if (!TAILQ_EMPTY(&txns->waiting) && !txns->lease_call.active)
        lease_ids(txns);
}

static void lease_ids(struct txns *txns)
{
    struct command command = {.op = COMMAND_LEASE_IDS, .size = IDS_LEASED};
    struct node *node = txns->node;

    txns->lease_call.kind = CALL_PROPOSE;
    router_to_region(&txns->lease_call, REGION_PLACEMENT);
    txns->lease_call.deadline_ns = env_mono_ns(node_env(node)) +
                                   node_config(node)->op_timeout_ms * 1000000;
    txns->lease_call.done = ids_leased;
    router_call(node_router(node), &txns->lease_call, &command);
}

/* ---- start ---- */

static struct txn *txn_new(struct txns *txns, struct txn_op *op,
                           const struct command *command)
{
    struct txn *txn = mem_zalloc(sizeof *txn);
    struct txn_ref places = {.name = command->name,
                             .to_name = command->to_name};

    places = txn_ref_copy(&places, txn->names);
    txn->txns = txns;
    txn->op = op;
    txn->command = *command;
    txn->command.name = places.name;
    txn->command.to_name = places.to_name;
    txn->deadline_ns = op->deadline_ns;
    op->txn = txn;
    router_hold(node_router(txns->node), &txn->hold);
    return txn;
}

void txns_start(struct txns *txns, struct txn_op *op,
                const struct command *command)
{
    struct txn *txn = txn_new(txns, op, command);

    if (command->txn_kind != TXN_MKDIR || txns->nsid_next < txns->nsid_end) {
        TAILQ_INSERT_TAIL(&txns->running, txn, link);
        if (command->txn_kind == TXN_MKDIR)
            use_id(txn);
        else
            prepare(txn);
        return;
    }
    TAILQ_INSERT_TAIL(&txns->waiting, txn, link);
    if (!txns->lease_call.active)
        lease_ids(txns);
}
