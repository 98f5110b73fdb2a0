/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h sums up digests, and looks at moments: digest.h. */

#include <stdlib.h>

#include "engine/eventual_impl.h"
#include "engine/keys.h"

/* ---- all namespaces, on region 0's owner ---- */

/* All that there is of the namespace is of its present life, and counted. */
static bool is_clear(const struct eventual_namespace *record, uint64_t since)
{
    return record->has_digest && record->since_first == since &&
           record->since_last == since;
}

/* What is left of one that is not eventual any more nobody sees. */
static int add_namespace(struct eventual *eventual, uint64_t nsid)
{
    uint64_t since = modes_find(eventual->config.modes, nsid).since;
    struct eventual_namespace record;
    int rc;

    if (since == 0)
        return 0;
    rc = eventual_namespace_get(eventual->config.env->state, NULL, nsid,
                                &record);
    if (rc != 0)
        return rc;
    if (is_clear(&record, since))
        eventual->digest += record.digest;
    else
        eventual->digest_is_clear = false;
    return 0;
}

static void add_lives(struct eventual *eventual)
{
    struct mode mode;
    uint64_t nsid = 0;

    eventual->lives = 0;
    for (; modes_next(eventual->config.modes, nsid, &nsid, &mode); nsid++)
        eventual->lives += digest_life(nsid, mode.since);
}

/* Mostly it follows what is written, and nothing has to be done. */
static int sum_up(struct eventual *eventual)
{
    int rc;

    if (eventual->digest_is_summed)
        return 0;
    eventual->digest = 0;
    eventual->digest_is_clear = true;
    add_lives(eventual);
    rc = eventual_visit_namespaces(eventual, add_namespace);
    eventual->digest_is_summed = rc == 0;
    return rc;
}

void eventual_digest_follow(struct eventual *eventual,
                            const struct eventual_tally *tally)
{
    for (size_t i = 0; i < tally->count; i++) {
        const struct eventual_namespace *record = &tally->of[i].record;

        eventual->digest += record->digest - tally->of[i].digest_before;
        if (!is_clear(record, record->since_first))
            eventual->digest_is_summed = false;
    }
}

void eventual_digest_forget(struct eventual *eventual)
{
    eventual->digest_is_summed = false;
}

/* Left by a crash, or by what could not be read. */
static bool has_any(const struct eventual *eventual, uint64_t nsid)
{
    struct eventual_namespace record;

    return eventual_namespace_get(eventual->config.env->state, NULL, nsid,
                                  &record) != 0 ||
           record.since_last != 0 || !record.has_digest;
}

/* Most come with nothing in them. */
void eventual_digest_on_mode(struct eventual *eventual, uint64_t nsid,
                             struct mode before, struct mode mode)
{
    eventual->lives +=
        digest_life(nsid, mode.since) - digest_life(nsid, before.since);
    if (before.since != mode.since &&
        (before.since != 0 || has_any(eventual, nsid)))
        eventual_digest_forget(eventual);
}

/* ---- those that have none ---- */

/* One with an entry that cannot be read is left as it is. */
static int count_anew(struct eventual *eventual, uint64_t nsid)
{
    struct kv *state = eventual->config.env->state;
    struct eventual_namespace record;
    int rc = eventual_namespace_get(state, NULL, nsid, &record);

    if (rc == 0 && !record.has_digest) {
        rc = digest_entries(state, nsid, &record.digest);
        record.has_digest = rc == 0;
        if (rc == 0) {
            eventual_namespace_put(eventual->batch, nsid, &record);
            rc = eventual_write(eventual, NULL, &eventual->head);
        }
    }
    return rc == ERR_CORRUPT ? 0 : rc;
}

int eventual_digest_count(struct eventual *eventual)
{
    int rc = eventual_visit_namespaces(eventual, count_anew);

    eventual_digest_forget(eventual);
    return rc == ERR_CORRUPT ? 0 : rc;
}

/* ---- moments ---- */

struct moment_run {
    struct env_task task;
    struct eventual *eventual;
    struct eventual_moment moment;
};

static int read_cursor(struct eventual_moment *moment, struct slice key,
                       struct slice value)
{
    struct eventual_peer peer;
    int rc = eventual_peer_decode(&peer, value);

    if (rc != 0)
        return rc;
    if (key.size != 2 + 8 || moment->count == ARRAY_SIZE(moment->nodes))
        return ERR_CORRUPT;
    moment->nodes[moment->count] = be64_get((const uint8_t *)key.data + 2);
    moment->cursors[moment->count++] = peer.cursor;
    return 0;
}

static int read_cursors(struct kv *state, struct eventual_moment *moment)
{
    struct key lower = key_eventual_peer(0);
    struct key upper = key_eventual_peer(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter))
        rc = read_cursor(moment, kv_iter_key(iter), kv_iter_value(iter));
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* Rule 3. */
static void look(struct moment_run *run)
{
    struct eventual *eventual = run->eventual;
    struct kv *state = eventual->config.env->state;
    struct eventual_moment *moment = &run->moment;
    struct eventual_head head;
    int rc = eventual_head_get(state, &head);

    if (rc == 0)
        rc = sum_up(eventual);
    if (rc == 0)
        rc = read_cursors(state, moment);
    moment->last = eventual->head.sequence;
    if (rc != 0 || !eventual->digest_is_clear || !head.whole || head.damaged ||
        modes_version(eventual->config.modes) == 0)
        return;
    moment->lives = eventual->lives;
    moment->sequence = head.sequence;
    moment->digest = eventual->digest;
}

static void come_back(struct env_task *task)
{
    struct moment_run *run = container_of(task, struct moment_run, task);
    struct eventual *eventual = run->eventual;

    run->moment.number = eventual->moment.number + 1;
    eventual->moment = run->moment;
    eventual->moment_posted = false;
    free(run);
}

static void on_owner(struct env_task *task)
{
    struct moment_run *run = container_of(task, struct moment_run, task);

    look(run);
    task->run = come_back;
    env_post(run->eventual->config.env, ENV_WORKER, task);
}

void eventual_moment_tick(struct eventual *eventual)
{
    struct moment_run *run;

    if (eventual->moment_posted || eventual->stopped)
        return;
    eventual->moment_posted = true;
    run = mem_zalloc(sizeof *run);
    run->eventual = eventual;
    run->task.run = on_owner;
    eventual_post_owner(eventual, &run->task);
}

struct digest_moment eventual_moment(const struct eventual *eventual,
                                     uint64_t node)
{
    const struct eventual_moment *moment = &eventual->moment;
    struct digest_moment told = {.lives = moment->lives,
                                 .sequence = moment->sequence,
                                 .digest = moment->digest};

    for (size_t i = 0; i < moment->count; i++)
        if (moment->nodes[i] == node)
            told.cursor = moment->cursors[i];
    return told;
}

uint64_t eventual_moment_number(const struct eventual *eventual)
{
    return eventual->moment.number;
}

bool eventual_moment_holds(const struct eventual *eventual)
{
    return eventual->moment.last == eventual->last;
}
