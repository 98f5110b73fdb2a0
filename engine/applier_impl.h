/* SPDX-License-Identifier: Apache-2.0 */

/* What the files applier*.c share; for them only. */

#ifndef GROVEFS_ENGINE_APPLIER_IMPL_H
#define GROVEFS_ENGINE_APPLIER_IMPL_H

#include "engine/applier.h"
#include "engine/range.h"
#include "engine/results.h"

struct applier {
    struct env *env;
    uint64_t region_id;
    /* Of the region as of the marker; the rest of it is large, and thousands
     * of appliers are kept. */
    uint64_t region_version;
    struct range range;
    struct buf *start; /* hold the bounds of the range */
    struct buf *end;
    bool frozen; /* see merge_change.h */
    struct marker marker;
    struct results *results;
    struct kv_batch *batch; /* reused */
    bool corrupt;           /* rule 4 */
    void (*on_check)(void *context, uint64_t index,
                     const struct command *command);
    void *on_check_context;
    void (*on_catalog)(void *context, uint64_t nsid, uint64_t version);
    void *on_catalog_context;
};

/* Ends the node. Returns `rc`. */
int applier_fail(struct applier *applier, const struct raft_entry *entry,
                 int rc);
/* Writes the batch with the marker in it: rule 1. */
int applier_finish(struct applier *applier, const struct raft_entry *entry,
                   uint64_t version);
/* The same for an entry that leaves all directories as they are. */
int applier_finish_other(struct applier *applier,
                         const struct raft_entry *entry);
/* applier_catalog.c: behind the entry of a command. */
void applier_tell_catalog(const struct applier *applier,
                          const struct command *command,
                          const struct buf *result);
int applier_answer(int status, struct buf **ret_result);
/* The region's descriptor is this from here on. */
void applier_follow(struct applier *applier, const struct region *region);
/* Takes `bytes`. */
void applier_put(struct applier *applier, struct key key, struct buf *bytes);

static inline bool applier_is_damage(int rc)
{
    return rc == ERR_CORRUPT || rc == ERR_VERSION;
}

#endif
