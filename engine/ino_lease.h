/* SPDX-License-Identifier: Apache-2.0 */

/* Inode numbers that no file ever had: {node id, counter}. Counters are leased
 * on disk in blocks, ahead of use, so that none is used twice after a crash.
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_INO_LEASE_H
#define GROVEFS_ENGINE_INO_LEASE_H

#include "engine/env.h"
#include "engine/record.h"

struct ino_lease;

/* `identity->ino_bound` is the end of the block that this boot has leased,
 * `next` its first counter. */
struct ino_lease *ino_lease_new(struct env *env,
                                const struct identity *identity, uint64_t next);
/* Takes NULL; no lease may be under way. */
void ino_lease_free(struct ino_lease *lease);

/* The next number; leases another block long before this one is used up. */
uint64_t ino_lease_take(struct ino_lease *lease);

#endif
