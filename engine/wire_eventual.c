/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/wire_eventual.h"

#include <assert.h>

#include "engine/codec.h"
#include "engine/wire.h"
#include "proto/wire.pb-c.h"

/* ---- Vectors ---------------------------------------------------------- */

struct pb_vector {
    Grove__EventualReceived item[NODES_MAX];
    Grove__EventualReceived *items[NODES_MAX];
};

static Grove__EventualReceived **
vector_to_pb(struct pb_vector *to, const struct eventual_vector *from)
{
    assert(from->count <= NODES_MAX);

    for (size_t i = 0; i < from->count; i++) {
        grove__eventual_received__init(&to->item[i]);
        to->item[i].node = from->received[i].node;
        to->item[i].sequence = from->received[i].sequence;
        to->items[i] = &to->item[i];
    }
    return to->items;
}

static bool vector_from_pb(struct eventual_vector *to,
                           Grove__EventualReceived *const *from, size_t count)
{
    uint64_t last = 0;

    if (count > NODES_MAX)
        return false;
    to->count = count;
    for (size_t i = 0; i < count; i++) {
        if (from[i]->node <= last)
            return false;
        last = from[i]->node;
        to->received[i] =
            (struct eventual_received){from[i]->node, from[i]->sequence};
    }
    return true;
}

/* ---- Questions -------------------------------------------------------- */

/* NULL: there is none. */
static Grove__DigestMoment *moment_to_pb(Grove__DigestMoment *to,
                                         const struct digest_moment *from)
{
    if (from->lives == 0)
        return NULL;
    grove__digest_moment__init(to);
    to->lives = from->lives;
    to->sequence = from->sequence;
    to->cursor = from->cursor;
    to->digest = from->digest;
    return to;
}

static void moment_from_pb(struct digest_moment *to,
                           const Grove__DigestMoment *from)
{
    if (from != NULL)
        *to = (struct digest_moment){
            .lives = from->lives,
            .sequence = from->sequence,
            .cursor = from->cursor,
            .digest = from->digest,
        };
}

struct buf *eventual_ask_encode(const struct eventual_ask *ask)
{
    Grove__EventualAsk message = GROVE__EVENTUAL_ASK__INIT;
    Grove__DigestMoment moment;
    struct pb_vector vector;

    assert(ask->ticket != 0);

    message.ticket = ask->ticket;
    message.cursor = ask->cursor;
    message.told_fence = ask->told_fence;
    message.received = vector_to_pb(&vector, &ask->vector);
    message.n_received = ask->vector.count;
    message.consent = ask->consent;
    message.roll = ask->roll;
    message.kept = ask->kept;
    message.seen = ask->seen;
    message.moment = moment_to_pb(&moment, &ask->moment);
    return codec_pack_header(&message.base);
}

static bool ask_from_pb(struct eventual_ask *to, const Grove__EventualAsk *from)
{
    *to = (struct eventual_ask){
        .ticket = from->ticket,
        .cursor = from->cursor,
        .told_fence = from->told_fence,
        .consent = from->consent,
        .roll = from->roll,
        .kept = from->kept,
        .seen = from->seen,
    };
    moment_from_pb(&to->moment, from->moment);
    return from->ticket != 0 &&
           vector_from_pb(&to->vector, from->received, from->n_received);
}

int eventual_ask_decode(struct eventual_ask *ret, struct slice bytes)
{
    struct codec_message m;
    struct eventual_ask ask;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__eventual_ask__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = ask_from_pb(&ask, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_PROTOCOL;
    *ret = ask;
    return 0;
}

/* ---- Answers ---------------------------------------------------------- */

struct buf *eventual_answer_encode(const struct eventual_answer *answer)
{
    Grove__EventualAnswer message = GROVE__EVENTUAL_ANSWER__INIT;
    struct pb_vector vector;

    assert(answer->ticket != 0);
    assert(answer->complete || answer->vector.count == 0);
    assert(!answer->complete || !answer->damaged);

    message.ticket = answer->ticket;
    message.last = answer->last;
    message.complete = answer->complete;
    message.whole = answer->whole;
    message.fence = answer->fence;
    message.received = vector_to_pb(&vector, &answer->vector);
    message.n_received = answer->vector.count;
    message.promise = answer->promise;
    message.roll = answer->roll;
    message.floor = answer->floor;
    message.damaged = answer->damaged;
    return codec_pack_header(&message.base);
}

static bool answer_from_pb(struct eventual_answer *to,
                           const Grove__EventualAnswer *from)
{
    *to = (struct eventual_answer){
        .ticket = from->ticket,
        .last = from->last,
        .complete = from->complete != 0,
        .whole = from->whole != 0,
        .fence = from->fence,
        .promise = from->promise,
        .roll = from->roll,
        .floor = from->floor,
        .damaged = from->damaged != 0,
    };
    return from->ticket != 0 && (to->complete || from->n_received == 0) &&
           !(to->complete && to->damaged) &&
           vector_from_pb(&to->vector, from->received, from->n_received);
}

int eventual_answer_decode(struct eventual_answer *ret, struct slice bytes)
{
    struct codec_message m;
    struct eventual_answer answer;
    bool valid;
    int rc =
        codec_unpack_header(&m, &grove__eventual_answer__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = answer_from_pb(&answer, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_PROTOCOL;
    *ret = answer;
    return 0;
}
