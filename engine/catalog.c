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

/* ---- what is in a directory ---- */

static struct kv_iter *iter_children(struct kv *state, uint64_t nsid,
                                     struct slice from)
{
    struct slice none = {NULL, 0};
    struct key lower = key_directory_name(nsid, from);
    struct key upper = key_directory_name(nsid + 1, none);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));

    kv_iter_seek(iter, key_slice(&lower));
    return iter;
}

int catalog_has_child(struct kv *state, uint64_t nsid, bool *ret)
{
    struct slice none = {NULL, 0};
    struct kv_iter *iter = iter_children(state, nsid, none);
    int rc;

    *ret = kv_iter_valid(iter);
    rc = *ret ? 0 : kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

int catalog_visit(struct kv *state, uint64_t nsid, struct slice from,
                  bool (*visit)(void *context, struct slice name,
                                uint64_t nsid),
                  void *context)
{
    struct kv_iter *iter = iter_children(state, nsid, from);
    bool goes_on = true;
    int rc = 0;

    for (; rc == 0 && goes_on && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice child = kv_iter_value(iter);
        struct slice name;
        uint64_t parent;

        if (!key_parse_directory_name(kv_iter_key(iter), &parent, &name) ||
            child.size != 8)
            rc = ERR_CORRUPT;
        else
            goes_on = visit(context, name, be64_get(child.data));
    }
    if (rc == 0 && goes_on)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* ---- where a directory is ---- */

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
