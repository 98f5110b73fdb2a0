/* SPDX-License-Identifier: Apache-2.0 */

/* The mechanical part of a random group: disks, state machines, network. */

#include "tests/raft/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"

enum { MESSAGES_MAX = 300 };

uint64_t group_pick(struct group *g, uint64_t below)
{
    g->random = group_mix(g->random, 1);
    return (g->random >> 20) % below;
}

struct group_peer *group_leader(struct group *g)
{
    struct group_peer *leader = NULL;

    for (size_t i = 0; i < GROUP_PEERS_MAX; i++) {
        struct group_peer *p = &g->peer[i];

        if (p->raft != NULL && raft_role(p->raft) == RAFT_LEADER &&
            (leader == NULL || raft_term(p->raft) > raft_term(leader->raft)))
            leader = p;
    }
    return leader;
}

/* ---- Snapshots -------------------------------------------------------- */

/* What storage gives a leader: the state machine as it is now. */
static int make_snapshot(void *storage, uint64_t peer, uint64_t index_min,
                         struct raft_snapshot *ret)
{
    const struct group_peer *p = storage;
    uint64_t term;
    int rc;

    (void)peer;
    if (p->state.applied < index_min)
        return ERR_UNAVAILABLE;

    rc = memory_storage_ops.term(storage, p->state.applied, &term);
    if (rc != 0)
        return rc;
    *ret = (struct raft_snapshot){
        .index = p->state.applied,
        .term = term,
        .conf_state = p->state.conf,
        .data = buf_copy(&p->state.digest, sizeof p->state.digest),
    };
    return 0;
}

/* ---- Birth and death -------------------------------------------------- */

static void bootstrap(struct group_peer *p)
{
    struct raft_snapshot snapshot = {
        .index = GROUP_FIRST_INDEX,
        .term = 1,
        .conf_state.voters = {3, {1, 2, 3}},
    };

    p->durable = (struct group_state){
        .applied = GROUP_FIRST_INDEX,
        .digest = 1,
        .conf = snapshot.conf_state,
    };
    snapshot.data = buf_copy(&p->durable.digest, sizeof p->durable.digest);
    p->storage.hard_state = (struct raft_hard_state){.term = 1};
    (void)memory_storage_apply_snapshot(&p->storage, &snapshot);
    buf_unref(snapshot.data);
}

struct group *group_new(const struct group_options *options)
{
    struct group *g = mem_zalloc(sizeof *g);

    g->options = *options;
    g->random = options->seed;
    g->now = 1;
    g->storage_ops = memory_storage_ops;
    g->storage_ops.snapshot = make_snapshot;
    for (size_t i = 0; i < GROUP_PEERS_MAX; i++) {
        g->peer[i].id = i + 1;
        memory_storage_init(&g->peer[i].storage);
        g->peer[i].storage.applied_conf = &g->peer[i].durable.conf;
    }
    for (size_t i = 1; i <= GROUP_FIRST_INDEX; i++)
        g->index[i].committed_term = 1;
    for (size_t i = 0; i < 3; i++) {
        bootstrap(&g->peer[i]);
        group_start(g, &g->peer[i]);
    }
    return g;
}

static void drop_work(struct group_peer *p)
{
    for (size_t i = 0; i < p->work_count; i++)
        raft_ready_release(&p->work[i]);
    p->work_count = 0;
    p->written_count = 0;
    p->applied_count = 0;
}

void group_free(struct group *g)
{
    for (size_t i = 0; i < GROUP_PEERS_MAX; i++) {
        struct group_peer *p = &g->peer[i];

        drop_work(p);
        raft_free(p->raft);
        memory_storage_close(&p->storage);
    }
    raft_messages_release(&g->network);
    free(g);
}

void group_start(struct group *g, struct group_peer *p)
{
    const struct group_options *o = &g->options;
    struct raft_config config = {
        .id = p->id,
        .election_ticks = 5,
        .heartbeat_ticks = 1,
        .pre_vote = o->pre_vote,
        .check_quorum = o->check_quorum,
        .step_down_on_removal = o->step_down_on_removal,
        .tell_commit_to_candidates = true,
        .message_size_max = o->message_size_max,
        .committed_size_per_ready_max = o->committed_size_max,
        .inflight_count_max = o->inflight_count_max,
        .applied = p->durable.applied,
        .random_seed = group_pick(g, UINT32_MAX),
        .storage_ops = &g->storage_ops,
        .storage = &p->storage,
    };

    assert(p->raft == NULL);
    p->state = p->durable;
    group_require(g, raft_new(&config, &p->raft) == 0, "a peer starts");
    raft_set_clock(p->raft, g->now);
    p->commit_seen = p->durable.applied;
    group_check_peer(g, p);
}

void group_crash(struct group *g, struct group_peer *p)
{
    if (p->written_count < p->work_count)
        group_saw(g, GROUP_UNSYNCED_LOST);
    drop_work(p);
    raft_free(p->raft);
    p->raft = NULL;
    p->leads = false;
    if (p->state.applied > p->durable.applied)
        p->replayed_to = p->state.applied;
    if (group_pick(g, 2) == 0)
        p->storage.hard_state.commit = p->synced_commit;
}

/* ---- Readies ---------------------------------------------------------- */

static void send_all(struct group *g, struct raft_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        if (g->network.count >= MESSAGES_MAX)
            group_deliver(g, group_pick(g, g->network.count), false);
        raft_messages_append(&g->network, &messages->item[i]);
    }
    messages->count = 0;
}

bool group_take(struct group *g, struct group_peer *p)
{
    struct raft_ready *ready;

    if (p->work_count == GROUP_WORK_MAX || !raft_has_ready(p->raft))
        return false;

    ready = &p->work[p->work_count];
    group_require(g, raft_ready(p->raft, ready) == 0, "a ready is made");
    p->work_count++;
    send_all(g, &ready->messages);
    for (size_t i = 0; i < ready->read_state_count; i++)
        group_check_read(g, p, &ready->read_states[i]);
    return true;
}

/* Forgets what is both written and applied. */
static void pop_work(struct group_peer *p)
{
    while (p->written_count > 0 && p->applied_count > 0) {
        raft_ready_release(&p->work[0]);
        p->work_count--;
        p->written_count--;
        p->applied_count--;
        memmove(&p->work[0], &p->work[1], p->work_count * sizeof p->work[0]);
    }
}

/* The snapshot is the state now; what was handed out before it is not. */
static void install(struct group *g, struct group_peer *p,
                    const struct raft_snapshot *snapshot)
{
    group_saw(g, GROUP_SNAPSHOT_RESTORED);
    if (snapshot->conf_state.voters_outgoing.count > 0)
        group_saw(g, GROUP_SNAPSHOT_OF_JOINT);
    if (group_conf_digest(&snapshot->conf_state) !=
        group_conf_digest(&p->state.conf))
        group_saw(g, GROUP_SNAPSHOT_DURING_CHANGE);

    p->state.applied = snapshot->index;
    p->state.conf = snapshot->conf_state;
    memcpy(&p->state.digest, snapshot->data->data, sizeof p->state.digest);
    p->durable = p->state;
    raft_snapshot_free(p->storage.snapshot);
    p->storage.snapshot = NULL;
    (void)memory_storage_apply_snapshot(&p->storage, snapshot);
    if (p->applied_count <= p->written_count)
        p->applied_count = p->written_count + 1;
}

bool group_write(struct group *g, struct group_peer *p, bool report)
{
    struct raft_ready *ready;

    if (p->written_count == p->work_count)
        return false;

    ready = &p->work[p->written_count];
    report = report || ready->snapshot != NULL ||
             p->written_count + 1 == p->work_count;
    if (ready->snapshot != NULL)
        install(g, p, ready->snapshot);
    group_check_entries(g, p, &ready->entries);
    memory_storage_append(&p->storage, &ready->entries);
    if (ready->hard_state_changed)
        p->storage.hard_state = ready->hard_state;
    if (ready->must_sync || ready->snapshot != NULL)
        p->synced_commit = ready->hard_state.commit;

    send_all(g, &ready->after_append);
    if (report)
        group_require(g, raft_append_done(p->raft, &ready->token) == 0,
                      "a write is completed");
    p->written_count++;
    pop_work(p);
    group_check_peer(g, p);
    return true;
}

/* False: a snapshot that covers the change is on its way to the disk. */
static bool apply_change(struct group *g, struct group_peer *p,
                         const struct raft_entry *entry)
{
    struct raft_conf_change change;
    struct raft_conf_state conf;
    int rc = raft_conf_change_decode(entry->data, &change);

    group_require(g, rc == 0, "a conf change can be read");
    rc = raft_apply_conf_change(p->raft, &change, &conf);
    buf_unref(change.context);
    group_require(g, rc == 0 || rc == ERR_CANCELED, "a conf change is applied");
    if (rc == 0)
        p->state.conf = conf;
    return rc == 0;
}

bool group_apply(struct group *g, struct group_peer *p)
{
    const struct raft_entries *entries;

    if (p->applied_count == p->work_count)
        return false;

    entries = &p->work[p->applied_count].committed;
    for (size_t i = 0; i < entries->count; i++) {
        const struct raft_entry *entry = &entries->item[i];
        struct raft_conf_state before = p->state.conf;

        if (entry->type != RAFT_ENTRY_NORMAL && !apply_change(g, p, entry)) {
            p->applied_count = p->work_count; /* None of it counts. */
            pop_work(p);
            return true;
        }
        group_check_applied(g, p, entry, &before);
        p->state.applied = entry->index;
        p->state.digest =
            group_mix(p->state.digest, group_entry_digest(entry) +
                                           group_conf_digest(&p->state.conf));
        group_require(g,
                      g->index[entry->index].state_digest == 0 ||
                          g->index[entry->index].state_digest ==
                              p->state.digest,
                      "all state machines are the same");
        g->index[entry->index].state_digest = p->state.digest;
    }
    if (entries->count > 0)
        group_require(g, raft_apply_done(p->raft, p->state.applied) == 0,
                      "an application is completed");
    p->applied_count++;
    pop_work(p);
    group_check_peer(g, p);
    return true;
}

void group_flush(struct group_peer *p)
{
    p->durable = p->state;
}

void group_compact(struct group *g, struct group_peer *p)
{
    uint64_t first = memory_storage_first_index(&p->storage);

    if (p->durable.applied >= first)
        (void)memory_storage_compact(
            &p->storage, first + group_pick(g, p->durable.applied - first + 1));
}

/* ---- Network ---------------------------------------------------------- */

static struct raft_message take_out(struct raft_messages *messages, size_t i)
{
    struct raft_message m = messages->item[i];

    messages->count--;
    memmove(&messages->item[i], &messages->item[i + 1],
            (messages->count - i) * sizeof m);
    return m;
}

static void step(struct group *g, struct group_peer *to,
                 const struct raft_message *m)
{
    int rc;

    if (to->raft == NULL && memory_storage_last_index(&to->storage) == 0 &&
        to->storage.hard_state.term == 0)
        group_start(g, to); /* It has just been added. */
    if (to->raft == NULL)
        return;

    rc = raft_step(to->raft, m);
    group_require(g, rc != ERR_CORRUPT, "no log contradicts another");
    group_require(g, rc != ERR_PROTOCOL, "no message is malformed");
    group_check_peer(g, to);
}

/* The host always says what became of a snapshot, and sometimes that a peer
 * could not be reached. */
static void report(struct group *g, const struct raft_message *m, bool arrived)
{
    struct group_peer *from = &g->peer[m->from - 1];

    if (from->raft == NULL || raft_role(from->raft) != RAFT_LEADER)
        return;
    if (m->type == RAFT_MSG_SNAP)
        raft_report_snapshot(from->raft, m->to, arrived);
    else if (!arrived && group_pick(g, 4) == 0)
        raft_report_unreachable(from->raft, m->to);
    group_check_peer(g, from);
}

void group_deliver(struct group *g, size_t i, bool arrives)
{
    struct raft_message m = take_out(&g->network, i);
    struct group_peer *to = &g->peer[m.to - 1];
    bool arrived = arrives && !g->cut[m.from][m.to];

    if (arrived)
        step(g, to, &m);
    report(g, &m, arrived && to->raft != NULL);
    raft_message_release(&m);
}

void group_read(struct group *g, struct group_peer *p)
{
    uint64_t request = g->read_count + 1;

    if (request == GROUP_READS_MAX || raft_read_index(p->raft, request) != 0)
        return;
    g->read_count = request;
    g->read_floor[request] = g->commit_max;
    g->read_by[request] = p->id;
    group_check_peer(g, p);
}
