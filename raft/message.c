/* SPDX-License-Identifier: Apache-2.0 */

/* Entries, snapshots and messages as values: copy, release, names. */

#include "raft/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

/* What an entry costs beyond its data in memory, on disk and on the wire. */
enum { ENTRY_OVERHEAD = 16 };

static size_t data_size(const struct raft_entry *entry)
{
    return entry->data == NULL ? 0 : entry->data->size;
}

uint64_t raft_entry_size(const struct raft_entry *entry)
{
    return ENTRY_OVERHEAD + data_size(entry);
}

uint64_t raft_entries_size(const struct raft_entries *entries)
{
    uint64_t size = 0;

    for (size_t i = 0; i < entries->count; i++)
        size += raft_entry_size(&entries->item[i]);
    return size;
}

void raft_entries_append(struct raft_entries *entries,
                         const struct raft_entry *entry)
{
    entries->item = mem_grow(entries->item, sizeof *entries->item,
                             &entries->count_max, entries->count + 1);
    entries->item[entries->count] = *entry;
    entries->item[entries->count].data = buf_ref(entry->data);
    entries->count++;
}

void raft_entries_copy(struct raft_entries *copy, const struct raft_entry *item,
                       size_t count)
{
    *copy = (struct raft_entries){.count = 0};
    if (count == 0)
        return;

    copy->item = mem_grow(NULL, sizeof *copy->item, &copy->count_max, count);
    for (size_t i = 0; i < count; i++)
        raft_entries_append(copy, &item[i]);
}

void raft_entries_release(struct raft_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        buf_unref(entries->item[i].data);
    free(entries->item);
    *entries = (struct raft_entries){.count = 0};
}

struct raft_snapshot *raft_snapshot_copy(const struct raft_snapshot *snapshot)
{
    struct raft_snapshot *copy;

    if (snapshot == NULL)
        return NULL;

    copy = mem_zalloc(sizeof *copy);
    *copy = *snapshot;
    copy->data = buf_ref(snapshot->data);
    return copy;
}

void raft_snapshot_free(struct raft_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;

    buf_unref(snapshot->data);
    free(snapshot);
}

const char *raft_message_name(enum raft_message_type type)
{
    static const char *const names[RAFT_MESSAGE_TYPES] = {
        [RAFT_MSG_HUP] = "MsgHup",
        [RAFT_MSG_BEAT] = "MsgBeat",
        [RAFT_MSG_PROP] = "MsgProp",
        [RAFT_MSG_APP] = "MsgApp",
        [RAFT_MSG_APP_RESP] = "MsgAppResp",
        [RAFT_MSG_VOTE] = "MsgVote",
        [RAFT_MSG_VOTE_RESP] = "MsgVoteResp",
        [RAFT_MSG_SNAP] = "MsgSnap",
        [RAFT_MSG_HEARTBEAT] = "MsgHeartbeat",
        [RAFT_MSG_HEARTBEAT_RESP] = "MsgHeartbeatResp",
        [RAFT_MSG_UNREACHABLE] = "MsgUnreachable",
        [RAFT_MSG_SNAP_STATUS] = "MsgSnapStatus",
        [RAFT_MSG_CHECK_QUORUM] = "MsgCheckQuorum",
        [RAFT_MSG_TRANSFER_LEADER] = "MsgTransferLeader",
        [RAFT_MSG_TIMEOUT_NOW] = "MsgTimeoutNow",
        [RAFT_MSG_READ_INDEX] = "MsgReadIndex",
        [RAFT_MSG_READ_INDEX_RESP] = "MsgReadIndexResp",
        [RAFT_MSG_PRE_VOTE] = "MsgPreVote",
        [RAFT_MSG_PRE_VOTE_RESP] = "MsgPreVoteResp",
        [RAFT_MSG_STORAGE_APPEND] = "MsgStorageAppend",
        [RAFT_MSG_STORAGE_APPEND_RESP] = "MsgStorageAppendResp",
        [RAFT_MSG_STORAGE_APPLY] = "MsgStorageApply",
        [RAFT_MSG_STORAGE_APPLY_RESP] = "MsgStorageApplyResp",
        [RAFT_MSG_FORGET_LEADER] = "MsgForgetLeader",
    };

    assert(type < RAFT_MESSAGE_TYPES);
    return names[type];
}

void raft_message_copy(struct raft_message *copy, const struct raft_message *m)
{
    *copy = *m;
    raft_entries_copy(&copy->entries, m->entries.item, m->entries.count);
    copy->snapshot = raft_snapshot_copy(m->snapshot);
}

void raft_message_release(struct raft_message *m)
{
    raft_entries_release(&m->entries);
    raft_snapshot_free(m->snapshot);
    memset(m, 0, sizeof *m);
}

void raft_messages_append(struct raft_messages *messages,
                          struct raft_message *m)
{
    messages->item = mem_grow(messages->item, sizeof *messages->item,
                              &messages->count_max, messages->count + 1);
    messages->item[messages->count++] = *m;
    memset(m, 0, sizeof *m);
}

void raft_messages_release(struct raft_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++)
        raft_message_release(&messages->item[i]);
    free(messages->item);
    *messages = (struct raft_messages){.count = 0};
}
