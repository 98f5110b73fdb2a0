/* SPDX-License-Identifier: Apache-2.0 */

/* What is to be known of a node before it goes: what it had when it told of its
 * fence, and who has that. */

#include "engine/pull_impl.h"

static uint64_t sequence_of(const struct eventual_vector *vector, uint64_t node)
{
    for (size_t i = 0; i < vector->count; i++)
        if (vector->received[i].node == node)
            return vector->received[i].sequence;
    return 0;
}

/* All that was taken is in state/, so what that says now is how far it has to
 * be durable. What cannot be read never is. */
void pulls_note_fence(struct pull_peer *peer)
{
    const struct eventual_answer *answer = &peer->answer;
    struct eventual_head head = {0};
    int rc = eventual_head_get(peer->pulls->env->state, &head);

    peer->fence = answer->fence;
    peer->fence_sequence = sequence_of(&answer->vector, peer->node);
    peer->fence_head = rc == 0 ? head.sequence : UINT64_MAX;
}

struct pull_told pulls_told(const struct pulls *pulls, uint64_t node)
{
    struct pull_told told = {0};
    const struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link)
        if (peer->node == node)
            told = (struct pull_told){
                .fence = peer->fence,
                .sequence = peer->fence_sequence,
                .head = peer->fence_head,
                .contact_ns = peer->contact_ns,
            };
    return told;
}

static bool lacks(const struct pull_peer *peer, uint64_t origin,
                  uint64_t sequence)
{
    const struct pull_reply *reply = &peer->reply;

    return !reply->is_known ||
           sequence_of(&reply->ask.vector, origin) < sequence;
}

bool pulls_lack(const struct pulls *pulls, uint64_t origin, uint64_t sequence,
                bool (*stays)(struct node *node, uint64_t id),
                uint64_t *ret_node)
{
    const struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link) {
        if (!peer->is_member || peer->node == origin || !pulls_is_heard(peer) ||
            !stays(pulls->node, peer->node) || !lacks(peer, origin, sequence))
            continue;
        *ret_node = peer->node;
        return true;
    }
    return false;
}
