/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/quarantine.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/key_path.h"
#include "engine/keys.h"
#include "engine/left_out.h"
#include "engine/range.h"
#include "raft/base/log.h"

enum { BATCH_BYTES = 1024 * 1024 };

static struct slice value_slice(const struct kv_value *value)
{
    return (struct slice){value->data, value->size};
}

/* ---- reading ---- */

static struct kv_iter *iter_from(struct kv *state, uint64_t number)
{
    struct key lower = key_quarantined(number);
    struct key upper = key_quarantined(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));

    kv_iter_seek(iter, key_slice(&lower));
    return iter;
}

static int count_anew(struct kv *state, struct quarantine_head *ret)
{
    struct kv_iter *iter = iter_from(state, 0);
    struct quarantine_head head = {0};
    int rc;

    for (; kv_iter_valid(iter); kv_iter_next(iter))
        if (key_parse_sequence(kv_iter_key(iter), 'q', &head.last))
            head.count++;
    rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    if (rc == 0)
        *ret = head;
    return rc;
}

int quarantine_head_get(struct kv *state, struct quarantine_head *ret)
{
    struct key key = key_quarantine_head();
    struct kv_value value = {0};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc == ERR_NOT_FOUND)
        *ret = (struct quarantine_head){0};
    else if (rc == 0)
        rc = quarantine_head_decode(ret, value_slice(&value));
    kv_value_release(&value);
    if (rc == ERR_CORRUPT || rc == ERR_VERSION)
        return count_anew(state, ret);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int quarantine_get(struct kv *state, uint64_t number, struct quarantined *ret)
{
    struct key key = key_quarantined(number);
    struct kv_value value = {0};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = quarantined_decode(ret, value_slice(&value));
    kv_value_release(&value);
    if (rc == 0)
        ret->number = number;
    return rc;
}

int quarantine_next(struct kv *state, uint64_t from, uint64_t *ret_number)
{
    struct kv_iter *iter = iter_from(state, from);
    int rc = kv_iter_status(iter, NULL);

    if (rc == 0 && (!kv_iter_valid(iter) ||
                    !key_parse_sequence(kv_iter_key(iter), 'q', ret_number)))
        rc = ERR_NOT_FOUND;
    kv_iter_free(iter);
    return rc;
}

/* ---- who was left out ---- */

/* Of a life: nobody where this node was not. Of a record that cannot be read
 * what this node has accepted counts: to keep too much loses nothing. */
static int left_out_with(struct kv *state, uint64_t node, uint64_t nsid,
                         uint64_t since, struct left_out *ret)
{
    int rc = left_out_get(state, nsid, since, ret);

    if (rc == ERR_CORRUPT || rc == ERR_VERSION) {
        *ret = (struct left_out){.count = 0};
        left_out_add(ret, node, 0);
        return 0;
    }
    if (rc == 0 && !left_out_is_of(ret, node))
        *ret = (struct left_out){.count = 0};
    return rc;
}

int quarantine_last_life(struct kv *state, uint64_t node, uint64_t nsid,
                         uint64_t since, uint64_t *ret_since)
{
    uint64_t of_nsid = nsid;
    uint64_t life = 0;
    uint64_t last = 0;
    int rc;

    while ((rc = left_out_next(state, nsid, life, &of_nsid, &life)) == 0 &&
           of_nsid == nsid && life <= since) {
        struct left_out left_out;

        rc = left_out_with(state, node, nsid, life, &left_out);
        if (rc != 0)
            return rc;
        if (left_out.count > 0)
            last = life;
        life++;
    }
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    *ret_since = last;
    return 0;
}

/* ---- putting ---- */

/* The path of a record as a text to be freed. */
static int path_of(struct kv *state, const struct eventual_record *record,
                   char **ret, size_t *ret_size)
{
    struct key key = key_user('v', record->dir, record->name);
    FILE *out = open_memstream(ret, ret_size);

    if (out == NULL)
        return ERR_NO_MEMORY;
    key_path_print(out, state, key_user_part(&key));
    if (fclose(out) == 0)
        return 0;
    free(*ret);
    return ERR_NO_MEMORY;
}

static int put_item(struct kv *state, struct kv_batch *batch,
                    const struct eventual_record *record,
                    struct quarantine_head *head)
{
    struct key key = key_quarantined(head->last + 1);
    struct buf *bytes;
    char *path = NULL;
    size_t size = 0;
    int rc = path_of(state, record, &path, &size);

    if (rc != 0)
        return rc;
    bytes = quarantined_encode((struct slice){path, size}, record);
    free(path);
    if (bytes == NULL)
        return ERR_NO_MEMORY;
    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
    head->last++;
    head->count++;
    return 0;
}

static void put_head(struct kv_batch *batch, const struct quarantine_head *head)
{
    struct key key = key_quarantine_head();
    struct buf *bytes = quarantine_head_encode(head);

    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

int quarantine_take(struct kv *state, struct kv_batch *batch, uint64_t node,
                    const struct eventual_record *record, bool *ret)
{
    struct quarantine_head head;
    struct left_out left_out;
    int rc = left_out_with(state, node, record->dir, record->since, &left_out);
    bool keeps;

    if (rc != 0)
        return rc;
    keeps = left_out_has(&left_out, record->origin, record->sequence);
    if (keeps) {
        rc = quarantine_head_get(state, &head);
        if (rc == 0)
            rc = put_item(state, batch, record, &head);
        if (rc == 0)
            put_head(batch, &head);
    }
    if (rc == 0)
        *ret = keeps;
    return rc;
}

/* ---- moving all of a life ---- */

struct keeping {
    struct kv *state;
    struct kv_batch *batch;
    uint64_t node;
    uint64_t nsid;
    uint64_t since;           /* the last life that is over */
    uint64_t life;            /* that was looked at last; 0: none yet */
    struct left_out left_out; /* of that */
    struct quarantine_head head;
    struct quarantine_kept kept;
};

static int write_batch(struct keeping *k)
{
    int rc;

    if (kv_batch_count(k->batch) == 0)
        return 0;
    put_head(k->batch, &k->head);
    rc = kv_write(k->state, k->batch, KV_RELAXED, NULL);
    kv_batch_clear(k->batch);
    return rc;
}

static int is_to_be_kept(struct keeping *k,
                         const struct eventual_record *record, bool *ret)
{
    int rc = 0;

    *ret = false;
    if (record->since > k->since)
        return 0;
    if (record->since != k->life)
        rc = left_out_with(k->state, k->node, k->nsid, record->since,
                           &k->left_out);
    if (rc != 0)
        return rc;
    k->life = record->since;
    *ret = left_out_has(&k->left_out, record->origin, record->sequence);
    return 0;
}

/* Reads it once more, with its content. */
static int move(struct keeping *k, const struct eventual_record *entry)
{
    struct eventual_record record = {0};
    int rc =
        eventual_get(k->state, NULL, entry->dir, entry->name, true, &record);

    if (rc == 0)
        rc = put_item(k->state, k->batch, &record, &k->head);
    if (rc == 0) {
        eventual_delete(k->batch, &record);
        k->kept.moved_count++;
    }
    eventual_release(&record);
    if (rc == 0 && kv_batch_size_bytes(k->batch) >= BATCH_BYTES)
        rc = write_batch(k);
    return rc;
}

/* ERR_CORRUPT: it stays. */
static int keep_entry(struct keeping *k, const struct kv_iter *iter)
{
    struct eventual_record entry = {0};
    bool keeps = false;
    int rc = eventual_read_at(iter, &entry);

    if (rc != 0)
        return rc;
    rc = is_to_be_kept(k, &entry, &keeps);
    if (rc == 0 && keeps)
        rc = move(k, &entry);
    eventual_release(&entry);
    return rc;
}

static int keep_entries(struct keeping *k)
{
    struct key lower = key_user('v', k->nsid, slice_of(""));
    struct key upper = key_behind_namespace('v', k->nsid);
    struct kv_iter *iter =
        kv_iter_new(k->state, NULL, key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        rc = keep_entry(k, iter);
        if (rc == ERR_CORRUPT) {
            k->kept.unread_count++;
            rc = 0;
        }
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    if (rc != ERR_CORRUPT)
        return rc;
    k->kept.unread_count++; /* At least. */
    return 0;
}

static void say_what_was_kept(const struct keeping *k)
{
    if (k->kept.moved_count > 0)
        log_line(LOG_WARN, "quarantine",
                 "namespace=%" PRIu64 " was made strong without this node: "
                 "%" PRIu64 " changes that the others did not know of are in "
                 "quarantine now",
                 k->nsid, k->kept.moved_count);
    if (k->kept.unread_count > 0)
        log_line(LOG_ERROR, "quarantine",
                 "namespace=%" PRIu64 " was made strong without this node: "
                 "%" PRIu64 " entries or more cannot be read",
                 k->nsid, k->kept.unread_count);
}

static int keep_all(struct keeping *k)
{
    int rc = quarantine_head_get(k->state, &k->head);

    if (rc == 0)
        rc = keep_entries(k);
    if (rc == 0)
        rc = write_batch(k);
    if (rc != ERR_CORRUPT)
        return rc;
    k->kept.unread_count++; /* Nobody can tell which numbers are free. */
    return 0;
}

int quarantine_keep(struct kv *state, uint64_t node, uint64_t nsid,
                    uint64_t since, struct quarantine_kept *ret)
{
    struct keeping k = {.state = state, .node = node, .nsid = nsid};
    int rc = quarantine_last_life(state, node, nsid, since, &k.since);

    if (rc == ERR_CORRUPT)
        k.since = since; /* Each may have left it out. */
    else if (rc != 0)
        return rc;
    rc = 0;
    if (k.since > 0) {
        k.batch = kv_batch_new(state);
        rc = keep_all(&k);
        kv_batch_free(k.batch);
    }
    if (rc != 0)
        return rc;
    say_what_was_kept(&k);
    *ret = k.kept;
    return 0;
}

/* ---- dropping ---- */

/* Also one that cannot be read. */
int quarantine_drop(struct kv *state, uint64_t number)
{
    struct key key = key_quarantined(number);
    struct quarantine_head head = {0};
    struct kv_value value = {0};
    struct kv_batch *batch;
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    kv_value_release(&value);
    if (rc == 0)
        rc = quarantine_head_get(state, &head);
    if (rc != 0)
        return rc;
    if (head.count > 0)
        head.count--;
    batch = kv_batch_new(state);
    kv_batch_delete(batch, key_slice(&key));
    put_head(batch, &head);
    rc = kv_write(state, batch, KV_RELAXED, NULL);
    kv_batch_free(batch);
    return rc;
}
