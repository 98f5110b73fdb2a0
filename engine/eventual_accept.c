/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h happens on region 0's owner to a change that is accepted
 * here, and what that has in common with those that are taken. */

#include <assert.h>

#include "engine/eventual_damage.h"
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

int eventual_tally_find(struct eventual *eventual, struct eventual_tally *tally,
                        uint64_t nsid, struct eventual_namespace **ret)
{
    int rc = 0;

    *ret = tally_of(tally, nsid);
    if (*ret != NULL)
        return 0;
    assert(tally->count < ARRAY_SIZE(tally->of));
    *ret = &tally->of[tally->count].record;
    rc = eventual_count_get(eventual, nsid, *ret);
    if (rc != 0)
        return rc;
    tally->of[tally->count].nsid = nsid;
    tally->of[tally->count++].digest_before = (*ret)->digest;
    return 0;
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

/* Near enough for a time that a directory shows. */
static void note_time(struct eventual_namespace *count, uint64_t hlc)
{
    if (count->changed_ns < stamp_time_ns(hlc))
        count->changed_ns = stamp_time_ns(hlc);
    if (count->version < hlc)
        count->version = hlc;
}

/* One that cannot be read may have had any digest. Otherwise a failure leaves
 * all as it is. */
static int count_digest(struct eventual *eventual,
                        struct eventual_namespace *count, uint64_t digest,
                        const struct eventual_record *old)
{
    uint64_t before = 0;
    int rc = 0;

    if (old != NULL)
        rc = digest_entry(eventual->config.env->state, old, &before);
    if (rc != 0 && rc != ERR_CORRUPT)
        return rc;
    if (rc == ERR_CORRUPT)
        count->has_digest = false;
    count->digest += digest - before;
    return 0;
}

/* A record of its own for each namespace: eventual_sweep(). */
static int count_in(struct eventual *eventual, struct eventual_tally *tally,
                    const struct eventual_record *record,
                    const struct eventual_record *old)
{
    bool comes = is_live(record) && !is_live(old);
    bool goes = !is_live(record) && is_live(old);
    bool is_counted =
        comes || goes || old == NULL || old->since != record->since;
    struct eventual_namespace *count;
    int rc = eventual_tally_find(eventual, tally, record->dir, &count);

    if (rc == ERR_CORRUPT && !is_counted)
        return 0; /* Its digest is not known anyway. */
    if (rc == 0)
        rc = count_digest(eventual, count, record->digest, old);
    if (rc != 0)
        return rc;
    count->entry_count += comes ? 1 : 0;
    count->entry_count -= goes ? 1 : 0;
    if (is_counted) {
        note_time(count, record->hlc);
        eventual_namespace_add_life(count, record->since);
    }
    return 0;
}

int eventual_store(struct eventual *eventual, struct eventual_tally *tally,
                   const struct eventual_record *record,
                   const struct eventual_record *old)
{
    struct eventual_record entry = *record;
    int rc = flush_moved(eventual);

    entry.digest = digest_record(record);
    if (rc == 0)
        rc = count_in(eventual, tally, &entry, old);
    if (rc == 0)
        eventual_put(eventual->batch, &entry, old);
    return rc;
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
    if (tally != NULL)
        eventual_digest_follow(eventual, tally);
    eventual_head_put(eventual->batch, head);
    eventual->head = *head;
    rc = kv_write(env->state, eventual->batch, KV_RELAXED, NULL);
    kv_batch_clear(eventual->batch);
    if (rc != 0)
        env_fatal(env, "cannot write eventual changes into state/");
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

/* The status tells of it already. */
static void find_damage(struct eventual *eventual, const struct command *c)
{
    (void)eventual_check_entry(eventual, c->dir, c->name);
    if (c->op == COMMAND_RENAME)
        (void)eventual_check_entry(eventual, c->to_dir, c->to_name);
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
    if (rc == ERR_CORRUPT)
        find_damage(eventual, &work->command);
    if (rc == 0 && outcome.count > 0)
        rc = change(work, &outcome);
    work->status = rc;
    work->result = outcome.result;
    outcome.result = (struct result){.status = 0};
    eventual_outcome_release(&outcome);
    work->last = eventual->head.sequence;
}
