/* SPDX-License-Identifier: Apache-2.0 */

/* One incarnation of a node's process: engine/env.h on virtual time.
 *
 * Each owner is a virtual thread: a task runs a little after it was posted,
 * those of one poster for one owner in order, those of different posters in
 * any. The log writer takes what has come together (group commit), and is done
 * when a sync would be; what a crash finds under way is lost or there as a
 * whole, as a write of RocksDB is.
 *
 * A write, sync, flush or ingest may fail, which ends the node: env_fatal()
 * does not return, as in production.
 *
 * A crash abandons the incarnation: nothing of it ever runs again, and all
 * its memory is left lying, as a process leaves it (sim.c runs a seed in a
 * process of its own). The stores are copied from what was durable. */

#ifndef GROVEFS_TESTS_SIM_SIM_ENV_H
#define GROVEFS_TESTS_SIM_SIM_ENV_H

#include "engine/env.h"
#include "engine/timers.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_plan.h"

/* Whose code runs: an owner, the log writer, or a thread of the user's. */
enum sim_poster { SIM_FROM_LOG = ENV_OWNERS, SIM_FROM_USER, SIM_POSTERS };

STAILQ_HEAD(sim_log_writes, env_log_write);

enum sim_disk_error {
    SIM_ERROR_NONE,
    SIM_ERROR_LOG,   /* a synced write of log/ */
    SIM_ERROR_WRITE, /* of state/ */
    SIM_ERROR_FLUSH,
    SIM_ERROR_INGEST,
    SIM_ERRORS
};

/* What a crash leaves of the writes that were not durable, and of a log write
 * that is under way. */
enum sim_tail {
    SIM_TAIL_ANY, /* some of the oldest ones; it or nothing */
    SIM_TAIL_LOST,
    SIM_TAIL_KEPT /* all of them; nothing: it was not written yet */
};

/* What the incarnation belongs to: the machine, whose clocks go on. */
struct sim_machine {
    struct sim_loop *loop;
    const struct sim_plan *plan;
    uint64_t node_id;
    int64_t drift_ppm;
    int64_t wall_offset_ns;
    bool wall_is_right; /* its wall clock follows the time */
    uint64_t slow_disk_until_ns;
    uint64_t slow_apply_until_ns;
    uint64_t paused_until_ns;
    uint64_t disk_full_until_ns;
    void *context;
    /* What env_send() does. */
    void (*send)(struct sim_machine *machine, uint64_t to,
                 enum env_channel channel, const struct env_packet *packet);
    size_t (*pending)(struct sim_machine *machine, uint64_t to,
                      enum env_channel channel);
    /* After each task, timer and log write: time to look at invariants. */
    void (*after_step)(struct sim_machine *machine);
    /* The node has ended itself; to crash it. */
    void (*died)(struct sim_machine *machine);
    /* Before each write, flush and ingest of a store, and after it. */
    void (*on_persist)(struct sim_machine *machine, bool in_log, bool done);
};

struct sim_env {
    struct env env; /* public */
    struct sim_machine *machine;
    bool dead; /* nothing runs any more */
    enum sim_disk_error error_next;
    bool disk_failed; /* it has struck */
    size_t tasks_pending;
    uint64_t mono_base_ns; /* private from here on */
    uint64_t start_ns;
    uint64_t random_state;
    struct timers timers;
    uint64_t wake_ns; /* 0: none is posted */
    unsigned poster;
    uint64_t last_ns[SIM_POSTERS][ENV_OWNERS];
    struct sim_log_writes log_queue;
    struct sim_log_writes log_group;
    struct kv_batch *log_batch; /* being synced; NULL: the writer is idle */
    bool log_waking;
};

/* Takes the stores. Never freed before the end of the run. */
struct sim_env *sim_env_new(struct sim_machine *machine, struct kv *log,
                            struct kv *state);

/* Runs something on ENV_WORKER that does not come from a task: what the
 * network brings, or the test wants. */
void sim_env_enter(struct sim_env *e, unsigned poster);
void sim_env_leave(struct sim_env *e);

/* The next call of that kind fails, which ends the node. */
void sim_env_fail_next(struct sim_env *e, enum sim_disk_error error);

/* Nothing is under way any more: tasks, log writes. Timers do not count. */
bool sim_env_is_idle(const struct sim_env *e);

/* As much of state/ gets durable as a flush in the background may take. */
void sim_env_flush_some(struct sim_env *e);

/* The process is gone. Returns by the pointers what the disk holds then, in
 * new stores. */
void sim_env_crash(struct sim_env *e, enum sim_tail tail, struct kv **ret_log,
                   struct kv **ret_state);
/* Ended in good order: nothing may be under way. Gives the stores back. */
void sim_env_end(struct sim_env *e, struct kv **ret_log, struct kv **ret_state);

#endif
