/* SPDX-License-Identifier: Apache-2.0 */

/* Applies a region's committed entries to state/.
 *
 * 1. Each entry is one batch of state/: its changes, the remembered result,
 *    and the region's marker. So a durable marker implies durable data.
 * 2. Entries are applied once each, in the order of the log; after a restart
 *    from the marker on.
 * 3. The same entries give the same state on every replica: see exec.h.
 * 4. Behind an entry that met a damaged record nothing is applied until the
 *    state is replaced.
 *
 * Belongs to the region's owner from ENV_APPLY on (env_apply_owner()), apart
 * from applier_open() before it is first used, and applier_rest(). */

#ifndef GROVEFS_ENGINE_APPLIER_H
#define GROVEFS_ENGINE_APPLIER_H

#include "engine/command.h"
#include "engine/env.h"
#include "engine/merge_change.h"
#include "engine/range_change.h"
#include "engine/record.h"
#include "raft/raft.h"

struct applier;

/* Reads marker and remembered results. ERR_NOT_FOUND: no such region here;
 * ERR_CORRUPT, ERR_IO. */
int applier_open(struct applier **ret, struct env *env, uint64_t region);
/* Of a replica that has no state yet, or a damaged one: nothing is applied
 * until it is reloaded. */
struct applier *applier_new(struct env *env, uint64_t region);
void applier_free(struct applier *applier); /* Takes NULL. */
/* Nothing is to be applied soon: gives up memory that is kept for it. On
 * ENV_WORKER, while nothing of the region is at the applier. */
void applier_rest(struct applier *applier);

/* Has `on_check` called right behind each entry with a command of the
 * consistency check, before the next one is applied. */
void applier_watch(struct applier *applier,
                   void (*on_check)(void *context, uint64_t index,
                                    const struct command *command),
                   void *context);

/* Has `on_catalog` called right behind each entry, before the next one is
 * applied: for each directory that it may have given another mode, or once with
 * nsid 0. `version` is that of the marker. On the region's owner. */
void applier_watch_catalog(struct applier *applier,
                           void (*on_catalog)(void *context, uint64_t nsid,
                                              uint64_t version),
                           void *context);

/* How far it is applied. */
const struct marker *applier_marker(const struct applier *applier);

/* Applies the next normal entry. `*ret_result` is the encoded result, for
 * whoever waits, or NULL for an entry without a command. ERR_CORRUPT: a record
 * that the command needs is damaged; nothing has changed, see rule 4. A failing
 * store or an undecodable entry ends the node (env_fatal) and returns another
 * code. */
int applier_apply(struct applier *applier, const struct raft_entry *entry,
                  struct buf **ret_result);

/* In place of rule 4, for the only replica that there is: the entry that just
 * met a damaged record is answered with ERR_CORRUPT and has no effect. */
int applier_skip(struct applier *applier, const struct raft_entry *entry,
                 struct buf **ret_result);

/* Applies a membership entry: stores the region's new descriptor, encoded,
 * with the marker. `region` NULL stores only the marker. */
int applier_apply_region(struct applier *applier,
                         const struct raft_entry *entry,
                         const struct buf *region);

/* Applies the entry of a split; NULL: one that has no effect, for `status`.
 * The new region begins with the data that is there, with all that is
 * remembered of senders, and behind (FOUNDING_INDEX, FOUNDING_TERM). Errors as
 * applier_apply(); no ERR_CORRUPT on the only replica. */
int applier_split(struct applier *applier, const struct raft_entry *entry,
                  const struct range_split *split, int status,
                  struct buf **ret_result);

/* Applies an entry of a merge; NULL: one that has no effect, for `status`. A
 * source that is taken over lies frozen in state/, and leaves a tombstone there
 * for all its peers. Errors as applier_split(). */
int applier_merge(struct applier *applier, const struct raft_entry *entry,
                  const struct range_merge *merge, int status,
                  struct buf **ret_result);
/* In its place, where the source is not there: ERR_CORRUPT, see rule 4. */
int applier_lacks_source(struct applier *applier);

/* Reads everything anew after state/ was replaced by a snapshot. */
int applier_reload(struct applier *applier);

#endif
