/* SPDX-License-Identifier: Apache-2.0 */

/* Which namespaces are eventual, as far as this node has applied region 0: a
 * copy in memory of what the catalog says of their modes (struct mode in
 * record.h), for those that have to ask at each request.
 *
 * A mode changes only by an entry of region 0, on each node when it applies
 * it, on the thread that applies (env_apply_owner() of region 0), before the
 * next entry. That thread also accepts all eventual changes, so there is a
 * last one before each fence.
 *
 * Behind an entry of region 0 by which this node is being drained it accepts
 * nothing more in any of them, until another one takes that back: its record
 * in the catalog is a fence, too.
 *
 * The *catalog version* is the version in region 0's marker: it grows with each
 * entry, so it orders what nodes know. A node is *behind* whoever names a
 * greater one.
 *
 * Reads on any thread (a lock is held for a moment); changes on region 0's
 * owner. */

#ifndef GROVEFS_ENGINE_MODES_H
#define GROVEFS_ENGINE_MODES_H

#include "engine/env.h"
#include "engine/record.h"

struct modes;

/* `node`: this one. */
struct modes *modes_new(uint64_t node);
void modes_free(struct modes *modes); /* Takes NULL. */

/* Reads the whole catalog: before the worker runs, and after region 0's state
 * was replaced. Calls the watcher for each mode that differs from what was
 * known. ERR_CORRUPT: what can be read counts, nothing else has changed;
 * ERR_IO.
 */
int modes_load(struct modes *modes, struct kv *state);

/* The catalog is known to be damaged: modes_version() is 0 until it has been
 * replaced and loaded. Any thread. */
void modes_distrust(struct modes *modes);

/* Behind an entry of region 0: the directory `nsid` may have changed in state/,
 * and with its mode those below it (0: none has, but perhaps this node's
 * record), whose marker has `version` now. Calls the watcher for each mode that
 * has changed. ERR_CORRUPT, ERR_IO. */
int modes_follow(struct modes *modes, struct kv *state, uint64_t nsid,
                 uint64_t version);

/* `on_change`: a namespace has another mode than before; `mode` all zeroes
 * also when it is gone. On region 0's owner. */
void modes_watch(struct modes *modes,
                 void (*on_change)(void *context, uint64_t nsid,
                                   struct mode before, struct mode mode),
                 void *context);

/* The mode of a namespace: all zeroes for one that is strong, and not being
 * filled, or not known. */
struct mode modes_find(struct modes *modes, uint64_t nsid);

/* How far region 0 is applied here; 0 while not all of the catalog could be
 * read: what is not known then may be there. */
uint64_t modes_version(struct modes *modes);

/* The epoch of the newest fence that was applied here, of a directory or of
 * this node; 0: none yet. */
uint64_t modes_fence(struct modes *modes);

/* This node is being drained or was removed, or its record is damaged. */
bool modes_is_leaving(struct modes *modes);

/* Whether a node whose fence has this epoch may have accepted something before
 * that is known nowhere else: a directory was eventual then, and has been
 * since. Where one was made strong, or removed, all nodes had told all, or were
 * left out (left_out.h). True while region 0 is not applied so far here. */
bool modes_any_before(struct modes *modes, uint64_t epoch);

/* Whether there is any eventual namespace, or is about to be. */
bool modes_any(struct modes *modes);

/* Whether any namespace is being filled. */
bool modes_any_filling(struct modes *modes);

/* The first directory of at least this nsid that is not strong, or is being
 * filled. False: none. */
bool modes_next(struct modes *modes, uint64_t nsid_min, uint64_t *ret_nsid,
                struct mode *ret);

/* The first one of at least this nsid that has a mode of its own, be it strong.
 * False: none. */
bool modes_next_own(struct modes *modes, uint64_t nsid_min, uint64_t *ret_nsid,
                    struct mode *ret);

#endif
