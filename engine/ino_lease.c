/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/ino_lease.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/keys.h"

enum {
    BLOCK = 1 << 24, /* counters leased at a time */
    NODE_SHIFT = 47  /* above the counter: 16 bits of node id, from 1 */
};

static_assert(UINT64_C(1) << NODE_SHIFT == INO_FILE_MIN,
              "the first node's numbers are the least");

struct ino_lease {
    struct env *env;
    struct identity identity; /* with the newest bound asked for */
    uint64_t next;
    uint64_t end; /* durable */
    bool leasing;
    struct env_log_write write;
    struct buf *bytes; /* being written */
};

struct ino_lease *ino_lease_new(struct env *env,
                                const struct identity *identity, uint64_t next)
{
    struct ino_lease *lease = mem_zalloc(sizeof *lease);

    lease->env = env;
    lease->identity = *identity;
    lease->next = next;
    lease->end = identity->ino_bound;
    return lease;
}

void ino_lease_free(struct ino_lease *lease)
{
    if (lease == NULL)
        return;
    buf_unref(lease->bytes);
    free(lease);
}

static void fill(struct env_log_write *write, struct kv_batch *batch)
{
    struct ino_lease *lease = container_of(write, struct ino_lease, write);
    struct key key = key_identity();

    kv_batch_put(batch, key_slice(&key), buf_slice(lease->bytes));
}

static void leased(struct env_log_write *write)
{
    struct ino_lease *lease = container_of(write, struct ino_lease, write);

    lease->end = lease->identity.ino_bound;
    lease->leasing = false;
}

static void lease_block(struct ino_lease *lease)
{
    if (lease->leasing || lease->end - lease->next > BLOCK / 2)
        return;
    lease->leasing = true;
    lease->identity.ino_bound += BLOCK;
    buf_unref(lease->bytes);
    lease->bytes = identity_encode(&lease->identity);
    lease->write.fill = fill;
    lease->write.done = leased;
    env_log_write(lease->env, &lease->write);
}

uint64_t ino_lease_take(struct ino_lease *lease)
{
    uint64_t counter = lease->next++;

    lease_block(lease);
    if (counter >= lease->end)
        env_fatal(lease->env, "inode numbers are used up faster than leased");
    return lease->identity.node_id << NODE_SHIFT | counter;
}
