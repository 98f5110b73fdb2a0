/* SPDX-License-Identifier: Apache-2.0 */

/* Who is not there when a directory is made strong without waiting for all
 * (left_out.h), and what of each of them is here. */

#include "engine/pull_impl.h"
#include "engine/status.h"

static bool has_answered(const struct pull_peer *peer, uint64_t since_ns)
{
    return peer != NULL && peer->contact_ns > since_ns;
}

static bool is_long_ago(const struct pulls *pulls,
                        const struct absence *absence)
{
    return env_mono_ns(pulls->env) - absence->since_ns >
           (uint64_t)STATUS_SILENT_MS * 1000000;
}

bool pulls_know_who_is_there(struct pulls *pulls, struct absence *absence)
{
    struct left_out silent = {.count = 0};
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(pulls->node, nodes);

    for (size_t i = 0; i < count; i++)
        if (nodes[i] != node_id(pulls->node) &&
            !has_answered(pulls_find(pulls, nodes[i]), absence->since_ns))
            left_out_add(&silent, nodes[i], 0);
    if (count == 0 || (silent.count > 0 && !is_long_ago(pulls, absence)))
        return false;
    absence->nodes = silent;
    return true;
}

/* What cannot be read counts as nothing: more is kept then. Numbers of a node's
 * own changes are those by which others ask it for what it has, so a cursor is
 * one of them, too. */
static uint64_t own_changes_here(const struct pulls *pulls, uint64_t node)
{
    struct eventual_peer record;

    if (eventual_peer_get(pulls->env->state, node, &record) != 0)
        return 0;
    return record.received > record.cursor ? record.received : record.cursor;
}

/* Whether it need not be waited for: what it had is here, or it is left out. */
static bool is_done(const struct pulls *pulls, uint64_t node, uint64_t fence,
                    const struct absence *absence, struct left_out *left_out)
{
    const struct pull_peer *peer = pulls_find(pulls, node);

    if (peer != NULL && peer->fence >= fence)
        return true;
    if (!left_out_is_of(&absence->nodes, node) ||
        has_answered(peer, absence->since_ns))
        return false;
    left_out_add(left_out, node, own_changes_here(pulls, node));
    return true;
}

bool pulls_are_drained_without(struct pulls *pulls, uint64_t fence,
                               const struct absence *absence,
                               struct left_out *ret, uint64_t *ret_missing)
{
    struct left_out left_out = {.count = 0};
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(pulls->node, nodes);
    bool belongs = false;

    for (size_t i = 0; i < count; i++) {
        if (nodes[i] == node_id(pulls->node)) {
            belongs = true;
        } else if (!is_done(pulls, nodes[i], fence, absence, &left_out)) {
            *ret_missing = nodes[i];
            return false;
        }
    }
    if (belongs)
        *ret = left_out;
    else
        *ret_missing = node_id(pulls->node);
    return belongs;
}
