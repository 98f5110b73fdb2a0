/* SPDX-License-Identifier: Apache-2.0 */

/* How large a region is, and where its middle lies: reads through all its
 * entries, on ENV_BULK in small steps, as they were when it was started. */

#ifndef GROVEFS_ENGINE_MEASURE_H
#define GROVEFS_ENGINE_MEASURE_H

#include "engine/env.h"
#include "engine/keys.h"
#include "engine/record.h"

struct measured {
    int status;     /* 0, or what reading said; else nothing else counts */
    uint64_t bytes; /* of entries and chunks, with their keys */
    uint64_t keys;  /* entries */
    /* The user key, with a class, of the entry before which about half of the
     * bytes lie, and which is not the region's first. size 0: there is none. */
    struct key middle;
};

/* Copies what it needs of `region`. `done` is called on ENV_WORKER, in any
 * case; `context` has to live until then. ENV_WORKER. */
void measure_start(struct env *env, const struct region *region,
                   void (*done)(void *context, const struct measured *measured),
                   void *context);

/* About how many bytes of files the region's entries and chunks take, which are
 * compressed, and without what is still in memory. Any thread. */
uint64_t measure_files(struct kv *state, const struct region *region);

#endif
