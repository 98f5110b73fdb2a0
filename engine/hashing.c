/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/hashing.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "engine/snapshot_data.h"

struct hashing {
    struct env *env;
    struct hashing_order order;
    struct snapshot_reader *reader;
    XXH3_state_t *hash;
    int status;
    struct env_task task; /* to ENV_BULK, for each step */
    struct env_task back;
};

/* One payload; where payloads are cut does not matter to the hash. */
static int hash_payload(struct snapshot_reader *reader, XXH3_state_t *hash,
                        bool *ret_last)
{
    struct buf *payload = NULL;
    int rc = snapshot_reader_next(reader, &payload, ret_last);

    if (rc != 0)
        return rc;
    (void)XXH3_64bits_update(hash, payload->data, payload->size);
    buf_unref(payload);
    return 0;
}

static XXH3_state_t *hash_new(void)
{
    XXH3_state_t *hash = XXH3_createState();

    assert(hash != NULL && "out of memory");
    (void)XXH3_64bits_reset(hash);
    return hash;
}

static void back(struct env_task *task)
{
    struct hashing *h = container_of(task, struct hashing, back);
    struct hashing_result result = {
        .index = h->order.index,
        .mark = h->order.mark,
        .status = h->status,
        .hash = XXH3_64bits_digest(h->hash),
    };

    h->order.done(h->order.context, &result);
    (void)XXH3_freeState(h->hash);
    free(h);
}

static void end(struct hashing *h, int status)
{
    snapshot_reader_free(h->reader);
    h->reader = NULL;
    h->status = status;
    env_post(h->env, ENV_WORKER, &h->back);
}

static void step(struct env_task *task)
{
    struct hashing *h = container_of(task, struct hashing, task);
    bool last = false;
    int rc = ERR_CANCELED;

    if (!atomic_load(h->order.stopped))
        rc = hash_payload(h->reader, h->hash, &last);
    if (rc != 0 || last)
        end(h, rc);
    else
        env_post(h->env, ENV_BULK, &h->task);
}

void hashing_start(struct env *env, uint64_t region,
                   const struct hashing_order *order)
{
    struct hashing *h = mem_zalloc(sizeof *h);
    int rc;

    h->env = env;
    h->order = *order;
    h->hash = hash_new();
    h->task.run = step;
    h->back.run = back;
    rc = snapshot_reader_open(&h->reader, env->state, region);
    if (rc != 0)
        end(h, rc);
    else
        env_post(env, ENV_BULK, &h->task);
}

int hashing_run(struct kv *state, uint64_t region, uint64_t *ret_hash)
{
    struct snapshot_reader *reader = NULL;
    XXH3_state_t *hash;
    bool last = false;
    int rc = snapshot_reader_open(&reader, state, region);

    if (rc != 0)
        return rc;
    hash = hash_new();
    while (rc == 0 && !last)
        rc = hash_payload(reader, hash, &last);
    if (rc == 0)
        *ret_hash = XXH3_64bits_digest(hash);
    (void)XXH3_freeState(hash);
    snapshot_reader_free(reader);
    return rc;
}
