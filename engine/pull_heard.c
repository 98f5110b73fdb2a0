/* SPDX-License-Identifier: Apache-2.0 */

/* Who is heard of, and whether all that others had is here. */

#include "engine/pull_impl.h"
#include "engine/status.h"

bool pulls_is_heard(const struct pull_peer *peer)
{
    uint64_t now_ns = env_mono_ns(peer->pulls->env);

    return peer->contact_ns != 0 &&
           now_ns - peer->contact_ns <= (uint64_t)STATUS_SILENT_MS * 1000000;
}

bool pulls_hear_all(struct pulls *pulls, uint64_t *ret_missing)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(pulls->node, nodes);

    for (size_t i = 0; i < count; i++) {
        const struct pull_peer *peer = pulls_find(pulls, nodes[i]);

        if (nodes[i] != node_id(pulls->node) &&
            (peer == NULL || !pulls_is_heard(peer))) {
            *ret_missing = nodes[i];
            return false;
        }
    }
    return count > 0;
}

bool pulls_are_drained(struct pulls *pulls, uint64_t fence,
                       uint64_t *ret_missing)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(pulls->node, nodes);
    bool belongs = false;

    for (size_t i = 0; i < count; i++) {
        const struct pull_peer *peer = pulls_find(pulls, nodes[i]);

        if (nodes[i] == node_id(pulls->node)) {
            belongs = true;
        } else if (peer == NULL || peer->fence < fence) {
            *ret_missing = nodes[i];
            return false;
        }
    }
    if (!belongs)
        *ret_missing = node_id(pulls->node);
    return belongs;
}

bool pulls_behind(struct pulls *pulls, uint64_t *ret_ns)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(pulls->node, nodes);
    uint64_t now_ns = env_mono_ns(pulls->env);
    uint64_t behind_ns = 0;

    for (size_t i = 0; i < count; i++) {
        const struct pull_peer *peer = pulls_find(pulls, nodes[i]);

        if (nodes[i] == node_id(pulls->node))
            continue;
        if (peer == NULL || peer->equal_ns == 0)
            return false;
        if (now_ns - peer->equal_ns > behind_ns)
            behind_ns = now_ns - peer->equal_ns;
    }
    *ret_ns = behind_ns;
    return count > 0;
}
