/* SPDX-License-Identifier: Apache-2.0 */

/* What comes from other nodes and goes to them. */

#include <inttypes.h>

#include "engine/liveness.h"
#include "engine/members.h"
#include "engine/merge.h"
#include "engine/node_impl.h"
#include "engine/outbox.h"
#include "engine/placement.h"
#include "engine/pull.h"
#include "engine/replicas.h"
#include "engine/router.h"
#include "engine/snapshot.h"
#include "engine/status.h"
#include "engine/steps.h"

/* ---- incoming ---- */

struct incoming {
    struct node *node;
    uint64_t from;
};

static void step_one(void *context, const struct raft_envelope *envelope)
{
    const struct incoming *incoming = context;

    replicas_on_message(incoming->node->replicas, incoming->from, envelope);
}

static void on_placement_packet(struct node *node, uint64_t from,
                                const struct env_packet *packet)
{
    struct slice bytes = buf_slice(packet->header);

    if (packet->type == WIRE_REPORT)
        placement_on_report(node->placement, from, bytes);
    else if (packet->type == WIRE_REPORTED)
        placement_on_reported(node->placement, from, bytes);
    else if (packet->type == WIRE_OPERATORS)
        placement_on_operators(node->placement, bytes);
    else
        step_on_packet(node, packet);
}

void node_on_packet(struct node *node, uint64_t from,
                    const struct env_packet *packet)
{
    struct incoming incoming = {node, from};

    liveness_on_packet(node->liveness, from);
    switch ((enum wire_type)packet->type) {
    case WIRE_RAFT:
        (void)raft_batch_decode(packet, step_one, &incoming); /* Or dropped. */
        return;
    case WIRE_PEER_QUERY:
        replicas_on_query(node->replicas, from, packet);
        return;
    case WIRE_PEER_GONE:
        replicas_on_gone(node->replicas, packet);
        return;
    case WIRE_ALIVE:
        liveness_on_alive(node->liveness, from, packet);
        return;
    case WIRE_CALL:
        router_on_call(node->router, from, packet);
        return;
    case WIRE_RETURN:
        router_on_return(node->router, packet);
        return;
    case WIRE_MERGE_QUERY:
        merges_on_query(node->merges, from, packet);
        return;
    case WIRE_MERGE_REPORT:
        merges_on_report(node->merges, from, packet);
        return;
    case WIRE_LOCATE:
        router_on_locate(node->router, from, packet);
        return;
    case WIRE_LOCATED:
        router_on_located(node->router, packet);
        return;
    case WIRE_STATUS:
        status_board_on_packet(node->board, packet);
        return;
    case WIRE_REPORT:
    case WIRE_REPORTED:
    case WIRE_STEP:
    case WIRE_OPERATORS:
        on_placement_packet(node, from, packet);
        return;
    case WIRE_SNAPSHOT_BEGIN:
    case WIRE_SNAPSHOT_CHUNK:
    case WIRE_SNAPSHOT_ACK:
        snapshots_on_packet(node->snapshots, from, packet);
        return;
    case WIRE_EVENTUAL_ASK:
    case WIRE_EVENTUAL_ANSWER:
        pulls_on_packet(node->pulls, from, packet);
        return;
    case WIRE_JOIN:
        members_on_join(node->members, from, packet);
        return;
    case WIRE_JOINED:
        members_on_joined(node->members, packet);
        return;
    case WIRE_BOOT:
        return; /* engine.c answers those. */
    }
}

/* ---- links ---- */

bool node_link_up(const struct node *node, uint64_t id)
{
    for (size_t i = 0; i < node->link_count; i++)
        if (node->links_up[i] == id)
            return true;
    return false;
}

static void link_set(struct node *node, uint64_t id, bool up)
{
    for (size_t i = 0; i < node->link_count; i++) {
        if (node->links_up[i] != id)
            continue;
        if (!up)
            node->links_up[i] = node->links_up[--node->link_count];
        return;
    }
    if (up && node->link_count < NODES_MAX)
        node->links_up[node->link_count++] = id;
}

void node_on_link(struct node *node, uint64_t id, bool up)
{
    if (node_link_up(node, id) != up)
        node_log_event(node, up ? LOG_INFO : LOG_WARN,
                       up ? "node %" PRIu64 " is connected"
                          : "the connection to node %" PRIu64 " is lost",
                       id);
    link_set(node, id, up);
    liveness_on_link(node->liveness, id, up);
    pulls_on_link(node->pulls, id, up);
    if (up)
        return;
    router_on_link_down(node->router, id);
    snapshots_on_link_down(node->snapshots, id);
    replicas_on_link_down(node->replicas, id);
}

/* ---- outgoing ---- */

void node_send_raft(struct node *node, uint64_t to, uint64_t region,
                    const struct raft_message *message)
{
    outbox_add(node->outbox, to, region, message);
}

void node_send_snapshot(struct node *node, struct peer *peer, uint64_t to,
                        const struct raft_message *message)
{
    node_log_event(node, LOG_INFO,
                   "region %" PRIu64 ": sending a snapshot to node %" PRIu64,
                   peer_region_id(peer), to);
    snapshots_send(node->snapshots, peer, to, message);
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    struct env_packet packet = {
        .type = type,
        .header = header,
        .payloads = &payload,
        .payload_count = payload != NULL ? 1 : 0,
    };

    env_send(node->env, to, channel, &packet);
}
