/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster: generated texts as read-only files, and control files.
 *
 *   /.cluster/health             a file
 *   /.cluster/region/            a directory for each region known here
 *   /.cluster/region/3/leader    a file about region 3
 *
 * The directory is found in the root but not listed there. The tables at the
 * top of special.c have all names in it. A file is rendered whole when it is
 * opened, so that its size, its reads at any offset and two readers at once
 * each see one moment; LOOKUP and GETATTR render too, because tar and rsync
 * read no more than st_size says. None of this needs a majority: the engine
 * renders what this node knows.
 *
 * A control file can be written to as well: each WRITE is one whole text, and
 * is answered when what it asks for is done or refused. Where in the file it is
 * written to does not matter, nor does a truncation before it. */

#ifndef GROVEFS_FS_SPECIAL_H
#define GROVEFS_FS_SPECIAL_H

#include "fs/op.h"

/* Is this the number of /.cluster or of something in it? These are at the top
 * of the directories' range, where no namespace id ever gets. */
bool special_is(uint64_t id);

/* Is {dir, name} /.cluster, or inside? Nothing can be made, changed, moved or
 * removed there: EPERM. */
bool special_has(uint64_t dir, const char *name);

/* The special cases of the operations; `id` or {dir, name} is special. */
void special_lookup(fuse_req_t req, uint64_t dir, const char *name);
void special_getattr(fuse_req_t req, uint64_t id, const struct handle *handle);
void special_setattr(fuse_req_t req, uint64_t id, int to_set);
void special_open(fuse_req_t req, uint64_t id,
                  const struct fuse_file_info *file);
void special_read(fuse_req_t req, uint64_t id, size_t size, uint64_t offset,
                  const struct fuse_file_info *file);
void special_write(fuse_req_t req, uint64_t id, const char *data, size_t size);

/* ---- listing a directory ---- */

/* The directory that it is in. */
uint64_t special_parent(uint64_t dir);

/* The table that has the numbers which the directory's names are; false: its
 * names are always the same. */
bool special_lists(uint64_t dir, enum engine_table *ret_table);

/* Names of a directory, one after the other. */
struct special_names {
    uint64_t dir;           /* public: in */
    const struct buf *list; /* public: in; of its table, borrowed, or NULL */
    size_t position;        /* private, zeroed; in `list` or of the names */
    char name[24];          /* public: out */
    struct stat stat;       /* public: out; number and type only */
};

/* Goes on to the next name. False: there is none. */
bool special_next(struct special_names *names);

#endif
