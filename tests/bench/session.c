/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/bench/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/measure.h"

enum {
    SPIN_NS = 20000,
    POLL_MS = 500, /* A signal that comes just before the poll waits so long. */
};

static uint64_t init_unique; /* Of the INIT request; 0 = not seen. */
static bool parallel_offered;

/* Notes the INIT request on its way in ... */
static ssize_t io_read(int fd, void *data, size_t size, void *userdata)
{
    ssize_t got = read(fd, data, size);
    const struct fuse_in_header *in = data;
    const struct fuse_init_in *init = (const void *)(in + 1);
    size_t known = sizeof *in + offsetof(struct fuse_init_in, flags2);

    (void)userdata;
    if (init_unique == 0 && got >= (ssize_t)known && in->opcode == FUSE_INIT) {
        init_unique = in->unique;
        parallel_offered = (init->flags & FUSE_PARALLEL_DIROPS) != 0;
    }
    return got;
}

/* ... and puts PARALLEL_DIROPS into its reply, which libfuse 3.14 forgets. */
static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    const struct fuse_out_header *out = iov[0].iov_base;

    (void)userdata;
    if (parallel_offered && out->unique == init_unique) {
        parallel_offered = false;
        if (out->error == 0 && count > 1) {
            struct fuse_init_out *init = iov[1].iov_base;

            init->flags |= FUSE_PARALLEL_DIROPS;
        }
    }
    return writev(fd, iov, count);
}

void session_mount(struct fuse_session *session, const char *mountpoint)
{
    static const struct fuse_custom_io io = {.writev = io_writev,
                                             .read = io_read};

    if (fuse_session_mount(session, mountpoint) != 0)
        die("mount '%s' failed", mountpoint);

    int fd = fuse_session_fd(session);
    int flags = fcntl(fd, F_GETFL);

    if (fuse_session_custom_io(session, &io, fd) != 0)
        die("libfuse does not take our reads and writes");
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        die("O_NONBLOCK on /dev/fuse: %s", strerror(errno));
}

/* Reads without blocking while requests keep coming: waking a sleeping thread
 * costs more than most requests do. */
void session_serve(struct fuse_session *session)
{
    struct pollfd ready = {.fd = fuse_session_fd(session), .events = POLLIN};
    struct fuse_buf request = {.mem = NULL};
    uint64_t last_ns = clock_ns();

    while (!fuse_session_exited(session)) {
        int rc = fuse_session_receive_buf(session, &request);

        if (rc > 0) {
            fuse_session_process_buf(session, &request);
            last_ns = clock_ns();
        } else if (rc == -EAGAIN) {
            if (clock_ns() - last_ns > SPIN_NS)
                (void)poll(&ready, 1, POLL_MS); /* Timeout, EINTR: go on. */
            else
                (void)sched_yield();
        } else if (rc != -EINTR) {
            break; /* Unmounted. */
        }
    }
    free(request.mem);
}
