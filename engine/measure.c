/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/measure.h"

#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

enum {
    STEP_BYTES = 1024 * 1024,
    MARKS_MAX = 256 /* places that may become the middle */
};

/* What lies before an entry. */
struct mark {
    uint64_t bytes_before;
    struct key key;
};

struct measure {
    struct kv *state;
    struct kv_iter *iter;
    struct key begin;
    struct key end;
    struct measured measured;
    struct mark *marks; /* each `stride`-th entry but the first */
    size_t mark_count;
    uint64_t stride;
};

/* One on its way. */
struct measure_run {
    struct measure measure;
    struct env *env;
    struct env_task task;
    struct env_task back;
    void (*done)(void *context, const struct measured *measured);
    void *context;
};

static struct key bound(char class, struct slice user_key)
{
    struct key key = {.size = 1 + user_key.size};

    key.data[0] = (uint8_t) class;
    if (user_key.size > 0)
        memcpy(key.data + 1, user_key.data, user_key.size);
    return key;
}

static struct key region_end(const struct region *region)
{
    return region->end.size > 0 ? bound('d', region->end)
                                : bound('e', region->end);
}

uint64_t measure_files(struct kv *state, const struct region *region)
{
    struct key begin = bound('d', region->start);
    struct key end = region_end(region);

    return kv_range_bytes(state, key_slice(&begin), key_slice(&end));
}

static void measure_open(struct measure *m, struct kv *state,
                         const struct region *region)
{
    m->state = state;
    m->begin = bound('d', region->start);
    m->end = region_end(region);
    m->iter =
        kv_iter_new(state, NULL, key_slice(&m->begin), key_slice(&m->end));
    m->marks = mem_zalloc(MARKS_MAX * sizeof *m->marks);
    m->stride = 1;
    kv_iter_seek(m->iter, key_slice(&m->begin));
}

/* Half as many, so that any number of entries can be gone through. */
static void thin_out(struct measure *m)
{
    for (size_t i = 0; i < m->mark_count / 2; i++)
        m->marks[i] = m->marks[2 * i + 1];
    m->mark_count /= 2;
    m->stride *= 2;
}

static void note_entry(struct measure *m, struct slice key)
{
    struct mark *mark;

    m->measured.keys++;
    if (m->measured.keys == 1 || (m->measured.keys - 1) % m->stride != 0)
        return;
    if (m->mark_count == MARKS_MAX)
        thin_out(m);
    if ((m->measured.keys - 1) % m->stride != 0)
        return;
    mark = &m->marks[m->mark_count++];
    mark->bytes_before = m->measured.bytes;
    memcpy(mark->key.data, key.data, key.size);
    mark->key.size = key.size;
}

/* Reads on. False: at the end. */
static bool measure_step(struct measure *m)
{
    size_t bytes = 0;

    for (; kv_iter_valid(m->iter) && bytes < STEP_BYTES;
         kv_iter_next(m->iter)) {
        struct slice key = kv_iter_key(m->iter);
        struct slice name;
        uint64_t nsid;
        size_t size = key.size + kv_iter_value(m->iter).size;

        if (key_parse_entry(key, &nsid, &name))
            note_entry(m, key);
        m->measured.bytes += size;
        bytes += size;
    }
    return kv_iter_valid(m->iter);
}

static uint64_t distance(const struct measure *m, const struct mark *mark)
{
    uint64_t half = m->measured.bytes / 2;

    return mark->bytes_before > half ? mark->bytes_before - half
                                     : half - mark->bytes_before;
}

static void measure_close(struct measure *m)
{
    const struct mark *best = NULL;

    for (size_t i = 0; i < m->mark_count; i++)
        if (best == NULL || distance(m, &m->marks[i]) < distance(m, best))
            best = &m->marks[i];
    if (best != NULL)
        m->measured.middle = best->key;
    m->measured.status = kv_iter_status(m->iter, NULL);
    kv_iter_free(m->iter);
    free(m->marks);
}

/* ---- in steps ---- */

static void run_back(struct env_task *task)
{
    struct measure_run *run = container_of(task, struct measure_run, back);

    run->done(run->context, &run->measure.measured);
    free(run);
}

static void run_step(struct env_task *task)
{
    struct measure_run *run = container_of(task, struct measure_run, task);

    if (measure_step(&run->measure)) {
        env_post(run->env, ENV_BULK, &run->task);
        return;
    }
    measure_close(&run->measure);
    env_post(run->env, ENV_WORKER, &run->back);
}

void measure_start(struct env *env, const struct region *region,
                   void (*done)(void *context, const struct measured *measured),
                   void *context)
{
    struct measure_run *run = mem_zalloc(sizeof *run);

    run->env = env;
    run->task.run = run_step;
    run->back.run = run_back;
    run->done = done;
    run->context = context;
    measure_open(&run->measure, env->state, region);
    env_post(env, ENV_BULK, &run->task);
}
