/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/eventual.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/eventual_impl.h"

enum {
    JOURNAL_ENTRIES_MAX = 1000, /* then state/ is flushed */
    JOURNAL_BYTES_MAX = 16 * 1024 * 1024
};

/* ---- life ---- */

struct eventual *eventual_new(const struct eventual_config *config)
{
    struct eventual *eventual = mem_zalloc(sizeof *eventual);

    eventual->config = *config;
    TAILQ_INIT(&eventual->works);
    TAILQ_INIT(&eventual->merges);
    TAILQ_INIT(&eventual->drops);
    eventual_journal_init(&eventual->journal);
    eventual->batch = kv_batch_new(config->env->state);
    return eventual;
}

/* Rule 1. What is in the journal, and came to nothing, can be cut off, too. */
static int begin_boot(struct eventual *eventual)
{
    uint64_t first = eventual->config.boot << EVENTUAL_BOOT_SHIFT;

    if (eventual->head.sequence < first)
        eventual->head.sequence = first;
    return STAILQ_EMPTY(&eventual->journal.kept)
               ? 0
               : eventual_write(eventual, NULL, &eventual->head);
}

/* Above all that this node has promised not to stamp: see floor.h. */
static void begin_clock(struct eventual *eventual)
{
    uint64_t promise = eventual_promise(eventual);

    if (eventual->head.hlc < promise)
        eventual->head.hlc = promise;
}

int eventual_open(struct eventual *eventual, struct err *e)
{
    int rc = eventual_head_get(eventual->config.env->state, &eventual->head);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        return err_set(e, rc, "read how far eventual changes are applied: %s",
                       err_text(rc));
    rc = eventual_fence_open(eventual);
    if (rc != 0)
        return err_set(e, rc, "read the last fence: %s", err_text(rc));
    rc = eventual_floor_open(eventual);
    if (rc != 0)
        return err_set(e, rc, "read what was promised: %s", err_text(rc));
    rc = eventual_journal_open(eventual, e);
    if (rc != 0)
        return rc;
    rc = eventual_sweep_lives(eventual);
    if (rc != 0)
        return err_set(e, rc, "delete what is left of earlier times: %s",
                       err_text(rc));
    rc = eventual_digest_count(eventual);
    if (rc != 0)
        return err_set(e, rc, "count what there is in eventual directories: %s",
                       err_text(rc));
    begin_clock(eventual);
    rc = begin_boot(eventual);
    if (rc != 0)
        return err_set(e, rc, "write how far eventual changes are applied: %s",
                       err_text(rc));
    eventual->last = eventual->head.sequence;
    eventual->seen = eventual->head.seen;
    eventual->whole = eventual->head.whole;
    eventual->damage.is_damaged = eventual->head.damaged;
    eventual->damage.count = eventual->damages;
    eventual->is_open = true;
    return 0;
}

void eventual_free(struct eventual *eventual)
{
    if (eventual == NULL)
        return;
    assert(TAILQ_EMPTY(&eventual->works));
    assert(TAILQ_EMPTY(&eventual->merges));
    assert(TAILQ_EMPTY(&eventual->drops));
    assert(eventual->restamp == NULL);
    eventual_journal_close(&eventual->journal);
    kv_batch_free(eventual->batch);
    free(eventual);
}

void eventual_tick(struct eventual *eventual)
{
    const struct eventual_journal *journal = &eventual->journal;

    eventual_journal_cut(eventual);
    eventual_fence_follow(eventual);
    eventual_floor_tick(eventual);
    eventual_moment_tick(eventual);
    eventual_damage_tick(eventual);
    if (journal->entry_count > JOURNAL_ENTRIES_MAX ||
        journal->size_bytes > JOURNAL_BYTES_MAX || eventual->has_dropped)
        eventual->config.flush(eventual->config.context);
    eventual->has_dropped = false;
}

/* ---- the end of a work ---- */

/* Its op, which is over. NULL: it was over before. */
static struct eventual_op *detach(struct eventual_work *work)
{
    struct eventual_op *op = work->op;

    if (op == NULL)
        return NULL;
    work->op = NULL;
    op->work = NULL;
    TAILQ_REMOVE(&work->eventual->works, work, link);
    return op;
}

static void work_free(struct eventual_work *work)
{
    eventual_journaled_free(work->journaled);
    result_release(&work->result);
    command_release(&work->command);
    buf_unref(work->bytes);
    free(work);
}

void eventual_answer(struct eventual_work *work)
{
    struct eventual_op *op = detach(work);

    work->result.status = work->status;
    if (op != NULL)
        op->done(op, work->status, &work->result);
    work_free(work);
}

void eventual_cancel(struct eventual_op *op)
{
    if (op->work != NULL)
        (void)detach(op->work); /* It comes back, and frees itself. */
}

void eventual_stop(struct eventual *eventual)
{
    const struct result none = {.status = ERR_CANCELED};
    struct eventual_work *work;

    eventual->stopped = true;
    while ((work = TAILQ_FIRST(&eventual->works)) != NULL) {
        struct eventual_op *op = detach(work);

        op->done(op, ERR_CANCELED, &none);
    }
    eventual_merge_stop(eventual);
    eventual_drop_stop(eventual);
    eventual_restamp_stop(eventual);
}

/* ---- the way of a work ---- */

static void refused(struct env_task *task)
{
    eventual_answer(container_of(task, struct eventual_work, task));
}

static void come_back(struct env_task *task)
{
    struct eventual_work *work = container_of(task, struct eventual_work, task);
    struct eventual *eventual = work->eventual;
    uint64_t last = work->last;

    if (work->journaled == NULL) {
        eventual_answer(work);
    } else {
        eventual->counts.accepted++;
        eventual_journal_write(work);
    }
    eventual_report(eventual, last);
}

static void execute(struct env_task *task)
{
    struct eventual_work *work = container_of(task, struct eventual_work, task);

    eventual_accept(work);
    task->run = come_back;
    env_post(work->eventual->config.env, ENV_WORKER, task);
}

/* Before its own fence this node does not know what it has given up. */
static int check_node(const struct eventual *eventual)
{
    const struct eventual_config *config = &eventual->config;

    if (config->clock_is_wrong(config->context))
        return ERR_READ_ONLY;
    if (eventual->is_restamping)
        return ERR_UNAVAILABLE;
    if (!eventual->whole || modes_version(config->modes) < eventual->fence)
        return ERR_UNAVAILABLE;
    return 0;
}

int eventual_readiness(const struct eventual *eventual)
{
    const struct eventual_config *config = &eventual->config;
    uint64_t wall_ns;
    int rc = check_node(eventual);

    if (modes_is_leaving(config->modes))
        return ERR_READ_ONLY;
    return rc == 0 ? config->read_clock(config->context, &wall_ns) : rc;
}

static int check_whether_it_may(const struct eventual *eventual,
                                const struct command *command)
{
    const struct eventual_config *config = &eventual->config;
    int rc = check_node(eventual);

    if (eventual->stopped)
        return ERR_CANCELED;
    if (rc != 0)
        return rc;
    if (command_grows(command) && config->disk_is_full(config->context))
        return ERR_NO_SPACE;
    return 0;
}

static int copy_command(struct eventual_work *work,
                        const struct command *command)
{
    work->bytes = command_encode(command);
    return work->bytes == NULL
               ? ERR_NO_MEMORY
               : command_decode(&work->command, buf_slice(work->bytes));
}

void eventual_start(struct eventual *eventual, struct eventual_op *op)
{
    struct eventual_work *work = mem_zalloc(sizeof *work);

    work->eventual = eventual;
    work->op = op;
    op->work = work;
    TAILQ_INSERT_TAIL(&eventual->works, work, link);
    work->status = check_whether_it_may(eventual, op->command);
    if (work->status == 0)
        work->status = copy_command(work, op->command);
    if (work->status == 0) {
        work->task.run = execute;
        eventual_post_owner(eventual, &work->task);
    } else {
        work->task.run = refused;
        env_post(eventual->config.env, ENV_WORKER, &work->task);
    }
}

/* ---- what others may know ---- */

void eventual_notice(struct eventual *eventual)
{
    if (eventual->notice != NULL && !eventual->stopped)
        eventual->notice(eventual->notice_context);
}

void eventual_report(struct eventual *eventual, uint64_t last)
{
    if (eventual->is_restamping)
        eventual_restamp_report(eventual, last);
    if (last <= eventual->last || eventual->is_restamping)
        return;
    eventual->last = last;
    if (STAILQ_EMPTY(&eventual->journal.writing))
        eventual_notice(eventual);
}

uint64_t eventual_shown(const struct eventual *eventual)
{
    const struct eventual_journaled *first =
        STAILQ_FIRST(&eventual->journal.writing);

    return first != NULL ? first->first - 1 : eventual->last;
}

uint64_t eventual_seen(const struct eventual *eventual)
{
    return eventual->seen;
}

uint64_t eventual_fence(const struct eventual *eventual)
{
    return eventual->fence;
}

bool eventual_is_whole(const struct eventual *eventual)
{
    return eventual->whole;
}

static void is_whole(struct env_task *task)
{
    struct eventual *eventual = container_of(task, struct eventual, whole_task);

    eventual->whole_posted = false;
    eventual->whole = true;
    eventual_notice(eventual);
}

static void write_whole(struct env_task *task)
{
    struct eventual *eventual = container_of(task, struct eventual, whole_task);
    struct eventual_head head = eventual->head;

    head.whole = true;
    (void)eventual_write(eventual, NULL, &head); /* A failure is fatal. */
    task->run = is_whole;
    env_post(eventual->config.env, ENV_WORKER, task);
}

void eventual_set_whole(struct eventual *eventual)
{
    if (eventual->whole || eventual->whole_posted || eventual->stopped)
        return;
    eventual->whole_posted = true;
    eventual->whole_task.run = write_whole;
    eventual_post_owner(eventual, &eventual->whole_task);
}

void eventual_watch(struct eventual *eventual, void (*notice)(void *context),
                    void *context)
{
    eventual->notice = notice;
    eventual->notice_context = context;
}

void eventual_count(const struct eventual *eventual,
                    struct eventual_counts *ret)
{
    *ret = eventual->counts;
    ret->journal_entries = eventual->journal.entry_count;
    ret->damages = eventual->damage.count;
}
