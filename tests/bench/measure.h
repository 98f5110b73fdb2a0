/* SPDX-License-Identifier: Apache-2.0 */

/* What the programs of tests/bench measure with: a clock, a histogram of
 * latencies, and the one line of output that scripts/bench reads.
 *
 * The histogram has 16 buckets to every power of two of nanoseconds, so that a
 * percentile is right within 4 % however long the operation took. It is plain
 * memory without pointers: clients that are processes fill it in a shared
 * mapping. No locks; each has one writer. */

#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stdint.h>

enum {
    HIST_SUB_BITS = 4,
    HIST_SUB_COUNT = 1 << HIST_SUB_BITS,
    HIST_EXPONENT_MAX = 40, /* 2^40 ns is 18 minutes; longer counts as that. */
    HIST_BUCKETS = (HIST_EXPONENT_MAX - HIST_SUB_BITS + 2) * HIST_SUB_COUNT,
};

struct hist {
    uint64_t count;
    uint64_t buckets[HIST_BUCKETS];
};

/* Nanoseconds of the monotonic clock. */
uint64_t clock_ns(void);

/* Counts one operation that took `duration_ns`. */
void hist_add(struct hist *h, uint64_t duration_ns);

/* Adds all that `other` counted. */
void hist_merge(struct hist *h, const struct hist *other);

/* The duration in microseconds that `percent` of the operations did not
 * exceed; 0 when none was counted. */
double hist_percentile_us(const struct hist *h, double percent);

/* Prints "name clients ops_per_s p50_us p99_us ops_total". `seconds` is the
 * length of the window that `h` counted; `ops_total` also has the operations
 * outside of it (the warm-up), for counters read before and after the run. */
void measure_print(const char *name, unsigned clients, const struct hist *h,
                   double seconds, uint64_t ops_total);

/* Prints "program: text" as one line and exits with status 1. */
_Noreturn void die(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
