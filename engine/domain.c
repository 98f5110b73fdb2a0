/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/domain.h"

#include <stdlib.h>

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

static int take(struct listing *listing, uint64_t nsid)
{
    struct mode mode;
    int rc = get_mode(listing->state, nsid, &mode);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    if (mode.domain != listing->mode.domain)
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

int domain_decode(struct slice bytes, struct domain *ret)
{
    const uint8_t *items = bytes.data;

    *ret = (struct domain){.count = 0};
    if (bytes.size % ITEM_SIZE != 0 ||
        bytes.size / ITEM_SIZE > DOMAIN_DIRECTORIES_MAX)
        return ERR_CORRUPT;
    for (size_t i = 0; i < bytes.size; i += ITEM_SIZE)
        domain_add(ret, be64_get(items + i));
    return 0;
}
