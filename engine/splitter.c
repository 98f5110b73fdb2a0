/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/splitter.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/measure.h"
#include "engine/node.h"
#include "engine/settings.h"
#include "engine/split.h"

/* uthash's default function has unmarked fall-throughs. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

enum {
    /* Files are compressed. What is pressed even more is measured when so much
     * was written. */
    COMPRESSION = 4,
    /* Of the wanted size: so much has to be written until it is measured again,
     * as it may have replaced what was there. */
    GROWTH_PARTS = 8,
    RETRY_SECONDS = 10,      /* after a split that has failed */
    READ_BYTES = 1024 * 1024 /* in a second, to find what has shrunk */
};

/* A data region that this node leads. */
struct led {
    uint64_t region;
    uint64_t version;
    bool measured;
    uint64_t bytes; /* when it was measured; else of its files */
    uint64_t keys;
    uint64_t written_bytes; /* by then */
    uint64_t limit;         /* at that time */
    uint64_t measured_at;   /* the second in which; 0: never */
    uint64_t retry;         /* in which second it is measured again, because it
                             * could not be split; 0: it could */
    UT_hash_handle hh;
};

struct splitter {
    struct node *node;
    uint64_t wanted_size; /* of a region: the cluster's setting */
    bool auto_merge;      /* likewise */
    struct led *led;      /* by region */
    uint64_t measuring;   /* the region; 0: none */
    uint64_t version;     /* that it had */
    uint64_t seconds;     /* since the start */
    uint64_t read_next;   /* the second from which on to find what has shrunk */
    bool stopped;
    uint64_t splitting; /* the region of: */
    struct split_wait split;
};

struct splitter *splitter_new(struct node *node)
{
    struct splitter *splitter = mem_zalloc(sizeof *splitter);

    splitter->node = node;
    return splitter;
}

static void forget(struct splitter *splitter, struct led *led)
{
    HASH_DEL(splitter->led, led);
    free(led);
}

void splitter_free(struct splitter *splitter)
{
    struct led *led;
    struct led *next;

    if (splitter == NULL)
        return;
    HASH_ITER (hh, splitter->led, led, next)
        forget(splitter, led);
    free(splitter);
}

void splitter_stop(struct splitter *splitter)
{
    splitter->stopped = true;
    split_cancel(&splitter->split);
}

static struct led *find(const struct splitter *splitter, uint64_t region)
{
    struct led *led;

    HASH_FIND(hh, splitter->led, &region, sizeof region, led);
    return led;
}

static uint64_t written_since(const struct led *led, const struct peer *peer)
{
    return peer_written_bytes(peer) - led->written_bytes;
}

void splitter_find_size(const struct splitter *splitter, uint64_t region,
                        struct region_size *ret)
{
    const struct led *led = find(splitter, region);
    const struct peer *peer = node_peer(splitter->node, region);

    *ret = (struct region_size){SIZE_UNKNOWN, SIZE_UNKNOWN};
    if (led == NULL || peer == NULL)
        return;
    ret->bytes = led->bytes + written_since(led, peer);
    if (led->measured && led->version == peer_region(peer)->version)
        ret->keys = led->keys;
}

/* ---- how large a region may be ---- */

/* False: it cannot be read. */
static bool read_settings(struct splitter *splitter)
{
    struct settings settings;

    if (settings_read(node_env(splitter->node)->state, &settings) != 0)
        return false;
    splitter->wanted_size = settings.value[SETTING_REGION_SIZE];
    splitter->auto_merge = settings.value[SETTING_AUTO_MERGE] != 0;
    return true;
}

static uint64_t limit(const struct splitter *splitter)
{
    return splitter->wanted_size + splitter->wanted_size / 2;
}

/* What was small enough when it was measured need not be any more. */
static bool may_be_too_large(const struct splitter *splitter,
                             const struct led *led, const struct peer *peer)
{
    uint64_t written = written_since(led, peer);

    if (!led->measured)
        return COMPRESSION * led->bytes + written > limit(splitter);
    if (led->retry != 0)
        return splitter->seconds >= led->retry;
    return led->bytes + written > limit(splitter) &&
           (written >= splitter->wanted_size / GROWTH_PARTS ||
            limit(splitter) < led->limit);
}

/* Most of what is written to a region removes nothing, but nobody can tell. */
static bool may_be_small(const struct splitter *splitter, const struct led *led,
                         const struct peer *peer)
{
    return splitter->auto_merge && splitter->seconds >= splitter->read_next &&
           (!led->measured || written_since(led, peer) > 0);
}

/* ---- splitting ---- */

static void on_split(struct split_wait *wait, int status, const char *why)
{
    struct splitter *splitter = container_of(wait, struct splitter, split);
    struct led *led = find(splitter, splitter->splitting);

    /* A key that is refused would be found again, until more is written. */
    if (status != 0 && status != ERR_INVALID && led != NULL)
        led->retry = splitter->seconds + RETRY_SECONDS;
    /* Another leader, or a later round, will see to it. */
    if (status != 0 && status != ERR_NOT_LEADER && status != ERR_EPOCH &&
        status != ERR_BUSY)
        node_log_event(splitter->node, LOG_WARN,
                       "a region has grown too large and could not be split: "
                       "%s",
                       why[0] != '\0' ? why : err_text(status));
}

static void on_measured(void *context, const struct measured *measured)
{
    struct splitter *splitter = context;
    struct led *led = find(splitter, splitter->measuring);
    uint64_t region = splitter->measuring;
    const struct peer *peer = node_peer(splitter->node, region);

    splitter->measuring = 0;
    if (splitter->stopped || led == NULL || peer == NULL ||
        peer_region(peer)->version != splitter->version ||
        measured->status != 0)
        return;
    splitter->read_next = splitter->seconds + 1 + measured->bytes / READ_BYTES;
    led->measured = true;
    led->bytes = measured->bytes;
    led->keys = measured->keys;
    if (measured->bytes <= limit(splitter) || measured->middle.size == 0)
        return;
    node_log_event(splitter->node, LOG_INFO,
                   "region %" PRIu64 " has %" PRIu64 " MiB: it is split",
                   region, measured->bytes >> 20);
    splitter->splitting = region;
    split_start(&splitter->split, splitter->node, region, 0, &measured->middle);
}

static void measure(struct splitter *splitter, struct led *led,
                    const struct peer *peer)
{
    splitter->measuring = led->region;
    splitter->version = led->version;
    splitter->split.done = on_split;
    led->written_bytes = peer_written_bytes(peer);
    led->limit = limit(splitter);
    led->measured_at = splitter->seconds;
    led->retry = 0;
    measure_start(node_env(splitter->node), peer_region(peer), on_measured,
                  splitter);
}

/* ---- each second ---- */

/* What was written since this node has opened it is not in the files, or is
 * counted twice. */
static void begin_anew(struct splitter *splitter, struct led *led,
                       const struct region *region)
{
    led->version = region->version;
    led->measured = false;
    led->retry = 0;
    led->bytes = measure_files(node_env(splitter->node)->state, region);
    led->written_bytes = 0;
}

static void note(struct splitter *splitter, const struct peer *peer)
{
    const struct region *region = peer_region(peer);
    struct led *led = find(splitter, region->id);

    if (led == NULL) {
        led = mem_zalloc(sizeof *led);
        led->region = region->id;
        HASH_ADD(hh, splitter->led, region, sizeof led->region, led);
        begin_anew(splitter, led, region);
    } else if (led->version != region->version) {
        begin_anew(splitter, led, region);
    }
}

static void forget_others(struct splitter *splitter)
{
    struct led *led;
    struct led *next;

    HASH_ITER (hh, splitter->led, led, next) {
        const struct peer *peer = node_peer(splitter->node, led->region);

        if (peer == NULL || !peer_is_serving(peer))
            forget(splitter, led);
    }
}

/* Of those that sleep nothing is new. */
static void look_at_awake(struct splitter *splitter)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_awake(splitter->node, peer)) != NULL)
        if (peer_region_id(peer) != REGION_PLACEMENT && peer_is_serving(peer))
            note(splitter, peer);
}

/* Also of those that sleep: the last that was written to them may have been too
 * much, and they wait for nothing. */
static struct led *find_next(struct splitter *splitter)
{
    struct led *best = NULL;
    struct led *led;
    struct led *next;

    HASH_ITER (hh, splitter->led, led, next) {
        const struct peer *peer = node_peer(splitter->node, led->region);

        if (may_be_too_large(splitter, led, peer))
            return led;
        if (may_be_small(splitter, led, peer) &&
            (best == NULL || led->measured_at < best->measured_at))
            best = led;
    }
    return best;
}

void splitter_each_second(struct splitter *splitter)
{
    struct led *led;

    splitter->seconds++;
    forget_others(splitter);
    if (!read_settings(splitter))
        return;
    look_at_awake(splitter);
    if (splitter->measuring != 0 || split_is_running(&splitter->split))
        return;
    led = find_next(splitter);
    if (led != NULL)
        measure(splitter, led, node_peer(splitter->node, led->region));
}
