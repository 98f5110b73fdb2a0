/* SPDX-License-Identifier: Apache-2.0 */

/* Opening the replicas that a store has, at the start of a node. */

#include <inttypes.h>

#include "engine/region_log.h"
#include "engine/region_state.h"
#include "engine/replicas_impl.h"

/* ---- opening ---- */

/* The entry that removed this node's peer was applied, and no more. Where the
 * marker is damaged, the tombstone only has no position to tell. */
static int open_removed(struct replica *replica)
{
    struct env *env = node_env(replica->replicas->node);
    struct tombstone tombstone = {0};
    struct region region = {0};
    struct marker marker;
    int rc =
        region_state_descriptor(env->state, NULL, replica->region, &region);

    if (rc != 0)
        return rc;
    tombstone.peer = region.peer_max;
    if (region_state_marker(env->state, NULL, replica->region, &marker) == 0) {
        tombstone.index = marker.index;
        tombstone.term = marker.term;
    }
    replica_plan_erase(replica, region, &tombstone);
    erase_start(&replica->erase);
    return 0;
}

/* A peer that had no state yet goes on waiting for it: its log may hold a vote
 * that it has given. */
static int open_without_state(struct replica *replica, struct err *e)
{
    struct node *node = replica->replicas->node;
    struct env *env = node_env(node);
    uint64_t peer_id = 0;
    int rc = erase_leftovers(env, replica->region);

    if (rc == 0)
        rc = region_log_peer(env, replica->region, &peer_id);
    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc != 0)
        return err_set(e, rc, "region %" PRIu64 ": its log cannot be read",
                       replica->region);
    return peer_create(&replica->peer, node, replica->region, peer_id, e);
}

static int open_state(struct replica *replica, struct err *e)
{
    struct node *node = replica->replicas->node;
    int rc = peer_open(&replica->peer, node, replica->region, e);

    if (rc == ERR_NOT_FOUND)
        return open_without_state(replica, e);
    if (rc == ERR_FOREIGN && replica->region == REGION_PLACEMENT)
        return err_set(e, rc, "this node was removed from the cluster");
    if (rc == ERR_FOREIGN)
        return open_removed(replica);
    if (rc == 0)
        replica_publish(replica);
    return rc;
}

static int open_one(struct replica *replica, struct err *e)
{
    int rc = open_state(replica, e);

    replica_note_awake(replica);
    return rc;
}

/* Who has joined may still wait for its replica of region 0. */
static bool is_founder(const struct replicas *replicas)
{
    return node_config(replicas->node)->identity.token_count > 0;
}

/* Opens the region that a key of class `class` in a store names. */
static int open_named(struct replicas *replicas, struct kv *kv, char class,
                      struct err *e)
{
    struct slice begin = {&class, 1};
    char behind = (char)(class + 1);
    struct kv_iter *iter =
        kv_iter_new(kv, NULL, begin, (struct slice){&behind, 1});
    int rc = 0;

    for (kv_iter_seek(iter, begin); rc == 0 && kv_iter_valid(iter);
         kv_iter_next(iter)) {
        uint64_t region;

        if (!key_parse_region(kv_iter_key(iter), &region))
            rc = err_set(e, ERR_CORRUPT, "the store has a malformed key");
        else if (replica_find(replicas, region) == NULL)
            rc = open_one(replica_obtain(replicas, region), e);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, e);
    kv_iter_free(iter);
    return rc;
}

/* A region without a peer's id or a descriptor may have left a log: what was
 * erased only in part is erased now, and the log of a new region waits until
 * the entry that made it is applied again. */
static void drop_empty(struct replicas *replicas)
{
    for (size_t i = replicas->count; i-- > 0;)
        replica_drop_if_empty(replicas->items[i]);
}

int replicas_open(struct replicas *replicas, struct err *e)
{
    struct env *env = node_env(replicas->node);
    int rc = open_named(replicas, env->state, 'r', e);

    if (rc == 0)
        rc = open_named(replicas, env->log, 'D', e);
    if (rc == 0)
        rc = open_named(replicas, env->log, 'P', e);
    if (rc == 0)
        rc = open_named(replicas, env->log, 'H', e);
    drop_empty(replicas);
    if (rc == 0 && replicas_find(replicas, REGION_PLACEMENT) == NULL &&
        is_founder(replicas))
        rc = err_set(e, ERR_CORRUPT, "the store has no placement group");
    return rc;
}
