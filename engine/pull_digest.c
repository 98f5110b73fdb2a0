/* SPDX-License-Identifier: Apache-2.0 */

/* Whether other nodes have the same: digest.h. */

#include <inttypes.h>

#include "engine/pull_impl.h"

enum { DIFFER_COUNT_MIN = 2 };

static bool differs(const struct pull_peer *peer)
{
    return peer->differ_count >= DIFFER_COUNT_MIN;
}

static void note_difference(struct pull_peer *peer)
{
    struct pulls *pulls = peer->pulls;

    if (peer->differ_count++ == 0)
        peer->differs_ns = (int64_t)env_wall_ns(pulls->env);
    if (peer->differ_count == DIFFER_COUNT_MIN)
        node_log_event(pulls->node, LOG_ERROR,
                       "node %" PRIu64 " has something else in eventual "
                       "directories, though all changes are on both nodes",
                       peer->node);
}

/* Who differs does so until it is found that he does not. */
static void compare(struct pull_peer *peer)
{
    const struct eventual *eventual = node_eventual(peer->pulls->node);
    const struct digest_moment own = eventual_moment(eventual, peer->node);

    peer->verdict = digest_compare(&own, &peer->reply.ask.moment);
    if (peer->verdict == DIGEST_DIFFERS)
        note_difference(peer);
    else if (peer->verdict == DIGEST_EQUAL)
        peer->differ_count = 0;
}

void pulls_compare(struct pulls *pulls)
{
    uint64_t moment = eventual_moment_number(node_eventual(pulls->node));
    struct pull_peer *peer;

    if (moment == pulls->moment)
        return;
    pulls->moment = moment;
    TAILQ_FOREACH (peer, &pulls->peers, link)
        if (peer->is_member)
            compare(peer);
}

enum digest_verdict pulls_verdict(const struct pull_peer *peer)
{
    const struct eventual *eventual = node_eventual(peer->pulls->node);

    if (differs(peer))
        return DIGEST_DIFFERS;
    if (!pulls_is_heard(peer) || peer->verdict == DIGEST_NONE)
        return DIGEST_NONE;
    return peer->verdict == DIGEST_EQUAL && eventual_moment_holds(eventual)
               ? DIGEST_EQUAL
               : DIGEST_BEHIND;
}

bool pulls_next_differing(const struct pulls *pulls, uint64_t node_min,
                          uint64_t *ret_node, int64_t *ret_since_ns)
{
    const struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link) {
        if (!peer->is_member || peer->node < node_min || !differs(peer))
            continue;
        *ret_node = peer->node;
        *ret_since_ns = peer->differs_ns;
        return true;
    }
    return false;
}
