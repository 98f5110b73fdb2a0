/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/orphans.h"

#include <stdlib.h>

#include "engine/keys.h"
#include "engine/settle.h"
#include "engine/snapshot.h"

/* A transaction seen at work; free when its id's node is 0. */
struct seen {
    struct txn_id id;
    uint64_t since_ns;
    bool again; /* seen in this round too */
    struct settle settle;
    struct orphans *orphans;
};

struct orphans {
    struct node *node;
    struct seen seen[ORPHANS_MAX];
    bool met; /* a transaction at work, in the region looked at */
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
        settle_cancel(&orphans->seen[i].settle);
}

void orphans_free(struct orphans *orphans)
{
    free(orphans);
}

static struct seen *find(struct orphans *orphans, struct txn_id id)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++)
        if (txn_id_equal(orphans->seen[i].id, id))
            return &orphans->seen[i];
    return NULL;
}

static void settled(struct settle *settle, int status)
{
    struct seen *seen = container_of(settle, struct seen, settle);

    if (status == 0)
        node_log_event(seen->orphans->node, LOG_INFO,
                       "an unfinished directory operation was %s",
                       settle->commit ? "completed" : "undone");
    seen->id = (struct txn_id){0};
}

static uint64_t age_ns_max(const struct orphans *orphans)
{
    /* By then its coordinator has given up by itself. */
    return (node_config(orphans->node)->op_timeout_ms + SETTLE_PATIENCE_MS) *
           1000000;
}

static void meet(struct orphans *orphans, const struct txn_ref *txn)
{
    uint64_t now_ns = env_mono_ns(node_env(orphans->node));
    struct seen *seen = find(orphans, txn->id);

    orphans->met = true;
    if (seen == NULL) {
        seen = find(orphans, (struct txn_id){0});
        if (seen == NULL)
            return; /* All are busy: next time. */
        seen->id = txn->id;
        seen->since_ns = now_ns;
        seen->orphans = orphans;
    }
    seen->again = true;
    if (seen->settle.active || now_ns - seen->since_ns < age_ns_max(orphans))
        return;
    seen->settle.deadline_ns = now_ns + age_ns_max(orphans);
    seen->settle.done = settled;
    settle_force(&seen->settle, orphans->node, txn);
}

/* The transaction that a user key is held by. */
static void look_at_intent(struct orphans *orphans, uint64_t nsid,
                           struct slice name)
{
    struct kv *state = node_env(orphans->node)->state;
    struct key key = key_user('d', nsid, name);
    struct kv_value value = {0};
    struct entry entry = {0};

    if (kv_get(state, NULL, key_slice(&key), &value) == 0 &&
        entry_decode(&entry, (struct slice){value.data, value.size}) == 0 &&
        entry.kind == ENTRY_INTENT)
        meet(orphans, &entry.txn);
    kv_value_release(&value);
    entry_release(&entry);
}

/* And the one that has marked a part of a namespace. */
static void look_at_part(struct orphans *orphans, uint64_t nsid,
                         struct slice region_start)
{
    struct kv *state = node_env(orphans->node)->state;
    struct key key = key_namespace(nsid, region_start);
    struct namespace_record record = {0};
    struct kv_value value = {0};

    if (kv_get(state, NULL, key_slice(&key), &value) == 0 &&
        namespace_decode(&record, (struct slice){value.data, value.size}) ==
            0) {
        if (record.closing.id.node != 0)
            meet(orphans, &record.closing);
        else if (record.opening.id.node != 0)
            meet(orphans, &record.opening);
    }
    kv_value_release(&value);
    namespace_release(&record);
}

static void look_at_mark(struct orphans *orphans, const struct kv_iter *iter,
                         const struct region *region)
{
    struct slice key = kv_iter_key(iter);
    struct slice name;
    uint64_t nsid;

    if (key_parse_user(key, 'x', &nsid, &name))
        look_at_intent(orphans, nsid, name);
    else if (key_parse_namespace_mark(key, &nsid))
        look_at_part(orphans, nsid, region->start);
}

/* A decision that nobody has forgotten: its coordinator died after RESOLVE. An
 * abort stays until its sender waits no more (results.h). */
static void look_at_decision(struct orphans *orphans,
                             const struct kv_iter *iter,
                             const struct region *region)
{
    struct decision decision = {0};

    (void)region;
    if (decision_decode(&decision, kv_iter_value(iter)) == 0 &&
        decision.committed)
        meet(orphans, &decision.txn);
    decision_release(&decision);
}

static void forget_gone(struct orphans *orphans)
{
    for (size_t i = 0; i < ORPHANS_MAX; i++) {
        struct seen *seen = &orphans->seen[i];

        if (!seen->again && !seen->settle.active)
            seen->id = (struct txn_id){0};
        seen->again = false;
    }
}

typedef void looker(struct orphans *orphans, const struct kv_iter *iter,
                    const struct region *region);

/* The first ones: what is found there is soon gone. */
static void look_at_all(struct orphans *orphans, const struct key_range *range,
                        const struct region *region, looker *look)
{
    struct slice begin = key_slice(&range->begin);
    struct kv_iter *iter = kv_iter_new(node_env(orphans->node)->state, NULL,
                                       begin, key_slice(&range->end));

    kv_iter_seek(iter, begin);
    for (int i = 0; kv_iter_valid(iter) && i < ORPHANS_MAX; i++) {
        look(orphans, iter, region);
        kv_iter_next(iter);
    }
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
        look_at_region(orphans, peer);
        if (orphans->met)
            peer_note_use(peer);
    }
    forget_gone(orphans);
}
