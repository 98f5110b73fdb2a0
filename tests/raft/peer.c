/* SPDX-License-Identifier: Apache-2.0 */

/* The fixture of the unit tests. */

#include "tests/raft/peer.h"

#include <assert.h>
#include <string.h>

void peer_init(struct peer *p, uint64_t voter_count)
{
    memset(p, 0, sizeof *p);
    memory_storage_init(&p->storage);
    for (uint64_t id = 1; id <= voter_count; id++)
        p->conf.voters.id[p->conf.voters.count++] = id;
    p->storage.applied_conf = &p->conf;
    p->config = (struct raft_config){
        .id = 1,
        .election_ticks = PEER_ELECTION_TICKS,
        .heartbeat_ticks = PEER_HEARTBEAT_TICKS,
        .message_size_max = RAFT_NO_LIMIT,
        .inflight_count_max = 256,
        .storage_ops = &memory_storage_ops,
        .storage = &p->storage,
    };
}

void peer_start(struct peer *p)
{
    int rc = raft_new(&p->config, &p->raft);

    assert(rc == 0);
    raft_set_clock(p->raft, 1);
}

void peer_close(struct peer *p)
{
    if (p->raft != NULL)
        raft_check(p->raft);
    raft_free(p->raft);
    raft_messages_release(&p->sent);
    raft_entries_release(&p->applied);
    memory_storage_close(&p->storage);
    p->raft = NULL;
}

void peer_lead(struct peer *p, uint64_t voter_count)
{
    if (p->raft == NULL && p->config.id == 0)
        peer_init(p, voter_count);
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    for (uint64_t id = 2; id <= voter_count; id++)
        peer_vote_from(p, id);
    assert(raft_role(p->raft) == RAFT_LEADER);
    peer_forget(p);
}

/* ---- Readies ---------------------------------------------------------- */

static void persist(struct peer *p, const struct raft_ready *ready)
{
    p->storage.hard_state = ready->hard_state;
    if (ready->snapshot != NULL)
        (void)memory_storage_apply_snapshot(&p->storage, ready->snapshot);
    memory_storage_append(&p->storage, &ready->entries);
}

static void collect(struct peer *p, struct raft_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++)
        raft_messages_append(&p->sent, &messages->item[i]);
}

static void apply(struct peer *p, const struct raft_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct raft_entry *entry = &entries->item[i];
        struct raft_conf_change change;

        raft_entries_append(&p->applied, entry);
        if (entry->type != RAFT_ENTRY_NORMAL &&
            raft_conf_change_decode(entry->data, &change) == 0) {
            (void)raft_apply_conf_change(p->raft, &change, NULL);
            buf_unref(change.context);
        }
    }
    if (entries->count > 0)
        (void)raft_apply_done(p->raft, entries->item[entries->count - 1].index);
}

void peer_pump(struct peer *p)
{
    while (raft_has_ready(p->raft)) {
        struct raft_ready ready;
        int rc = raft_ready(p->raft, &ready);

        assert(rc == 0);
        persist(p, &ready);
        collect(p, &ready.messages);
        collect(p, &ready.after_append);
        (void)raft_append_done(p->raft, &ready.token);
        apply(p, &ready.committed);
        p->read_state_count += (unsigned)ready.read_state_count;
        if (ready.read_state_count > 0)
            p->read_state = ready.read_states[ready.read_state_count - 1];
        raft_ready_release(&ready);
        raft_check(p->raft);
    }
}

/* ---- Inputs ----------------------------------------------------------- */

int peer_receive(struct peer *p, const struct raft_message *m)
{
    struct raft_message copy = *m;
    int rc;

    copy.to = p->config.id;
    rc = raft_step(p->raft, &copy);
    peer_pump(p);
    return rc;
}

void peer_acknowledge(struct peer *p, uint64_t from, uint64_t index)
{
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_APP_RESP,
                                                 .from = from,
                                                 .term = raft_term(p->raft),
                                                 .index = index});
}

void peer_append(struct peer *p, uint64_t term, uint64_t prev_term,
                 uint64_t prev_index, uint64_t entry_term, size_t count,
                 uint64_t commit)
{
    struct raft_message m = {.type = RAFT_MSG_APP,
                             .from = 2,
                             .term = term,
                             .log_term = prev_term,
                             .index = prev_index,
                             .commit = commit,
                             .clock = 7};

    for (size_t i = 0; i < count; i++)
        raft_entries_append(&m.entries,
                            &(struct raft_entry){.term = entry_term,
                                                 .index = prev_index + 1 + i});
    (void)peer_receive(p, &m);
    raft_entries_release(&m.entries);
}

void peer_vote_from(struct peer *p, uint64_t from)
{
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_VOTE_RESP,
                                                 .from = from,
                                                 .term = raft_term(p->raft)});
}

int peer_propose(struct peer *p, const char *data)
{
    struct raft_entry entry = {.data = buf_copy(data, strlen(data))};
    int rc = raft_propose(p->raft, &entry, 1, NULL);

    buf_unref(entry.data);
    peer_pump(p);
    return rc;
}

void peer_tick(struct peer *p, unsigned ticks)
{
    for (unsigned i = 0; i < ticks; i++) {
        (void)raft_tick(p->raft);
        peer_pump(p);
    }
}

void peer_store(struct peer *p, const uint64_t *terms, size_t count)
{
    struct raft_entries entries = {.count = 0};

    for (size_t i = 0; i < count; i++)
        raft_entries_append(
            &entries, &(struct raft_entry){.term = terms[i], .index = i + 1});
    memory_storage_append(&p->storage, &entries);
    if (count > 0)
        p->storage.hard_state.term = terms[count - 1];
    raft_entries_release(&entries);
}

/* ---- Results ---------------------------------------------------------- */

const struct raft_message *peer_last(const struct peer *p,
                                     enum raft_message_type type)
{
    return peer_last_to(p, type, 0);
}

const struct raft_message *
peer_last_to(const struct peer *p, enum raft_message_type type, uint64_t to)
{
    for (size_t i = p->sent.count; i > 0; i--) {
        const struct raft_message *m = &p->sent.item[i - 1];

        if (m->type == type && (to == 0 || m->to == to))
            return m;
    }
    return NULL;
}

size_t peer_count(const struct peer *p, enum raft_message_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < p->sent.count; i++)
        count += p->sent.item[i].type == type;
    return count;
}

void peer_forget(struct peer *p)
{
    raft_messages_release(&p->sent);
}

struct raft_status peer_status(const struct peer *p)
{
    struct raft_status status;

    raft_status(p->raft, &status);
    return status;
}
