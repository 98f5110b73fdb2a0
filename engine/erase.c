/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/erase.h"

#include <inttypes.h>

#include "engine/keys.h"
#include "engine/region_log.h"
#include "engine/snapshot_data.h"
#include "raft/base/log.h"

/* ---- log/ ---- */

static void fill(struct kv_batch *batch, uint64_t region)
{
    struct key begin = key_log_entry(region, 0);
    struct key end = key_log_entry(region, UINT64_MAX);
    struct key keys[] = {key_hard_state(region), key_log_start(region),
                         key_log_peer(region), key_damage(region)};

    kv_batch_delete_range(batch, key_slice(&begin), key_slice(&end));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        kv_batch_delete(batch, key_slice(&keys[i]));
}

static void fill_log(struct env_log_write *write, struct kv_batch *batch)
{
    fill(batch, container_of(write, struct erase, write)->region->id);
}

static void log_done(struct env_log_write *write)
{
    struct erase *erase = container_of(write, struct erase, write);

    erase->done(erase);
}

static void erase_log(struct env_task *task)
{
    struct erase *erase = container_of(task, struct erase, back);

    erase->write.fill = fill_log;
    erase->write.done = log_done;
    env_log_write(erase->env, &erase->write);
}

/* ---- state/ ---- */

static void put_tombstone(struct kv_batch *batch, const struct erase *erase)
{
    struct key key = key_tombstone(erase->region->id);
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = tombstone_encode(&erase->tombstone, bytes);

    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, size});
}

/* On ENV_BULK. A failure has ended the node (kv.h). */
static void erase_state(struct env_task *task)
{
    struct erase *erase = container_of(task, struct erase, task);
    struct kv *state = erase->env->state;
    struct kv_batch *batch = kv_batch_new(state);
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t count = 0;
    int rc;

    if (erase->region->peer_count > 0)
        count = snapshot_ranges(erase->region, ranges);
    for (size_t i = 0; i < count; i++)
        kv_batch_delete_range(batch, key_slice(&ranges[i].begin),
                              key_slice(&ranges[i].end));
    put_tombstone(batch, erase);
    rc = kv_write(state, batch, KV_RELAXED, NULL);
    if (rc == 0)
        rc = kv_flush(state, true, NULL);
    kv_batch_free(batch);
    if (rc != 0)
        return;
    erase->back.run = erase_log;
    env_post(erase->env, ENV_WORKER, &erase->back);
}

static void pass_next_owner(struct env_task *task);

/* The reads that were on their way to one of those who apply are over when this
 * runs there: any of them may have read the replica. What is posted from here
 * to the next one would not come behind its reads. */
static void behind_reads(struct env_task *task)
{
    struct erase *erase = container_of(task, struct erase, task);

    if (++erase->owners_passed < erase->env->apply_owners) {
        task->run = pass_next_owner;
        env_post(erase->env, ENV_WORKER, task);
    } else {
        task->run = erase_state;
        env_post(erase->env, ENV_BULK, task);
    }
}

static void pass_next_owner(struct env_task *task)
{
    struct erase *erase = container_of(task, struct erase, task);

    task->run = behind_reads;
    env_post(erase->env, (enum env_owner)(ENV_APPLY + erase->owners_passed),
             task);
}

void erase_start(struct erase *erase)
{
    erase->owners_passed = 0;
    pass_next_owner(&erase->task);
}

/* ---- what a crash has left ---- */

int tombstone_read(struct env *env, uint64_t region, struct tombstone *ret)
{
    struct key key = key_tombstone(region);
    struct kv_value value = {0};
    int rc = kv_get(env->state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = tombstone_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

static bool has_hard_state(struct env *env, uint64_t region)
{
    struct key key = key_hard_state(region);
    struct kv_value value = {0};
    int rc = kv_get(env->log, NULL, key_slice(&key), &value);

    kv_value_release(&value);
    return rc == 0;
}

int erase_leftovers(struct env *env, uint64_t region)
{
    struct tombstone tombstone;
    struct kv_batch *batch;
    uint64_t peer_id = 0;
    int rc = tombstone_read(env, region, &tombstone);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    rc = region_log_peer(env, region, &peer_id);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (peer_id > tombstone.peer)
        return 0; /* It has begun anew since then. */
    if (rc == ERR_NOT_FOUND && !has_hard_state(env, region))
        return 0;
    log_line(LOG_INFO, "store",
             "region=%" PRIu64 " the log of a removed replica is erased",
             region);
    batch = kv_batch_new(env->log);
    fill(batch, region);
    rc = kv_write(env->log, batch, KV_SYNCED, NULL);
    kv_batch_free(batch);
    return rc;
}
