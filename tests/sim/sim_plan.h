/* SPDX-License-Identifier: Apache-2.0 */

/* What one seed stands for: how big the cluster is, how fast and how bad its
 * disks, clocks and network are, which faults come how often, and what the
 * clients do. Drawn once, so that some seeds are calm, some know one kind of
 * fault only, and some all of them. */

#ifndef GROVEFS_TESTS_SIM_PLAN_H
#define GROVEFS_TESTS_SIM_PLAN_H

#include "tests/sim/sim_loop.h"

enum { SIM_NODES_MAX = 5, SIM_ZONES_MAX = 3 };

/* Kinds of faults; each may strike at any time during chaos. */
enum sim_fault {
    SIM_KILL,      /* the process; its connections break at once */
    SIM_POWER_CUT, /* the machine; the others notice later */
    SIM_KILL_ALL,  /* power fails everywhere */
    SIM_RESTART,   /* stopped and started in good order */
    SIM_PAUSE,     /* SIGSTOP */
    SIM_CUT,       /* a node from another, both directions */
    SIM_CUT_ONE_WAY,
    SIM_ISOLATE,    /* a node from all */
    SIM_RECONNECT,  /* a connection breaks and comes again */
    SIM_CLOCK_STEP, /* of the wall clock */
    SIM_SLOW_LINK,  /* one way */
    SIM_SLOW_DISK,  /* syncs of one node take long for a while */
    SIM_SLOW_APPLY, /* its apply thread does */
    SIM_DISK_FULL,  /* it says that it has no space */
    SIM_DISK_ERROR, /* a write, flush, sync or ingest fails: the node ends */
    SIM_TRANSFER,   /* a leader is told to hand over */
    SIM_MEMBERS,    /* a leader is told to change its region's members */
    SIM_SPLIT,      /* a leader is told to split its region */
    SIM_MERGE,      /* ... or to merge another one into it */
    SIM_GOALS,      /* control files of region 0 are written: sim_goals.h */
    SIM_DRAIN,      /* a node is told to drain another one, or to remove it */
    SIM_FAULTS
};

const char *sim_fault_name(enum sim_fault fault);

struct sim_plan {
    size_t nodes;
    size_t founders; /* the others join, one after the other */
    bool empty; /* the stores, so that the nodes have to found the cluster */
    uint64_t chaos_ns;
    uint64_t log_keep;
    uint64_t results_held_max;
    uint64_t op_timeout_ms;
    uint64_t check_interval_ms;
    uint64_t sleep_after_ms; /* see engine/peer_sleep.c */
    uint64_t alarm_ms;
    uint64_t region_size; /* settings, from the start */
    uint64_t down_after_s;
    bool auto_merge;
    uint64_t merge_after_ms;

    /* In the calm, if nothing else is said: see sim_damage.h. */
    bool damage;
    bool damage_crashes;
    bool damage_leaving; /* in the chaos: see sim_leaving.h */

    /* Mean time between strikes, 0: never; how long one lasts. */
    uint64_t every_ns[SIM_FAULTS];
    uint64_t lasting_ns;

    /* Network. */
    uint64_t delay_ns;         /* mean, one way */
    uint64_t tail_per_million; /* of packets that take 5-30 times as long */
    uint64_t loss_per_million;
    uint64_t repeat_per_million;
    uint64_t overtake_per_million;
    uint64_t bulk_loss_per_million; /* of bulk packets that break theirs */
    uint64_t notice_ns;             /* until a dead connection is noticed */

    /* Threads and disks. */
    uint64_t task_ns;        /* mean delay of a task */
    uint64_t sync_ns;        /* mean */
    uint64_t flush_every_ns; /* state/ in the background; 0: only if asked */
    unsigned apply_owners;

    /* Clocks. */
    uint64_t drift_ppm;
    uint64_t step_ns;

    /* Clients. */
    size_t clients; /* per node */
    size_t names;
    size_t dir_names; /* 0: no directories */
    uint64_t think_ns;
    uint64_t lull_every_ns; /* 0: never; then nobody begins anything ... */
    uint64_t lull_ns;       /* ... for so long */
    uint64_t cancel_per_million;
    uint64_t large_per_million; /* values above one chunk */
    uint64_t short_per_million; /* requests with little time */
    bool try_first;             /* as engine_submit() does */
    uint64_t page_size;         /* of READDIR */
    bool few_kinds;             /* only register operations */
    bool attributes;            /* SETATTR and extended attributes, too */
    bool exchanges;             /* RENAME with EXCHANGE, too */

    /* Eventual directories: see sim_zone.h. */
    size_t zones; /* 0: none */
    size_t zone_names;
    size_t zone_subs; /* directories in each one, up to ZONE_DIRS - 1 */
    bool zones_below; /* directories in them become strong, more than they */
    bool zones_force; /* made strong without nodes that are away, too */
    bool zones_end;   /* in the end they are emptied and made strong */
};

void sim_plan_draw(struct sim_plan *plan, struct sim_loop *loop);
void sim_plan_note(const struct sim_plan *plan, struct sim_loop *loop);

#endif
