/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h follows from modes: the end of a namespace's life as an
 * eventual one, and fences. */

#include <inttypes.h>
#include <stdlib.h>

#include "engine/eventual_damage.h"
#include "engine/eventual_impl.h"
#include "engine/keys.h"
#include "engine/quarantine.h"
#include "raft/base/log.h"

/* ---- what is left of an earlier life ---- */

/* What is deleted of a namespace, and what stays. */
struct purge {
    struct kv *state;
    struct kv_batch *batch;
    uint64_t nsid;
    uint64_t since; /* the last life that is over */
    struct eventual_namespace before;
    struct eventual_namespace rest;
    uint64_t unread_count;
};

/* ERR_CORRUPT: the store does not get at all of them. */
static int visit_entries(struct purge *p,
                         int (*visit)(struct purge *p,
                                      const struct kv_iter *iter))
{
    struct key lower = key_user('v', p->nsid, slice_of(""));
    struct key upper = key_behind_namespace('v', p->nsid);
    struct kv_iter *iter =
        kv_iter_new(p->state, NULL, key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter))
        rc = visit(p, iter);
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* ---- with nothing of a later life in it ---- */

/* From the list of tombstones. */
static void delete_listed(struct kv_batch *batch,
                          const struct eventual_record *record)
{
    struct key key =
        key_eventual_removed(record->hlc, record->dir, record->name);

    if (record->removed)
        kv_batch_delete(batch, key_slice(&key));
}

/* One that cannot be read stays listed until the floor comes there. */
static int unlist(struct purge *p, const struct kv_iter *iter)
{
    struct eventual_record record = {0};
    int rc = eventual_read_at(iter, &record);

    if (rc == 0)
        delete_listed(p->batch, &record);
    eventual_release(&record);
    return rc == ERR_CORRUPT ? 0 : rc;
}

static void delete_class(struct purge *p, char class)
{
    struct key lower = key_user(class, p->nsid, slice_of(""));
    struct key upper = key_behind_namespace(class, p->nsid);

    kv_batch_delete_all(p->batch, p->state, key_slice(&lower),
                        key_slice(&upper));
}

/* Also what cannot be read. */
static int delete_all(struct purge *p)
{
    struct key key = key_eventual_namespace(p->nsid);
    int rc;

    delete_class(p, 'v');
    delete_class(p, 'w');
    kv_batch_delete(p->batch, key_slice(&key));
    rc = visit_entries(p, unlist);
    return rc == ERR_CORRUPT ? 0 : rc;
}

/* ---- with something of a later life in it ---- */

static void keep(struct purge *p, uint64_t since, bool is_live)
{
    eventual_namespace_add_life(&p->rest, since);
    p->rest.entry_count += is_live ? 1 : 0;
}

static int keep_entry(struct purge *p, const struct eventual_record *record)
{
    uint64_t digest = 0;
    int rc = digest_entry(p->state, record, &digest);

    keep(p, record->since, !record->removed);
    p->rest.digest += digest;
    p->rest.has_digest = p->rest.has_digest && rc == 0;
    return rc == ERR_CORRUPT ? 0 : rc;
}

/* One that cannot be read may be of the later life. */
static int delete_or_keep(struct purge *p, const struct kv_iter *iter)
{
    struct eventual_record record = {0};
    int rc = eventual_read_at(iter, &record);

    if (rc == ERR_CORRUPT) {
        p->unread_count++;
        keep(p, p->before.since_last, true);
        p->rest.has_digest = false;
        return 0;
    }
    if (rc != 0)
        return rc;
    if (record.since <= p->since)
        eventual_delete(p->batch, &record);
    else
        rc = keep_entry(p, &record);
    eventual_release(&record);
    return rc;
}

static void put_rest(struct purge *p)
{
    struct key key = key_eventual_namespace(p->nsid);

    if (p->rest.since_last != 0)
        eventual_namespace_put(p->batch, p->nsid, &p->rest);
    else
        kv_batch_delete(p->batch, key_slice(&key));
}

static void say_what_stays(const struct purge *p, int rc)
{
    if (rc == ERR_CORRUPT)
        log_line(LOG_ERROR, "eventual",
                 "namespace=%" PRIu64 " cannot be read to its end: what is "
                 "left there of earlier times stays",
                 p->nsid);
    else if (p->unread_count > 0)
        log_line(LOG_ERROR, "eventual",
                 "namespace=%" PRIu64 " has %" PRIu64
                 " entries that cannot be read: they stay",
                 p->nsid, p->unread_count);
}

/* Where not all of it can be reached, all stays as it is, with its count. */
static int delete_some(struct purge *p)
{
    int rc;

    p->rest = p->before;
    p->rest.entry_count = 0;
    p->rest.since_first = p->rest.since_last = 0;
    p->rest.digest = 0;
    p->rest.has_digest = true;
    rc = visit_entries(p, delete_or_keep);
    say_what_stays(p, rc);
    if (rc == 0)
        put_rest(p);
    else
        kv_batch_clear(p->batch);
    return rc == ERR_CORRUPT ? 0 : rc;
}

/* ---- either ---- */

/* Not what is of a later life: the journal, or state/ itself, may have that
 * before region 0 is applied so far again. Keys of class 'i' that lead nowhere
 * then are deleted by eventual_scan_run() when it meets them. What cannot be
 * read is no error: all nodes might end on it at the same entry of region 0,
 * or one at each start. */
static int delete_life(struct eventual *eventual, uint64_t nsid, uint64_t since)
{
    struct purge p = {.state = eventual->config.env->state,
                      .batch = eventual->batch,
                      .nsid = nsid,
                      .since = since};
    int rc = eventual_namespace_get(p.state, NULL, nsid, &p.before);

    if (rc == ERR_CORRUPT)
        rc = 0; /* It is counted anew. */
    if (p.before.since_last == 0)
        p.before.since_last = UINT64_MAX; /* It may be of any life. */
    if (rc == 0)
        rc = p.before.since_last <= since ? delete_all(&p) : delete_some(&p);
    if (rc == 0)
        rc = eventual_write(eventual, NULL, &eventual->head);
    else
        kv_batch_clear(eventual->batch);
    if (rc == 0 && p.unread_count > 0)
        rc = eventual_check_namespace(eventual, nsid);
    return rc;
}

/* What is to be kept and cannot be read holds the others until the namespace
 * has another life, in which it would be in the way. */
static int purge(struct eventual *eventual, uint64_t nsid, uint64_t since)
{
    const struct eventual_config *config = &eventual->config;
    struct quarantine_kept kept = {0};
    int rc =
        quarantine_keep(config->env->state, config->node, nsid, since, &kept);

    if (kept.moved_count > 0)
        eventual->has_moved = true;
    if (rc != 0 ||
        (kept.unread_count > 0 && modes_find(config->modes, nsid).since == 0))
        return rc;
    return delete_life(eventual, nsid, since);
}

/* Of a namespace that is not eventual, as far as region 0 is applied. */
static int sweep_one(struct eventual *eventual, uint64_t nsid)
{
    struct modes *modes = eventual->config.modes;

    return modes_find(modes, nsid).since != 0
               ? 0
               : purge(eventual, nsid, modes_version(modes));
}

/* The same where the catalog does say that a life has ended: without this node.
 * Nothing of a later one. */
static int sweep_left_out(struct eventual *eventual, uint64_t nsid)
{
    const struct eventual_config *config = &eventual->config;
    uint64_t since = 0;
    int rc = quarantine_last_life(config->env->state, config->node, nsid,
                                  UINT64_MAX, &since);

    if (rc != 0)
        return rc == ERR_CORRUPT ? 0 : rc;
    return since == 0 ? 0 : purge(eventual, nsid, since);
}

/* Of one that is: all but its life. Most have nothing else, and their record
 * says so; one whose record cannot be read stays as it is. */
static int sweep_lives(struct eventual *eventual, uint64_t nsid)
{
    uint64_t since = modes_find(eventual->config.modes, nsid).since;
    struct eventual_namespace record;
    int rc;

    if (since == 0)
        return sweep_left_out(eventual, nsid);
    rc = eventual_namespace_get(eventual->config.env->state, NULL, nsid,
                                &record);
    if (rc != 0)
        return rc == ERR_CORRUPT ? 0 : rc;
    return record.since_first >= since ? 0 : purge(eventual, nsid, since - 1);
}

int eventual_visit_namespaces(struct eventual *eventual,
                              int (*visit)(struct eventual *eventual,
                                           uint64_t nsid))
{
    struct key lower = key_eventual_namespace(0);
    struct key upper = key_eventual_namespace(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(eventual->config.env->state, NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice key = kv_iter_key(iter);

        if (key.size == 2 + KEY_NSID_SIZE)
            rc = visit(eventual, be64_get((const uint8_t *)key.data + 2));
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* As far as that can be read. */
static int visit_all(struct eventual *eventual,
                     int (*visit)(struct eventual *eventual, uint64_t nsid))
{
    int rc = eventual_visit_namespaces(eventual, visit);

    return rc == ERR_CORRUPT ? 0 : rc;
}

/* A start with a damaged catalog has left earlier lives to this. */
int eventual_sweep(struct eventual *eventual)
{
    int rc = visit_all(eventual, sweep_one);

    eventual_digest_forget(eventual);
    return rc == 0 ? eventual_sweep_lives(eventual) : rc;
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
    eventual_digest_on_mode(eventual, nsid, before, mode);
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
