/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/routes.h"

#include <stdlib.h>
#include <string.h>

#include "engine/wire.h"

/* uthash's default function has unmarked fall-throughs. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

enum { HEARD_MAX = 16 * 1024 /* then it begins anew */ };

/* A region as somebody has told of it. */
struct heard {
    struct region region;
    uint64_t leader_node;
    UT_hash_handle hh;
};

struct routes {
    struct node *node;
    struct heard **heard; /* by ascending start; they do not overlap */
    size_t count;
    size_t count_max;
    struct heard *by_id; /* the same */
};

struct routes *routes_new(struct node *node)
{
    struct routes *routes = mem_zalloc(sizeof *routes);

    routes->node = node;
    return routes;
}

/* Those from one place on. */
static void forget(struct routes *routes, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++) {
        struct heard *heard = routes->heard[i];

        HASH_DEL(routes->by_id, heard);
        region_release(&heard->region);
        free(heard);
    }
    routes->count -= count;
    if (at < routes->count)
        memmove(&routes->heard[at], &routes->heard[at + count],
                (routes->count - at) * sizeof(struct heard *));
}

static void forget_all(struct routes *routes)
{
    forget(routes, 0, routes->count);
}

void routes_free(struct routes *routes)
{
    if (routes == NULL)
        return;
    forget_all(routes);
    free(routes->heard);
    free(routes);
}

/* ---- finding ---- */

static struct range range_of(const struct region *region)
{
    return (struct range){region->start, region->end};
}

/* How many begin at or before the key. */
static size_t count_up_to(const struct routes *routes, struct slice user_key)
{
    size_t low = 0;
    size_t high = routes->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (slice_compare(routes->heard[middle]->region.start, user_key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct heard *heard_of(const struct routes *routes,
                                    struct slice user_key)
{
    size_t count = count_up_to(routes, user_key);
    const struct heard *heard;

    if (count == 0)
        return NULL;
    heard = routes->heard[count - 1];
    return range_has(range_of(&heard->region), user_key) ? heard : NULL;
}

static struct route route_to(const struct region *region, uint64_t leader_node)
{
    struct route route = {
        .region = region->id,
        .version = region->version,
        .range = range_of(region),
        .leader_node = leader_node,
    };

    for (size_t i = 0; i < region->peer_count; i++)
        route.nodes[route.node_count++] = region->peers[i].node;
    return route;
}

/* Whether something newer was heard of any of its range: then it has not come
 * to know yet what became of it. */
static bool is_behind(const struct routes *routes, const struct region *region)
{
    size_t at = count_up_to(routes, region->start);

    for (at -= at > 0; at < routes->count; at++) {
        const struct region *heard = &routes->heard[at]->region;

        if (region->end.size > 0 &&
            slice_compare(heard->start, region->end) >= 0)
            return false;
        if (heard->version > region->version &&
            range_overlaps(range_of(heard), range_of(region)))
            return true;
    }
    return false;
}

/* Whether the region is here and has become smaller since: who leads it would
 * ask itself, again and again. */
static bool is_over(const struct routes *routes, const struct heard *heard)
{
    const struct peer *peer = node_peer(routes->node, heard->region.id);

    return peer != NULL && peer_region(peer)->version > heard->region.version;
}

bool routes_find(const struct routes *routes, struct slice user_key,
                 struct route *ret)
{
    const struct heard *heard = heard_of(routes, user_key);
    const struct peer *peer = node_peer_at(routes->node, user_key);

    if (peer != NULL && !is_behind(routes, peer_region(peer))) {
        *ret = route_to(peer_region(peer), peer_leader_node(peer));
        return true;
    }
    if (heard == NULL || is_over(routes, heard))
        return false;
    *ret = route_to(&heard->region, heard->leader_node);
    return true;
}

/* Whether another region, that is here, has some of its keys since then. */
static bool was_taken(const struct routes *routes, const struct region *heard)
{
    const struct peer *peer = node_peer_at(routes->node, heard->start);

    return peer != NULL && peer_region(peer)->id != heard->id &&
           peer_region(peer)->version > heard->version;
}

static struct heard *find_heard(const struct routes *routes, uint64_t region)
{
    struct heard *heard;

    HASH_FIND(hh, routes->by_id, &region, sizeof region, heard);
    return heard;
}

bool routes_find_region(const struct routes *routes, uint64_t region,
                        struct route *ret)
{
    const struct heard *heard = find_heard(routes, region);

    if (heard == NULL || was_taken(routes, &heard->region))
        return false;
    *ret = route_to(&heard->region, heard->leader_node);
    return true;
}

/* ---- learning ---- */

static bool is_older(const struct region *a, const struct region *b)
{
    return a->version < b->version ||
           (a->id == b->id && a->version == b->version &&
            a->conf_ver < b->conf_ver);
}

static bool is_same(const struct region *a, const struct region *b)
{
    return a->id == b->id && a->version == b->version &&
           a->conf_ver == b->conf_ver;
}

/* Those that overlap a range: how many, from where on. */
static size_t find_overlapping(const struct routes *routes,
                               const struct region *region, size_t *ret_at)
{
    size_t at = count_up_to(routes, region->start);
    size_t end;

    if (at > 0 && range_overlaps(range_of(&routes->heard[at - 1]->region),
                                 range_of(region)))
        at--;
    for (end = at; end < routes->count; end++)
        if (!range_overlaps(range_of(&routes->heard[end]->region),
                            range_of(region)))
            break;
    *ret_at = at;
    return end - at;
}

/* Whether something at least as new is known of it, or of some of its range. */
static bool is_outdated(const struct routes *routes,
                        const struct region *region)
{
    const struct heard *same = find_heard(routes, region->id);
    size_t at;
    size_t count = find_overlapping(routes, region, &at);

    if (same != NULL && !is_older(&same->region, region))
        return true;
    for (size_t i = at; i < at + count; i++)
        if (!is_older(&routes->heard[i]->region, region))
            return true;
    return false;
}

static void note_leader(struct routes *routes, const struct region *region,
                        uint64_t leader_node)
{
    struct heard *heard = find_heard(routes, region->id);

    if (heard != NULL && is_same(&heard->region, region) && leader_node != 0)
        heard->leader_node = leader_node;
}

/* What was known of it, or of its range. */
static void forget_older(struct routes *routes, const struct region *region)
{
    const struct heard *same = find_heard(routes, region->id);
    size_t at;
    size_t count;

    if (same != NULL)
        forget(routes, count_up_to(routes, same->region.start) - 1, 1);
    count = find_overlapping(routes, region, &at);
    forget(routes, at, count);
}

static void insert(struct routes *routes, const struct region *region,
                   uint64_t leader_node)
{
    size_t at = count_up_to(routes, region->start);
    struct heard *heard = mem_zalloc(sizeof *heard);

    heard->region = region_copy(region);
    heard->leader_node = leader_node;
    HASH_ADD(hh, routes->by_id, region.id, sizeof heard->region.id, heard);
    routes->heard = mem_grow(routes->heard, sizeof(struct heard *),
                             &routes->count_max, routes->count + 1);
    memmove(&routes->heard[at + 1], &routes->heard[at],
            (routes->count - at) * sizeof(struct heard *));
    routes->heard[at] = heard;
    routes->count++;
}

bool routes_learn(struct routes *routes, const struct region *region,
                  uint64_t leader_node)
{
    note_leader(routes, region, leader_node);
    if (region->id == REGION_PLACEMENT || is_outdated(routes, region))
        return false;
    if (routes->count == HEARD_MAX)
        forget_all(routes);
    forget_older(routes, region);
    insert(routes, region, leader_node);
    return true;
}

/* ---- asking ---- */

void routes_ask(struct routes *routes, struct slice user_key)
{
    struct node *node = routes->node;
    struct buf *header = locate_encode(&(struct locate){.user_key = user_key});
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);

    for (size_t i = 0; i < count; i++)
        if (nodes[i] != node_id(node) && node_link_up(node, nodes[i]))
            node_send(node, nodes[i], ENV_CHANNEL_RAFT, WIRE_LOCATE, header,
                      NULL);
    buf_unref(header);
}

void routes_follow(struct routes *routes, uint64_t to, uint64_t region,
                   uint64_t version, uint64_t conf_ver)
{
    const struct heard *heard = find_heard(routes, region);
    const struct region told = {
        .id = region, .version = version, .conf_ver = conf_ver};
    struct buf *header;

    if (region == REGION_PLACEMENT || node_peer(routes->node, region) != NULL)
        return;
    if (heard != NULL && !is_older(&heard->region, &told))
        return;
    header = locate_encode(&(struct locate){.region = region});
    node_send(routes->node, to, ENV_CHANNEL_RAFT, WIRE_LOCATE, header, NULL);
    buf_unref(header);
}

static const struct peer *find_located(struct routes *routes,
                                       const struct locate *locate)
{
    return locate->region != 0 ? node_peer(routes->node, locate->region)
                               : node_peer_at(routes->node, locate->user_key);
}

void routes_on_locate(struct routes *routes, uint64_t from,
                      const struct env_packet *packet)
{
    struct locate locate = {.held = NULL};
    const struct peer *peer = NULL;
    struct buf *header;

    if (locate_decode(&locate, buf_slice(packet->header)) == 0)
        peer = find_located(routes, &locate);
    if (peer != NULL) {
        header = located_encode(&(struct located){
            .region = *peer_region(peer),
            .leader_node = peer_leader_node(peer),
        });
        node_send(routes->node, from, ENV_CHANNEL_RAFT, WIRE_LOCATED, header,
                  NULL);
        buf_unref(header);
    }
    locate_release(&locate);
}

bool routes_on_located(struct routes *routes, const struct env_packet *packet)
{
    struct located located;
    bool news;

    if (located_decode(&located, buf_slice(packet->header)) != 0)
        return false;
    news = routes_learn(routes, &located.region, located.leader_node);
    located_release(&located);
    return news;
}
