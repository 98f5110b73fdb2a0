/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/reporter.h"

#include <stdlib.h>
#include <xxhash.h>

#include "engine/placement.h"
#include "engine/splitter.h"
#include "engine/status.h"

/* uthash's default function has unmarked fall-throughs. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

enum {
    BEHIND_MAX = 256, /* entries behind the commit index: nearly caught up */
    SUM_SECONDS = 5,  /* between two sums when nothing has changed */
    SIZE_PARTS = 8,   /* of its size, that it may change by untold ... */
    SIZE_STEP_BYTES = 64 * 1024 /* ... and by so much in any case */
};

/* A region that this node leads, as it was last told of. */
struct told {
    uint64_t region;
    uint64_t conf_ver;
    uint64_t version;
    uint64_t term;
    uint64_t size_bytes;
    uint64_t digest;
    bool settled; /* nobody waits for something to change in it */
    UT_hash_handle hh;
};

struct reporter {
    struct node *node;
    struct told *told; /* by region */
    uint64_t sequence;
    uint64_t to;    /* region 0's leader when it was told; 0: nobody was */
    uint64_t term;  /* its term */
    uint64_t first; /* all was told from here on; 0: not in this round */
    unsigned seconds;
    bool changed;    /* since the last sum */
    bool sleep_told; /* those that sleep need no look before the next second */
};

struct reporter *reporter_new(struct node *node)
{
    struct reporter *reporter = mem_zalloc(sizeof *reporter);

    reporter->node = node;
    reporter->sequence = node_config(node)->identity.boot << 32;
    return reporter;
}

static void forget(struct reporter *reporter, struct told *told)
{
    HASH_DEL(reporter->told, told);
    free(told);
    reporter->changed = true;
}

static void forget_all(struct reporter *reporter)
{
    struct told *told;
    struct told *next;

    HASH_ITER (hh, reporter->told, told, next)
        forget(reporter, told);
}

void reporter_free(struct reporter *reporter)
{
    if (reporter == NULL)
        return;
    forget_all(reporter);
    free(reporter);
}

static struct told *find(const struct reporter *reporter, uint64_t region)
{
    struct told *told;

    HASH_FIND(hh, reporter->told, &region, sizeof region, told);
    return told;
}

/* ---- what there is to tell ---- */

unsigned reporter_peer_flags(const struct node *node, const struct peer *peer,
                             const struct region_peer *replica)
{
    const struct status_board *board = node_status_board(node);
    unsigned state =
        status_board_state(board, replica->node, peer_region_id(peer));
    struct raft_peer_status progress = {0};
    unsigned flags = 0;

    if (replica->node != node_id(node) && !node_is_alive(node, replica->node))
        flags |= PEER_FLAG_SILENT;
    if (state == PEER_DAMAGED)
        flags |= PEER_FLAG_DAMAGED;
    if (!peer_progress(peer, replica->node, &progress))
        return flags;
    if (progress.pending_snapshot != 0)
        flags |= PEER_FLAG_SNAPSHOT;
    else if (progress.state == RAFT_REPLICATE && state == PEER_RUNNING &&
             progress.match + BEHIND_MAX >= peer_commit(peer))
        flags |= PEER_FLAG_CAUGHT_UP;
    return flags;
}

static uint64_t digest_of(const struct region_report *report)
{
    const struct region *region = &report->region;
    uint64_t parts[6 + REGION_PEERS_MAX] = {
        region->id,   region->conf_ver,   region->version,
        report->term, report->size_bytes, report->measured};

    for (size_t i = 0; i < region->peer_count; i++)
        parts[6 + i] = report->peers[i].flags;
    return XXH3_64bits(parts, sizeof parts);
}

/* As it was told, or as it is if that is noticeably another one: each write
 * changes it a little. */
static uint64_t size_to_tell(const struct told *told, uint64_t bytes)
{
    uint64_t step;

    if (told == NULL)
        return bytes;
    step = told->size_bytes / SIZE_PARTS > SIZE_STEP_BYTES
               ? told->size_bytes / SIZE_PARTS
               : SIZE_STEP_BYTES;
    return bytes > told->size_bytes + step || bytes + step < told->size_bytes
               ? bytes
               : told->size_bytes;
}

/* The size is told as it is wherever anything else has changed: that costs no
 * packet of its own, and what was told of another range, or before it was
 * measured, must not pass for what was measured. */
static void choose_size(const struct told *told, uint64_t bytes,
                        struct region_report *ret)
{
    ret->size_bytes = size_to_tell(told, bytes);
    ret->digest = digest_of(ret);
    if (told == NULL || ret->digest == told->digest)
        return;
    ret->size_bytes = bytes;
    ret->digest = digest_of(ret);
}

/* Borrows the descriptor. */
static void look_at(const struct reporter *reporter, const struct peer *peer,
                    struct region_report *ret)
{
    struct peer_status status;
    struct region_size size;

    peer_status(peer, &status);
    splitter_find_size(node_splitter(reporter->node), status.region, &size);
    *ret = (struct region_report){
        .region = *peer_region(peer),
        .term = status.term,
        .last_index = status.last_index,
        .keys = size.keys == SIZE_UNKNOWN ? 0 : size.keys,
        .measured = size.keys != SIZE_UNKNOWN,
    };
    for (size_t i = 0; i < ret->region.peer_count; i++) {
        const struct region_peer *replica = &ret->region.peers[i];
        struct raft_peer_status progress = {0};

        if (peer_progress(peer, replica->node, &progress))
            ret->peers[i].match = progress.match;
        ret->peers[i].flags =
            reporter_peer_flags(reporter->node, peer, replica);
    }
    choose_size(find(reporter, status.region),
                size.bytes == SIZE_UNKNOWN ? 0 : size.bytes, ret);
}

static bool is_settled(const struct region_report *report)
{
    if (region_is_joint(&report->region))
        return false;
    for (size_t i = 0; i < report->region.peer_count; i++)
        if ((report->peers[i].flags & PEER_FLAG_CAUGHT_UP) == 0)
            return false;
    return true;
}

/* ---- telling ---- */

static void send_one(struct reporter *reporter, struct region_report *report)
{
    struct placement *placement = node_placement(reporter->node);
    struct buf *bytes;

    report->sequence = ++reporter->sequence;
    bytes = region_report_encode(report);
    if (reporter->to == node_id(reporter->node))
        placement_on_report(placement, reporter->to,
                            (struct slice){bytes->data, bytes->size});
    else
        node_send(reporter->node, reporter->to, ENV_CHANNEL_RAFT, WIRE_REPORT,
                  bytes, NULL);
    buf_unref(bytes);
}

static void send_sum(struct reporter *reporter)
{
    struct reported sum = {.sequence = ++reporter->sequence,
                           .first = reporter->first};
    struct told *told;
    struct told *next;
    struct buf *bytes;

    HASH_ITER (hh, reporter->told, told, next) {
        sum.led_count++;
        sum.led_digest ^= told->digest;
    }
    /* Whoever is told may ask for all at once. */
    reporter->first = 0;
    reporter->changed = false;
    reporter->seconds = 0;
    bytes = reported_encode(&sum);
    if (reporter->to == node_id(reporter->node))
        placement_on_reported(node_placement(reporter->node), reporter->to,
                              (struct slice){bytes->data, bytes->size});
    else
        node_send(reporter->node, reporter->to, ENV_CHANNEL_RAFT, WIRE_REPORTED,
                  bytes, NULL);
    buf_unref(bytes);
}

static void note(struct reporter *reporter, const struct region_report *report)
{
    struct told *told = find(reporter, report->region.id);

    if (told == NULL) {
        told = mem_zalloc(sizeof *told);
        told->region = report->region.id;
        HASH_ADD(hh, reporter->told, region, sizeof told->region, told);
    }
    told->conf_ver = report->region.conf_ver;
    told->version = report->region.version;
    told->term = report->term;
    told->size_bytes = report->size_bytes;
    told->digest = report->digest;
    told->settled = is_settled(report);
}

/* `closely`: also what is known of each replica, and how far learners have
 * come, which they do not while all sleep. */
static void look_and_tell(struct reporter *reporter, const struct peer *peer,
                          bool closely)
{
    const struct region *region = peer_region(peer);
    struct told *told = find(reporter, region->id);
    struct region_report report;

    if (told != NULL && told->settled && !closely &&
        told->conf_ver == region->conf_ver &&
        told->version == region->version && told->term == peer_term(peer))
        return;
    look_at(reporter, peer, &report);
    if (told == NULL || told->digest != report.digest ||
        (closely && !told->settled && !peer_is_asleep(peer))) {
        reporter->changed = true;
        note(reporter, &report);
        send_one(reporter, &report);
    }
}

/* What this node leads no more is not told of any more; the new leader does. */
static void forget_if_told(struct reporter *reporter, uint64_t region)
{
    struct told *told = find(reporter, region);

    if (told != NULL)
        forget(reporter, told);
}

static void look_at_awake(struct reporter *reporter)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_awake(reporter->node, peer)) != NULL)
        if (peer_is_serving(peer))
            look_and_tell(reporter, peer, false);
        else
            forget_if_told(reporter, peer_region_id(peer));
}

/* Whose replica was removed while it led is met by no look at peers. */
static void forget_others(struct reporter *reporter)
{
    struct told *told;
    struct told *next;

    HASH_ITER (hh, reporter->told, told, next) {
        const struct peer *peer = node_peer(reporter->node, told->region);

        if (peer == NULL || !peer_is_serving(peer))
            forget(reporter, told);
    }
}

static void look_at_all(struct reporter *reporter, bool closely)
{
    const struct peer *peer = NULL;

    forget_others(reporter);
    while ((peer = node_next_peer(reporter->node, peer)) != NULL)
        if (peer_is_serving(peer))
            look_and_tell(reporter, peer, closely);
    reporter->sleep_told = true;
}

static void sum_up(struct reporter *reporter)
{
    if (reporter->changed || reporter->seconds >= SUM_SECONDS)
        send_sum(reporter);
}

void reporter_tell_all(struct reporter *reporter)
{
    forget_all(reporter);
    reporter->first = reporter->sequence + 1;
    reporter->changed = true;
    reporter->sleep_told = false;
}

void reporter_tell_again(struct reporter *reporter, uint64_t region)
{
    struct told *told = find(reporter, region);

    if (told == NULL)
        return;
    told->digest = 0;
    told->settled = false;
    reporter->sleep_told = false;
}

/* False: nobody leads region 0, as far as this node knows. */
static bool find_reader(struct reporter *reporter)
{
    const struct peer *placement = node_peer(reporter->node, REGION_PLACEMENT);
    /* A node that has just joined has no replica of region 0 yet. */
    uint64_t leader = placement == NULL ? 0 : peer_leader_node(placement);

    if (leader == 0 || (leader != node_id(reporter->node) &&
                        !node_link_up(reporter->node, leader))) {
        reporter->to = 0;
        return false;
    }
    if (leader != reporter->to || peer_term(placement) != reporter->term) {
        reporter->to = leader;
        reporter->term = peer_term(placement);
        reporter_tell_all(reporter);
    }
    return true;
}

/* In those that sleep nothing changes but what others think of them. */
void reporter_tick(struct reporter *reporter)
{
    if (!find_reader(reporter))
        return;
    if (reporter->sleep_told)
        look_at_awake(reporter);
    else
        look_at_all(reporter, false);
    sum_up(reporter);
}

void reporter_each_second(struct reporter *reporter)
{
    reporter->seconds++;
    if (!find_reader(reporter))
        return;
    look_at_all(reporter, true);
    sum_up(reporter);
}
