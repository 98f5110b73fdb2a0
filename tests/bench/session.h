/* SPDX-License-Identifier: Apache-2.0 */

/* How nullfs talks to the kernel: the same as session.c of fs/, so that the
 * benchmark does not compare two ways of reading /dev/fuse. One session in a
 * process, one thread. Errors end the program. */

#ifndef TESTS_BENCH_SESSION_H
#define TESTS_BENCH_SESSION_H

#define FUSE_USE_VERSION 312

#include <fuse_lowlevel.h>

/* Mounts, and puts our reads and writes in the place of libfuse's. */
void session_mount(struct fuse_session *session, const char *mountpoint);

/* Serves until the mount is gone or a signal asked to leave. */
void session_serve(struct fuse_session *session);

#endif
