/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/liveness.h"

#include <stdlib.h>

#include "engine/wire.h"

static const uint64_t alive_ns = (uint64_t)ALIVE_MS * 1000000;
static const uint64_t silent_ns = (uint64_t)NODE_SILENT_MS * 1000000;

/* A node that is connected. */
struct other {
    uint64_t node_id; /* 0: free */
    uint64_t boot;    /* 0: not told yet */
    uint64_t heard_ns;
    uint64_t told_ns;
    bool alive;
};

struct liveness {
    struct node *node;
    struct env *env;
    uint64_t tick_ns; /* of the last tick */
    struct other others[NODES_MAX];
};

struct liveness *liveness_new(struct node *node)
{
    struct liveness *liveness = mem_zalloc(sizeof *liveness);

    liveness->node = node;
    liveness->env = node_env(node);
    liveness->tick_ns = env_mono_ns(liveness->env);
    return liveness;
}

void liveness_free(struct liveness *liveness)
{
    free(liveness);
}

static const struct other *find(const struct liveness *liveness,
                                uint64_t node_id)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        if (liveness->others[i].node_id == node_id)
            return &liveness->others[i];
    return NULL;
}

/* NULL: it is not connected. */
static struct other *find_connected(struct liveness *liveness, uint64_t node_id)
{
    const struct other *found = node_id == 0 ? NULL : find(liveness, node_id);

    return found == NULL ? NULL : &liveness->others[found - liveness->others];
}

/* NULL: more nodes than there can be. */
static struct other *obtain(struct liveness *liveness, uint64_t node_id)
{
    const struct other *found = find(liveness, node_id);

    if (found == NULL)
        found = find(liveness, 0);
    if (found == NULL)
        return NULL;
    liveness->others[found - liveness->others].node_id = node_id;
    return &liveness->others[found - liveness->others];
}

bool liveness_is_alive(const struct liveness *liveness, uint64_t id)
{
    const struct other *other = id == 0 ? NULL : find(liveness, id);

    return id == node_id(liveness->node) || (other != NULL && other->alive);
}

static void set_alive(struct liveness *liveness, struct other *other,
                      bool alive)
{
    if (other->alive == alive)
        return;
    other->alive = alive;
    node_on_liveness(liveness->node, other->node_id, alive);
}

/* ---- what comes in ---- */

void liveness_on_link(struct liveness *liveness, uint64_t id, bool up)
{
    struct other *other =
        up ? obtain(liveness, id) : find_connected(liveness, id);

    if (other == NULL)
        return;
    other->heard_ns = env_mono_ns(liveness->env);
    other->told_ns = 0;
    set_alive(liveness, other, up);
    if (!up)
        *other = (struct other){0};
}

void liveness_on_packet(struct liveness *liveness, uint64_t id)
{
    struct other *other = find_connected(liveness, id);

    if (other == NULL)
        return;
    other->heard_ns = env_mono_ns(liveness->env);
    set_alive(liveness, other, true);
}

/* The start before this one may have led regions that sleep. */
void liveness_on_alive(struct liveness *liveness, uint64_t id,
                       const struct env_packet *packet)
{
    struct other *other = find_connected(liveness, id);
    struct alive alive;

    if (other == NULL ||
        alive_decode(&alive, (struct slice){packet->header->data,
                                            packet->header->size}) != 0)
        return;
    if (other->boot != 0 && alive.boot > other->boot)
        set_alive(liveness, other, false);
    if (alive.boot > other->boot)
        other->boot = alive.boot;
    set_alive(liveness, other, true);
}

/* ---- time ---- */

static void say_alive(struct liveness *liveness, struct other *other)
{
    struct alive alive = {.boot = node_config(liveness->node)->identity.boot};
    struct buf *bytes = alive_encode(&alive);

    node_send(liveness->node, other->node_id, ENV_CHANNEL_RAFT, WIRE_ALIVE,
              bytes, NULL);
    buf_unref(bytes);
}

/* Whoever has been away himself cannot tell who was silent meanwhile: what the
 * others have said still waits to be read. */
static bool was_away(const struct liveness *liveness, uint64_t now_ns)
{
    return now_ns - liveness->tick_ns > alive_ns;
}

static void look_at(struct liveness *liveness, struct other *other,
                    uint64_t now_ns)
{
    if (was_away(liveness, now_ns))
        other->heard_ns = now_ns;
    if (now_ns - other->heard_ns > silent_ns)
        set_alive(liveness, other, false);
    if (now_ns - other->told_ns >= alive_ns) {
        other->told_ns = now_ns;
        say_alive(liveness, other);
    }
}

void liveness_tick(struct liveness *liveness)
{
    uint64_t now_ns = env_mono_ns(liveness->env);

    for (size_t i = 0; i < NODES_MAX; i++)
        if (liveness->others[i].node_id != 0)
            look_at(liveness, &liveness->others[i], now_ns);
    liveness->tick_ns = now_ns;
}
