/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/wire_placement.h"

#include <assert.h>
#include <string.h>

#include "engine/codec.h"
#include "engine/wire.h"
#include "proto/wire.pb-c.h"

/* ---- Reports ---------------------------------------------------------- */

struct buf *region_report_encode(const struct region_report *report)
{
    Grove__RegionReport message = GROVE__REGION_REPORT__INIT;
    Grove__PeerReport peer[REGION_PEERS_MAX];
    Grove__PeerReport *peers[REGION_PEERS_MAX];
    struct pb_region region;

    message.sequence = report->sequence;
    message.region = region_to_pb(&region, &report->region);
    message.term = report->term;
    message.last_index = report->last_index;
    message.size = report->size_bytes;
    message.keys = report->keys;
    message.measured = report->measured;
    message.digest = report->digest;
    for (size_t i = 0; i < report->region.peer_count; i++) {
        peer[i] = (Grove__PeerReport)GROVE__PEER_REPORT__INIT;
        peer[i].flags = report->peers[i].flags;
        peer[i].match = report->peers[i].match;
        peers[i] = &peer[i];
    }
    message.peers = peers;
    message.n_peers = report->region.peer_count;
    return codec_pack_header(&message.base);
}

static bool peer_reports_from_pb(struct region_report *to,
                                 const Grove__RegionReport *from)
{
    if (from->n_peers != to->region.peer_count)
        return false;
    for (size_t i = 0; i < from->n_peers; i++) {
        if (from->peers[i]->flags > PEER_FLAGS)
            return false;
        to->peers[i].flags = from->peers[i]->flags;
        to->peers[i].match = from->peers[i]->match;
    }
    return true;
}

static bool region_report_from_pb(struct region_report *to,
                                  const Grove__RegionReport *from)
{
    *to = (struct region_report){
        .sequence = from->sequence,
        .term = from->term,
        .last_index = from->last_index,
        .size_bytes = from->size,
        .keys = from->keys,
        .measured = from->measured != 0,
        .digest = from->digest,
    };
    if (from->region == NULL || !region_from_pb(&to->region, from->region))
        return false;
    if (peer_reports_from_pb(to, from))
        return true;
    region_report_release(to);
    return false;
}

int region_report_decode(struct region_report *ret, struct slice bytes)
{
    struct codec_message m;
    struct region_report report;
    int rc = codec_unpack_header(&m, &grove__region_report__descriptor, bytes);

    if (rc != 0)
        return rc;
    if (region_report_from_pb(&report, m.message))
        *ret = report;
    else
        rc = ERR_PROTOCOL;
    codec_free(m.held);
    return rc;
}

void region_report_release(struct region_report *report)
{
    region_release(&report->region);
    *report = (struct region_report){0};
}

struct buf *reported_encode(const struct reported *reported)
{
    Grove__Reported message = GROVE__REPORTED__INIT;

    message.sequence = reported->sequence;
    message.first = reported->first;
    message.led_count = reported->led_count;
    message.led_digest = reported->led_digest;
    return codec_pack_header(&message.base);
}

int reported_decode(struct reported *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__Reported *message;
    int rc = codec_unpack_header(&m, &grove__reported__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = (struct reported){
        .sequence = message->sequence,
        .first = message->first,
        .led_count = message->led_count,
        .led_digest = message->led_digest,
    };
    codec_free(m.held);
    return 0;
}

/* ---- Steps ------------------------------------------------------------ */

struct buf *step_encode(const struct step *step)
{
    Grove__Step message = GROVE__STEP__INIT;
    Grove__StepChange change[REGION_PEERS_MAX];
    Grove__StepChange *changes[REGION_PEERS_MAX];

    assert(step->kind >= STEP_REPORT && step->kind < STEP_KINDS);
    assert(step->change_count <= REGION_PEERS_MAX);

    message.kind = step->kind;
    message.region = step->region;
    message.conf_ver = step->conf_ver;
    message.version = step->version;
    message.source = step->source;
    message.source_version = step->source_version;
    for (size_t i = 0; i < step->change_count; i++) {
        change[i] = (Grove__StepChange)GROVE__STEP_CHANGE__INIT;
        change[i].node = step->changes[i].node;
        change[i].role = step->changes[i].role;
        changes[i] = &change[i];
    }
    message.changes = changes;
    message.n_changes = step->change_count;
    return codec_pack_header(&message.base);
}

static bool step_from_pb(struct step *to, const Grove__Step *from)
{
    if (from->kind < STEP_REPORT || from->kind >= STEP_KINDS ||
        from->n_changes > REGION_PEERS_MAX)
        return false;
    *to = (struct step){
        .kind = (enum step_kind)from->kind,
        .region = from->region,
        .conf_ver = from->conf_ver,
        .version = from->version,
        .change_count = from->n_changes,
        .source = from->source,
        .source_version = from->source_version,
    };
    for (size_t i = 0; i < from->n_changes; i++) {
        if (from->changes[i]->node == 0 ||
            (from->changes[i]->role != PEER_VOTER &&
             from->changes[i]->role != PEER_LEARNER))
            return false;
        to->changes[i].node = from->changes[i]->node;
        to->changes[i].role = (enum peer_role)from->changes[i]->role;
    }
    return true;
}

int step_decode(struct step *ret, struct slice bytes)
{
    struct codec_message m;
    struct step step;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__step__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = step_from_pb(&step, m.message);
    codec_free(m.held);
    if (!valid)
        return ERR_PROTOCOL;
    *ret = step;
    return 0;
}

/* ---- Operators -------------------------------------------------------- */

static void operator_to_pb(Grove__Operator *to,
                           const struct operator_view *from)
{
    assert(status_is_valid(from->status));
    assert(memchr(from->why, '\0', sizeof from->why) != NULL);

    grove__operator__init(to);
    to->region = from->region;
    to->from = from->from;
    to->to = from->to;
    to->leader = from->leader;
    to->into = from->into;
    to->manual = from->manual;
    to->begin_ns = from->begin_ns;
    to->end_ns = from->end_ns;
    to->status = from->status;
    to->step = from->step;
    to->percent = from->percent;
    to->why = codec_text(from->why);
}

struct buf *operators_encode(const struct operators_view *view)
{
    Grove__Operators message = GROVE__OPERATORS__INIT;
    Grove__Operator item[OPERATORS_TOLD_MAX];
    Grove__Operator *items[OPERATORS_TOLD_MAX];

    assert(view->count <= OPERATORS_TOLD_MAX);

    for (size_t i = 0; i < view->count; i++) {
        operator_to_pb(&item[i], &view->operators[i]);
        items[i] = &item[i];
    }
    message.term = view->term;
    message.operators = items;
    message.n_operators = view->count;
    return codec_pack_header(&message.base);
}

static bool operator_from_pb(struct operator_view *to,
                             const Grove__Operator *from)
{
    if (!status_is_valid(from->status) || from->step >= STEP_KINDS ||
        strlen(from->why) >= sizeof to->why)
        return false;
    *to = (struct operator_view){
        .region = from->region,
        .from = from->from,
        .to = from->to,
        .leader = from->leader,
        .into = from->into,
        .manual = from->manual != 0,
        .begin_ns = from->begin_ns,
        .end_ns = from->end_ns,
        .status = from->status,
        .step = (enum step_kind)from->step,
        .percent = from->percent,
    };
    memcpy(to->why, from->why, strlen(from->why));
    return true;
}

static bool operators_from_pb(struct operators_view *to,
                              const Grove__Operators *from)
{
    if (from->n_operators > OPERATORS_TOLD_MAX)
        return false;
    to->term = from->term;
    to->count = from->n_operators;
    for (size_t i = 0; i < to->count; i++)
        if (!operator_from_pb(&to->operators[i], from->operators[i]))
            return false;
    return true;
}

int operators_decode(struct operators_view *ret, struct slice bytes)
{
    struct codec_message m;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__operators__descriptor, bytes);

    if (rc != 0)
        return rc;
    valid = operators_from_pb(ret, m.message);
    codec_free(m.held);
    return valid ? 0 : ERR_PROTOCOL;
}
