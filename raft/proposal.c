/* SPDX-License-Identifier: Apache-2.0 */

/* From a proposal to an entry in the leader's log. */

#include <assert.h>
#include <inttypes.h>

#include "raft/base/err.h"
#include "raft/core.h"

static uint64_t data_size(const struct raft_entries *entries)
{
    uint64_t size = 0;

    for (size_t i = 0; i < entries->count; i++)
        if (entries->item[i].data != NULL)
            size += entries->item[i].data->size;
    return size;
}

/* The first one above the limit and all without data still get through: a
 * large value can be written, and a configuration always be left. */
static bool reserve(struct raft *r, uint64_t size)
{
    uint64_t max = r->config.uncommitted_size_max;

    if (max != 0 && size > 0 && r->uncommitted_size > 0 &&
        r->uncommitted_size + size > max)
        return false;
    r->uncommitted_size += size;
    return true;
}

/* The leader's own acknowledgment waits for its disk like everyone's. */
bool leader_append(struct raft *r, struct raft_entries *entries)
{
    uint64_t last = raft_log_last_index(&r->log);
    struct raft_message ack = {.type = RAFT_MSG_APP_RESP, .to = r->id};

    assert(r->role == RAFT_LEADER);
    for (size_t i = 0; i < entries->count; i++) {
        entries->item[i].term = r->term;
        entries->item[i].index = last + 1 + i;
    }
    if (!reserve(r, data_size(entries))) {
        trace_line(&r->trace, LOG_WARN,
                   "%" PRIx64 " appending new entries to log would exceed "
                   "uncommitted entry size limit; dropping proposal",
                   r->id);
        return false;
    }
    raft_log_append(&r->log, entries->item, entries->count);
    ack.index = raft_log_last_index(&r->log);
    outbox_send(r, &ack);
    return true;
}

/* ---- Conf changes ----------------------------------------------------- */

/* One change at a time, where "done" means applied; and from a joint
 * configuration only out. Returns why not, or an empty text. */
static struct text refusal(const struct raft *r,
                           const struct raft_conf_change *change)
{
    struct text why = {.used = 0};
    struct conf_next next;
    bool joint = conf_state_is_joint(&r->peers.conf);

    if (r->pending_conf_index > r->log.applied)
        text_add(&why,
                 "possible unapplied conf change at index %" PRIu64
                 " (applied to %" PRIu64 ")",
                 r->pending_conf_index, r->log.applied);
    else if (joint && change->count > 0)
        text_add(&why, "must transition out of joint config first");
    else if (!joint && change->count == 0)
        text_add(&why, "not in joint state; refusing empty conf change");
    else if (conf_change_next(&r->peers.conf, change, &next) != NULL)
        text_add(&why, "%s", conf_change_next(&r->peers.conf, change, &next));
    return why;
}

/* True: the entry may stay. A refused one is replaced by an empty entry, since
 * its place in the batch is taken. */
static bool admit_conf_change(struct raft *r, const struct raft_entry *entry)
{
    struct raft_conf_change change;
    struct text why;

    if (raft_conf_change_decode(entry->data, &change) != 0)
        return false; /* From another version: we could not apply it. */

    why = refusal(r, &change);
    if (why.used > 0 && trace_on(&r->trace) &&
        !r->config.disable_conf_change_validation)
        trace_line(&r->trace, LOG_INFO,
                   "%" PRIx64 " ignoring conf change %s at config %s: %s",
                   r->id, text_conf_change(&change).data,
                   text_conf(&r->peers.conf).data, why.data);
    buf_unref(change.context);
    return why.used == 0 || r->config.disable_conf_change_validation;
}

static void filter_conf_changes(struct raft *r, struct raft_entries *entries)
{
    uint64_t last = raft_log_last_index(&r->log);

    for (size_t i = 0; i < entries->count; i++) {
        struct raft_entry *entry = &entries->item[i];

        if (entry->type == RAFT_ENTRY_NORMAL)
            continue;
        if (admit_conf_change(r, entry)) {
            r->pending_conf_index = last + 1 + i;
            continue;
        }
        buf_unref(entry->data);
        *entry = (struct raft_entry){.type = RAFT_ENTRY_NORMAL};
    }
}

/* ---- The three roles -------------------------------------------------- */

int leader_on_prop(struct raft *r, const struct raft_message *m)
{
    struct raft_entries entries;
    uint64_t pending_before = r->pending_conf_index;
    bool appended;

    if (peers_find(&r->peers, r->id) == NULL)
        return ERR_DROPPED; /* Removed, and leading on until others can. */
    if (r->transferee != 0) {
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " [term %" PRIu64
                   "] transfer leadership to %" PRIx64
                   " is in progress; dropping proposal",
                   r->id, r->term, r->transferee);
        return ERR_DROPPED;
    }

    raft_entries_copy(&entries, m->entries.item, m->entries.count);
    filter_conf_changes(r, &entries);
    appended = leader_append(r, &entries);
    raft_entries_release(&entries);
    if (!appended) {
        r->pending_conf_index = pending_before;
        return ERR_DROPPED;
    }
    replication_send_all(r);
    return 0;
}

int follower_on_prop(struct raft *r, const struct raft_message *m)
{
    struct raft_message forwarded;

    if (r->leader == 0) {
        trace_line(&r->trace, LOG_INFO,
                   "%" PRIx64 " no leader at term %" PRIu64
                   "; dropping proposal",
                   r->id, r->term);
        return ERR_DROPPED;
    }
    if (r->config.disable_proposal_forwarding) {
        trace_line(&r->trace, LOG_INFO,
                   "%" PRIx64 " not forwarding to leader %" PRIx64
                   " at term %" PRIu64 "; dropping proposal",
                   r->id, r->leader, r->term);
        return ERR_NOT_LEADER;
    }
    raft_message_copy(&forwarded, m);
    forwarded.to = r->leader;
    outbox_send(r, &forwarded);
    return 0;
}

int candidate_on_prop(struct raft *r, const struct raft_message *m)
{
    (void)m;
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " no leader at term %" PRIu64 "; dropping proposal",
               r->id, r->term);
    return ERR_DROPPED;
}
