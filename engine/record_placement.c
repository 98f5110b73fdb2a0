/* SPDX-License-Identifier: Apache-2.0 */

/* The records of the placement group's goals and settings. */

#include "engine/record.h"

#include <assert.h>
#include <string.h>

#include "engine/codec.h"

/* ---- Goals ------------------------------------------------------------ */

Grove__Goal *goal_to_pb(Grove__Goal *to, const struct goal *from)
{
    assert(status_is_valid(from->status));
    assert(memchr(from->why, '\0', sizeof from->why) != NULL);
    if (from->region == 0)
        return NULL;

    grove__goal__init(to);
    to->region = from->region;
    to->id = from->id;
    to->from = from->from;
    to->to = from->to;
    to->begin_ns = from->begin_ns;
    to->end_ns = from->end_ns;
    to->status = from->status;
    to->why = codec_text(from->why);
    return to;
}

bool goal_from_pb(struct goal *to, const Grove__Goal *from)
{
    *to = (struct goal){0};
    if (from == NULL)
        return true;
    if (from->region == 0 || !status_is_valid(from->status) ||
        strlen(from->why) >= sizeof to->why)
        return false;

    to->region = from->region;
    to->id = from->id;
    to->from = from->from;
    to->to = from->to;
    to->begin_ns = from->begin_ns;
    to->end_ns = from->end_ns;
    to->status = from->status;
    memcpy(to->why, from->why, strlen(from->why));
    return true;
}

struct buf *goal_encode(const struct goal *goal)
{
    Grove__Goal message;

    assert(goal->region != 0);
    return codec_pack_record(&goal_to_pb(&message, goal)->base);
}

int goal_decode(struct goal *ret, struct slice bytes)
{
    struct codec_message m;
    struct goal goal;
    bool valid;
    int rc = codec_unpack_record(&m, &grove__goal__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = goal_from_pb(&goal, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_CORRUPT;
    *ret = goal;
    return 0;
}

/* ---- Settings --------------------------------------------------------- */

struct buf *setting_encode(uint64_t value)
{
    Grove__Setting message = GROVE__SETTING__INIT;

    message.value = value;
    return codec_pack_record(&message.base);
}

int setting_decode(uint64_t *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Setting *message;
    int rc = codec_unpack_record(&m, &grove__setting__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = message->value;
    codec_free(m.held);
    return 0;
}

/* ---- Regions that are no more ----------------------------------------- */

struct buf *gone_region_encode(uint64_t target)
{
    Grove__GoneRegion message = GROVE__GONE_REGION__INIT;

    assert(target != 0);

    message.target = target;
    return codec_pack_record(&message.base);
}

int gone_region_decode(uint64_t *ret_target, struct slice bytes)
{
    struct codec_message m;
    const Grove__GoneRegion *message;
    uint64_t target;
    int rc = codec_unpack_record(&m, &grove__gone_region__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    target = message->target;
    codec_free(m.held);
    if (target == 0)
        return ERR_CORRUPT;
    *ret_target = target;
    return 0;
}
