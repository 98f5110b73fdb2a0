/* SPDX-License-Identifier: Apache-2.0 */

/* The journal of eventual.h: what was accepted here and may not be safe in
 * state/ yet. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/eventual_damage.h"
#include "engine/eventual_impl.h"
#include "engine/keys.h"
#include "engine/quarantine.h"

void eventual_journal_init(struct eventual_journal *journal)
{
    STAILQ_INIT(&journal->writing);
    STAILQ_INIT(&journal->kept);
}

/* ---- what is in it ---- */

struct eventual_journaled *
eventual_journaled_new(struct eventual *eventual,
                       const struct eventual_outcome *outcome)
{
    struct eventual_journaled *journaled = mem_zalloc(sizeof *journaled);

    journaled->eventual = eventual;
    journaled->first = outcome->changes[0].after.sequence;
    journaled->last = outcome->changes[outcome->count - 1].after.sequence;
    for (size_t i = 0; i < outcome->count; i++) {
        journaled->records[i] = eventual_encode(&outcome->changes[i].after);
        if (journaled->records[i] == NULL) {
            eventual_journaled_free(journaled);
            return NULL;
        }
        journaled->size_bytes += journaled->records[i]->size;
    }
    return journaled;
}

static void drop_records(struct eventual_journaled *journaled)
{
    for (size_t i = 0; i < ARRAY_SIZE(journaled->records); i++) {
        buf_unref(journaled->records[i]);
        journaled->records[i] = NULL;
    }
}

void eventual_journaled_free(struct eventual_journaled *journaled)
{
    if (journaled == NULL)
        return;
    drop_records(journaled);
    free(journaled);
}

static void count_in(struct eventual_journal *journal,
                     const struct eventual_journaled *journaled)
{
    journal->entry_count += journaled->last - journaled->first + 1;
    journal->size_bytes += journaled->size_bytes;
}

static void drop_first_kept(struct eventual_journal *journal)
{
    struct eventual_journaled *journaled = STAILQ_FIRST(&journal->kept);

    journal->entry_count -= journaled->last - journaled->first + 1;
    journal->size_bytes -= journaled->size_bytes;
    STAILQ_REMOVE_HEAD(&journal->kept, link);
    eventual_journaled_free(journaled);
}

void eventual_journal_close(struct eventual_journal *journal)
{
    STAILQ_CONCAT(&journal->kept, &journal->writing);
    while (!STAILQ_EMPTY(&journal->kept))
        drop_first_kept(journal);
}

/* ---- writing ---- */

/* On the log writer's thread. */
static void fill(struct env_log_write *write, struct kv_batch *batch)
{
    const struct eventual_journaled *journaled =
        container_of(write, struct eventual_journaled, write);

    for (uint64_t sequence = journaled->first; sequence <= journaled->last;
         sequence++) {
        struct key key = key_journal(sequence);

        kv_batch_put(
            batch, key_slice(&key),
            buf_slice(journaled->records[sequence - journaled->first]));
    }
}

static void written(struct env_log_write *write)
{
    struct eventual_journaled *journaled =
        container_of(write, struct eventual_journaled, write);
    struct eventual *eventual = journaled->eventual;
    struct eventual_work *work = journaled->work;

    assert(STAILQ_FIRST(&eventual->journal.writing) == journaled);
    STAILQ_REMOVE_HEAD(&eventual->journal.writing, link);
    STAILQ_INSERT_TAIL(&eventual->journal.kept, journaled, link);
    drop_records(journaled);
    journaled->work = NULL;
    work->journaled = NULL;
    eventual_answer(work);
    eventual_notice(eventual);
}

void eventual_journal_write(struct eventual_work *work)
{
    struct eventual_journaled *journaled = work->journaled;
    struct eventual *eventual = work->eventual;

    STAILQ_INSERT_TAIL(&eventual->journal.writing, journaled, link);
    count_in(&eventual->journal, journaled);
    journaled->write.fill = fill;
    journaled->write.done = written;
    eventual->config.save_catalog(eventual->config.context);
    env_log_write(eventual->config.env, &journaled->write);
}

/* ---- cutting ---- */

static void fill_cut(struct env_log_write *write, struct kv_batch *batch)
{
    const struct eventual_journal *journal =
        container_of(write, struct eventual_journal, cut);
    struct key begin = key_journal(0);
    struct key end = key_journal(journal->cut_last + 1);

    kv_batch_delete_range(batch, key_slice(&begin), key_slice(&end));
}

static void cut_done(struct env_log_write *write)
{
    struct eventual_journal *journal =
        container_of(write, struct eventual_journal, cut);

    journal->cutting = false;
}

/* Batches of state/ are durable in the order of writing, so all that is up to
 * a durable head is. */
void eventual_journal_cut(struct eventual *eventual)
{
    struct eventual_journal *journal = &eventual->journal;
    const struct eventual_journaled *first = STAILQ_FIRST(&journal->kept);
    struct eventual_head head;

    if (first == NULL || journal->cutting ||
        eventual_head_get_durable(eventual->config.env->state, &head) != 0 ||
        first->last > head.sequence)
        return;
    while (first != NULL && first->last <= head.sequence) {
        journal->cut_last = first->last;
        drop_first_kept(journal);
        first = STAILQ_FIRST(&journal->kept);
    }
    journal->cutting = true;
    journal->cut.fill = fill_cut;
    journal->cut.done = cut_done;
    env_log_write(eventual->config.env, &journal->cut);
}

/* ---- replaying ---- */

static void keep(struct eventual *eventual, uint64_t sequence, size_t size)
{
    struct eventual_journaled *journaled = mem_zalloc(sizeof *journaled);

    journaled->eventual = eventual;
    journaled->first = journaled->last = sequence;
    journaled->size_bytes = size;
    STAILQ_INSERT_TAIL(&eventual->journal.kept, journaled, link);
    count_in(&eventual->journal, journaled);
}

/* Rule 1 of quarantine.h: beside a later life of its name it cannot wait for
 * the end of its own to be looked at. The head goes with it, so it is not
 * replayed once more. */
static int replay_outlived(struct eventual *eventual,
                           const struct eventual_record *record, bool *ret)
{
    struct kv *state = eventual->config.env->state;
    struct eventual_head head = eventual->head;
    struct eventual_record known = {0};
    int rc =
        eventual_get(state, NULL, record->dir, record->name, false, &known);
    bool is_outlived = rc == 0 && known.since > record->since;

    eventual_release(&known);
    *ret = false;
    if (rc == ERR_CORRUPT)
        return eventual_note_damage(eventual, record->dir, record->name);
    if (!is_outlived)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    rc = quarantine_take(state, eventual->batch, eventual->config.node, record,
                         ret);
    if (rc != 0 || !*ret)
        return rc;
    head.sequence = record->local;
    return eventual_write(eventual, NULL, &head);
}

static int replay_record(struct eventual *eventual,
                         struct eventual_record *record, uint64_t sequence)
{
    struct eventual_intake intake = {.count = 0};
    struct eventual_taken taken;
    bool is_kept = false;
    int rc;

    if (!eventual_is_sound(record) || record->sequence != sequence ||
        record->origin != eventual->config.node)
        return ERR_CORRUPT;
    record->local = sequence;
    rc = replay_outlived(eventual, record, &is_kept);
    if (rc != 0 || is_kept)
        return rc;
    rc = eventual_take(eventual, &intake, record, &taken);
    return rc == 0 ? eventual_write_taken(eventual, &intake) : rc;
}

/* `applied`: what state/ has, or has deleted since. */
static int replay(struct eventual *eventual, uint64_t applied, struct slice key,
                  struct slice bytes, struct err *e)
{
    struct eventual_record record = {0};
    uint64_t sequence = 0;
    int rc = ERR_CORRUPT;

    if (key_parse_sequence(key, 'E', &sequence))
        rc = eventual_decode(&record, bytes);
    if (rc == 0 && sequence > applied)
        rc = replay_record(eventual, &record, sequence);
    eventual_release(&record);
    if (rc != 0)
        return err_set(e, rc,
                       "replay eventual change %" PRIu64 " of the journal: %s",
                       sequence, err_text(rc));
    keep(eventual, sequence, bytes.size);
    return 0;
}

static int replay_all(struct eventual *eventual, struct kv_iter *iter,
                      struct err *e)
{
    const uint64_t applied = eventual->head.sequence;
    int rc;

    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        rc = replay(eventual, applied, kv_iter_key(iter), kv_iter_value(iter),
                    e);
        if (rc != 0)
            return rc;
    }
    rc = kv_iter_status(iter, e);
    return rc == 0 ? 0 : err_prefix(e, rc, "read the journal");
}

int eventual_journal_open(struct eventual *eventual, struct err *e)
{
    struct key lower = key_journal(0);
    struct key upper = key_journal(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(eventual->config.env->log, NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc;

    kv_iter_seek(iter, key_slice(&lower));
    rc = replay_all(eventual, iter, e);
    kv_iter_free(iter);
    return rc;
}
