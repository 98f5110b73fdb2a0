/* SPDX-License-Identifier: Apache-2.0 */

/* What a node says of itself and of its replicas. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec.h"
#include "engine/wire.h"
#include "proto/wire.pb-c.h"
#include "raft/base/mem.h"

static void region_status_to_pb(Grove__RegionStatus *to,
                                const struct region_status *from)
{
    *to = (Grove__RegionStatus)GROVE__REGION_STATUS__INIT;
    to->region = from->region;
    to->term = from->term;
    to->leader_node = from->leader_node;
    to->role = from->role;
    to->applied = from->applied;
    to->commit = from->commit;
    to->last_index = from->last_index;
    to->state = from->state;
    to->applied_wall_ns = from->applied_wall_ns;
    to->damaged_ns = from->damaged_ns;
    to->check_index = from->check_index;
    to->check_hash = from->check_hash;
    to->size_bytes = from->size_bytes + 1;
    to->size_keys = from->size_keys + 1;
    to->conf_ver = from->conf_ver;
    to->version = from->version;
}

static struct buf *node_status_pack(const struct node_status *status,
                                    Grove__RegionStatus **regions)
{
    Grove__NodeStatus message;
    Grove__StatusChanges changes = GROVE__STATUS_CHANGES__INIT;

    grove__node_status__init(&message);
    changes.list = status->changes.list;
    changes.behind = status->changes.base;
    changes.change = status->changes.change;
    changes.known_list = status->known_list;
    changes.known_change = status->known_change;
    message.node = status->node;
    message.wall_ns = status->wall_ns;
    message.since_ns = status->since_ns;
    message.disk_used = status->disk_used;
    message.disk_free = status->disk_free;
    message.version = codec_text(status->version);
    message.catalog = status->catalog;
    message.quarantine = status->quarantine + 1;
    message.n_regions = status->changes.region_count;
    message.regions = regions;
    message.changes = &changes;
    return codec_pack_header(&message.base);
}

struct buf *node_status_encode(const struct node_status *status)
{
    const struct status_changes *changes = &status->changes;
    Grove__RegionStatus *region;
    Grove__RegionStatus **regions;
    struct buf *b;

    assert(changes->region_count <= STATUS_REGIONS_MAX);
    assert(memchr(status->version, '\0', VERSION_TEXT_SIZE) != NULL);

    region = mem_zalloc((changes->region_count + 1) * sizeof *region);
    regions = mem_zalloc((changes->region_count + 1) * sizeof(void *));
    for (size_t i = 0; i < changes->region_count; i++) {
        region_status_to_pb(&region[i], &changes->regions[i]);
        regions[i] = &region[i];
    }
    b = node_status_pack(status, regions);
    free(regions);
    free(region);
    return b;
}

static void region_status_from_pb(struct region_status *to,
                                  const Grove__RegionStatus *from)
{
    *to = (struct region_status){
        .region = from->region,
        .term = from->term,
        .leader_node = from->leader_node,
        .applied = from->applied,
        .commit = from->commit,
        .last_index = from->last_index,
        .applied_wall_ns = from->applied_wall_ns,
        .damaged_ns = from->damaged_ns,
        .check_index = from->check_index,
        .check_hash = from->check_hash,
        .size_bytes = from->size_bytes - 1,
        .size_keys = from->size_keys - 1,
        .conf_ver = from->conf_ver,
        .version = from->version,
        .role = from->role,
        .state = from->state,
    };
}

/* NULL: one of them cannot be. */
static struct region_status *regions_from_pb(Grove__RegionStatus *const *from,
                                             size_t count)
{
    struct region_status *regions = mem_zalloc((count + 1) * sizeof *regions);

    for (size_t i = 0; i < count; i++) {
        if (from[i]->role > PEER_LEARNER) {
            free(regions);
            return NULL;
        }
        region_status_from_pb(&regions[i], from[i]);
    }
    return regions;
}

static bool node_status_from_pb(struct node_status *to,
                                const Grove__NodeStatus *from)
{
    size_t version_size = strlen(from->version);
    const Grove__StatusChanges none = GROVE__STATUS_CHANGES__INIT;
    const Grove__StatusChanges *changes =
        from->changes != NULL ? from->changes : &none;

    if (version_size >= VERSION_TEXT_SIZE ||
        from->n_regions > STATUS_REGIONS_MAX)
        return false;

    *to = (struct node_status){
        .node = from->node,
        .wall_ns = from->wall_ns,
        .since_ns = from->since_ns,
        .disk_used = from->disk_used,
        .disk_free = from->disk_free,
        .catalog = from->catalog,
        .quarantine = from->quarantine - 1,
        .changes = {.list = changes->list,
                    .base = changes->behind,
                    .change = changes->change,
                    .region_count = from->n_regions},
        .known_list = changes->known_list,
        .known_change = changes->known_change,
        .held = regions_from_pb(from->regions, from->n_regions),
    };
    to->changes.regions = to->held;
    memcpy(to->version, from->version, version_size);
    return to->held != NULL;
}

int node_status_decode(struct node_status *ret, struct slice bytes)
{
    struct codec_message m;
    struct node_status status;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__node_status__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = node_status_from_pb(&status, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_PROTOCOL;
    *ret = status;
    return 0;
}

void node_status_release(struct node_status *status)
{
    free(status->held);
    status->held = NULL;
    status->changes.regions = NULL;
    status->changes.region_count = 0;
}
