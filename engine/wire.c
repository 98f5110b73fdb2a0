/* SPDX-License-Identifier: Apache-2.0 */

/* All packets but batches of Raft messages, which are in wire_raft.c, what
 * nodes say of themselves, which is in wire_status.c, snapshot streams, which
 * are in wire_snapshot.c, what the placement group and leaders say to each
 * other, which is in wire_placement.c, and eventual changes, which are in
 * wire_eventual.c. */

#include "engine/wire.h"

#include <assert.h>
#include <string.h>

#include "engine/codec.h"
#include "proto/wire.pb-c.h"

/* ---- Calls ------------------------------------------------------------ */

struct buf *call_encode(const struct call *call)
{
    Grove__Call message = GROVE__CALL__INIT;

    assert(call->kind >= CALL_PROPOSE && call->kind <= CALL_CONTROL);

    message.ticket = call->ticket;
    message.region = call->region;
    message.kind = call->kind;
    return codec_pack_header(&message.base);
}

static bool call_from_pb(struct call *to, const Grove__Call *from)
{
    if (from->kind < CALL_PROPOSE || from->kind > CALL_CONTROL)
        return false;

    to->ticket = from->ticket;
    to->region = from->region;
    to->kind = (enum call_kind)from->kind;
    return true;
}

int call_decode(struct call *ret, struct slice bytes)
{
    struct codec_message m;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__call__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = call_from_pb(ret, m.message);
    codec_free(m.held);
    return valid ? 0 : ERR_PROTOCOL;
}

struct buf *call_return_encode(const struct call_return *answer)
{
    Grove__Return message = GROVE__RETURN__INIT;

    assert(status_is_valid(answer->status));

    message.ticket = answer->ticket;
    message.status = answer->status;
    message.leader_node = answer->leader_node;
    message.index = answer->index;
    message.proposed = answer->proposed;
    return codec_pack_header(&message.base);
}

static bool call_return_from_pb(struct call_return *to,
                                const Grove__Return *from)
{
    if (!status_is_valid(from->status))
        return false;

    to->ticket = from->ticket;
    to->status = from->status;
    to->leader_node = from->leader_node;
    to->index = from->index;
    to->proposed = from->proposed != 0;
    return true;
}

int call_return_decode(struct call_return *ret, struct slice bytes)
{
    struct codec_message m;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__return__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = call_return_from_pb(ret, m.message);
    codec_free(m.held);
    return valid ? 0 : ERR_PROTOCOL;
}

/* ---- Peers that may be gone ------------------------------------------- */

struct buf *peer_note_encode(const struct peer_note *note)
{
    Grove__PeerNote message = GROVE__PEER_NOTE__INIT;

    message.region = note->region;
    message.peer = note->peer;
    message.index = note->index;
    message.term = note->term;
    return codec_pack_header(&message.base);
}

int peer_note_decode(struct peer_note *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__PeerNote *message;
    int rc = codec_unpack_header(&m, &grove__peer_note__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = (struct peer_note){
        .region = message->region,
        .peer = message->peer,
        .index = message->index,
        .term = message->term,
    };
    codec_free(m.held);
    return 0;
}

/* ---- Merges ----------------------------------------------------------- */

struct buf *merge_query_encode(const struct merge_query *query)
{
    Grove__MergeQuery message = GROVE__MERGE_QUERY__INIT;

    message.target = query->target;
    message.target_version = query->target_version;
    message.target_conf_ver = query->target_conf_ver;
    message.source = query->source;
    message.source_version = query->source_version;
    message.source_conf_ver = query->source_conf_ver;
    message.attempt = query->attempt;
    return codec_pack_header(&message.base);
}

int merge_query_decode(struct merge_query *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__MergeQuery *message;
    int rc = codec_unpack_header(&m, &grove__merge_query__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = (struct merge_query){
        .target = message->target,
        .target_version = message->target_version,
        .target_conf_ver = message->target_conf_ver,
        .source = message->source,
        .source_version = message->source_version,
        .source_conf_ver = message->source_conf_ver,
        .attempt = message->attempt,
    };
    codec_free(m.held);
    return 0;
}

struct buf *merge_report_encode(const struct merge_report *report)
{
    Grove__MergeReport message = GROVE__MERGE_REPORT__INIT;

    message.target = report->target;
    message.source = report->source;
    message.attempt = report->attempt;
    message.state = report->state;
    return codec_pack_header(&message.base);
}

int merge_report_decode(struct merge_report *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__MergeReport *message;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__merge_report__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    valid = message->state >= MERGE_READY && message->state <= MERGE_UNSAVED;
    if (valid)
        *ret = (struct merge_report){
            .target = message->target,
            .source = message->source,
            .attempt = message->attempt,
            .state = (enum merge_report_state)message->state,
        };
    codec_free(m.held);
    return valid ? 0 : ERR_PROTOCOL;
}

/* ---- Nodes that are alive --------------------------------------------- */

struct buf *alive_encode(const struct alive *alive)
{
    Grove__Alive message = GROVE__ALIVE__INIT;

    message.boot = alive->boot;
    return codec_pack_header(&message.base);
}

int alive_decode(struct alive *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Alive *message;
    int rc = codec_unpack_header(&m, &grove__alive__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    ret->boot = message->boot;
    codec_free(m.held);
    return 0;
}

/* ---- Routes ---- */

struct buf *locate_encode(const struct locate *locate)
{
    Grove__Locate message = GROVE__LOCATE__INIT;

    message.user_key = codec_bytes(locate->user_key);
    message.region = locate->region;
    return codec_pack_header(&message.base);
}

int locate_decode(struct locate *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Locate *message;
    int rc = codec_unpack_header(&m, &grove__locate__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = (struct locate){.user_key = codec_slice(message->user_key),
                           .region = message->region,
                           .held = m.held};
    return 0;
}

void locate_release(struct locate *locate)
{
    codec_free(locate->held);
    *locate = (struct locate){0};
}

struct buf *located_encode(const struct located *located)
{
    Grove__Located message = GROVE__LOCATED__INIT;
    struct pb_region region;

    message.region = region_to_pb(&region, &located->region);
    message.leader_node = located->leader_node;
    return codec_pack_header(&message.base);
}

int located_decode(struct located *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Located *message;
    struct located located = {.leader_node = 0};
    int rc = codec_unpack_header(&m, &grove__located__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    located.leader_node = message->leader_node;
    if (message->region != NULL &&
        region_from_pb(&located.region, message->region))
        *ret = located;
    else
        rc = ERR_PROTOCOL;
    codec_free(m.held);
    return rc;
}

void located_release(struct located *located)
{
    region_release(&located->region);
    *located = (struct located){.leader_node = 0};
}

/* ---- Founding --------------------------------------------------------- */

struct buf *boot_encode(const struct boot *boot)
{
    Grove__Boot message = GROVE__BOOT__INIT;

    assert(boot->token_count <= REGION_PEERS_MAX);

    message.reply = boot->reply;
    message.initialised = boot->initialised;
    message.node = boot->node;
    message.cluster_id = boot->cluster_id;
    message.peers_hash = boot->peers_hash;
    message.token = boot->token;
    message.n_tokens = boot->token_count;
    message.tokens = codec_numbers(boot->tokens);
    return codec_pack_header(&message.base);
}

static bool boot_from_pb(struct boot *to, const Grove__Boot *from)
{
    *to = (struct boot){
        .reply = from->reply != 0,
        .initialised = from->initialised != 0,
        .node = from->node,
        .cluster_id = from->cluster_id,
        .peers_hash = from->peers_hash,
        .token = from->token,
    };
    return numbers_from_pb(to->tokens, &to->token_count, REGION_PEERS_MAX,
                           from->tokens, from->n_tokens);
}

int boot_decode(struct boot *ret, struct slice bytes)
{
    struct codec_message m;
    struct boot boot;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__boot__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = boot_from_pb(&boot, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_PROTOCOL;
    *ret = boot;
    return 0;
}

/* ---- Joining ---------------------------------------------------------- */

struct buf *join_request_encode(const struct join_request *request)
{
    Grove__JoinRequest message;

    grove__join_request__init(&message);
    message.token = request->token;
    message.address = codec_text(request->address);
    message.node = request->node;
    return codec_pack_header(&message.base);
}

static bool join_request_from_pb(struct join_request *to,
                                 const Grove__JoinRequest *from)
{
    if (from->token == 0 || strlen(from->address) > CODEC_ADDRESS_SIZE_MAX)
        return false;
    *to = (struct join_request){.token = from->token, .node = from->node};
    memcpy(to->address, from->address, strlen(from->address));
    return true;
}

int join_request_decode(struct join_request *ret, struct slice bytes)
{
    struct codec_message m;
    struct join_request request;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__join_request__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = join_request_from_pb(&request, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_PROTOCOL;
    *ret = request;
    return 0;
}

struct buf *join_answer_encode(const struct join_answer *answer)
{
    Grove__JoinAnswer message = GROVE__JOIN_ANSWER__INIT;

    message.status = answer->status;
    message.token = answer->token;
    message.cluster_id = answer->cluster_id;
    message.node = answer->node;
    return codec_pack_header(&message.base);
}

/* Only one that says yes names a cluster and a node, and then both. */
static bool join_answer_from_pb(struct join_answer *to,
                                const Grove__JoinAnswer *from)
{
    bool good = from->status == 0;

    if (!status_is_valid(from->status) || (from->cluster_id != 0) != good ||
        (from->node != 0) != good)
        return false;
    *to = (struct join_answer){
        .status = from->status,
        .token = from->token,
        .cluster_id = from->cluster_id,
        .node = from->node,
    };
    return true;
}

int join_answer_decode(struct join_answer *ret, struct slice bytes)
{
    struct codec_message m;
    struct join_answer answer;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__join_answer__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = join_answer_from_pb(&answer, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_PROTOCOL;
    *ret = answer;
    return 0;
}
