/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_client.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/flow.h"
#include "engine/keys.h"
#include "tests/sim/sim_client_impl.h"
#include "tests/sim/sim_outcome.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_watch.h"

#define XATTR "user.tag"

static struct sim_loop *loop_of(const struct client *client)
{
    return client->clients->cluster->loop;
}

static const struct sim_plan *plan_of(const struct client *client)
{
    return client->clients->cluster->plan;
}

/* ---- the end of an operation ---- */

static void think(struct client *client);

static void note_done(const struct client *client, const struct sim_op *op)
{
    char text[SIM_NOTE_SIZE];

    if (!loop_of(client)->noting)
        return;
    sim_op_print(op, text, sizeof text);
    sim_note(loop_of(client), "done %s", text);
}

static void op_done(struct client *client)
{
    struct sim_op *op = &client->clients->history.ops[client->op];
    struct request *request = &client->request;

    op->status = request->status;
    op->outcome = sim_outcome_of(op, request->status);
    if (op->outcome != SIM_OP_UNKNOWN)
        op->return_ns = loop_of(client)->now_ns;
    if (op->status == 0)
        sim_client_learn(client, op, request);
    if (op->status == 0 && !sim_is_read(op->kind)) {
        sim_watch_acknowledged(client->clients->cluster->watch, op->tag);
        client->clients->written++;
    }
    sim_outcome_count(op);
    sim_fold(loop_of(client),
             sim_mix((uint64_t)(int64_t)op->status, op->ret_ino ^ op->content));
    note_done(client, op);
    buf_unref(request->ret_data);
    buf_unref(request->data);
    request->ret_data = request->data = NULL;
    client->active = false;
    think(client);
}

static void request_done(struct request *request)
{
    op_done(container_of(request, struct client, request));
}

/* ---- its beginning, as engine_submit() has it ---- */

static void run_submit(struct env_task *task)
{
    struct client *client = container_of(task, struct client, submit_task);

    flows_submit(node_flows(client->node->node), &client->request);
}

static void run_cancel(struct env_task *task)
{
    struct client *client = container_of(task, struct client, cancel_task);

    flows_cancel(node_flows(client->node->node),
                 (uint64_t)(uintptr_t)client->request.private);
}

struct cancel_event {
    struct sim_event event; /* first member */
    struct client *client;
    uint64_t starts;
    size_t op;
};

static void cancel_later(struct sim_event *event)
{
    struct cancel_event *c = (struct cancel_event *)event;
    struct client *client = c->client;

    if (client->active && client->op == c->op && client->starts == c->starts &&
        client->node->env != NULL) {
        sim_env_enter(client->node->env, SIM_FROM_USER);
        env_post(&client->node->env->env, ENV_WORKER, &client->cancel_task);
        sim_env_leave(client->node->env);
    }
    free(c);
}

static void maybe_cancel(struct client *client)
{
    struct cancel_event *c;

    if (!sim_chance(loop_of(client), plan_of(client)->cancel_per_million))
        return;
    c = mem_zalloc(sizeof *c);
    c->event.run = cancel_later;
    c->client = client;
    c->starts = client->starts;
    c->op = client->op;
    client->cancel_task.run = run_cancel;
    sim_post_in(loop_of(client), &c->event,
                sim_spread(loop_of(client), 20 * sim_ms));
}

static const char *name_of(const struct client *client, const struct sim_op *op)
{
    if (op->kind != REQUEST_READDIR)
        return sim_name(op->name);
    if (client->from[0] != '\0')
        return client->from;
    return op->behind == SIM_NAMES_MAX ? "" : sim_name(op->behind);
}

static void fill_request(struct client *client, const struct sim_op *op)
{
    struct request *request = &client->request;
    bool two = op->kind == REQUEST_RENAME;

    *request = (struct request){
        .kind = op->kind,
        .flags = op->flags,
        .dir = op->dir,
        .to_dir = op->to_dir,
        .ino = op->ino,
        .name = name_of(client, op),
        .offset = op->kind == REQUEST_READDIR && client->from[0] != '\0',
        .to_name = two ? sim_name(op->to_name) : NULL,
        .size = op->kind == REQUEST_READDIR ? plan_of(client)->page_size
                                            : SIM_VALUE_MAX,
        .xattr = XATTR,
        .set_mask = SET_GID,
        .set = {.uid = op->tag,
                .gid = op->kind == REQUEST_SETATTR ? op->tag : 0,
                .mode = op->kind == REQUEST_MKDIR ? S_IFDIR | 0755
                                                  : S_IFREG | 0644},
        .since_ns = client->since_ns,
        .done = request_done,
    };
    if (op->kind == REQUEST_SETXATTR)
        request->data = buf_copy(&op->tag, sizeof op->tag);
    if (op->piece_size > 0)
        request->data = sim_piece(op->tag, op->piece_size);
    if (sim_chance(loop_of(client), plan_of(client)->short_per_million))
        request->timeout_ms = sim_between(loop_of(client), 1, 300);
}

static bool leads_placement(const struct sim_node *node)
{
    const struct peer *peer = node_peer(node->node, REGION_PLACEMENT);

    return peer != NULL && peer_is_leader(peer);
}

static void submit(struct client *client)
{
    struct sim_node *node = client->node;
    struct sim_op *op = &client->clients->history.ops[client->op];
    bool try_first = plan_of(client)->try_first;

    fill_request(client, op);
    client->active = true;
    client->starts = node->starts;
    if (try_first && flows_try(node->node, &client->request)) {
        sim_seen(leads_placement(node) ? SEEN_READ_AT_ONCE : SEEN_READ_CURRENT);
        op_done(client);
        return;
    }
    if (sim_is_read(op->kind))
        sim_seen(SEEN_READ_WAITED);
    client->request.private = (void *)(uintptr_t)++node->request_last;
    client->submit_task.run = run_submit;
    sim_env_enter(node->env, SIM_FROM_USER);
    env_post(&node->env->env, ENV_WORKER, &client->submit_task);
    sim_env_leave(node->env);
    maybe_cancel(client);
}

/* ---- what they do ---- */

static void note_beginning(struct client *client)
{
    client->began_before = client->began;
    client->began = (struct client_moment){
        .loop_ns = loop_of(client)->now_ns,
        .mono_ns = env_mono_ns(&client->node->env->env),
    };
    client->since_ns = 0;
}

/* Some reads are what a larger operation goes on with, which began with the one
 * before. */
static void maybe_go_on(struct client *client, struct sim_op *op)
{
    if (!sim_is_read(op->kind) || client->began_before.loop_ns == 0 ||
        sim_pick(loop_of(client), 2) == 0)
        return;
    op->call_ns = client->began_before.loop_ns;
    client->since_ns = client->began_before.mono_ns;
}

/* The next thing that an audit looks at. False: it is through. */
static bool audit_op(struct client *client, struct sim_op *op)
{
    const struct audit_item *next;

    if (client->queue_count == 0)
        return false;
    next = &client->queue[--client->queue_count];
    op->dir = next->what.dir;
    op->name = next->what.name;
    op->behind = next->behind;
    memcpy(client->from, next->from, sizeof client->from);
    if ((next->what.ino & INO_DIR_BIT) != 0) {
        op->kind = REQUEST_READDIR;
        op->dir = nsid_of_ino(next->what.ino);
        op->name = 0;
    } else {
        op->kind = REQUEST_READ;
        op->ino = next->what.ino;
    }
    return true;
}

static void next_op(struct sim_event *event)
{
    struct client *client = (struct client *)event;
    struct sim_history *history = &client->clients->history;
    struct sim_op *op;

    client->posted = false;
    if (client->active || (client->resting && !client->auditing))
        return;
    if (!sim_node_serves(client->node)) {
        think(client);
        return;
    }
    op = sim_history_add(history);
    op->client = client->number;
    op->call_ns = loop_of(client)->now_ns;
    client->op = history->count - 1;
    note_beginning(client);
    if (!client->auditing) {
        sim_choice_plan(&client->clients->choice, op);
        maybe_go_on(client, op);
    } else if (!audit_op(client, op)) {
        history->count--;
        client->auditing = false;
        return;
    }
    submit(client);
}

bool sim_clients_do(struct sim_clients *clients, size_t number,
                    const struct sim_op *what)
{
    struct client *client = clients->clients[number];
    struct sim_op *op;
    struct sim_op added;

    if (client->active || !sim_node_serves(client->node))
        return false;
    op = sim_history_add(&clients->history);
    added = *op;
    *op = *what;
    op->tag = added.tag;
    op->client = client->number;
    op->call_ns = clients->cluster->loop->now_ns;
    op->return_ns = added.return_ns;
    op->outcome = added.outcome;
    client->op = clients->history.count - 1;
    note_beginning(client);
    submit(client);
    return true;
}

uint64_t sim_clients_known(const struct sim_clients *clients, uint64_t dir,
                           uint8_t name)
{
    return sim_choice_known_ino(&clients->choice, dir, name);
}

/* Until the lull is over, if there is one. */
static uint64_t lull_left_ns(const struct client *client)
{
    const struct sim_plan *plan = plan_of(client);
    uint64_t at_ns;

    if (plan->lull_every_ns == 0 || client->auditing)
        return 0;
    at_ns = loop_of(client)->now_ns % plan->lull_every_ns;
    return at_ns < plan->lull_ns ? plan->lull_ns - at_ns : 0;
}

static void think(struct client *client)
{
    if (client->posted || (client->resting && !client->auditing))
        return;
    client->posted = true;
    sim_post_in(loop_of(client), &client->event,
                lull_left_ns(client) +
                    sim_spread(loop_of(client), plan_of(client)->think_ns) + 1);
}

/* ---- all of them ---- */

struct sim_clients *sim_clients_new(struct sim_cluster *cluster)
{
    struct sim_clients *clients = mem_zalloc(sizeof *clients);

    clients->cluster = cluster;
    clients->choice =
        (struct sim_choice){.loop = cluster->loop, .plan = cluster->plan};
    for (size_t i = 0; i < cluster->plan->nodes * cluster->plan->clients; i++) {
        struct client *client = mem_zalloc(sizeof *client);

        assert(clients->count < CLIENTS_MAX);
        client->event.run = next_op;
        client->clients = clients;
        client->node = &cluster->nodes[i % cluster->plan->nodes];
        client->number = (uint32_t)i;
        clients->clients[clients->count++] = client;
    }
    return clients;
}

void sim_clients_free(struct sim_clients *clients)
{
    for (size_t i = 0; i < clients->count; i++) {
        assert(!clients->clients[i]->active);
        free(clients->clients[i]);
    }
    sim_history_close(&clients->history);
    free(clients);
}

void sim_clients_work(struct sim_clients *clients)
{
    for (size_t i = 0; i < clients->count; i++) {
        clients->clients[i]->resting = false;
        think(clients->clients[i]);
    }
}

void sim_clients_rest(struct sim_clients *clients)
{
    for (size_t i = 0; i < clients->count; i++)
        clients->clients[i]->resting = true;
}

bool sim_clients_are_idle(const struct sim_clients *clients)
{
    for (size_t i = 0; i < clients->count; i++)
        if (clients->clients[i]->active || clients->clients[i]->auditing)
            return false;
    return true;
}

void sim_clients_on_crash(struct sim_clients *clients,
                          const struct sim_node *node)
{
    for (size_t i = 0; i < clients->count; i++) {
        struct client *client = clients->clients[i];
        struct sim_op *op;

        if (client->node != node || !client->active)
            continue;
        sim_seen(SEEN_OP_CRASHED);
        op = &clients->history.ops[client->op];
        op->outcome = sim_is_read(op->kind) ? SIM_OP_FAILED : SIM_OP_UNKNOWN;
        op->status = ERR_CANCELED;
        client->request.data = NULL; /* Left lying with the process. */
        client->active = false;
        think(client);
    }
}

void sim_clients_audit(struct sim_clients *clients)
{
    for (size_t i = 0; i < clients->cluster->plan->nodes; i++) {
        struct client *client = clients->clients[i];

        assert(!client->active);
        if (client->node->removed)
            continue;
        client->auditing = true;
        client->queue_count = 0;
        sim_client_add_to_audit(
            client, (struct sim_known){NSID_ROOT, 0, ino_of_nsid(NSID_ROOT)},
            SIM_NAMES_MAX);
        think(client);
    }
}

uint64_t sim_clients_written(const struct sim_clients *clients)
{
    return clients->written;
}

struct sim_history *sim_clients_history(struct sim_clients *clients)
{
    return &clients->history;
}
