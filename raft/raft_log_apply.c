/* SPDX-License-Identifier: Apache-2.0 */

/* The log's side of application: what is handed out, and when to pause. */

#include "raft/raft_log.h"

#include <assert.h>
#include <string.h>

#include "raft/base/mem.h"

/* The last entry that may be handed out. What followers have made durable
 * commits without us; we still wait for our own disk, so that after a crash
 * the state machine is never ahead of the log. */
static uint64_t appliable(const struct raft_log *log)
{
    uint64_t stable = log->unstable.offset - 1;

    if (log->apply_unstable || log->committed < stable)
        return log->committed;
    return stable;
}

bool raft_log_has_next_committed(const struct raft_log *log)
{
    return !log->applying_paused && log->unstable.snapshot == NULL &&
           log->applying < appliable(log);
}

int raft_log_next_committed(const struct raft_log *log,
                            struct raft_entries *ret)
{
    *ret = (struct raft_entries){.count = 0};
    if (!raft_log_has_next_committed(log))
        return 0;

    assert(log->applying_size < log->applying_size_max);
    return raft_log_slice(log, log->applying + 1, appliable(log) + 1,
                          log->applying_size_max - log->applying_size, ret);
}

void raft_log_postpone(struct raft_log *log)
{
    log->applying_paused = true;
}

/* While a batch is outstanding its completion decides. */
void raft_log_retry(struct raft_log *log)
{
    if (log->batch_count == 0)
        log->applying_paused = false;
}

static uint64_t data_size(const struct raft_entries *entries)
{
    uint64_t size = 0;

    for (size_t i = 0; i < entries->count; i++)
        if (entries->item[i].data != NULL)
            size += entries->item[i].data->size;
    return size;
}

/* After a batch that was cut short for its size nothing more is handed out
 * until some of it is applied. */
void raft_log_accept_applying(struct raft_log *log,
                              const struct raft_entries *entries)
{
    struct applying batch = {
        .size = raft_entries_size(entries),
        .data_size = data_size(entries),
    };

    if (entries->count == 0)
        return;

    batch.index = entries->item[entries->count - 1].index;
    log->batches = mem_grow(log->batches, sizeof *log->batches,
                            &log->batch_count_max, log->batch_count + 1);
    log->batches[log->batch_count++] = batch;
    log->applying = batch.index;
    log->applying_size += batch.size;
    log->applying_paused = log->applying_size >= log->applying_size_max ||
                           log->applying < appliable(log);
}

uint64_t raft_log_applied_to(struct raft_log *log, uint64_t index)
{
    uint64_t freed = 0;
    size_t done = 0;

    assert(index >= log->applied);
    assert(index <= log->committed);
    log->applied = index;
    if (log->applying < index)
        log->applying = index;

    for (; done < log->batch_count && log->batches[done].index <= index;
         done++) {
        log->applying_size -= log->batches[done].size;
        freed += log->batches[done].data_size;
    }
    log->batch_count -= done;
    if (done > 0)
        memmove(log->batches, log->batches + done,
                log->batch_count * sizeof *log->batches);
    log->applying_paused = log->applying_size >= log->applying_size_max;
    return freed;
}
