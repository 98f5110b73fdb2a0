/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/transfer.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/node.h"
#include "engine/status.h"

enum { LOOK_MS = 10, WHY_SIZE = 96 };

static void end(struct transfer *transfer, int status, const char *words)
{
    char why[WHY_SIZE] = "";

    if (words != NULL)
        (void)snprintf(why, sizeof why, "node %" PRIu64 " %s",
                       transfer->target_node, words);
    transfer_cancel(transfer);
    transfer->done(transfer, status, why);
}

static bool is_voter(const struct region *region, uint64_t node_id)
{
    for (size_t i = 0; i < region->peer_count; i++)
        if (region->peers[i].node == node_id &&
            region->peers[i].role == PEER_VOTER)
            return true;
    return false;
}

static bool is_damaged(const struct transfer *transfer)
{
    return status_board_state(node_status_board(transfer->node),
                              transfer->target_node,
                              transfer->region) == PEER_DAMAGED;
}

/* Whether it would take over at once. */
static bool is_ready(const struct transfer *transfer, const struct peer *peer)
{
    struct raft_peer_status progress;
    struct peer_status own;

    peer_status(peer, &own);
    return !own.transferring &&
           peer_progress(peer, transfer->target_node, &progress) &&
           progress.recent_active &&
           progress.match + TRANSFER_LAG_MAX >= own.last_index;
}

/* One that leads again has handed over before, and whoever wanted that has
 * been told so by the others; what he wants now may be something else. */
static bool is_led_as_begun(const struct transfer *transfer,
                            const struct peer *peer)
{
    return peer != NULL && peer_is_leader(peer) &&
           peer_term(peer) == transfer->term;
}

static void step(struct transfer *transfer)
{
    struct node *node = transfer->node;
    struct peer *peer = node_peer(node, transfer->region);

    if (!is_led_as_begun(transfer, peer)) {
        end(transfer, ERR_NOT_LEADER, NULL);
    } else if (transfer->target_node == node_id(node)) {
        node_on_manual_transfer(node, transfer->region);
        end(transfer, 0, NULL);
    } else if (!is_voter(peer_region(peer), transfer->target_node)) {
        end(transfer, ERR_NOT_PERMITTED, "has no voting replica of it");
    } else if (is_damaged(transfer)) {
        end(transfer, ERR_NOT_PERMITTED, "has a damaged replica of it");
    } else if (node_clock_is_wrong(node, transfer->target_node)) {
        end(transfer, ERR_NOT_PERMITTED, "has a wrong clock");
    } else if (env_mono_ns(node_env(node)) >= transfer->until_ns) {
        end(transfer, ERR_UNKNOWN_OUTCOME, "has not taken over in time");
    } else {
        if (is_ready(transfer, peer))
            (void)peer_transfer(peer, transfer->target_node);
        env_timer_start(node_env(node), &transfer->timer,
                        (uint64_t)LOOK_MS * 1000000);
    }
}

static void on_timer(struct env_timer *timer)
{
    step(container_of(timer, struct transfer, timer));
}

/* In vain a while before whoever asks gives up, so that he is told why. */
static uint64_t patience_ns(struct node *node)
{
    return node_config(node)->op_timeout_ms * 1000000 / 4 * 3;
}

void transfer_start(struct transfer *transfer, struct node *node,
                    uint64_t region, uint64_t target_node)
{
    const struct peer *peer = node_peer(node, region);

    transfer->node = node;
    transfer->region = region;
    transfer->term = peer == NULL ? 0 : peer_term(peer);
    transfer->target_node = target_node;
    transfer->until_ns = env_mono_ns(node_env(node)) + patience_ns(node);
    transfer->timer = (struct env_timer){.fire = on_timer};
    step(transfer);
}

bool transfer_is_running(const struct transfer *transfer)
{
    return transfer->node != NULL;
}

void transfer_cancel(struct transfer *transfer)
{
    if (transfer->node == NULL)
        return;
    env_timer_stop(node_env(transfer->node), &transfer->timer);
    transfer->node = NULL;
}
