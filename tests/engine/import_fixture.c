/* SPDX-License-Identifier: Apache-2.0 */

#include "import_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/eventual_damage.h"
#include "engine/eventual_record.h"
#include "kv_helpers.h"
#include "tests/sim/kv_mem.h"

/* ---- node.h, router.h ---- */

struct env *node_env(struct node *node)
{
    return &node->env;
}

/* It is the node itself. */
struct eventual *node_eventual(const struct node *node)
{
    return (struct eventual *)(uintptr_t)node;
}

void eventual_find_damage(struct eventual *eventual, uint64_t nsid,
                          struct slice name)
{
    struct node *node = (struct node *)(void *)eventual;

    assert_int_equal(nsid, DIR_NSID);
    (void)snprintf(node->searched, sizeof node->searched, "%.*s",
                   (int)name.size, (const char *)name.data);
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

void router_to_place(struct router_call *call, uint64_t dir, struct slice name)
{
    call->place = key_user('d', dir, name);
}

static void take_apart(struct router *router, struct slice data)
{
    const uint8_t *bytes = data.data;
    struct eventual_record record = {0};
    size_t at = 0;

    router->count = 0;
    router->size = data.size;
    while (at < data.size) {
        size_t size = be32_get(bytes + at);

        assert_true(router->count < ITEMS_MAX);
        assert_int_equal(
            eventual_decode_item(&record, (struct slice){bytes + at + 4, size}),
            0);
        router->dirs[router->count] = record.dir;
        router->is_dir[router->count] = S_ISDIR(record.attr.mode);
        (void)snprintf(router->names[router->count], NAME_MAX_SIZE, "%.*s",
                       (int)record.name.size, (const char *)record.name.data);
        router->sizes[router->count++] = 4 + size;
        at += 4 + size;
        eventual_release(&record);
    }
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    struct key place;

    assert_null(router->call);
    assert_int_equal(command->op, COMMAND_TXN_IMPORT);
    assert_in_range(command->data.size, 1, COMMAND_DATA_SIZE_MAX);
    take_apart(router, command->data);
    assert_int_equal(command->dir, router->dirs[0]);
    place = key_user('d', command->dir, slice_of(router->names[0]));
    assert_true(slice_equal(key_slice(&call->place), key_slice(&place)));
    call->active = true;
    router->call = call;
}

void router_cancel(struct router *router, struct router_call *call)
{
    if (call->active)
        router->call = NULL;
    call->active = false;
}

/* ---- the fixture ---- */

int setup_import(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->node.env.state = kv_mem_new();
    f->node.router = &f->router;
    *state = f;
    return 0;
}

int teardown_import(void **state)
{
    struct fixture *f = *state;

    txn_import_cancel(&f->import);
    assert_null(f->router.call);
    kv_close(f->node.env.state);
    domain_release(&f->below);
    free(f);
    return 0;
}

void put(struct fixture *f, uint64_t dir, const char *name, size_t size,
         bool removed)
{
    struct kv_batch *batch = kv_batch_new(f->node.env.state);
    uint8_t *content = mem_zalloc(size + 1);
    struct eventual_record record = {.dir = dir,
                                     .name = slice_of(name),
                                     .hlc = 9,
                                     .origin = 1,
                                     .local = 1,
                                     .removed = removed,
                                     .attr = {.size = size},
                                     .content = {content, size}};

    eventual_put(batch, &record, NULL);
    assert_int_equal(kv_write(f->node.env.state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    free(content);
}

void put_dir(struct fixture *f, uint64_t dir, const char *name)
{
    uint8_t number[8];

    be64_put(number, 1000);
    put_record(f->node.env.state, key_directory_name(dir, slice_of(name)),
               (struct slice){number, sizeof number});
}

void put_files(struct fixture *f, size_t count, size_t size)
{
    char name[NAME_MAX_SIZE];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%02zu", i);
        put(f, DIR_NSID, name, size, false);
    }
}

static void on_done(struct txn_import *import, int status)
{
    struct fixture *f = container_of(import, struct fixture, import);

    f->done++;
    f->status = status;
}

void start(struct fixture *f)
{
    f->import = (struct txn_import){
        .nsid = DIR_NSID, .below = &f->below, .done = on_done};
    txn_import_start(&f->import, &f->node);
}

void answer(struct fixture *f, int status, uint64_t size)
{
    struct router_call *call = f->router.call;
    const struct result result = {.offset = size};

    assert_non_null(call);
    f->router.call = NULL;
    call->active = false;
    call->done(call, status, &result, 0);
}

void expect_end(struct fixture *f, int status)
{
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, status);
    assert_null(f->router.call);
}
