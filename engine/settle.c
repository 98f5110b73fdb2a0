/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/settle.h"

#include "engine/modes.h"

enum { PAUSE_MS_MAX = 32 };

static void end(struct settle *settle, int status)
{
    domain_release(&settle->met);
    settle->active = false;
    settle->done(settle, status);
}

void settle_cancel(struct settle *settle)
{
    if (!settle->active)
        return;
    env_timer_stop(node_env(settle->node), &settle->timer);
    reader_cancel(node_reader(settle->node), &settle->read);
    router_cancel(node_router(settle->node), &settle->call);
    txn_resolve_cancel(&settle->resolve);
    domain_release(&settle->met);
    settle->active = false;
}

static void resolved(struct txn_resolve *resolve, int status)
{
    end(container_of(resolve, struct settle, resolve), status);
}

/* Those besides the one that the intent names. Of an abort only what was met is
 * known. Of a commit it is all that somebody waits for; the rest is left to the
 * coordinator, and when that is dead to whoever forces it. */
static int list_namespaces(struct settle *settle, const struct result *decision,
                           struct domain *ret)
{
    const struct txn_ref *txn = &settle->txn;
    bool has_below = decision->data.size > 0;

    settle->resolve.is_partial = has_below && !settle->is_forced;
    if (decision->committed && !settle->resolve.is_partial)
        return domain_decode(decision->data, ret);
    *ret = settle->met;
    settle->met = (struct domain){.count = 0};
    if (ret->count > 0)
        return 0;
    if (txn->opens_nsid != 0)
        domain_add(ret, txn->opens_nsid);
    else if (txn->closes_nsid != 0)
        domain_add(ret, txn->closes_nsid);
    return 0;
}

static void resolve(struct settle *settle, const struct result *decision)
{
    struct domain below;
    int rc = list_namespaces(settle, decision, &below);

    if (rc != 0) {
        end(settle, rc);
        return;
    }
    settle->commit = decision->committed;
    settle->resolve.deadline_ns = settle->is_forced ? 0 : settle->deadline_ns;
    settle->resolve.done = resolved;
    txn_resolve_start(&settle->resolve, settle->node, &settle->txn,
                      settle->commit, below);
}

static void aborted(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct settle *settle = container_of(call, struct settle, call);

    (void)index;
    if (status != 0)
        end(settle, status);
    else
        resolve(settle, result);
}

static void abort_it(struct settle *settle)
{
    struct command command = {.op = COMMAND_TXN_ABORT, .txn = settle->txn};

    settle->call.kind = CALL_PROPOSE;
    router_to_region(&settle->call, REGION_PLACEMENT);
    settle->call.deadline_ns = settle->deadline_ns;
    settle->call.done = aborted;
    router_call(node_router(settle->node), &settle->call, &command);
}

static void pause_over(struct env_timer *timer)
{
    end(container_of(timer, struct settle, timer), 0);
}

/* One that brings the content of a directory to all nodes takes its time. */
static uint64_t patience_ns(const struct settle *settle)
{
    struct modes *modes = node_modes(settle->node);
    bool is_filling =
        mode_is_filling(modes_find(modes, settle->txn.closes_nsid));

    return (uint64_t)(is_filling ? SETTLE_FILLING_MS : SETTLE_PATIENCE_MS) *
           1000000;
}

static void undecided(struct settle *settle)
{
    struct env *env = node_env(settle->node);
    uint64_t pause_ms = UINT64_C(1) << settle->rounds;

    if (settle->is_forced ||
        env_mono_ns(env) - settle->since_ns >= patience_ns(settle)) {
        abort_it(settle);
        return;
    }
    if (pause_ms < PAUSE_MS_MAX)
        settle->rounds++;
    settle->timer = (struct env_timer){.fire = pause_over};
    env_timer_start(env, &settle->timer, pause_ms * 1000000);
}

static void decision_read(struct read_op *read, int status,
                          struct result *result)
{
    struct settle *settle = container_of(read, struct settle, read);

    if (status != 0)
        end(settle, status);
    else if (result->decided)
        resolve(settle, result);
    else
        undecided(settle);
}

static void ask(struct settle *settle, struct node *node)
{
    settle->node = node;
    settle->active = true;
    settle->call.active = false;
    settle->question =
        (struct command){.op = COMMAND_DECISION, .txn = settle->txn};
    settle->read.command = &settle->question;
    settle->read.deadline_ns = settle->deadline_ns;
    settle->read.done = decision_read;
    reader_start(node_reader(node), &settle->read);
}

void settle_start(struct settle *settle, struct node *node,
                  const struct txn_ref *holder)
{
    if (!txn_id_equal(settle->txn.id, holder->id)) {
        settle->since_ns = env_mono_ns(node_env(node));
        settle->rounds = 0;
    }
    settle->txn = txn_ref_copy(holder, settle->names);
    settle->is_forced = false;
    ask(settle, node);
}

void settle_force(struct settle *settle, struct node *node,
                  const struct txn_ref *holder, struct domain met)
{
    settle->met = met;
    settle->txn = txn_ref_copy(holder, settle->names);
    settle->is_forced = true;
    ask(settle, node);
}
