/* SPDX-License-Identifier: Apache-2.0 */

/* Virtual time: events in the order of when they are due, and the one source
 * of randomness. A run is a function of the seed; `hash` folds in all that
 * happens, so that two runs can be compared.
 *
 * Notes are lines for people: kept in a ring while `noting`, and the last of
 * them are printed when the run fails. Nothing may depend on them. */

#ifndef GROVEFS_TESTS_SIM_LOOP_H
#define GROVEFS_TESTS_SIM_LOOP_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/base/mem.h"

enum { SIM_NOTES = 400, SIM_NOTE_SIZE = 200 };

static const uint64_t sim_us = 1000;
static const uint64_t sim_ms = 1000000;

/* Embedded, or allocated by whoever posts it: `run` frees it then. In the
 * queue at most once. */
struct sim_event {
    void (*run)(struct sim_event *event);
    uint64_t at_ns; /* private from here on */
    uint64_t sequence;
};

struct sim_loop {
    uint64_t seed;
    uint64_t now_ns;
    uint64_t hash;
    uint64_t steps;
    bool noting;
    bool verbose; /* notes go to stderr at once */
    /* How the run ends when something is wrong; does not return. */
    void (*on_fail)(const char *text);
    jmp_buf abandoned; /* private from here on */
    uint64_t random_state;
    uint64_t sequence;
    struct sim_event **heap;
    size_t count;
    size_t count_max;
    char notes[SIM_NOTES][SIM_NOTE_SIZE];
    size_t note_count;
};

struct sim_loop *sim_loop_new(uint64_t seed);
void sim_loop_free(struct sim_loop *loop);

/* Not before now; those for the same time run in the order of posting. */
void sim_post_at(struct sim_loop *loop, struct sim_event *event,
                 uint64_t at_ns);
void sim_post_in(struct sim_loop *loop, struct sim_event *event,
                 uint64_t delay_ns);

/* Runs the next event, if it is due before `until_ns`; else the time is moved
 * on to there, and it returns false. */
bool sim_step(struct sim_loop *loop, uint64_t until_ns);
/* Ends the event that is running, here and now: what it has called never
 * returns, and what that had in memory is left lying. */
void sim_abandon(struct sim_loop *loop) __attribute__((noreturn));

/* ---- randomness ----
 *
 * No two draws in the arguments of one call, or in one sum: compilers differ in
 * which comes first, and then one seed is two histories. */

uint64_t sim_mix(uint64_t a, uint64_t b);
uint64_t sim_random(struct sim_loop *loop);
uint64_t sim_pick(struct sim_loop *loop, uint64_t count); /* 0 .. count-1 */
uint64_t sim_between(struct sim_loop *loop, uint64_t least, uint64_t most);
bool sim_chance(struct sim_loop *loop, uint64_t per_million);
/* Exponentially distributed around `mean`: most below, few far above. */
uint64_t sim_spread(struct sim_loop *loop, uint64_t mean);

/* ---- the trace ---- */

void sim_fold(struct sim_loop *loop, uint64_t what);
void sim_note(struct sim_loop *loop, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_print_notes(const struct sim_loop *loop);
void sim_fail(struct sim_loop *loop, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif
