/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/catalog.h"

#include "engine/keys.h"

enum { PATH_DEPTH_MAX = 4096 };

int catalog_get(struct kv *state, const struct kv_snapshot *snapshot,
                uint64_t nsid, struct directory *ret)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = directory_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

int catalog_find(struct kv *state, const struct kv_snapshot *snapshot,
                 uint64_t parent, struct slice name, uint64_t *ret_nsid)
{
    struct key key = key_directory_name(parent, name);
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    if (value.size == 8)
        *ret_nsid = be64_get(value.data);
    else
        rc = ERR_CORRUPT;
    kv_value_release(&value);
    return rc;
}

int catalog_has_child(struct kv *state, uint64_t nsid, bool *ret)
{
    struct slice none = {NULL, 0};
    struct key lower = key_directory_name(nsid, none);
    struct key upper = key_directory_name(nsid + 1, none);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    int rc;

    kv_iter_seek(iter, key_slice(&lower));
    *ret = kv_iter_valid(iter);
    rc = *ret ? 0 : kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

int catalog_is_below(struct kv *state, uint64_t nsid, uint64_t ancestor,
                     bool *ret)
{
    for (int depth = 0; depth < PATH_DEPTH_MAX && nsid != 0; depth++) {
        struct directory directory = {0};
        int rc;

        if (nsid == ancestor) {
            *ret = true;
            return 0;
        }
        rc = catalog_get(state, NULL, nsid, &directory);
        if (rc != 0)
            return rc;
        nsid = directory.parent;
        directory_release(&directory);
    }
    *ret = false;
    return nsid == 0 ? 0 : ERR_INVALID;
}
