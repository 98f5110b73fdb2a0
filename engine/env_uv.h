/* SPDX-License-Identifier: Apache-2.0 */

/* The env of production: threads, a libuv loop, RocksDB.
 *
 *   grove-worker  the loop: tasks of ENV_WORKER, timers, and what the
 *                 transport attaches to it; with one worker those of ENV_APPLY
 *   grove-apply   several: tasks of one of the owners from ENV_APPLY on
 *   grove-bulk    tasks of ENV_BULK
 *   grove-log     group commit (log_writer.h)
 *
 * Life: env_uv_new(), env_uv_set_transport(), env_uv_start(); tasks may be
 * posted from the first moment on and run after the start. env_uv_stop() runs
 * everything that was posted, and what that posts, and ends the threads;
 * whoever keeps posting keeps it waiting. Then env_uv_free().
 *
 * Timers fire up to a millisecond late. They do not fire any more when
 * env_uv_stop() has returned; their memory stays the caller's. */

#ifndef GROVEFS_ENGINE_ENV_UV_H
#define GROVEFS_ENGINE_ENV_UV_H

#include <uv.h>

#include "engine/env.h"

struct env_uv;

enum env_uv_thread {
    ENV_UV_WORKER,
    ENV_UV_BULK,
    ENV_UV_LOG,   /* no owner's */
    ENV_UV_APPLY, /* the first of those that apply */
    ENV_UV_THREADS = ENV_UV_APPLY + ENV_APPLY_MAX
};

/* How many workers are best on a machine with so many cores. */
unsigned env_uv_workers_for(unsigned cores);

struct env_uv_config {
    struct kv *log; /* both stay the caller's, who closes them after the end */
    struct kv *state;
    /* Threads that apply, at most ENV_APPLY_MAX. 1: the loop's does it. 0: what
     * is best on this machine. */
    unsigned workers;
    /* Runs on the worker before anything else; may attach handles to the
     * loop. May be NULL. */
    void (*on_started)(struct env_uv *uv, void *context);
    /* Runs on the worker when env_uv_stop() begins; closes those handles.
     * The worker does not end before they are closed. May be NULL. */
    void (*on_stopping)(struct env_uv *uv, void *context);
    /* The store cannot be trusted any more. Called once, on any thread; the
     * process is to end. Should it return, log writes are dropped. */
    void (*on_fatal)(void *context, const char *reason);
    void *context; /* of all three */
};

/* Numbers since the start, for metrics and tests. */
struct env_uv_stats {
    uint64_t log_writes;
    uint64_t log_groups;
    uint64_t log_syncs;
    uint64_t log_bytes;
    uint64_t wakeups[ENV_UV_THREADS]; /* of a sleeping thread by a post */
};

/* Never fails but for want of memory or descriptors: ERR_NO_MEMORY, ERR_IO. */
int env_uv_new(struct env_uv **ret, const struct env_uv_config *config,
               struct err *e);

/* What the logic gets to see. */
struct env *env_uv_env(struct env_uv *uv);

/* For handles of the transport; used only on the worker. */
uv_loop_t *env_uv_loop(struct env_uv *uv);

/* Where env_send() and env_send_pending_bytes() go. Without a transport,
 * messages are lost. Before the start or on the worker. */
typedef void env_uv_send(void *context, uint64_t node_id,
                         enum env_channel channel,
                         const struct env_packet *packet);
typedef size_t env_uv_pending(void *context, uint64_t node_id,
                              enum env_channel channel);
void env_uv_set_transport(struct env_uv *uv, env_uv_send *send,
                          env_uv_pending *pending, void *context);

/* Starts the threads. Once. */
void env_uv_start(struct env_uv *uv);

/* See above. Not on one of the threads. */
void env_uv_stop(struct env_uv *uv);

/* Frees one that was stopped or never started; takes NULL. */
void env_uv_free(struct env_uv *uv);

/* Any thread. */
void env_uv_stats(struct env_uv *uv, struct env_uv_stats *ret_stats);

#endif
