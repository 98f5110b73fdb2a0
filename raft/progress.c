/* SPDX-License-Identifier: Apache-2.0 */

/* Transitions of one peer's progress. */

#include "raft/progress.h"

#include <assert.h>

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void progress_init(struct progress *p, uint64_t id, uint64_t next,
                   size_t inflight_count_max, uint64_t inflight_bytes_max)
{
    *p = (struct progress){.id = id, .next = next};
    inflights_init(&p->inflights, inflight_count_max, inflight_bytes_max);
}

void progress_close(struct progress *p)
{
    inflights_close(&p->inflights);
}

static void enter(struct progress *p, enum raft_progress_state state)
{
    p->state = state;
    p->flow_paused = false;
    p->pending_snapshot = 0;
    inflights_reset(&p->inflights);
}

/* A snapshot that was sent is expected to have arrived: probe behind it. */
void progress_probe(struct progress *p)
{
    uint64_t next = p->match + 1;

    if (p->state == RAFT_SNAPSHOT)
        next = max(next, p->pending_snapshot + 1);
    enter(p, RAFT_PROBE);
    p->next = next;
    p->sent_commit = min(p->sent_commit, next - 1);
}

void progress_replicate(struct progress *p)
{
    enter(p, RAFT_REPLICATE);
    p->next = p->match + 1;
}

void progress_snapshot(struct progress *p, uint64_t snapshot_index)
{
    enter(p, RAFT_SNAPSHOT);
    p->pending_snapshot = snapshot_index;
    p->next = max(snapshot_index, p->match) + 1;
    p->sent_commit = snapshot_index;
}

bool progress_paused(const struct progress *p)
{
    return p->state == RAFT_SNAPSHOT || p->flow_paused;
}

void progress_sent_entries(struct progress *p, size_t count, uint64_t bytes)
{
    assert(p->state != RAFT_SNAPSHOT);

    if (p->state == RAFT_PROBE) {
        p->flow_paused = p->flow_paused || count > 0;
        return;
    }

    if (count > 0) {
        p->next += count;
        inflights_add(&p->inflights, p->next - 1, bytes);
    }
    p->flow_paused = inflights_full(&p->inflights);
}

void progress_sent_commit(struct progress *p, uint64_t commit)
{
    p->sent_commit = commit;
}

bool progress_can_bump_commit(const struct progress *p, uint64_t commit)
{
    return commit > p->sent_commit && p->sent_commit < p->next - 1;
}

bool progress_acknowledged(struct progress *p, uint64_t index)
{
    if (index <= p->match)
        return false;

    p->match = index;
    p->next = max(p->next, index + 1);
    p->flow_paused = false;
    return true;
}

bool progress_rejected(struct progress *p, uint64_t rejected, uint64_t hint)
{
    if (p->state == RAFT_REPLICATE) {
        if (rejected <= p->match)
            return false;
        p->next = p->match + 1;
        p->sent_commit = min(p->sent_commit, p->next - 1);
        return true;
    }

    /* While probing only the answer to the last probe means something. */
    if (p->next - 1 != rejected)
        return false;
    p->next = max(min(rejected, hint + 1), p->match + 1);
    p->sent_commit = min(p->sent_commit, p->next - 1);
    p->flow_paused = false;
    return true;
}

void progress_check(const struct progress *p)
{
    assert(p->match < p->next);
    assert(p->state == RAFT_REPLICATE || p->inflights.count == 0);
    assert(p->state == RAFT_SNAPSHOT || p->pending_snapshot == 0);
    inflights_check(&p->inflights);
}
