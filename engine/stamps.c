/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/stamps.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/keys.h"

enum {
    INO_BLOCK = 1 << 24, /* counters leased at a time */
    NODE_SHIFT = 47      /* above the counter: 16 bits of node id, from 1 */
};

static_assert(UINT64_C(1) << NODE_SHIFT == INO_FILE_MIN,
              "the first node's numbers are the least");

struct stamps {
    struct env *env;
    uint64_t last;            /* stamp */
    struct identity identity; /* with the newest bound asked for */
    uint64_t ino_next;
    uint64_t ino_end; /* durable */
    bool leasing;
    struct env_log_write write;
    struct buf *bytes; /* being written */
};

struct stamps *stamps_new(struct env *env, const struct identity *identity,
                          uint64_t ino_next)
{
    struct stamps *stamps = mem_zalloc(sizeof *stamps);

    stamps->env = env;
    stamps->identity = *identity;
    stamps->ino_next = ino_next;
    stamps->ino_end = identity->ino_bound;
    return stamps;
}

void stamps_free(struct stamps *stamps)
{
    if (stamps == NULL)
        return;
    buf_unref(stamps->bytes);
    free(stamps);
}

/* ---- stamps ---- */

static uint64_t stamp_of(uint64_t wall_ns)
{
    return wall_ns / 1000000 << STAMP_COUNTER_BITS;
}

uint64_t stamps_bound(const struct stamps *stamps)
{
    return stamp_of(env_wall_ns(stamps->env)) +
           ((uint64_t)MAX_DRIFT_MS << STAMP_COUNTER_BITS);
}

uint64_t stamps_next(struct stamps *stamps)
{
    uint64_t now = stamp_of(env_wall_ns(stamps->env));

    if (now > stamps->last || stamps->last >= stamps_bound(stamps))
        stamps->last = now;
    else
        stamps->last++;
    return stamps->last;
}

/* ---- inode numbers ---- */

static void fill(struct env_log_write *write, struct kv_batch *batch)
{
    struct stamps *stamps = container_of(write, struct stamps, write);
    struct key key = key_identity();

    kv_batch_put(batch, key_slice(&key), buf_slice(stamps->bytes));
}

static void leased(struct env_log_write *write)
{
    struct stamps *stamps = container_of(write, struct stamps, write);

    stamps->ino_end = stamps->identity.ino_bound;
    stamps->leasing = false;
}

static void lease_inos(struct stamps *stamps)
{
    if (stamps->leasing || stamps->ino_end - stamps->ino_next > INO_BLOCK / 2)
        return;
    stamps->leasing = true;
    stamps->identity.ino_bound += INO_BLOCK;
    buf_unref(stamps->bytes);
    stamps->bytes = identity_encode(&stamps->identity);
    stamps->write.fill = fill;
    stamps->write.done = leased;
    env_log_write(stamps->env, &stamps->write);
}

uint64_t stamps_new_ino(struct stamps *stamps)
{
    uint64_t counter = stamps->ino_next++;

    lease_inos(stamps);
    if (counter >= stamps->ino_end)
        env_fatal(stamps->env, "inode numbers are used up faster than leased");
    return stamps->identity.node_id << NODE_SHIFT | counter;
}
