/* SPDX-License-Identifier: Apache-2.0 */

/* The packets by which eventual changes come from node to node. Encoding and
 * errors as in wire.h. Read pull.h first. */

#ifndef GROVEFS_ENGINE_WIRE_EVENTUAL_H
#define GROVEFS_ENGINE_WIRE_EVENTUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/digest.h"
#include "engine/node.h"

/* A node has all that `node` itself had accepted up to its number
 * `sequence`. */
struct eventual_received {
    uint64_t node;
    uint64_t sequence;
};

/* Of several, by ascending node id. */
struct eventual_vector {
    struct eventual_received received[NODES_MAX];
    size_t count;
};

/* WIRE_EVENTUAL_ASK: what has changed with you behind `cursor`? */
struct eventual_ask {
    uint64_t ticket; /* comes back in the answer; not 0 */
    uint64_t cursor;
    uint64_t told_fence; /* that the other one has told; 0: none */
    uint64_t consent;    /* floor.h: that the asker has given ... */
    uint64_t roll;       /* ... and the members that it knew of then */
    uint64_t kept; /* of the other one's own changes, what would be left after a
                    * power cut: up to this number. Only while a directory is
                    * being filled: txn_export.h; else 0 */
    uint64_t seen; /* the greatest time that it has got from other nodes */
    struct digest_moment moment; /* the asker's newest */
    struct eventual_vector vector;
};

struct buf *eventual_ask_encode(const struct eventual_ask *ask);
int eventual_ask_decode(struct eventual_ask *ret, struct slice bytes);

/* WIRE_EVENTUAL_ANSWER: the changes are its payload, as in struct
 * eventual_merge (eventual.h); no payload: there are none. */
struct eventual_answer {
    uint64_t ticket;
    uint64_t last;    /* the answering node's numbers up to here */
    bool complete;    /* that is all it has */
    bool damaged;     /* ... that it can read, so it is not complete */
    bool whole;       /* eventual_has_all() */
    uint64_t fence;   /* eventual_fence(); all that was accepted before is here
                       * with a complete answer */
    uint64_t promise; /* floor.h; counts only if complete; 0: none */
    uint64_t roll;    /* of the members that the answering node knows of */
    uint64_t floor;
    struct eventual_vector vector; /* only if complete */
};

struct buf *eventual_answer_encode(const struct eventual_answer *answer);
int eventual_answer_decode(struct eventual_answer *ret, struct slice bytes);

#endif
