/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h happens on region 0's owner to a change that is accepted
 * here, and what that has in common with those of other nodes. */

#include <assert.h>

#include "engine/eventual_impl.h"
#include "engine/keys.h"
#include "engine/stamps.h"

/* ---- writing ---- */

static struct eventual_namespace *tally_of(struct eventual_tally *tally,
                                           uint64_t nsid)
{
    for (size_t i = 0; i < tally->count; i++)
        if (tally->of[i].nsid == nsid)
            return &tally->of[i].record;
    return NULL;
}

static int tally_find(struct eventual *eventual, struct eventual_tally *tally,
                      uint64_t nsid, struct eventual_namespace **ret)
{
    int rc = 0;

    *ret = tally_of(tally, nsid);
    if (*ret != NULL)
        return 0;
    assert(tally->count < ARRAY_SIZE(tally->of));
    *ret = &tally->of[tally->count].record;
    rc = eventual_namespace_get(eventual->config.env->state, NULL, nsid, *ret);
    if (rc == 0)
        tally->of[tally->count++].nsid = nsid;
    return rc;
}

/* The time of a version is near enough for one that a directory shows. */
static int64_t time_of(uint64_t hlc)
{
    return (int64_t)(hlc >> STAMP_COUNTER_BITS) * 1000000;
}

static bool is_live(const struct eventual_record *record)
{
    return record != NULL && !record->removed;
}

int eventual_store(struct eventual *eventual, struct eventual_tally *tally,
                   const struct eventual_record *record,
                   const struct eventual_record *old)
{
    bool comes = is_live(record) && !is_live(old);
    bool goes = !is_live(record) && is_live(old);

    /* A record of its own for each namespace: eventual_sweep(). */
    if (comes || goes || old == NULL) {
        struct eventual_namespace *count;
        int rc = tally_find(eventual, tally, record->dir, &count);

        if (rc != 0)
            return rc;
        count->entry_count += comes ? 1 : 0;
        count->entry_count -= goes ? 1 : 0;
        if (count->changed_ns < time_of(record->hlc))
            count->changed_ns = time_of(record->hlc);
        if (count->version < record->hlc)
            count->version = record->hlc;
    }
    eventual_put(eventual->batch, record, old);
    return 0;
}

int eventual_write(struct eventual *eventual,
                   const struct eventual_tally *tally,
                   const struct eventual_head *head)
{
    struct env *env = eventual->config.env;
    int rc;

    for (size_t i = 0; tally != NULL && i < tally->count; i++)
        eventual_namespace_put(eventual->batch, tally->of[i].nsid,
                               &tally->of[i].record);
    eventual_head_put(eventual->batch, head);
    eventual->head = *head;
    rc = kv_write(env->state, eventual->batch, KV_RELAXED, NULL);
    kv_batch_clear(eventual->batch);
    if (rc != 0)
        env_fatal(env, "cannot write eventual changes into state/");
    return rc;
}

/* ---- what was known already ---- */

bool eventual_is_outlived(const struct eventual *eventual,
                          const struct eventual_record *record)
{
    struct modes *modes = eventual->config.modes;
    struct mode mode = modes_find(modes, record->dir);

    return record->since <= modes_version(modes) &&
           (mode.state == MODE_STRONG || mode.since != record->since);
}

bool eventual_is_sound(const struct eventual_record *record)
{
    return record->dir != 0 && record->name.size > 0 &&
           record->name.size <= NAME_SIZE_MAX && record->origin != 0 &&
           record->since != 0;
}

int eventual_take(struct eventual *eventual,
                  const struct eventual_record *record, bool *ret_newer)
{
    struct eventual_head head = eventual->head;
    struct eventual_tally tally = {.count = 0};
    struct eventual_record old = {0};
    int rc = eventual_get(eventual->config.env->state, NULL, record->dir,
                          record->name, false, &old);
    bool is_new = rc == ERR_NOT_FOUND;

    if (rc != 0 && !is_new)
        return rc;
    *ret_newer = is_new || eventual_compare(record, &old) > 0;
    rc = 0;
    if (*ret_newer) {
        rc = eventual_store(eventual, &tally, record, is_new ? NULL : &old);
        if (head.sequence < record->local)
            head.sequence = record->local;
        if (head.hlc < record->hlc)
            head.hlc = record->hlc;
        if (rc == 0)
            rc = eventual_write(eventual, &tally, &head);
    }
    eventual_release(&old);
    return rc;
}

/* ---- accepting ---- */

/* Rule 4: this thread applies the fences, too. */
static int check_modes(const struct eventual *eventual,
                       const struct command *command)
{
    struct modes *modes = eventual->config.modes;
    bool may = modes_find(modes, command->dir).state == MODE_EVENTUAL;

    if (may && command->op == COMMAND_RENAME)
        may = modes_find(modes, command->to_dir).state == MODE_EVENTUAL;
    if (!may)
        return ERR_EPOCH;
    return modes_is_leaving(modes) ? ERR_READ_ONLY : 0;
}

static uint64_t hlc_after(const struct eventual *eventual, uint64_t last)
{
    uint64_t wall_ms = env_wall_ns(eventual->config.env) / 1000000;
    uint64_t now = wall_ms << STAMP_COUNTER_BITS;

    return now > last ? now : last + 1;
}

/* Versions and numbers. */
static void number(const struct eventual *eventual,
                   struct eventual_outcome *outcome, struct eventual_head *head)
{
    for (size_t i = 0; i < outcome->count; i++) {
        struct eventual_record *after = &outcome->changes[i].after;

        head->hlc = hlc_after(eventual, head->hlc);
        after->hlc = head->hlc;
        after->origin = eventual->config.node;
        after->sequence = after->local = ++head->sequence;
        after->since = modes_find(eventual->config.modes, after->dir).since;
        if (after->removed)
            continue;
        after->attr.version = head->hlc;
        if (after->attr.ino == outcome->result.attr.ino)
            outcome->result.attr.version = head->hlc;
    }
}

static int store_all(struct eventual *eventual,
                     const struct eventual_outcome *outcome,
                     const struct eventual_head *head)
{
    struct eventual_tally tally = {.count = 0};

    for (size_t i = 0; i < outcome->count; i++) {
        const struct eventual_change *change = &outcome->changes[i];
        bool is_new = change->before.dir == 0;
        int rc = eventual_store(eventual, &tally, &change->after,
                                is_new ? NULL : &change->before);

        if (rc != 0) {
            kv_batch_clear(eventual->batch);
            return rc;
        }
    }
    return eventual_write(eventual, &tally, head);
}

static int change(struct eventual_work *work, struct eventual_outcome *outcome)
{
    struct eventual *eventual = work->eventual;
    struct eventual_head head = eventual->head;
    int rc;

    number(eventual, outcome, &head);
    work->journaled = eventual_journaled_new(eventual, outcome);
    if (work->journaled == NULL)
        return ERR_NO_MEMORY;
    work->journaled->work = work;
    rc = store_all(eventual, outcome, &head);
    if (rc != 0) {
        eventual_journaled_free(work->journaled);
        work->journaled = NULL;
    }
    return rc;
}

void eventual_accept(struct eventual_work *work)
{
    struct eventual *eventual = work->eventual;
    struct eventual_outcome outcome = {.count = 0};
    int rc = check_modes(eventual, &work->command);

    work->command.node = eventual->config.node;
    work->command.now_ns = (int64_t)env_wall_ns(eventual->config.env);
    if (rc == 0)
        rc = eventual_execute(eventual->config.env->state, &work->command,
                              &outcome);
    if (rc == 0 && outcome.count > 0)
        rc = change(work, &outcome);
    work->status = rc;
    work->result = outcome.result;
    outcome.result = (struct result){.status = 0};
    eventual_outcome_release(&outcome);
    work->last = eventual->head.sequence;
}
