/* SPDX-License-Identifier: Apache-2.0 */

#include "asking_node.h"

#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

/* ---- node.h, router.h ---- */

struct env *node_env(struct node *node)
{
    return &node->fake.env;
}

struct modes *node_modes(const struct node *node)
{
    return node->modes;
}

struct router *node_router(const struct node *node)
{
    return (struct router *)(void *)node->self;
}

void router_to_region(struct router_call *call, uint64_t region)
{
    call->region = region;
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    struct node *node = (struct node *)(void *)router;

    assert_null(node->call);
    assert_int_equal(call->region, REGION_PLACEMENT);
    call->active = true;
    node->call = call;
    node->asked = *command;
}

/* ---- the node ---- */

void asking_node_init(struct node *node)
{
    fake_env_init(&node->fake, kv_mem_new(), kv_mem_new());
    node->self = node;
    node->modes = modes_new(1);
}

void asking_node_close(struct node *node)
{
    fake_env_forget(&node->fake);
    modes_free(node->modes);
    kv_close(node->fake.env.log);
    kv_close(node->fake.env.state);
}

void apply_mode_of(struct node *node, uint64_t nsid, uint64_t parent,
                   struct mode mode, uint64_t version)
{
    struct kv *kv = node->fake.env.state;
    struct directory directory = {
        .nsid = nsid, .parent = parent, .name = slice_of("d"), .mode = mode};
    struct buf *bytes;

    directory.attr.ino = ino_of_nsid(nsid);
    bytes = directory_encode(&directory);
    put_record(kv, key_directory(nsid), buf_slice(bytes));
    buf_unref(bytes);
    assert_int_equal(modes_follow(node->modes, kv, nsid, version), 0);
}

void apply_mode(struct node *node, uint64_t parent, struct mode mode,
                uint64_t version)
{
    apply_mode_of(node, DIR, parent, mode, version);
}
