/* SPDX-License-Identifier: Apache-2.0 */

/* struct left_out as bytes; left_out.c has it in state/. */

#include "engine/left_out.h"

#include <assert.h>

#include "engine/codec.h"

struct buf *left_out_encode(const struct left_out *left_out)
{
    Grove__LeftOut message = GROVE__LEFT_OUT__INIT;
    Grove__LeftOutNode node[NODES_MAX];
    Grove__LeftOutNode *nodes[NODES_MAX];

    assert(left_out->count > 0 && left_out->count <= NODES_MAX);

    for (size_t i = 0; i < left_out->count; i++) {
        grove__left_out_node__init(&node[i]);
        node[i].node = left_out->of[i].node;
        node[i].sequence = left_out->of[i].sequence;
        nodes[i] = &node[i];
    }
    message.n_of = left_out->count;
    message.of = nodes;
    return codec_pack_record(&message.base);
}

static bool from_pb(struct left_out *to, const Grove__LeftOut *from)
{
    uint64_t last = 0;

    if (from->n_of == 0 || from->n_of > NODES_MAX)
        return false;
    *to = (struct left_out){.count = from->n_of};
    for (size_t i = 0; i < from->n_of; i++) {
        if (from->of[i]->node <= last)
            return false;
        last = from->of[i]->node;
        to->of[i].node = last;
        to->of[i].sequence = from->of[i]->sequence;
    }
    return true;
}

int left_out_decode(struct left_out *ret, struct slice bytes)
{
    struct codec_message m;
    struct left_out left_out;
    bool valid;
    int rc = codec_unpack_record(&m, &grove__left_out__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = from_pb(&left_out, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_CORRUPT;
    *ret = left_out;
    return 0;
}
