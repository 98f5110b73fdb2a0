/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/routes.h"

#include <stdlib.h>
#include <string.h>

#include "engine/wire.h"

enum { HEARD_MAX = 16 * 1024 /* then it begins anew */ };

/* A region as somebody has told of it. */
struct heard {
    struct region region;
    uint64_t leader_node;
};

struct routes {
    struct node *node;
    struct heard *heard; /* by ascending start; they do not overlap */
    size_t count;
    size_t count_max;
};

struct routes *routes_new(struct node *node)
{
    struct routes *routes = mem_zalloc(sizeof *routes);

    routes->node = node;
    return routes;
}

static void forget_all(struct routes *routes)
{
    for (size_t i = 0; i < routes->count; i++)
        region_release(&routes->heard[i].region);
    routes->count = 0;
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

        if (slice_compare(routes->heard[middle].region.start, user_key) <= 0)
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
    heard = &routes->heard[count - 1];
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
        const struct region *heard = &routes->heard[at].region;

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

bool routes_find_region(const struct routes *routes, uint64_t region,
                        struct route *ret)
{
    for (size_t i = 0; i < routes->count; i++)
        if (routes->heard[i].region.id == region) {
            *ret = route_to(&routes->heard[i].region,
                            routes->heard[i].leader_node);
            return true;
        }
    return false;
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

static bool is_about(const struct region *a, const struct region *b)
{
    return a->id == b->id || range_overlaps(range_of(a), range_of(b));
}

/* Whether something at least as new is known of it, or of some of its range. */
static bool is_outdated(struct routes *routes, const struct region *region,
                        uint64_t leader_node)
{
    for (size_t i = 0; i < routes->count; i++) {
        struct heard *heard = &routes->heard[i];

        if (is_same(&heard->region, region) && leader_node != 0)
            heard->leader_node = leader_node;
        if (is_about(&heard->region, region) &&
            !is_older(&heard->region, region))
            return true;
    }
    return false;
}

static void drop_overlapping(struct routes *routes, const struct region *region)
{
    size_t kept = 0;

    for (size_t i = 0; i < routes->count; i++) {
        struct heard *heard = &routes->heard[i];

        if (is_about(&heard->region, region))
            region_release(&heard->region);
        else
            routes->heard[kept++] = *heard;
    }
    routes->count = kept;
}

bool routes_learn(struct routes *routes, const struct region *region,
                  uint64_t leader_node)
{
    size_t at;

    if (region->id == REGION_PLACEMENT ||
        is_outdated(routes, region, leader_node))
        return false;
    if (routes->count == HEARD_MAX)
        forget_all(routes);
    drop_overlapping(routes, region);
    at = count_up_to(routes, region->start);
    routes->heard = mem_grow(routes->heard, sizeof *routes->heard,
                             &routes->count_max, routes->count + 1);
    memmove(&routes->heard[at + 1], &routes->heard[at],
            (routes->count - at) * sizeof *routes->heard);
    routes->heard[at] = (struct heard){region_copy(region), leader_node};
    routes->count++;
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

void routes_on_locate(struct routes *routes, uint64_t from,
                      const struct env_packet *packet)
{
    struct locate locate = {.held = NULL};
    const struct peer *peer = NULL;
    struct buf *header;

    if (locate_decode(&locate, (struct slice){packet->header->data,
                                              packet->header->size}) == 0)
        peer = node_peer_at(routes->node, locate.user_key);
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

    if (located_decode(&located, (struct slice){packet->header->data,
                                                packet->header->size}) != 0)
        return false;
    news = routes_learn(routes, &located.region, located.leader_node);
    located_release(&located);
    return news;
}
