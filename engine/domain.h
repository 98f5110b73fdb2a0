/* SPDX-License-Identifier: Apache-2.0 */

/* Mode domains: a directory with a mode of its own, and those below it that
 * have theirs from it. A change of mode takes all of them, or none. The catalog
 * has the mode in each one's record, so nobody has to look above a directory to
 * know how consistent it is; an entry of region 0 that changes a mode changes
 * all of them.
 *
 * Any thread. */

#ifndef GROVEFS_ENGINE_DOMAIN_H
#define GROVEFS_ENGINE_DOMAIN_H

#include "engine/catalog.h"

/* An entry of region 0 may change so many directories. */
enum { DOMAIN_DIRECTORIES_MAX = 10000 };

/* Namespaces. Zeroed: none. */
struct domain {
    uint64_t *nsids; /* owned */
    size_t count;
    size_t max; /* private */
};

void domain_release(struct domain *domain);
void domain_add(struct domain *domain, uint64_t nsid);
/* By their numbers, and so region by region. */
void domain_sort(struct domain *domain);
/* A copy that is sorted; to be released. */
struct domain domain_sorted(const struct domain *domain);
/* Where in a sorted one `nsid` is; SIZE_MAX: nowhere. */
size_t domain_find(const struct domain *sorted, uint64_t nsid);

/* The directories below `top` that have their mode from where it has its own,
 * each one behind the one that it is in. `ret` is to be released in any case.
 * ERR_NOT_FOUND: there is no such directory; ERR_TOO_LARGE: more than
 * DOMAIN_DIRECTORIES_MAX; ERR_BUSY: `top` is strong, and one below it is being
 * filled by itself; ERR_CORRUPT, ERR_IO. */
int domain_list(struct kv *state, uint64_t top, struct domain *ret);

/* As bytes: 8 for each, big endian. */
struct buf *domain_encode(const struct domain *domain);
/* ERR_CORRUPT. */
int domain_decode(struct slice bytes, struct domain *ret);
/* How many there are in such bytes, and one of them. */
size_t domain_count(struct slice bytes);
uint64_t domain_nsid_at(struct slice bytes, size_t at);
/* Those from `at` on, as many as a command takes (command.further). */
struct slice domain_further(struct slice bytes, size_t at);

#endif
