/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_resolve.h"

#include <assert.h>
#include <string.h>

static struct slice name_copy(struct slice from, char *to)
{
    assert(from.size <= NAME_SIZE_MAX);
    if (from.size > 0)
        memcpy(to, from.data, from.size);
    return (struct slice){to, from.size};
}

struct txn_ref txn_ref_copy(const struct txn_ref *from,
                            char names[2][NAME_SIZE_MAX])
{
    struct txn_ref copy = *from;

    copy.name = name_copy(from->name, names[0]);
    copy.to_name = name_copy(from->to_name, names[1]);
    return copy;
}

static uint64_t nsid_of(const struct txn_ref *txn)
{
    return txn->opens_nsid != 0 ? txn->opens_nsid : txn->closes_nsid;
}

static void drop(struct txn_resolve *resolve)
{
    domain_release(&resolve->below);
    buf_unref(resolve->below_bytes);
    resolve->below_bytes = NULL;
}

void txn_resolve_cancel(struct txn_resolve *resolve)
{
    if (resolve->node != NULL)
        router_cancel(node_router(resolve->node), &resolve->call);
    drop(resolve);
}

static void end(struct txn_resolve *resolve, int status)
{
    drop(resolve);
    resolve->done(resolve, status);
}

static uint64_t deadline_of_step(const struct txn_resolve *resolve)
{
    struct node *node = resolve->node;

    if (resolve->deadline_ns != 0)
        return resolve->deadline_ns;
    return env_mono_ns(node_env(node)) +
           node_config(node)->op_timeout_ms * 1000000;
}

/* Those below that come along with the namespace whose part is next. */
static struct slice further(const struct txn_resolve *resolve)
{
    return domain_further(buf_slice(resolve->below_bytes), resolve->below_at);
}

typedef void call_done(struct router_call *call, int status,
                       const struct result *result, uint64_t index);

/* Where it goes was set before. */
static void propose(struct txn_resolve *resolve, enum command_op op,
                    enum txn_step step, call_done *done)
{
    struct command command = {.op = op,
                              .txn_step = step,
                              .txn = resolve->txn,
                              .commit = resolve->commit};

    if (step == TXN_STEP_PART)
        command.further = further(resolve);
    resolve->call.kind = CALL_PROPOSE;
    resolve->call.deadline_ns = deadline_of_step(resolve);
    resolve->call.done = done;
    router_call(node_router(resolve->node), &resolve->call, &command);
}

static void to_source(struct txn_resolve *resolve)
{
    router_to_place(&resolve->call, resolve->txn.dir, resolve->txn.name);
}

static void to_main_end(struct txn_resolve *resolve)
{
    if (resolve->txn.to_dir != 0)
        router_to_place(&resolve->call, resolve->txn.to_dir,
                        resolve->txn.to_name);
    else
        to_source(resolve);
}

static struct txn_resolve *resolve_of(struct router_call *call)
{
    return container_of(call, struct txn_resolve, call);
}

/* ---- the steps, from the last to the first ---- */

static void forgotten(struct router_call *call, int status,
                      const struct result *result, uint64_t index)
{
    struct txn_resolve *resolve = resolve_of(call);

    (void)status; /* Only remembered longer than needed. */
    (void)result;
    (void)index;
    end(resolve, 0);
}

static void forget(struct txn_resolve *resolve)
{
    if (!resolve->commit || resolve->is_partial) {
        end(resolve, 0); /* See exec_txn_forget(). */
        return;
    }
    router_to_region(&resolve->call, REGION_PLACEMENT);
    propose(resolve, COMMAND_TXN_FORGET, TXN_STEP_FIRST, forgotten);
}

static void source_resolved(struct router_call *call, int status,
                            const struct result *result, uint64_t index)
{
    struct txn_resolve *resolve = resolve_of(call);

    (void)result;
    (void)index;
    if (status != 0)
        end(resolve, status);
    else
        forget(resolve);
}

static void ends_resolved(struct router_call *call, int status,
                          const struct result *result, uint64_t index)
{
    struct txn_resolve *resolve = resolve_of(call);

    (void)index;
    if (status != 0) {
        end(resolve, status);
    } else if ((result->left & TXN_LEFT_SOURCE) != 0) {
        to_source(resolve);
        propose(resolve, COMMAND_TXN_RESOLVE, TXN_STEP_ENDS, source_resolved);
    } else {
        forget(resolve);
    }
}

static void part_resolved(struct router_call *call, int status,
                          const struct result *result, uint64_t index);

static void resolve_part(struct txn_resolve *resolve)
{
    router_to_key(&resolve->call, &resolve->part);
    propose(resolve, COMMAND_TXN_RESOLVE, TXN_STEP_PART, part_resolved);
}

static void go_to(struct txn_resolve *resolve, uint64_t nsid)
{
    if (resolve->txn.opens_nsid != 0)
        resolve->txn.opens_nsid = nsid;
    else
        resolve->txn.closes_nsid = nsid;
}

static void resolve_namespace(struct txn_resolve *resolve, uint64_t nsid)
{
    go_to(resolve, nsid);
    resolve->part = key_user('d', nsid, (struct slice){NULL, 0});
    resolve_part(resolve);
}

static void first_resolved(struct router_call *call, int status,
                           const struct result *result, uint64_t index)
{
    struct txn_resolve *resolve = resolve_of(call);

    if (status != 0 || (result->left & TXN_LEFT_PARTS) == 0) {
        ends_resolved(call, status, result, index);
        return;
    }
    resolve->txn.opens_nsid = result->holder.opens_nsid;
    resolve->txn.closes_nsid = result->holder.closes_nsid;
    resolve_namespace(resolve, nsid_of(&resolve->txn));
}

/* The next one of those below, and behind them what the intent names, if the
 * transaction has a place at which there is one. */
static void next_namespace(struct txn_resolve *resolve)
{
    if (resolve->below_at < resolve->below.count) {
        resolve_namespace(resolve, resolve->below.nsids[resolve->below_at++]);
        return;
    }
    resolve->has_below = false;
    if (resolve->txn.dir == 0) {
        forget(resolve);
        return;
    }
    to_main_end(resolve);
    propose(resolve, COMMAND_TXN_RESOLVE, TXN_STEP_FIRST, first_resolved);
}

/* The last one that was resolved may go on elsewhere. */
static int take_further(struct txn_resolve *resolve,
                        const struct result *result)
{
    if (result->offset > domain_count(further(resolve)))
        return ERR_NO_QUORUM; /* That makes no sense: to be tried again. */
    if (result->offset > 0) {
        resolve->below_at += result->offset;
        go_to(resolve, resolve->below.nsids[resolve->below_at - 1]);
    }
    return 0;
}

static void part_resolved(struct router_call *call, int status,
                          const struct result *result, uint64_t index)
{
    struct txn_resolve *resolve = resolve_of(call);

    (void)index;
    if (status == 0)
        status = take_further(resolve, result);
    if (status != 0) {
        end(resolve, status);
    } else if (key_next_part(nsid_of(&resolve->txn), result->data,
                             &resolve->part)) {
        resolve_part(resolve);
    } else if (resolve->has_below) {
        next_namespace(resolve);
    } else {
        to_main_end(resolve);
        propose(resolve, COMMAND_TXN_RESOLVE, TXN_STEP_ENDS, ends_resolved);
    }
}

void txn_resolve_start(struct txn_resolve *resolve, struct node *node,
                       const struct txn_ref *txn, bool commit,
                       struct domain below)
{
    resolve->node = node;
    resolve->txn = txn_ref_copy(txn, resolve->names);
    resolve->commit = commit;
    resolve->below = below;
    domain_sort(&resolve->below);
    resolve->below_bytes = domain_encode(&resolve->below);
    resolve->below_at = 0;
    resolve->has_below = true;
    next_namespace(resolve);
}
