/* SPDX-License-Identifier: Apache-2.0 */

/* What the encodings of records, commands and packets have in common.
 *
 * Generated protobuf types appear only in the files that include this one:
 * codec.c, record*.c, command*.c and wire*.c. To encode, a message is built on
 * the stack, borrowing all bytes from our struct, and packed straight into its
 * buf. To decode, all memory of the unpacked message comes from one block,
 * `held`, which our struct keeps so that its slices may point into it. What
 * an attacker can make us allocate is bounded by a multiple of what he sent.
 * Any thread. */

#ifndef GROVEFS_ENGINE_CODEC_H
#define GROVEFS_ENGINE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "engine/engine.h"
#include "engine/kv.h"
#include "engine/record.h"
#include "proto/command.pb-c.h"
#include "proto/record.pb-c.h"

enum {
    CODEC_ADDRESS_SIZE_MAX = sizeof(((struct node_record *)0)->address) - 1
};

/* ---- Packing ---------------------------------------------------------- */

/* `prefix_size` uninitialised bytes, the message, `tail`. NULL: no memory. */
struct buf *codec_pack(const ProtobufCMessage *message, size_t prefix_size,
                       struct slice tail);

/* A record: the format byte and the message. Aborts without memory. */
struct buf *codec_pack_record(const ProtobufCMessage *message);
/* The same into memory that is large enough; returns the size. */
size_t codec_put_record(const ProtobufCMessage *message, uint8_t *to);

/* A packet's header. Aborts without memory. */
struct buf *codec_pack_header(const ProtobufCMessage *message);

/* Borrowed bytes as protobuf-c wants them; it only reads them. */
ProtobufCBinaryData codec_bytes(struct slice slice);
char *codec_text(const char *text);
uint64_t *codec_numbers(const uint64_t *numbers);

/* ---- Unpacking -------------------------------------------------------- */

struct codec_message {
    const void *message; /* of the generated type; lives as long as `held` */
    void *held;
};

/* ERR_CORRUPT, ERR_NO_MEMORY. */
int codec_unpack(struct codec_message *ret,
                 const ProtobufCMessageDescriptor *descriptor,
                 struct slice bytes);

/* The same for a packet's header. ERR_PROTOCOL: no such message, or a larger
 * one than there is. ERR_NO_MEMORY. */
int codec_unpack_header(struct codec_message *ret,
                        const ProtobufCMessageDescriptor *descriptor,
                        struct slice bytes);

/* The same for a record; also ERR_VERSION. */
int codec_unpack_record(struct codec_message *ret,
                        const ProtobufCMessageDescriptor *descriptor,
                        struct slice bytes);

void codec_free(void *held); /* Takes NULL. */

struct slice codec_slice(ProtobufCBinaryData bytes);

/* ---- Parts of several messages ---------------------------------------- */

/* `x_to_pb` fills `to` and returns it, or NULL when `from` is absent and
 * nothing is to be written. `x_from_pb` takes NULL for an absent one and is
 * false for what breaks a limit. */

Grove__Attr *attr_to_pb(Grove__Attr *to, const struct attr *from);
void attr_from_pb(struct attr *to, const Grove__Attr *from);

struct pb_txn {
    Grove__TxnRef ref;
    Grove__TxnId id;
};

Grove__TxnRef *txn_to_pb(struct pb_txn *to, const struct txn_ref *from);
bool txn_from_pb(struct txn_ref *to, const Grove__TxnRef *from);

Grove__Merge *merge_to_pb(Grove__Merge *to, const struct region_merge *from);
bool merge_from_pb(struct region_merge *to, const Grove__Merge *from);

struct pb_region {
    Grove__Region region;
    Grove__Merge merge;
    Grove__Peer peer[REGION_PEERS_MAX];
    Grove__Peer *peers[REGION_PEERS_MAX];
};

Grove__Region *region_to_pb(struct pb_region *to, const struct region *from);
/* The region has memory of its own, to be released if this is true. */
bool region_from_pb(struct region *to, const Grove__Region *from);

Grove__Goal *goal_to_pb(Grove__Goal *to, const struct goal *from);
bool goal_from_pb(struct goal *to, const Grove__Goal *from);

/* Copies repeated numbers into an array for `count_max` of them. */
bool numbers_from_pb(uint64_t *to, size_t *ret_count, size_t count_max,
                     const uint64_t *numbers, size_t count);

/* A name may be empty where a field has no use; it never contains \0, which
 * would make an entry's key look like a chunk's. */
bool name_is_valid(struct slice name);

/* 0 or a code of err.h. */
bool status_is_valid(int32_t status);

#endif
