/* SPDX-License-Identifier: Apache-2.0 */

#include "txn_fixture.h"

#include <stdlib.h>

#include "engine/eventual_damage.h"
#include "engine/keys.h"
#include "engine/orphans.h"
#include "engine/record.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

/* ---- env.h, node.h ---- */

static uint64_t fake_clock(struct env *env)
{
    return container_of(env, struct node, env)->now_ns;
}

static void fake_timer_start(struct env *env, struct env_timer *timer,
                             uint64_t delay_ns)
{
    struct node *node = container_of(env, struct node, env);

    assert_null(node->timer);
    assert_true(delay_ns > 0);
    node->timer = timer;
}

static void fake_timer_stop(struct env *env, struct env_timer *timer)
{
    struct node *node = container_of(env, struct node, env);

    if (node->timer == timer)
        node->timer = NULL;
}

static const struct env_ops fake_ops = {.mono_ns = fake_clock,
                                        .timer_start = fake_timer_start,
                                        .timer_stop = fake_timer_stop};

struct env *node_env(struct node *node)
{
    return &node->env;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

struct reader *node_reader(const struct node *node)
{
    return node->reader;
}

/* Nobody looks for damage here. */
struct eventual *node_eventual(const struct node *node)
{
    (void)node;
    return NULL;
}

void eventual_find_damage(struct eventual *eventual, uint64_t nsid,
                          struct slice name)
{
    (void)eventual;
    (void)nsid;
    (void)name;
}

struct modes *node_modes(const struct node *node)
{
    return node->modes;
}

/* ---- txn_export.h, router.h, reader.h, orphans.h ---- */

void txn_export_start(struct txn_export *export, struct node *node)
{
    export->node = node;
    node->export = export;
}

void txn_export_cancel(struct txn_export *export)
{
    if (export->node != NULL)
        export->node->export = NULL;
    export->node = NULL;
}

void router_to_region(struct router_call *call, uint64_t region)
{
    call->region = region;
}

void router_to_place(struct router_call *call, uint64_t dir, struct slice name)
{
    call->place = key_user('d', dir, name);
}

void router_to_key(struct router_call *call, const struct key *user_key)
{
    call->place = *user_key;
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    assert_null(router->call);
    call->active = true;
    router->call = call;
    router->command = *command;
    router->calls++;
}

void router_cancel(struct router *router, struct router_call *call)
{
    if (!call->active)
        return;
    assert_ptr_equal(call, router->call);
    call->active = false;
    router->call = NULL;
}

void router_hold(struct router *router, struct router_hold *hold)
{
    hold->sequence = ++router->sequence;
}

void router_release(struct router *router, struct router_hold *hold)
{
    (void)router;
    hold->sequence = 0;
}

bool router_has_room(const struct router *router)
{
    (void)router;
    return true;
}

void reader_start(struct reader *reader, struct read_op *op)
{
    assert_null(reader->op);
    op->active = true;
    reader->op = op;
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    if (op->active)
        reader->op = NULL;
    op->active = false;
}

struct orphans *orphans_new(struct node *node)
{
    (void)node;
    return NULL;
}

void orphans_stop(struct orphans *orphans)
{
    assert_null(orphans);
}

void orphans_free(struct orphans *orphans)
{
    assert_null(orphans);
}

void orphans_tick(struct orphans *orphans)
{
    assert_null(orphans);
}

/* ---- the fixture ---- */

int setup_txn(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->node.env.ops = &fake_ops;
    f->node.env.state = kv_mem_new();
    f->node.now_ns = 1000;
    f->node.config.op_timeout_ms = TIMEOUT_MS;
    f->node.config.identity = (struct identity){.node_id = OWN_NODE, .boot = 1};
    f->node.router = &f->router;
    f->node.reader = &f->reader;
    f->node.modes = modes_new(OWN_NODE);
    f->txns = txns_new(&f->node);
    *state = f;
    return 0;
}

int teardown_txn(void **state)
{
    struct fixture *f = *state;

    settle_cancel(&f->settle);
    txns_stop(f->txns);
    txns_free(f->txns);
    assert_null(f->router.call);
    assert_null(f->reader.op);
    assert_null(f->node.export);
    assert_null(f->node.timer);
    modes_free(f->node.modes);
    kv_close(f->node.env.state);
    free(f);
    return 0;
}

static void on_done(struct txn_op *op, int status, const struct attr *attr)
{
    struct fixture *f = container_of(op, struct fixture, op);

    (void)attr;
    f->done++;
    f->status = status;
}

static void begin(struct fixture *f, const struct command *command)
{
    f->op = (struct txn_op){.deadline_ns = f->node.now_ns + timeout_ns,
                            .left_out = f->left_out,
                            .has_no_place = f->has_no_place,
                            .inherits = f->inherits,
                            .done = on_done};
    txns_start(f->txns, &f->op, command);
}

void start(struct fixture *f, enum txn_kind kind)
{
    struct command command = {
        .txn_kind = kind, .dir = DIR_NSID, .name = slice_of("a")};

    if (kind == TXN_RENAME) {
        command.to_dir = DIR_NSID;
        command.to_name = slice_of("z");
    }
    begin(f, &command);
}

void start_mode(struct fixture *f, enum txn_kind kind, uint64_t offset)
{
    struct command command = {.txn_kind = kind,
                              .dir = DIR_NSID,
                              .name = slice_of("a"),
                              .ino = ino_of_nsid(CLOSED_NSID),
                              .offset = offset};

    begin(f, &command);
}

void answer(struct fixture *f, enum command_op op, int status,
            const struct result *result)
{
    struct router *router = &f->router;
    struct router_call *call = router->call;

    assert_non_null(call);
    assert_int_equal(router->command.op, op);
    router->call = NULL;
    call->active = false;
    call->done(call, status, result, 0);
}

void succeed(struct fixture *f, enum command_op op)
{
    answer(f, op, 0, &(struct result){.status = 0});
}

void pass_part(struct fixture *f, enum command_op op, int i)
{
    char name[] = {(char)('b' + i), '\0'};
    struct key end = key_user('d', CLOSED_NSID, slice_of(name));
    struct result result = {.data = key_user_part(&end)};

    if (i == PARTS - 1)
        result.data.size = 0;
    answer(f, op, 0, &result);
}

void lose(struct fixture *f, enum command_op op)
{
    answer(f, op, ERR_UNKNOWN_OUTCOME, NULL);
}

void assert_failed(const struct fixture *f, int status)
{
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, status);
}

/* ---- the catalog ---- */

void put_directory(struct fixture *f, uint64_t nsid, uint64_t parent,
                   const char *name, struct mode mode, int64_t time_ns)
{
    struct directory directory = {.nsid = nsid,
                                  .parent = parent,
                                  .name = slice_of(name),
                                  .attr = {.ino = ino_of_nsid(nsid),
                                           .mtime_ns = time_ns,
                                           .ctime_ns = time_ns},
                                  .mode = mode};
    struct buf *record = directory_encode(&directory);
    uint8_t number[8];

    be64_put(number, nsid);
    put_record(f->node.env.state, key_directory(nsid), buf_slice(record));
    put_record(f->node.env.state, key_directory_name(parent, directory.name),
               (struct slice){number, sizeof number});
    buf_unref(record);
}

void apply_mode(struct fixture *f, struct mode mode, uint64_t version)
{
    put_directory(f, CLOSED_NSID, DIR_NSID, "a", mode, 0);
    assert_int_equal(
        modes_follow(f->node.modes, f->node.env.state, CLOSED_NSID, version),
        0);
}

const struct mode filling = {MODE_STRONG, CLOSED_NSID, SINCE, SINCE};
const struct mode fenced = {MODE_FENCED, CLOSED_NSID, SINCE, SINCE};

void end_export(struct fixture *f, int status)
{
    struct txn_export *export = f->node.export;

    assert_non_null(export);
    export->mtimes = buf_copy("mtimes", 6);
    f->node.export = NULL;
    export->node = NULL;
    export->done(export, status);
}

/* ---- settling ---- */

void on_settled(struct settle *settle, int status)
{
    struct fixture *f = container_of(settle, struct fixture, settle);

    f->done++;
    f->status = status;
}

void tell_decision(struct fixture *f, struct result *result)
{
    struct read_op *op = f->reader.op;

    assert_non_null(op);
    f->reader.op = NULL;
    op->active = false;
    op->done(op, 0, result);
}
