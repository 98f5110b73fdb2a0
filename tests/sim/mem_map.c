/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/mem_map.h"

#include <assert.h>
#include <stdlib.h>

#include "raft/base/mem.h"

enum { SWEEP_STALE_MIN = 256 };

struct mem_node {
    struct buf *key;
    struct mem_version *newest;
    unsigned height;
    struct mem_node *next[]; /* `height` of them */
};

/* The last node before a key, on each level. */
struct path {
    struct mem_node *before[MEM_MAP_HEIGHT_MAX];
};

static struct mem_node *node_new(unsigned height)
{
    struct mem_node *node =
        mem_zalloc(sizeof *node + height * sizeof(struct mem_node *));

    node->height = height;
    return node;
}

static void version_free(struct mem_map *map, struct mem_version *version)
{
    if (version->value != NULL)
        map->size_bytes -= version->value->size;
    buf_unref(version->value);
    free(version);
}

static void versions_free(struct mem_map *map, struct mem_version **first)
{
    while (*first != NULL) {
        struct mem_version *version = *first;

        *first = version->older;
        version_free(map, version);
    }
}

void mem_map_init(struct mem_map *map)
{
    *map = (struct mem_map){.random = 1};
    map->head = node_new(MEM_MAP_HEIGHT_MAX);
}

void mem_map_close(struct mem_map *map)
{
    struct mem_node *node = map->head;

    while (node != NULL) {
        struct mem_node *next = node->next[0];

        versions_free(map, &node->newest);
        buf_unref(node->key);
        free(node);
        node = next;
    }
    *map = (struct mem_map){.head = NULL};
}

/* ---- finding ---- */

struct slice mem_node_key(const struct mem_node *node)
{
    return (struct slice){node->key->data, node->key->size};
}

const struct mem_node *mem_node_next(const struct mem_node *node)
{
    return node->next[0];
}

static void find_path(const struct mem_map *map, struct slice key,
                      struct path *path)
{
    struct mem_node *node = map->head;

    for (unsigned level = MEM_MAP_HEIGHT_MAX; level-- > 0;) {
        while (node->next[level] != NULL &&
               slice_compare(mem_node_key(node->next[level]), key) < 0)
            node = node->next[level];
        path->before[level] = node;
    }
}

const struct mem_node *mem_map_find_from(const struct mem_map *map,
                                         struct slice key)
{
    struct path path;

    find_path(map, key, &path);
    return path.before[0]->next[0];
}

const struct mem_node *mem_map_find(const struct mem_map *map, struct slice key)
{
    const struct mem_node *node = mem_map_find_from(map, key);

    if (node == NULL || slice_compare(mem_node_key(node), key) != 0)
        return NULL;
    return node;
}

const struct mem_node *mem_map_find_before(const struct mem_map *map,
                                           struct slice key)
{
    struct path path;

    find_path(map, key, &path);
    return path.before[0] == map->head ? NULL : path.before[0];
}

const struct mem_node *mem_map_last(const struct mem_map *map)
{
    const struct mem_node *node = map->head;

    for (unsigned level = MEM_MAP_HEIGHT_MAX; level-- > 0;)
        while (node->next[level] != NULL)
            node = node->next[level];
    return node == map->head ? NULL : node;
}

const struct mem_version *mem_node_at(const struct mem_node *node,
                                      uint64_t sequence)
{
    const struct mem_version *version = node->newest;

    while (version != NULL && version->sequence > sequence)
        version = version->older;
    return version;
}

const struct mem_version *mem_node_durable(const struct mem_node *node,
                                           uint64_t synced)
{
    const struct mem_version *version = node->newest;

    while (version != NULL && version->sequence > synced && !version->ingested)
        version = version->older;
    return version;
}

/* ---- changing ---- */

/* Each level has half of the nodes of the one below (xorshift64). */
static unsigned height_draw(struct mem_map *map)
{
    unsigned height = 1;

    map->random ^= map->random << 13;
    map->random ^= map->random >> 7;
    map->random ^= map->random << 17;
    while (height < MEM_MAP_HEIGHT_MAX && (map->random >> height & 1) != 0)
        height++;
    return height;
}

static struct mem_node *find_or_add(struct mem_map *map, struct slice key)
{
    struct path path;
    struct mem_node *node;

    find_path(map, key, &path);
    node = path.before[0]->next[0];
    if (node != NULL && slice_compare(mem_node_key(node), key) == 0)
        return node;

    node = node_new(height_draw(map));
    node->key = buf_copy(key.data, key.size);
    for (unsigned level = 0; level < node->height; level++) {
        node->next[level] = path.before[level]->next[level];
        path.before[level]->next[level] = node;
    }
    map->node_count++;
    map->size_bytes += key.size;
    return node;
}

static void node_remove(struct mem_map *map, struct mem_node *node)
{
    struct path path;

    assert(node->newest == NULL);
    find_path(map, mem_node_key(node), &path);
    for (unsigned level = 0; level < node->height; level++)
        path.before[level]->next[level] = node->next[level];
    map->node_count--;
    map->size_bytes -= node->key->size;
    buf_unref(node->key);
    free(node);
}

static void node_set(struct mem_map *map, struct mem_node *node,
                     const struct mem_write *write)
{
    struct mem_version *version = node->newest;

    if (version != NULL && version->sequence == write->sequence) {
        node->newest = version->older;
        version_free(map, version);
    }
    version = mem_zalloc(sizeof *version);
    version->sequence = write->sequence;
    version->ingested = write->ingested;
    version->value = buf_ref(write->value);
    version->older = node->newest;
    node->newest = version;
    if (version->value != NULL)
        map->size_bytes += version->value->size;
    if (version->older != NULL || version->value == NULL)
        map->stale_count++;
}

void mem_map_set(struct mem_map *map, struct slice key,
                 const struct mem_write *write)
{
    node_set(map, find_or_add(map, key), write);
}

void mem_map_delete_range(struct mem_map *map, struct slice begin,
                          struct slice end, const struct mem_write *write)
{
    struct path path;

    assert(write->value == NULL);
    find_path(map, begin, &path);
    for (struct mem_node *node = path.before[0]->next[0];
         node != NULL && slice_compare(mem_node_key(node), end) < 0;
         node = node->next[0])
        node_set(map, node, write);
}

/* ---- dropping versions ---- */

static void node_prune(struct mem_map *map, struct mem_node *node,
                       uint64_t horizon)
{
    struct mem_version **link = &node->newest;

    while (*link != NULL && (*link)->sequence > horizon)
        link = &(*link)->older;
    /* Below the horizon a deletion and nothing at all are the same. */
    if (*link != NULL && (*link)->value != NULL)
        link = &(*link)->older;
    versions_free(map, link);
}

void mem_map_prune(struct mem_map *map, uint64_t horizon)
{
    struct mem_node *next;

    if (map->stale_count < SWEEP_STALE_MIN + map->node_count / 2)
        return;
    for (struct mem_node *node = map->head->next[0]; node != NULL;
         node = next) {
        next = node->next[0];
        node_prune(map, node, horizon);
        if (node->newest == NULL)
            node_remove(map, node);
    }
    map->stale_count = 0;
}

static void node_forget(struct mem_map *map, struct mem_node *node,
                        uint64_t sequence)
{
    struct mem_version **link = &node->newest;

    while (*link != NULL) {
        struct mem_version *version = *link;

        if (version->sequence <= sequence || version->ingested) {
            link = &version->older;
            continue;
        }
        *link = version->older;
        version_free(map, version);
    }
}

void mem_map_forget(struct mem_map *map, uint64_t sequence)
{
    struct mem_node *next;

    for (struct mem_node *node = map->head->next[0]; node != NULL;
         node = next) {
        next = node->next[0];
        node_forget(map, node, sequence);
        if (node->newest == NULL)
            node_remove(map, node);
    }
}

void mem_map_check(const struct mem_map *map)
{
    size_t count = 0;

    for (const struct mem_node *node = map->head->next[0]; node != NULL;
         node = node->next[0]) {
        const struct mem_node *next = node->next[0];

        count++;
        assert(node->newest != NULL);
        assert(next == NULL ||
               slice_compare(mem_node_key(node), mem_node_key(next)) < 0);
        for (const struct mem_version *v = node->newest; v != NULL;
             v = v->older)
            assert(v->older == NULL || v->sequence > v->older->sequence);
    }
    assert(count == map->node_count);
}
