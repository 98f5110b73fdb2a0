/* SPDX-License-Identifier: Apache-2.0 */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"
#include "tests/sim/sim_lives_impl.h"

static void grow_values(struct sim_lives *lives)
{
    struct value *old = lives->values;
    size_t size = lives->value_size;

    lives->value_size = size == 0 ? 1024 : size * 2;
    lives->values = mem_zalloc(lives->value_size * sizeof *lives->values);
    for (size_t i = 0; i < size; i++) {
        size_t to = (size_t)old[i].key % lives->value_size;

        if (old[i].key == 0)
            continue;
        while (lives->values[to].key != 0)
            to = (to + 1) % lives->value_size;
        lives->values[to] = old[i];
    }
    free(old);
}

/* The slot of a version of a name; its key is 0 in a new one. */
static struct value *value_of(struct sim_lives *lives, uint64_t key)
{
    size_t i;

    if (lives->value_size == 0)
        grow_values(lives);
    for (i = (size_t)key % lives->value_size;
         lives->values[i].key != 0 && lives->values[i].key != key;
         i = (i + 1) % lives->value_size)
        ;
    return &lives->values[i];
}

static uint64_t fold_bytes(uint64_t hash, struct slice bytes)
{
    const uint8_t *data = bytes.data;

    for (size_t i = 0; i < bytes.size; i += 8) {
        uint64_t word = 0;

        memcpy(&word, data + i, bytes.size - i < 8 ? bytes.size - i : 8);
        hash = sim_mix(hash, word);
    }
    return sim_mix(hash, bytes.size);
}

/* All of it but for where it stands on this node. */
uint64_t lives_hash(const struct eventual_record *record)
{
    struct eventual_record plain = *record;
    struct buf *bytes;
    uint64_t hash;

    plain.local = 0;
    bytes = eventual_encode(&plain);
    assert(bytes != NULL);
    hash = fold_bytes(1, buf_slice(bytes));
    buf_unref(bytes);
    return hash;
}

static uint64_t name_key(uint64_t dir, uint64_t since, struct slice name)
{
    return fold_bytes(sim_mix(dir, since), name);
}

static uint64_t version_key(uint64_t name, struct sim_version version)
{
    uint64_t key = sim_mix(name, sim_mix(version.hlc, version.origin));

    return key == 0 ? 1 : key;
}

static uint64_t key_at(const struct place *place, struct sim_version version)
{
    return version_key(
        name_key(place->dir, place->since, slice_of(place->name)), version);
}

uint64_t lives_plain(const struct attr *attr, struct slice xattrs,
                     struct slice content)
{
    uint64_t hash = sim_mix(attr->ino, attr->mode);

    hash = sim_mix(hash, sim_mix(attr->uid, attr->gid));
    hash = sim_mix(hash, (uint64_t)attr->mtime_ns);
    hash = fold_bytes(fold_bytes(hash, xattrs), content);
    return hash == 0 ? 1 : hash;
}

struct value *lives_find_value(struct sim_lives *lives,
                               const struct place *place,
                               struct sim_version version)
{
    return value_of(lives, key_at(place, version));
}

uint64_t lives_plain_of(struct sim_lives *lives, const struct place *place,
                        struct sim_version version)
{
    return lives_find_value(lives, place, version)->plain;
}

uint64_t lives_sequence_of(struct sim_lives *lives, const struct place *place,
                           struct sim_version version)
{
    return lives_find_value(lives, place, version)->version.sequence;
}

const struct value *lives_next_value(const struct sim_lives *lives,
                                     const struct place *place,
                                     const struct value *last)
{
    uint64_t name = name_key(place->dir, place->since, slice_of(place->name));
    size_t i = last == NULL ? 0 : (size_t)(last - lives->values) + 1;

    while (i < lives->value_size &&
           (lives->values[i].key == 0 || lives->values[i].name != name))
        i++;
    return i < lives->value_size ? &lives->values[i] : NULL;
}

struct value *lives_check_value(struct sim_lives *lives,
                                const struct sim_node *node,
                                const struct eventual_record *record)
{
    const struct sim_version version = sim_version_of(record);
    uint64_t name = name_key(record->dir, record->since, record->name);
    uint64_t key = version_key(name, version);
    uint64_t hash = lives_hash(record);
    uint64_t plain = lives_plain(&record->attr, record->xattrs,
                                 record->removed ? (struct slice){NULL, 0}
                                                 : record->content);
    uint64_t starts = record->origin == node->number + 1 ? node->starts : 0;
    struct value *value;

    if (lives->value_count * 2 >= lives->value_size)
        grow_values(lives);
    value = value_of(lives, key);
    if (value->key == 0) {
        lives->value_count++;
        *value = (struct value){.key = key,
                                .name = name,
                                .version = version,
                                .hash = hash,
                                .plain = plain,
                                .first_ns = lives->cluster->loop->now_ns,
                                .starts = starts};
    }
    value->had[node->number] = node->starts;
    if (starts == 0)
        value->starts = 0;
    /* What only its origin has had may be lost with a crash. */
    if (value->hash != hash && value->starts != 0 && value->starts != starts)
        *value = (struct value){.key = key,
                                .name = name,
                                .version = version,
                                .hash = hash,
                                .plain = plain,
                                .first_ns = value->first_ns,
                                .starts = starts};
    if (value->hash != hash)
        sim_fail(lives->cluster->loop,
                 "version %" PRIx64 ".%" PRIu64 " of %" PRIx64 "/%.*s is "
                 "another value on node %zu",
                 record->hlc, record->origin, record->dir,
                 (int)record->name.size, (const char *)record->name.data,
                 node->number + 1);
    return value;
}
