/* SPDX-License-Identifier: Apache-2.0 */

/* What two nodes say to each other before the first frame.
 *
 * Both send a HELLO as soon as they are connected, judge the other's, and
 * answer it with ACCEPTED or REFUSED; with ACCEPTED from both sides the
 * connection is up and carries frames from then on. A message is
 *
 *     magic "grovefs\n" · protocol version u16 · kind u8 · 0 u8 ·
 *     size of the body u32 · body · XXH3-64 of all before it
 *
 * in little endian. This much stays as it is in all versions, so that a
 * version that is not known can be refused in words. Bodies:
 *
 *     HELLO     cluster u64, node u64, incarnation u64, port u16, channel u8,
 *               host size u8, host
 *     ACCEPTED  nothing
 *     REFUSED   error code i32, text */

#ifndef GROVEFS_ENGINE_HELLO_H
#define GROVEFS_ENGINE_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/address.h"
#include "engine/env.h"
#include "raft/base/err.h"

/* Of the protocol, and of what an entry of a log does: replicas that did not
 * agree on that would drift apart. */
enum {
    HELLO_VERSION = 2,
    HELLO_PREFIX_SIZE = 16,
    HELLO_BODY_SIZE_MAX = 1024,
    HELLO_SIZE_MAX = HELLO_PREFIX_SIZE + HELLO_BODY_SIZE_MAX + 8
};

/* In the id of a store that has none yet and asks for one: join.h. */
#define HELLO_GUEST_BIT (UINT64_C(1) << 63)

static inline bool hello_is_guest(uint64_t node_id)
{
    return (node_id & HELLO_GUEST_BIT) != 0;
}

enum hello_kind { HELLO_HELLO = 1, HELLO_ACCEPTED = 2, HELLO_REFUSED = 3 };

/* Who is at the other end. */
struct transport_hello {
    uint64_t cluster_id; /* 0: not part of a cluster yet */
    uint64_t node_id;
    uint64_t incarnation; /* random, another one after each start */
    enum env_channel channel;
    struct address address; /* where it can be reached; empty host: nowhere */
};

struct hello_message {
    enum hello_kind kind;
    struct transport_hello hello; /* HELLO_HELLO */
    int code;                     /* HELLO_REFUSED: a negative ERR_ code */
    char text[ERR_TEXT_SIZE];     /* HELLO_REFUSED: printable */
};

/* Writes a message, returns its size. */
size_t hello_encode(const struct hello_message *message,
                    uint8_t ret_bytes[HELLO_SIZE_MAX]);

/* Reads a message from the beginning of `bytes`. Returns 0 with `*ret_used`
 * bytes taken, or none while the message is not complete; ERR_VERSION, also
 * with its bytes taken, for another version of the protocol, ERR_PROTOCOL for
 * anything else. */
int hello_decode(struct hello_message *ret, const uint8_t *bytes, size_t size,
                 size_t *ret_used, struct err *e);

#endif
