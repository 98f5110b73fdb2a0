/* SPDX-License-Identifier: Apache-2.0 */

/* The inodes that the kernel knows: their place in the tree by their number.
 *
 * The kernel names an inode by number only, the engine wants {directory,
 * name, number} for a file. The number is the engine's own in both worlds
 * (the root's excepted, which FUSE fixes as 1), so it means the same after a
 * restart. When another node has moved a file, its place here is outdated;
 * the engine then answers ERR_STALE and the kernel walks the path again. Our
 * own renames move the places along, so that open files stay usable.
 *
 * A file that is found where another node has moved it, while the kernel still
 * knows it at its old place, gets a number that is only the kernel's: for two
 * names of one inode, as for hard links, rename(2) would succeed without
 * asking us, and so have two winners.
 *
 * An inode lives while the kernel counts lookups on it or somebody here holds a
 * reference. Any thread; all fields but the constant ones are guarded by the
 * table's lock. */

#ifndef GROVEFS_FS_INODE_H
#define GROVEFS_FS_INODE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

/* uthash's default function has unmarked fall-throughs. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

#include "engine/engine.h"

struct handle;
struct op;

enum { INODE_ID_ROOT = 1 }; /* FUSE_ROOT_ID */

struct inode {
    uint64_t id;                  /* public, constant: the kernel's number */
    uint64_t ino;                 /* public, constant: the engine's */
    TAILQ_HEAD(, handle) handles; /* public: open files of this inode */
    TAILQ_HEAD(, op) waiting;     /* public: op.c's */
    unsigned busy_count;          /* public: op.c's */
    unsigned write_count;         /* public: local changes in place so far */
    unsigned move_count;          /* public: local renames so far */
    uint64_t staged_ns;           /* public: handle.c's */
    bool gone;                    /* public: removed through this mount */
    struct attr attr;             /* public: last seen */
    uint64_t fresh_until_ns;      /* public: `attr` is fresh so long ... */
    pid_t fresh_for;              /* public: ... for this thread */
    struct buf *last_content;     /* public: of a `gone` file; may be NULL */
    char *place;                  /* private from here on: nsid, name, \0 */
    bool indexed;                 /* it is by_place */
    uint64_t lookup_count;
    unsigned ref_count;
    UT_hash_handle by_id;
    UT_hash_handle by_place;
};

struct inode_table {
    pthread_mutex_t lock;
    struct inode *by_id;    /* private */
    struct inode *by_place; /* private; the newest of each place */
    uint64_t second_id;     /* private; the last number that is only the
                             * kernel's */
};

/* A place by value; `name` is empty for the root. */
struct place {
    uint64_t dir;
    char name[NAME_SIZE_MAX + 1];
};

/* Begins with the root, which is never forgotten. */
void inode_table_init(struct inode_table *table);

/* Frees every inode. Nothing may hold a reference any more. */
void inode_table_close(struct inode_table *table);

/* Asserts the invariants. */
void inode_table_check(struct inode_table *table);

/* The number under which users see an engine's inode. */
uint64_t inode_id_of_ino(uint64_t ino);

/* The namespace of a directory's number; 0 when it is not a directory's. */
uint64_t inode_nsid(uint64_t id);

/* An inode by number, with one reference more; NULL when it is not known. */
struct inode *inode_get(struct inode_table *table, uint64_t id);

/* An inode by place, with one reference more; NULL when it is not known. */
struct inode *inode_find(struct inode_table *table, uint64_t dir,
                         const char *name);

struct inode *inode_ref(struct inode_table *table, struct inode *inode);
void inode_unref(struct inode_table *table,
                 struct inode *inode); /* Takes NULL. */

/* The kernel is about to be told that `attr` is found at {dir, name}: counts
 * one lookup. Returns the kernel's number. */
uint64_t inode_remember(struct inode_table *table, uint64_t dir,
                        const char *name, const struct attr *attr);

/* The kernel forgets `count` lookups; unknown numbers are ignored. */
void inode_forget(struct inode_table *table, uint64_t id, uint64_t count);

/* Newer attributes of an inode have come in. */
void inode_saw(struct inode_table *table, struct inode *inode,
               const struct attr *attr);

/* The thread `pid` (0: not known) is about to be told `attr` of an inode. They
 * are fresh until `until_ns`, or until more is asked about the inode. */
void inode_told(struct inode_table *table, uint64_t id, const struct attr *attr,
                pid_t pid, uint64_t until_ns);

/* Is what this thread was told last still fresh? Then it is given back, or what
 * was seen since. */
bool inode_is_fresh(struct inode_table *table, const struct inode *inode,
                    pid_t pid, uint64_t now_ns, struct attr *ret_attr);

/* Where the inode is. With the lock held. */
void inode_place(const struct inode *inode, struct place *ret_place);

/* The last seen attributes of an inode, zeros when it is not known. */
struct attr inode_attr(struct inode_table *table, uint64_t id);

/* The namespace that a directory is in; the root is in itself. 0: unknown. */
uint64_t inode_parent(struct inode_table *table, uint64_t id);

/* What our own requests have done: the name is gone · it is elsewhere and has
 * replaced what was there · both have changed places. */
void inode_removed(struct inode_table *table, uint64_t dir, const char *name);
void inode_renamed(struct inode_table *table, const struct place *from,
                   const struct place *to);
void inode_exchanged(struct inode_table *table, const struct place *a,
                     const struct place *b);

#endif
