/* SPDX-License-Identifier: Apache-2.0 */

#include "flow_fixture.h"

#include <stdio.h>
#include <sys/stat.h>

#include "engine/eventual_damage.h"
#include "engine/status.h"
#include "tests/engine/kv_helpers.h"

enum { NODE = 1 };

/* ---- node.h, eventual.h ---- */

uint64_t node_id(const struct node *node)
{
    (void)node;
    return NODE;
}

struct buf *status_lag(struct node *node, enum mode_state state)
{
    (void)node;
    return buf_copy(state == MODE_EVENTUAL ? "1.5" : "0.0", 3);
}

struct buf *status_digest(struct node *node, const struct command *command,
                          enum mode_state state)
{
    (void)node;
    (void)command;
    return buf_copy(state == MODE_EVENTUAL ? "ab" : "-", 2);
}

uint64_t node_new_ino(struct node *node)
{
    (void)node;
    return 77;
}

/* They are the node itself. */
struct eventual *node_eventual(const struct node *node)
{
    return (struct eventual *)(void *)node->self;
}

bool eventual_is_whole(const struct eventual *eventual)
{
    return ((const struct node *)(const void *)eventual)->is_whole;
}

void eventual_find_damage(struct eventual *eventual, uint64_t nsid,
                          struct slice name)
{
    struct node *node = (struct node *)(void *)eventual;

    node->searched = nsid;
    (void)snprintf(node->searched_name, sizeof node->searched_name, "%.*s",
                   (int)name.size, (const char *)name.data);
}

void eventual_start(struct eventual *eventual, struct eventual_op *op)
{
    struct node *node = (struct node *)(void *)eventual;

    assert_null(node->op);
    node->op = op;
}

void eventual_cancel(struct eventual_op *op)
{
    (void)op;
}

/* ---- catch_up.h, mode_change.h ---- */

void catch_up_start(struct catch_up *catch_up, struct node *node)
{
    assert_null(node->catch_up);
    node->catch_up = catch_up;
}

void catch_up_cancel(struct catch_up *catch_up, struct node *node)
{
    (void)catch_up;
    (void)node;
}

void mode_change_start(struct mode_change *change, struct node *node)
{
    node->change = change;
}

void mode_change_cancel(struct mode_change *change)
{
    (void)change;
}

/* ---- flow.c ---- */

void flow_end(struct flow *flow, int status, const struct result *result)
{
    struct fixture *f = container_of(flow, struct fixture, flow);

    if (result != NULL && result->data_buf != NULL)
        (void)snprintf(f->text, sizeof f->text, "%.*s",
                       (int)result->data_buf->size,
                       (const char *)result->data_buf->data);
    f->end_count++;
    f->status = status;
}

void flow_start(struct flow *flow)
{
    assert_true(flow_start_eventual(flow));
}

void flow_read(struct flow *flow)
{
    container_of(flow, struct fixture, flow)->read_count++;
}

void flow_txn(struct flow *flow, enum txn_kind kind)
{
    struct fixture *f = container_of(flow, struct fixture, flow);

    assert_int_equal(kind, TXN_RMDIR);
    f->txn_count++;
}

/* ---- reader.h ---- */

bool reader_try(struct node *node, const struct command *command,
                uint64_t since_ns, struct result *ret)
{
    struct fixture *f = container_of(node, struct fixture, node);

    (void)since_ns;
    f->tried = *command;
    if (f->may_try)
        ret->attr.ino = command->ino;
    return f->may_try;
}

/* ---- the node ---- */

/* Region 0 applies that a directory has this mode. */
void apply(struct fixture *f, enum mode_state state, uint64_t epoch)
{
    struct mode mode = {.state = state};

    if (state != MODE_STRONG)
        mode = (struct mode){state, DIR, SINCE, epoch};
    apply_mode(&f->node, NSID_ROOT, mode, epoch);
}

int setup_flow(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    asking_node_init(&f->node);
    f->node.is_whole = true;
    f->flows.node = &f->node;
    f->flow.flows = &f->flows;
    apply(f, MODE_EVENTUAL, EPOCH);
    *state = f;
    return 0;
}

int teardown_flow(void **state)
{
    struct fixture *f = *state;

    flow_cancel_eventual(&f->flow);
    asking_node_close(&f->node);
    free(f);
    return 0;
}

void put_file(struct fixture *f, const char *name)
{
    struct kv *kv = f->node.fake.env.state;
    struct kv_batch *batch = kv_batch_new(kv);
    const struct eventual_record record = {
        .dir = DIR,
        .name = slice_of(name),
        .hlc = 1,
        .origin = NODE,
        .sequence = 1,
        .since = SINCE,
        .local = 1,
        .attr = {.ino = 77, .mode = S_IFREG | 0644},
    };

    eventual_put(batch, &record, NULL);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

void pass(struct fixture *f, unsigned ms)
{
    for (unsigned at = 0; at < ms; at += 10)
        fake_env_pass(&f->node.fake, 10);
}

void begin(struct fixture *f, enum request_kind kind,
           const struct command *command)
{
    f->flow = (struct flow){.flows = &f->flows,
                            .request = &f->request,
                            .deadline_ns = f->node.fake.now_ns + 10000000000,
                            .command = *command};
    f->request = (struct request){.kind = kind};
    f->end_count = 0;
    assert_true(flow_start_eventual(&f->flow));
}

void begin_lookup(struct fixture *f)
{
    const struct command command = {
        .op = COMMAND_LOOKUP, .dir = DIR, .name = slice_of("a")};

    begin(f, REQUEST_LOOKUP, &command);
}

void begin_mkdir(struct fixture *f, const char *name)
{
    const struct command command = {
        .op = COMMAND_DIR_ADD, .dir = DIR, .name = slice_of(name)};

    begin(f, REQUEST_MKDIR, &command);
}

void begin_unlink(struct fixture *f)
{
    const struct command command = {
        .op = COMMAND_UNLINK, .dir = DIR, .name = slice_of("a")};

    begin(f, REQUEST_UNLINK, &command);
}

void expect_end(const struct fixture *f, int status)
{
    assert_int_equal(f->end_count, 1);
    assert_int_equal(f->status, status);
}

void has_caught_up(struct fixture *f, int status)
{
    struct catch_up *catch_up = f->node.catch_up;

    assert_non_null(catch_up);
    assert_int_equal(f->end_count, 0);
    f->node.catch_up = NULL;
    catch_up->done(catch_up, status);
}

void accept_op(struct fixture *f, int status)
{
    struct eventual_op *op = f->node.op;
    const struct result result = {.status = status};

    assert_non_null(op);
    f->node.op = NULL;
    op->done(op, status, &result);
}

void put_directory(struct fixture *f, const char *name, enum mode_state state)
{
    struct mode mode = {state, DIR + 1, SINCE, EPOCH};
    struct kv *kv = f->node.fake.env.state;
    struct kv_batch *batch = kv_batch_new(kv);
    struct key key = key_directory_name(DIR, slice_of(name));
    uint8_t nsid[8];

    if (state == MODE_STRONG)
        mode.since = 0;
    apply_mode_of(&f->node, DIR + 1, DIR, mode, EPOCH);
    be64_put(nsid, DIR + 1);
    kv_batch_put(batch, key_slice(&key), (struct slice){nsid, sizeof nsid});
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}
