/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/bench/measure.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t clock_ns(void)
{
    struct timespec t;
    int rc = clock_gettime(CLOCK_MONOTONIC, &t);

    assert(rc == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Values below 16 have a bucket each; above, the exponent picks a row of 16
 * and the four bits after the leading one pick the bucket in it. */
static unsigned bucket_index(uint64_t ns)
{
    if (ns < HIST_SUB_COUNT)
        return (unsigned)ns;

    unsigned exponent = 63u - (unsigned)__builtin_clzll(ns);

    if (exponent > HIST_EXPONENT_MAX)
        return HIST_BUCKETS - 1;

    unsigned row = exponent - HIST_SUB_BITS + 1;
    unsigned sub = (unsigned)(ns >> (exponent - HIST_SUB_BITS));

    return row * HIST_SUB_COUNT + (sub & (HIST_SUB_COUNT - 1));
}

/* The smallest value that falls into the bucket. */
static double bucket_first_ns(unsigned index)
{
    unsigned row = index / HIST_SUB_COUNT;
    unsigned sub = index % HIST_SUB_COUNT;

    if (row == 0)
        return sub;
    return (double)((uint64_t)(HIST_SUB_COUNT + sub) << (row - 1));
}

void hist_add(struct hist *h, uint64_t duration_ns)
{
    h->buckets[bucket_index(duration_ns)]++;
    h->count++;
}

void hist_merge(struct hist *h, const struct hist *other)
{
    h->count += other->count;
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        h->buckets[i] += other->buckets[i];
}

double hist_percentile_us(const struct hist *h, double percent)
{
    double wanted = (double)h->count * percent / 100.0;
    double below = 0;

    assert(percent > 0 && percent <= 100);

    if (h->count == 0)
        return 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        double here = (double)h->buckets[i];

        if (here > 0 && below + here >= wanted) {
            double first = bucket_first_ns(i);
            double width = bucket_first_ns(i + 1) - first;

            return (first + width * (wanted - below) / here) / 1000.0;
        }
        below += here;
    }
    assert(false && "count is the sum of the buckets");
    return 0;
}

void measure_print(const char *name, unsigned clients, const struct hist *h,
                   double seconds, uint64_t ops_total)
{
    printf("%s %u %.1f %.2f %.2f %" PRIu64 "\n", name, clients,
           (double)h->count / seconds, hist_percentile_us(h, 50),
           hist_percentile_us(h, 99), ops_total);
}

void die(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}
