/* SPDX-License-Identifier: Apache-2.0 */

/* Groups in which nothing happens: see raft.h.
 *
 *     leader     AWAKE --host: idle--> DROWSY --all have agreed--> ASLEEP
 *     follower   AWAKE --asked, and has everything applied-------> ASLEEP
 *
 * and back to AWAKE by anything else that comes in, in any state. What is not
 * "anything else" is said in one place, is_sleep_talk(). */

#include "raft/base/mem.h"
#include "raft/core.h"

/* ---- May it? ---------------------------------------------------------- */

static const char *peer_prevents_sleep(const struct raft *r,
                                       const struct progress *p)
{
    uint64_t last = raft_log_last_index(&r->log);

    if (p->match != last)
        return "a peer lags";
    if (p->id != r->id && p->sent_commit < last)
        return "a peer does not know the commit index";
    if (p->snapshot_wanted != 0)
        return "a peer wants a snapshot";
    return NULL;
}

static const char *leader_can_sleep(const struct raft *r)
{
    const char *why = NULL;

    if (!commit_is_own_term(r))
        return "no entry of this term is committed";
    if (r->transferee != 0)
        return "a transfer runs";
    if (r->reads.count > 0)
        return "reads are pending";
    if (conf_state_is_joint(&r->peers.conf))
        return "the configuration is joint";
    for (size_t i = 0; i < r->peers.count && why == NULL; i++)
        if (!r->peers.item[i].absent)
            why = peer_prevents_sleep(r, &r->peers.item[i]);
    return why;
}

const char *raft_can_sleep(const struct raft *r)
{
    if (r->failure != 0)
        return "stopped";
    if (raft_has_ready(r))
        return "there is something to do";
    if (r->log.unstable.snapshot != NULL || r->log.unstable.entries.count > 0 ||
        r->outbox.self_ack_count > 0)
        return "writes are outstanding";
    if (r->log.committed != raft_log_last_index(&r->log))
        return "entries are not committed";
    if (r->log.applied != r->log.committed)
        return "entries are not applied";
    if (r->silent_ticks_left > 0)
        return "votes are withheld after the start";
    if (r->role == RAFT_LEADER)
        return leader_can_sleep(r);
    if (r->leader == 0)
        return "no leader is known";
    if (r->snapshot_wanted != 0)
        return "a snapshot is wanted";
    return NULL;
}

bool raft_is_asleep(const struct raft *r)
{
    return r->sleep == SLEEP_ASLEEP;
}

/* ---- Falling asleep --------------------------------------------------- */

/* Windows and queues that nothing is in cost no memory. */
static void drop_unused(struct raft *r)
{
    struct outbox *o = &r->outbox;
    struct raft_entries *entries = &r->log.unstable.entries;

    for (size_t i = 0; i < r->peers.count; i++)
        if (r->peers.item[i].inflights.count == 0)
            inflights_close(&r->peers.item[i].inflights);
    o->read_states =
        mem_trim(o->read_states, &o->read_state_count_max, o->read_state_count);
    o->self_acks =
        mem_trim(o->self_acks, &o->self_ack_count_max, o->self_ack_count);
    r->reads.item =
        mem_trim(r->reads.item, &r->reads.count_max, r->reads.count);
    r->log.batches =
        mem_trim(r->log.batches, &r->log.batch_count_max, r->log.batch_count);
    entries->item =
        mem_trim(entries->item, &entries->count_max, entries->count);
}

static enum quorum_ballot agreement_of(const void *context, uint64_t id)
{
    const struct raft *r = context;

    return id == r->id || peers_find(&r->peers, id)->agreed ? QUORUM_YES
                                                            : QUORUM_NO;
}

static void fall_asleep(struct raft *r)
{
    r->sleep = SLEEP_ASLEEP;
    drop_unused(r);
}

/* All that can be reached, and these are a quorum: a leader that was cut off
 * has to find out, and must not sleep instead. */
static void look_whether_all_agree(struct raft *r)
{
    for (size_t i = 0; i < r->peers.count; i++) {
        const struct progress *p = &r->peers.item[i];

        if (p->id != r->id && !p->absent && !p->agreed)
            return;
    }
    if (quorum_joint_vote(&r->peers.conf, agreement_of, r) == QUORUM_WON)
        fall_asleep(r);
}

static void become_drowsy(struct raft *r)
{
    r->sleep = SLEEP_DROWSY;
    r->drowsy_clock = r->clock;
    for (size_t i = 0; i < r->peers.count; i++)
        r->peers.item[i].agreed = false;
}

static bool contains(const struct raft_id_set *set, uint64_t id)
{
    return set != NULL && id_set_contains(set, id);
}

void raft_doze(struct raft *r, const struct raft_id_set *absent)
{
    if (r->role != RAFT_LEADER || r->sleep == SLEEP_ASLEEP)
        return;
    for (size_t i = 0; i < r->peers.count; i++)
        r->peers.item[i].absent = contains(absent, r->peers.item[i].id);
    if (raft_can_sleep(r) != NULL) {
        r->sleep = SLEEP_AWAKE;
        return;
    }
    if (r->sleep == SLEEP_AWAKE)
        become_drowsy(r);
    look_whether_all_agree(r);
}

bool sleep_asks(const struct raft *r, const struct progress *p)
{
    return r->sleep == SLEEP_DROWSY && !p->absent;
}

/* An answer to a question of an earlier time says nothing about now. */
void sleep_on_answer(struct raft *r, struct progress *p,
                     const struct raft_message *m)
{
    if (r->sleep != SLEEP_DROWSY)
        return;
    p->agreed = m->sleep && m->clock >= r->drowsy_clock;
    look_whether_all_agree(r);
}

bool sleep_agrees(struct raft *r, const struct raft_message *m)
{
    bool agrees = m->sleep && m->commit == raft_log_last_index(&r->log) &&
                  raft_can_sleep(r) == NULL;

    r->sleep = SLEEP_AWAKE;
    if (agrees)
        fall_asleep(r);
    return agrees;
}

/* ---- Waking up -------------------------------------------------------- */

/* An answer to a heartbeat that nobody has sent: a leader that sleeps takes it
 * for what it is, something that wakes. */
static void wake_leader(struct raft *r)
{
    struct raft_message m = {.type = RAFT_MSG_HEARTBEAT_RESP, .to = r->leader};

    outbox_send(r, &m);
}

/* A leader has one election timeout to hear from a quorum again, and begins
 * with the next tick. */
static void wake(struct raft *r, bool tell_leader)
{
    bool slept = r->sleep == SLEEP_ASLEEP;

    r->sleep = SLEEP_AWAKE;
    if (!slept)
        return;
    if (r->role == RAFT_LEADER) {
        r->election_elapsed = 0;
        r->heartbeat_elapsed = r->config.heartbeat_ticks;
    } else if (tell_leader && r->leader != 0) {
        wake_leader(r);
    }
}

void sleep_disturb(struct raft *r)
{
    wake(r, true);
}

/* The question and the agreement, and no more. */
static bool is_sleep_talk(const struct raft *r, const struct raft_message *m)
{
    if (!m->sleep || m->term != r->term)
        return false;
    if (r->role == RAFT_LEADER)
        return m->type == RAFT_MSG_HEARTBEAT_RESP;
    return m->type == RAFT_MSG_HEARTBEAT && m->from == r->leader;
}

/* A drowsy leader is one that sends heartbeats: their answers do not count. */
void sleep_on_message(struct raft *r, const struct raft_message *m)
{
    if (r->sleep == SLEEP_AWAKE || is_sleep_talk(r, m) ||
        (r->sleep == SLEEP_DROWSY && m->type == RAFT_MSG_HEARTBEAT_RESP))
        return;
    wake(r, m->from != r->leader);
}

void raft_rouse(struct raft *r)
{
    wake(r, true);
}

void raft_leader_lost(struct raft *r, unsigned ticks)
{
    unsigned left;

    wake(r, true);
    if (r->role != RAFT_FOLLOWER ||
        r->election_elapsed >= r->config.election_ticks)
        return;
    left = r->config.election_ticks - r->election_elapsed;
    r->election_elapsed += ticks < left ? ticks : left;
}
