/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/check_impl.h"
#include "engine/hashing.h"
#include "engine/status.h"

/* ---- life ---- */

uint64_t check_interval_ns(const struct check *check)
{
    return node_config(check->node)->check_interval_ms * 1000000;
}

/* The first one at any time within an interval, so that regions and restarted
 * nodes do not come all at once. */
static uint64_t first_due(const struct check *check)
{
    uint64_t interval = check_interval_ns(check);

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
    atomic_init(&check->hashings, 0);
    TAILQ_INIT(&check->waits);
    TAILQ_INIT(&check->next);
    check->due_ns = first_due(check);
    return check;
}

void check_stop(struct check *check)
{
    atomic_store(&check->stopped, true);
}

bool check_has_settled(const struct check *check)
{
    return atomic_load(&check->hashings) == 0;
}

void check_free(struct check *check)
{
    if (check == NULL)
        return;
    assert(TAILQ_EMPTY(&check->waits) && TAILQ_EMPTY(&check->next));
    free(check);
}

/* ---- the verdict on this replica ---- */

const struct finding *check_find(const struct check *check, uint64_t index)
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
    const struct finding *own = check_find(check, verdict->index);
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

    atomic_fetch_sub(&check->hashings, 1);
    if (result->mark != check->restores || atomic_load(&check->stopped))
        return;
    if (result->status != 0) {
        hashing_failed(check, result);
        return;
    }
    for (size_t i = FINDINGS - 1; i > 0; i--)
        check->findings[i] = check->findings[i - 1];
    check->findings[0] = (struct finding){result->index, result->hash};
    status_board_note(node_status_board(check->node), check->peer);
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

/* ---- what is behind the entries ---- */

/* A verdict on its way to ENV_WORKER. */
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
    if (check_interval_ns(check) != 0)
        check->due_ns = env_mono_ns(check->env) + check_interval_ns(check);
    log_verdict(check);
    if (check->state == VERIFYING && check->index == check->verdict.index)
        check_end_round(check,
                        check->verdict.right_count > 0 ? 0 : ERR_CORRUPT);
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

static void start_hashing(struct check *check, uint64_t index)
{
    atomic_fetch_add(&check->hashings, 1);
    hashing_start(check->env, check->region,
                  &(struct hashing_order){
                      .index = index,
                      .mark = check->restores,
                      .stopped = &check->stopped,
                      .done = hashed,
                      .context = check,
                  });
}

void check_on_command(void *context, uint64_t index,
                      const struct command *command)
{
    struct check *check = context;

    if (command->op == COMMAND_VERIFY)
        post_verdict(check, command);
    else if (!atomic_load(&check->stopped))
        start_hashing(check, index);
}

/* ---- sleep ---- */

bool check_is_idle(const struct check *check)
{
    return check->state == IDLE && TAILQ_EMPTY(&check->waits);
}

uint64_t check_due_ns(const struct check *check)
{
    return check->due_ns;
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
