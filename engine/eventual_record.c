/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/eventual_record.h"

#include <assert.h>
#include <string.h>

#include "engine/keys.h"
#include "engine/range.h"

static struct slice value_slice(const struct kv_value *value)
{
    return (struct slice){value->data, value->size};
}

/* Nobody but this program has written state/. */
static int of_state(int rc)
{
    return rc == ERR_VERSION ? ERR_CORRUPT : rc;
}

/* ---- entries ---- */

int eventual_compare(const struct eventual_record *a,
                     const struct eventual_record *b)
{
    if (a->hlc != b->hlc)
        return a->hlc < b->hlc ? -1 : 1;
    if (a->origin != b->origin)
        return a->origin < b->origin ? -1 : 1;
    return 0;
}

bool eventual_is_conflict(const struct eventual_record *a,
                          const struct eventual_record *b)
{
    bool a_is_newer = eventual_compare(a, b) > 0;
    const struct eventual_record *newer = a_is_newer ? a : b;
    const struct eventual_record *older = a_is_newer ? b : a;

    return a->origin != b->origin && !(a->removed && b->removed) &&
           newer->known < older->hlc;
}

static int copy_part(struct slice content, uint64_t offset, uint64_t size,
                     struct buf **ret)
{
    uint64_t left = content.size > offset ? content.size - offset : 0;
    struct buf *b = buf_new((size_t)(left < size ? left : size));

    if (b == NULL)
        return ERR_NO_MEMORY;
    if (b->size > 0)
        memcpy(b->data, (const uint8_t *)content.data + offset, b->size);
    *ret = b;
    return 0;
}

int eventual_get_content(struct kv *state, const struct kv_snapshot *snapshot,
                         const struct eventual_record *record, uint64_t offset,
                         uint64_t size, struct buf **ret)
{
    struct key key = key_user('w', record->dir, record->name);
    struct kv_value value = {0};
    int rc;

    if (!eventual_is_large(record))
        return copy_part(record->content, offset, size, ret);
    rc = kv_get(state, snapshot, key_slice(&key), &value);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    if (value.size != record->attr.size)
        rc = ERR_CORRUPT;
    else
        rc = copy_part(value_slice(&value), offset, size, ret);
    kv_value_release(&value);
    return rc;
}

static int get_entry(struct kv *state, const struct kv_snapshot *snapshot,
                     uint64_t dir, struct slice name,
                     struct eventual_record *ret)
{
    struct key key = key_user('v', dir, name);
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = of_state(eventual_decode_entry(ret, value_slice(&value)));
    kv_value_release(&value);
    if (rc != 0)
        return rc;
    if (ret->dir != dir || !slice_equal(ret->name, name)) {
        eventual_release(ret);
        return ERR_CORRUPT;
    }
    return 0;
}

int eventual_add_content(struct kv *state, const struct kv_snapshot *snapshot,
                         struct eventual_record *record)
{
    int rc;

    if (!eventual_is_large(record))
        return 0;
    rc = eventual_get_content(state, snapshot, record, 0, record->attr.size,
                              &record->held_other);
    if (rc == 0)
        record->content = buf_slice(record->held_other);
    return rc;
}

static int get_whole(struct kv *state, const struct kv_snapshot *snapshot,
                     uint64_t dir, struct slice name,
                     struct eventual_record *ret)
{
    int rc = get_entry(state, snapshot, dir, name, ret);

    if (rc != 0)
        return rc;
    rc = eventual_add_content(state, snapshot, ret);
    if (rc != 0)
        eventual_release(ret);
    return rc;
}

int eventual_get(struct kv *state, const struct kv_snapshot *snapshot,
                 uint64_t dir, struct slice name, bool content,
                 struct eventual_record *ret)
{
    struct kv_snapshot *moment;
    int rc;

    if (content && snapshot != NULL)
        return get_whole(state, snapshot, dir, name, ret);
    rc = get_entry(state, snapshot, dir, name, ret);
    if (rc != 0 || !content || !eventual_is_large(ret))
        return rc;

    /* Entry and content are of one moment. */
    eventual_release(ret);
    moment = kv_snapshot_new(state);
    rc = get_whole(state, moment, dir, name, ret);
    kv_snapshot_free(moment);
    return rc;
}

static void put_content(struct kv_batch *batch,
                        const struct eventual_record *record,
                        const struct eventual_record *old)
{
    struct key key = key_user('w', record->dir, record->name);

    if (!record->removed && eventual_is_large(record)) {
        assert(record->content.size == record->attr.size);
        kv_batch_put(batch, key_slice(&key), record->content);
    } else if (old != NULL && !old->removed && eventual_is_large(old)) {
        kv_batch_delete(batch, key_slice(&key));
    }
}

static void put_removed(struct kv_batch *batch,
                        const struct eventual_record *record,
                        const struct eventual_record *old)
{
    struct key key;

    if (old != NULL && old->removed) {
        key = key_eventual_removed(old->hlc, old->dir, old->name);
        kv_batch_delete(batch, key_slice(&key));
    }
    if (record->removed) {
        key = key_eventual_removed(record->hlc, record->dir, record->name);
        kv_batch_put(batch, key_slice(&key), slice_of(""));
    }
}

void eventual_put(struct kv_batch *batch, const struct eventual_record *record,
                  const struct eventual_record *old)
{
    struct key key = key_user('v', record->dir, record->name);
    struct key change = key_eventual_change(record->local);
    struct buf *bytes = eventual_encode_entry(record);

    assert(record->local != 0);
    if (old != NULL) {
        struct key old_change = key_eventual_change(old->local);

        assert(old->dir == record->dir);
        assert(slice_equal(old->name, record->name));
        kv_batch_delete(batch, key_slice(&old_change));
    }
    put_removed(batch, record, old);
    kv_batch_put(batch, key_slice(&change), key_user_part(&key));
    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    put_content(batch, record, old);
    buf_unref(bytes);
}

int eventual_read_at(const struct kv_iter *iter, struct eventual_record *ret)
{
    struct slice name;
    uint64_t nsid;
    int rc = of_state(eventual_decode_entry(ret, kv_iter_value(iter)));

    if (rc != 0)
        return rc;
    if (key_parse_user(kv_iter_key(iter), 'v', &nsid, &name) &&
        ret->dir == nsid && slice_equal(ret->name, name))
        return 0;
    eventual_release(ret);
    return ERR_CORRUPT;
}

void eventual_delete(struct kv_batch *batch,
                     const struct eventual_record *record)
{
    struct key key = key_user('v', record->dir, record->name);
    struct key content = key_user('w', record->dir, record->name);
    struct key removed =
        key_eventual_removed(record->hlc, record->dir, record->name);

    kv_batch_delete(batch, key_slice(&key));
    kv_batch_delete(batch, key_slice(&content));
    if (record->removed)
        kv_batch_delete(batch, key_slice(&removed));
}

void eventual_delete_removed(struct kv_batch *batch,
                             const struct eventual_record *record)
{
    struct key key = key_user('v', record->dir, record->name);
    struct key change = key_eventual_change(record->local);
    struct key removed =
        key_eventual_removed(record->hlc, record->dir, record->name);

    assert(record->removed);

    kv_batch_delete(batch, key_slice(&key));
    kv_batch_delete(batch, key_slice(&change));
    kv_batch_delete(batch, key_slice(&removed));
}

/* ---- the others ---- */

/* Takes `bytes`. */
static void put(struct kv_batch *batch, struct key key, struct buf *bytes)
{
    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

int eventual_namespace_get(struct kv *state, const struct kv_snapshot *snapshot,
                           uint64_t nsid, struct eventual_namespace *ret)
{
    struct key key = key_eventual_namespace(nsid);
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc == ERR_NOT_FOUND)
        *ret = (struct eventual_namespace){.has_digest = true};
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    rc = of_state(eventual_namespace_decode(ret, value_slice(&value)));
    kv_value_release(&value);
    return rc;
}

void eventual_namespace_put(struct kv_batch *batch, uint64_t nsid,
                            const struct eventual_namespace *record)
{
    put(batch, key_eventual_namespace(nsid), eventual_namespace_encode(record));
}

/* `value` is what a get has found with `rc`, and is released. */
static int take_head(int rc, struct kv_value *value, struct eventual_head *ret)
{
    if (rc == ERR_NOT_FOUND)
        *ret = (struct eventual_head){0};
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    rc = of_state(eventual_head_decode(ret, value_slice(value)));
    kv_value_release(value);
    return rc;
}

int eventual_head_get(struct kv *state, struct eventual_head *ret)
{
    struct key key = key_eventual_head();
    struct kv_value value = {0};

    return take_head(kv_get(state, NULL, key_slice(&key), &value), &value, ret);
}

int eventual_head_get_durable(struct kv *state, struct eventual_head *ret)
{
    struct key key = key_eventual_head();
    struct kv_value value = {0};

    return take_head(kv_get_durable(state, key_slice(&key), &value), &value,
                     ret);
}

void eventual_head_put(struct kv_batch *batch, const struct eventual_head *head)
{
    put(batch, key_eventual_head(), eventual_head_encode(head));
}

static int take_peer(int rc, struct kv_value *value, struct eventual_peer *ret)
{
    if (rc == ERR_NOT_FOUND)
        *ret = (struct eventual_peer){0};
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    rc = of_state(eventual_peer_decode(ret, value_slice(value)));
    kv_value_release(value);
    if (rc == ERR_CORRUPT)
        *ret = (struct eventual_peer){0};
    return rc == ERR_CORRUPT ? 0 : rc;
}

int eventual_peer_get(struct kv *state, uint64_t node,
                      struct eventual_peer *ret)
{
    struct key key = key_eventual_peer(node);
    struct kv_value value = {0};

    return take_peer(kv_get(state, NULL, key_slice(&key), &value), &value, ret);
}

int eventual_peer_get_durable(struct kv *state, uint64_t node,
                              struct eventual_peer *ret)
{
    struct key key = key_eventual_peer(node);
    struct kv_value value = {0};

    return take_peer(kv_get_durable(state, key_slice(&key), &value), &value,
                     ret);
}

void eventual_peer_put(struct kv_batch *batch, uint64_t node,
                       const struct eventual_peer *peer)
{
    put(batch, key_eventual_peer(node), eventual_peer_encode(peer));
}
