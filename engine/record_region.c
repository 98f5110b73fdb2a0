/* SPDX-License-Identifier: Apache-2.0 */

/* The records of regions and of their replicas. */

#include "engine/record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec.h"
#include "engine/keys.h"
#include "raft/base/mem.h"

/* A bound is a user key. */
enum { BOUND_SIZE_MAX = KEY_NSID_SIZE + NAME_SIZE_MAX };

/* ---- Regions ---------------------------------------------------------- */

/* Absent without another region. */
Grove__Merge *merge_to_pb(Grove__Merge *to, const struct region_merge *from)
{
    assert(from->start.size <= BOUND_SIZE_MAX);
    assert(from->end.size <= BOUND_SIZE_MAX);
    if (from->other == 0)
        return NULL;

    *to = (Grove__Merge)GROVE__MERGE__INIT;
    to->state = from->state;
    to->other = from->other;
    to->attempt = from->attempt;
    to->index = from->index;
    to->version = from->version;
    to->conf_ver = from->conf_ver;
    to->start = codec_bytes(from->start);
    to->end = codec_bytes(from->end);
    return to;
}

bool merge_from_pb(struct region_merge *to, const Grove__Merge *from)
{
    *to = (struct region_merge){0};
    if (from == NULL)
        return true;
    if (from->other == 0 || from->state > MERGE_FROZEN ||
        from->start.len > BOUND_SIZE_MAX || from->end.len > BOUND_SIZE_MAX)
        return false;
    *to = (struct region_merge){
        .state = (enum merge_state)from->state,
        .other = from->other,
        .attempt = from->attempt,
        .index = from->index,
        .version = from->version,
        .conf_ver = from->conf_ver,
        .start = codec_slice(from->start),
        .end = codec_slice(from->end),
    };
    return true;
}

static void peers_to_pb(struct pb_region *to, const struct region *from)
{
    for (size_t i = 0; i < from->peer_count; i++) {
        const struct region_peer *peer = &from->peers[i];

        assert(peer->role == PEER_VOTER || peer->role == PEER_LEARNER);
        to->peer[i] = (Grove__Peer)GROVE__PEER__INIT;
        to->peer[i].id = peer->id;
        to->peer[i].node = peer->node;
        to->peer[i].role = peer->role;
        to->peers[i] = &to->peer[i];
    }
    to->region.n_peers = from->peer_count;
    to->region.peers = to->peers;
}

Grove__Region *region_to_pb(struct pb_region *to, const struct region *from)
{
    Grove__Region *m = &to->region;

    assert(from->start.size <= BOUND_SIZE_MAX);
    assert(from->end.size <= BOUND_SIZE_MAX);
    assert(from->peer_count <= REGION_PEERS_MAX);
    assert(from->voter_count <= REGION_PEERS_MAX);
    assert(from->voter_outgoing_count <= REGION_PEERS_MAX);
    assert(from->learner_count <= REGION_PEERS_MAX);
    assert(from->learner_next_count <= REGION_PEERS_MAX);

    *m = (Grove__Region)GROVE__REGION__INIT;
    m->id = from->id;
    m->conf_ver = from->conf_ver;
    m->version = from->version;
    m->start = codec_bytes(from->start);
    m->end = codec_bytes(from->end);
    peers_to_pb(to, from);
    m->n_voters = from->voter_count;
    m->voters = codec_numbers(from->voters);
    m->n_voters_outgoing = from->voter_outgoing_count;
    m->voters_outgoing = codec_numbers(from->voters_outgoing);
    m->n_learners = from->learner_count;
    m->learners = codec_numbers(from->learners);
    m->n_learners_next = from->learner_next_count;
    m->learners_next = codec_numbers(from->learners_next);
    m->auto_leave = from->auto_leave;
    m->peer_max = from->peer_max;
    m->merge = merge_to_pb(&to->merge, &from->merge);
    m->absorbed = from->absorbed;
    return m;
}

struct buf *region_encode(const struct region *region)
{
    struct pb_region message;

    return codec_pack_record(&region_to_pb(&message, region)->base);
}

static bool peers_from_pb(struct region *to, const Grove__Region *from)
{
    if (from->n_peers > REGION_PEERS_MAX)
        return false;

    to->peer_count = from->n_peers;
    for (size_t i = 0; i < from->n_peers; i++) {
        const Grove__Peer *peer = from->peers[i];

        if (peer->role != PEER_VOTER && peer->role != PEER_LEARNER)
            return false;
        to->peers[i].id = peer->id;
        to->peers[i].node = peer->node;
        to->peers[i].role = (enum peer_role)peer->role;
    }
    return true;
}

static bool configuration_from_pb(struct region *to, const Grove__Region *from)
{
    to->auto_leave = from->auto_leave != 0;
    return numbers_from_pb(to->voters, &to->voter_count, REGION_PEERS_MAX,
                           from->voters, from->n_voters) &&
           numbers_from_pb(to->voters_outgoing, &to->voter_outgoing_count,
                           REGION_PEERS_MAX, from->voters_outgoing,
                           from->n_voters_outgoing) &&
           numbers_from_pb(to->learners, &to->learner_count, REGION_PEERS_MAX,
                           from->learners, from->n_learners) &&
           numbers_from_pb(to->learners_next, &to->learner_next_count,
                           REGION_PEERS_MAX, from->learners_next,
                           from->n_learners_next);
}

static struct slice hold(struct slice bytes, uint8_t *memory)
{
    if (bytes.size > 0)
        memcpy(memory, bytes.data, bytes.size);
    return (struct slice){memory, bytes.size};
}

/* Thousands of them are kept for long: with their bounds alone, not with the
 * whole message. */
static void hold_bounds(struct region *region)
{
    struct slice *bounds[] = {&region->start, &region->end,
                              &region->merge.start, &region->merge.end};
    size_t size = 1;
    uint8_t *memory;

    for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
        size += bounds[i]->size;
    region->held = memory = mem_zalloc(size);
    for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
        *bounds[i] = hold(*bounds[i], memory);
        memory += bounds[i]->size;
    }
}

bool region_from_pb(struct region *to, const Grove__Region *from)
{
    *to = (struct region){
        .id = from->id,
        .conf_ver = from->conf_ver,
        .version = from->version,
        .start = codec_slice(from->start),
        .end = codec_slice(from->end),
        .peer_max = from->peer_max,
        .absorbed = from->absorbed,
    };
    if (to->start.size > BOUND_SIZE_MAX || to->end.size > BOUND_SIZE_MAX ||
        !peers_from_pb(to, from) || !configuration_from_pb(to, from) ||
        !merge_from_pb(&to->merge, from->merge))
        return false;
    hold_bounds(to);
    return true;
}

int region_decode(struct region *ret, struct slice bytes)
{
    struct codec_message m;
    struct region region;
    int rc = codec_unpack_record(&m, &grove__region__descriptor, bytes);

    if (rc != 0)
        return rc;
    if (region_from_pb(&region, m.message))
        *ret = region;
    else
        rc = ERR_CORRUPT;
    codec_free(m.held);
    return rc;
}

struct region region_copy(const struct region *region)
{
    struct buf *bytes = region_encode(region);
    struct region copy;
    int rc = region_decode(&copy, buf_slice(bytes));

    assert(rc == 0);
    buf_unref(bytes);
    return copy;
}

void region_release(struct region *region)
{
    free(region->held);
    *region = (struct region){0};
}

struct buf *change_context_encode(const struct change_context *context)
{
    Grove__PeerChange message = GROVE__PEER_CHANGE__INIT;

    assert(context->node_count <= REGION_PEERS_MAX);

    message.conf_ver = context->conf_ver;
    message.n_nodes = context->node_count;
    message.nodes = codec_numbers(context->nodes);
    return codec_pack_record(&message.base);
}

int change_context_decode(struct change_context *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__PeerChange *message;
    bool valid;
    int rc = codec_unpack_record(&m, &grove__peer_change__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    ret->conf_ver = message->conf_ver;
    valid = numbers_from_pb(ret->nodes, &ret->node_count, REGION_PEERS_MAX,
                            message->nodes, message->n_nodes);
    codec_free(m.held);
    return valid ? 0 : ERR_CORRUPT;
}

/* ---- Damaged replicas ------------------------------------------------- */

struct buf *damage_encode(const struct damage *damage)
{
    Grove__Damage message = GROVE__DAMAGE__INIT;
    struct pb_region region;

    message.since_ns = damage->since_ns;
    message.region = region_to_pb(&region, &damage->region);
    return codec_pack_record(&message.base);
}

int damage_decode(struct damage *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Damage *message;
    struct damage damage = {0};
    int rc = codec_unpack_record(&m, &grove__damage__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    damage.since_ns = message->since_ns;
    if (message->region != NULL &&
        region_from_pb(&damage.region, message->region))
        *ret = damage;
    else
        rc = ERR_CORRUPT;
    codec_free(m.held);
    return rc;
}

void damage_release(struct damage *damage)
{
    region_release(&damage->region);
    *damage = (struct damage){0};
}

/* ---- A region's positions --------------------------------------------- */

/* Three numbers of at most ten bytes, each behind a tag. */
static_assert(1 + 3 * (1 + 10) <= MARKER_SIZE_MAX, "positions must fit");

size_t marker_encode(const struct marker *marker, uint8_t *to)
{
    Grove__Marker message = GROVE__MARKER__INIT;

    message.index = marker->index;
    message.term = marker->term;
    message.version = marker->version;
    return codec_put_record(&message.base, to);
}

int marker_decode(struct marker *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Marker *message;
    int rc = codec_unpack_record(&m, &grove__marker__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    ret->index = message->index;
    ret->term = message->term;
    ret->version = message->version;
    codec_free(m.held);
    return 0;
}

size_t hard_state_encode(const struct hard_state *state, uint8_t *to)
{
    Grove__HardState message = GROVE__HARD_STATE__INIT;

    message.term = state->term;
    message.vote = state->vote;
    message.commit = state->commit;
    return codec_put_record(&message.base, to);
}

int hard_state_decode(struct hard_state *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__HardState *message;
    int rc = codec_unpack_record(&m, &grove__hard_state__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    ret->term = message->term;
    ret->vote = message->vote;
    ret->commit = message->commit;
    codec_free(m.held);
    return 0;
}

size_t log_start_encode(const struct log_start *start, uint8_t *to)
{
    Grove__LogStart message = GROVE__LOG_START__INIT;

    message.index = start->index;
    message.term = start->term;
    return codec_put_record(&message.base, to);
}

int log_start_decode(struct log_start *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__LogStart *message;
    int rc = codec_unpack_record(&m, &grove__log_start__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    ret->index = message->index;
    ret->term = message->term;
    codec_free(m.held);
    return 0;
}

size_t tombstone_encode(const struct tombstone *tombstone, uint8_t *to)
{
    Grove__Tombstone message = GROVE__TOMBSTONE__INIT;

    message.peer = tombstone->peer;
    message.index = tombstone->index;
    message.term = tombstone->term;
    return codec_put_record(&message.base, to);
}

int tombstone_decode(struct tombstone *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Tombstone *message;
    int rc = codec_unpack_record(&m, &grove__tombstone__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    ret->peer = message->peer;
    ret->index = message->index;
    ret->term = message->term;
    codec_free(m.held);
    return 0;
}

size_t sender_encode(const struct sender *sender, uint8_t *to)
{
    Grove__Sender message = GROVE__SENDER__INIT;

    message.boot = sender->boot;
    message.lowest = sender->lowest;
    return codec_put_record(&message.base, to);
}

int sender_decode(struct sender *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Sender *message;
    int rc = codec_unpack_record(&m, &grove__sender__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    ret->boot = message->boot;
    ret->lowest = message->lowest;
    codec_free(m.held);
    return 0;
}
