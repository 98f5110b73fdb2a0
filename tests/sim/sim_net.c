/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_net.h"

#include <stdlib.h>

#include "engine/wire.h"
#include "tests/sim/sim_seen.h"

enum { LOOK_MS = 10, RECONNECT_MS = 50, SLOW_TIMES = 30, STEADY_MS_MAX = 10 };

struct packet {
    STAILQ_ENTRY(packet) link;
    uint64_t at_ns;
    size_t size;
    struct env_packet packet;
    struct buf *payloads[];
};

/* One direction of one connection. */
struct pipe {
    struct sim_event pump; /* first member */
    struct sim_net *net;
    size_t from;
    size_t to;
    enum env_channel channel;
    bool pumping;
    uint64_t since_ns; /* when the receiver knows of the connection */
    uint64_t last_ns;
    size_t size;
    STAILQ_HEAD(, packet) packets;
};

/* Both channels of a pair, a < b. */
struct pair {
    bool up;
    uint64_t retry_ns;
    uint64_t cut_since_ns; /* 0: not cut */
    uint64_t notice_ns;    /* how long a cut is not noticed */
    bool told[2];          /* the last thing each side was told: up? */
    uint64_t notice[2];    /* version of what it is to be told */
    uint64_t told_ns[2];   /* when the last notice arrives */
};

struct sim_net {
    struct sim_event look; /* first member */
    struct sim_loop *loop;
    const struct sim_plan *plan;
    struct sim_net_host host;
    bool calm;
    uint64_t raft_sent;
    uint64_t cut_until_ns[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t slow_until_ns[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t hold_until_ns[SIM_NODES_MAX][SIM_NODES_MAX];
    struct pair pairs[SIM_NODES_MAX][SIM_NODES_MAX];
    struct pipe pipes[SIM_NODES_MAX][SIM_NODES_MAX][ENV_CHANNELS];
};

static struct pair *pair_of(struct sim_net *net, size_t a, size_t b)
{
    return a < b ? &net->pairs[a][b] : &net->pairs[b][a];
}

/* ---- packets ---- */

static void packet_free(struct packet *p)
{
    buf_unref(p->packet.header);
    for (size_t i = 0; i < p->packet.payload_count; i++)
        buf_unref(p->payloads[i]);
    free(p);
}

static struct packet *packet_copy(const struct env_packet *packet)
{
    struct packet *p =
        mem_zalloc(sizeof *p + packet->payload_count * sizeof(struct buf *));

    p->packet = *packet;
    p->packet.payloads = p->payloads;
    p->size = buf_ref(packet->header)->size;
    for (size_t i = 0; i < packet->payload_count; i++) {
        p->payloads[i] = buf_ref(packet->payloads[i]);
        p->size += packet->payloads[i]->size;
    }
    return p;
}

static struct packet *take_first(struct pipe *pipe)
{
    struct packet *p = STAILQ_FIRST(&pipe->packets);

    STAILQ_REMOVE_HEAD(&pipe->packets, link);
    pipe->size -= p->size;
    return p;
}

static void pipe_clear(struct pipe *pipe)
{
    while (!STAILQ_EMPTY(&pipe->packets))
        packet_free(take_first(pipe));
    pipe->last_ns = 0;
}

/* Looks again before long: a cut may be healed early. */
static void pipe_arm(struct pipe *pipe, uint64_t at_ns)
{
    uint64_t soon_ns = pipe->net->loop->now_ns + LOOK_MS * sim_ms;

    if (pipe->pumping || STAILQ_EMPTY(&pipe->packets))
        return;
    pipe->pumping = true;
    sim_post_at(pipe->net->loop, &pipe->pump,
                at_ns < soon_ns ? at_ns : soon_ns);
}

static uint64_t latest(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

/* When the first packet can arrive as things are: a cut and a stopped
 * receiver hold it back. */
static uint64_t ready_ns(const struct pipe *pipe)
{
    const struct sim_net *net = pipe->net;
    uint64_t at_ns = STAILQ_FIRST(&pipe->packets)->at_ns;
    uint64_t cut_ns = net->cut_until_ns[pipe->from][pipe->to];
    uint64_t hold_ns = net->hold_until_ns[pipe->from][pipe->to];
    uint64_t paused_ns = net->host.paused_until_ns(net->host.context, pipe->to);

    return latest(latest(at_ns, cut_ns), latest(hold_ns, paused_ns));
}

static void pump(struct sim_event *event)
{
    struct pipe *pipe = (struct pipe *)event;
    struct sim_net *net = pipe->net;
    struct packet *p;

    pipe->pumping = false;
    if (STAILQ_EMPTY(&pipe->packets))
        return;
    if (ready_ns(pipe) > net->loop->now_ns) {
        pipe_arm(pipe, ready_ns(pipe));
        return;
    }
    p = take_first(pipe);
    sim_fold(net->loop, p->packet.type + (p->size << 8));
    if (net->host.is_up(net->host.context, pipe->to))
        net->host.on_packet(net->host.context, pipe->to, pipe->from,
                            pipe->channel, &p->packet);
    packet_free(p);
    if (!STAILQ_EMPTY(&pipe->packets))
        pipe_arm(pipe, ready_ns(pipe));
}

/* Never both: what comes half a minute late is no progress, but no fault of the
 * engine's either. */
static uint64_t packet_delay(const struct pipe *pipe, size_t size)
{
    struct sim_net *net = pipe->net;
    uint64_t mean_ns = net->plan->delay_ns;

    if (net->slow_until_ns[pipe->from][pipe->to] > net->loop->now_ns)
        mean_ns *= SLOW_TIMES;
    else if (sim_chance(net->loop, net->plan->tail_per_million))
        mean_ns *= sim_between(net->loop, 5, 30);
    return mean_ns / 4 + sim_spread(net->loop, mean_ns) + size * 8;
}

/* In front of all that arrive later. */
static void insert_early(struct pipe *pipe, struct packet *p)
{
    struct packet *before = NULL;
    struct packet *other;

    STAILQ_FOREACH (other, &pipe->packets, link) {
        if (other->at_ns > p->at_ns)
            break;
        before = other;
    }
    if (other != NULL)
        sim_seen(SEEN_OVERTAKEN);
    if (before != NULL)
        STAILQ_INSERT_AFTER(&pipe->packets, before, p, link);
    else
        STAILQ_INSERT_HEAD(&pipe->packets, p, link);
}

static bool may_overtake(const struct pipe *pipe)
{
    return !pipe->net->calm && pipe->channel == ENV_CHANNEL_RAFT &&
           sim_chance(pipe->net->loop, pipe->net->plan->overtake_per_million);
}

static void put(struct pipe *pipe, const struct env_packet *packet)
{
    struct packet *p = packet_copy(packet);
    bool early = may_overtake(pipe);
    uint64_t after_ns = early ? pipe->since_ns : pipe->last_ns;

    p->at_ns = pipe->net->loop->now_ns + packet_delay(pipe, p->size);
    if (p->at_ns <= after_ns)
        p->at_ns = after_ns + 1;
    if (p->at_ns > pipe->last_ns)
        pipe->last_ns = p->at_ns;
    pipe->size += p->size;
    if (early)
        insert_early(pipe, p);
    else
        STAILQ_INSERT_TAIL(&pipe->packets, p, link);
    pipe_arm(pipe, p->at_ns);
}

void sim_net_send(struct sim_net *net, size_t from, size_t to,
                  enum env_channel channel, const struct env_packet *packet)
{
    struct pipe *pipe = &net->pipes[from][to][channel];
    bool calm = net->calm;

    net->raft_sent += packet->type == WIRE_RAFT;
    if (!pair_of(net, from, to)->up)
        return;
    if (!calm && sim_chance(net->loop, net->plan->loss_per_million))
        return;
    if (!calm && channel == ENV_CHANNEL_BULK &&
        sim_chance(net->loop, net->plan->bulk_loss_per_million)) {
        pipe_clear(pipe);
        pipe_clear(&net->pipes[to][from][channel]);
        return;
    }
    put(pipe, packet);
    if (!calm && sim_chance(net->loop, net->plan->repeat_per_million))
        put(pipe, packet);
}

uint64_t sim_net_raft_sent(const struct sim_net *net)
{
    return net->raft_sent;
}

size_t sim_net_pending(const struct sim_net *net, size_t from, size_t to,
                       enum env_channel channel)
{
    return net->pipes[from][to][channel].size;
}

/* ---- links ---- */

struct link_event {
    struct sim_event event;
    struct sim_net *net;
    size_t node;
    size_t other;
    uint64_t notice;
    bool up;
};

static void link_run(struct sim_event *event)
{
    struct link_event *l = container_of(event, struct link_event, event);
    struct sim_net *net = l->net;
    struct pair *pair = pair_of(net, l->node, l->other);
    size_t side = l->node < l->other ? 0 : 1;
    uint64_t paused_ns = net->host.paused_until_ns(net->host.context, l->node);

    if (paused_ns > net->loop->now_ns && pair->notice[side] == l->notice) {
        sim_post_at(net->loop, event, paused_ns);
        return;
    }
    if (pair->notice[side] == l->notice && pair->told[side] != l->up) {
        pair->told[side] = l->up;
        if (net->host.is_up(net->host.context, l->node))
            net->host.on_link(net->host.context, l->node, l->other, l->up);
    }
    free(l);
}

static void tell(struct sim_net *net, size_t node, size_t other, bool up,
                 uint64_t delay_ns)
{
    struct link_event *l = mem_zalloc(sizeof *l);
    struct pair *pair = pair_of(net, node, other);
    size_t side = node < other ? 0 : 1;

    l->event.run = link_run;
    l->net = net;
    l->node = node;
    l->other = other;
    l->up = up;
    l->notice = ++pair->notice[side];
    pair->told_ns[side] = net->loop->now_ns + delay_ns;
    sim_post_in(net->loop, &l->event, delay_ns);
}

static void pair_down(struct sim_net *net, size_t a, size_t b,
                      uint64_t notice_ns)
{
    struct pair *pair = pair_of(net, a, b);

    if (!pair->up)
        return;
    sim_seen(SEEN_LINK_LOST);
    sim_note(net->loop, "net: %zu-%zu broken", a + 1, b + 1);
    pair->up = false;
    pair->retry_ns = net->loop->now_ns + RECONNECT_MS * sim_ms +
                     sim_pick(net->loop, 500 * sim_ms);
    for (size_t channel = 0; channel < ENV_CHANNELS; channel++) {
        pipe_clear(&net->pipes[a][b][channel]);
        pipe_clear(&net->pipes[b][a][channel]);
    }
    tell(net, a, b, false, sim_spread(net->loop, notice_ns));
    tell(net, b, a, false, sim_spread(net->loop, notice_ns));
}

/* A side that has not noticed yet is told now: the new connection replaces
 * the old one. The notice of being up comes before the first packet. */
static void side_up(struct sim_net *net, size_t node, size_t other)
{
    struct pair *pair = pair_of(net, node, other);
    size_t side = node < other ? 0 : 1;

    if (pair->told[side]) {
        pair->told[side] = false;
        pair->notice[side]++;
        if (net->host.is_up(net->host.context, node))
            net->host.on_link(net->host.context, node, other, false);
    }
    tell(net, node, other, true, sim_spread(net->loop, 200 * sim_us));
    for (size_t channel = 0; channel < ENV_CHANNELS; channel++) {
        struct pipe *pipe = &net->pipes[other][node][channel];

        pipe->since_ns = pipe->last_ns = pair->told_ns[side];
    }
}

static void pair_up(struct sim_net *net, size_t a, size_t b)
{
    struct pair *pair = pair_of(net, a, b);

    sim_note(net->loop, "net: %zu-%zu connected", a + 1, b + 1);
    pair->up = true;
    pair->cut_since_ns = 0;
    pair->notice_ns = sim_spread(net->loop, net->plan->notice_ns);
    side_up(net, a, b);
    side_up(net, b, a);
}

static bool is_cut(const struct sim_net *net, size_t a, size_t b)
{
    return net->cut_until_ns[a][b] > net->loop->now_ns ||
           net->cut_until_ns[b][a] > net->loop->now_ns;
}

static bool can_talk(const struct sim_net *net, size_t node)
{
    return net->host.is_up(net->host.context, node) &&
           net->host.paused_until_ns(net->host.context, node) <=
               net->loop->now_ns;
}

static void look_at(struct sim_net *net, size_t a, size_t b)
{
    struct pair *pair = &net->pairs[a][b];
    uint64_t now_ns = net->loop->now_ns;

    if (!pair->up) {
        if (now_ns >= pair->retry_ns && !is_cut(net, a, b) &&
            can_talk(net, a) && can_talk(net, b))
            pair_up(net, a, b);
        return;
    }
    if (!is_cut(net, a, b))
        pair->cut_since_ns = 0;
    else if (pair->cut_since_ns == 0)
        pair->cut_since_ns = now_ns;
    else if (now_ns - pair->cut_since_ns > pair->notice_ns)
        pair_down(net, a, b, 50 * sim_ms);
}

static void look(struct sim_event *event)
{
    struct sim_net *net = (struct sim_net *)event;

    for (size_t a = 0; a < net->plan->nodes; a++)
        for (size_t b = a + 1; b < net->plan->nodes; b++)
            look_at(net, a, b);
    sim_post_in(net->loop, &net->look, LOOK_MS * sim_ms);
}

/* ---- life ---- */

struct sim_net *sim_net_new(struct sim_loop *loop, const struct sim_plan *plan,
                            const struct sim_net_host *host)
{
    struct sim_net *net = mem_zalloc(sizeof *net);

    net->loop = loop;
    net->plan = plan;
    net->host = *host;
    for (size_t a = 0; a < SIM_NODES_MAX; a++)
        for (size_t b = 0; b < SIM_NODES_MAX; b++)
            for (size_t c = 0; c < ENV_CHANNELS; c++) {
                struct pipe *pipe = &net->pipes[a][b][c];

                pipe->pump.run = pump;
                pipe->net = net;
                pipe->from = a;
                pipe->to = b;
                pipe->channel = (enum env_channel)c;
                STAILQ_INIT(&pipe->packets);
            }
    net->look.run = look;
    sim_post_in(loop, &net->look, 0);
    return net;
}

void sim_net_free(struct sim_net *net)
{
    for (size_t a = 0; a < SIM_NODES_MAX; a++)
        for (size_t b = 0; b < SIM_NODES_MAX; b++)
            for (size_t c = 0; c < ENV_CHANNELS; c++)
                pipe_clear(&net->pipes[a][b][c]);
    free(net);
}

/* ---- faults ---- */

void sim_net_cut(struct sim_net *net, size_t from, size_t to, uint64_t until_ns)
{
    if (until_ns > net->cut_until_ns[from][to])
        net->cut_until_ns[from][to] = until_ns;
}

void sim_net_slow(struct sim_net *net, size_t from, size_t to,
                  uint64_t until_ns)
{
    net->slow_until_ns[from][to] = until_ns;
}

void sim_net_hold(struct sim_net *net, size_t from, size_t to,
                  uint64_t until_ns)
{
    net->hold_until_ns[from][to] = until_ns;
}

void sim_net_heal(struct sim_net *net)
{
    for (size_t a = 0; a < SIM_NODES_MAX; a++)
        for (size_t b = 0; b < SIM_NODES_MAX; b++)
            net->cut_until_ns[a][b] = net->slow_until_ns[a][b] =
                net->hold_until_ns[a][b] = 0;
}

bool sim_net_keeps_leaders(const struct sim_net *net)
{
    return net->plan->delay_ns <= STEADY_MS_MAX * sim_ms;
}

void sim_net_calm(struct sim_net *net)
{
    sim_net_heal(net);
    net->calm = true;
}

void sim_net_break(struct sim_net *net, size_t a, size_t b)
{
    pair_down(net, a, b, 5 * sim_ms);
}

void sim_net_drop(struct sim_net *net, size_t node, bool silently)
{
    for (size_t other = 0; other < net->plan->nodes; other++)
        if (other != node) {
            struct pair *pair = pair_of(net, node, other);

            pair_down(net, node, other,
                      silently ? net->plan->notice_ns : sim_ms);
            /* The node itself forgets everything. */
            pair->told[node < other ? 0 : 1] = false;
            pair->notice[node < other ? 0 : 1]++;
        }
}
