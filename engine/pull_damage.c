/* SPDX-License-Identifier: Apache-2.0 */

/* What a node that lacks something asks of the others: eventual_damage.h. */

#include "engine/eventual_damage.h"
#include "engine/pull_impl.h"

/* Rule 6; fences, too, are told anew. */
static void forget_all(struct pulls *pulls)
{
    struct pull_peer *peer;

    pulls->knows_own = false;
    pulls->vector_change++;
    TAILQ_FOREACH (peer, &pulls->peers, link) {
        peer->ticket = peer->ask_ns = 0;
        peer->cursor = peer->received = 0;
        peer->promise = peer->roll = peer->equal_ns = 0;
        peer->fence = peer->fence_sequence = peer->fence_head = 0;
        peer->has_told_all = peer->has_told_rest = false;
    }
}

void pulls_follow_damage(struct pulls *pulls)
{
    const struct eventual *eventual = node_eventual(pulls->node);
    bool is_damaged = eventual_is_damaged(eventual);

    if (pulls->damages != eventual_damages(eventual)) {
        forget_all(pulls);
        node_log_event(pulls->node, LOG_ERROR,
                       "a file of an eventual directory cannot be read on this "
                       "node, see health: all other nodes are asked for "
                       "everything again");
    } else if (pulls->was_damaged && !is_damaged) {
        node_log_event(pulls->node, LOG_INFO,
                       "all files of eventual directories can be read again");
    }
    pulls->damages = eventual_damages(eventual);
    pulls->was_damaged = is_damaged;
}

bool pulls_have_rest(const struct pulls *pulls)
{
    const struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link)
        if (peer->is_member && !peer->has_told_rest)
            return false;
    return true;
}
