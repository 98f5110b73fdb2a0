/* SPDX-License-Identifier: Apache-2.0 */

/* Birth and death of a peer. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"
#include "raft/core.h"

static void check_config(const struct raft_config *config)
{
    assert(config->id != 0);
    assert(config->heartbeat_ticks > 0);
    assert(config->election_ticks > config->heartbeat_ticks);
    assert(config->inflight_count_max > 0);
    assert(config->storage_ops != NULL);
    assert(config->read_only != RAFT_READ_LEASE_BASED || config->check_quorum);
}

/* The stored commit index needs no sync and may have gone back; what was
 * applied was committed. */
static int load_marks(struct raft *r, const struct raft_hard_state *hard_state)
{
    uint64_t commit = hard_state->commit;
    uint64_t start = r->log.committed;

    if (commit < r->config.applied)
        commit = r->config.applied;
    if (raft_log_commit_to(&r->log, commit) != 0)
        return ERR_CORRUPT;
    if (r->config.applied != 0 && r->config.applied < start)
        return ERR_CORRUPT; /* The log begins behind what is applied. */
    if (r->config.applied > start)
        (void)raft_log_applied_to(&r->log, r->config.applied);
    r->term = hard_state->term;
    r->vote = hard_state->vote;
    return 0;
}

static void trace_start(const struct raft *r)
{
    struct raft_id_set voters = conf_state_voters(&r->peers.conf);
    struct log_position last = raft_log_last(&r->log);
    struct text ids = {.used = 0};

    if (!trace_on(&r->trace))
        return;
    for (size_t i = 0; i < voters.count; i++)
        text_add(&ids, "%s%" PRIx64, i == 0 ? "" : ",", voters.id[i]);
    trace_line(&r->trace, LOG_INFO,
               "newRaft %" PRIx64 " [peers: [%s], term: %" PRIu64
               ", commit: %" PRIu64 ", applied: %" PRIu64
               ", lastindex: %" PRIu64 ", lastterm: %" PRIu64 "]",
               r->id, ids.data, r->term, r->log.committed, r->log.applied,
               last.index, last.term);
}

static int load(struct raft *r)
{
    struct raft_hard_state hard_state = {.term = 0};
    struct raft_conf_state conf_state = {.auto_leave = false};
    struct conf_next next = {.forgotten.count = 0};
    int rc;

    rc = r->config.storage_ops->initial_state(r->config.storage, &hard_state,
                                              &conf_state);
    if (rc != 0)
        return rc;
    rc = conf_state_normalize(&conf_state, &next.conf);
    if (rc != 0)
        return rc;
    raft_log_init(&r->log, &r->config, &r->trace);
    membership_switch(r, &next);
    return load_marks(r, &hard_state);
}

int raft_new(const struct raft_config *config, struct raft **ret)
{
    struct raft *r = mem_zalloc(sizeof *r);
    int rc;

    check_config(config);
    r->config = *config;
    r->id = config->id;
    r->trace = (struct trace){config->log, config->log_context};
    r->random_state = config->random_seed ^ (config->id << 32);
    rc = load(r);
    if (rc != 0) {
        raft_free(r);
        return rc;
    }

    become_follower(r, r->term, 0);
    r->silent_ticks_left = config->silent_ticks;
    r->outbox.hard_state = raft_hard_state(r);
    r->outbox.role = r->role;
    trace_start(r);
    *ret = r;
    return 0;
}

void raft_free(struct raft *r)
{
    if (r == NULL)
        return;

    reads_reset(r);
    outbox_close(&r->outbox);
    peers_close(&r->peers);
    raft_log_close(&r->log);
    free(r);
}
