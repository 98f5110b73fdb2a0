/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/orphans.h"
#include "engine/router.h"
#include "engine/settle.h"
#include "engine/txn_export.h"
#include "engine/txn_ids.h"
#include "engine/txn_import.h"
#include "engine/txn_prepare.h"
#include "engine/txn_resolve.h"

enum {
    ROOM_MS = 20,      /* between looks for room */
    DECISION_MS = 1000 /* that the decision of a mode may take */
};

/* What comes when the intents of an attempt are resolved. */
enum next {
    NEXT_END,
    NEXT_ATTEMPT,
    NEXT_SETTLE, /* what has held it up; then a new attempt */
};

struct txn {
    struct txns *txns;
    struct txn_op *op; /* NULL: nobody waits any more */
    struct router_hold hold;
    struct command command; /* what is to be done; names in `names` */
    char names[2][NAME_SIZE_MAX];
    uint64_t deadline_ns;
    struct buf *left_out; /* as in struct txn_op */
    enum next next;
    struct domain below; /* where a mode changes: what else does */
    struct txn_ids_wait ids;
    struct txn_prepare prepare;
    struct txn_import import;
    struct txn_export export;
    struct router_call call;
    struct txn_resolve resolve;
    struct settle settle;
    struct env_timer room; /* while a new attempt waits for it */
    TAILQ_ENTRY(txn) link;
};

TAILQ_HEAD(txn_list, txn);

struct txns {
    struct node *node;
    struct txn_list running;
    struct txn_ids *ids;
    struct orphans *orphans;
};

struct txns *txns_new(struct node *node)
{
    struct txns *txns = mem_zalloc(sizeof *txns);

    txns->node = node;
    txns->ids = txn_ids_new(node);
    txns->orphans = orphans_new(node);
    TAILQ_INIT(&txns->running);
    return txns;
}

void txns_free(struct txns *txns)
{
    if (txns == NULL)
        return;
    orphans_free(txns->orphans);
    txn_ids_free(txns->ids);
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
    op->done(op, status, status == 0 ? &txn->prepare.attr : NULL);
}

static void end(struct txn *txn)
{
    struct txns *txns = txn->txns;

    env_timer_stop(node_env(txns->node), &txn->room);
    txn_import_cancel(&txn->import);
    txn_export_cancel(&txn->export);
    txn_prepare_release(&txn->prepare);
    buf_unref(txn->export.mtimes);
    buf_unref(txn->left_out);
    domain_release(&txn->below);
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

/* What became of the last step does not matter to the user: without a decision
 * nothing has changed, and nobody makes one any more. */
static int undecided(int status)
{
    return status == ERR_UNKNOWN_OUTCOME ? ERR_NO_QUORUM : status;
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

    txn_ids_stop(txns->ids);
    while ((txn = TAILQ_FIRST(&txns->running)) != NULL) {
        router_cancel(node_router(txns->node), &txn->call);
        txn_resolve_cancel(&txn->resolve);
        settle_cancel(&txn->settle);
        fail(txn, ERR_CANCELED);
    }
    orphans_stop(txns->orphans);
}

/* ---- attempts ---- */

static void prepare(struct txn *txn);

static bool is_late(const struct txn *txn)
{
    return env_mono_ns(node_env(txn->txns->node)) >= txn->deadline_ns;
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

    if (router_has_room(node_router(node))) {
        router_hold(node_router(node), &txn->hold);
        prepare(txn);
    } else if (is_late(txn)) {
        fail(txn, ERR_BUSY);
    } else {
        txn->room.fire = look_for_room;
        env_timer_start(node_env(node), &txn->room,
                        (uint64_t)ROOM_MS * 1000000);
    }
}

/* Nothing of the last attempt is left: a new one is another transaction, so
 * that the regions need not remember the old one's results. */
static void start_again(struct txn *txn)
{
    router_release(node_router(txn->txns->node), &txn->hold);
    begin_with_room(txn);
}

/* ---- RESOLVE ---- */

static void settle_holder(struct txn *txn);

static void resolved(struct txn_resolve *resolve, int status)
{
    struct txn *txn = container_of(resolve, struct txn, resolve);

    if (status != 0)
        fail(txn, undecided(status)); /* Rule 2. */
    else if (txn->next == NEXT_ATTEMPT)
        start_again(txn);
    else if (txn->next == NEXT_SETTLE)
        settle_holder(txn);
    else
        end(txn);
}

static void resolve(struct txn *txn, bool commit, enum next next)
{
    txn->next = txn->op == NULL ? NEXT_END : next;
    txn->resolve.deadline_ns = txn->next == NEXT_END ? 0 : txn->deadline_ns;
    txn->resolve.done = resolved;
    if (txn->prepare.has_no_place)
        domain_add(&txn->below, nsid_of_ino(txn->command.ino));
    txn_resolve_start(&txn->resolve, txn->txns->node, &txn->prepare.txn, commit,
                      txn->below);
    txn->below = (struct domain){.count = 0};
}

/* Only this coordinator could have it committed, so what is prepared can be
 * undone without asking region 0. */
static void give_up(struct txn *txn, int status)
{
    report(txn, status);
    resolve(txn, false, NEXT_END);
}

/* ---- DECIDE ---- */

static bool changes_mode(const struct txn *txn)
{
    return txn->command.txn_kind == TXN_TO_EVENTUAL ||
           txn->command.txn_kind == TXN_TO_STRONG;
}

static bool is_filling(const struct txn *txn)
{
    return txn->command.txn_kind == TXN_TO_EVENTUAL && txn->command.offset != 0;
}

static void decided(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct txn *txn = container_of(call, struct txn, call);

    (void)index;
    if (result == NULL) {
        fail(txn, status); /* Whether it was decided is not known: rule 2. */
    } else if (status == ERR_ABORTED && txn->op != NULL && !is_filling(txn)) {
        resolve(txn, false, NEXT_ATTEMPT); /* It was taken for dead. */
    } else {
        report(txn, status);
        resolve(txn, status == 0, NEXT_END);
    }
}

/* What was brought for a mode to change may be ready at the last moment; then
 * it is to be known how that was decided. */
static uint64_t decision_deadline_ns(const struct txn *txn)
{
    return txn->deadline_ns +
           (changes_mode(txn) ? (uint64_t)DECISION_MS * 1000000 : 0);
}

static void decide(struct txn *txn)
{
    const struct txn_prepare *prepared = &txn->prepare;
    struct command command = txn->command;

    if (changes_mode(txn) && is_late(txn)) {
        give_up(txn, ERR_NO_QUORUM);
        return;
    }
    command.op = COMMAND_TXN_DECIDE;
    command.txn = prepared->txn;
    memcpy(command.changes, prepared->changes, sizeof prepared->changes);
    command.change_count = prepared->change_count;
    if (is_filling(txn))
        command.data = buf_slice(txn->export.mtimes);
    else if (txn->left_out != NULL)
        command.data = buf_slice(txn->left_out);
    txn->call.kind = CALL_PROPOSE;
    router_to_region(&txn->call, REGION_PLACEMENT);
    txn->call.deadline_ns = decision_deadline_ns(txn);
    txn->call.done = decided;
    router_call(node_router(txn->txns->node), &txn->call, &command);
}

/* ---- what is in a directory whose mode changes ---- */

static void imported(struct txn_import *import, int status)
{
    struct txn *txn = container_of(import, struct txn, import);

    if (status == 0)
        decide(txn);
    else if (status == ERR_CANCELED)
        fail(txn, status); /* Rule 2. */
    else if (status == ERR_ABORTED && txn->op != NULL)
        resolve(txn, false, NEXT_ATTEMPT);
    else
        give_up(txn, undecided(status));
}

static void bring_content(struct txn *txn)
{
    txn->import.txn = txn->prepare.txn.id;
    txn->import.nsid = txn->prepare.txn.opens_nsid;
    txn->import.below = &txn->below;
    txn->import.deadline_ns = txn->deadline_ns;
    txn->import.done = imported;
    txn_import_start(&txn->import, txn->txns->node);
}

/* No second attempt: see txn_export.h. */
static void exported(struct txn_export *export, int status)
{
    struct txn *txn = container_of(export, struct txn, export);

    if (txn->op != NULL)
        txn->op->has_said = export->has_said;
    if (status == 0)
        decide(txn);
    else if (status == ERR_CANCELED)
        fail(txn, status); /* Rule 2. */
    else
        give_up(txn, undecided(status));
}

static void fill(struct txn *txn)
{
    txn->export.txn = txn->prepare.txn.id;
    txn->export.nsid = txn->prepare.txn.closes_nsid;
    txn->export.below = &txn->below;
    txn->export.since = txn->command.offset;
    txn->export.deadline_ns = txn->deadline_ns;
    txn->export.done = exported;
    txn_export_start(&txn->export, txn->txns->node);
}

/* ---- PREPARE ---- */

static void settled(struct settle *settle, int status)
{
    struct txn *txn = container_of(settle, struct txn, settle);
    bool keeps_on = txn->prepare.begun && txn->next != NEXT_SETTLE;

    status = undecided(status);
    if (status == 0 && is_late(txn))
        status = ERR_BUSY;
    if (status == 0 && keeps_on)
        txn_prepare_again(&txn->prepare);
    else if (status == 0)
        start_again(txn);
    else if (keeps_on)
        give_up(txn, status);
    else
        fail(txn, status);
}

static void settle_holder(struct txn *txn)
{
    txn->settle.deadline_ns = txn->deadline_ns;
    txn->settle.done = settled;
    settle_start(&txn->settle, txn->txns->node, &txn->prepare.holder);
}

/* Two that hold what the other one needs must not both wait, nor both give
 * way: it is the greater one that gives way. */
static void wait_for_holder(struct txn *txn)
{
    const struct txn_prepare *prepare = &txn->prepare;

    txn->next = NEXT_END;
    if (!prepare->begun ||
        txn_id_is_before(prepare->txn.id, prepare->holder.id))
        settle_holder(txn);
    else
        resolve(txn, false, NEXT_SETTLE);
}

static void prepared(struct txn_prepare *prepare, int status)
{
    struct txn *txn = container_of(prepare, struct txn, prepare);
    /* Of two files in one region there is nothing to be decided. */
    bool may_be_all = txn->command.txn_kind == TXN_RENAME && !prepare->begun;

    if (status == ERR_LOCKED)
        wait_for_holder(txn);
    else if (status == 0 && txn->command.txn_kind == TXN_TO_STRONG)
        bring_content(txn);
    else if (status == 0 && is_filling(txn))
        fill(txn);
    else if (status == 0 && !prepare->has_happened)
        decide(txn);
    else if (!prepare->begun || prepare->has_happened ||
             status == ERR_CANCELED ||
             (status == ERR_UNKNOWN_OUTCOME && !changes_mode(txn)))
        fail(txn, may_be_all ? status : undecided(status)); /* Rule 2. */
    else if (status == ERR_ABORTED && txn->op != NULL)
        resolve(txn, false, NEXT_ATTEMPT);
    else
        give_up(txn, undecided(status)); /* At most one command is late. */
}

/* No directory comes to those that are fenced or being filled, or goes from
 * there. One that is neither is to be empty. */
static int list_below(struct txn *txn)
{
    bool has_below = txn->command.txn_kind == TXN_TO_STRONG || is_filling(txn);

    domain_release(&txn->below);
    return has_below ? domain_list(node_env(txn->txns->node)->state,
                                   nsid_of_ino(txn->command.ino), &txn->below)
                     : 0;
}

static void ids_leased(struct txn_ids_wait *wait, int status)
{
    struct txn *txn = container_of(wait, struct txn, ids);

    if (status != 0)
        fail(txn, ERR_NO_QUORUM); /* Nothing was begun. */
    else
        prepare(txn);
}

static void prepare(struct txn *txn)
{
    struct txns *txns = txn->txns;
    const struct identity *identity = &node_config(txns->node)->identity;
    struct command *command = &txn->command;
    struct txn_prepare *prepare = &txn->prepare;
    int rc = is_late(txn) ? ERR_BUSY : list_below(txn);

    if (rc != 0) {
        fail(txn, rc);
        return;
    }
    prepare->txn = (struct txn_ref){
        .id = {.node = identity->node_id,
               .boot = identity->boot,
               .sequence = txn->hold.sequence},
        .dir = command->dir,
        .name = command->name,
        .to_dir = command->to_dir,
        .to_name = command->to_name,
    };
    if (command->txn_kind == TXN_MKDIR) {
        if (!txn_ids_take(txns->ids, &prepare->txn.opens_nsid)) {
            txn->ids.done = ids_leased;
            txn_ids_wait(txns->ids, &txn->ids);
            return;
        }
        command->ino = ino_of_nsid(prepare->txn.opens_nsid);
    } else if (command->txn_kind == TXN_TO_STRONG) {
        prepare->txn.opens_nsid = nsid_of_ino(command->ino);
    }
    prepare->command = command;
    prepare->below = &txn->below;
    prepare->deadline_ns = txn->deadline_ns;
    prepare->done = prepared;
    txn_prepare_start(prepare, txns->node);
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
    txn->left_out = buf_ref(op->left_out); /* Takes NULL. */
    txn->prepare.has_no_place = op->has_no_place;
    txn->prepare.inherits = op->inherits;
    op->txn = txn;
    router_hold(node_router(txns->node), &txn->hold);
    return txn;
}

void txns_start(struct txns *txns, struct txn_op *op,
                const struct command *command)
{
    struct txn *txn = txn_new(txns, op, command);

    op->has_said = false;
    TAILQ_INSERT_TAIL(&txns->running, txn, link);
    prepare(txn);
}
