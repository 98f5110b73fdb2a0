/* SPDX-License-Identifier: Apache-2.0 */

/* Modes in the catalog: with a directory change those below it that have their
 * mode from where it has its own (domain.h). Whom a life was ended without is
 * said beside it (left_out.h). */

#include "engine/exec.h"
#include "engine/left_out.h"

enum { MTIME_SIZE = 8 };

/* Each one has a life of its own while it is eventual. That the one above is
 * strong by itself does not show below it. */
static struct mode mode_below(struct mode before, struct mode top)
{
    if (before.state != MODE_STRONG && top.state != MODE_STRONG)
        top.since = before.since;
    if (top.state == MODE_STRONG && !mode_is_filling(top))
        top.domain = 0;
    return top;
}

/* An mtime that was set by hand is shown until something changes inside, and so
 * is this one. */
static void show_mtime(const struct exec *x, struct directory *directory,
                       const uint8_t *mtime)
{
    directory->attr.mtime_ns = (int64_t)be64_get(mtime);
    directory->attr.ctime_ns = exec_now(x, directory->attr.ctime_ns);
    directory->attr.version = x->version;
    directory->mtime_version = x->version;
}

/* What comes to a directory and to those below it. */
struct change {
    struct mode mode;
    const uint8_t *mtimes; /* of all of them; NULL: none */
    struct left_out left_out;
};

/* `before`: the mode that it had. */
static void add_to_mode(struct exec *x, struct directory *directory,
                        struct mode before, const struct change *change,
                        size_t at)
{
    if (change->mtimes != NULL)
        show_mtime(x, directory, change->mtimes + MTIME_SIZE * at);
    if (change->left_out.count > 0)
        left_out_put(x->batch, directory->nsid, before.since,
                     &change->left_out);
}

static int change_one(struct exec *x, uint64_t nsid,
                      const struct change *change, size_t at)
{
    struct directory directory = {0};
    struct mode before;
    int rc = exec_get_directory(x, nsid, &directory);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    before = directory.mode;
    directory.mode = mode_below(before, change->mode);
    add_to_mode(x, &directory, before, change, at);
    exec_put_directory(x, &directory);
    directory_release(&directory);
    return 0;
}

/* One that was removed meanwhile does not come back. */
static int read_left_out(struct exec *x, struct slice data,
                         struct left_out *ret)
{
    struct left_out all;
    int rc = left_out_decode(&all, data);

    if (rc != 0)
        return rc == ERR_NO_MEMORY ? rc : ERR_INVALID;
    for (size_t i = 0; rc == 0 && i < all.count; i++) {
        bool removed = false;

        rc = exec_node_is_removed(x, all.of[i].node, &removed);
        if (!removed)
            left_out_add(ret, all.of[i].node, all.of[i].sequence);
    }
    return rc;
}

static int read_data(struct exec *x, struct slice data,
                     const struct domain *below, struct change *change)
{
    if (data.size == 0)
        return 0;
    if (change->mode.state == MODE_STRONG)
        return read_left_out(x, data, &change->left_out);
    if (data.size != MTIME_SIZE * (1 + below->count))
        return ERR_INVALID;
    change->mtimes = data.data;
    return 0;
}

int exec_change_mode(struct exec *x, struct directory *directory,
                     struct mode mode, struct slice data, struct domain *ret)
{
    struct change change = {.mode = mode};
    struct mode before = directory->mode;
    int rc = domain_list(x->state, directory->nsid, ret);

    if (rc == 0)
        rc = read_data(x, data, ret, &change);
    if (rc != 0)
        return rc;
    directory->mode = mode;
    add_to_mode(x, directory, before, &change, 0);
    for (size_t i = 0; rc == 0 && i < ret->count; i++)
        rc = change_one(x, ret->nsids[i], &change, 1 + i);
    return rc;
}
