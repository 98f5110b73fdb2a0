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

static bool is_live(const struct eventual_record *record)
{
    return record != NULL && !record->removed;
}

/* Rule 2 of quarantine.h. */
static int flush_moved(struct eventual *eventual)
{
    int rc = 0;

    if (eventual->has_moved)
        rc = kv_flush(eventual->config.env->state, true, NULL);
    if (rc == 0)
        eventual->has_moved = false;
    return rc;
}

int eventual_store(struct eventual *eventual, struct eventual_tally *tally,
                   const struct eventual_record *record,
                   const struct eventual_record *old)
{
    bool comes = is_live(record) && !is_live(old);
    bool goes = !is_live(record) && is_live(old);
    int rc = flush_moved(eventual);

    if (rc != 0)
        return rc;
    /* A record of its own for each namespace: eventual_sweep(). */
    if (comes || goes || old == NULL || old->since != record->since) {
        struct eventual_namespace *count;

        rc = tally_find(eventual, tally, record->dir, &count);
        if (rc != 0)
            return rc;
        count->entry_count += comes ? 1 : 0;
        count->entry_count -= goes ? 1 : 0;
        /* Near enough for a time that a directory shows. */
        if (count->changed_ns < stamp_time_ns(record->hlc))
            count->changed_ns = stamp_time_ns(record->hlc);
        if (count->version < record->hlc)
            count->version = record->hlc;
        eventual_namespace_add_life(count, record->since);
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

    return record->since <= modes_version(modes) && mode.since != record->since;
}

bool eventual_is_sound(const struct eventual_record *record)
{
    return record->dir != 0 && record->name.size > 0 &&
           record->name.size <= NAME_SIZE_MAX && record->origin != 0 &&
           record->since != 0;
}

int eventual_take(struct eventual *eventual,
                  const struct eventual_record *record,
                  struct eventual_taken *ret)
{
    struct eventual_head head = eventual->head;
    struct eventual_tally tally = {.count = 0};
    struct eventual_record old = {0};
    int rc = eventual_get(eventual->config.env->state, NULL, record->dir,
                          record->name, false, &old);
    bool is_new = rc == ERR_NOT_FOUND;

    if (rc != 0 && !is_new)
        return rc;
    ret->is_newer = is_new || eventual_compare(record, &old) > 0;
    ret->is_conflict = !is_new && eventual_is_conflict(record, &old);
    rc = 0;
    if (ret->is_newer) {
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
    const struct mode mode = modes_find(modes, command->dir);
    bool may = mode.state == MODE_EVENTUAL;

    if (command->op == COMMAND_BRING)
        may = mode_is_filling(mode) && mode.since == command->offset;
    if (may && command->op == COMMAND_RENAME)
        may = modes_find(modes, command->to_dir).state == MODE_EVENTUAL;
    if (!may)
        return ERR_EPOCH;
    if (eventual->is_restamping)
        return ERR_UNAVAILABLE;
    return modes_is_leaving(modes) ? ERR_READ_ONLY : 0;
}

static uint64_t hlc_after(uint64_t wall_ns, uint64_t last)
{
    uint64_t now = wall_ns / 1000000 << STAMP_COUNTER_BITS;

    return now > last ? now : last + 1;
}

/* The newest change of another node that this one knows of, by what it finds. A
 * newer one of its own still goes back to that. */
static uint64_t known_to(const struct eventual *eventual,
                         const struct eventual_record *before)
{
    if (before->dir == 0)
        return 0;
    return before->origin == eventual->config.node ? before->known
                                                   : before->hlc;
}

/* Versions and numbers. */
static void number(const struct eventual *eventual, uint64_t wall_ns,
                   struct eventual_outcome *outcome, struct eventual_head *head)
{
    for (size_t i = 0; i < outcome->count; i++) {
        struct eventual_record *after = &outcome->changes[i].after;

        after->known = known_to(eventual, &outcome->changes[i].before);
        head->hlc = hlc_after(wall_ns, head->hlc);
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

    number(eventual, (uint64_t)work->command.now_ns, outcome, &head);
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
    const struct eventual_config *config = &eventual->config;
    struct eventual_outcome outcome = {.count = 0};
    uint64_t wall_ns = 0;
    int rc = check_modes(eventual, &work->command);

    /* One reading for the check, times and versions alike. */
    if (rc == 0)
        rc = config->read_clock(config->context, &wall_ns);
    work->command.node = config->node;
    work->command.now_ns = (int64_t)wall_ns;
    if (rc == 0)
        rc = eventual_execute(config->env->state, &work->command, &outcome);
    if (rc == 0 && outcome.count > 0)
        rc = change(work, &outcome);
    work->status = rc;
    work->result = outcome.result;
    outcome.result = (struct result){.status = 0};
    eventual_outcome_release(&outcome);
    work->last = eventual->head.sequence;
}
