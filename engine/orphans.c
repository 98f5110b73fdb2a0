/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/orphans.h"

#include <stdlib.h>

#include "engine/keys.h"
#include "engine/settle.h"

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

static void look_at_intent(struct orphans *orphans, const struct kv_iter *iter)
{
    struct kv *state = node_env(orphans->node)->state;
    struct kv_value value = {0};
    struct entry entry = {0};
    struct slice name;
    struct key key;
    uint64_t nsid;

    if (!key_parse_user(kv_iter_key(iter), 'x', &nsid, &name))
        return;
    key = key_user('d', nsid, name);
    if (kv_get(state, NULL, key_slice(&key), &value) == 0 &&
        entry_decode(&entry, (struct slice){value.data, value.size}) == 0 &&
        entry.kind == ENTRY_INTENT)
        meet(orphans, &entry.txn);
    kv_value_release(&value);
    entry_release(&entry);
}

/* A decision that nobody has forgotten: its coordinator died after RESOLVE. An
 * abort stays until its sender waits no more (results.h). */
static void look_at_decision(struct orphans *orphans,
                             const struct kv_iter *iter)
{
    struct decision decision = {0};

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

static void
look_at_all(struct orphans *orphans, struct slice begin, struct slice end,
            void (*look)(struct orphans *orphans, const struct kv_iter *iter))
{
    struct kv_iter *iter =
        kv_iter_new(node_env(orphans->node)->state, NULL, begin, end);

    kv_iter_seek(iter, begin);
    for (int i = 0; kv_iter_valid(iter) && i < ORPHANS_MAX; i++) {
        look(orphans, iter);
        kv_iter_next(iter);
    }
    kv_iter_free(iter);
}

void orphans_tick(struct orphans *orphans)
{
    const struct peer *peer = node_peer(orphans->node, REGION_FIRST_DATA);
    struct key decisions = key_decision(0, 0, 0);
    struct key behind = key_decision(UINT64_MAX, UINT64_MAX, UINT64_MAX);

    if (peer == NULL || !peer_is_serving(peer))
        return;
    look_at_all(orphans, (struct slice){"x", 1}, (struct slice){"y", 1},
                look_at_intent);
    look_at_all(orphans, key_slice(&decisions), key_slice(&behind),
                look_at_decision);
    forget_gone(orphans);
}
