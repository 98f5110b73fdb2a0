/* SPDX-License-Identifier: Apache-2.0 */

/* Life of nodes, and delivery. The handling of readies is in
 * cluster_ready.c. */

#include "tests/raft/cluster.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"
#include "raft/raft_testing.h"

/* ---- Output ----------------------------------------------------------- */

void cluster_print(struct cluster *c, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int size;

    if (c->level == LEVEL_NONE)
        return;

    va_start(args, format);
    size = vasprintf(&text, format, args);
    va_end(args);
    assert(size >= 0);
    out_add(c->out, "%s", text);
    free(text);
}

static void on_log_line(void *context, enum log_level level, const char *text)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    struct cluster *c = context;

    if ((int)level >= c->level)
        cluster_print(c, "%s %s\n", names[level], text);
}

const char *cluster_indented(struct cluster *c, struct node *n,
                             cluster_body *body)
{
    struct out *outer = c->out;
    struct out inner = {.used = 0};
    const char *why;

    c->out = &inner;
    why = body(c, n);
    c->out = outer;
    out_add_lines(outer, "  ", out_text(&inner));
    out_release(&inner);
    return why;
}

const char *cluster_error_text(int rc)
{
    switch (rc) {
    case 0:
        return NULL;
    case ERR_PROTOCOL:
        return "raft: cannot step raft local message";
    case ERR_NOT_FOUND:
        return "raft: cannot step as peer not found";
    case ERR_DROPPED:
    case ERR_NOT_LEADER:
        return "raft proposal dropped";
    default:
        return err_text(rc);
    }
}

/* ---- Nodes ------------------------------------------------------------ */

uint64_t node_id(const struct node *n)
{
    return n->config.id;
}

const struct raft_snapshot *node_last_snapshot(const struct node *n)
{
    return n->history[n->history_count - 1];
}

static bool is_bootstrap(const struct raft_snapshot *s)
{
    return s->index != 0 || s->data != NULL || s->conf_state.voters.count > 0 ||
           s->conf_state.learners.count > 0;
}

static void push_history(struct node *n, const struct raft_snapshot *snapshot)
{
    n->history = mem_grow(n->history, sizeof *n->history, &n->history_count_max,
                          n->history_count + 1);
    n->history[n->history_count++] = raft_snapshot_copy(snapshot);
    n->storage.offered = node_last_snapshot(n);
}

static const char *start(struct node *n)
{
    int rc = raft_new(&n->config, &n->raft);

    if (rc != 0)
        return err_text(rc);
    if (n->async)
        raft_testing_self_acks_outside(n->raft);
    raft_testing_requests_at_once(n->raft);
    return NULL;
}

const char *cluster_add_node(struct cluster *c,
                             const struct node_options *options)
{
    struct node *n = &c->node[c->node_count];
    struct raft_snapshot bootstrap = options->bootstrap;

    if (c->node_count == CLUSTER_NODES_MAX)
        return "too many nodes";

    c->node_count++;
    *n = (struct node){.config = options->config, .async = options->async};
    memory_storage_init(&n->storage);
    if (is_bootstrap(&bootstrap)) {
        if (bootstrap.index <= 1)
            return "index must be specified as > 1 due to bootstrap";
        bootstrap.term = 1;
        (void)memory_storage_apply_snapshot(&n->storage, &bootstrap);
    }
    push_history(n, &bootstrap);
    n->config.id = c->node_count;
    n->config.applied = bootstrap.index;
    n->config.apply_unstable = !n->async;
    n->config.random_seed = c->node_count;
    n->config.storage_ops = &memory_storage_ops;
    n->config.storage = &n->storage;
    n->config.log = on_log_line;
    n->config.log_context = c;
    return start(n);
}

static void node_close(struct node *n)
{
    raft_free(n->raft);
    wires_release(&n->append_work);
    wires_release(&n->apply_work);
    for (size_t i = 0; i < n->history_count; i++)
        raft_snapshot_free(n->history[i]);
    free(n->history);
    memory_storage_close(&n->storage);
}

void cluster_close(struct cluster *c)
{
    for (size_t i = 0; i < c->node_count; i++)
        node_close(&c->node[i]);
    wires_release(&c->messages);
}

const char *cluster_restart(struct cluster *c, struct node *n)
{
    (void)c;
    raft_free(n->raft);
    n->raft = NULL;
    wires_release(&n->append_work);
    wires_release(&n->apply_work);
    n->config.applied = node_last_snapshot(n)->index;
    n->storage.applied_conf = &node_last_snapshot(n)->conf_state;
    return start(n);
}

/* ---- Delivery --------------------------------------------------------- */

static int step(struct node *n, const struct wire *w)
{
    if (w->m.from == APPEND_THREAD)
        return raft_append_done(n->raft, &w->token);
    if (w->m.from == APPLY_THREAD)
        return raft_apply_done(n->raft,
                               w->m.entries.item[w->m.entries.count - 1].index);
    return raft_step(n->raft, &w->m);
}

static bool is_local(const struct raft_message *m)
{
    return m->from == m->to || is_storage_thread(m->from) ||
           is_storage_thread(m->to);
}

static void deliver_one(struct cluster *c, struct node *n, const struct wire *w,
                        bool drop)
{
    struct out line = {.used = 0};
    const char *why;

    print_wire(&line, "", w);
    cluster_print(c, "%s%s\n", drop ? "dropped: " : "", out_text(&line));
    out_release(&line);
    if (drop)
        return;
    why = cluster_error_text(step(n, w));
    if (why != NULL)
        cluster_print(c, "%s\n", why);
    raft_check(n->raft);
}

/* What is for the node is taken out first: nothing new joins it. */
size_t cluster_deliver(struct cluster *c, uint64_t id, int type, bool drop)
{
    struct wires taken = {.count = 0};
    size_t count;

    for (size_t i = 0; i < c->messages.count;) {
        const struct raft_message *m = &c->messages.item[i].m;
        struct wire w;

        if (m->to != id || (type >= 0 && (int)m->type != type) ||
            (drop && is_local(m))) {
            i++;
            continue;
        }
        w = wires_take(&c->messages, i);
        wires_push(&taken, &w);
    }
    for (size_t i = 0; i < taken.count; i++)
        deliver_one(c, &c->node[id - 1], &taken.item[i], drop);
    count = taken.count;
    wires_release(&taken);
    return count;
}

/* ---- Stabilize -------------------------------------------------------- */

static const char *receive(struct cluster *c, struct node *n)
{
    (void)cluster_deliver(c, node_id(n), -1, false);
    return NULL;
}

static bool has_message(const struct cluster *c, const struct node *n)
{
    for (size_t i = 0; i < c->messages.count; i++)
        if (c->messages.item[i].m.to == node_id(n))
            return true;
    return false;
}

static bool has_ready(const struct cluster *c, const struct node *n)
{
    (void)c;
    return raft_has_ready(n->raft);
}

static bool has_append_work(const struct cluster *c, const struct node *n)
{
    (void)c;
    return n->append_work.count > 0;
}

static bool has_apply_work(const struct cluster *c, const struct node *n)
{
    (void)c;
    return n->apply_work.count > 0;
}

struct phase {
    const char *title;
    bool (*pending)(const struct cluster *c, const struct node *n);
    cluster_body *body;
    bool drain; /* repeated under one title */
};

static const char *run_phase(struct cluster *c, struct node *n,
                             const struct phase *phase, bool *ret_busy)
{
    const char *why;

    if (!phase->pending(c, n))
        return NULL;

    *ret_busy = true;
    cluster_print(c, "> %" PRIu64 " %s\n", node_id(n), phase->title);
    do
        why = cluster_indented(c, n, phase->body);
    while (why == NULL && phase->drain && phase->pending(c, n));
    return why;
}

const char *cluster_stabilize(struct cluster *c, const uint64_t *ids,
                              size_t count)
{
    static const struct phase phases[] = {
        {"handling Ready", has_ready, cluster_process_ready, false},
        {"receiving messages", has_message, receive, false},
        {"processing append thread", has_append_work, cluster_process_append,
         true},
        {"processing apply thread", has_apply_work, cluster_process_apply,
         true},
    };
    bool busy = true;

    while (busy) {
        busy = false;
        for (size_t phase = 0; phase < ARRAY_SIZE(phases); phase++)
            for (size_t i = 0; i < count; i++) {
                const char *why =
                    run_phase(c, &c->node[ids[i] - 1], &phases[phase], &busy);

                if (why != NULL)
                    return why;
            }
    }
    return NULL;
}
