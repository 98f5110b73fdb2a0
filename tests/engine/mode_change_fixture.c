/* SPDX-License-Identifier: Apache-2.0 */

#include "mode_change_fixture.h"

#include "engine/eventual.h"
#include "engine/pull.h"
#include "tests/engine/kv_helpers.h"

/* ---- node.h, peer.h ---- */

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    assert_int_equal(region, REGION_PLACEMENT);
    return node->peer;
}

struct mode_changes *node_mode_changes(const struct node *node)
{
    return node->changes;
}

bool peer_is_leader(const struct peer *peer)
{
    return peer->leads;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    va_list args;

    (void)level;
    va_start(args, format);
    (void)vsnprintf(node->event, sizeof node->event, format, args);
    va_end(args);
    node->event_count++;
}

/* Each of these is the node itself. */

struct pulls *node_pulls(const struct node *node)
{
    return (struct pulls *)(void *)node->self;
}

struct eventual *node_eventual(const struct node *node)
{
    return (struct eventual *)(void *)node->self;
}

struct reader *node_reader(const struct node *node)
{
    return (struct reader *)(void *)node->self;
}

struct txns *node_txns(const struct node *node)
{
    return (struct txns *)(void *)node->self;
}

/* ---- eventual.h, pull.h, router.h, reader.h, txn.h ---- */

int eventual_readiness(const struct eventual *eventual)
{
    const struct node *node = (const struct node *)(const void *)eventual;

    return node->readiness;
}

bool pulls_hear_all(struct pulls *pulls, uint64_t *ret_missing)
{
    const struct node *node = (const struct node *)(void *)pulls;

    *ret_missing = MISSING;
    return node->hears_all;
}

bool pulls_are_drained(struct pulls *pulls, uint64_t fence,
                       uint64_t *ret_missing)
{
    const struct node *node = (const struct node *)(void *)pulls;

    *ret_missing = MISSING;
    return node->told_fence >= fence;
}

bool pulls_know_who_is_there(struct pulls *pulls, struct absence *absence)
{
    struct node *node = (struct node *)(void *)pulls;

    node->since_ns = absence->since_ns;
    if (node->knows_who_is_there)
        absence->nodes = node->absent;
    return node->knows_who_is_there;
}

bool pulls_are_drained_without(struct pulls *pulls, uint64_t fence,
                               const struct absence *absence,
                               struct left_out *ret, uint64_t *ret_missing)
{
    const struct node *node = (const struct node *)(void *)pulls;

    assert_true(absence->since_ns == node->since_ns);
    *ret_missing = MISSING;
    if (node->told_fence < fence)
        return false;
    *ret = absence->nodes;
    return true;
}

void router_cancel(struct router *router, struct router_call *call)
{
    struct node *node = (struct node *)(void *)router;

    call->active = false;
    if (node->call == call)
        node->call = NULL;
}

void reader_start(struct reader *reader, struct read_op *op)
{
    struct node *node = (struct node *)(void *)reader;
    struct result result = {.status = node->read_status};

    op->done(op, node->read_status, &result);
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    (void)reader;
    (void)op;
}

void txns_start(struct txns *txns, struct txn_op *op,
                const struct command *command)
{
    struct node *node = (struct node *)(void *)txns;

    assert_null(node->txn);
    node->txn = op;
    node->transaction = *command;
    node->left_out = (struct left_out){.count = 0};
    if (op->left_out != NULL)
        assert_int_equal(
            left_out_decode(&node->left_out, buf_slice(op->left_out)), 0);
}

void txns_detach(struct txn_op *op)
{
    (void)op;
}

/* ---- the node ---- */

int setup_mode_change(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    asking_node_init(&f->node);
    f->node.peer = &f->peer;
    f->node.hears_all = true;
    f->node.config.op_timeout_ms = 10000;
    f->node.changes = mode_changes_new(&f->node);
    apply_parent(f, MODE_STRONG);
    *state = f;
    return 0;
}

int teardown_mode_change(void **state)
{
    struct fixture *f = *state;

    mode_change_cancel(&f->change);
    mode_changes_stop(f->node.changes);
    mode_changes_free(f->node.changes);
    asking_node_close(&f->node);
    free(f);
    return 0;
}

void apply_parent(struct fixture *f, enum mode_state state)
{
    struct mode mode = {state, PARENT, SINCE, SINCE};

    if (state == MODE_STRONG)
        mode = (struct mode){.state = state};
    apply_mode_of(&f->node, PARENT, NSID_ROOT, mode, SINCE);
}

void apply(struct fixture *f, enum mode_state state, uint64_t domain,
           uint64_t epoch)
{
    uint64_t since = state == MODE_STRONG ? 0 : SINCE;

    if (domain == PARENT)
        apply_parent(f, MODE_EVENTUAL);
    apply_mode(&f->node, PARENT, (struct mode){state, domain, since, epoch},
               epoch);
}

void apply_filling(struct fixture *f, uint64_t epoch)
{
    apply_mode(&f->node, PARENT, (struct mode){MODE_STRONG, DIR, epoch, epoch},
               epoch);
}

void apply_child(struct fixture *f)
{
    uint8_t nsid[8];

    be64_put(nsid, DIR + 1);
    put_record(f->node.fake.env.state, key_directory_name(DIR, slice_of("c")),
               (struct slice){nsid, sizeof nsid});
}

void put_entries(struct fixture *f, uint64_t count)
{
    const struct eventual_namespace record = {.entry_count = count};
    struct buf *bytes = eventual_namespace_encode(&record);

    put_record(f->node.fake.env.state, key_eventual_namespace(DIR),
               buf_slice(bytes));
    buf_unref(bytes);
}

static void ended(struct mode_change *change, int status)
{
    struct fixture *f = container_of(change, struct fixture, change);

    assert_false(f->over);
    f->over = true;
    f->status = status;
}

void start(struct fixture *f, enum mode_goal goal)
{
    f->change = (struct mode_change){.nsid = DIR,
                                     .goal = goal,
                                     .only_empty = f->only_empty,
                                     .force = f->force,
                                     .deadline_ns = UINT64_MAX,
                                     .done = ended};
    mode_change_start(&f->change, &f->node);
}

void pass(struct fixture *f, unsigned ms)
{
    for (unsigned at = 0; at < ms; at += 10)
        fake_env_pass(&f->node.fake, 10);
}

void expect_asked(const struct fixture *f, enum mode_state state,
                  uint64_t epoch)
{
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_MODE);
    assert_int_equal(f->node.asked.ino, ino_of_nsid(DIR));
    assert_int_equal(f->node.asked.size, state);
    assert_int_equal(f->node.asked.offset, epoch);
}

void answer(struct fixture *f, int status)
{
    const struct result result = {.status = status, .first_id = FENCE};
    struct router_call *call = f->node.call;

    f->node.call = NULL;
    call->active = false;
    call->done(call, status, &result, 0);
}

void start_fenced(struct fixture *f, enum mode_goal goal)
{
    start(f, goal);
    expect_asked(f, MODE_FENCED, EPOCH);
    answer(f, 0);
}

void start_told(struct fixture *f, enum mode_goal goal, uint64_t domain)
{
    start_fenced(f, goal);
    apply(f, MODE_FENCED, domain, FENCE);
    f->node.told_fence = FENCE;
    pass(f, 20);
}

void expect_txn(const struct fixture *f, enum txn_kind kind, uint64_t epoch)
{
    assert_non_null(f->node.txn);
    assert_int_equal(f->node.transaction.txn_kind, kind);
    assert_int_equal(f->node.transaction.ino, ino_of_nsid(DIR));
    assert_int_equal(f->node.transaction.offset, epoch);
    assert_false(f->over);
}

void end_removal(struct fixture *f)
{
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_REMOVE);
    assert_int_equal(f->node.asked.dir, PARENT);
    assert_int_equal(f->node.asked.offset, FENCE);
    answer(f, 0);
    expect_end(f, 0);
}

void end_txn(struct fixture *f, int status)
{
    struct txn_op *txn = f->node.txn;

    assert_non_null(txn);
    f->node.txn = NULL;
    txn->done(txn, status, NULL);
}

void expect_said(struct fixture *f, const char *text)
{
    assert_true(f->over);
    assert_int_equal(f->node.event_count, 1);
    assert_string_equal(f->node.event, text);
    f->node.event_count = 0;
    f->over = false;
}

void expect_end(const struct fixture *f, int status)
{
    assert_true(f->over);
    assert_int_equal(f->status, status);
    assert_null(f->node.call);
    assert_null(f->node.txn);
}
