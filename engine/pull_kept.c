/* SPDX-License-Identifier: Apache-2.0 */

/* What of each other's changes nodes have safely. Mostly nobody has to know:
 * who has lost what it had pulled asks for it again. But the content of a
 * directory that is being filled lay on a majority of disks, and is about to be
 * deleted there (txn_export.h). */

#include "engine/eventual_damage.h"
#include "engine/modes.h"
#include "engine/pull_impl.h"

uint64_t pulls_kept(const struct pull_peer *peer)
{
    const struct pulls *pulls = peer->pulls;
    struct eventual_peer record;

    if (!modes_any_filling(node_modes(pulls->node)) ||
        eventual_is_damaged(node_eventual(pulls->node)) ||
        eventual_peer_get_durable(pulls->env->state, peer->node, &record) != 0)
        return 0;
    return record.received;
}

void pulls_keep(struct pulls *pulls)
{
    struct pull_peer *peer;

    if (!modes_any_filling(node_modes(pulls->node)))
        return;
    TAILQ_FOREACH (peer, &pulls->peers, link) {
        uint64_t kept = pulls_kept(peer);

        if (kept < peer->received)
            node_flush_state(pulls->node);
        if (kept != peer->kept)
            peer->ask_ns = 0;
    }
}

static bool keeps(const struct pulls *pulls, uint64_t node, uint64_t sequence)
{
    const struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link)
        if (peer->node == node)
            return pulls_is_heard(peer) && peer->reply.ask.kept >= sequence;
    return false;
}

bool pulls_all_keep(const struct pulls *pulls, uint64_t sequence,
                    uint64_t *ret_missing)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(pulls->node, nodes);

    for (size_t i = 0; i < count; i++)
        if (nodes[i] != node_id(pulls->node) &&
            !keeps(pulls, nodes[i], sequence)) {
            *ret_missing = nodes[i];
            return false;
        }
    return count > 0;
}
