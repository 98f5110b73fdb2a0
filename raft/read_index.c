/* SPDX-License-Identifier: Apache-2.0 */

/* Linearizable reads without a log entry (thesis §6.4).
 *
 * A read may use the commit index of the moment it came in, once it is sure
 * that this peer was the leader at that moment or later. So a heartbeat is
 * sent after the request and carries the position of the last read so far; a
 * quorum of answers confirms all reads up to the position that it echoes. The
 * token is the leader's own and new for each read: were it the caller's, a
 * late answer to a first try could confirm a second one.
 *
 * A new leader may not know yet what is committed; until an entry of its own
 * term is, reads are postponed. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"
#include "raft/core.h"

uint64_t reads_token(const struct raft *r)
{
    if (r->reads.count == 0 || !commit_is_own_term(r))
        return 0;
    return r->reads.answered + r->reads.count;
}

void reads_reset(struct raft *r)
{
    free(r->reads.item);
    r->reads = (struct reads){.count = 0};
}

static void answer(struct raft *r, const struct read_request *read)
{
    struct raft_message m = {
        .type = RAFT_MSG_READ_INDEX_RESP,
        .to = read->from,
        .index = read->index,
        .context = read->request,
    };

    if (read->from == r->id)
        outbox_add_read_state(r, read->request, read->index);
    else
        outbox_send(r, &m);
}

/* Answers the oldest `count`. */
static void answer_first(struct raft *r, size_t count)
{
    struct reads *reads = &r->reads;

    assert(count <= reads->count);
    for (size_t i = 0; i < count; i++)
        answer(r, &reads->item[i]);
    reads->count -= count;
    reads->answered += count;
    if (count > 0)
        memmove(reads->item, reads->item + count,
                reads->count * sizeof *reads->item);
}

void reads_answer(struct raft *r)
{
    uint64_t confirmed;

    if (r->role != RAFT_LEADER || r->reads.count == 0 || !commit_is_own_term(r))
        return;

    confirmed = peers_read_quorum(&r->peers);
    if (confirmed > r->reads.answered)
        answer_first(r, (size_t)(confirmed - r->reads.answered));
}

/* All that wait ask for confirmation with one round of heartbeats. */
static void confirm(struct raft *r)
{
    struct progress *self = peers_find(&r->peers, r->id);

    if (r->config.read_only == RAFT_READ_LEASE_BASED &&
        !raft_lease_blocked(r)) {
        answer_first(r, r->reads.count);
        return;
    }
    if (self != NULL)
        self->read_position = reads_token(r);
    replication_heartbeat_all(r);
    reads_answer(r);
}

void reads_release_postponed(struct raft *r)
{
    if (r->reads.count == 0)
        return;

    for (size_t i = 0; i < r->reads.count; i++)
        r->reads.item[i].index = r->log.committed;
    confirm(r);
}

int leader_on_read_index(struct raft *r, const struct raft_message *m)
{
    struct reads *reads = &r->reads;
    struct read_request read = {
        .from = m->from,
        .request = m->context,
        .index = r->log.committed,
    };

    if (reads->count == RAFT_READS_PENDING_MAX)
        return ERR_BUSY;

    reads->item = mem_grow(reads->item, sizeof *reads->item, &reads->count_max,
                           reads->count + 1);
    reads->item[reads->count++] = read;
    if (commit_is_own_term(r))
        confirm(r);
    return 0;
}

/* The answer goes to the one that asked first, whoever forwards. */
int follower_on_read_index(struct raft *r, const struct raft_message *m)
{
    return outbox_forward(r, m, "index reading");
}

int follower_on_read_index_resp(struct raft *r, const struct raft_message *m)
{
    outbox_add_read_state(r, m->context, m->index);
    return 0;
}
