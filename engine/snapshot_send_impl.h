/* SPDX-License-Identifier: Apache-2.0 */

/* What snapshot_send.c and snapshot_turn.c share; for them only. */

#ifndef GROVEFS_ENGINE_SNAPSHOT_SEND_IMPL_H
#define GROVEFS_ENGINE_SNAPSHOT_SEND_IMPL_H

#include "engine/snapshot_impl.h"

enum sending_job { SENDING_READ, SENDING_CLOSE };

struct sending {
    struct snapshots *snapshots;
    TAILQ_ENTRY(sending) link;
    uint64_t from_peer;
    uint64_t region;
    uint64_t to_node;
    uint64_t to_peer;
    uint64_t raft_term;
    uint64_t stream;
    uint64_t sent_count; /* chunks; also the next one's number */
    uint64_t acked_count;
    uint64_t sent_bytes;
    uint64_t heard_ns; /* since when an ACK is waited for */
    bool begun;        /* its turn has come */
    bool accepted;
    bool all_sent; /* and the reader closed, or about to be */
    bool ended;
    bool unreported; /* ended, and Raft does not know that it failed */
    bool busy;

    /* The job's while busy. */
    enum sending_job job;
    struct snapshot_reader *reader;
    struct buf *payload;
    uint64_t checksum;
    bool last;
    int status;
    struct env_task task; /* to ENV_BULK */
    struct env_task back;
};

/* snapshot_turn.c: whether a stream that waits for its turn may begin. */
bool sending_has_turn(const struct sending *waiting);
/* So much was read. */
void sendings_pay(struct snapshots *snapshots, size_t bytes);
/* False: it is time again when `pace` fires. */
bool sendings_may_read(struct snapshots *snapshots);

#endif
