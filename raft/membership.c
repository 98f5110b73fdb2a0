/* SPDX-License-Identifier: Apache-2.0 */

/* A configuration takes effect when its entry is applied. */

#include "raft/base/err.h"
#include "raft/core.h"

#include <inttypes.h>

/* A smaller quorum may commit more at once; new peers get their first probe. */
static void greet_peers(struct raft *r)
{
    if (commit_advance(r)) {
        replication_send_all(r);
        return;
    }
    for (size_t i = 0; i < r->peers.count; i++)
        if (r->peers.item[i].id != r->id)
            (void)replication_maybe_send(r, &r->peers.item[i], false);
}

/* A leader that was removed leads on until another one can be elected, unless
 * it is told to step down. It does not count itself any more. */
void membership_switch(struct raft *r, const struct conf_next *next)
{
    const struct progress *self;

    peers_switch(&r->peers, next, &r->config, raft_log_last_index(&r->log));
    if (trace_on(&r->trace))
        trace_line(&r->trace, LOG_INFO,
                   "%" PRIx64 " switched to configuration %s", r->id,
                   text_conf(&r->peers.conf).data);
    if (r->role != RAFT_LEADER)
        return;

    self = peers_find(&r->peers, r->id);
    if (self == NULL || self->learner) {
        if (r->config.step_down_on_removal)
            become_follower(r, r->term, 0);
        return;
    }
    greet_peers(r);
    if (r->transferee != 0 &&
        !conf_state_is_voter(&r->peers.conf, r->transferee))
        transfer_abort(r);
    reads_answer(r);
}

int raft_apply_conf_change(struct raft *r,
                           const struct raft_conf_change *change,
                           struct raft_conf_state *ret_conf_state)
{
    struct conf_next next;

    if (r->failure != 0)
        return r->failure;
    if (r->log.unstable.snapshot != NULL)
        return ERR_CANCELED; /* The snapshot's configuration is in force. */
    if (conf_change_next(&r->peers.conf, change, &next) != NULL)
        return ERR_INVALID;

    membership_switch(r, &next);
    if (ret_conf_state != NULL)
        *ret_conf_state = r->peers.conf;
    return r->failure;
}
