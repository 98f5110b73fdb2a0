/* SPDX-License-Identifier: Apache-2.0 */

/* Results of reads, for as long as nothing is applied: opening a file walks
 * its path, looks at it and reads it, and asks the same of state/ each time.
 *
 * What a read gives depends on the moment only, that is on how far the
 * regions are applied: region 0, and the one data region that it is about. A
 * result is found again at the very moment at which it was kept; the caller
 * sees to it that the moment is still the present one, as for a read of state/
 * itself.
 *
 * Any thread. One at a time uses it; another one that comes meanwhile finds
 * nothing and keeps nothing. */

#ifndef GROVEFS_ENGINE_READ_MEMO_H
#define GROVEFS_ENGINE_READ_MEMO_H

#include "engine/command.h"

/* Applied indexes of region 0 and of one data region. */
struct read_moment {
    uint64_t placement;
    uint64_t region;
    uint64_t data;
};

static inline bool read_moment_equal(struct read_moment a, struct read_moment b)
{
    return a.placement == b.placement && a.region == b.region &&
           a.data == b.data;
}

struct read_memo;
struct read_memo *read_memo_new(void);
void read_memo_free(struct read_memo *memo); /* Takes NULL. */

/* True: `*ret` is to be released by the caller. */
bool read_memo_find(struct read_memo *memo, const struct command *command,
                    struct read_moment moment, struct result *ret);
/* Keeps what LOOKUP, GETATTR and READ gave, unless it is large. */
void read_memo_keep(struct read_memo *memo, const struct command *command,
                    struct read_moment moment, const struct result *result);

#endif
