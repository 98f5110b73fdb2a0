/* SPDX-License-Identifier: Apache-2.0 */

/* What the nodes tell each other: see status.h. */

#include <stdlib.h>
#include <string.h>

#include "engine/clocks.h"
#include "engine/modes.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/splitter.h"
#include "engine/status.h"
#include "engine/status_list.h"

enum { PACKETS_MAX = 8 /* to one node at a time */ };

struct heard {
    int64_t wall_ns;
    uint64_t mono_ns;
    struct node_status status; /* but for its changes */
    struct status_list list;   /* its replicas, as far as it has told */
};

struct status_board {
    struct node *node;
    struct heard heard[NODES_MAX]; /* status.node 0: free */
    struct status_list own;
    struct region_status *sending; /* STATUS_REGIONS_MAX of them */
    int64_t start_wall_ns;
    uint64_t requests;
    uint64_t failures;
};

struct status_board *status_board_new(struct node *node)
{
    struct status_board *board = mem_zalloc(sizeof *board);

    board->node = node;
    board->start_wall_ns = (int64_t)env_wall_ns(node_env(node));
    board->sending = mem_zalloc(STATUS_REGIONS_MAX * sizeof *board->sending);
    status_list_init(&board->own, env_random(node_env(node)) | 1);
    for (size_t i = 0; i < NODES_MAX; i++)
        status_list_init(&board->heard[i].list, 0);
    return board;
}

void status_board_free(struct status_board *board)
{
    if (board == NULL)
        return;
    for (size_t i = 0; i < NODES_MAX; i++)
        status_list_release(&board->heard[i].list);
    status_list_release(&board->own);
    free(board->sending);
    free(board);
}

static struct region_status region_status_of(const struct status_board *board,
                                             const struct peer *peer)
{
    struct peer_status status;
    struct region_size size;

    peer_status(peer, &status);
    splitter_find_size(node_splitter(board->node), status.region, &size);
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
        .size_bytes = size.bytes,
        .size_keys = size.keys,
        .conf_ver = peer_region(peer)->conf_ver,
        .version = peer_region(peer)->version,
    };
}

static void fill(struct status_board *board, struct node_status *status)
{
    struct node *node = board->node;
    struct env *env = node_env(node);
    const struct node_config *config = node_config(node);
    struct engine_space space = {0};

    *status = (struct node_status){
        .node = node_id(node),
        .wall_ns = (int64_t)env_wall_ns(env),
        .since_ns = board->start_wall_ns,
        .disk_used =
            kv_disk_used_bytes(env->state) + kv_disk_used_bytes(env->log),
        .version = GROVEFS_VERSION,
        .catalog = modes_version(node_modes(node)),
    };
    if (config->space != NULL)
        config->space(config->context, &space);
    status->disk_free = space.bytes_free;
    if (!status_count_quarantine(node, &status->quarantine))
        status->quarantine = SIZE_UNKNOWN;
}

static const struct heard *find(const struct status_board *board,
                                uint64_t node_id)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        if (board->heard[i].status.node == node_id)
            return &board->heard[i];
    return NULL;
}

static bool is_member(const struct status_board *board, uint64_t node_id)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(board->node, nodes);

    for (size_t i = 0; i < count; i++)
        if (nodes[i] == node_id)
            return true;
    return false;
}

/* Whom to forget first: who is gone for good, then who was silent longest. */
static bool goes_first(const struct status_board *board, const struct heard *a,
                       const struct heard *b)
{
    bool a_stays = is_member(board, a->status.node);
    bool b_stays = is_member(board, b->status.node);

    return a_stays != b_stays ? b_stays : a->mono_ns < b->mono_ns;
}

/* Ids are never used again, so in time there are more than slots. NULL: all
 * that have one are connected. */
static struct heard *make_room(struct status_board *board)
{
    struct heard *chosen = NULL;

    for (size_t i = 0; i < NODES_MAX; i++) {
        struct heard *heard = &board->heard[i];
        uint64_t id = heard->status.node;

        if (id != node_id(board->node) && !node_link_up(board->node, id) &&
            (chosen == NULL || goes_first(board, heard, chosen)))
            chosen = heard;
    }
    if (chosen == NULL)
        return NULL;
    status_list_release(&chosen->list);
    *chosen = (struct heard){0};
    status_list_init(&chosen->list, 0);
    return chosen;
}

static struct heard *slot_of(struct status_board *board, uint64_t node_id)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        if (board->heard[i].status.node == node_id)
            return &board->heard[i];
    return node_id == 0 ? make_room(board) : slot_of(board, 0);
}

static struct heard *keep(struct status_board *board,
                          const struct node_status *status)
{
    struct heard *heard = slot_of(board, status->node);
    struct env *env = node_env(board->node);

    heard->status = *status;
    heard->status.changes = (struct status_changes){0};
    heard->status.held = NULL;
    heard->wall_ns = (int64_t)env_wall_ns(env);
    heard->mono_ns = env_mono_ns(env);
    return heard;
}

/* ---- telling ---- */

void status_board_note(struct status_board *board, const struct peer *peer)
{
    struct region_status status = region_status_of(board, peer);

    if (peer_is_initialised(peer))
        status_list_put(&board->own, &status);
}

void status_board_forget(struct status_board *board, uint64_t region)
{
    status_list_remove(&board->own, region);
}

/* Up to where the node has said that it knows this one's list. */
static uint64_t known_change(const struct status_board *board,
                             const struct heard *heard)
{
    return heard != NULL && heard->status.known_list == board->own.id
               ? heard->status.known_change
               : 0;
}

static void send_status(struct status_board *board, uint64_t to,
                        const struct node_status *status)
{
    struct buf *bytes = node_status_encode(status);

    node_send(board->node, to, ENV_CHANNEL_RAFT, WIRE_STATUS, bytes, NULL);
    buf_unref(bytes);
}

/* At least one packet, which says that this node is there. */
static void tell(struct status_board *board, uint64_t to,
                 struct node_status *status)
{
    const struct heard *heard = find(board, to);
    uint64_t base = known_change(board, heard);

    status->known_list = heard == NULL ? 0 : heard->list.id;
    status->known_change = heard == NULL ? 0 : heard->list.change;
    for (int i = 0; i < PACKETS_MAX; i++) {
        status_list_changes(&board->own, base, board->sending,
                            &status->changes);
        send_status(board, to, status);
        base = status->changes.change;
        if (base == board->own.change)
            return;
    }
}

/* Those that sleep have been noted when they fell asleep. */
void status_board_tick(struct status_board *board)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(board->node, nodes);
    struct node_status status;
    const struct peer *peer = NULL;

    while ((peer = node_next_awake(board->node, peer)) != NULL)
        status_board_note(board, peer);
    fill(board, &status);
    (void)keep(board, &status);
    for (size_t i = 0; i < count; i++)
        if (nodes[i] != node_id(board->node) &&
            node_link_up(board->node, nodes[i]))
            tell(board, nodes[i], &status);
}

/* A region's leader says how new it is, not what its range is. */
static void ask_where(const struct status_board *board,
                      const struct node_status *told)
{
    struct routes *routes = router_routes(node_router(board->node));

    for (size_t i = 0; i < told->changes.region_count; i++) {
        const struct region_status *region = &told->changes.regions[i];

        if (region->leader_node == told->node)
            routes_follow(routes, told->node, region->region, region->version,
                          region->conf_ver);
    }
}

void status_board_on_packet(struct status_board *board,
                            const struct env_packet *packet)
{
    struct node_status status = {0};
    struct heard *heard;

    if (node_status_decode(&status, buf_slice(packet->header)) != 0)
        return;
    heard = keep(board, &status);
    clocks_hear(node_clocks(board->node), status.node, status.wall_ns);
    status_list_follow(&heard->list, &status.changes);
    ask_where(board, &status);
    node_status_release(&status);
}

void status_board_count(struct status_board *board, int status)
{
    board->requests++;
    if (status == ERR_NO_QUORUM || status == ERR_UNKNOWN_OUTCOME ||
        status == ERR_IO || status == ERR_CORRUPT)
        board->failures++;
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

static const struct status_list *list_of(const struct status_board *board,
                                         uint64_t id)
{
    if (id == node_id(board->node))
        return &board->own;
    return status_board_find(board, id) == NULL ? NULL : &find(board, id)->list;
}

const struct region_status *
status_board_region(const struct status_board *board, uint64_t node_id,
                    uint64_t region)
{
    const struct status_list *list = list_of(board, node_id);

    return list == NULL ? NULL : status_list_find(list, region);
}

const struct region_status *
status_board_next_region(const struct status_board *board, uint64_t node_id,
                         const struct region_status *region)
{
    const struct status_list *list = list_of(board, node_id);

    return list == NULL ? NULL : status_list_next(list, region);
}

void status_board_count_regions(const struct status_board *board,
                                uint64_t node_id, size_t *ret_regions,
                                size_t *ret_leaders)
{
    const struct status_list *list = list_of(board, node_id);

    *ret_regions = *ret_leaders = 0;
    if (list != NULL)
        status_list_count(list, node_id, ret_regions, ret_leaders);
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
