/* SPDX-License-Identifier: Apache-2.0 */

/* What the files read*.c share; for them only. */

#ifndef GROVEFS_ENGINE_READ_IMPL_H
#define GROVEFS_ENGINE_READ_IMPL_H

#include "engine/content.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/read.h"

/* One read being executed. */
struct reading {
    struct kv *state;
    const struct read_view *view;
    const struct command *command;
    struct read_unknown *unknown;
    struct kv_snapshot *snapshot; /* entry and chunks of one moment */
    struct result *result;
    uint64_t region;    /* that was read last */
    uint64_t looked_at; /* hash of the entries, and of what intents count as */
    bool met_intent;
    bool met_undecided;
};

/* read_intent.c: what was looked at, and what intents count as. */

/* Notes a name or record that the result depends on. */
void read_note(struct reading *r, struct slice bytes);
/* The status that a read may answer: ERR_LOCKED until one that has met an
 * intent was repeated, see read.h. */
int read_confirm(const struct reading *r, int status);
/* To be released. ERR_NOT_FOUND: none yet, or none any more. */
int read_get_decision(struct kv *state, struct txn_id id, struct decision *ret);
/* Decodes an entry; an intent is replaced by what counts of it. Errors:
 * ERR_NOT_FOUND: nothing does; ERR_LOCKED, ERR_CORRUPT, ERR_VERSION, ERR_IO. */
int read_get_entry(struct reading *r, struct slice bytes, struct entry *ret);

/* read_dir.c: directories, and the regions that they lie in. */

/* The part of the view that has a user key; NULL: noted that it is needed. */
const struct read_part *read_find_part(struct reading *r,
                                       const struct key *key);
/* ERR_STALE: there is none. */
int read_find_directory(struct reading *r, uint64_t nsid,
                        struct directory *ret);
/* What stat(2) shows of it. ERR_STALE, ERR_UNAVAILABLE. */
int read_directory_attr(struct reading *r, uint64_t nsid, struct attr *ret);
/* What the region of the first name to be listed has of the namespace. */
struct read_list {
    const struct read_part *part;
    struct key lower;
    struct key upper;
    bool goes_on; /* in the region of `upper` */
};

/* ERR_UNAVAILABLE. */
int read_find_list(struct reading *r, struct read_list *ret);
/* All of it is listed: says where it goes on. */
void read_end_list(struct reading *r, const struct read_list *list);
int read_readdir(struct reading *r);
/* COMMAND_PART */
int read_one_part(struct reading *r);

/* read_export.c: COMMAND_TXN_EXPORT */
int read_export(struct reading *r);

#endif
