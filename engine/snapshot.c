/* SPDX-License-Identifier: Apache-2.0 */

/* The door of snapshot streams: who gets which packet. */

#include "engine/snapshot.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/snapshot_impl.h"

struct snapshots *snapshots_new(struct node *node)
{
    struct snapshots *snapshots = mem_zalloc(sizeof *snapshots);

    snapshots->node = node;
    snapshots->env = node_env(node);
    sendings_init(snapshots);
    TAILQ_INIT(&snapshots->receivings);
    return snapshots;
}

void snapshots_stop(struct snapshots *snapshots)
{
    snapshots->stopped = true;
    sendings_stop(snapshots);
    receivings_stop(snapshots);
}

void snapshots_free(struct snapshots *snapshots)
{
    if (snapshots == NULL)
        return;
    sendings_free(snapshots);
    receivings_free(snapshots);
    free(snapshots);
}

static int on_begin(struct snapshots *snapshots, uint64_t from_node,
                    const struct env_packet *packet)
{
    struct snapshot_begin begin;
    int rc;

    if (packet->payload_count != 0)
        return ERR_PROTOCOL;
    rc = snapshot_begin_decode(&begin, buf_slice(packet->header));
    if (rc == 0)
        receivings_on_begin(snapshots, from_node, &begin);
    return rc;
}

static int on_chunk(struct snapshots *snapshots, uint64_t from_node,
                    const struct env_packet *packet)
{
    struct snapshot_chunk chunk;
    int rc;

    if (packet->payload_count != 1)
        return ERR_PROTOCOL;
    rc = snapshot_chunk_decode(&chunk, buf_slice(packet->header));
    if (rc == 0)
        receivings_on_chunk(snapshots, from_node, &chunk, packet->payloads[0]);
    return rc;
}

static int on_ack(struct snapshots *snapshots, uint64_t from_node,
                  const struct env_packet *packet)
{
    struct snapshot_ack ack;
    int rc;

    if (packet->payload_count != 0)
        return ERR_PROTOCOL;
    rc = snapshot_ack_decode(&ack, buf_slice(packet->header));
    if (rc == 0)
        sendings_on_ack(snapshots, from_node, &ack);
    return rc;
}

static int on_packet(struct snapshots *snapshots, uint64_t from_node,
                     const struct env_packet *packet)
{
    switch (packet->type) {
    case WIRE_SNAPSHOT_BEGIN:
        return on_begin(snapshots, from_node, packet);
    case WIRE_SNAPSHOT_CHUNK:
        return on_chunk(snapshots, from_node, packet);
    case WIRE_SNAPSHOT_ACK:
        return on_ack(snapshots, from_node, packet);
    default:
        return ERR_PROTOCOL;
    }
}

void snapshots_on_packet(struct snapshots *snapshots, uint64_t from_node,
                         const struct env_packet *packet)
{
    int rc;

    if (snapshots->stopped)
        return;
    rc = on_packet(snapshots, from_node, packet);
    if (rc != 0)
        log_line(LOG_WARN, "snapshot",
                 "from_node=%" PRIu64 " type=%u dropped: %s", from_node,
                 (unsigned)packet->type, err_text(rc));
}

void snapshots_on_link_down(struct snapshots *snapshots, uint64_t node_id)
{
    sendings_on_link_down(snapshots, node_id);
    receivings_on_link_down(snapshots, node_id);
}

void snapshots_on_damage(struct snapshots *snapshots, uint64_t region)
{
    sendings_on_damage(snapshots, region);
}

void snapshots_tick(struct snapshots *snapshots)
{
    sendings_tick(snapshots);
    receivings_tick(snapshots);
}

size_t snapshots_running(const struct snapshots *snapshots)
{
    return sendings_running(snapshots) + receivings_running(snapshots);
}
