/* SPDX-License-Identifier: Apache-2.0 */

/* Modes in the catalog: with a directory change those below it that have their
 * mode from where it has its own (domain.h). */

#include "engine/exec.h"

enum { MTIME_SIZE = 8 };

/* Each one has a life of its own while it is eventual. */
static struct mode mode_below(struct mode before, struct mode top)
{
    if (before.state != MODE_STRONG && top.state != MODE_STRONG)
        top.since = before.since;
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

static int change_one(struct exec *x, uint64_t nsid, struct mode top,
                      const uint8_t *mtime)
{
    struct directory directory = {0};
    int rc = exec_get_directory(x, nsid, &directory);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    directory.mode = mode_below(directory.mode, top);
    if (mtime != NULL)
        show_mtime(x, &directory, mtime);
    exec_put_directory(x, &directory);
    directory_release(&directory);
    return 0;
}

static int change_all(struct exec *x, const struct domain *below,
                      struct mode top, const uint8_t *mtimes)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < below->count; i++)
        rc = change_one(x, below->nsids[i], top,
                        mtimes == NULL ? NULL : mtimes + MTIME_SIZE * i);
    return rc;
}

int exec_change_below(struct exec *x, struct directory *directory,
                      struct slice mtimes, struct domain *ret)
{
    const uint8_t *mtime = mtimes.data;
    int rc = domain_list(x->state, directory->nsid, ret);

    if (rc != 0)
        return rc;
    if (mtimes.size == 0)
        return change_all(x, ret, directory->mode, NULL);
    if (mtimes.size != MTIME_SIZE * (1 + ret->count))
        return ERR_INVALID;
    show_mtime(x, directory, mtime);
    return change_all(x, ret, directory->mode, mtime + MTIME_SIZE);
}
