/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/clock.h"

#include <assert.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    int rc = clock_gettime(clock, &t);

    assert(rc == 0);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void random_source_init(struct random_source *source)
{
    unsigned long long seed = clock_mono_ns();

    /* Small reads are whole; should it fail, the time has to do. */
    (void)!getrandom(&seed, sizeof seed, 0);
    atomic_init(&source->state, seed);
}

/* SplitMix64: its state only counts, so that threads can share it. */
uint64_t random_source_next(struct random_source *source)
{
    uint64_t z = atomic_fetch_add_explicit(
        &source->state, UINT64_C(0x9e3779b97f4a7c15), memory_order_relaxed);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
