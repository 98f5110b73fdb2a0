/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/hashing.h"
#include "engine/node.h"
#include "engine/status.h"

enum {
    FINDINGS = 4,
    AGAIN_MS = 60000 /* after a check that came to nothing */
};

TAILQ_HEAD(check_waits, check_wait);

/* What this replica's state was like behind a CHECK. */
struct finding {
    uint64_t index; /* 0: none */
    uint64_t hash;
};

/* A CHECK behind which it could not be hashed. */
struct failed {
    uint64_t index;
    int status;
};

enum round_state { IDLE, CHECKING, GATHERING, VERIFYING };

struct check {
    struct node *node;
    struct peer *peer;
    struct env *env;
    uint64_t region;
    atomic_bool stopped;
    uint64_t restores; /* counts; a hash of an earlier one is dropped */

    struct finding findings[FINDINGS]; /* the newest first */
    struct failed failed;
    struct verdict verdict; /* the last one; index 0: none */
    int64_t verdict_ns;     /* wall clock of who led */
    uint64_t verdicts;
    bool unjudged; /* the hash that the verdict is about is not ready */

    /* On the leader. */
    enum round_state state;
    uint64_t round; /* counts; answers to an earlier one are ignored */
    uint64_t index; /* of CHECK */
    uint64_t asked_ns;
    uint64_t until_ns;        /* others are waited for; 0: no own hash yet */
    uint64_t due_ns;          /* when the next one begins by itself; 0: never */
    struct check_waits waits; /* for the verdict of this round */
    struct check_waits next;  /* for that of the next one */
};

/* ---- life ---- */

static uint64_t interval_ns(const struct check *check)
{
    return node_config(check->node)->check_interval_ms * 1000000;
}

/* The first one at any time within an interval, so that regions and restarted
 * nodes do not come all at once. */
static uint64_t first_due(const struct check *check)
{
    uint64_t interval = interval_ns(check);

    if (interval == 0)
        return 0;
    return env_mono_ns(check->env) + env_random(check->env) % interval + 1;
}

struct check *check_new(struct node *node, struct peer *peer, uint64_t region)
{
    struct check *check = mem_zalloc(sizeof *check);

    check->node = node;
    check->peer = peer;
    check->env = node_env(node);
    check->region = region;
    atomic_init(&check->stopped, false);
    TAILQ_INIT(&check->waits);
    TAILQ_INIT(&check->next);
    check->due_ns = first_due(check);
    return check;
}

void check_stop(struct check *check)
{
    atomic_store(&check->stopped, true);
}

void check_free(struct check *check)
{
    if (check == NULL)
        return;
    assert(TAILQ_EMPTY(&check->waits) && TAILQ_EMPTY(&check->next));
    free(check);
}

/* ---- the verdict on this replica ---- */

static const struct finding *find(const struct check *check, uint64_t index)
{
    for (size_t i = 0; i < FINDINGS; i++)
        if (check->findings[i].index == index)
            return &check->findings[i];
    return NULL;
}

/* Once both the hash and the verdict are there: rule 2. */
static void judge(struct check *check)
{
    const struct verdict *verdict = &check->verdict;
    const struct finding *own = find(check, verdict->index);
    char what[64];

    if (!check->unjudged || own == NULL)
        return;
    check->unjudged = false;
    if (verdict->right_count == 0 || own->hash == verdict->hash)
        return;
    (void)snprintf(what, sizeof what,
                   "it differs from the others at index %" PRIu64,
                   verdict->index);
    if (!peer_found_damage(check->peer, what))
        node_log_event(check->node, LOG_ERROR,
                       "region %" PRIu64 ": %s, and nobody could supply it",
                       check->region, what);
}

/* A record that is missing or too large is as bad as one that is garbled. */
static void hashing_failed(struct check *check,
                           const struct hashing_result *result)
{
    node_log_event(check->node, LOG_WARN,
                   "region %" PRIu64 ": its state cannot be hashed: %s",
                   check->region, err_text(result->status));
    check->failed = (struct failed){result->index, result->status};
    if (result->status != ERR_IO && result->status != ERR_NO_MEMORY)
        (void)peer_found_damage(check->peer, "it cannot be hashed");
}

static void hashed(void *context, const struct hashing_result *result)
{
    struct check *check = context;

    if (result->mark != check->restores || atomic_load(&check->stopped))
        return;
    if (result->status != 0) {
        hashing_failed(check, result);
        return;
    }
    for (size_t i = FINDINGS - 1; i > 0; i--)
        check->findings[i] = check->findings[i - 1];
    check->findings[0] = (struct finding){result->index, result->hash};
    status_board_tick(node_status_board(check->node));
    judge(check);
}

void check_on_restored(struct check *check)
{
    check->restores++;
    check->unjudged = false;
    for (size_t i = 0; i < FINDINGS; i++)
        check->findings[i] = (struct finding){0};
}

/* ---- a round on the leader ---- */

static void begin_round(struct check *check);

static void try_sooner(struct check *check)
{
    uint64_t soon_ns = env_mono_ns(check->env) + (uint64_t)AGAIN_MS * 1000000;

    if (check->due_ns > soon_ns)
        check->due_ns = soon_ns;
}

static void end_round(struct check *check, int status)
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
        end_round(check, ERR_NOT_LEADER);
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
        end_round(check, ERR_NOT_LEADER);
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
    const struct finding *own = find(check, check->index);
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
        end_round(check, check->failed.status);
        return;
    }
    if (!gather(check, hashes, &count))
        return;
    agreed = check_majority(hashes, count,
                            peer_region(check->peer)->voter_count, &hash);
    if (!agreed && all_equal(hashes, count))
        end_round(check, ERR_NO_QUORUM); /* Too few to know. */
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
    check->due_ns = now_ns + interval_ns(check);
    begin_round(check);
}

/* ---- what is behind the entries ---- */

/* A verdict from ENV_APPLY to ENV_WORKER. */
struct verdict_task {
    struct env_task task;
    struct check *check;
    struct verdict verdict;
    int64_t now_ns;
};

static void log_verdict(const struct check *check)
{
    const struct verdict *verdict = &check->verdict;

    if (verdict->right_count == 0)
        node_log_event(check->node, LOG_ERROR,
                       "region %" PRIu64 ": its replicas differ at index "
                       "%" PRIu64 " and no majority of them agrees",
                       check->region, verdict->index);
    for (size_t i = 0; verdict->right_count > 0 && i < verdict->wrong_count;
         i++)
        node_log_event(check->node, LOG_ERROR,
                       "region %" PRIu64 ": the replica on node %" PRIu64
                       " differs from the others at index %" PRIu64,
                       check->region, verdict->wrong[i], verdict->index);
}

static void on_verdict(struct env_task *task)
{
    struct verdict_task *t = container_of(task, struct verdict_task, task);
    struct check *check = t->check;

    check->verdict = t->verdict;
    check->verdict_ns = t->now_ns;
    check->verdicts++;
    check->unjudged = true;
    free(t);
    if (interval_ns(check) != 0)
        check->due_ns = env_mono_ns(check->env) + interval_ns(check);
    log_verdict(check);
    if (check->state == VERIFYING && check->index == check->verdict.index)
        end_round(check, check->verdict.right_count > 0 ? 0 : ERR_CORRUPT);
    judge(check);
}

static void post_verdict(struct check *check, const struct command *command)
{
    struct verdict_task *t = mem_zalloc(sizeof *t);

    t->task.run = on_verdict;
    t->check = check;
    t->verdict = command->verdict;
    t->now_ns = command->now_ns;
    env_post(check->env, ENV_WORKER, &t->task);
}

void check_on_command(void *context, uint64_t index,
                      const struct command *command)
{
    struct check *check = context;

    if (command->op == COMMAND_VERIFY)
        post_verdict(check, command);
    else if (!atomic_load(&check->stopped))
        hashing_start(check->env, check->region,
                      &(struct hashing_order){
                          .index = index,
                          .mark = check->restores,
                          .stopped = &check->stopped,
                          .done = hashed,
                          .context = check,
                      });
}

/* ---- what is shown ---- */

void check_status(const struct check *check, struct peer_status *status)
{
    status->check_index = check->findings[0].index;
    status->check_hash = check->findings[0].hash;
    status->checks = check->verdicts;
}

int64_t check_unclear_ns(const struct check *check)
{
    const struct verdict *verdict = &check->verdict;

    return verdict->index != 0 && verdict->right_count == 0 ? check->verdict_ns
                                                            : 0;
}

static void print_list(FILE *out, const uint64_t *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)fprintf(out, "%s%" PRIu64, i == 0 ? "" : ",", nodes[i]);
    if (count == 0)
        (void)fputc('-', out);
}

static const char *state_name(const struct check *check)
{
    const struct verdict *verdict = &check->verdict;

    if (check->state != IDLE)
        return "running";
    if (verdict->index == 0)
        return "-";
    if (verdict->right_count == 0)
        return "unclear";
    return verdict->wrong_count > 0 ? "damaged" : "ok";
}

void check_render(const struct check *check, FILE *out)
{
    const struct verdict *verdict = &check->verdict;

    (void)fprintf(out, "%" PRIu64 " ", check->region);
    if (verdict->index == 0)
        (void)fputs("- - - - ", out);
    else
        (void)fprintf(out, "%" PRIu64 " ", verdict->index);
    if (verdict->index != 0) {
        status_print_time(out, check->verdict_ns);
        (void)fputc(' ', out);
        print_list(out, verdict->right, verdict->right_count);
        (void)fputc(' ', out);
        print_list(out, verdict->wrong, verdict->wrong_count);
        (void)fputc(' ', out);
    }
    (void)fprintf(out, "%s\n", state_name(check));
}
