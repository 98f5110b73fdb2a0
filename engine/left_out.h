/* SPDX-License-Identifier: Apache-2.0 */

/* Which nodes an eventual directory was made strong without ("strong force"),
 * and how much of what each of them had accepted was taken along. What they had
 * accepted behind that nobody else knew of: when they learn that the directory
 * is strong they put it into quarantine (quarantine.h) instead of deleting it.
 *
 * The decision that makes the directory strong (COMMAND_TXN_DECIDE) writes a
 * record of it into the catalog for each life that ends, also of directories
 * below. It stays there, also when the directory goes, until none of these
 * nodes is in the cluster any more (exec_node.c).
 *
 * Any thread. */

#ifndef GROVEFS_ENGINE_LEFT_OUT_H
#define GROVEFS_ENGINE_LEFT_OUT_H

#include "engine/kv.h"
#include "engine/node.h"
#include "engine/record.h"

/* Zeroed: none. */
struct left_out {
    struct {
        uint64_t node;
        uint64_t sequence; /* its own changes up to this number are not lost */
    } of[NODES_MAX];       /* by ascending node */
    size_t count;
};

/* Of one node at least. */
struct buf *left_out_encode(const struct left_out *left_out);
/* ERR_CORRUPT (also where there is no node in it), ERR_VERSION. */
int left_out_decode(struct left_out *ret, struct slice bytes);

/* `node` is none that is there. */
void left_out_add(struct left_out *left_out, uint64_t node, uint64_t sequence);
/* False: it is not in it. */
bool left_out_remove(struct left_out *left_out, uint64_t node);

/* Of the life `since` of a namespace; zeroed where nobody was left out.
 * ERR_CORRUPT, ERR_VERSION, ERR_IO. */
int left_out_get(struct kv *state, uint64_t nsid, uint64_t since,
                 struct left_out *ret);
/* Writes it; deletes the record where there is no node in it. */
void left_out_put(struct kv_batch *batch, uint64_t nsid, uint64_t since,
                  const struct left_out *left_out);

/* The first record of at least this namespace and life. ERR_NOT_FOUND: there is
 * none; ERR_IO. */
int left_out_next(struct kv *state, uint64_t nsid, uint64_t since,
                  uint64_t *ret_nsid, uint64_t *ret_since);

/* A node goes: it is taken out of all records. ERR_CORRUPT, ERR_VERSION,
 * ERR_IO. */
int left_out_forget(struct kv *state, struct kv_batch *batch, uint64_t node);

/* Whether the change `sequence` that `origin` has accepted was not taken
 * along. */
bool left_out_has(const struct left_out *left_out, uint64_t origin,
                  uint64_t sequence);

/* Whether this node is one of them. */
bool left_out_is_of(const struct left_out *left_out, uint64_t node);

#endif
