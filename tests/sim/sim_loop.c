/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_loop.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct sim_loop *sim_loop_new(uint64_t seed)
{
    struct sim_loop *loop = mem_zalloc(sizeof *loop);

    loop->seed = seed;
    loop->random_state = sim_mix(seed, UINT64_C(0x67726f7665));
    loop->hash = seed;
    return loop;
}

void sim_loop_free(struct sim_loop *loop)
{
    free(loop->heap);
    free(loop);
}

/* ---- the queue: a binary heap ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns
                                : a->sequence < b->sequence;
}

static void sift_up(struct sim_loop *loop, size_t i)
{
    struct sim_event *event = loop->heap[i];

    for (; i > 0 && is_before(event, loop->heap[(i - 1) / 2]); i = (i - 1) / 2)
        loop->heap[i] = loop->heap[(i - 1) / 2];
    loop->heap[i] = event;
}

static void sift_down(struct sim_loop *loop)
{
    struct sim_event *event = loop->heap[0];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < loop->count &&
            is_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (child >= loop->count || !is_before(loop->heap[child], event))
            break;
        loop->heap[i] = loop->heap[child];
        i = child;
    }
    loop->heap[i] = event;
}

void sim_post_at(struct sim_loop *loop, struct sim_event *event, uint64_t at_ns)
{
    assert(event->run != NULL);

    event->at_ns = at_ns > loop->now_ns ? at_ns : loop->now_ns;
    event->sequence = ++loop->sequence;
    loop->heap = mem_grow(loop->heap, sizeof(struct sim_event *),
                          &loop->count_max, loop->count + 1);
    loop->heap[loop->count++] = event;
    sift_up(loop, loop->count - 1);
}

void sim_post_in(struct sim_loop *loop, struct sim_event *event,
                 uint64_t delay_ns)
{
    sim_post_at(loop, event, loop->now_ns + delay_ns);
}

static void run_event(struct sim_loop *loop, struct sim_event *event)
{
    if (setjmp(loop->abandoned) == 0)
        event->run(event);
}

void sim_abandon(struct sim_loop *loop)
{
    longjmp(loop->abandoned, 1);
}

bool sim_step(struct sim_loop *loop, uint64_t until_ns)
{
    struct sim_event *event;

    if (loop->count == 0 || loop->heap[0]->at_ns >= until_ns) {
        loop->now_ns = until_ns;
        return false;
    }
    event = loop->heap[0];
    loop->heap[0] = loop->heap[--loop->count];
    if (loop->count > 0)
        sift_down(loop);
    loop->now_ns = event->at_ns;
    loop->steps++;
    sim_fold(loop, loop->now_ns);
    run_event(loop, event);
    return true;
}

/* ---- randomness ---- */

uint64_t sim_mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * UINT64_C(0x9e3779b97f4a7c15) + b;

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_random(struct sim_loop *loop)
{
    loop->random_state += UINT64_C(0x9e3779b97f4a7c15);
    return sim_mix(loop->random_state, loop->seed);
}

uint64_t sim_pick(struct sim_loop *loop, uint64_t count)
{
    return count <= 1 ? 0 : sim_random(loop) % count;
}

uint64_t sim_between(struct sim_loop *loop, uint64_t least, uint64_t most)
{
    return least + sim_pick(loop, most - least + 1);
}

bool sim_chance(struct sim_loop *loop, uint64_t per_million)
{
    return per_million > 0 && sim_pick(loop, 1000000) < per_million;
}

uint64_t sim_spread(struct sim_loop *loop, uint64_t mean)
{
    uint64_t bits = sim_random(loop);
    uint64_t halvings = 0;

    if (mean == 0)
        return 0;
    while ((bits & 1) != 0 && halvings < 12) {
        halvings++;
        bits >>= 1;
    }
    return (halvings * mean + (bits >> 16) % mean) * 2 / 3;
}

/* ---- the trace ---- */

void sim_fold(struct sim_loop *loop, uint64_t what)
{
    loop->hash = sim_mix(loop->hash, what);
}

void sim_note(struct sim_loop *loop, const char *format, ...)
{
    char *line = loop->notes[loop->note_count % SIM_NOTES];
    uint64_t us = loop->now_ns / sim_us;
    va_list args;
    int used;

    if (!loop->noting)
        return;
    used = snprintf(line, SIM_NOTE_SIZE, "%4" PRIu64 ".%06" PRIu64 " ",
                    us / 1000000, us % 1000000);
    va_start(args, format);
    (void)vsnprintf(line + used, SIM_NOTE_SIZE - (size_t)used, format, args);
    va_end(args);
    loop->note_count++;
    if (loop->verbose)
        (void)fprintf(stderr, "%s\n", line);
}

void sim_print_notes(const struct sim_loop *loop)
{
    size_t first =
        loop->note_count > SIM_NOTES ? loop->note_count - SIM_NOTES : 0;

    if (loop->verbose)
        return; /* They are there already. */
    for (size_t i = first; i < loop->note_count; i++)
        (void)fprintf(stderr, "%s\n", loop->notes[i % SIM_NOTES]);
}

void sim_fail(struct sim_loop *loop, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    loop->on_fail(text);
    abort();
}
