/* SPDX-License-Identifier: Apache-2.0 */

/* fs/: the tree as the kernel sees it, through libfuse's low-level interface.
 *
 *   kernel ──/dev/fuse──> session.c    one reader thread; it never waits
 *                            │
 *                     ops_*.c, special.c   take arguments apart and submit
 *                            │
 *                          op.c ── engine_submit() ──> engine
 *                            │                            │
 *   kernel <──fuse_reply── done callbacks <── engine threads, or at once
 *
 * A FUSE operation has two halves: op_x() submits, x_done() replies. What the
 * engine cannot answer at once is parked with an interrupt function and is
 * answered from an engine's thread.
 *
 * The kernel caches nothing that another node could change: names for no
 * time, attributes for one jiffy after a LOOKUP, contents never (direct_io).
 *
 * Files, in the order in which they are best read:
 *   main.c      from arguments to the exit status
 *   options.c   the one table of options: command line, file, --help
 *   mount.c     the mountpoint: checks, a dead mount, attaching, detaching
 *   start.c     into the background; the parent learns how it went
 *   serve.c     engine + mount + session: starting, readiness, stopping
 *   sink.c      where log lines go
 *   session.c   the loop, the INIT reply, the table of operations
 *   op.c        one request of the kernel on its way through the engine
 *   inode.c      inode numbers of the kernel <-> names in the engine
 *   handle.c    open files: staged truncations, kept contents
 *   dirpos.c    which name was at which offset of a directory listing
 *   walk.c      which requests belong to one system call
 *   ops_name.c  LOOKUP, CREATE, MKDIR, SYMLINK and what else adds names
 *   ops_move.c  UNLINK, RMDIR, RENAME: what takes names away
 *   ops_attr.c  GETATTR, SETATTR, STATFS
 *   ops_data.c  OPEN, READ, RELEASE
 *   ops_write.c WRITE, FLUSH, FSYNC and the staged truncations
 *   ops_dir.c   OPENDIR, READDIR
 *   ops_xattr.c extended attributes
 *   special.c   /.cluster
 *   events.c    /.cluster/events, which has no end
 *
 * This folder knows engine/engine.h and libfuse, and nothing about nodes,
 * regions or Raft.
 *
 * Locks, outermost first: libfuse's lock of a request (held while it calls
 * on_interrupt() of op.c), op->lock, the engine's own. inodes.lock guards
 * inodes and handles and is held for a few instructions, never over a call to
 * libfuse or the engine. */

#ifndef GROVEFS_FS_FS_H
#define GROVEFS_FS_FS_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "fs/inode.h"
#include "fs/walk.h"

struct fuse_session;

struct fs {
    struct engine *engine;
    struct fuse_session *session; /* constant from session_open() on */
    struct inode_table inodes;
    struct walks walks;
    /* Open files of /.cluster, which have no inode; guarded by inodes.lock.
     * Those that are open when the mount ends get no RELEASE any more. */
    TAILQ_HEAD(, handle) special;
    size_t kept_size;     /* bytes of kept contents; guarded by inodes.lock */
    atomic_uint op_count; /* requests of the kernel that are under way */
};

/* Attribute timeout in LOOKUP replies: one jiffy, less the age of an answer as
 * of an earlier moment (walk.h). The GETATTR that follows a LOOKUP within one
 * path walk is saved, and no later stat(2) is answered by it, because every
 * path walk begins with a LOOKUP. None near a truncation (op_stage()). */
enum { FS_ATTR_FRESH_NS = 4 * 1000 * 1000 };

enum { FS_BLOCK_SIZE = WRITE_SIZE_MAX }; /* st_blksize: cp writes that much */

#endif
