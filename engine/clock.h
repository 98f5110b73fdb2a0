/* SPDX-License-Identifier: Apache-2.0 */

/* The operating system's clocks and randomness, for env_uv.c: nothing else in
 * engine/ may look at them (env.h). Any thread. */

#ifndef GROVEFS_ENGINE_CLOCK_H
#define GROVEFS_ENGINE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

uint64_t clock_mono_ns(void);
uint64_t clock_wall_ns(void); /* since the epoch */

/* A generator that threads share. */
struct random_source {
    atomic_ullong state;
};

void random_source_init(struct random_source *source);
uint64_t random_source_next(struct random_source *source);

#endif
