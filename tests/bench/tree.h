/* SPDX-License-Identifier: Apache-2.0 */

/* The tree of nullfs: directories and files with values, in memory.
 *
 * One thread, no locks, no errors but those of a filesystem (a positive errno,
 * ready to reply). Names are found through one hash table by (directory, name),
 * nodes through an array by id, so that every step costs the same at any size.
 * Memory that runs out ends the program. */

#ifndef TESTS_BENCH_TREE_H
#define TESTS_BENCH_TREE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

/* Fields are for reading; the functions below change them. */
struct node {
    uint64_t id;         /* Never used again; 1 is the root. */
    struct node *parent; /* NULL once unlinked, and for the root. */
    char *name;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
    char *value;
    size_t size;
    size_t size_allocated;
    uint64_t lookup_count; /* What the kernel holds. */
    TAILQ_HEAD(children, node) children;
    TAILQ_ENTRY(node) sibling;
    LIST_ENTRY(node) in_bucket;
};

struct tree;

/* Returns a tree with an empty root directory. It lives to the end. */
struct tree *tree_new(void);

/* Returns the node with this id, which the kernel must know (assert). */
struct node *tree_node(struct tree *t, uint64_t id);

/* Returns the entry, or NULL. */
struct node *tree_find(struct tree *t, const struct node *dir,
                       const char *name);

/* Adds an entry that must not exist. */
struct node *tree_add(struct tree *t, struct node *dir, const char *name,
                      mode_t mode);

/* Takes the entry out of its directory. Frees it when the kernel has
 * forgotten it, at once or later. */
void tree_remove(struct tree *t, struct node *node);

/* Moves the entry, replacing the one at the new place, if any. */
void tree_move(struct tree *t, struct node *node, struct node *dir,
               const char *name);

/* The kernel forgets `count` lookups. */
void tree_forget(struct tree *t, uint64_t id, uint64_t count);

/* Sets the size; new bytes are zero. */
void node_resize(struct node *node, size_t size);

/* Sets the time of change to now. */
void node_touch(struct node *node);

/* The attributes as stat shows them. */
struct stat node_stat(const struct node *node);

#endif
