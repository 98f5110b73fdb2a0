/* SPDX-License-Identifier: Apache-2.0 */

/* What the nodes tell each other: see status.h. */

#include <stdlib.h>
#include <string.h>

#include "engine/status.h"

struct heard {
    int64_t wall_ns;
    uint64_t mono_ns;
    struct node_status status;
};

struct status_board {
    struct node *node;
    struct heard heard[NODES_MAX]; /* status.node 0: free */
    int64_t start_wall_ns;
    uint64_t requests;
    uint64_t failures;
};

struct status_board *status_board_new(struct node *node)
{
    struct status_board *board = mem_zalloc(sizeof *board);

    board->node = node;
    board->start_wall_ns = (int64_t)env_wall_ns(node_env(node));
    return board;
}

void status_board_free(struct status_board *board)
{
    free(board);
}

static struct region_status region_status_of(const struct peer *peer)
{
    struct peer_status status;

    peer_status(peer, &status);
    return (struct region_status){
        .region = status.region,
        .term = status.term,
        .leader_node = status.leader_node,
        .applied = status.applied,
        .commit = status.commit,
        .last_index = status.last_index,
        .applied_wall_ns = status.applied_wall_ns,
        .role = status.learner ? PEER_LEARNER : PEER_VOTER,
        .state = status.state,
        .damaged_ns = status.damaged_ns,
        .check_index = status.check_index,
        .check_hash = status.check_hash,
    };
}

static void fill(struct status_board *board, struct node_status *status)
{
    struct node *node = board->node;
    struct env *env = node_env(node);
    const struct node_config *config = node_config(node);
    struct engine_space space = {0};
    const struct peer *peer = NULL;

    *status = (struct node_status){
        .node = node_id(node),
        .wall_ns = (int64_t)env_wall_ns(env),
        .since_ns = board->start_wall_ns,
        .disk_used =
            kv_disk_used_bytes(env->state) + kv_disk_used_bytes(env->log),
        .version = GROVEFS_VERSION,
    };
    if (config->space != NULL)
        config->space(config->context, &space);
    status->disk_free = space.bytes_free;
    while ((peer = node_next_peer(node, peer)) != NULL &&
           status->region_count < STATUS_REGIONS_MAX)
        status->regions[status->region_count++] = region_status_of(peer);
}

static struct heard *slot_of(struct status_board *board, uint64_t node_id)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        if (board->heard[i].status.node == node_id)
            return &board->heard[i];
    return node_id == 0 ? NULL : slot_of(board, 0);
}

static void keep(struct status_board *board, const struct node_status *status)
{
    struct heard *heard = slot_of(board, status->node);
    struct env *env = node_env(board->node);

    if (heard == NULL)
        return;
    heard->status = *status;
    heard->wall_ns = (int64_t)env_wall_ns(env);
    heard->mono_ns = env_mono_ns(env);
}

void status_board_tick(struct status_board *board)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(board->node, nodes);
    struct node_status status;
    struct buf *bytes;

    fill(board, &status);
    keep(board, &status);
    bytes = node_status_encode(&status);
    for (size_t i = 0; i < count; i++)
        if (nodes[i] != node_id(board->node))
            node_send(board->node, nodes[i], ENV_CHANNEL_RAFT, WIRE_STATUS,
                      bytes, NULL);
    buf_unref(bytes);
}

void status_board_on_packet(struct status_board *board,
                            const struct env_packet *packet)
{
    struct node_status status = {0};

    if (node_status_decode(&status, (struct slice){packet->header->data,
                                                   packet->header->size}) == 0)
        keep(board, &status);
}

void status_board_count(struct status_board *board, int status)
{
    board->requests++;
    if (status == ERR_NO_QUORUM || status == ERR_UNKNOWN_OUTCOME ||
        status == ERR_IO || status == ERR_CORRUPT)
        board->failures++;
}

static const struct heard *find(const struct status_board *board,
                                uint64_t node_id)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        if (board->heard[i].status.node == node_id)
            return &board->heard[i];
    return NULL;
}

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    const struct heard *heard = find(board, id);
    uint64_t now_ns = env_mono_ns(node_env(board->node));

    if (heard == NULL ||
        (id != node_id(board->node) && !node_link_up(board->node, id)) ||
        now_ns - heard->mono_ns > (uint64_t)STATUS_SILENT_MS * 1000000)
        return NULL;
    return &heard->status;
}

const struct region_status *
status_board_region(const struct status_board *board, uint64_t node_id,
                    uint64_t region)
{
    const struct node_status *status = status_board_find(board, node_id);

    for (size_t i = 0; status != NULL && i < status->region_count; i++)
        if (status->regions[i].region == region)
            return &status->regions[i];
    return NULL;
}

unsigned status_board_state(const struct status_board *board, uint64_t node_id,
                            uint64_t region)
{
    const struct region_status *status =
        status_board_region(board, node_id, region);

    return status == NULL ? PEER_RUNNING : status->state;
}

int64_t status_board_heard_ns(const struct status_board *board,
                              uint64_t node_id)
{
    const struct heard *heard = find(board, node_id);

    return heard == NULL ? 0 : heard->wall_ns;
}

uint64_t status_board_requests(const struct status_board *board)
{
    return board->requests;
}

uint64_t status_board_failures(const struct status_board *board)
{
    return board->failures;
}
