/* SPDX-License-Identifier: Apache-2.0 */

/* The command of region 0 on the floor of tombstones: see floor.h. */

#include "engine/exec.h"
#include "engine/floor.h"

static void put_floor(struct exec *x, const struct floor *floor)
{
    struct key key = key_floor();
    uint8_t bytes[16];

    be64_put(bytes, floor->hlc);
    be64_put(bytes + 8, floor->withdrawn);
    kv_batch_put(x->batch, key_slice(&key),
                 (struct slice){bytes, sizeof bytes});
}

/* ERR_ABORTED: some node is no member. */
static int check_nodes(struct exec *x, const struct floor_members *members)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(x->state, NULL, key_slice(&lower), key_slice(&upper));
    int rc = 0;

    for (kv_iter_seek(iter, key_slice(&lower)); rc == 0 && kv_iter_valid(iter);
         kv_iter_next(iter)) {
        struct node_record node = {0};

        rc = node_decode(&node, kv_iter_value(iter));
        if (rc == 0 && node.state != NODE_REMOVED &&
            !floor_has_member(members, node.id))
            rc = ERR_ABORTED;
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

int exec_floor(struct exec *x)
{
    const struct command *c = x->command;
    struct floor_members members;
    struct floor floor;
    int rc = floor_members_get(x->state, &members);

    if (rc == 0 && members.roll != c->offset)
        rc = ERR_ABORTED;
    if (rc == 0 && c->size != 0)
        rc = check_nodes(x, &members);
    if (rc == 0)
        rc = floor_get(x->state, NULL, &floor);
    if (rc != 0)
        return rc;
    if (c->size == 0)
        floor.withdrawn++;
    else if (floor.hlc < c->size)
        floor.hlc = c->size;
    put_floor(x, &floor);
    return 0;
}
