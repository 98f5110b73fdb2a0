/* SPDX-License-Identifier: Apache-2.0 */

/* Regions in which nothing happens cost no tick and no message: see "Sleep" in
 * raft.h for what the peers agree on, and liveness.h for what wakes them when
 * their leader is gone.
 *
 *     awake    has ticks
 *       |      leads, and nothing was asked of it for sleep_after_ms, by other
 *       |      threads neither: asks the others, and waits for their word
 *       |      follows, is asked, and has nothing to do: agrees
 *     asleep   Raft says so: no tick visits it, its log is not kept in memory
 *       |      any input (peer_wake()); somebody here wants something of the
 *       |      region (peer_rouse()); the node of its leader is lost; it leads
 *       |      and a node of the region comes back, or too few are left, or a
 *       |      check is due; its alarm
 *     awake
 *
 * The alarm is there for what nobody has thought of: after a few minutes a
 * leader asks once more, and a follower that was not asked for twice that long
 * looks for a leader. */

#include <assert.h>
#include <limits.h>

#include "engine/check.h"
#include "engine/merge_change.h"
#include "engine/node.h"
#include "engine/peer_impl.h"

static const uint64_t ms_ns = 1000000;

/* ---- may it? ---- */

/* What Raft does not know of. */
static bool has_nothing_to_do(const struct peer *peer)
{
    return !peer->damaged && peer->install == NULL &&
           peer->install_offered == NULL && peer->persist_pending == 0 &&
           peer->apply_pending == 0 && !peer->compacting &&
           TAILQ_EMPTY(&peer->queued) && TAILQ_EMPTY(&peer->pending) &&
           TAILQ_EMPTY(&peer->index_requests) &&
           TAILQ_EMPTY(&peer->applied_waiters) &&
           !region_is_merging(&peer->region) && check_is_idle(peer->check);
}

bool peer_agrees_to_sleep(const struct peer *peer, uint64_t leader_node)
{
    return node_config(peer->node)->sleep_after_ms != 0 &&
           has_nothing_to_do(peer) && node_is_alive(peer->node, leader_node);
}

/* ---- falling asleep ---- */

void peer_note_use(struct peer *peer)
{
    if (!atomic_load_explicit(&peer->was_used, memory_order_relaxed))
        atomic_store_explicit(&peer->was_used, true, memory_order_relaxed);
}

static void list_absent(const struct peer *peer, struct raft_id_set *absent)
{
    const struct region *region = &peer->region;

    absent->count = 0;
    for (size_t i = 0; i < region->peer_count; i++)
        if (!node_is_alive(peer->node, region->peers[i].node))
            absent->id[absent->count++] = region->peers[i].id;
}

/* Once a second somebody looks what was left undone (orphans.h), and has to
 * have looked since. */
static bool was_idle_for_long(struct peer *peer)
{
    uint64_t after_ms = node_config(peer->node)->sleep_after_ms;

    if (atomic_exchange_explicit(&peer->was_used, false, memory_order_relaxed))
        peer->idle_ticks = 0;
    if (peer->idle_ticks < UINT_MAX)
        peer->idle_ticks++;
    return after_ms != 0 && peer->idle_ticks > after_ms / TICK_MS &&
           peer->idle_ticks > TICKS_PER_SECOND;
}

void peer_sleep_tick(struct peer *peer)
{
    struct raft_id_set absent;

    if (!was_idle_for_long(peer) || !peer_is_leader(peer) ||
        !has_nothing_to_do(peer))
        return;
    list_absent(peer, &absent);
    raft_doze(peer->raft, &absent);
}

/* ---- the alarm ---- */

/* It asks the others at once, and all sleep on unless one has something to say.
 * A follower that hears nothing of its leader finds another one. */
static void on_alarm(struct env_timer *timer)
{
    struct peer *peer = container_of(timer, struct peer, alarm);
    uint64_t due_ns = check_due_ns(peer->check);

    peer_wake(peer);
    if (due_ns == 0 || env_mono_ns(peer->env) < due_ns)
        peer->idle_ticks = UINT_MAX;
}

void peer_set_alarm(struct peer *peer)
{
    uint64_t span_ns = node_config(peer->node)->alarm_ms * ms_ns;
    uint64_t now_ns = env_mono_ns(peer->env);
    uint64_t due_ns = check_due_ns(peer->check);
    uint64_t delay_ns = span_ns + env_random(peer->env) % (span_ns / 2);

    if (!peer_is_leader(peer))
        delay_ns += 2 * span_ns;
    else if (due_ns != 0 && due_ns < now_ns + delay_ns)
        delay_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    peer->alarm.fire = on_alarm;
    env_timer_start(peer->env, &peer->alarm, delay_ns);
}

/* ---- what has changed ---- */

void peer_note_sleep(struct peer *peer)
{
    bool asleep = raft_is_asleep(peer->raft);

    if (asleep == peer->asleep)
        return;
    peer->asleep = asleep;
    if (asleep) {
        assert(peer->apply_pending == 0);
        region_log_rest(peer->log);
        applier_rest(peer->applier);
        peer_set_alarm(peer);
    } else {
        env_timer_stop(peer->env, &peer->alarm);
        peer->leader_heard_ns = env_mono_ns(peer->env);
    }
    node_on_sleep(peer->node, peer);
}

bool peer_is_asleep(const struct peer *peer)
{
    return peer->asleep;
}

/* ---- waking up ---- */

void peer_rouse(struct peer *peer)
{
    if (raft_is_asleep(peer->raft))
        peer_wake(peer);
}

static bool has_live_quorum(const struct peer *peer)
{
    const struct region *region = &peer->region;
    size_t count = 0;

    for (size_t i = 0; i < region->voter_count; i++)
        count +=
            node_is_alive(peer->node, peer_node_of(peer, region->voters[i]));
    return count > region->voter_count / 2;
}

void peer_on_node_lost(struct peer *peer, uint64_t node_id)
{
    uint64_t silence_ns = env_mono_ns(peer->env) - peer->leader_heard_ns;

    if (!raft_is_asleep(peer->raft))
        return;
    if (peer_is_leader(peer)) {
        if (!has_live_quorum(peer))
            peer_wake(peer);
    } else if (peer_leader_node(peer) == node_id) {
        raft_leader_lost(peer->raft,
                         (unsigned)(silence_ns / (TICK_MS * ms_ns)));
        peer_wake(peer);
    }
}

void peer_on_node_found(struct peer *peer, uint64_t node_id)
{
    if (!raft_is_asleep(peer->raft) || !peer_is_leader(peer) ||
        region_find_node(&peer->region, node_id) == NULL)
        return;
    peer_wake(peer);
    peer->idle_ticks = UINT_MAX; /* It may just have been away. */
}
