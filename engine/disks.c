/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/disks.h"

#include <stdlib.h>

#include "engine/status.h"

struct disks {
    struct node *node;
    bool own_full;
    bool said; /* that something is refused */
};

struct disks *disks_new(struct node *node)
{
    struct disks *disks = mem_zalloc(sizeof *disks);

    disks->node = node;
    return disks;
}

void disks_free(struct disks *disks)
{
    free(disks);
}

void disks_tick(struct disks *disks)
{
    const struct node_config *config = node_config(disks->node);
    struct engine_space space = {.bytes_free = UINT64_MAX};

    if (config->space != NULL)
        config->space(config->context, &space);
    disks->own_full = space.bytes_free < DISK_RESERVE_BYTES;
}

/* Whether so many voters have said that they can store nothing more that no
 * majority is left. */
static bool lacks_room(const struct disks *disks, const struct region *region)
{
    const struct status_board *board = node_status_board(disks->node);
    size_t roomy = 0;

    for (size_t i = 0; i < region->peer_count; i++) {
        const struct node_status *status =
            status_board_find(board, region->peers[i].node);

        if (region->peers[i].role == PEER_VOTER &&
            (status == NULL || status->disk_free >= DISK_RESERVE_BYTES))
            roomy++;
    }
    return roomy <= region->voter_count / 2;
}

bool disks_are_full(const struct disks *disks, uint64_t region)
{
    const struct peer *peer = node_peer(disks->node, region);

    return peer != NULL && peer_is_serving(peer) &&
           (disks->own_full || lacks_room(disks, peer_region(peer)));
}

bool disks_own_is_full(const struct disks *disks)
{
    return disks->own_full;
}

static bool is_refusing(const struct disks *disks)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(disks->node, peer)) != NULL)
        if (peer_is_leader(peer) &&
            (disks->own_full || lacks_room(disks, peer_region(peer))))
            return true;
    return false;
}

void disks_each_second(struct disks *disks)
{
    bool refusing = is_refusing(disks);

    if (refusing != disks->said)
        node_log_event(disks->node, LOG_WARN,
                       refusing ? "the disk is full: what takes space is "
                                  "refused until some is freed"
                                : "there is room on the disk again");
    disks->said = refusing;
}
