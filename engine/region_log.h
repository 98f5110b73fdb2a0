/* SPDX-License-Identifier: Apache-2.0 */

/* The Raft log and hard state of one region: what is in log/, and the newest
 * entries in memory.
 *
 * 1. In memory it is always ahead: entries count from region_log_append() on,
 *    and are durable when the change they were put into is done. Changes are
 *    durable in the order in which they were submitted.
 * 2. The position before the first entry stays known: index and term.
 * 3. Entries that are not durable yet are never dropped from memory; of the
 *    others the newest REGION_LOG_CACHE_BYTES stay until region_log_rest(),
 *    older ones are read back.
 *
 * Belongs to ENV_WORKER. A log entry's bytes: format (1), type (1), term (8,
 * big endian), data. */

#ifndef GROVEFS_ENGINE_REGION_LOG_H
#define GROVEFS_ENGINE_REGION_LOG_H

#include "engine/env.h"
#include "engine/record.h"
#include "raft/raft.h"

enum { REGION_LOG_CACHE_BYTES = 16 * 1024 * 1024, LOG_ENTRY_FORMAT = 1 };

struct region_log;

/* Reads a region's log; an empty one starts at (0, 0). May block: before the
 * worker runs. ERR_CORRUPT, ERR_VERSION, ERR_IO. */
int region_log_open(struct region_log **ret, struct env *env, uint64_t region);
void region_log_free(struct region_log *log); /* Takes NULL; none pending. */

const struct hard_state *region_log_hard_state(const struct region_log *log);
uint64_t region_log_first_index(const struct region_log *log);
uint64_t region_log_last_index(const struct region_log *log);
/* Bytes of entries in the log, roughly. */
uint64_t region_log_size_bytes(const struct region_log *log);

/* Nothing is to be expected soon: gives up what is durable and in memory, but
 * for the last entry's term. */
void region_log_rest(struct region_log *log);

/* As raft_storage_ops wants them. */
int region_log_term(struct region_log *log, uint64_t index, uint64_t *ret_term);
int region_log_entries(struct region_log *log, uint64_t first, uint64_t end,
                       uint64_t size_max, struct raft_entries *entries);

/* A change under construction, that is then durable as one. */
struct log_change;
struct log_change *log_change_new(struct region_log *log);

/* Entries that replace everything from the first one's index on. */
void log_change_append(struct log_change *change,
                       const struct raft_entries *entries);
void log_change_hard_state(struct log_change *change,
                           const struct hard_state *state);
/* Forgets all entries up to and including `index`. */
void log_change_compact(struct log_change *change, uint64_t index);
/* Forgets everything; the log starts behind (index, term). */
void log_change_reset(struct log_change *change, uint64_t index, uint64_t term);

/* Hands it over; the change is gone when `done` was called. */
void log_change_submit(struct log_change *change, void (*done)(void *context),
                       void *context);

/* A replica that is made before it has any state: notes whose log this is
 * going to be. To be the first change of a log. */
void log_change_peer(struct log_change *change, uint64_t peer_id);
/* The id noted so; ERR_NOT_FOUND: none. May read the disk. */
int region_log_peer(struct env *env, uint64_t region, uint64_t *ret_peer_id);

/* Puts the first state of a new region's log into a batch of log/. */
void region_log_found(struct kv_batch *batch, uint64_t region,
                      const struct log_start *start,
                      const struct hard_state *state);

#endif
