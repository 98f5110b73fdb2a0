/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual_damage.h makes counts and the index anew, and finds out what
 * can be read again. */

#include <stdlib.h>

#include "engine/eventual_damage.h"
#include "engine/eventual_impl.h"
#include "engine/keys.h"
#include "engine/stamps.h"
#include "raft/base/log.h"

static struct kv *state_of(const struct eventual *eventual)
{
    return eventual->config.env->state;
}

/* ---- what is made anew ---- */

typedef int visit_entry(void *context, struct slice key,
                        const struct eventual_record *record);

/* `record`: NULL for one that cannot be read. */
static int visit_entries(struct kv *state, struct key lower, struct key upper,
                         visit_entry *visit, void *context)
{
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct eventual_record record = {0};
        int status = eventual_read_at(iter, &record);

        rc = status;
        if (status == 0 || status == ERR_CORRUPT)
            rc =
                visit(context, kv_iter_key(iter), status == 0 ? &record : NULL);
        eventual_release(&record);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

struct counting {
    struct kv *state;
    uint64_t since;
    struct eventual_namespace count;
};

static int count_digest(struct counting *counting,
                        const struct eventual_record *record)
{
    uint64_t digest = 0;
    int rc = digest_entry(counting->state, record, &digest);

    counting->count.digest += digest;
    counting->count.has_digest = counting->count.has_digest && rc == 0;
    return rc == ERR_CORRUPT ? 0 : rc;
}

static int count_entry(void *context, struct slice key,
                       const struct eventual_record *record)
{
    struct counting *counting = context;
    struct eventual_namespace *count = &counting->count;

    (void)key;
    if (record == NULL || !record->removed)
        count->entry_count++;
    if (record == NULL) {
        eventual_namespace_add_life(count, counting->since);
        count->has_digest = false;
        return 0;
    }
    eventual_namespace_add_life(count, record->since);
    if (count->version < record->hlc) {
        count->version = record->hlc;
        count->changed_ns = stamp_time_ns(record->hlc);
    }
    return count_digest(counting, record);
}

static uint64_t life_of(const struct eventual *eventual, uint64_t nsid)
{
    return modes_find(eventual->config.modes, nsid).since;
}

int eventual_count_anew(struct eventual *eventual, uint64_t nsid,
                        struct eventual_namespace *ret)
{
    struct counting counting = {.state = state_of(eventual),
                                .since = life_of(eventual, nsid),
                                .count = {.has_digest = true}};
    int rc =
        visit_entries(state_of(eventual), key_user('v', nsid, slice_of("")),
                      key_behind_namespace('v', nsid), count_entry, &counting);

    if (rc == 0)
        *ret = counting.count;
    return rc;
}

int eventual_count_get(struct eventual *eventual, uint64_t nsid,
                       struct eventual_namespace *ret)
{
    int rc = eventual_namespace_get(state_of(eventual), NULL, nsid, ret);

    return rc == ERR_CORRUPT ? eventual_count_anew(eventual, nsid, ret) : rc;
}

/* An item that is right already is only written once more. One that leads
 * nowhere is deleted by eventual_scan_run(), as ever. */
static int index_entry(void *context, struct slice key,
                       const struct eventual_record *record)
{
    struct eventual *eventual = context;
    struct key change;
    struct slice name;
    uint64_t nsid;

    if (record == NULL)
        return key_parse_user(key, 'v', &nsid, &name)
                   ? eventual_note_damage(eventual, nsid, name)
                   : 0;
    change = key_eventual_change(record->local);
    kv_batch_put(eventual->batch, key_slice(&change),
                 (struct slice){(const uint8_t *)key.data + 1, key.size - 1});
    return 0;
}

static int drop_unparsed(struct eventual *eventual)
{
    struct key lower = key_eventual_change(0);
    struct key upper = key_eventual_change(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(state_of(eventual), NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc;

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice name;
        uint64_t nsid;

        if (!key_parse_changed(kv_iter_value(iter), &nsid, &name))
            kv_batch_delete(eventual->batch, kv_iter_key(iter));
    }
    rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

int eventual_index_anew(struct eventual *eventual)
{
    int rc = drop_unparsed(eventual);

    if (rc == 0)
        rc = visit_entries(state_of(eventual), key_user('v', 0, slice_of("")),
                           key_behind_namespace('v', UINT64_MAX - 1),
                           index_entry, eventual);
    if (rc == 0) {
        log_line(LOG_ERROR, "eventual",
                 "an item of the index of changes could not be read: the "
                 "index was made anew");
        return eventual_write(eventual, NULL, &eventual->head);
    }
    kv_batch_clear(eventual->batch);
    return rc;
}

/* ---- mending: rule 5 ---- */

/* Over all notes, on region 0's owner. */
struct mending {
    struct env_task task;
    struct eventual *eventual;
    uint64_t damages; /* that ENV_WORKER knows of */
    uint64_t counted; /* the last namespace that was counted anew */
    uint64_t healed;
    uint64_t left;
};

/* Whether it is listed as removed, below the floor. */
static bool is_forgotten(const struct eventual *eventual, uint64_t nsid,
                         struct slice name)
{
    struct key lower = key_eventual_removed(0, 0, slice_of(""));
    struct key upper =
        key_eventual_removed(eventual->head.floor + 1, 0, slice_of(""));
    struct kv_iter *iter = kv_iter_new(state_of(eventual), NULL,
                                       key_slice(&lower), key_slice(&upper));
    bool found = false;

    kv_iter_seek(iter, key_slice(&lower));
    for (; !found && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice removed;
        uint64_t hlc;
        uint64_t dir;

        found = key_parse_removed(kv_iter_key(iter), &hlc, &dir, &removed) &&
                dir == nsid && slice_equal(removed, name);
    }
    kv_iter_free(iter);
    return found;
}

/* Where it stands in the list of tombstones, and in the index, leads nowhere
 * then. */
static int take_out(struct mending *m, uint64_t nsid, struct slice name)
{
    struct eventual *eventual = m->eventual;
    struct key entry = key_user('v', nsid, name);
    struct key content = key_user('w', nsid, name);

    kv_batch_delete(eventual->batch, key_slice(&entry));
    kv_batch_delete(eventual->batch, key_slice(&content));
    m->counted = 0;
    return eventual_write(eventual, NULL, &eventual->head);
}

static int drop_note(struct mending *m, uint64_t nsid, struct slice name)
{
    struct eventual *eventual = m->eventual;
    struct key key = key_eventual_damage(nsid, name);
    struct eventual_namespace count;
    int rc;

    kv_batch_delete(eventual->batch, key_slice(&key));
    m->healed++;
    eventual_say_damage(eventual, LOG_INFO, nsid, name,
                        "a file can be read again");
    if (nsid == m->counted || life_of(eventual, nsid) == 0)
        return 0;
    m->counted = nsid;
    rc = eventual_count_anew(eventual, nsid, &count);
    if (rc == 0)
        eventual_namespace_put(eventual->batch, nsid, &count);
    return rc == ERR_CORRUPT ? 0 : rc; /* The count is about right. */
}

static int mend_one(void *context, uint64_t nsid, struct slice name,
                    int64_t since_ns)
{
    struct mending *m = context;
    struct eventual *eventual = m->eventual;
    struct eventual_record record = {0};
    int rc = eventual_get(state_of(eventual), NULL, nsid, name, true, &record);

    (void)since_ns;
    eventual_release(&record);
    if (rc == ERR_CORRUPT && is_forgotten(eventual, nsid, name))
        rc = take_out(m, nsid, name);
    if (rc == 0 || rc == ERR_NOT_FOUND)
        return drop_note(m, nsid, name);
    m->left++;
    return 0;
}

static void mend(struct mending *m)
{
    struct eventual *eventual = m->eventual;
    struct eventual_head head;
    int rc = eventual_visit_damage(state_of(eventual), mend_one, m);

    if (rc != 0)
        m->left++;
    head = eventual->head;
    head.damaged = m->left > 0;
    if (m->healed > 0 || !head.damaged)
        (void)eventual_write(eventual, NULL, &head); /* A failure is fatal. */
    if (!head.damaged)
        eventual_digest_forget(eventual); /* They were counted anew. */
}

/* A power cut would bring back what could not be read, and no note of it. */
static void mending_is_over(struct env_task *task)
{
    struct mending *m = container_of(task, struct mending, task);
    struct eventual *eventual = m->eventual;
    struct eventual_damage *damage = &eventual->damage;

    damage->is_mending = false;
    damage->left = m->left;
    eventual->counts.healed += m->healed;
    if (m->damages == damage->count && m->left == 0) {
        damage->is_damaged = false;
        eventual->config.flush(eventual->config.context);
        eventual_notice(eventual);
    }
    free(m);
}

/* What was noted since has to come from others first. */
static void mend_run(struct env_task *task)
{
    struct mending *m = container_of(task, struct mending, task);

    if (m->damages == m->eventual->damages)
        mend(m);
    else
        m->left++;
    task->run = mending_is_over;
    env_post(m->eventual->config.env, ENV_WORKER, task);
}

void eventual_damage_tick(struct eventual *eventual)
{
    struct eventual_damage *damage = &eventual->damage;
    struct mending *m;

    if (!damage->is_damaged || !damage->has_had_all || damage->is_mending ||
        eventual->stopped)
        return;
    damage->is_mending = true;
    m = mem_zalloc(sizeof *m);
    m->eventual = eventual;
    m->damages = damage->count;
    m->task.run = mend_run;
    eventual_post_owner(eventual, &m->task);
}
