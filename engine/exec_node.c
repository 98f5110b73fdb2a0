/* SPDX-License-Identifier: Apache-2.0 */

/* Commands of the placement group on nodes: where they are, how they come and
 * how they go.
 *
 * A node's record is never deleted: the one of a removed node keeps its id
 * from being used again, and says why the node is refused. */

#include <string.h>

#include "engine/exec.h"
#include "engine/left_out.h"
#include "engine/node.h"
#include "engine/peer_change.h"
#include "engine/region_state.h"

enum { NODE_ID_MAX = 0xffff };

static int get_node(struct exec *x, uint64_t id, struct node_record *ret)
{
    struct key key = key_node(id);
    struct kv_value value = {0};
    int rc = kv_get(x->state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = node_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

static void put_node(struct exec *x, const struct node_record *node)
{
    struct key key = key_node(node->id);
    struct buf *bytes = node_encode(node);

    kv_batch_put(x->batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

static int set_address(struct node_record *node, struct slice address)
{
    if (address.size >= sizeof node->address)
        return ERR_INVALID;
    memset(node->address, 0, sizeof node->address);
    memcpy(node->address, address.data, address.size);
    return 0;
}

int exec_node_update(struct exec *x)
{
    const struct command *c = x->command;
    struct node_record node = {
        .id = c->node, .state = NODE_UP, .since_ns = c->now_ns};
    int rc = get_node(x, c->node, &node);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (node.state == NODE_REMOVED)
        return ERR_NOT_PERMITTED;
    rc = set_address(&node, c->address);
    if (rc == 0)
        put_node(x, &node);
    return rc;
}

/* ---- joining ---- */

/* What all records together say. */
struct roll {
    uint64_t id_max;
    size_t count; /* without the removed */
    bool found;   /* the store that asks */
    struct node_record node;
};

static void count_node(struct roll *roll, const struct node_record *node,
                       uint64_t token)
{
    if (node->id > roll->id_max)
        roll->id_max = node->id;
    roll->count += node->state != NODE_REMOVED;
    if (node->token != token)
        return;
    roll->found = true;
    roll->node = *node;
}

static int call_roll(struct exec *x, uint64_t token, struct roll *ret)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(x->state, NULL, key_slice(&lower), key_slice(&upper));
    struct roll roll = {0};
    int rc = 0;

    for (kv_iter_seek(iter, key_slice(&lower)); rc == 0 && kv_iter_valid(iter);
         kv_iter_next(iter)) {
        struct node_record node = {0};

        rc = node_decode(&node, kv_iter_value(iter));
        if (rc == 0)
            count_node(&roll, &node, token);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    if (rc == 0)
        *ret = roll;
    return rc;
}

static int get_placement(struct exec *x, struct region *ret)
{
    return region_state_descriptor(x->state, NULL, REGION_PLACEMENT, ret);
}

/* Who has no id yet cannot have a replica: a node that goes by its id has got
 * one, and this store is a copy of that node's. */
static int check_only_one(struct exec *x, uint64_t node)
{
    struct region region = {0};
    int rc = get_placement(x, &region);

    if (rc == 0 && region_find_node(&region, node) != NULL)
        rc = ERR_EXISTS;
    region_release(&region);
    return rc;
}

/* A store that has asked before, and has missed the answer, gets the same id
 * again: its token tells it from all others. */
static int check_known(struct exec *x, const struct node_record *node)
{
    const struct command *c = x->command;

    if (node->state == NODE_REMOVED)
        return ERR_NOT_PERMITTED;
    if (c->target_node == 0)
        return check_only_one(x, node->id);
    return c->target_node == node->id ? 0 : ERR_FOREIGN;
}

static int add_node(struct exec *x, struct roll *roll)
{
    const struct command *c = x->command;

    if (c->target_node != 0) /* It has got its id from another cluster. */
        return ERR_FOREIGN;
    if (roll->count >= NODES_MAX || roll->id_max >= NODE_ID_MAX)
        return ERR_QUOTA;
    roll->node = (struct node_record){.id = roll->id_max + 1,
                                      .state = NODE_UP,
                                      .since_ns = c->now_ns,
                                      .token = c->token};
    return 0;
}

int exec_node_join(struct exec *x)
{
    const struct command *c = x->command;
    struct roll roll;
    int rc;

    if (c->token == 0 || c->address.size == 0)
        return ERR_INVALID;
    rc = call_roll(x, c->token, &roll);
    if (rc == 0)
        rc = roll.found ? check_known(x, &roll.node) : add_node(x, &roll);
    if (rc == 0)
        rc = set_address(&roll.node, c->address);
    if (rc != 0)
        return rc;
    put_node(x, &roll.node);
    x->result->first_id = roll.node.id;
    return 0;
}

/* ---- leaving ---- */

/* Region 0's own replicas are known here; those of others are for its leader
 * to look at, before it proposes this. */
static int check_votes(struct exec *x, uint64_t node)
{
    struct region region = {0};
    const struct region_peer *peer;
    int rc = get_placement(x, &region);

    if (rc != 0)
        return rc;
    peer = region_find_node(&region, node);
    if (peer != NULL && peer->role == PEER_VOTER)
        rc = ERR_BUSY;
    region_release(&region);
    return rc;
}

/* What region 0's leader has seen to before it proposed a removal is so as long
 * as the node has not been up again meanwhile. */
static int check_removal(struct exec *x, const struct node_record *node)
{
    if (node->state != NODE_DRAINING)
        return ERR_NOT_PERMITTED;
    if (node->epoch != x->command->offset)
        return ERR_ABORTED;
    return check_votes(x, node->id);
}

int exec_node_is_removed(struct exec *x, uint64_t id, bool *ret)
{
    struct node_record node;
    int rc = get_node(x, id, &node);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    *ret = rc == 0 && node.state == NODE_REMOVED;
    return 0;
}

/* UP and DRAINING, back and forth; from DRAINING to REMOVED, for ever. */
int exec_node_state(struct exec *x)
{
    const struct command *c = x->command;
    struct node_record node;
    int rc;

    if (c->node_state < NODE_UP)
        return ERR_INVALID;
    rc = get_node(x, c->target_node, &node);
    if (rc != 0 || node.state == c->node_state)
        return rc;
    if (node.state == NODE_REMOVED)
        return ERR_NOT_PERMITTED;
    if (c->node_state == NODE_REMOVED)
        rc = check_removal(x, &node);
    if (rc == 0 && c->node_state == NODE_REMOVED)
        rc = left_out_forget(x->state, x->batch, node.id);
    if (rc != 0)
        return rc;
    node.state = c->node_state;
    node.since_ns = c->now_ns;
    node.epoch = x->version;
    put_node(x, &node);
    return 0;
}
