/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_damage.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/peer_impl.h"
#include "engine/salvage.h"
#include "engine/snapshot.h"
#include "tests/sim/kv_mem.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_watch.h"
#include "tests/sim/sim_zone.h"

enum {
    LOOK_MS = 200,
    CRASH_PER_MILLION = 60000,
    DOWN_MS_MAX = 1500,
    CRASH_SECONDS = 20
};

struct sim_damage {
    struct sim_event event; /* first member */
    struct sim_cluster *cluster;
    struct sim_clients *clients;
    struct sim_node *node; /* whose replica it is */
    uint64_t region;
    uint64_t crashes_until_ns;
    bool stopped;

    /* A check that was asked for. */
    struct request request;
    struct env_task task;
    struct sim_node *asked; /* NULL: none is under way */
    uint64_t asked_starts;
};

static struct sim_loop *loop_of(const struct sim_damage *d)
{
    return d->cluster->loop;
}

static struct sim_harm *harm_of(const struct sim_damage *d, uint64_t region)
{
    return sim_harms_of(sim_watch_harms(d->cluster->watch), d->node->number,
                        region);
}

static struct sim_node *pick_node(struct sim_damage *d)
{
    return &d->cluster->nodes[sim_pick(loop_of(d), d->cluster->plan->nodes)];
}

/* ---- doing it ---- */

/* Not the marker, which the next entry writes anew. While nodes restart their
 * commands may also replace remembered results and allocators, and a node whose
 * descriptor cannot be read does not start. */
static bool is_lasting(const struct sim_damage *d, struct slice key)
{
    const uint8_t *bytes = key.data;

    if (!d->cluster->plan->damage_crashes)
        return bytes[0] != 's';
    return bytes[0] == 'd' || bytes[0] == 'n' ||
           (bytes[0] == 'c' && (bytes[1] == 'd' || bytes[1] == 'n'));
}

/* Visits the lasting keys of the region; returns how many, and the one that
 * has `number`. */
static size_t visit(const struct sim_damage *d, const struct sim_node *node,
                    const struct region *region, size_t number,
                    struct key *ret_key, struct kv_value *ret)
{
    struct kv *state = node->env->env.state;
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t range_count = snapshot_ranges(region, ranges);
    size_t count = 0;

    for (size_t i = 0; i < range_count; i++) {
        struct kv_iter *iter =
            kv_iter_new(state, NULL, key_slice(&ranges[i].begin),
                        key_slice(&ranges[i].end));

        kv_iter_seek(iter, key_slice(&ranges[i].begin));
        for (; kv_iter_valid(iter); kv_iter_next(iter)) {
            struct slice key = kv_iter_key(iter);

            if (!is_lasting(d, key) || count++ != number)
                continue;
            memcpy(ret_key->data, key.data, key.size);
            ret_key->size = key.size;
            (void)kv_get(state, NULL, key, ret);
        }
        kv_iter_free(iter);
    }
    return count;
}

/* A bit flips, the end is lost, or all of it. */
static void change(struct sim_damage *d, struct kv_batch *batch,
                   const struct key *key, const struct kv_value *value)
{
    uint8_t *bytes = mem_zalloc(value->size + 1);
    size_t size = value->size;
    uint8_t bit;

    memcpy(bytes, value->data, size);
    switch (sim_pick(loop_of(d), 4)) {
    case 0:
        kv_batch_delete(batch, key_slice(key));
        break;
    case 1:
        kv_batch_put(batch, key_slice(key),
                     (struct slice){bytes, sim_pick(loop_of(d), size)});
        break;
    default:
        bit = (uint8_t)(1 << sim_pick(loop_of(d), 8));
        bytes[sim_pick(loop_of(d), size)] ^= bit;
        kv_batch_put(batch, key_slice(key), (struct slice){bytes, size});
    }
    free(bytes);
}

static void strike(struct sim_damage *d)
{
    const struct peer *peer = node_peer(d->node->node, d->region);
    struct kv *state = d->node->env->env.state;
    struct kv_batch *batch = kv_batch_new(state);
    struct kv_value value = {0};
    struct key key = {.size = 0};
    size_t count = visit(d, d->node, peer_region(peer), SIZE_MAX, &key, &value);

    assert(count > 0);
    (void)visit(d, d->node, peer_region(peer), sim_pick(loop_of(d), count),
                &key, &value);
    change(d, batch, &key, &value);
    sim_note(loop_of(d),
             "node %zu: region %" PRIu64 ": a record '%c' of %zu bytes is "
             "damaged",
             d->node->number + 1, d->region, key.data[0], value.size);
    kv_value_release(&value);
    (void)kv_write(state, batch, KV_RELAXED, NULL);
    kv_batch_free(batch);
    kv_mem_sync(state, kv_mem_unsynced_count(state));
    harm_of(d, d->region)->done = true;
}

/* All replicas whose state a crash has left. */
static void harm_all(struct sim_damage *d, struct kv *state)
{
    struct slice begin = slice_of("r");
    struct kv_iter *iter = kv_iter_new(state, NULL, begin, slice_of("s"));
    uint64_t region;

    for (kv_iter_seek(iter, begin); kv_iter_valid(iter); kv_iter_next(iter))
        if (key_parse_region(kv_iter_key(iter), &region))
            harm_of(d, region)->done = true;
    kv_iter_free(iter);
}

/* The whole of state/, as salvage.h gives it up at the next start. */
static void lose_all(struct sim_damage *d)
{
    struct sim_node *node = d->node;
    struct kv *fresh;
    int rc;

    sim_node_crash(node, false, 0);
    sim_clients_on_crash(d->clients, node);
    rc = salvage_mark(node->log, node->state_kv, node->number + 1, 1);
    if (rc == ERR_UNAVAILABLE)
        return; /* Perhaps the only voter of some region: kept. */
    assert(rc == 0);
    fresh = kv_mem_new();
    rc = salvage_tombstones(node->state_kv, fresh);
    assert(rc == 0);
    harm_all(d, node->state_kv);
    sim_zones_on_loss(d->cluster->zones, node);
    sim_seen(SEEN_STATE_GIVEN_UP);
    kv_close(node->state_kv);
    node->state_kv = fresh;
}

/* The others are a majority, and there is something to damage. */
static bool can_be_struck(const struct sim_damage *d,
                          const struct sim_node *node, uint64_t region)
{
    const struct peer *peer =
        node->removed ? NULL : node_peer(node->node, region);
    struct kv_value value = {0};
    struct key key;

    return peer != NULL && peer_region(peer)->voter_count >= 3 &&
           visit(d, node, peer_region(peer), SIZE_MAX, &key, &value) > 0;
}

static bool can_be_damaged(const struct sim_damage *d)
{
    uint64_t region;

    for (region = 0; sim_cluster_find_region(d->cluster, &region); region++)
        for (size_t i = 0; i < d->cluster->plan->nodes; i++)
            if (can_be_struck(d, &d->cluster->nodes[i], region))
                return true;
    return false;
}

static void choose_replica(struct sim_damage *d)
{
    do {
        d->node = pick_node(d);
        d->region = sim_cluster_pick_region(d->cluster, REGION_PLACEMENT);
    } while (!can_be_struck(d, d->node, d->region));
}

/* ---- asking ---- */

static void asked(struct request *request)
{
    struct sim_damage *d = container_of(request, struct sim_damage, request);

    sim_note(loop_of(d), "check: %s", err_text(request->status));
    buf_unref(request->data);
    d->asked = NULL;
}

static void submit(struct env_task *task)
{
    struct sim_damage *d = container_of(task, struct sim_damage, task);

    flows_submit(node_flows(d->asked->node), &d->request);
}

static void ask(struct sim_damage *d)
{
    struct sim_node *node = pick_node(d);
    const char *text = d->region == 0 ? "0\n" : "all\n";

    if (!sim_node_serves(node))
        return;
    d->asked = node;
    d->asked_starts = node->starts;
    d->request = (struct request){
        .kind = REQUEST_CONTROL,
        .table = TABLE_CHECK,
        .data = buf_copy(text, strlen(text)),
        .done = asked,
        .private = (void *)(uintptr_t)++node->request_last,
    };
    d->task.run = submit;
    sim_env_enter(node->env, SIM_FROM_USER);
    env_post(&node->env->env, ENV_WORKER, &d->task);
    sim_env_leave(node->env);
}

static void maybe_crash(struct sim_damage *d)
{
    struct sim_node *node =
        sim_pick(loop_of(d), 2) == 0 ? d->node : pick_node(d);
    uint64_t down_ns;

    if (loop_of(d)->now_ns > d->crashes_until_ns || node->state == SIM_DOWN ||
        !sim_chance(loop_of(d), CRASH_PER_MILLION))
        return;
    down_ns = sim_pick(loop_of(d), DOWN_MS_MAX) * sim_ms;
    sim_node_crash(node, sim_pick(loop_of(d), 2) == 0, down_ns);
    sim_clients_on_crash(d->clients, node);
}

/* A node that crashes takes the question with it. */
static bool is_asking(const struct sim_damage *d)
{
    return d->asked != NULL && d->asked->starts == d->asked_starts &&
           d->asked->state != SIM_DOWN;
}

static bool is_mended(const struct sim_damage *d)
{
    return sim_harms_are_mended(sim_watch_harms(d->cluster->watch),
                                d->node->number);
}

static void look(struct sim_event *event)
{
    struct sim_damage *d = (struct sim_damage *)event;

    if (d->stopped)
        return;
    maybe_crash(d);
    if (!is_asking(d) && !is_mended(d))
        ask(d);
    sim_post_in(loop_of(d), event, sim_pick(loop_of(d), LOOK_MS * sim_ms));
}

struct sim_damage *sim_damage_new(struct sim_cluster *cluster,
                                  struct sim_clients *clients)
{
    struct sim_damage *d = mem_zalloc(sizeof *d);

    sim_harms_forget(sim_watch_harms(cluster->watch));
    d->cluster = cluster;
    d->clients = clients;
    d->event.run = look;
    if (cluster->plan->damage_crashes)
        d->crashes_until_ns =
            cluster->loop->now_ns + CRASH_SECONDS * 1000 * sim_ms;
    if (!can_be_damaged(d)) {
        d->node = &cluster->nodes[0];
        return d;
    }
    choose_replica(d);
    if (sim_pick(cluster->loop, 4) == 0)
        lose_all(d);
    else
        strike(d);
    sim_post_in(cluster->loop, &d->event, 0);
    return d;
}

bool sim_damage_is_mended(const struct sim_damage *d)
{
    return is_mended(d) && !is_asking(d);
}

void sim_damage_stop(struct sim_damage *d)
{
    d->stopped = true;
}

void sim_damage_free(struct sim_damage *damage)
{
    free(damage);
}
