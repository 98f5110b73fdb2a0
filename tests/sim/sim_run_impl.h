/* SPDX-License-Identifier: Apache-2.0 */

/* What sim_run.c and its phases in other files share. */

#ifndef GROVEFS_TESTS_SIM_SIM_RUN_IMPL_H
#define GROVEFS_TESTS_SIM_SIM_RUN_IMPL_H

#include "tests/sim/sim_run.h"
#include "tests/sim/sim_zone.h"

struct sim_damage;
struct sim_faults;
struct sim_operator;
struct sim_spoil;
struct sim_zone_audit;

enum {
    START_SECONDS = 30, /* for all nodes to come up, and to join */
    REST_SECONDS = 30,  /* for requests to end */
    QUIET_SECONDS = 240 /* for replicas to be where they belong, and the
                         * same */
};

struct run {
    struct sim_loop *loop;
    struct sim_plan plan;
    struct sim_cluster *cluster;
    struct sim_clients *clients;
    struct sim_faults *faults;
    struct sim_damage *damage;
    struct sim_spoil *spoil;
    struct sim_operator *operator;
    struct sim_zones *zones;
    struct sim_zone_audit *zone_audit;
    struct sim_node *wrong_clock;
    struct sim_node *companion; /* with such a clock, too; NULL: none */
    uint64_t written;           /* when the calm began */
};

void run_go_on(struct run *run, uint64_t span_ns);
/* Fails the run when that is not done by then. */
void run_wait(struct run *run, bool (*done)(struct run *run), uint64_t seconds,
              const char *what);
/* Every node reads the whole tree. */
void run_audit(struct run *run);
uint64_t run_first_region(const struct run *run);

bool run_is_up(struct run *run);
bool run_is_idle(struct run *run); /* all clients are */
bool run_is_quiet(struct run *run);

/* ---- sim_spoil.c ---- */

/* An eventual entry that others have is damaged on one node, and comes again.
 * In some runs. */
void run_spoil_entry(struct run *run);

/* ---- sim_wrong_clock.c ---- */

/* That they were found, in the chaos. */
void run_look_at_clocks(const struct run *run);
/* One that was set right may be found wrong after that, by what it showed some
 * seconds before. */
void run_believe_clocks(struct run *run);
/* Three nodes can tell whose clock is wrong: that one has to go, and comes back
 * into favour. In some runs. */
void run_spoil_clock(struct run *run);
/* A node that starts where it hears nobody has to believe its clock, which is
 * ahead. What it accepts others take when that is right again, and not when the
 * time has come; also when nodes crash meanwhile. In some runs with eventual
 * directories. */
void run_strand_node(struct run *run);

#endif
