/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/outbox.h"

#include <stdlib.h>

#include "engine/node.h"

enum { BATCH_BYTES_MAX = 4 * 1024 * 1024, BATCH_PAYLOADS_MAX = 512 };

struct lane {
    uint64_t node_id;
    struct raft_batch *batch; /* NULL: nothing to send */
};

struct outbox {
    struct env *env;
    struct env_task flush;
    bool flush_posted;
    struct lane lanes[NODES_MAX];
};

static void send_lane(struct outbox *outbox, struct lane *lane)
{
    struct env_packet packet;

    if (lane->batch == NULL)
        return;
    raft_batch_pack(lane->batch, &packet);
    env_send(outbox->env, lane->node_id, ENV_CHANNEL_RAFT, &packet);
    raft_batch_free(lane->batch);
    lane->batch = NULL;
}

static void flush(struct env_task *task)
{
    struct outbox *outbox = container_of(task, struct outbox, flush);

    outbox->flush_posted = false;
    for (size_t i = 0; i < NODES_MAX; i++)
        send_lane(outbox, &outbox->lanes[i]);
}

struct outbox *outbox_new(struct env *env)
{
    struct outbox *outbox = mem_zalloc(sizeof *outbox);

    outbox->env = env;
    outbox->flush.run = flush;
    return outbox;
}

void outbox_free(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    for (size_t i = 0; i < NODES_MAX; i++)
        raft_batch_free(outbox->lanes[i].batch);
    free(outbox);
}

/* An idle one serves any node: many may come and go. */
static struct lane *find_lane(struct outbox *outbox, uint64_t node_id)
{
    struct lane *idle = NULL;

    for (size_t i = 0; i < NODES_MAX; i++) {
        struct lane *lane = &outbox->lanes[i];

        if (lane->node_id == node_id)
            return lane;
        if (lane->batch == NULL)
            idle = lane;
    }
    if (idle != NULL)
        idle->node_id = node_id;
    return idle;
}

void outbox_add(struct outbox *outbox, uint64_t to_node, uint64_t region,
                const struct raft_message *message)
{
    struct lane *lane = find_lane(outbox, to_node);

    if (lane == NULL)
        return; /* More nodes than there can be: Raft sends again. */
    if (lane->batch != NULL &&
        (raft_batch_size_bytes(lane->batch) > BATCH_BYTES_MAX ||
         raft_batch_payload_count(lane->batch) + message->entries.count >
             BATCH_PAYLOADS_MAX))
        send_lane(outbox, lane);
    if (lane->batch == NULL)
        lane->batch = raft_batch_new();
    raft_batch_add(lane->batch, region, message);
    if (!outbox->flush_posted) {
        outbox->flush_posted = true;
        env_post(outbox->env, ENV_WORKER, &outbox->flush);
    }
}
