/* SPDX-License-Identifier: Apache-2.0 */

/* A check as the leader conducts it:
 *
 *     IDLE -> CHECKING -> GATHERING -> VERIFYING -> IDLE
 *
 * with a way back to IDLE from everywhere: not the leader any more, no hash of
 * its own, too few of others. */

#include <assert.h>
#include <stdlib.h>

#include "engine/check_impl.h"
#include "engine/status.h"

enum { AGAIN_MS = 60000 }; /* after a check that came to nothing */

/* ---- rounds ---- */

static void begin_round(struct check *check);

static void try_sooner(struct check *check)
{
    uint64_t soon_ns = env_mono_ns(check->env) + (uint64_t)AGAIN_MS * 1000000;

    if (check->due_ns > soon_ns)
        check->due_ns = soon_ns;
}

void check_end_round(struct check *check, int status)
{
    struct check_waits ended = TAILQ_HEAD_INITIALIZER(ended);
    struct check_wait *wait;

    check->state = IDLE;
    check->round++;
    if (status != 0)
        try_sooner(check);
    TAILQ_CONCAT(&ended, &check->waits, link);
    TAILQ_CONCAT(&check->waits, &check->next, link);
    while ((wait = TAILQ_FIRST(&ended)) != NULL) {
        TAILQ_REMOVE(&ended, wait, link);
        wait->check = NULL;
        wait->done(wait, status);
    }
    if (check->state == IDLE && !TAILQ_EMPTY(&check->waits))
        begin_round(check);
}

/* A CHECK or VERIFY on its way; lives until it is answered. */
struct check_proposal {
    struct proposal proposal;
    struct check *check;
    uint64_t round;
};

static void proposed(struct proposal *proposal, int status, bool in_log,
                     struct buf *result)
{
    struct check_proposal *p =
        container_of(proposal, struct check_proposal, proposal);
    struct check *check = p->check;

    (void)in_log;
    (void)result;
    if (p->round == check->round && status != 0) {
        check_end_round(check, ERR_NOT_LEADER);
    } else if (p->round == check->round && check->state == CHECKING) {
        check->state = GATHERING;
        check->index = proposal->index;
    }
    buf_unref(proposal->command);
    free(p);
}

static void propose(struct check *check, struct command *command)
{
    struct check_proposal *p = mem_zalloc(sizeof *p);

    command->stamp = node_stamp(check->node);
    command->now_ns = (int64_t)env_wall_ns(check->env);
    p->check = check;
    p->round = check->round;
    p->proposal.command = command_encode(command);
    assert(p->proposal.command != NULL);
    p->proposal.done = proposed;
    peer_propose(check->peer, &p->proposal);
}

static void begin_round(struct check *check)
{
    check->state = CHECKING;
    check->asked_ns = env_mono_ns(check->env);
    check->until_ns = 0;
    propose(check, &(struct command){.op = COMMAND_CHECK});
}

void check_start(struct check *check, struct check_wait *wait)
{
    if (!peer_is_serving(check->peer)) {
        wait->done(wait, ERR_NOT_LEADER);
        return;
    }
    wait->check = check;
    if (check->state != IDLE) {
        TAILQ_INSERT_TAIL(&check->next, wait, link);
        return;
    }
    TAILQ_INSERT_TAIL(&check->waits, wait, link);
    begin_round(check);
}

static bool is_in(const struct check_waits *waits,
                  const struct check_wait *wait)
{
    const struct check_wait *w;

    TAILQ_FOREACH (w, waits, link)
        if (w == wait)
            return true;
    return false;
}

void check_cancel(struct check_wait *wait)
{
    struct check *check = wait->check;

    if (check == NULL)
        return;
    wait->check = NULL;
    if (is_in(&check->waits, wait))
        TAILQ_REMOVE(&check->waits, wait, link);
    else
        TAILQ_REMOVE(&check->next, wait, link);
}

void check_on_deposed(struct check *check)
{
    TAILQ_CONCAT(&check->waits, &check->next, link);
    if (check->state != IDLE || !TAILQ_EMPTY(&check->waits))
        check_end_round(check, ERR_NOT_LEADER);
}

/* ---- gathering ---- */

/* 1: its hash is in `*ret`; 0: it may come; -1: it will not. */
static int ask_replica(const struct check *check, uint64_t own_hash,
                       const struct region_peer *replica,
                       struct check_hash *ret)
{
    const struct region_status *status = status_board_region(
        node_status_board(check->node), replica->node, check->region);

    *ret = (struct check_hash){.node = replica->node,
                               .voter = replica->role == PEER_VOTER};
    if (replica->node == node_id(check->node)) {
        ret->hash = own_hash;
        return 1;
    }
    if (status == NULL || status->state != PEER_RUNNING)
        return -1;
    ret->hash = status->check_hash;
    return status->check_index == check->index;
}

/* As long again as the own hash took, if that was long. */
static uint64_t patience_ns(const struct check *check)
{
    const uint64_t least_ns = (uint64_t)CHECK_WAIT_MS * 1000000;
    uint64_t took_ns = env_mono_ns(check->env) - check->asked_ns;

    return took_ns > least_ns ? took_ns : least_ns;
}

/* False while hashes are still to come. */
static bool gather(struct check *check,
                   struct check_hash hashes[REGION_PEERS_MAX],
                   size_t *ret_count)
{
    const struct region *region = peer_region(check->peer);
    const struct finding *own = check_find(check, check->index);
    uint64_t now_ns = env_mono_ns(check->env);

    *ret_count = 0;
    if (own == NULL)
        return false;
    if (check->until_ns == 0)
        check->until_ns = now_ns + patience_ns(check);
    for (size_t i = 0; i < region->peer_count; i++) {
        int answer = ask_replica(check, own->hash, &region->peers[i],
                                 &hashes[*ret_count]);

        if (answer == 0 && now_ns < check->until_ns)
            return false;
        *ret_count += answer > 0;
    }
    return true;
}

bool check_majority(const struct check_hash *hashes, size_t count,
                    size_t voter_count, uint64_t *ret_hash)
{
    for (size_t i = 0; i < count; i++) {
        size_t votes = 0;

        for (size_t j = 0; j < count; j++)
            votes += hashes[j].voter && hashes[j].hash == hashes[i].hash;
        if (votes > voter_count / 2) {
            *ret_hash = hashes[i].hash;
            return true;
        }
    }
    return false;
}

static bool all_equal(const struct check_hash *hashes, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (hashes[i].hash != hashes[0].hash)
            return false;
    return true;
}

static void propose_verdict(struct check *check,
                            const struct check_hash *hashes, size_t count,
                            bool agreed, uint64_t hash)
{
    struct command command = {.op = COMMAND_VERIFY};
    struct verdict *verdict = &command.verdict;

    verdict->index = check->index;
    verdict->hash = agreed ? hash : 0;
    for (size_t i = 0; i < count; i++)
        if (agreed && hashes[i].hash == hash)
            verdict->right[verdict->right_count++] = hashes[i].node;
        else
            verdict->wrong[verdict->wrong_count++] = hashes[i].node;
    check->state = VERIFYING;
    propose(check, &command);
}

static void go_on_gathering(struct check *check)
{
    struct check_hash hashes[REGION_PEERS_MAX];
    size_t count;
    uint64_t hash = 0;
    bool agreed;

    if (check->failed.index == check->index) {
        check_end_round(check, check->failed.status);
        return;
    }
    if (!gather(check, hashes, &count))
        return;
    agreed = check_majority(hashes, count,
                            peer_region(check->peer)->voter_count, &hash);
    if (!agreed && all_equal(hashes, count))
        check_end_round(check, ERR_NO_QUORUM); /* Too few to know. */
    else
        propose_verdict(check, hashes, count, agreed, hash);
}

void check_tick(struct check *check)
{
    uint64_t now_ns = env_mono_ns(check->env);

    if (!peer_is_serving(check->peer))
        return;
    if (check->state == GATHERING)
        go_on_gathering(check);
    if (check->state != IDLE || check->due_ns == 0 || now_ns < check->due_ns)
        return;
    check->due_ns = now_ns + check_interval_ns(check);
    begin_round(check);
}
