/* SPDX-License-Identifier: Apache-2.0 */

/* The clock of fs/, for what is measured in fractions of a second. */

#ifndef GROVEFS_FS_CLOCK_H
#define GROVEFS_FS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some moment, never backwards. Any thread. */
static inline uint64_t clock_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail. */
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
