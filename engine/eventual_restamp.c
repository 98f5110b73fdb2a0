/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h gives changes of this node that are ahead of its clock new
 * versions: restamp.h. On region 0's owner in slices, so that nothing else
 * there has to wait for long. */

#include <assert.h>
#include <stdlib.h>

#include "engine/eventual_damage.h"
#include "engine/eventual_impl.h"
#include "engine/floor.h"
#include "engine/keys.h"
#include "engine/stamps.h"

enum {
    LOOKED_MAX = 1000, /* changes in one slice that are looked at ... */
    WRITTEN_MAX = 20   /* ... and written */
};

/* ---- the changes, on region 0's owner ---- */

/* One number of the index of changes, and what is there now. */
struct change {
    uint64_t sequence;
    uint64_t dir;
    struct slice name;
    struct eventual_record record;
};

typedef int visit_change(struct eventual_restamp_run *run,
                         struct change *change);

static bool is_ahead(const struct eventual_restamp_run *run,
                     const struct eventual_record *record)
{
    return record->hlc > run->bound;
}

static int look_at(struct eventual_restamp_run *run, struct change *change)
{
    if (is_ahead(run, &change->record) && run->count++ == 0)
        run->first = change->sequence;
    return 0;
}

/* The time that a directory shows, too, is not that of such a change. */
static int lower_namespace(struct eventual_restamp_run *run, uint64_t nsid,
                           struct eventual_tally *tally)
{
    struct eventual_namespace *count;
    int rc = eventual_tally_find(run->eventual, tally, nsid, &count);

    if (rc != 0 || count->version <= run->bound)
        return rc;
    count->version = run->hlc;
    count->changed_ns = stamp_time_ns(run->hlc);
    return 0;
}

static int store(struct eventual_restamp_run *run,
                 const struct eventual_record *old)
{
    struct eventual *eventual = run->eventual;
    struct eventual_head head = eventual->head;
    struct eventual_record record = *old;
    struct eventual_tally tally = {.count = 0};
    int rc;

    record.hlc = ++run->hlc;
    record.sequence = record.local = ++head.sequence;
    rc = lower_namespace(run, record.dir, &tally);
    if (rc == 0)
        rc = eventual_store(eventual, &tally, &record, old);
    if (rc == 0)
        return eventual_write(eventual, &tally, &head);
    kv_batch_clear(eventual->batch);
    return rc;
}

static int write_one(struct eventual_restamp_run *run, struct change *change)
{
    struct eventual *eventual = run->eventual;
    struct eventual_record record = {0};
    int rc;

    if (!is_ahead(run, &change->record))
        return 0;
    rc = eventual_get(eventual->config.env->state, NULL, change->dir,
                      change->name, true, &record);
    if (rc == ERR_CORRUPT)
        (void)eventual_note_damage(eventual, change->dir, change->name);
    if (rc == 0)
        rc = store(run, &record);
    eventual_release(&record);
    if (rc == 0)
        run->written++;
    return rc;
}

/* ERR_NOT_FOUND: the name has changed once more since, or its directory is no
 * more. What cannot be read ends it, and is to be mended first. */
static int read_change(struct eventual_restamp_run *run, struct kv_iter *iter,
                       struct change *ret)
{
    struct eventual *eventual = run->eventual;
    int rc;

    if (!key_parse_sequence(kv_iter_key(iter), 'i', &ret->sequence))
        return ERR_CORRUPT;
    if (!key_parse_changed(kv_iter_value(iter), &ret->dir, &ret->name)) {
        (void)eventual_index_anew(eventual);
        return ERR_CORRUPT;
    }
    rc = eventual_get(eventual->config.env->state, NULL, ret->dir, ret->name,
                      false, &ret->record);
    if (rc == ERR_CORRUPT)
        (void)eventual_note_damage(eventual, ret->dir, ret->name);
    return rc == 0 && ret->record.local != ret->sequence ? ERR_NOT_FOUND : rc;
}

static int visit_slice(struct eventual_restamp_run *run, struct kv_iter *iter,
                       visit_change *visit, uint64_t count_max)
{
    for (uint64_t i = 0; i < count_max && kv_iter_valid(iter); i++) {
        struct change change = {0};
        int rc = read_change(run, iter, &change);

        if (rc == 0)
            rc = visit(run, &change);
        eventual_release(&change.record);
        if (rc != 0 && rc != ERR_NOT_FOUND)
            return rc;
        run->at = change.sequence + 1;
        kv_iter_next(iter);
    }
    if (!kv_iter_valid(iter))
        run->at = run->end;
    return kv_iter_status(iter, NULL);
}

static int go_through(struct eventual_restamp_run *run, visit_change *visit,
                      uint64_t count_max)
{
    struct key lower = key_eventual_change(run->at);
    struct key upper = key_eventual_change(run->end);
    struct kv_iter *iter = kv_iter_new(run->eventual->config.env->state, NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc;

    kv_iter_seek(iter, key_slice(&lower));
    rc = visit_slice(run, iter, visit, count_max);
    kv_iter_free(iter);
    return rc;
}

/* ---- the steps, likewise ---- */

/* Twice what clocks may be apart: nothing that others had from each other is
 * greater, where all clocks are right. */
static uint64_t bound_of(uint64_t wall_ns)
{
    uint64_t end_ms = wall_ns / 1000000 + 2 * MAX_DRIFT_MS + 1;

    return (end_ms << STAMP_COUNTER_BITS) - 1;
}

/* Below the floor nobody would take them. Where somebody has got one that is
 * ahead, it would stay there, and win over all that comes later; perhaps it is
 * not here any more, as another one that is ahead has replaced it. And where
 * something ahead came from another node, it would be the same there. */
static int begin(struct eventual_restamp_run *run)
{
    const struct eventual_config *config = &run->eventual->config;
    const struct eventual_head *head = &run->eventual->head;
    struct floor floor = {0};
    uint64_t wall_ns = 0;
    int rc = config->read_clock(config->context, &wall_ns);

    if (rc == 0)
        rc = floor_get(config->env->state, NULL, &floor);
    run->bound = run->hlc = bound_of(wall_ns);
    run->end = head->sequence + 1;
    if (rc == 0 && (floor.hlc > run->bound || head->floor > run->bound ||
                    head->seen > run->bound || run->seen > run->bound))
        rc = ERR_BUSY;
    return rc;
}

/* The clock goes back to where no version here is greater, also none that was
 * taken meanwhile. That is written with a number of its own, which tells
 * when it is durable. Where something was in the way it stays. */
static int end(struct eventual_restamp_run *run)
{
    struct eventual *eventual = run->eventual;
    struct eventual_head head = eventual->head;

    head.sequence++;
    if (run->status == 0)
        head.hlc = head.seen > run->hlc ? head.seen : run->hlc;
    run->last = head.sequence;
    return eventual_write(eventual, NULL, &head);
}

static int take_step(struct eventual_restamp_run *run)
{
    switch (run->step) {
    case RESTAMP_BEGIN:
        return begin(run);
    case RESTAMP_LOOK:
        return go_through(run, look_at, LOOKED_MAX);
    case RESTAMP_WRITE:
        return go_through(run, write_one, WRITTEN_MAX);
    case RESTAMP_END:
        return end(run);
    case RESTAMP_WAIT:
        break;
    }
    return 0;
}

/* ---- from step to step, on ENV_WORKER ---- */

static void come_back(struct env_task *task);

static void on_owner(struct env_task *task)
{
    struct eventual_restamp_run *run =
        container_of(task, struct eventual_restamp_run, task);
    int rc = take_step(run);

    if (rc != 0)
        run->status = rc;
    task->run = come_back;
    env_post(run->eventual->config.env, ENV_WORKER, task);
}

static void post(struct eventual_restamp_run *run, enum restamp_step step)
{
    run->step = step;
    run->task.run = on_owner;
    eventual_post_owner(run->eventual, &run->task);
}

static void finish(struct eventual_restamp_run *run)
{
    struct eventual *eventual = run->eventual;
    struct eventual_restamp *restamp = run->restamp;

    eventual->restamp = NULL;
    eventual->is_restamping = false;
    eventual->counts.restamped += run->written;
    eventual_report(eventual,
                    run->last > run->reported ? run->last : run->reported);
    if (restamp != NULL) {
        restamp->run = NULL;
        restamp->count = run->count;
        restamp->done(restamp, run->status);
    }
    free(run);
}

void eventual_restamp_report(struct eventual *eventual, uint64_t last)
{
    struct eventual_restamp_run *run = eventual->restamp;

    if (run->reported < last)
        run->reported = last;
}

/* What was written is shown when it is durable, and nothing is accepted before:
 * after a crash, what is changed later would be older than what it changed. */
static void wait(struct eventual_restamp_run *run)
{
    const struct eventual_config *config = &run->eventual->config;

    run->step = RESTAMP_WAIT;
    config->flush(config->context);
}

static void go_on(struct eventual_restamp_run *run)
{
    bool more = run->status == 0 && run->at < run->end;

    switch (run->step) {
    case RESTAMP_BEGIN:
    case RESTAMP_LOOK:
        if (more) {
            post(run, RESTAMP_LOOK);
        } else if (run->status != 0 || !run->writes) {
            finish(run);
        } else {
            run->at = run->count > 0 ? run->first : run->end;
            post(run, RESTAMP_WRITE);
        }
        break;
    case RESTAMP_WRITE:
        post(run, more ? RESTAMP_WRITE : RESTAMP_END);
        break;
    case RESTAMP_END:
        wait(run);
        break;
    case RESTAMP_WAIT:
        break;
    }
}

static void come_back(struct env_task *task)
{
    struct eventual_restamp_run *run =
        container_of(task, struct eventual_restamp_run, task);

    if (run->restamp == NULL)
        finish(run);
    else
        go_on(run);
}

void eventual_restamp_start(struct eventual *eventual,
                            struct eventual_restamp *restamp)
{
    struct eventual_restamp_run *run = mem_zalloc(sizeof *run);

    assert(eventual->restamp == NULL && !eventual->stopped);
    run->eventual = eventual;
    run->restamp = restamp;
    run->seen = restamp->seen;
    run->writes = restamp->writes;
    restamp->run = run;
    eventual->restamp = run;
    eventual->is_restamping = run->writes;
    post(run, RESTAMP_BEGIN);
}

/* The journal, too, must have nothing of before: were state/ given up, it would
 * bring that back. */
void eventual_restamp_tick(struct eventual *eventual)
{
    struct eventual_restamp_run *run = eventual->restamp;
    const struct eventual_journal *journal = &eventual->journal;
    struct eventual_head head;

    if (run == NULL || run->step != RESTAMP_WAIT)
        return;
    eventual_journal_cut(eventual);
    if (STAILQ_EMPTY(&journal->writing) && STAILQ_EMPTY(&journal->kept) &&
        !journal->cutting &&
        eventual_head_get_durable(eventual->config.env->state, &head) == 0 &&
        head.sequence >= run->last)
        finish(run);
    else
        wait(run);
}

void eventual_restamp_stop(struct eventual *eventual)
{
    struct eventual_restamp_run *run = eventual->restamp;
    struct eventual_restamp *restamp = run == NULL ? NULL : run->restamp;

    if (restamp == NULL)
        return;
    run->restamp = NULL;
    restamp->run = NULL;
    if (run->step == RESTAMP_WAIT)
        finish(run);
    restamp->done(restamp, ERR_CANCELED);
}
