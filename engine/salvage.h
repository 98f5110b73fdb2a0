/* SPDX-License-Identifier: Apache-2.0 */

/* Giving up a state/ that has damaged files.
 *
 * RocksDB's files belong to all regions, so one with a bad block goes on
 * hurting after the region that met it was rebuilt. At the next start the
 * whole of state/ is thrown away, if every region in it can be had from
 * others, and every region is rebuilt:
 *
 *     the damage was noted      kv_rocks.h
 *     state.new/                with nothing but the tombstones
 *          |
 *     marks                     in log/, with the descriptors: peer_damage.c;
 *          |                    synced, before anything is removed
 *     rename, rename, remove    state.new/ is state/, then
 *
 * A crash in between repeats it, or goes on with it: marks that are there
 * already stay. Blocks; before the node is opened. */

#ifndef GROVEFS_ENGINE_SALVAGE_H
#define GROVEFS_ENGINE_SALVAGE_H

#include "engine/kv.h"

/* Marks all replicas of this node as damaged. ERR_UNAVAILABLE: nobody else has
 * a region, or could by what the log says beyond state/, or one is still to be
 * erased here, so state/ must be kept;
 * ERR_NOT_FOUND: there are no regions yet; ERR_CORRUPT: a descriptor cannot be
 * read. Then no mark was written. */
int salvage_mark(struct kv *log, struct kv *state, uint64_t node_id,
                 int64_t now_ns);

/* Copies what tells that replicas were removed. ERR_CORRUPT, ERR_IO. */
int salvage_tombstones(struct kv *from, struct kv *to);

/* Replaces DIR/state, when it is damaged and salvage_mark() allows that, and
 * removes what an earlier attempt has left. */
int salvage_state(const char *dir, struct kv *log, uint64_t node_id,
                  int64_t now_ns, struct err *e);

#endif
