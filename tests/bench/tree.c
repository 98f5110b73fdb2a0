/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/bench/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUCKETS = 1 << 18, BLOCK_SIZE = 1 << 20 };

LIST_HEAD(bucket, node);

struct tree {
    struct node **nodes; /* By id; NULL where it was freed. */
    size_t nodes_count;
    size_t nodes_allocated;
    struct bucket buckets[BUCKETS];
};

static void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);

    if (memory == NULL)
        abort();
    return memory;
}

static char *copy_name(const char *name)
{
    size_t size = strlen(name) + 1;

    return memcpy(allocate(NULL, size), name, size);
}

/* FNV-1a over the directory's id and the name. */
static struct bucket *bucket_of(struct tree *t, const struct node *dir,
                                const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u ^ dir->id;

    for (const char *c = name; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    hash ^= hash >> 32;
    return &t->buckets[hash % BUCKETS];
}

static struct node *node_new(struct tree *t, mode_t mode)
{
    struct node *node = allocate(NULL, sizeof *node);

    if (t->nodes_count == t->nodes_allocated) {
        t->nodes_allocated = t->nodes_allocated * 2 + 1024;
        t->nodes =
            allocate(t->nodes, t->nodes_allocated * sizeof(struct node *));
    }
    memset(node, 0, sizeof *node);
    node->id = t->nodes_count;
    node->mode = mode;
    node_touch(node);
    TAILQ_INIT(&node->children);
    t->nodes[t->nodes_count++] = node;
    return node;
}

static void node_free_if_unused(struct tree *t, struct node *node)
{
    if (node->parent != NULL || node->lookup_count > 0)
        return;
    t->nodes[node->id] = NULL;
    free(node->value);
    free(node);
}

static void node_link(struct tree *t, struct node *node, struct node *dir,
                      const char *name)
{
    assert(node->parent == NULL);
    assert(S_ISDIR(dir->mode));

    node->parent = dir;
    node->name = copy_name(name);
    TAILQ_INSERT_TAIL(&dir->children, node, sibling);
    LIST_INSERT_HEAD(bucket_of(t, dir, name), node, in_bucket);
    node_touch(dir);
}

static void node_unlink(struct node *node)
{
    assert(node->parent != NULL);

    TAILQ_REMOVE(&node->parent->children, node, sibling);
    LIST_REMOVE(node, in_bucket);
    node_touch(node->parent);
    free(node->name);
    node->name = NULL;
    node->parent = NULL;
}

struct tree *tree_new(void)
{
    struct tree *t = allocate(NULL, sizeof *t);

    memset(t, 0, sizeof *t);

    struct node *zero = node_new(t, 0); /* Id 0 stays unused. */
    struct node *root = node_new(t, S_IFDIR | 0755);

    zero->lookup_count = 1;
    root->lookup_count = 1;
    root->uid = getuid();
    root->gid = getgid();
    assert(root->id == 1);
    return t;
}

struct node *tree_node(struct tree *t, uint64_t id)
{
    assert(id < t->nodes_count);
    assert(t->nodes[id] != NULL);

    return t->nodes[id];
}

struct node *tree_find(struct tree *t, const struct node *dir, const char *name)
{
    struct node *node;

    LIST_FOREACH(node, bucket_of(t, dir, name), in_bucket)
    {
        if (node->parent == dir && strcmp(node->name, name) == 0)
            return node;
    }
    return NULL;
}

struct node *tree_add(struct tree *t, struct node *dir, const char *name,
                      mode_t mode)
{
    struct node *node = node_new(t, mode);

    node_link(t, node, dir, name);
    return node;
}

void tree_remove(struct tree *t, struct node *node)
{
    node_unlink(node);
    node_free_if_unused(t, node);
}

void tree_move(struct tree *t, struct node *node, struct node *dir,
               const char *name)
{
    struct node *replaced = tree_find(t, dir, name);

    if (replaced == node)
        return;
    if (replaced != NULL)
        tree_remove(t, replaced);
    node_unlink(node);
    node_link(t, node, dir, name);
}

void tree_forget(struct tree *t, uint64_t id, uint64_t count)
{
    struct node *node = tree_node(t, id);

    if (id == 1)
        return;
    assert(node->lookup_count >= count);
    node->lookup_count -= count;
    node_free_if_unused(t, node);
}

void node_resize(struct node *node, size_t size)
{
    if (size > node->size_allocated) {
        node->value = allocate(node->value, size);
        node->size_allocated = size;
    }
    if (size > node->size)
        memset(node->value + node->size, 0, size - node->size);
    node->size = size;
    node_touch(node);
}

void node_touch(struct node *node)
{
    clock_gettime(CLOCK_REALTIME, &node->mtime);
}

struct stat node_stat(const struct node *node)
{
    struct stat st = {
        .st_ino = node->id,
        .st_mode = node->mode,
        .st_nlink = 1,
        .st_uid = node->uid,
        .st_gid = node->gid,
        .st_size = (off_t)node->size,
        .st_blocks = (blkcnt_t)((node->size + 511) / 512),
        .st_blksize = BLOCK_SIZE,
        .st_atim = node->mtime,
        .st_mtim = node->mtime,
        .st_ctim = node->mtime,
    };

    return st;
}
