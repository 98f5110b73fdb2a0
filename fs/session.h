/* SPDX-License-Identifier: Apache-2.0 */

/* The connection to the kernel: mounts, reads requests, calls the operations.
 *
 * One thread reads. After each request it looks for the next one for 20 us
 * without sleeping, which saves a wake-up when one process works through the
 * mount, and then sleeps in poll(2); idle costs nothing. Between two looks it
 * lets others go first that wait for its processor: most often the engine's
 * worker, to which it has just handed a request, is among them. Requests that
 * wait for a majority are answered by the engine's threads, so one reader is
 * enough. */

#ifndef GROVEFS_FS_SESSION_H
#define GROVEFS_FS_SESSION_H

#include "fs/op.h"

struct session {
    struct fuse_session *fuse; /* private */
    uint32_t offered_flags;    /* private: of the kernel's INIT */
    bool init_replied;         /* private */
};

enum session_end {
    SESSION_UNMOUNTED, /* by umount(8), or the connection was aborted */
    SESSION_SIGNALED   /* something came through the signal descriptor */
};

/* Prepares a session with libfuse's arguments (mount options). Errors:
 * ERR_INVALID for an option that nobody knows. */
int session_open(struct session *session, struct fuse_args *args, struct fs *fs,
                 struct err *e);

/* Mounts. Requests wait in the kernel until session_run(). */
int session_mount(struct session *session, const char *mountpoint,
                  struct err *e);

/* Serves until unmounted, or until `signal_fd` becomes readable; then all
 * requests that are there already have been taken. The calling thread is the
 * reader. */
enum session_end session_run(struct session *session, int signal_fd);

/* Closes the connection, also when half-open. No op may be under way. */
void session_close(struct session *session);

/* Lets libfuse unmount, which it can also for those who may not call
 * umount(2). A mount that is `detached` already must not be taken for what
 * lies below it: then only if the connection has ended too. */
void session_unmount(struct session *session, bool detached);

#endif
