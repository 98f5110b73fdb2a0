/* SPDX-License-Identifier: Apache-2.0 */

/* The records of nodes and of the store itself. */

#include "engine/record.h"

#include <assert.h>
#include <string.h>

#include "engine/codec.h"

/* ---- Nodes ------------------------------------------------------------ */

struct buf *node_encode(const struct node_record *node)
{
    Grove__Node message;

    assert(node->state >= NODE_UP && node->state <= NODE_REMOVED);
    assert(memchr(node->address, '\0', sizeof node->address) != NULL);

    grove__node__init(&message);
    message.id = node->id;
    message.address = codec_text(node->address);
    message.state = node->state;
    message.since_ns = node->since_ns;
    message.token = node->token;
    message.epoch = node->epoch;
    message.state_again = node->state;
    return codec_pack_record(&message.base);
}

static bool node_from_pb(struct node_record *to, const Grove__Node *from)
{
    if (from->state < NODE_UP || from->state > NODE_REMOVED)
        return false;
    if (from->state_again != 0 && from->state_again != from->state)
        return false;
    if (strlen(from->address) > CODEC_ADDRESS_SIZE_MAX)
        return false;

    *to = (struct node_record){
        .id = from->id,
        .state = (enum node_state)from->state,
        .since_ns = from->since_ns,
        .token = from->token,
        .epoch = from->epoch,
    };
    memcpy(to->address, from->address, strlen(from->address));
    return true;
}

int node_decode(struct node_record *ret, struct slice bytes)
{
    struct codec_message m;
    struct node_record node;
    bool valid;
    int rc = codec_unpack_record(&m, &grove__node__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = node_from_pb(&node, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_CORRUPT;
    *ret = node;
    return 0;
}

/* ---- The store -------------------------------------------------------- */

struct buf *identity_encode(const struct identity *identity)
{
    Grove__Identity message = GROVE__IDENTITY__INIT;

    assert(identity->token_count <= REGION_PEERS_MAX);

    message.cluster_id = identity->cluster_id;
    message.node_id = identity->node_id;
    message.boot = identity->boot;
    message.token = identity->token;
    message.peers_hash = identity->peers_hash;
    message.n_tokens = identity->token_count;
    message.tokens = codec_numbers(identity->tokens);
    message.ino_bound = identity->ino_bound;
    return codec_pack_record(&message.base);
}

static bool identity_from_pb(struct identity *to, const Grove__Identity *from)
{
    *to = (struct identity){
        .cluster_id = from->cluster_id,
        .node_id = from->node_id,
        .boot = from->boot,
        .token = from->token,
        .peers_hash = from->peers_hash,
        .ino_bound = from->ino_bound,
    };
    return numbers_from_pb(to->tokens, &to->token_count, REGION_PEERS_MAX,
                           from->tokens, from->n_tokens);
}

int identity_decode(struct identity *ret, struct slice bytes)
{
    struct codec_message m;
    struct identity identity;
    bool valid;
    int rc = codec_unpack_record(&m, &grove__identity__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = identity_from_pb(&identity, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_CORRUPT;
    *ret = identity;
    return 0;
}
