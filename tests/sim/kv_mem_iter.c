/* SPDX-License-Identifier: Apache-2.0 */

/* Iterators of the store in memory. One stands on a node whose version of its
 * moment cannot be dropped while the moment is open, so it stays valid
 * whatever is written. */

#include "tests/sim/kv_mem_impl.h"

#include <stdlib.h>

#include "raft/base/buf.h"
#include "raft/base/mem.h"

struct mem_iter {
    struct kv_iter iter;
    struct kv_mem *mem;
    struct moment moment;
    struct buf *lower;
    struct buf *upper;           /* empty: no bound */
    const struct mem_node *node; /* NULL: not valid */
    const struct mem_version *version;
    bool failed; /* at a spoilt key */
};

static struct slice slice_of(const struct buf *b)
{
    return (struct slice){b->data, b->size};
}

static struct mem_iter *iter_of(struct kv_iter *iter)
{
    return container_of(iter, struct mem_iter, iter);
}

static const struct mem_iter *iter_of_const(const struct kv_iter *iter)
{
    return (const void *)iter;
}

/* Whether the iterator may stand on `node`; if so it does. */
static bool iter_stand_on(struct mem_iter *i, const struct mem_node *node)
{
    i->node = NULL;
    i->version = mem_node_at(node, i->moment.sequence);
    if (i->version == NULL || i->version->value == NULL)
        return false;
    i->node = node;
    return true;
}

static bool is_spoilt(const struct kv_mem *mem, struct slice key)
{
    return mem->spoilt != '\0' && *(const char *)key.data == mem->spoilt;
}

static void iter_forward_from(struct mem_iter *i, const struct mem_node *node)
{
    i->node = NULL;
    i->failed = false;
    for (; node != NULL; node = mem_node_next(node)) {
        if (i->upper->size > 0 &&
            slice_compare(mem_node_key(node), slice_of(i->upper)) >= 0)
            return;
        i->failed = is_spoilt(i->mem, mem_node_key(node));
        if (i->failed || iter_stand_on(i, node))
            return;
    }
}

static void iter_seek(struct kv_iter *iter, struct slice key)
{
    struct mem_iter *i = iter_of(iter);
    struct slice lower = slice_of(i->lower);

    if (slice_compare(key, lower) < 0)
        key = lower;
    iter_forward_from(i, mem_map_find_from(&i->mem->map, key));
}

static void iter_seek_last(struct kv_iter *iter)
{
    struct mem_iter *i = iter_of(iter);
    const struct mem_node *node =
        i->upper->size > 0
            ? mem_map_find_before(&i->mem->map, slice_of(i->upper))
            : mem_map_last(&i->mem->map);

    i->node = NULL;
    while (node != NULL &&
           slice_compare(mem_node_key(node), slice_of(i->lower)) >= 0) {
        if (iter_stand_on(i, node))
            return;
        node = mem_map_find_before(&i->mem->map, mem_node_key(node));
    }
}

static void iter_next(struct kv_iter *iter)
{
    struct mem_iter *i = iter_of(iter);

    iter_forward_from(i, mem_node_next(i->node));
}

static bool iter_valid(const struct kv_iter *iter)
{
    return iter_of_const(iter)->node != NULL;
}

static struct slice iter_key(const struct kv_iter *iter)
{
    return mem_node_key(iter_of_const(iter)->node);
}

static struct slice iter_value(const struct kv_iter *iter)
{
    return slice_of(iter_of_const(iter)->version->value);
}

static int iter_status(const struct kv_iter *iter, struct err *e)
{
    return iter_of_const(iter)->failed ? err_set(e, ERR_CORRUPT, "spoilt") : 0;
}

static void iter_free(struct kv_iter *iter)
{
    struct mem_iter *i = iter_of(iter);

    TAILQ_REMOVE(&i->mem->moments, &i->moment, link);
    buf_unref(i->lower);
    buf_unref(i->upper);
    free(i);
}

static const struct kv_iter_ops iter_ops = {
    .free = iter_free,
    .seek = iter_seek,
    .seek_last = iter_seek_last,
    .next = iter_next,
    .valid = iter_valid,
    .key = iter_key,
    .value = iter_value,
    .status = iter_status,
};

struct kv_iter *kv_mem_iter_new(struct kv *kv,
                                const struct kv_snapshot *snapshot,
                                struct slice lower, struct slice upper)
{
    const struct mem_snapshot *s = (const void *)snapshot;
    struct mem_iter *i = mem_zalloc(sizeof *i);

    i->iter.ops = &iter_ops;
    i->mem = container_of(kv, struct kv_mem, kv);
    i->lower = buf_copy(lower.data, lower.size);
    i->upper = buf_copy(upper.data, upper.size);
    kv_mem_moment_open(i->mem, &i->moment,
                       s == NULL ? i->mem->sequence : s->moment.sequence);
    return &i->iter;
}
