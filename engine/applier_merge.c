/* SPDX-License-Identifier: Apache-2.0 */

/* The entries of a merge: see merge_change.h. All but one only change the
 * region's descriptor. With that one everything that state/ has of the source
 * becomes the target's, and as most of it lies there by its key, what is left
 * to do is little: the namespace that both have a part of, and what is
 * remembered of senders. */

#include "engine/applier_impl.h"
#include "engine/erase.h"
#include "engine/region_state.h"
#include "engine/snapshot.h"

/* ---- the namespace on both sides ---- */

static int get_part(const struct applier *applier, struct key key,
                    struct namespace_record *ret)
{
    struct kv_value value = {0};
    int rc = kv_get(applier->env->state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = namespace_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_held(const struct namespace_record *part)
{
    return part->closing.id.node != 0 || part->opening.id.node != 0;
}

/* A transaction comes to the parts of a namespace from left to right, when it
 * prepares them and when it resolves them. If it holds only the right one, it
 * has resolved the left one and does not come back there: the whole is held no
 * more. If it has closed only the left one, it comes to the rest of the whole
 * next. A right one that is open shows that the directory is there to stay. */
static void add_part(struct namespace_record *left,
                     const struct namespace_record *right)
{
    left->entry_count += right->entry_count; /* modulo 2^64 */
    left->mtime_ns = later(left->mtime_ns, right->mtime_ns);
    left->ctime_ns = later(left->ctime_ns, right->ctime_ns);
    if (left->version < right->version)
        left->version = right->version;
    if (right->opening.id.node == 0) {
        left->opening = (struct txn_ref){0};
        left->reopened = false;
    }
}

/* The left one is opened for a directory that becomes strong again, and the
 * right one is still held by an earlier transaction: that is through with the
 * left one, or it could not be opened anew. */
static bool is_overtaken(const struct namespace_record *left,
                         const struct namespace_record *right)
{
    return left->reopened && is_held(right) &&
           !txn_id_equal(left->opening.id, right->opening.id);
}

enum united { UNITED_BOTH, UNITED_LEFT, UNITED_NONE };

/* What both are together, into `left`. What has deleted the left one was to
 * delete the right one, too. */
static enum united unite(struct namespace_record *left, bool has_left,
                         const struct namespace_record *right)
{
    if (has_left && is_overtaken(left, right))
        return UNITED_LEFT;
    if (has_left)
        add_part(left, right);
    else if (!is_held(right))
        *left = *right;
    else
        return UNITED_NONE;
    return UNITED_BOTH;
}

/* What nobody holds has no mark. */
static int unmark(struct applier *applier, uint64_t nsid,
                  const struct region *whole)
{
    struct key lower = key_namespace(nsid, whole->start);
    struct key upper;
    struct kv_iter *iter;
    int rc;

    lower.data[0] = 'x';
    if (key_next_part(nsid, whole->end, &upper))
        upper.data[0] = 'x';
    else
        upper = key_behind_namespace('x', nsid);
    iter = kv_iter_new(applier->env->state, NULL, key_slice(&lower),
                       key_slice(&upper));
    for (kv_iter_seek(iter, key_slice(&lower)); kv_iter_valid(iter);
         kv_iter_next(iter))
        if (key_parse_namespace_mark(kv_iter_key(iter), &nsid))
            kv_batch_delete(applier->batch, kv_iter_key(iter));
    rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* What a transaction has brought into a part that does not stay, or from it. */
static void delete_content(struct applier *applier, uint64_t nsid,
                           struct key right_key, const struct region *whole)
{
    struct key upper;

    right_key.data[0] = 'd';
    if (!key_next_part(nsid, whole->end, &upper))
        upper = key_behind_namespace('d', nsid);
    kv_batch_delete_range(applier->batch, key_slice(&right_key),
                          key_slice(&upper));
}

/* `*ret` stays NULL when there is nothing to be left. */
static int unite_parts(struct applier *applier, struct key left_key,
                       struct key right_key, const struct region *whole,
                       struct buf **ret)
{
    struct namespace_record left = {0};
    struct namespace_record right = {0};
    struct namespace_record united;
    int rc = get_part(applier, right_key, &right);

    if (rc != 0)
        return rc;
    rc = get_part(applier, left_key, &left);
    if (rc == 0 || rc == ERR_NOT_FOUND) {
        enum united what;

        united = left;
        what = unite(&united, rc == 0, &right);
        rc = what != UNITED_NONE && is_held(&united)
                 ? 0
                 : unmark(applier, right.nsid, whole);
        if (rc == 0 && what != UNITED_NONE)
            *ret = namespace_encode(&united);
        if (rc == 0 && what != UNITED_BOTH)
            delete_content(applier, right.nsid, right_key, whole);
    }
    namespace_release(&left);
    namespace_release(&right);
    return rc;
}

/* The boundary between them may cut a namespace in two: key_namespace(). */
static int join_namespace(struct applier *applier, struct slice boundary,
                          const struct region *whole, bool only_replica)
{
    const uint8_t *bytes = boundary.data;
    struct slice name = {bytes + KEY_NSID_SIZE, boundary.size - KEY_NSID_SIZE};
    uint64_t nsid = be64_get(bytes);
    struct key left = key_namespace(nsid, whole->start);
    struct key right = key_user('n', nsid, name);
    struct buf *part = NULL;
    int rc;

    if (name.size == 0)
        return 0;
    rc = unite_parts(applier, left, right, whole, &part);
    if (applier_is_damage(rc) && only_replica) {
        part = buf_copy("", 0); /* As unreadable as it was. */
        rc = 0;
    }
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (part != NULL)
        applier_put(applier, left, part);
    kv_batch_delete(applier->batch, key_slice(&right));
    return 0;
}

/* ---- the source ---- */

/* Its own records, but not what lies in its range. */
static void forget_source(struct applier *applier, uint64_t source,
                          const struct marker *marker)
{
    struct tombstone tombstone = {TOMBSTONE_OF_ALL, marker->index,
                                  marker->term};
    const struct region region = {.id = source};
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t count = snapshot_own_ranges(&region, ranges);
    struct key key = key_tombstone(source);
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = tombstone_encode(&tombstone, bytes);

    for (size_t i = 0; i < count; i++)
        kv_batch_delete_range(applier->batch, key_slice(&ranges[i].begin),
                              key_slice(&ranges[i].end));
    kv_batch_put(applier->batch, key_slice(&key), (struct slice){bytes, size});
}

/* What the only replica has lost is lost. */
static int forgive(const struct range_merge *merge, int rc)
{
    if (rc == ERR_NOT_FOUND)
        rc = ERR_CORRUPT; /* It was seen to be there. */
    return applier_is_damage(rc) && merge->only_replica ? 0 : rc;
}

static int take_source(struct applier *applier, const struct range_merge *merge,
                       uint64_t *version)
{
    struct slice boundary =
        merge->source_is_left ? applier->range.start : applier->range.end;
    struct marker marker = {0};
    int rc = forgive(merge, region_state_marker(applier->env->state, NULL,
                                                merge->source, &marker));

    if (rc == 0)
        rc = join_namespace(applier, boundary, &merge->region,
                            merge->only_replica);
    if (rc == 0)
        rc = forgive(merge, results_unite(applier->results, merge->source,
                                          applier->batch));
    if (rc != 0)
        return rc;
    forget_source(applier, merge->source, &marker);
    if (*version < marker.version)
        *version = marker.version;
    return 0;
}

/* ---- the entry ---- */

int applier_merge(struct applier *applier, const struct raft_entry *entry,
                  const struct range_merge *merge, int status,
                  struct buf **ret_result)
{
    uint64_t version = applier->marker.version;
    int rc = 0;

    if (applier->corrupt)
        return ERR_CORRUPT;
    if (merge != NULL && merge->source != 0)
        rc = take_source(applier, merge, &version);
    if (rc != 0) {
        kv_batch_clear(applier->batch);
        applier->corrupt = applier_is_damage(rc);
        return applier->corrupt ? ERR_CORRUPT
                                : applier_fail(applier, entry, rc);
    }
    if (merge != NULL) {
        applier_put(applier, key_region(applier->region_id),
                    region_encode(&merge->region));
        applier_follow(applier, &merge->region);
    }
    (void)applier_answer(status, ret_result);
    return applier_finish(applier, entry, version);
}

int applier_lacks_source(struct applier *applier)
{
    applier->corrupt = true;
    return ERR_CORRUPT;
}
