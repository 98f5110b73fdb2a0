/* SPDX-License-Identifier: Apache-2.0 */

/* Modes in the catalog: with a directory change those below it that have their
 * mode from where it has its own (domain.h). */

#include "engine/exec.h"

/* Each one has a life of its own while it is eventual. */
static struct mode mode_below(struct mode before, struct mode top)
{
    if (before.state != MODE_STRONG && top.state != MODE_STRONG)
        top.since = before.since;
    return top;
}

static int change_one(struct exec *x, uint64_t nsid, struct mode top)
{
    struct directory directory = {0};
    int rc = exec_get_directory(x, nsid, &directory);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    directory.mode = mode_below(directory.mode, top);
    exec_put_directory(x, &directory);
    directory_release(&directory);
    return 0;
}

int exec_change_below(struct exec *x, uint64_t nsid, struct mode top,
                      struct domain *ret)
{
    int rc = domain_list(x->state, nsid, ret);

    for (size_t i = 0; rc == 0 && i < ret->count; i++)
        rc = change_one(x, ret->nsids[i], top);
    return rc;
}
