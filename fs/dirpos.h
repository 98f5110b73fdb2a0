/* SPDX-License-Identifier: Apache-2.0 */

/* Which name was at which position of a directory listing.
 *
 * The offset that readdir(3) shows for an entry is its ordinal number in this
 * descriptor's listing. The engine lists behind a name, so an offset that
 * comes back (seekdir(3)) must be turned into a name. All would be too many:
 * a mark is kept now and then, and from the mark before it the rest is
 * counted. Memory is bounded: when the marks are full every second one is
 * dropped, so they lie ever further apart. */

#ifndef GROVEFS_FS_DIRPOS_H
#define GROVEFS_FS_DIRPOS_H

#include <stddef.h>
#include <stdint.h>

enum { DIRPOS_MARKS_MAX = 1024 };

struct dirpos_mark {
    uint64_t position; /* this many names come up to and including `name` */
    char *name;
};

struct dirpos {
    struct dirpos_mark *marks; /* private; by position */
    size_t count;              /* private */
    size_t count_max;          /* private */
    uint64_t distance;         /* private: between marks, at least */
};

void dirpos_init(struct dirpos *dirpos);
void dirpos_release(struct dirpos *dirpos);

/* The listing begins again: forgets everything. */
void dirpos_clear(struct dirpos *dirpos);

/* `name` was the position-th. Positions already passed are ignored. */
void dirpos_note(struct dirpos *dirpos, uint64_t position, const char *name);

/* Forgets the marks behind a position. */
void dirpos_cut(struct dirpos *dirpos, uint64_t position);

/* The last mark at or before a position; position 0 and "" when none is. */
struct dirpos_mark dirpos_before(const struct dirpos *dirpos,
                                 uint64_t position);

/* The first mark at or behind a position, or NULL. */
const struct dirpos_mark *dirpos_behind(const struct dirpos *dirpos,
                                        uint64_t position);

#endif
