/* SPDX-License-Identifier: Apache-2.0 */

/* A phase of a run in which an eventual entry of one node cannot be read any
 * more, as on a bad disk, which all others have: whoever meets it there has it
 * come again (engine/eventual_damage.h), also when nodes crash meanwhile. An
 * item of another node's index of changes may be damaged, too. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/eventual_damage.h"
#include "engine/keys.h"
#include "tests/sim/kv_mem.h"
#include "tests/sim/sim_lives.h"
#include "tests/sim/sim_run_impl.h"
#include "tests/sim/sim_seen.h"

enum {
    LOOK_MS = 500,
    CRASH_PER_MILLION = 60000,
    DOWN_MS_MAX = 1500,
    CRASH_SECONDS = 20,
    SPOILT_SECONDS = 120 /* for it to come again */
};

static const char spoilt[] = "?";

struct sim_spoil {
    struct sim_event event; /* first member */
    struct run *run;
    struct sim_node *node; /* whose entry it is */
    bool only_large;       /* few have content of their own */
    uint64_t dir;
    char name[SIM_LIVES_NAME_MAX];
    uint64_t crashes_until_ns;
    bool stopped;

    /* Somebody meets it. */
    struct env_task task;
    bool is_posted;
    uint64_t posted_starts;
};

static struct kv *state_of(const struct sim_node *node)
{
    return node->env->env.state;
}

/* ---- what is damaged ---- */

/* Of the life that the directory has there. */
static bool is_choice(const struct sim_node *node, const struct kv_iter *iter,
                      bool only_large)
{
    struct eventual_record record = {0};
    bool is = eventual_read_at(iter, &record) == 0 &&
              (!only_large || eventual_is_large(&record)) &&
              record.name.size < SIM_LIVES_NAME_MAX &&
              sim_lives_mode(node, record.dir).state == MODE_EVENTUAL &&
              sim_lives_mode(node, record.dir).since == record.since;

    eventual_release(&record);
    return is;
}

/* Returns how many there are, and the one that has `number`. */
static size_t visit(const struct sim_node *node, size_t number,
                    struct sim_spoil *ret)
{
    struct kv_iter *iter =
        kv_iter_new(state_of(node), NULL, slice_of("v"), slice_of("w"));
    size_t count = 0;

    kv_iter_seek(iter, slice_of("v"));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice name;

        if (!is_choice(node, iter, ret->only_large) || count++ != number)
            continue;
        (void)key_parse_user(kv_iter_key(iter), 'v', &ret->dir, &name);
        memset(ret->name, 0, sizeof ret->name);
        memcpy(ret->name, name.data, name.size);
    }
    kv_iter_free(iter);
    return count;
}

static void overwrite(const struct sim_node *node, struct slice key)
{
    struct kv *state = state_of(node);
    struct kv_batch *batch = kv_batch_new(state);

    kv_batch_put(batch, key, slice_of(spoilt));
    (void)kv_write(state, batch, KV_RELAXED, NULL);
    kv_batch_free(batch);
    kv_mem_sync(state, kv_mem_unsynced_count(state));
}

static void strike(struct sim_spoil *s)
{
    struct sim_loop *loop = s->run->loop;
    struct slice name = slice_of(s->name);
    struct key content = key_user('w', s->dir, name);
    struct key entry = key_user('v', s->dir, name);
    struct kv_value value = {0};
    bool is_content =
        kv_get(state_of(s->node), NULL, key_slice(&content), &value) == 0 &&
        sim_pick(loop, 2) == 0;

    kv_value_release(&value);
    s->run->cluster->entry_spoilt = true;
    sim_note(loop, "node %zu: the %s of %s is damaged", s->node->number + 1,
             is_content ? "content" : "entry", s->name);
    sim_seen(is_content ? SEEN_CONTENT_SPOILT : SEEN_ENTRY_SPOILT);
    overwrite(s->node, is_content ? key_slice(&content) : key_slice(&entry));
}

/* What is asked for from the beginning goes through all of it. */
static void strike_index(struct sim_spoil *s, const struct sim_node *node)
{
    struct kv_iter *iter =
        kv_iter_new(state_of(node), NULL, slice_of("i"), slice_of("j"));
    size_t skip = sim_pick(s->run->loop, 20);

    kv_iter_seek(iter, slice_of("i"));
    while (kv_iter_valid(iter) && skip-- > 0)
        kv_iter_next(iter);
    if (kv_iter_valid(iter)) {
        sim_note(s->run->loop, "node %zu: an item of its index is damaged",
                 node->number + 1);
        sim_seen(SEEN_INDEX_SPOILT);
        s->run->cluster->index_spoilt = true;
        overwrite(node, kv_iter_key(iter));
    }
    kv_iter_free(iter);
}

/* ---- who meets it ---- */

static void meet(struct env_task *task)
{
    struct sim_spoil *s = container_of(task, struct sim_spoil, task);

    s->is_posted = false;
    eventual_find_damage(node_eventual(s->node->node), s->dir,
                         sim_pick(s->run->loop, 2) == 0 ? slice_of(s->name)
                                                        : slice_of(""));
}

/* A node that crashes takes it along. */
static void post_meeting(struct sim_spoil *s)
{
    struct sim_node *node = s->node;

    if (!sim_node_serves(node) ||
        (s->is_posted && s->posted_starts == node->starts))
        return;
    s->is_posted = true;
    s->posted_starts = node->starts;
    s->task.run = meet;
    sim_env_enter(node->env, SIM_FROM_USER);
    env_post(&node->env->env, ENV_WORKER, &s->task);
    sim_env_leave(node->env);
}

static void maybe_crash(struct sim_spoil *s)
{
    struct sim_loop *loop = s->run->loop;
    struct sim_node *node =
        sim_pick(loop, 2) == 0
            ? s->node
            : &s->run->cluster->nodes[sim_pick(loop, s->run->plan.nodes)];

    if (loop->now_ns > s->crashes_until_ns || node->state == SIM_DOWN ||
        node->removed || !sim_chance(loop, CRASH_PER_MILLION))
        return;
    sim_seen(SEEN_SPOILT_CRASH);
    sim_node_crash(node, sim_pick(loop, 2) == 0,
                   sim_pick(loop, DOWN_MS_MAX) * sim_ms);
    sim_clients_on_crash(s->run->clients, node);
}

static void look(struct sim_event *event)
{
    struct sim_spoil *s = (struct sim_spoil *)event;

    if (s->stopped)
        return;
    maybe_crash(s);
    post_meeting(s);
    sim_post_in(s->run->loop, event, sim_pick(s->run->loop, LOOK_MS * sim_ms));
}

/* ---- the phase ---- */

/* After a power cut, too. */
static bool is_spoilt(const struct sim_spoil *s, char class)
{
    struct key key = key_user(class, s->dir, slice_of(s->name));
    struct kv_value value = {0};
    bool is =
        kv_get_durable(state_of(s->node), key_slice(&key), &value) == 0 &&
        slice_equal((struct slice){value.data, value.size}, slice_of(spoilt));

    kv_value_release(&value);
    return is;
}

/* Nothing is noted any more, and the entry is what it was, or forgotten. */
static bool is_mended(struct run *run)
{
    const struct sim_spoil *s = run->spoil;
    struct eventual_record record = {0};
    struct eventual_head head = {0};
    int rc;

    if (!sim_node_serves(s->node) ||
        eventual_head_get(state_of(s->node), &head) != 0 || head.damaged)
        return false;
    rc = eventual_get(state_of(s->node), NULL, s->dir, slice_of(s->name), true,
                      &record);
    eventual_release(&record);
    return (rc == 0 || rc == ERR_NOT_FOUND) && !is_spoilt(s, 'v') &&
           !is_spoilt(s, 'w');
}

static struct sim_node *pick_node(struct run *run)
{
    struct sim_node *node =
        &run->cluster->nodes[sim_pick(run->loop, run->plan.nodes)];

    return sim_node_serves(node) && !node->removed ? node : NULL;
}

static bool choose(struct sim_spoil *s)
{
    size_t count;

    s->node = pick_node(s->run);
    if (s->node == NULL)
        return false;
    s->only_large = sim_pick(s->run->loop, 2) == 0;
    count = visit(s->node, SIZE_MAX, s);
    if (count == 0 && s->only_large) {
        s->only_large = false;
        count = visit(s->node, SIZE_MAX, s);
    }
    if (count > 0)
        (void)visit(s->node, sim_pick(s->run->loop, count), s);
    return count > 0;
}

void run_spoil_entry(struct run *run)
{
    struct sim_node *other = pick_node(run);
    struct sim_spoil *s;

    if (other == NULL || sim_pick(run->loop, 2) == 0)
        return;
    s = run->spoil = mem_zalloc(sizeof *s);
    s->run = run;
    s->event.run = look;
    if (!choose(s) || s->node == other)
        return; /* Somebody else has to have it. */
    sim_note(run->loop, "spoil an entry");
    strike(s);
    if (sim_pick(run->loop, 2) == 0)
        strike_index(s, other);
    if (sim_pick(run->loop, 2) == 0)
        s->crashes_until_ns = run->loop->now_ns + CRASH_SECONDS * 1000 * sim_ms;
    sim_post_in(run->loop, &s->event, 0);
    run_wait(run, is_mended, SPOILT_SECONDS, "an entry does not come again");
    s->stopped = true;
    run->cluster->entry_spoilt = false;
    run_wait(run, run_is_up, START_SECONDS, "nodes do not come up");
    run_wait(run, run_is_quiet, QUIET_SECONDS, "not quiet after that");
    run_audit(run);
}
