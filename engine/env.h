/* SPDX-License-Identifier: Apache-2.0 */

/* All that the engine's logic reaches outside itself: clock, disk, network,
 * randomness and threads.
 *
 * Production implements it in env_uv.c with libuv, threads and RocksDB;
 * tests/sim/ with virtual time, a simulated network and a disk that forgets
 * what was not synced. The logic above never blocks, and calls neither the
 * C library's clocks nor pthreads (but for the locks of event_log.h and
 * hosted.h), so that a run is a function of its seed.
 *
 * Owners: each piece of engine state belongs to one owner, and only code that
 * runs on that owner touches it. Production runs each owner on one thread, on
 * which others may run, too.
 *
 * ENV_WORKER  Raft, descriptors as they are handed out, requests, connections:
 *             all that is not named below
 * ENV_APPLY   several owners, each of some regions for good: env_apply_owner().
 *             A region's owner has its applier, writes what is the region's in
 *             state/, and does the reads that had to wait
 * ENV_BULK    reads and writes snapshots, erases and flushes; may block on the
 *             disk and owns nothing else
 *
 * Nothing passes from one owner to another but by tasks. Where one region's
 * owner writes what is another one's, ENV_WORKER sees to it that nobody else
 * does so at the time: the records of a new region are its left neighbour's
 * until ENV_WORKER opens it, behind the split (peer_split.c); what a merge
 * takes over is the target's once the source's owner is done with it
 * (peer_merge.c). Snapshots and what is erased keep off where that is under way
 * (replicas_overlap()). Reads look at any region's state, on any thread: they
 * write nothing, and a batch of state/ is seen as a whole or not at all. */

#ifndef GROVEFS_ENGINE_ENV_H
#define GROVEFS_ENGINE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "engine/kv.h"
#include "raft/base/buf.h"
#include "raft/base/err.h"

enum { ENV_APPLY_MAX = 8 };

enum env_owner {
    ENV_WORKER,
    ENV_BULK,
    ENV_APPLY, /* the first of those that apply */
    ENV_OWNERS = ENV_APPLY + ENV_APPLY_MAX
};

/* Work to run on an owner; embedded in whatever it is about. Once run (or
 * before it is posted) the memory is the poster's again. Tasks of one poster
 * for one owner run in the order of posting. */
struct env_task {
    void (*run)(struct env_task *task);
    STAILQ_ENTRY(env_task) link; /* private */
};

/* Fires once on ENV_WORKER, embedded; start and stop only there. Zeroed and
 * with `fire` set it is ready to be started. */
struct env_timer {
    void (*fire)(struct env_timer *timer);
    uint64_t due_ns; /* private from here on */
    uint64_t sequence;
    bool active;
    TAILQ_ENTRY(env_timer) link;
};

/* One write to log/, synced together with what others wrote (group commit).
 * `fill` puts the changes into the shared batch, on the log writer's thread,
 * and may only read; `done` runs on ENV_WORKER when they are durable, in
 * the order of env_log_write() calls. */
struct env_log_write {
    void (*fill)(struct env_log_write *write, struct kv_batch *batch);
    void (*done)(struct env_log_write *write);
    STAILQ_ENTRY(env_log_write) link; /* private from here on */
    struct env_task task;
};

/* Which of a node pair's two connections a message takes. */
enum env_channel { ENV_CHANNEL_RAFT, ENV_CHANNEL_BULK, ENV_CHANNELS };

/* A message between nodes: `header` is small and always there, payloads are
 * not copied, and none of them is NULL. Bounds are in engine/frame.h; types
 * are the engine's (engine/wire.h). */
struct env_packet {
    uint16_t type;
    struct buf *header;
    struct buf **payloads; /* payload_count of them */
    size_t payload_count;
};

/* What the network tells the logic; all on ENV_WORKER. */
struct env_receiver {
    /* A message of `node_id` came in. Borrows `packet` until it returns. */
    void (*on_packet)(struct env_receiver *receiver, uint64_t node_id,
                      enum env_channel channel,
                      const struct env_packet *packet);
    /* The connection to a node came up or was lost (also: was refused). */
    void (*on_link)(struct env_receiver *receiver, uint64_t node_id, bool up);
};

struct env;

struct env_ops {
    uint64_t (*mono_ns)(struct env *env);
    uint64_t (*wall_ns)(struct env *env);
    uint64_t (*random)(struct env *env);
    void (*post)(struct env *env, enum env_owner owner, struct env_task *task);
    void (*timer_start)(struct env *env, struct env_timer *timer,
                        uint64_t delay_ns);
    void (*timer_stop)(struct env *env, struct env_timer *timer);
    void (*log_write)(struct env *env, struct env_log_write *write);
    void (*send)(struct env *env, uint64_t node_id, enum env_channel channel,
                 const struct env_packet *packet);
    size_t (*send_pending_bytes)(struct env *env, uint64_t node_id,
                                 enum env_channel channel);
    void (*fatal)(struct env *env, const char *reason);
};

struct env {
    const struct env_ops *ops;
    struct kv *log;        /* log/; written only through env_log_write() */
    struct kv *state;      /* state/ */
    unsigned apply_owners; /* 1 .. ENV_APPLY_MAX */
};

/* Who applies a region's commands. Any owner. */
static inline enum env_owner env_apply_owner(const struct env *env,
                                             uint64_t region)
{
    return (enum env_owner)(ENV_APPLY + region % env->apply_owners);
}

/* Monotonic time, for leases and deadlines. Any owner. */
static inline uint64_t env_mono_ns(struct env *env)
{
    return env->ops->mono_ns(env);
}

/* Time since the epoch as this node's clock has it. May step. Any owner. */
static inline uint64_t env_wall_ns(struct env *env)
{
    return env->ops->wall_ns(env);
}

/* 64 random bits. Any owner. */
static inline uint64_t env_random(struct env *env)
{
    return env->ops->random(env);
}

/* Runs the task on its owner, never inside this call. Any thread. */
static inline void env_post(struct env *env, enum env_owner owner,
                            struct env_task *task)
{
    env->ops->post(env, owner, task);
}

/* (Re)starts a timer. ENV_WORKER. */
static inline void env_timer_start(struct env *env, struct env_timer *timer,
                                   uint64_t delay_ns)
{
    env->ops->timer_start(env, timer, delay_ns);
}

/* Stops a timer, running or not: it will not fire. ENV_WORKER. */
static inline void env_timer_stop(struct env *env, struct env_timer *timer)
{
    env->ops->timer_stop(env, timer);
}

/* Queues a synced write to log/. ENV_WORKER. A failure ends the node. */
static inline void env_log_write(struct env *env, struct env_log_write *write)
{
    env->ops->log_write(env, write);
}

/* Sends to a node; takes its own references to the buffers. Best effort: a
 * message may be lost, late or twice, never damaged; those of one channel
 * that arrive, arrive in order while the connection lasts. A full queue or a
 * node without an address drops it. ENV_WORKER. */
static inline void env_send(struct env *env, uint64_t node_id,
                            enum env_channel channel,
                            const struct env_packet *packet)
{
    env->ops->send(env, node_id, channel, packet);
}

/* Bytes queued towards a node and not yet given to the network: back-pressure
 * for bulk senders. ENV_WORKER. */
static inline size_t env_send_pending_bytes(struct env *env, uint64_t node_id,
                                            enum env_channel channel)
{
    return env->ops->send_pending_bytes(env, node_id, channel);
}

/* The store cannot be trusted any more (failed write or sync, contradiction
 * in what is stored): says why and ends the node; does not return in
 * production. Any thread. */
static inline void env_fatal(struct env *env, const char *reason)
{
    env->ops->fatal(env, reason);
}

#endif
