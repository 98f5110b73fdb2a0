/* SPDX-License-Identifier: Apache-2.0 */

/* Log compaction: each replica forgets entries on its own, up to
 *
 *     min(durable marker, applied - what lagging replicas may still need).
 *
 * By the first bound a restart finds everything it has to apply again; so when
 * the log grows and the marker does not get durable by itself, state/ is
 * flushed. By the second a replica that was away for a while catches up by
 * the log; one that needs more gets a snapshot. */

#include <stdlib.h>

#include "engine/keys.h"
#include "engine/node.h"
#include "engine/peer_impl.h"

enum {
    SLACK_MIN = 64,                  /* entries, to have work in batches */
    LOG_BYTES_MAX = 64 * 1024 * 1024 /* kept for lagging replicas */
};

uint64_t peer_durable(const struct peer *peer)
{
    struct key key = key_marker(peer->region_id);
    struct kv_value value = {0};
    struct marker marker = {0};
    int rc = kv_get_durable(peer->env->state, key_slice(&key), &value);

    if (rc == 0)
        rc = marker_decode(&marker, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc == 0 ? marker.index : 0;
}

static bool is_large(const struct peer *peer)
{
    return region_log_size_bytes(peer->log) > LOG_BYTES_MAX;
}

/* What may go as far as the other replicas are concerned. */
static uint64_t spare_index(const struct peer *peer)
{
    uint64_t first = region_log_first_index(peer->log);
    uint64_t keep = node_log_keep(peer->node);
    uint64_t applied = peer->applied_index;
    uint64_t spare = applied > keep ? applied - keep : 0;
    uint64_t half = first + (applied - first) / 2;

    return is_large(peer) && half > spare ? half : spare;
}

/* A log grows to twice what is kept before it is cut, so that the flushes this
 * may take stay rare. */
static bool is_due(const struct peer *peer, uint64_t index)
{
    uint64_t keep = node_log_keep(peer->node);
    uint64_t slack = is_large(peer) ? 1 : keep < SLACK_MIN ? SLACK_MIN : keep;

    return index >= region_log_first_index(peer->log) + slack;
}

static void compact_done(void *context)
{
    struct peer *peer = context;

    peer->compacting = false;
}

void peer_compact(struct peer *peer)
{
    uint64_t index = spare_index(peer);
    struct log_change *change;
    uint64_t durable;

    if (peer->compacting || peer->install != NULL || peer->damaged ||
        !is_due(peer, index))
        return;
    durable = peer_durable(peer);
    if (durable < index) {
        node_flush_state(peer->node);
        index = durable;
    }
    if (!is_due(peer, index))
        return;
    peer->compacting = true;
    peer->compactions++;
    change = log_change_new(peer->log);
    log_change_compact(change, index);
    log_change_submit(change, compact_done, peer);
}
