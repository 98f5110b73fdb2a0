/* SPDX-License-Identifier: Apache-2.0 */

/* What of floor.h each node does by itself: it promises, consents, and drops
 * tombstones. */

#include <assert.h>
#include <stdlib.h>

#include "engine/eventual_damage.h"
#include "engine/eventual_impl.h"
#include "engine/floor.h"
#include "engine/keys.h"
#include "engine/region_state.h"

enum {
    LOOK_TICKS = 2,   /* between two looks */
    FLUSH_TICKS = 10, /* between two flushes of state/ for a consent */
    DROPPED_MAX = 500 /* tombstones in one look */
};

enum { PROMISE_SIZE = 3 * 8 };

/* ---- the list of tombstones ---- */

static struct kv_iter *list(struct kv *state)
{
    struct key lower = key_eventual_removed(0, 0, slice_of(""));
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), slice_of("v"));

    kv_iter_seek(iter, key_slice(&lower));
    return iter;
}

uint64_t eventual_removed_count(struct kv *state, uint64_t max)
{
    struct kv_iter *iter = list(state);
    uint64_t count = 0;

    for (; count < max && kv_iter_valid(iter); kv_iter_next(iter))
        count++;
    kv_iter_free(iter);
    return count;
}

/* ---- dropping, on region 0's owner ---- */

/* What a key of class 'u' says, and a record of the name, if that is still
 * it. */
static int drop_one(struct eventual *eventual, struct slice key, uint64_t hlc,
                    uint64_t dir, struct slice name)
{
    struct eventual_record record = {0};
    int rc = eventual_get(eventual->config.env->state, NULL, dir, name, false,
                          &record);

    if (rc == ERR_CORRUPT) /* It stays: nobody can tell what it is. */
        return eventual_note_damage(eventual, dir, name);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (rc == 0 && record.removed && record.hlc == hlc)
        eventual_delete_removed(eventual->batch, &record);
    else
        kv_batch_delete(eventual->batch, key); /* Of a life that is over. */
    eventual_release(&record);
    return 0;
}

static bool may_drop(const struct eventual *eventual)
{
    return eventual->head.whole && !eventual->head.damaged;
}

/* Of a directory that is eventual no more: what a crash has kept from being
 * deleted (eventual_sweep()). It goes with the next floor, and asks for none:
 * who has nothing else of that age would wait for it in vain. */
static bool is_left_over(const struct eventual *eventual, uint64_t dir)
{
    return modes_version(eventual->config.modes) != 0 &&
           modes_find(eventual->config.modes, dir).since == 0;
}

/* Below a floor that region 0 has told of here, not one that an answer has:
 * what was removed in a life that has ended without this node is to be kept
 * (see quarantine.h), which region 0 tells before. The next look goes on from
 * there. */
static int drop_some(struct eventual *eventual, struct kv_iter *iter,
                     uint64_t floor, struct eventual_floor_run *run)
{
    int rc = 0;

    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        uint64_t hlc;
        uint64_t dir;
        struct slice name;
        bool stays;

        if (!key_parse_removed(kv_iter_key(iter), &hlc, &dir, &name))
            return ERR_CORRUPT;
        stays =
            !may_drop(eventual) || hlc > floor || run->dropped == DROPPED_MAX;
        if (stays && is_left_over(eventual, dir) &&
            ++run->left_over <= DROPPED_MAX)
            continue;
        if (stays) {
            run->oldest = hlc;
            return 0;
        }
        rc = drop_one(eventual, kv_iter_key(iter), hlc, dir, name);
        run->dropped++;
    }
    return rc == 0 ? kv_iter_status(iter, NULL) : rc;
}

static int drop(struct eventual *eventual, uint64_t floor,
                struct eventual_floor_run *run)
{
    struct kv_iter *iter = list(eventual->config.env->state);
    int rc;

    rc = drop_some(eventual, iter, floor, run);
    kv_iter_free(iter);
    if (rc == 0 && run->dropped > 0)
        return eventual_write(eventual, NULL, &eventual->head);
    kv_batch_clear(eventual->batch);
    return rc;
}

static void come_back(struct env_task *task);

/* A snapshot of region 0 may be in state/ before anybody has looked at the
 * modes in it: nothing is dropped until then. */
static int get_floor(const struct eventual *eventual, struct floor *ret_told,
                     uint64_t *ret_known)
{
    struct kv *state = eventual->config.env->state;
    struct marker marker = {0};
    int rc = floor_get(state, NULL, ret_told);

    if (rc == 0)
        rc = region_state_marker(state, NULL, REGION_PLACEMENT, &marker);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    *ret_known = marker.version == modes_version(eventual->config.modes)
                     ? ret_told->hlc
                     : 0;
    return 0;
}

/* The floor counts here from the moment on in which anything is dropped below
 * it, and is written with that: rule 5. */
static void look(struct env_task *task)
{
    struct eventual_floor_run *run =
        container_of(task, struct eventual_floor_run, task);
    struct eventual *eventual = run->eventual;
    struct floor floor = {0};
    uint64_t known = 0;

    run->status = get_floor(eventual, &floor, &known);
    if (run->status == 0) {
        eventual_raise_floor(&eventual->head, floor.hlc);
        run->status = drop(eventual, known, run);
    }
    run->hlc = eventual->head.hlc;
    run->floor = eventual->head.floor;
    task->run = come_back;
    env_post(eventual->config.env, ENV_WORKER, task);
}

/* ---- consent ---- */

/* All that state/ has safely is cut off the journal, also what is not in it
 * yet. */
static bool is_cut(const struct eventual *eventual, uint64_t sequence)
{
    const struct eventual_journal *journal = &eventual->journal;
    const struct eventual_journaled *first = STAILQ_FIRST(&journal->kept);

    if (first == NULL)
        first = STAILQ_FIRST(&journal->writing);
    return !journal->cutting && sequence <= eventual->last &&
           (first == NULL || first->first > sequence);
}

typedef int get_peer(struct kv *state, uint64_t node,
                     struct eventual_peer *ret);

/* The least promise of this roll that is here, or safely here. */
static uint64_t least_promise(const struct eventual *eventual,
                              const struct floor_members *members,
                              get_peer *get)
{
    uint64_t least = eventual->floor.promise;

    for (size_t i = 0; i < members->count; i++) {
        struct eventual_peer peer;

        if (members->nodes[i] == eventual->config.node)
            continue;
        if (get(eventual->config.env->state, members->nodes[i], &peer) != 0 ||
            peer.roll != members->roll)
            return 0;
        if (peer.promise < least)
            least = peer.promise;
    }
    return least;
}

/* Rule 3. What is safe only grows: so the head, which is read last, tells of
 * all that stood beside the promises. */
static uint64_t find_consent(const struct eventual *eventual,
                             const struct floor_members *members)
{
    struct eventual_head head;
    uint64_t least;

    if (!floor_has_member(members, eventual->config.node))
        return 0;
    least = least_promise(eventual, members, eventual_peer_get_durable);
    if (eventual_head_get_durable(eventual->config.env->state, &head) != 0 ||
        !head.whole || head.damaged || eventual_is_damaged(eventual) ||
        !is_cut(eventual, head.sequence))
        return 0;
    return least;
}

/* ---- into log/ ---- */

static void fill(struct env_log_write *write, struct kv_batch *batch)
{
    const struct eventual_floor *floor =
        container_of(write, struct eventual_floor, write);
    struct key key = key_promise();
    uint8_t bytes[PROMISE_SIZE];

    be64_put(bytes, floor->promise_asked);
    be64_put(bytes + 8, floor->consent_asked);
    be64_put(bytes + 16, floor->roll_asked);
    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, sizeof bytes});
}

static void written(struct env_log_write *write)
{
    struct eventual_floor *floor =
        container_of(write, struct eventual_floor, write);

    floor->promise = floor->promise_asked;
    floor->consent = floor->consent_asked;
    floor->roll = floor->roll_asked;
    floor->is_busy = false;
}

int eventual_floor_open(struct eventual *eventual)
{
    struct eventual_floor *floor = &eventual->floor;
    struct key key = key_promise();
    struct kv_value value = {0};
    int rc = kv_get(eventual->config.env->log, NULL, key_slice(&key), &value);
    const uint8_t *bytes = value.data;

    if (rc == 0 && value.size != PROMISE_SIZE)
        rc = ERR_CORRUPT;
    if (rc == 0) {
        floor->promise = be64_get(bytes);
        floor->consent = be64_get(bytes + 8);
        floor->roll = be64_get(bytes + 16);
    }
    kv_value_release(&value);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* ---- both ---- */

/* Whether there is something to be written. A consent of another roll takes the
 * place of the one before: that one cannot be used any more where this roll is
 * known. */
static bool has_more(struct eventual_floor *floor, uint64_t hlc,
                     uint64_t consent, uint64_t roll)
{
    bool is_greater =
        consent != 0 && (roll > floor->roll ||
                         (roll == floor->roll && consent > floor->consent));

    floor->promise_asked = hlc > floor->promise ? hlc : floor->promise;
    if (floor->is_silent)
        floor->promise_asked = 0;
    floor->consent_asked = is_greater ? consent : floor->consent;
    floor->roll_asked = is_greater ? roll : floor->roll;
    return is_greater || floor->promise_asked != floor->promise;
}

/* Where that would make for a consent that forgets something. */
static void flush_if_due(struct eventual *eventual,
                         const struct floor_members *members, uint64_t consent)
{
    struct eventual_floor *floor = &eventual->floor;

    if (consent >= floor->oldest || floor->ticks < floor->flush_ticks ||
        least_promise(eventual, members, eventual_peer_get) < floor->oldest)
        return;
    floor->flush_ticks = floor->ticks + FLUSH_TICKS;
    eventual->config.flush(eventual->config.context);
}

static void go_on(struct eventual *eventual, uint64_t hlc)
{
    struct eventual_floor *floor = &eventual->floor;
    struct floor_members members;
    uint64_t consent;

    if ((floor->oldest == 0 && !floor->is_silent) ||
        floor_members_get(eventual->config.env->state, &members) != 0)
        return;
    consent = find_consent(eventual, &members);
    flush_if_due(eventual, &members, consent);
    if (!has_more(floor, hlc, consent, members.roll))
        return;
    floor->is_busy = true;
    floor->write.fill = fill;
    floor->write.done = written;
    env_log_write(eventual->config.env, &floor->write);
}

static void come_back(struct env_task *task)
{
    struct eventual_floor_run *run =
        container_of(task, struct eventual_floor_run, task);
    struct eventual *eventual = run->eventual;
    struct eventual_floor *floor = &eventual->floor;

    floor->is_busy = false;
    floor->oldest = run->oldest;
    floor->hlc = run->floor;
    floor->clock = run->hlc;
    eventual->counts.dropped += run->dropped;
    if (run->status == 0 && !eventual->stopped)
        go_on(eventual, run->hlc);
    free(run);
}

void eventual_floor_tick(struct eventual *eventual)
{
    struct eventual_floor *floor = &eventual->floor;
    struct eventual_floor_run *run;

    floor->ticks++;
    if (floor->is_busy || eventual->stopped || floor->ticks % LOOK_TICKS != 0)
        return;
    floor->is_busy = true;
    run = mem_zalloc(sizeof *run);
    run->eventual = eventual;
    run->task.run = look;
    eventual_post_owner(eventual, &run->task);
}

/* ---- what others may know ---- */

uint64_t eventual_promise(const struct eventual *eventual)
{
    return eventual->floor.promise;
}

void eventual_floor_look(const struct eventual *eventual,
                         struct eventual_floor_view *ret)
{
    const struct eventual_floor *floor = &eventual->floor;

    *ret = (struct eventual_floor_view){
        .floor = floor->hlc,
        .oldest = floor->oldest,
        .consent = floor->consent,
        .roll = floor->roll,
        .clock = floor->clock,
    };
}

void eventual_unpromise(struct eventual *eventual, uint64_t roll)
{
    eventual->floor.is_silent = true;
    eventual->floor.silent_roll = roll;
}

void eventual_promise_again(struct eventual *eventual)
{
    eventual->floor.is_silent = false;
    eventual->floor.silent_roll = 0;
}

bool eventual_has_unpromised(const struct eventual *eventual, uint64_t roll)
{
    const struct eventual_floor *floor = &eventual->floor;

    return floor->is_silent && floor->promise == 0 && roll > floor->silent_roll;
}

bool eventual_must_withdraw(const struct eventual *eventual, uint64_t roll)
{
    const struct eventual_floor *floor = &eventual->floor;

    if (floor->is_silent && floor->promise == 0 && floor->silent_roll >= roll)
        return roll != 0;
    return !eventual_has_all(eventual) && eventual->floor.consent != 0 &&
           roll != 0 && eventual->floor.roll >= roll;
}

bool eventual_may_take(const struct eventual *eventual, uint64_t roll)
{
    return eventual_has_all(eventual) || eventual->floor.consent == 0 ||
           roll > eventual->floor.roll;
}

/* Rule 7. */
int eventual_tell(struct kv *state, uint64_t node, struct eventual_told *ret)
{
    struct floor_members members;
    struct floor floor = {0};
    int rc = floor_members_get(state, &members);

    if (rc == 0)
        rc = floor_get(state, NULL, &floor);
    if (rc != 0)
        return rc;
    *ret = (struct eventual_told){
        .roll = members.roll, .floor = floor.hlc, .may_promise = true};
    for (size_t i = 0; rc == 0 && i < members.count; i++) {
        struct eventual_peer peer = {.roll = members.roll};

        if (members.nodes[i] != node)
            rc = eventual_peer_get(state, members.nodes[i], &peer);
        ret->may_promise = ret->may_promise && peer.roll == members.roll;
    }
    return rc;
}
