/* SPDX-License-Identifier: Apache-2.0 */

/* Messages as scenarios show them, and their printed form (FORMAT.md section
 * 5): besides those between peers there are those to and from the two storage
 * threads, which this driver makes of readies and tokens. */

#ifndef GROVEFS_TESTS_RAFT_WIRE_H
#define GROVEFS_TESTS_RAFT_WIRE_H

#include "raft/raft.h"
#include "tests/raft/out.h"

#define APPEND_THREAD UINT64_MAX
#define APPLY_THREAD (UINT64_MAX - 1)

struct wire;

struct wires {
    struct wire *item;
    size_t count;
    size_t count_max;
};

struct wire {
    struct raft_message m;
    struct wires responses;         /* of MsgStorageAppend and -Apply */
    struct raft_append_token token; /* of MsgStorageAppendResp */
};

/* Takes over what `w` holds. */
void wires_push(struct wires *wires, struct wire *w);

/* Takes over the message. */
void wires_push_message(struct wires *wires, struct raft_message *m);

/* Removes and returns item `i`. */
struct wire wires_take(struct wires *wires, size_t i);
void wires_release(struct wires *wires);
void wire_release(struct wire *w);

bool is_storage_thread(uint64_t id);

void print_wire(struct out *out, const char *indent, const struct wire *w);
void print_message(struct out *out, const struct raft_message *m);
void print_entry(struct out *out, const struct raft_entry *entry);
void print_hard_state(struct out *out, const struct raft_hard_state *state);
void print_snapshot(struct out *out, const struct raft_snapshot *snapshot);

#endif
