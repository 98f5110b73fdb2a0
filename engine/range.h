/* SPDX-License-Identifier: Apache-2.0 */

/* Ranges of user keys (keys.h): [start, end), where an empty end is that of
 * all keys. Any thread. */

#ifndef GROVEFS_ENGINE_RANGE_H
#define GROVEFS_ENGINE_RANGE_H

#include "engine/keys.h"

struct range {
    struct slice start;
    struct slice end;
};

static inline bool range_has(struct range range, struct slice user_key)
{
    return slice_compare(range.start, user_key) <= 0 &&
           (range.end.size == 0 || slice_compare(user_key, range.end) < 0);
}

static inline bool range_overlaps(struct range a, struct range b)
{
    return (a.end.size == 0 || slice_compare(b.start, a.end) < 0) &&
           (b.end.size == 0 || slice_compare(a.start, b.end) < 0);
}

/* The user key of an entry, of `key` as key_user() has made it. */
static inline struct slice key_user_part(const struct key *key)
{
    return (struct slice){key->data + 1, key->size - 1};
}

/* Whether (dir, name) lies in it. */
static inline bool range_has_place(struct range range, uint64_t dir,
                                   struct slice name)
{
    struct key key = key_user('d', dir, name);

    return range_has(range, key_user_part(&key));
}

/* Whether all places of a namespace, that there are or may be, lie in it. */
static inline bool range_has_namespace(struct range range, uint64_t nsid)
{
    struct key next;

    return range_has_place(range, nsid, (struct slice){NULL, 0}) &&
           !key_next_part(nsid, range.end, &next);
}

#endif
