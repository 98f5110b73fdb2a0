/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/digest.h"

#include <assert.h>
#include <xxhash.h>

#include "engine/eventual.h"
#include "engine/keys.h"

/* ---- of an entry ---- */

enum { NUMBERS = 17 };

/* All but slices; their sizes, so that no byte of one can count as another's.
 */
static uint64_t hash_numbers(const struct eventual_record *record)
{
    const struct attr *attr = &record->attr;
    const uint64_t numbers[NUMBERS] = {
        record->dir,
        record->since,
        record->hlc,
        record->origin,
        record->sequence,
        record->known,
        attr->ino,
        attr->size,
        attr->mode,
        attr->uid,
        attr->gid,
        attr->entry_count,
        (uint64_t)attr->atime_ns,
        (uint64_t)attr->mtime_ns,
        (uint64_t)attr->ctime_ns,
        record->name.size,
        record->xattrs.size,
    };
    uint8_t bytes[NUMBERS * 8];

    for (size_t i = 0; i < NUMBERS; i++)
        be64_put(bytes + i * 8, numbers[i]);
    return XXH3_64bits(bytes, sizeof bytes);
}

static uint64_t hash_more(struct slice bytes, uint64_t hash)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, hash);
}

uint64_t digest_record(const struct eventual_record *record)
{
    uint64_t hash;

    if (record->removed)
        return 0;
    assert(record->content.size == record->attr.size);

    hash = hash_more(record->name, hash_numbers(record));
    hash = hash_more(record->xattrs, hash);
    hash = hash_more(record->content, hash);
    return hash != 0 ? hash : 1;
}

int digest_entry(struct kv *state, const struct eventual_record *record,
                 uint64_t *ret)
{
    struct eventual_record whole = {0};
    int rc;

    if (record->removed || record->digest != 0) {
        *ret = record->removed ? 0 : record->digest;
        return 0;
    }
    rc = eventual_get(state, NULL, record->dir, record->name, true, &whole);
    if (rc == 0)
        *ret = digest_record(&whole);
    eventual_release(&whole);
    return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
}

/* ---- of a namespace ---- */

static int add_entry(struct kv *state, const struct kv_iter *iter,
                     uint64_t *sum)
{
    struct eventual_record record = {0};
    uint64_t digest = 0;
    int rc = eventual_read_at(iter, &record);

    record.digest = 0;
    if (rc == 0)
        rc = digest_entry(state, &record, &digest);
    eventual_release(&record);
    *sum += digest;
    return rc;
}

int digest_entries(struct kv *state, uint64_t nsid, uint64_t *ret)
{
    struct key lower = key_user('v', nsid, slice_of(""));
    struct key upper = key_behind_namespace('v', nsid);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    uint64_t sum = 0;
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter))
        rc = add_entry(state, iter, &sum);
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    if (rc == 0)
        *ret = sum;
    return rc;
}

/* ---- of two nodes ---- */

uint64_t digest_life(uint64_t nsid, uint64_t since)
{
    uint8_t bytes[16];

    be64_put(bytes, nsid);
    be64_put(bytes + 8, since);
    return since == 0 ? 0 : XXH3_64bits(bytes, sizeof bytes);
}

static uint64_t boot_of(uint64_t number)
{
    return number >> EVENTUAL_BOOT_SHIFT;
}

/* Rule 2. */
static bool covers(uint64_t cursor, uint64_t sequence)
{
    return boot_of(cursor) == boot_of(sequence) && cursor >= sequence;
}

enum digest_verdict digest_compare(const struct digest_moment *a,
                                   const struct digest_moment *b)
{
    if (a->lives == 0 || b->lives == 0)
        return DIGEST_NONE;
    if (a->lives != b->lives || !covers(a->cursor, b->sequence) ||
        !covers(b->cursor, a->sequence))
        return DIGEST_BEHIND;
    return a->digest == b->digest ? DIGEST_EQUAL : DIGEST_DIFFERS;
}
