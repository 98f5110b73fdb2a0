/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h happens to the changes of other nodes. */

#include <stdlib.h>

#include "engine/eventual_damage.h"
#include "engine/eventual_impl.h"
#include "engine/floor.h"
#include "engine/keys.h"
#include "engine/stamps.h"

enum { ITEM_HEADER_SIZE = 8 + 4 };

/* ---- one change ---- */

static bool is_ahead(const struct eventual *eventual, uint64_t hlc)
{
    uint64_t now_ms = env_wall_ns(eventual->config.env) / 1000000;

    return hlc >> STAMP_COUNTER_BITS > now_ms + MAX_DRIFT_MS;
}

/* Rule 5 of floor.h. */
static int check_floor(const struct eventual *eventual,
                       const struct eventual_record *record,
                       bool *ret_forgotten)
{
    const struct eventual_head *head = &eventual->head;
    struct eventual_record known = {0};
    int rc;

    *ret_forgotten = false;
    if (!head->whole || record->hlc > head->floor)
        return 0;
    rc = eventual_get(eventual->config.env->state, NULL, record->dir,
                      record->name, false, &known);
    *ret_forgotten = rc == ERR_NOT_FOUND;
    eventual_release(&known);
    return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT ? 0 : rc;
}

static int take(struct eventual_merge_run *run,
                const struct eventual_record *record,
                struct eventual_taken *ret)
{
    struct eventual *eventual = run->eventual;
    bool is_forgotten;
    int rc = eventual_make_room(eventual, &run->intake, record);

    if (rc == 0)
        rc = check_floor(eventual, record, &is_forgotten);
    if (rc == 0 && !is_forgotten)
        rc = eventual_take(eventual, &run->intake, record, ret);
    return rc;
}

static int merge_record(struct eventual_merge_run *run,
                        struct eventual_record *record)
{
    struct eventual *eventual = run->eventual;
    struct eventual_taken taken = {0};
    int rc;

    if (record->since > modes_version(eventual->config.modes)) {
        run->copy.behind = true;
        return ERR_UNAVAILABLE;
    }
    if (eventual_is_outlived(eventual, record)) {
        run->counts.outlived++;
        return 0;
    }
    if (is_ahead(eventual, record->hlc)) {
        run->counts.held++;
        return ERR_UNAVAILABLE;
    }
    if (eventual->head.seen < record->hlc)
        eventual->head.seen = record->hlc;
    record->local = eventual->head.sequence + 1;
    rc = take(run, record, &taken);
    if (rc != 0)
        return rc;
    if (taken.is_newer)
        run->counts.pulled++;
    else
        run->counts.outlived++;
    run->copy.conflicts += taken.is_conflict ? 1 : 0;
    return 0;
}

static int merge_bytes(struct eventual_merge_run *run, struct slice bytes)
{
    struct eventual_record record = {0};
    int rc = eventual_decode(&record, bytes);

    if (rc == 0 && eventual_is_sound(&record))
        rc = merge_record(run, &record);
    else if (rc != ERR_NO_MEMORY)
        rc = ERR_PROTOCOL;
    eventual_release(&record);
    return rc;
}

/* ---- all of an answer ---- */

static int merge_items(struct eventual_merge_run *run)
{
    const struct buf *items = run->copy.items;
    size_t size = items == NULL ? 0 : items->size;
    size_t at = 0;

    while (at < size) {
        const uint8_t *item = items->data + at;
        size_t left = size - at - ITEM_HEADER_SIZE;
        uint64_t local;
        int rc;

        if (size - at < ITEM_HEADER_SIZE || be32_get(item + 8) > left)
            return ERR_PROTOCOL;
        local = be64_get(item);
        rc = merge_bytes(
            run, (struct slice){item + ITEM_HEADER_SIZE, be32_get(item + 8)});
        if (rc != 0)
            return rc;
        if (run->copy.taken_last < local)
            run->copy.taken_last = local;
        at += ITEM_HEADER_SIZE + be32_get(item + 8);
    }
    if (run->copy.taken_last < run->copy.last)
        run->copy.taken_last = run->copy.last;
    return 0;
}

/* Also what comes before something that cannot be taken. */
static int merge_and_write(struct eventual_merge_run *run)
{
    int status = merge_items(run);
    int rc = eventual_write_taken(run->eventual, &run->intake);

    return rc != 0 ? rc : status;
}

static int put_received(struct eventual *eventual, uint64_t node,
                        uint64_t received)
{
    struct eventual_peer peer = {0};
    int rc;

    if (node == eventual->config.node)
        return 0;
    rc = eventual_peer_get(eventual->config.env->state, node, &peer);
    if ((rc != 0 && rc != ERR_NOT_FOUND) || peer.received >= received)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    peer.received = received;
    eventual_peer_put(eventual->batch, node, &peer);
    return 0;
}

/* What was promised once is so for good, but counts only for one roll. */
static void put_promise(const struct eventual_merge *merge,
                        struct eventual_peer *peer)
{
    if (peer->roll != merge->roll)
        peer->promise = 0;
    peer->roll = merge->roll;
    if (peer->promise < merge->promise)
        peer->promise = merge->promise;
}

/* How far it is taken; `peer`: as before. */
static int put_progress(struct eventual_merge_run *run,
                        struct eventual_peer *peer, bool all)
{
    const struct eventual_merge *merge = &run->copy;
    int rc = 0;

    for (size_t i = 0; all && rc == 0 && i < merge->origin_count; i++)
        if (merge->origins[i] != merge->node)
            rc = put_received(run->eventual, merge->origins[i],
                              merge->received[i]);
        else if (peer->received < merge->received[i])
            peer->received = merge->received[i];
    peer->cursor = merge->taken_last;
    if (all)
        put_promise(merge, peer);
    eventual_peer_put(run->eventual->batch, merge->node, peer);
    return rc;
}

/* Rule 4 of floor.h. Without region 0 nobody is asked. */
static int check_member(struct eventual_merge_run *run)
{
    struct floor_members members;
    int rc = floor_members_get(run->eventual->config.env->state, &members);

    if (rc != 0 || members.count == 0 ||
        floor_has_member(&members, run->copy.node))
        return rc;
    run->copy.behind = true;
    return ERR_UNAVAILABLE;
}

/* Rule 6 of eventual_damage.h; also of what this merge has met itself. */
static bool is_of_before(const struct eventual_merge_run *run)
{
    return run->damages != run->eventual->damages;
}

static int merge_all(struct eventual_merge_run *run)
{
    struct eventual *eventual = run->eventual;
    struct eventual_peer peer = {0};
    struct eventual_head head;
    int rc =
        eventual_peer_get(eventual->config.env->state, run->copy.node, &peer);
    int status;
    bool all;

    if (rc == 0)
        rc = check_member(run);
    if (rc != 0 || is_of_before(run))
        return rc == 0 ? ERR_CANCELED : rc;
    run->copy.taken_last = peer.cursor;
    status = merge_and_write(run);
    if (is_of_before(run))
        return ERR_CANCELED;
    all = status == 0 && run->copy.complete;
    rc = put_progress(run, &peer, all);
    if (rc != 0) {
        kv_batch_clear(eventual->batch);
        return rc;
    }
    head = eventual->head;
    head.whole = head.whole || (all && run->copy.whole);
    if (all)
        eventual_raise_floor(&head, run->copy.floor);
    rc = eventual_write(eventual, NULL, &head);
    return rc != 0 ? rc : status;
}

/* ---- its way ---- */

static struct eventual_merge *detach(struct eventual_merge_run *run)
{
    struct eventual_merge *merge = run->merge;

    if (merge == NULL)
        return NULL;
    run->merge = NULL;
    merge->run = NULL;
    TAILQ_REMOVE(&run->eventual->merges, run, link);
    return merge;
}

static void add_counts(struct eventual_counts *to,
                       const struct eventual_counts *counts)
{
    to->pulled += counts->pulled;
    to->outlived += counts->outlived;
    to->held += counts->held;
}

static void come_back(struct env_task *task)
{
    struct eventual_merge_run *run =
        container_of(task, struct eventual_merge_run, task);
    struct eventual *eventual = run->eventual;
    struct eventual_merge *merge = detach(run);

    add_counts(&eventual->counts, &run->counts);
    if (eventual->seen < run->seen)
        eventual->seen = run->seen;
    if (run->whole && !eventual->whole) {
        eventual->whole = true;
        eventual_notice(eventual);
    }
    eventual_report(eventual, run->last);
    if (merge != NULL) {
        merge->taken_last = run->copy.taken_last;
        merge->behind = run->copy.behind;
        merge->conflicts = run->copy.conflicts;
        merge->done(merge, run->status);
    }
    buf_unref(run->copy.items);
    free(run);
}

static void merge_run(struct env_task *task)
{
    struct eventual_merge_run *run =
        container_of(task, struct eventual_merge_run, task);

    run->status = run->has_room ? merge_all(run) : ERR_UNAVAILABLE;
    run->last = run->eventual->head.sequence;
    run->seen = run->eventual->head.seen;
    run->whole = run->eventual->head.whole;
    task->run = come_back;
    env_post(run->eventual->config.env, ENV_WORKER, task);
}

void eventual_merge_start(struct eventual *eventual,
                          struct eventual_merge *merge)
{
    struct eventual_merge_run *run = mem_zalloc(sizeof *run);

    run->eventual = eventual;
    run->merge = merge;
    run->copy = *merge;
    run->copy.items = buf_ref(merge->items);
    run->has_room = merge->items == NULL ||
                    !eventual->config.disk_is_full(eventual->config.context);
    run->copy.behind = !run->has_room;
    run->damages = eventual_damages(eventual);
    merge->run = run;
    TAILQ_INSERT_TAIL(&eventual->merges, run, link);
    run->task.run = merge_run;
    eventual_post_owner(eventual, &run->task);
}

void eventual_merge_stop(struct eventual *eventual)
{
    struct eventual_merge_run *run;

    while ((run = TAILQ_FIRST(&eventual->merges)) != NULL) {
        struct eventual_merge *merge = detach(run);

        merge->done(merge, ERR_CANCELED);
    }
}
