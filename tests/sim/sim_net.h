/* SPDX-License-Identifier: Apache-2.0 */

/* The network: one connection per pair of nodes and channel. As long as a
 * connection lasts its packets arrive late, twice or not at all, and in order,
 * but for the few of ENV_CHANNEL_RAFT that the plan lets overtake others: more
 * than env.h expects, but no less than Raft bears. When a connection breaks,
 * what is under way is gone. A cut holds packets back, and
 * breaks the connection when it lasts; pairs that can reach each other connect
 * again by themselves. */

#ifndef GROVEFS_TESTS_SIM_SIM_NET_H
#define GROVEFS_TESTS_SIM_SIM_NET_H

#include "engine/env.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_plan.h"

struct sim_net;

/* Who is there; nodes are numbered from 0. */
struct sim_net_host {
    void *context;
    /* Whether the node can have connections at all. */
    bool (*is_up)(void *context, size_t node);
    uint64_t (*paused_until_ns)(void *context, size_t node);
    void (*on_packet)(void *context, size_t node, size_t from,
                      enum env_channel channel,
                      const struct env_packet *packet);
    void (*on_link)(void *context, size_t node, size_t other, bool up);
};

struct sim_net *sim_net_new(struct sim_loop *loop, const struct sim_plan *plan,
                            const struct sim_net_host *host);
void sim_net_free(struct sim_net *net);

void sim_net_send(struct sim_net *net, size_t from, size_t to,
                  enum env_channel channel, const struct env_packet *packet);
/* How many packets with Raft messages were given to it. */
uint64_t sim_net_raft_sent(const struct sim_net *net);
size_t sim_net_pending(const struct sim_net *net, size_t from, size_t to,
                       enum env_channel channel);

/* Until then nothing gets from one to the other. */
void sim_net_cut(struct sim_net *net, size_t from, size_t to,
                 uint64_t until_ns);
/* The same, and nobody notices: whatever was sent comes late. */
void sim_net_hold(struct sim_net *net, size_t from, size_t to,
                  uint64_t until_ns);
/* Until then everything from one to the other takes much longer. */
void sim_net_slow(struct sim_net *net, size_t from, size_t to,
                  uint64_t until_ns);
/* Ends all cuts and slowness. */
void sim_net_heal(struct sim_net *net);
/* From now on only what a calm network does: no loss, nothing twice. */
void sim_net_calm(struct sim_net *net);
/* False: packets take as long as elections, so that leaders change by
 * themselves, in the calm too. */
bool sim_net_keeps_leaders(const struct sim_net *net);

/* The connection breaks, and comes again. */
void sim_net_break(struct sim_net *net, size_t a, size_t b);
/* All connections of a node end: at once, or as if its machine had vanished,
 * which the others notice later. */
void sim_net_drop(struct sim_net *net, size_t node, bool silently);

#endif
