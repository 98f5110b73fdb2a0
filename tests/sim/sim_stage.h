/* SPDX-License-Identifier: Apache-2.0 */

/* Plays on the simulated cluster, each around one operation: so short that a
 * crash can be tried at each of its persisted steps (sim_point.h).
 *
 *     prepare   what it needs; steps do not count
 *     ask       somebody wants the operation, and again as long as it is not
 *               done: so a crash must leave nothing that keeps it from being
 *               done later; steps count
 *     done      the rest is that of every run: sim_run.h
 *
 * The plays are in sim_scenes.c. */

#ifndef GROVEFS_TESTS_SIM_SIM_STAGE_H
#define GROVEFS_TESTS_SIM_SIM_STAGE_H

#include "engine/engine.h"
#include "tests/sim/sim_point.h"
#include "tests/sim/sim_run.h"
#include "tests/sim/sim_seen.h"

/* A directory in the root by its name, or the root itself. */
enum { SIM_IN_ROOT = SIM_NAMES_MAX };

/* One operation of a client. */
struct sim_act {
    enum request_kind kind; /* REQUEST_KINDS: there are no more */
    uint8_t dir;
    uint8_t name;
    uint8_t to_dir;
    uint8_t to_name;
    unsigned flags;
    uint32_t piece_size;
    bool beside; /* at the same time as the one before */
};

struct sim_stage;

struct sim_scene {
    const char *name;
    size_t nodes;
    size_t founders;
    bool empty;            /* stores, to be founded */
    bool busy;             /* clients work all the time */
    uint64_t log_keep;     /* 0: more than there is */
    uint64_t down_after_s; /* 0: longer than it lasts */
    bool has_zone;         /* an eventual directory: sim_zone.h */
    enum sim_seen shows;   /* what it is for, and cannot do without */
    const struct sim_act *acts;
    void (*prepare)(struct sim_stage *stage);
    void (*ask)(struct sim_stage *stage);
    bool (*is_done)(struct sim_stage *stage);
};

struct sim_stage {
    struct sim_play play; /* first member */
    const struct sim_scene *scene;
    struct sim_point point;
    struct sim_cluster *cluster;
    struct sim_clients *clients;
    struct sim_control *control; /* text that is on its way */
    size_t act;                  /* the next one */
    uint64_t node;               /* the scene's own */
    uint64_t region;             /* likewise */
    uint64_t late_ns;            /* likewise */
};

/* The plan of its run. The caller sets what is public in `point`. */
void sim_stage_init(struct sim_stage *stage, const struct sim_scene *scene);

/* ---- for scenes ---- */

void sim_stage_go_on(struct sim_stage *stage, uint64_t span_ns);
/* The run fails when it takes too long. */
void sim_stage_wait(struct sim_stage *stage,
                    bool (*done)(struct sim_stage *stage), const char *what);
/* Does it, from the beginning to the end. */
void sim_stage_get_done(struct sim_stage *stage,
                        void (*ask)(struct sim_stage *stage),
                        bool (*is_done)(struct sim_stage *stage));

/* All nodes are up, all replicas where they belong, having applied all that is
 * committed, and each region has a leader. */
bool sim_stage_is_settled(struct sim_stage *stage);

/* Writes into a control file of any node that serves. */
void sim_stage_write(struct sim_stage *stage, enum engine_table table,
                     uint64_t object, const char *text);
/* The next act, and those beside it, by any clients; nothing, while the last
 * one is not over, no client can, or none is left. */
void sim_stage_act(struct sim_stage *stage);
bool sim_stage_acts_are_over(struct sim_stage *stage);

/* ---- sim_scenes.c ---- */

extern const struct sim_scene sim_scenes[];
extern const size_t sim_scene_count;

#endif
