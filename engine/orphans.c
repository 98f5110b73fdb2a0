/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/orphans.h"

#include <stdlib.h>

#include "engine/keys.h"
#include "engine/settle.h"
#include "engine/snapshot.h"

/* A transaction seen at work. */
struct seen {
    struct txn_id id;
    uint64_t since_ns;
    bool again; /* seen in this round too */
    bool aborted;
    UT_hash_handle by_id;
};

/* One that is being settled. */
struct rescue {
    struct settle settle;
    struct orphans *orphans;
    uint64_t region; /* where it was met */
    /* Of one that was aborted, while the region is looked through. */
    bool collecting;
    struct txn_ref txn;
    char names[2][NAME_SIZE_MAX];
    struct domain met; /* whose parts it holds there */
};

struct orphans {
    struct node *node;
    struct seen *seen; /* by id */
    struct rescue rescues[ORPHANS_MAX];
    uint64_t region; /* that is looked at */
    bool met;        /* a transaction at work there */
};

struct orphans *orphans_new(struct node *node)
{
    struct orphans *orphans = mem_zalloc(sizeof *orphans);

    orphans->node = node;
    return orphans;
}

void orphans_stop(struct orphans *orphans)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++)
        settle_cancel(&orphans->rescues[i].settle);
}

static void forget(struct orphans *orphans, struct seen *seen)
{
    HASH_DELETE(by_id, orphans->seen, seen);
    free(seen);
}

void orphans_free(struct orphans *orphans)
{
    struct seen *seen;
    struct seen *next;

    if (orphans == NULL)
        return;
    HASH_ITER (by_id, orphans->seen, seen, next)
        forget(orphans, seen);
    free(orphans);
}

/* ---- settling ---- */

static struct seen *find(struct orphans *orphans, struct txn_id id)
{
    struct seen *seen;

    HASH_FIND(by_id, orphans->seen, &id, sizeof id, seen);
    return seen;
}

/* When it is still there, its time begins anew. An abort may have undone only
 * what was met (settle.c): what else there is of it need not wait. */
static void settled(struct settle *settle, int status)
{
    struct rescue *rescue = container_of(settle, struct rescue, settle);
    struct seen *seen = find(rescue->orphans, settle->txn.id);
    bool aborted = status == 0 && !settle->commit;

    if (status == 0 && (seen == NULL || !seen->aborted))
        node_log_event(rescue->orphans->node, LOG_INFO,
                       "an unfinished operation was %s",
                       settle->commit ? "completed" : "undone");
    if (seen != NULL && aborted)
        seen->aborted = true;
    else if (seen != NULL)
        forget(rescue->orphans, seen);
}

static uint64_t age_ns_max(const struct orphans *orphans)
{
    /* By then its coordinator has given up by itself. */
    return (node_config(orphans->node)->op_timeout_ms + SETTLE_PATIENCE_MS) *
           1000000;
}

/* Of a commit it is all that there is; an abort undoes what was met there. */
static bool settles(const struct rescue *rescue, const struct txn_ref *txn,
                    const struct seen *seen)
{
    return txn_id_equal(rescue->settle.txn.id, txn->id) &&
           (!seen->aborted || rescue->region == rescue->orphans->region);
}

/* One that is free. NULL: none, or it is being settled already. */
static struct rescue *find_rescue(struct orphans *orphans,
                                  const struct txn_ref *txn,
                                  const struct seen *seen)
{
    struct rescue *found = NULL;

    for (size_t i = 0; i < ORPHANS_MAX; i++) {
        struct rescue *rescue = &orphans->rescues[i];

        if (rescue->collecting && txn_id_equal(rescue->txn.id, txn->id))
            return rescue;
        if (rescue->settle.active && settles(rescue, txn, seen))
            return NULL;
        if (!rescue->collecting && !rescue->settle.active)
            found = rescue;
    }
    return found;
}

static void start(struct rescue *rescue, const struct txn_ref *txn)
{
    struct orphans *orphans = rescue->orphans;
    struct domain met = rescue->met;

    rescue->collecting = false;
    rescue->met = (struct domain){.count = 0};
    rescue->settle.deadline_ns =
        env_mono_ns(node_env(orphans->node)) + age_ns_max(orphans);
    rescue->settle.done = settled;
    settle_force(&rescue->settle, orphans->node, txn, met);
}

static void collect(struct rescue *rescue, const struct txn_ref *txn)
{
    uint64_t nsid = txn->opens_nsid != 0 ? txn->opens_nsid : txn->closes_nsid;

    if (rescue->met.count == 0)
        rescue->txn = txn_ref_copy(txn, rescue->names);
    rescue->collecting = true;
    if (nsid != 0)
        domain_add(&rescue->met, nsid);
}

static void rescue(struct orphans *orphans, const struct txn_ref *txn,
                   const struct seen *seen)
{
    struct rescue *rescue = find_rescue(orphans, txn, seen);

    if (rescue == NULL)
        return; /* Next time. */
    rescue->orphans = orphans;
    rescue->region = orphans->region;
    if (seen->aborted)
        collect(rescue, txn);
    else
        start(rescue, txn);
}

/* The region was looked through. */
static void start_collected(struct orphans *orphans)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++)
        if (orphans->rescues[i].collecting)
            start(&orphans->rescues[i], &orphans->rescues[i].txn);
}

/* ---- looking ---- */

static void meet(struct orphans *orphans, const struct txn_ref *txn)
{
    uint64_t now_ns = env_mono_ns(node_env(orphans->node));
    struct seen *seen = find(orphans, txn->id);

    orphans->met = true;
    if (seen == NULL) {
        if (HASH_CNT(by_id, orphans->seen) >= TXNS_SEEN_MAX)
            return; /* Next time. */
        seen = mem_zalloc(sizeof *seen);
        seen->id = txn->id;
        seen->since_ns = now_ns;
        HASH_ADD(by_id, orphans->seen, id, sizeof seen->id, seen);
    }
    seen->again = true;
    if (now_ns - seen->since_ns >= age_ns_max(orphans))
        rescue(orphans, txn, seen);
}

/* The transaction that a user key is held by. False, here and below: nothing
 * that has to be settled. */
static bool look_at_intent(struct orphans *orphans, uint64_t nsid,
                           struct slice name)
{
    struct kv *state = node_env(orphans->node)->state;
    struct key key = key_user('d', nsid, name);
    struct kv_value value = {0};
    struct entry entry = {0};
    bool found =
        kv_get(state, NULL, key_slice(&key), &value) == 0 &&
        entry_decode(&entry, (struct slice){value.data, value.size}) == 0 &&
        entry.kind == ENTRY_INTENT;

    if (found)
        meet(orphans, &entry.txn);
    kv_value_release(&value);
    entry_release(&entry);
    return found;
}

/* And the one that has marked a part of a namespace. */
static bool look_at_part(struct orphans *orphans, uint64_t nsid,
                         struct slice region_start)
{
    struct kv *state = node_env(orphans->node)->state;
    struct key key = key_namespace(nsid, region_start);
    struct namespace_record record = {0};
    struct kv_value value = {0};
    const struct txn_ref *txn = NULL;

    if (kv_get(state, NULL, key_slice(&key), &value) == 0 &&
        namespace_decode(&record, (struct slice){value.data, value.size}) == 0)
        txn = record.closing.id.node != 0 ? &record.closing : &record.opening;
    if (txn != NULL && txn->id.node == 0)
        txn = NULL;
    if (txn != NULL)
        meet(orphans, txn);
    kv_value_release(&value);
    namespace_release(&record);
    return txn != NULL;
}

static bool look_at_mark(struct orphans *orphans, const struct kv_iter *iter,
                         const struct region *region)
{
    struct slice key = kv_iter_key(iter);
    struct slice name;
    uint64_t nsid;

    if (key_parse_user(key, 'x', &nsid, &name))
        return look_at_intent(orphans, nsid, name);
    return key_parse_namespace_mark(key, &nsid) &&
           look_at_part(orphans, nsid, region->start);
}

/* A decision that nobody has forgotten: its coordinator died after RESOLVE. An
 * abort stays until its sender waits no more (results.h), and so for ever when
 * the cluster has removed that. */
static bool look_at_decision(struct orphans *orphans,
                             const struct kv_iter *iter,
                             const struct region *region)
{
    struct decision decision = {0};
    bool found = decision_decode(&decision, kv_iter_value(iter)) == 0 &&
                 decision.committed;

    (void)region;
    if (found)
        meet(orphans, &decision.txn);
    decision_release(&decision);
    return found;
}

static void forget_gone(struct orphans *orphans)
{
    struct seen *seen;
    struct seen *next;

    HASH_ITER (by_id, orphans->seen, seen, next) {
        if (!seen->again)
            forget(orphans, seen);
        else
            seen->again = false;
    }
}

typedef bool looker(struct orphans *orphans, const struct kv_iter *iter,
                    const struct region *region);

/* The first ones: what is found there is soon gone. */
static void look_at_all(struct orphans *orphans, const struct key_range *range,
                        const struct region *region, looker *look)
{
    struct slice begin = key_slice(&range->begin);
    struct kv_iter *iter = kv_iter_new(node_env(orphans->node)->state, NULL,
                                       begin, key_slice(&range->end));
    unsigned count = 0;

    kv_iter_seek(iter, begin);
    for (; kv_iter_valid(iter) && count < TXNS_SEEN_MAX; kv_iter_next(iter))
        count += look(orphans, iter, region);
    kv_iter_free(iter);
}

static void look_at_region(struct orphans *orphans, const struct peer *peer)
{
    const struct region *region = peer_region(peer);
    struct key_range range;

    if (region->id == REGION_PLACEMENT) {
        range.begin = key_decision(0, 0, 0);
        range.end = key_decision(UINT64_MAX, UINT64_MAX, UINT64_MAX);
        look_at_all(orphans, &range, region, look_at_decision);
    } else {
        range = snapshot_class_range('x', region);
        look_at_all(orphans, &range, region, look_at_mark);
    }
}

void orphans_tick(struct orphans *orphans)
{
    struct peer *peer = NULL;

    while ((peer = node_next_awake(orphans->node, peer)) != NULL) {
        if (!peer_is_serving(peer))
            continue;
        orphans->met = false;
        orphans->region = peer_region(peer)->id;
        look_at_region(orphans, peer);
        start_collected(orphans);
        if (orphans->met)
            peer_note_use(peer);
    }
    forget_gone(orphans);
}
