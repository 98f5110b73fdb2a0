/* SPDX-License-Identifier: Apache-2.0 */

/* Who waits at a peer, for an index to read at or for an index to be applied,
 * here or on the other replicas. */

#include "engine/peer_impl.h"

enum { COMMIT_NEWS_MS = 5 };

void peer_tell_commit(struct peer *peer)
{
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    raft_tell_commit(peer->raft);
    peer_wake(peer);
}

static void tell_commit_news(struct env_timer *timer)
{
    struct peer *peer = container_of(timer, struct peer, commit_news);

    peer->commit_news_armed = false;
    peer_tell_commit(peer);
}

/* Under load the next entries bring the news, for nothing. */
void peer_note_commit(struct peer *peer)
{
    uint64_t commit = raft_commit(peer->raft);

    if (commit == peer->commit_noted)
        return;
    peer->commit_noted = commit;
    if (!peer_is_leader(peer) || peer->commit_news_armed || peer->closed)
        return;
    peer->commit_news_armed = true;
    peer->commit_news.fire = tell_commit_news;
    env_timer_start(peer->env, &peer->commit_news,
                    (uint64_t)COMMIT_NEWS_MS * 1000000);
}

void peer_read_index(struct peer *peer, struct index_request *request)
{
    int rc;

    if (!peer_is_serving(peer)) {
        request->done(request, ERR_NOT_LEADER, 0);
        return;
    }
    if (peer_leads(peer, env_mono_ns(peer->env))) {
        peer_note_use(peer);
        request->done(request, 0, raft_commit(peer->raft));
        return;
    }
    request->id = ++peer->index_request_last;
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    rc = raft_read_index(peer->raft, request->id);
    if (rc != 0) {
        request->done(request, ERR_NOT_LEADER, 0);
        return;
    }
    TAILQ_INSERT_TAIL(&peer->index_requests, request, link);
    peer_wake(peer);
}

void peer_fail_index_requests(struct peer *peer)
{
    struct index_requests failed = TAILQ_HEAD_INITIALIZER(failed);
    struct index_request *request;

    TAILQ_CONCAT(&failed, &peer->index_requests, link);
    while ((request = TAILQ_FIRST(&failed)) != NULL) {
        TAILQ_REMOVE(&failed, request, link);
        request->done(request, ERR_NOT_LEADER, 0);
    }
}

void peer_wait_applied(struct peer *peer, struct applied_waiter *waiter,
                       uint64_t index)
{
    if (peer->applied_index >= index && peer->install == NULL &&
        !peer->damaged) {
        waiter->done(waiter);
        return;
    }
    waiter->index = index;
    waiter->waiting = true;
    TAILQ_INSERT_TAIL(&peer->applied_waiters, waiter, link);
}

void peer_stop_waiting(struct peer *peer, struct applied_waiter *waiter)
{
    if (!waiter->waiting)
        return;
    waiter->waiting = false;
    TAILQ_REMOVE(&peer->applied_waiters, waiter, link);
}

void peer_on_applied(struct peer *peer, uint64_t index)
{
    struct applied_waiters ready = TAILQ_HEAD_INITIALIZER(ready);
    struct applied_waiter *waiter;
    struct applied_waiter *next;

    peer->applied_index = index;
    atomic_store(&peer->moment, index);
    peer->applied_wall_ns = (int64_t)env_wall_ns(peer->env);
    if (peer->install != NULL || peer->damaged)
        return;
    for (waiter = TAILQ_FIRST(&peer->applied_waiters); waiter != NULL;
         waiter = next) {
        next = TAILQ_NEXT(waiter, link);
        if (waiter->index > index)
            continue;
        TAILQ_REMOVE(&peer->applied_waiters, waiter, link);
        TAILQ_INSERT_TAIL(&ready, waiter, link);
    }
    while ((waiter = TAILQ_FIRST(&ready)) != NULL) {
        TAILQ_REMOVE(&ready, waiter, link);
        waiter->waiting = false;
        waiter->done(waiter);
    }
}
