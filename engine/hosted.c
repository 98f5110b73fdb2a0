/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/hosted.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/node.h"

struct hosted_range {
    struct peer *peer;
    struct buf *start;
    struct buf *end;
};

struct hosted {
    pthread_rwlock_t lock;
    struct peer *placement;
    struct hosted_range *ranges; /* by ascending start; they do not overlap */
    size_t count;
    size_t count_max;
};

struct hosted *hosted_new(void)
{
    struct hosted *hosted = mem_zalloc(sizeof *hosted);

    (void)pthread_rwlock_init(&hosted->lock, NULL); /* Cannot fail. */
    return hosted;
}

static void forget(struct hosted_range *range)
{
    buf_unref(range->start);
    buf_unref(range->end);
}

void hosted_free(struct hosted *hosted)
{
    if (hosted == NULL)
        return;
    for (size_t i = 0; i < hosted->count; i++)
        forget(&hosted->ranges[i]);
    (void)pthread_rwlock_destroy(&hosted->lock);
    free(hosted->ranges);
    free(hosted);
}

void hosted_enter(struct hosted *hosted)
{
    (void)pthread_rwlock_rdlock(&hosted->lock);
}

void hosted_leave(struct hosted *hosted)
{
    (void)pthread_rwlock_unlock(&hosted->lock);
}

/* How many begin at or before the key. */
static size_t count_up_to(const struct hosted *hosted, struct slice user_key)
{
    size_t low = 0;
    size_t high = hosted->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (slice_compare(buf_slice(hosted->ranges[middle].start), user_key) <=
            0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct peer *hosted_placement(const struct hosted *hosted)
{
    return hosted->placement;
}

struct peer *hosted_find(const struct hosted *hosted, struct slice user_key,
                         struct range *ret_range)
{
    size_t count = count_up_to(hosted, user_key);
    const struct hosted_range *range;

    if (count == 0)
        return NULL;
    range = &hosted->ranges[count - 1];
    *ret_range = (struct range){buf_slice(range->start), buf_slice(range->end)};
    return range_has(*ret_range, user_key) ? range->peer : NULL;
}

/* ---- changes ---- */

static void take_out(struct hosted *hosted, const struct peer *peer)
{
    for (size_t i = 0; i < hosted->count; i++) {
        if (hosted->ranges[i].peer != peer)
            continue;
        forget(&hosted->ranges[i]);
        hosted->count--;
        memmove(&hosted->ranges[i], &hosted->ranges[i + 1],
                (hosted->count - i) * sizeof *hosted->ranges);
        return;
    }
}

static void put_in(struct hosted *hosted, struct peer *peer)
{
    const struct region *region = peer_region(peer);
    size_t at = count_up_to(hosted, region->start);

    hosted->ranges = mem_grow(hosted->ranges, sizeof *hosted->ranges,
                              &hosted->count_max, hosted->count + 1);
    memmove(&hosted->ranges[at + 1], &hosted->ranges[at],
            (hosted->count - at) * sizeof *hosted->ranges);
    hosted->ranges[at] = (struct hosted_range){
        .peer = peer,
        .start = buf_copy(region->start.data, region->start.size),
        .end = buf_copy(region->end.data, region->end.size),
    };
    hosted->count++;
}

void hosted_put(struct hosted *hosted, struct peer *peer)
{
    (void)pthread_rwlock_wrlock(&hosted->lock);
    if (peer_region_id(peer) == REGION_PLACEMENT) {
        hosted->placement = peer;
    } else {
        take_out(hosted, peer);
        put_in(hosted, peer);
    }
    (void)pthread_rwlock_unlock(&hosted->lock);
}

void hosted_remove(struct hosted *hosted, const struct peer *peer)
{
    (void)pthread_rwlock_wrlock(&hosted->lock);
    if (hosted->placement == peer)
        hosted->placement = NULL;
    else
        take_out(hosted, peer);
    (void)pthread_rwlock_unlock(&hosted->lock);
}
