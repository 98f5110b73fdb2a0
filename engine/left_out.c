/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/left_out.h"

#include <assert.h>

#include "engine/keys.h"

/* ---- in memory ---- */

/* Where it is, or `count`. */
static size_t find(const struct left_out *left_out, uint64_t node)
{
    size_t at = 0;

    while (at < left_out->count && left_out->of[at].node != node)
        at++;
    return at;
}

void left_out_add(struct left_out *left_out, uint64_t node, uint64_t sequence)
{
    size_t at = left_out->count;

    assert(at < NODES_MAX);
    assert(node != 0 && !left_out_is_of(left_out, node));

    for (; at > 0 && left_out->of[at - 1].node > node; at--)
        left_out->of[at] = left_out->of[at - 1];
    left_out->of[at].node = node;
    left_out->of[at].sequence = sequence;
    left_out->count++;
}

bool left_out_remove(struct left_out *left_out, uint64_t node)
{
    size_t at = find(left_out, node);

    if (at == left_out->count)
        return false;
    left_out->count--;
    for (; at < left_out->count; at++)
        left_out->of[at] = left_out->of[at + 1];
    return true;
}

bool left_out_is_of(const struct left_out *left_out, uint64_t node)
{
    return find(left_out, node) < left_out->count;
}

bool left_out_has(const struct left_out *left_out, uint64_t origin,
                  uint64_t sequence)
{
    size_t at = find(left_out, origin);

    return at < left_out->count && sequence > left_out->of[at].sequence;
}

/* ---- in state/ ---- */

int left_out_get(struct kv *state, uint64_t nsid, uint64_t since,
                 struct left_out *ret)
{
    struct key key = key_left_out(nsid, since);
    struct kv_value value = {0};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc == ERR_NOT_FOUND)
        *ret = (struct left_out){.count = 0};
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    rc = left_out_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

void left_out_put(struct kv_batch *batch, uint64_t nsid, uint64_t since,
                  const struct left_out *left_out)
{
    struct key key = key_left_out(nsid, since);
    struct buf *bytes;

    if (left_out->count == 0) {
        kv_batch_delete(batch, key_slice(&key));
        return;
    }
    bytes = left_out_encode(left_out);
    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

static struct kv_iter *iter_from(struct kv *state, uint64_t nsid,
                                 uint64_t since)
{
    struct key lower = key_left_out(nsid, since);
    struct key upper = key_left_out(UINT64_MAX, UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));

    kv_iter_seek(iter, key_slice(&lower));
    return iter;
}

int left_out_next(struct kv *state, uint64_t nsid, uint64_t since,
                  uint64_t *ret_nsid, uint64_t *ret_since)
{
    struct kv_iter *iter = iter_from(state, nsid, since);
    int rc = kv_iter_status(iter, NULL);

    if (rc == 0 &&
        (!kv_iter_valid(iter) ||
         !key_parse_left_out(kv_iter_key(iter), ret_nsid, ret_since)))
        rc = ERR_NOT_FOUND;
    kv_iter_free(iter);
    return rc;
}

/* Where `iter` is. */
static int forget_at(struct kv_batch *batch, const struct kv_iter *iter,
                     uint64_t node)
{
    struct left_out left_out;
    uint64_t nsid;
    uint64_t since;
    int rc = left_out_decode(&left_out, kv_iter_value(iter));

    if (rc != 0 || !key_parse_left_out(kv_iter_key(iter), &nsid, &since))
        return rc != 0 ? rc : ERR_CORRUPT;
    if (left_out_remove(&left_out, node))
        left_out_put(batch, nsid, since, &left_out);
    return 0;
}

int left_out_forget(struct kv *state, struct kv_batch *batch, uint64_t node)
{
    struct kv_iter *iter = iter_from(state, 0, 0);
    int rc = 0;

    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter))
        rc = forget_at(batch, iter, node);
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}
