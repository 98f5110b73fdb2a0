/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_zone.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/sim/sim_ask.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_history.h"
#include "tests/sim/sim_lives.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_zone_choice.h"
#include "tests/sim/sim_zone_judge.h"

#define XATTR "user.tag"
#define XATTR_MODE "user.grove.consistency"

enum { MODE_MS = 10000 };

struct client {
    struct sim_event event; /* first member: thinks */
    struct sim_zones *zones;
    struct sim_ask ask;
    bool resting;
    bool posted;       /* the event */
    uint64_t worked;   /* changes that were accepted since it was to work */
    uint64_t accepted; /* the start in which the last one was */
    uint64_t asks;
    struct sim_zone_op op;
    struct sim_zone_case zone_case;
    struct sim_zone_handles handles;
    char from[NAME_SIZE_MAX + 1]; /* where a page begins */
};

struct sim_zones {
    struct sim_cluster *cluster;
    struct sim_lives *lives;
    struct sim_zone zones[SIM_ZONES_MAX];
    struct client *clients[SIM_NODES_MAX]; /* NULL: there are no zones */
    uint32_t tag;
};

static struct sim_loop *loop_of(const struct client *client)
{
    return client->zones->cluster->loop;
}

static const struct sim_plan *plan_of(const struct client *client)
{
    return client->zones->cluster->plan;
}

static void think(struct client *client);

/* ---- the end of an operation ---- */

static void note_mode(const struct client *client)
{
    const struct sim_zone_op *op = &client->op;
    int status = client->ask.request.status;

    if (!op->of_zone ||
        (op->kind != REQUEST_SETXATTR && op->kind != REQUEST_RMDIR))
        return;
    if (status == 0 && op->kind == REQUEST_SETXATTR)
        sim_seen(op->to_eventual ? SEEN_ZONE_MADE : SEEN_ZONE_STRONG);
    else if (status == 0)
        sim_seen(SEEN_ZONE_REMOVED);
    else if (status == ERR_NOT_EMPTY)
        sim_seen(SEEN_ZONE_NOT_EMPTY);
    else if (!op->to_eventual && !client->zone_case.all_reached)
        sim_seen(SEEN_ZONE_GIVEN_UP);
}

static void done(struct sim_ask *ask)
{
    struct client *client = container_of(ask, struct client, ask);
    const struct request *request = &ask->request;

    sim_note(loop_of(client),
             "zone: node %zu: %s of %" PRIx64 "/%s -> %" PRIx64 "/%s: %s",
             ask->node->number + 1, sim_zone_kind_text(&client->op),
             request->dir, request->name, request->to_dir,
             request->to_name == NULL ? "" : request->to_name,
             err_text(request->status));
    sim_fold(loop_of(client), sim_mix((uint64_t)(int64_t)request->status,
                                      request->attr.version));
    note_mode(client);
    sim_zone_learn(loop_of(client), client->zones->zones, &client->handles,
                   &client->op, request);
    if (sim_zone_judge(&client->zone_case, client->zones->lives, ask->node,
                       &client->op, request)) {
        client->accepted = ask->node->starts;
        client->worked++;
    }
    think(client);
}

/* ---- its beginning ---- */

static const char *name_of(const struct client *client)
{
    const struct sim_zone_op *op = &client->op;

    if (op->of_zone)
        return sim_zone_root_name(op->zone);
    return op->kind == REQUEST_READDIR ? "" : sim_zone_file_name(op->name);
}

static struct buf *data_of(const struct client *client)
{
    const struct sim_zone_op *op = &client->op;
    const char *mode = op->to_eventual ? "eventual"
                       : op->by_force  ? "strong force"
                                       : "strong";
    uint32_t tag = client->zone_case.tag;

    if (op->kind == REQUEST_SETXATTR && sim_zone_is_of_mode(op))
        return buf_copy(mode, strlen(mode));
    if (op->kind == REQUEST_SETXATTR)
        return buf_copy(&tag, sizeof tag);
    return op->piece_size > 0 ? sim_piece(tag, op->piece_size) : NULL;
}

static void fill_request(struct client *client)
{
    const struct sim_zone_op *op = &client->op;
    const struct sim_zone *zone = &client->zones->zones[op->zone];
    const struct sim_zone *to_zone = &client->zones->zones[op->to_zone];
    bool two = op->kind == REQUEST_RENAME;

    client->ask.request = (struct request){
        .kind = op->kind,
        .flags = op->flags,
        .dir = op->of_zone ? NSID_ROOT : sim_zone_nsid(zone, op->dir),
        .to_dir = two ? sim_zone_nsid(to_zone, op->to_dir) : 0,
        .ino = op->ino,
        .name = name_of(client),
        .to_name = two ? sim_zone_file_name(op->to_name) : NULL,
        .size = op->kind == REQUEST_READDIR ? plan_of(client)->page_size
                                            : SIM_VALUE_MAX,
        .xattr = sim_zone_is_of_mode(op) ? XATTR_MODE : XATTR,
        .set_mask = SET_GID,
        .set = {.gid = op->kind == REQUEST_SETATTR ? client->zone_case.tag : 0,
                .mode = op->kind == REQUEST_MKDIR ? S_IFDIR | 0755
                                                  : S_IFREG | 0644},
        .data = data_of(client),
    };
    /* One step after the other, in several directories. */
    if (sim_zone_is_of_mode(op) &&
        (op->by_force || sim_pick(loop_of(client), 3) != 0))
        client->ask.request.timeout_ms = MODE_MS;
    if (client->zone_case.is_short)
        client->ask.request.timeout_ms = sim_between(loop_of(client), 1, 300);
}

struct cancel_event {
    struct sim_event event; /* first member */
    struct client *client;
    uint64_t asks;
};

static void cancel_later(struct sim_event *event)
{
    struct cancel_event *c = (struct cancel_event *)event;

    if (c->client->asks == c->asks)
        sim_ask_cancel(&c->client->ask);
    free(c);
}

static void maybe_cancel(struct client *client)
{
    struct cancel_event *c;

    if (!client->ask.active ||
        !sim_chance(loop_of(client), plan_of(client)->cancel_per_million))
        return;
    c = mem_zalloc(sizeof *c);
    *c = (struct cancel_event){{.run = cancel_later}, client, client->asks};
    client->zone_case.is_cancelled = true;
    sim_post_in(loop_of(client), &c->event,
                sim_spread(loop_of(client), 20 * sim_ms));
}

/* What is in `op`. */
static void begin(struct client *client)
{
    struct sim_zones *zones = client->zones;

    client->asks++;
    sim_zone_open_case(&client->zone_case, client->ask.node, &client->op,
                       &zones->zones[client->op.zone]);
    client->zone_case.tag = ++zones->tag;
    client->zone_case.has_accepted =
        client->accepted == client->ask.node->starts;
    client->zone_case.is_short =
        sim_chance(loop_of(client), plan_of(client)->short_per_million);
    fill_request(client);
    sim_ask(&client->ask, plan_of(client)->try_first);
    maybe_cancel(client);
}

static bool is_away(const struct sim_node *node, const struct sim_node *other)
{
    return !other->removed && sim_node_is_member(other) &&
           (other->state != SIM_UP || !node->linked[other->number] ||
            other->machine.paused_until_ns > node->machine.loop->now_ns);
}

/* Some node is down, paused or cut off from this one. */
static bool misses_one(const struct sim_node *node)
{
    const struct sim_cluster *cluster = node->cluster;

    for (size_t i = 0; i < cluster->plan->nodes; i++)
        if (i != node->number && is_away(node, &cluster->nodes[i]))
            return true;
    return false;
}

static void next_op(struct sim_event *event)
{
    struct client *client = (struct client *)event;

    client->posted = false;
    if (client->ask.active || client->resting)
        return;
    if (!sim_node_serves(client->ask.node)) {
        think(client);
        return;
    }
    sim_zone_choose(loop_of(client), plan_of(client), client->zones->zones,
                    &client->handles, misses_one(client->ask.node),
                    &client->op);
    begin(client);
}

static void think(struct client *client)
{
    if (client->posted || client->resting)
        return;
    client->posted = true;
    sim_post_in(loop_of(client), &client->event,
                sim_spread(loop_of(client), plan_of(client)->think_ns) + 1);
}

/* ---- all of them ---- */

struct sim_zones *sim_zones_new(struct sim_cluster *cluster)
{
    struct sim_zones *zones = mem_zalloc(sizeof *zones);

    zones->cluster = cluster;
    zones->lives = sim_lives_new(cluster);
    for (size_t i = 0; i < cluster->plan->nodes && cluster->plan->zones > 0;
         i++) {
        struct client *client = mem_zalloc(sizeof *client);

        client->event.run = next_op;
        client->zones = zones;
        client->ask.node = &cluster->nodes[i];
        client->ask.done = done;
        client->resting = true;
        zones->clients[i] = client;
    }
    cluster->zones = zones;
    return zones;
}

void sim_zones_free(struct sim_zones *zones)
{
    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        assert(zones->clients[i] == NULL || !zones->clients[i]->ask.active);
        free(zones->clients[i]);
    }
    sim_lives_free(zones->lives);
    free(zones);
}

void sim_zones_work(struct sim_zones *zones)
{
    for (size_t i = 0; i < SIM_NODES_MAX && zones->clients[i] != NULL; i++) {
        zones->clients[i]->resting = false;
        zones->clients[i]->worked = 0;
        think(zones->clients[i]);
    }
}

void sim_zones_rest(struct sim_zones *zones)
{
    for (size_t i = 0; i < SIM_NODES_MAX && zones->clients[i] != NULL; i++)
        zones->clients[i]->resting = true;
}

bool sim_zones_are_idle(const struct sim_zones *zones)
{
    for (size_t i = 0; i < SIM_NODES_MAX && zones->clients[i] != NULL; i++)
        if (zones->clients[i]->ask.active)
            return false;
    return true;
}

static bool may_accept(const struct sim_node *node)
{
    return !node->removed &&
           (!sim_node_serves(node) || sim_drain_state(node, node) == NODE_UP);
}

bool sim_zones_have_worked(const struct sim_zones *zones)
{
    for (size_t i = 0; i < SIM_NODES_MAX && zones->clients[i] != NULL; i++)
        if (zones->clients[i]->worked == 0 &&
            may_accept(zones->clients[i]->ask.node))
            return false;
    return true;
}

bool sim_zones_has_worked(const struct sim_zones *zones, size_t number)
{
    return zones->clients[number]->worked > 0;
}

void sim_zones_end(struct sim_zones *zones)
{
    for (size_t i = 0; i < SIM_ZONES_MAX; i++)
        zones->zones[i].ending = true;
    sim_zones_work(zones);
}

bool sim_zones_do(struct sim_zones *zones, size_t number,
                  const struct sim_zone_op *op)
{
    struct client *client = zones->clients[number];

    if (client->ask.active || !sim_node_serves(client->ask.node))
        return false;
    client->op = *op;
    begin(client);
    return true;
}

const struct sim_zone *sim_zones_find(const struct sim_zones *zones,
                                      size_t zone)
{
    return &zones->zones[zone];
}

bool sim_zones_have_ended(const struct sim_zones *zones)
{
    for (size_t i = 0; i < SIM_ZONES_MAX; i++)
        if (zones->zones[i].nsid != 0 && zones->zones[i].eventual)
            return false;
    return true;
}

bool sim_zones_are_settled(struct sim_zones *zones)
{
    return sim_lives_are_settled(zones->lives);
}

bool sim_zones_are_forgotten(struct sim_zones *zones)
{
    return sim_lives_are_forgotten(zones->lives);
}

void sim_zones_check(struct sim_zones *zones)
{
    sim_lives_check(zones->lives);
}

void sim_zones_step(struct sim_zones *zones, struct sim_node *node)
{
    if (zones != NULL && zones->cluster->plan->zones > 0)
        sim_lives_step(zones->lives, node);
}

void sim_zones_on_crash(struct sim_zones *zones, const struct sim_node *node)
{
    struct client *client = zones == NULL ? NULL : zones->clients[node->number];

    if (client == NULL)
        return;
    sim_lives_on_crash(node);
    if (sim_ask_on_crash(&client->ask))
        think(client);
}

void sim_zones_on_loss(struct sim_zones *zones, const struct sim_node *node)
{
    if (zones != NULL)
        sim_lives_on_loss(zones->lives, node);
}

void sim_zones_on_resolved(struct sim_zones *zones, uint64_t nsid)
{
    if (zones != NULL)
        sim_lives_on_resolved(zones->lives, nsid);
}
