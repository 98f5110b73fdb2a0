/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h follows from modes: the end of a namespace's life as an
 * eventual one, and fences. */

#include <stdlib.h>

#include "engine/eventual_impl.h"
#include "engine/keys.h"

/* ---- what is left of an earlier life ---- */

/* What stays of a namespace. */
struct rest {
    struct eventual_namespace count;
    bool is_any;
};

/* From the list of tombstones. */
static void delete_listed(struct kv_batch *batch, uint64_t nsid,
                          struct slice name,
                          const struct eventual_record *record)
{
    struct key key = key_eventual_removed(record->hlc, nsid, name);

    if (record->removed)
        kv_batch_delete(batch, key_slice(&key));
}

/* Deletes an entry of a life up to `since`; one of a later life stays. */
static int delete_or_count(struct kv_batch *batch, uint64_t since,
                           const struct kv_iter *iter, struct rest *rest)
{
    struct eventual_record record = {0};
    struct slice name;
    uint64_t nsid;
    int rc = eventual_decode_entry(&record, kv_iter_value(iter));

    if (rc != 0 || !key_parse_user(kv_iter_key(iter), 'v', &nsid, &name))
        return rc != 0 ? rc : ERR_CORRUPT;
    if (record.since <= since) {
        struct key content = key_user('w', nsid, name);

        kv_batch_delete(batch, kv_iter_key(iter));
        kv_batch_delete(batch, key_slice(&content));
        delete_listed(batch, nsid, name, &record);
    } else {
        rest->is_any = true;
        rest->count.entry_count += record.removed ? 0 : 1;
    }
    eventual_release(&record);
    return 0;
}

static void put_rest(struct kv_batch *batch, uint64_t nsid,
                     const struct rest *rest)
{
    struct key key = key_eventual_namespace(nsid);

    if (rest->is_any)
        eventual_namespace_put(batch, nsid, &rest->count);
    else
        kv_batch_delete(batch, key_slice(&key));
}

/* Not what is of a later life: the journal, or state/ itself, may have that
 * before region 0 is applied so far again. An earlier life has ended empty, so
 * there is little to look at. */
static int delete_some(struct eventual *eventual, uint64_t nsid, uint64_t since)
{
    struct kv *state = eventual->config.env->state;
    struct key lower = key_user('v', nsid, slice_of(""));
    struct key upper = key_behind_namespace('v', nsid);
    struct rest rest = {.is_any = false};
    struct kv_iter *iter;
    int rc = eventual_namespace_get(state, NULL, nsid, &rest.count);

    if (rc != 0)
        return rc;
    rest.count.entry_count = 0;
    iter = kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter))
        rc = delete_or_count(eventual->batch, since, iter, &rest);
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    put_rest(eventual->batch, nsid, &rest);
    return rc;
}

/* Keys of class 'i' that lead nowhere then are deleted by eventual_scan_run()
 * when it meets them. */
static int purge(struct eventual *eventual, uint64_t nsid, uint64_t since)
{
    int rc = delete_some(eventual, nsid, since);

    if (rc == 0)
        return eventual_write(eventual, NULL, &eventual->head);
    kv_batch_clear(eventual->batch);
    return rc;
}

/* Of a namespace that is not eventual, as far as region 0 is applied. */
static int sweep_one(struct eventual *eventual, uint64_t nsid)
{
    struct modes *modes = eventual->config.modes;

    return modes_find(modes, nsid).since != 0
               ? 0
               : purge(eventual, nsid, modes_version(modes));
}

/* Of one that is: all but its life. */
static int sweep_lives(struct eventual *eventual, uint64_t nsid)
{
    uint64_t since = modes_find(eventual->config.modes, nsid).since;

    return since == 0 ? 0 : purge(eventual, nsid, since - 1);
}

/* Each namespace of which there is anything. */
static int visit_all(struct eventual *eventual,
                     int (*visit)(struct eventual *eventual, uint64_t nsid))
{
    struct key lower = key_eventual_namespace(0);
    struct key upper = key_eventual_namespace(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(eventual->config.env->state, NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice key = kv_iter_key(iter);

        rc = key.size != 2 + KEY_NSID_SIZE
                 ? ERR_CORRUPT
                 : visit(eventual, be64_get((const uint8_t *)key.data + 2));
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

int eventual_sweep(struct eventual *eventual)
{
    return visit_all(eventual, sweep_one);
}

int eventual_sweep_lives(struct eventual *eventual)
{
    return modes_version(eventual->config.modes) == 0
               ? 0
               : visit_all(eventual, sweep_lives);
}

/* ---- fences ---- */

/* A fence on its way from region 0's owner into log/. */
struct fence_step {
    struct env_task task;
    struct env_log_write write;
    struct eventual *eventual;
    uint64_t epoch;
};

int eventual_fence_open(struct eventual *eventual)
{
    struct key key = key_fence();
    struct kv_value value = {0};
    int rc = kv_get(eventual->config.env->log, NULL, key_slice(&key), &value);

    if (rc == 0 && value.size != sizeof eventual->fence)
        rc = ERR_CORRUPT;
    if (rc == 0)
        eventual->fence = eventual->fence_asked = be64_get(value.data);
    kv_value_release(&value);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void fence_fill(struct env_log_write *write, struct kv_batch *batch)
{
    const struct fence_step *step =
        container_of(write, struct fence_step, write);
    struct key key = key_fence();
    uint8_t bytes[8];

    be64_put(bytes, step->epoch);
    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, sizeof bytes});
}

static void fence_written(struct env_log_write *write)
{
    struct fence_step *step = container_of(write, struct fence_step, write);
    struct eventual *eventual = step->eventual;

    eventual->fence = step->epoch;
    free(step);
    eventual_notice(eventual);
}

/* Writes to log/ become durable in their order, so behind this one all is that
 * was accepted before the fence: rule 4. */
static void fence_write(struct env_task *task)
{
    struct fence_step *step = container_of(task, struct fence_step, task);
    struct eventual *eventual = step->eventual;

    if (step->epoch <= eventual->fence_asked) {
        free(step);
        return;
    }
    eventual->fence_asked = step->epoch;
    step->write.fill = fence_fill;
    step->write.done = fence_written;
    env_log_write(eventual->config.env, &step->write);
}

static void fence_send(struct fence_step *step, uint64_t epoch)
{
    step->epoch = epoch;
    step->task.run = fence_write;
    env_post(step->eventual->config.env, ENV_WORKER, &step->task);
}

static struct fence_step *fence_step_new(struct eventual *eventual)
{
    struct fence_step *step = mem_zalloc(sizeof *step);

    step->eventual = eventual;
    return step;
}

static void fence_look(struct env_task *task)
{
    struct fence_step *step = container_of(task, struct fence_step, task);

    fence_send(step, modes_fence(step->eventual->config.modes));
}

/* By way of region 0's owner: what that has accepted before may be on its way
 * here. */
void eventual_fence_follow(struct eventual *eventual)
{
    struct fence_step *step;

    if (modes_fence(eventual->config.modes) <= eventual->fence_asked)
        return;
    step = fence_step_new(eventual);
    step->task.run = fence_look;
    eventual_post_owner(eventual, &step->task);
}

void eventual_on_mode(struct eventual *eventual, uint64_t nsid,
                      struct mode before, struct mode mode)
{
    int rc = 0;

    if (!eventual->is_open)
        return; /* It is only read in: eventual_open() sees to it. */
    if (mode.since == 0)
        rc = purge(eventual, nsid, before.since);
    else if (mode.since != before.since)
        rc = purge(eventual, nsid, mode.since - 1);
    if (rc != 0)
        env_fatal(eventual->config.env,
                  "cannot delete what is left of an eventual namespace");
    if (mode.state == MODE_FENCED)
        fence_send(fence_step_new(eventual), mode.epoch);
}
