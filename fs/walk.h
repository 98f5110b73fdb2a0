/* SPDX-License-Identifier: Apache-2.0 */

/* Path walks: requests of one thread that belong to one system call. What a
 * later one asks may be answered as of the moment at which the call had begun
 * (struct request, since_ns), so a node that has just asked the leader for the
 * one need not ask again for the other.
 *
 *   GETATTR of the root, LOOKUP of a name there. The kernel checks whether a
 *     thread may search a directory before it looks up a name in it. It has no
 *     attributes of the root to do it with: they come by GETATTR only, and are
 *     to be kept for no time. (Linux: may_lookup() in fs/namei.c and
 *     fuse_permission() in fs/fuse/dir.c; default_permissions is always on.)
 *     Those of other directories come with LOOKUPs, too, and are kept for a
 *     moment, so that a LOOKUP there may belong to the next call.
 *   LOOKUP of a file, perhaps GETATTR of it, OPEN of it, since names are kept
 *     for no time. There are ways to open one anew without its name,
 *     /proc/self/fd among them; so they open what has just been removed, as
 *     they do on other filesystems.
 *
 * Whatever else the thread asks for in between ends the walk.
 *
 * Any thread. */

#ifndef GROVEFS_FS_WALK_H
#define GROVEFS_FS_WALK_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

enum { WALKS = 256, WALK_MS = 100 /* what takes longer counts for nothing */ };

struct walk {
    uint64_t id; /* the kernel's number of the inode that it has come to; 0:
                  * there is no walk */
    uint64_t began_ns;
};

struct walks {
    pthread_mutex_t lock;
    /* At their threads' number modulo WALKS; of two that meet there the newer
     * one. */
    struct {
        pid_t pid;
        struct walk walk;
    } of[WALKS];
};

/* In zeroed memory. */
void walk_init(struct walks *walks);

/* The thread `pid` (0: not known, which is not noted) has come so far. */
void walk_note(struct walks *walks, pid_t pid, struct walk walk);

/* The thread asks for something: takes its walk. */
struct walk walk_take(struct walks *walks, pid_t pid);

/* Since when one that goes on from the inode `id` has been walking; 0: it has
 * not come there, or is too old. */
uint64_t walk_since(struct walk walk, uint64_t id, uint64_t now_ns);

#endif
