/* SPDX-License-Identifier: Apache-2.0 */

/* What the region_log*.c files share; for them only. */

#ifndef GROVEFS_ENGINE_REGION_LOG_IMPL_H
#define GROVEFS_ENGINE_REGION_LOG_IMPL_H

#include "engine/region_log.h"

/* region_log_records.c. An entry's bytes; its data is a new reference.
 * ERR_CORRUPT, ERR_VERSION. */
int region_log_decode_entry(struct slice bytes, uint64_t index,
                            struct raft_entry *ret);
/* An entry that must be there. Errors as above; ERR_IO. */
int region_log_read_entry(struct env *env, uint64_t region, uint64_t index,
                          struct raft_entry *ret);
/* The small records; one that is absent leaves `start` or `state` as it is.
 * ERR_CORRUPT, ERR_VERSION, ERR_IO. */
int region_log_read_state(struct env *env, uint64_t region,
                          struct log_start *start, struct hard_state *state);

/* Any thread. */
void region_log_put_entry(struct kv_batch *batch, uint64_t region,
                          const struct raft_entry *entry);
void region_log_put_hard_state(struct kv_batch *batch, uint64_t region,
                               const struct hard_state *state);
void region_log_put_start(struct kv_batch *batch, uint64_t region,
                          const struct log_start *start);
void region_log_put_peer(struct kv_batch *batch, uint64_t region,
                         uint64_t peer_id);

#endif
