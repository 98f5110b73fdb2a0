/* SPDX-License-Identifier: Apache-2.0 */

/* The window of MsgApp that a peer has not acknowledged: how many there are,
 * how many bytes, and the last index of each. A ring that grows on demand, so
 * that an idle peer costs nothing. */

#ifndef GROVEFS_RAFT_INFLIGHTS_H
#define GROVEFS_RAFT_INFLIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inflight;

struct inflights { /* private; a zeroed struct with limits is empty */
    struct inflight *ring;
    size_t ring_size;
    size_t start;
    size_t count;
    size_t count_max;
    uint64_t bytes;
    uint64_t bytes_max; /* 0: no limit */
};

void inflights_init(struct inflights *f, size_t count_max, uint64_t bytes_max);
void inflights_close(struct inflights *f);

/* A message whose last entry is `index` was sent. Not when full. */
void inflights_add(struct inflights *f, uint64_t index, uint64_t bytes);

/* Everything up to `index` was acknowledged. */
void inflights_free_to(struct inflights *f, uint64_t index);

/* Forgets all, keeps the limits. */
void inflights_reset(struct inflights *f);

bool inflights_full(const struct inflights *f);

void inflights_check(const struct inflights *f);

#endif
