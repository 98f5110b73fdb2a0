/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/domain.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/command.h"
#include "engine/keys.h"

void domain_release(struct domain *domain)
{
    free(domain->nsids);
    *domain = (struct domain){.count = 0};
}

void domain_add(struct domain *domain, uint64_t nsid)
{
    domain->nsids = mem_grow(domain->nsids, sizeof *domain->nsids, &domain->max,
                             domain->count + 1);
    domain->nsids[domain->count++] = nsid;
}

static int compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a;
    uint64_t other = *(const uint64_t *)b;

    return one < other ? -1 : one > other;
}

void domain_sort(struct domain *domain)
{
    if (domain->count > 0)
        qsort(domain->nsids, domain->count, sizeof *domain->nsids, compare);
}

struct domain domain_sorted(const struct domain *domain)
{
    struct domain copy = {.count = 0};

    for (size_t i = 0; i < domain->count; i++)
        domain_add(&copy, domain->nsids[i]);
    domain_sort(&copy);
    return copy;
}

size_t domain_find(const struct domain *sorted, uint64_t nsid)
{
    const uint64_t *found = sorted->count == 0
                                ? NULL
                                : bsearch(&nsid, sorted->nsids, sorted->count,
                                          sizeof *sorted->nsids, compare);

    return found == NULL ? SIZE_MAX : (size_t)(found - sorted->nsids);
}

/* ---- listing ---- */

struct listing {
    struct kv *state;
    struct mode mode; /* of the top */
    struct domain *ret;
    int status;
};

static int get_mode(struct kv *state, uint64_t nsid, struct mode *ret)
{
    struct directory directory = {0};
    int rc = catalog_get(state, NULL, nsid, &directory);

    if (rc == 0)
        *ret = directory.mode;
    directory_release(&directory);
    return rc;
}

static bool is_plainly_strong(struct mode mode)
{
    return mode.state == MODE_STRONG && !mode_is_filling(mode);
}

/* Whether it has its mode from where the top has its own. Strong ones do not
 * say from where: from above, unless it is their own. */
static bool inherits(const struct listing *listing, struct mode mode)
{
    if (is_plainly_strong(listing->mode))
        return is_plainly_strong(mode) && mode.domain == 0;
    return mode.domain == listing->mode.domain;
}

static int take(struct listing *listing, uint64_t nsid)
{
    struct mode mode;
    int rc = get_mode(listing->state, nsid, &mode);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    if (!inherits(listing, mode))
        return listing->mode.state == MODE_STRONG && mode_is_filling(mode)
                   ? ERR_BUSY
                   : 0;
    if (listing->ret->count == DOMAIN_DIRECTORIES_MAX)
        return ERR_TOO_LARGE;
    domain_add(listing->ret, nsid);
    return 0;
}

static bool visit(void *context, struct slice name, uint64_t nsid)
{
    struct listing *listing = context;

    (void)name;
    listing->status = take(listing, nsid);
    return listing->status == 0;
}

static int look_into(struct listing *listing, uint64_t nsid)
{
    const struct slice first = {NULL, 0};
    int rc = catalog_visit(listing->state, nsid, first, visit, listing);

    return rc == 0 ? listing->status : rc;
}

int domain_list(struct kv *state, uint64_t top, struct domain *ret)
{
    struct listing listing = {.state = state, .ret = ret};
    int rc = get_mode(state, top, &listing.mode);

    *ret = (struct domain){.count = 0};
    if (rc == 0)
        rc = look_into(&listing, top);
    for (size_t i = 0; rc == 0 && i < ret->count; i++)
        rc = look_into(&listing, ret->nsids[i]);
    return rc;
}

/* ---- bytes ---- */

enum { ITEM_SIZE = sizeof(uint64_t) };

struct buf *domain_encode(const struct domain *domain)
{
    struct buf *bytes = buf_copy(domain->nsids, domain->count * ITEM_SIZE);

    for (size_t i = 0; i < domain->count; i++)
        be64_put(bytes->data + i * ITEM_SIZE, domain->nsids[i]);
    return bytes;
}

size_t domain_count(struct slice bytes)
{
    return bytes.size / ITEM_SIZE;
}

uint64_t domain_nsid_at(struct slice bytes, size_t at)
{
    assert(at < domain_count(bytes));
    return be64_get((const uint8_t *)bytes.data + at * ITEM_SIZE);
}

struct slice domain_further(struct slice bytes, size_t at)
{
    size_t count = domain_count(bytes) - at;

    assert(at <= domain_count(bytes));
    if (count == 0)
        return (struct slice){NULL, 0};
    if (count > COMMAND_FURTHER_MAX)
        count = COMMAND_FURTHER_MAX;
    return (struct slice){(const uint8_t *)bytes.data + at * ITEM_SIZE,
                          count * ITEM_SIZE};
}

int domain_decode(struct slice bytes, struct domain *ret)
{
    *ret = (struct domain){.count = 0};
    if (bytes.size % ITEM_SIZE != 0 ||
        bytes.size / ITEM_SIZE > DOMAIN_DIRECTORIES_MAX)
        return ERR_CORRUPT;
    for (size_t i = 0; i < domain_count(bytes); i++)
        domain_add(ret, domain_nsid_at(bytes, i));
    return 0;
}
