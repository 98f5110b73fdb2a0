/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_entry.h"

#include "engine/content.h"
#include "engine/keys.h"

static bool read_content(struct kv *state, struct place place,
                         const struct entry *entry, struct buf **ret)
{
    struct buf *b = buf_new((size_t)entry->attr.size);
    size_t size = 0;

    if (content_read(state, NULL, place, entry, 0, b->size, b->data, &size) !=
            0 ||
        size != b->size) {
        buf_unref(b);
        return false;
    }
    *ret = b;
    return true;
}

bool sim_entry_get(const struct sim_node *node, uint64_t dir, struct slice name,
                   struct entry *ret, struct buf **ret_content)
{
    struct kv *state = node->env->env.state;
    struct key key = key_user('d', dir, name);
    struct kv_value value = {0};
    bool found = kv_get(state, NULL, key_slice(&key), &value) == 0 &&
                 entry_decode(ret, (struct slice){value.data, value.size}) == 0;

    kv_value_release(&value);
    if (!found)
        return false;
    if (ret->kind != ENTRY_FILE ||
        !read_content(state, place_of(dir, name, ret), ret, ret_content)) {
        entry_release(ret);
        return false;
    }
    return true;
}
