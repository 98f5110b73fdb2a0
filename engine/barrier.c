/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/barrier.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/router.h"

enum { ASK_AGAIN_MS = 20, ASK_LOST_MS = 500 };

TAILQ_HEAD(barrier_waits, barrier_wait);

enum stage { IDLE, JOINING, ASKED, KNOWN, APPLYING };

/* A question to this node's own peer; lives until it is answered. */
struct own_question {
    struct index_request request;
    struct barrier *barrier;
    uint64_t round;
};

struct barrier {
    struct node *node;
    struct peer *peer;
    struct barrier_waits joining; /* for the next round */
    struct barrier_waits asked;   /* of the round under way */
    struct barrier_waits known;   /* have their index */
    uint64_t round;               /* counts; answers of old ones are ignored */
    uint64_t asked_ns;            /* when the last one was sent */
    struct router_call call;
    struct env_timer timer;
    size_t own_questions;
    bool closed;
};

static void ask(struct barrier *barrier);

static void on_timer(struct env_timer *timer)
{
    struct barrier *barrier = container_of(timer, struct barrier, timer);

    ask(barrier);
}

struct barrier *barrier_new(struct node *node, struct peer *peer)
{
    struct barrier *barrier = mem_zalloc(sizeof *barrier);

    barrier->node = node;
    barrier->peer = peer;
    barrier->timer.fire = on_timer;
    TAILQ_INIT(&barrier->joining);
    TAILQ_INIT(&barrier->asked);
    TAILQ_INIT(&barrier->known);
    return barrier;
}

static void free_if_unused(struct barrier *barrier)
{
    if (barrier->closed && barrier->own_questions == 0)
        free(barrier);
}

void barrier_free(struct barrier *barrier)
{
    if (barrier == NULL)
        return;
    assert(TAILQ_EMPTY(&barrier->joining) && TAILQ_EMPTY(&barrier->asked));
    env_timer_stop(node_env(barrier->node), &barrier->timer);
    router_cancel(node_router(barrier->node), &barrier->call);
    barrier->closed = true;
    free_if_unused(barrier);
}

/* ---- the end of a round ---- */

static void applied(struct applied_waiter *waiter)
{
    struct barrier_wait *wait =
        container_of(waiter, struct barrier_wait, applied);

    wait->stage = IDLE;
    if (wait->asked_ns != 0)
        peer_note_current(wait->barrier->peer, wait->asked_ns);
    wait->done(wait);
}

static void wait_applied(struct barrier_wait *wait, uint64_t index)
{
    wait->stage = APPLYING;
    wait->applied = (struct applied_waiter){.done = applied};
    peer_wait_applied(wait->barrier->peer, &wait->applied, index);
}

/* Callbacks may wait again, and so begin the next round in here. */
static void round_done(struct barrier *barrier, uint64_t index)
{
    struct barrier_wait *wait;

    barrier->round++;
    env_timer_stop(node_env(barrier->node), &barrier->timer);
    TAILQ_FOREACH (wait, &barrier->asked, link) {
        wait->stage = KNOWN;
        wait->asked_ns = barrier->asked_ns;
        wait->applied.index = index;
    }
    TAILQ_CONCAT(&barrier->known, &barrier->asked, link);
    while ((wait = TAILQ_FIRST(&barrier->known)) != NULL) {
        TAILQ_REMOVE(&barrier->known, wait, link);
        wait_applied(wait, wait->applied.index);
    }
    if (TAILQ_EMPTY(&barrier->asked) && !TAILQ_EMPTY(&barrier->joining))
        ask(barrier);
}

static void ask_later(struct barrier *barrier, uint64_t delay_ms)
{
    env_timer_start(node_env(barrier->node), &barrier->timer,
                    delay_ms * 1000000);
}

/* ---- asking ---- */

static void on_own_index(struct index_request *request, int status,
                         uint64_t index)
{
    struct own_question *question =
        container_of(request, struct own_question, request);
    struct barrier *barrier = question->barrier;
    bool current = question->round == barrier->round && !barrier->closed;

    barrier->own_questions--;
    free(question);
    if (current && status == 0)
        round_done(barrier, index);
    else if (current)
        ask_later(barrier, ASK_AGAIN_MS);
    else
        free_if_unused(barrier);
}

static void ask_here(struct barrier *barrier)
{
    struct own_question *question = mem_zalloc(sizeof *question);

    question->barrier = barrier;
    question->round = barrier->round;
    question->request.done = on_own_index;
    barrier->own_questions++;
    ask_later(barrier, ASK_LOST_MS);
    peer_read_index(barrier->peer, &question->request);
}

static void on_remote_index(struct router_call *call, int status,
                            const struct result *result, uint64_t index)
{
    struct barrier *barrier = container_of(call, struct barrier, call);

    (void)result;
    if (status == 0)
        round_done(barrier, index);
    else
        ask_later(barrier, ASK_AGAIN_MS);
}

static void ask_there(struct barrier *barrier)
{
    struct router_call *call = &barrier->call;

    call->kind = CALL_READ_INDEX;
    router_to_region(call, peer_region_id(barrier->peer));
    call->deadline_ns = 0;
    call->done = on_remote_index;
    ask_later(barrier, ASK_LOST_MS);
    router_call(node_router(barrier->node), call, NULL);
}

static void ask(struct barrier *barrier)
{
    struct barrier_wait *wait;

    TAILQ_FOREACH (wait, &barrier->joining, link)
        wait->stage = ASKED;
    TAILQ_CONCAT(&barrier->asked, &barrier->joining, link);
    barrier->round++;
    barrier->asked_ns = env_mono_ns(node_env(barrier->node));
    router_cancel(node_router(barrier->node), &barrier->call);
    if (TAILQ_EMPTY(&barrier->asked))
        env_timer_stop(node_env(barrier->node), &barrier->timer);
    else if (peer_is_leader(barrier->peer))
        ask_here(barrier);
    else if (peer_leader_node(barrier->peer) != 0)
        ask_there(barrier);
    else
        ask_later(barrier, ASK_AGAIN_MS);
}

static void join(struct barrier_wait *wait)
{
    struct barrier *barrier = wait->barrier;

    wait->stage = JOINING;
    TAILQ_INSERT_TAIL(&barrier->joining, wait, link);
    if (TAILQ_EMPTY(&barrier->asked))
        ask(barrier);
}

void barrier_wait(struct barrier *barrier, struct barrier_wait *wait)
{
    struct peer *peer = barrier->peer;

    wait->barrier = barrier;
    wait->asked_ns = 0;
    if (peer_leads(peer, env_mono_ns(node_env(barrier->node)))) {
        peer_note_use(peer);
        wait_applied(wait, peer_commit(peer));
    } else if (peer_is_current(peer, wait->since_ns)) {
        wait_applied(wait, 0);
    } else {
        join(wait);
    }
}

void barrier_cancel(struct barrier_wait *wait)
{
    struct barrier *barrier = wait->barrier;

    if (wait->stage == JOINING)
        TAILQ_REMOVE(&barrier->joining, wait, link);
    else if (wait->stage == ASKED)
        TAILQ_REMOVE(&barrier->asked, wait, link);
    else if (wait->stage == KNOWN)
        TAILQ_REMOVE(&barrier->known, wait, link);
    else if (wait->stage == APPLYING)
        peer_stop_waiting(barrier->peer, &wait->applied);
    wait->stage = IDLE;
}

void barrier_on_leader_change(struct barrier *barrier)
{
    if (!TAILQ_EMPTY(&barrier->asked))
        ask_later(barrier, 0);
}
