/* SPDX-License-Identifier: Apache-2.0 */

/* Path walks: requests of one thread that belong to one system call.
 *
 * The kernel checks whether a thread may search a directory before it looks up
 * a name there. It has no attributes of the root to do it with: it gets them
 * from GETATTR only, and is to keep them for no time. So a LOOKUP in the root
 * has a GETATTR of the root in front of it, in the same system call, and may be
 * answered as of that moment (struct request, since_ns): a node that has just
 * asked the leader for the one need not ask again for the other.
 *
 * It holds for the root only. Attributes of others come with LOOKUPs too, and
 * are kept for a moment, so what is asked next may be another system call.
 * (Linux: may_lookup() in fs/namei.c, fuse_permission() in fs/fuse/dir.c;
 * default_permissions is always on.)
 *
 * Belongs to the reader thread. */

#ifndef GROVEFS_FS_WALK_H
#define GROVEFS_FS_WALK_H

#include <stdint.h>
#include <sys/types.h>

enum { WALKS = 256 };

/* Those that may go on, at their threads' number modulo WALKS; of two that meet
 * there the newer one. */
struct walks {
    struct {
        pid_t pid;
        uint64_t began_ns;
    } of[WALKS];
};

/* The root's attributes are asked for by the thread `pid` (0: not known, which
 * is not noted). */
void walk_begin(struct walks *walks, pid_t pid, uint64_t now_ns);

/* A name in the root is looked up: since when its thread has been walking; 0
 * when that is not known. */
uint64_t walk_go_on(struct walks *walks, pid_t pid);

#endif
