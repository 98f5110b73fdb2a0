/* SPDX-License-Identifier: Apache-2.0 */

/* Reading the catalog of directories, as this node has it in state/: by their
 * ids and by their names. Any thread. */

#ifndef GROVEFS_ENGINE_CATALOG_H
#define GROVEFS_ENGINE_CATALOG_H

#include "engine/kv.h"
#include "engine/record.h"

/* A directory, to be released. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. */
int catalog_get(struct kv *state, const struct kv_snapshot *snapshot,
                uint64_t nsid, struct directory *ret);

/* Which directory has the name in `parent`. ERR_NOT_FOUND: none, though there
 * may be a file. ERR_CORRUPT, ERR_IO. */
int catalog_find(struct kv *state, const struct kv_snapshot *snapshot,
                 uint64_t parent, struct slice name, uint64_t *ret_nsid);

/* Whether there is a directory in it. ERR_CORRUPT, ERR_IO. */
int catalog_has_child(struct kv *state, uint64_t nsid, bool *ret);

/* Calls `visit` for each directory in `nsid` whose name is at least `from`, in
 * the order of their names, until it returns false. ERR_CORRUPT, ERR_IO. */
int catalog_visit(struct kv *state, uint64_t nsid, struct slice from,
                  bool (*visit)(void *context, struct slice name,
                                uint64_t nsid),
                  void *context);

/* Whether `nsid` is `ancestor` or lies below it. ERR_NOT_FOUND: there is no
 * such directory; ERR_INVALID: the path is too long; ERR_CORRUPT, ERR_IO. */
int catalog_is_below(struct kv *state, uint64_t nsid, uint64_t ancestor,
                     bool *ret);

#endif
