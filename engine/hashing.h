/* SPDX-License-Identifier: Apache-2.0 */

/* The hash of a region's state at one moment: over all that a snapshot of it
 * would carry (snapshot_data.h), so descriptor, marker and remembered results
 * count as well as entries. Two replicas that have applied the same entries
 * have the same hash.
 *
 * The view is taken where it is started; reading and hashing are done on
 * ENV_BULK in small steps, so that snapshots need not wait for it. */

#ifndef GROVEFS_ENGINE_HASHING_H
#define GROVEFS_ENGINE_HASHING_H

#include <stdatomic.h>

#include "engine/env.h"

struct hashing_result {
    uint64_t index; /* as it was ordered */
    uint64_t mark;
    int status; /* 0, ERR_CANCELED, or what reading said */
    uint64_t hash;
};

struct hashing_order {
    uint64_t index; /* the caller's, both */
    uint64_t mark;
    const atomic_bool *stopped; /* once true it soon ends with ERR_CANCELED */
    void (*done)(void *context, const struct hashing_result *result);
    void *context;
};

/* Copies `order`. `done` is called on ENV_WORKER. Any owner. */
void hashing_start(struct env *env, uint64_t region,
                   const struct hashing_order *order);

/* The same at once, for tests and tools. May block. */
int hashing_run(struct kv *state, uint64_t region, uint64_t *ret_hash);

#endif
