/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/session.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/clock.h"
#include "fs/ops.h"
#include "fs/special.h"

enum {
    SPIN_NS = 20000,
    BACKGROUND_MAX = 128, /* the kernel's default of 12 starves readahead */
    CONGESTION_THRESHOLD = 96,
};

/* What is answered to INIT. PARALLEL_DIROPS is not here: libfuse 3.14 counts
 * it as wanted but never sends it (see io_writev()). */
#define WANTED (FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC)

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->want = WANTED & conn->capable;
    conn->max_write = WRITE_SIZE_MAX;
    conn->max_background = BACKGROUND_MAX;
    conn->congestion_threshold = CONGESTION_THRESHOLD;
    conn->time_gran = 1;
}

/* Left out on purpose, so that the kernel does it: access (default_permissions
 * is on), locks (on this node), lseek, copy_file_range, readdirplus; and poll,
 * which would make io_uring ask for every read. */
static const struct fuse_lowlevel_ops operations = {
    /* clang-format off */
    .init         = on_init,
    .lookup       = op_lookup,
    .forget       = op_forget,
    .forget_multi = op_forget_multi,
    .getattr      = op_getattr,
    .setattr      = op_setattr,
    .readlink     = op_readlink,
    .mknod        = op_mknod,
    .mkdir        = op_mkdir,
    .unlink       = op_unlink,
    .rmdir        = op_rmdir,
    .symlink      = op_symlink,
    .rename       = op_rename,
    .link         = op_link,
    .open         = op_open,
    .read         = op_read,
    .write        = op_write,
    .flush        = op_flush,
    .release      = op_release,
    .fsync        = op_fsync,
    .opendir      = op_opendir,
    .readdir      = op_readdir,
    .releasedir   = op_releasedir,
    .fsyncdir     = op_fsyncdir,
    .statfs       = op_statfs,
    .setxattr     = op_setxattr,
    .getxattr     = op_getxattr,
    .listxattr    = op_listxattr,
    .removexattr  = op_removexattr,
    .create       = op_create,
    .ioctl        = op_ioctl,
    .fallocate    = op_fallocate,
    /* clang-format on */
};

/* ---- the descriptor ---- */

/* libfuse gives its callbacks the mount's userdata only; there is one session
 * in a process. */
static struct session *the_session;

/* Remembers what the kernel offers in its INIT. */
static ssize_t io_read(int fd, void *buffer, size_t size, void *userdata)
{
    const ssize_t got = read(fd, buffer, size);
    const struct fuse_in_header *header = buffer;

    (void)userdata;
    if (!the_session->init_replied &&
        got >= (ssize_t)(sizeof *header + sizeof(struct fuse_init_in)) &&
        header->opcode == FUSE_INIT) {
        struct fuse_init_in init;

        memcpy(&init, header + 1, sizeof init);
        the_session->offered_flags = init.flags;
    }
    return got;
}

/* The INIT reply gets the flag that libfuse forgets: without PARALLEL_DIROPS
 * one LOOKUP that waits holds up all others in that directory. */
static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    struct fuse_init_out out;

    (void)userdata;
    if (the_session->init_replied)
        return writev(fd, iov, count);

    the_session->init_replied = true;
    if (count == 2 && iov[1].iov_len == sizeof out) {
        memcpy(&out, iov[1].iov_base, sizeof out);
        out.flags |= FUSE_PARALLEL_DIROPS & the_session->offered_flags;
        memcpy(iov[1].iov_base, &out, sizeof out);
    }
    return writev(fd, iov, count);
}

/* ---- opening ---- */

/* libfuse's complaints about options and mounting, for one clear line. It says
 * them in several pieces. */
static struct err complaint;

static void keep_complaint(enum fuse_log_level level, const char *format,
                           va_list args)
{
    const size_t used = strlen(complaint.text);

    if (level <= FUSE_LOG_WARNING)
        (void)vsnprintf(complaint.text + used, sizeof complaint.text - used,
                        format, args); /* Cut if long. */
}

/* The complaint as one line without "fuse: ", or `fallback`. */
static const char *complaint_line(const char *fallback)
{
    static const char prefix[] = "fuse: ";
    char *text = complaint.text;

    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, prefix, sizeof prefix - 1) == 0)
        text += sizeof prefix - 1;
    return text[0] != '\0' ? text : fallback;
}

static void log_complaint(enum fuse_log_level level, const char *format,
                          va_list args)
{
    char text[LOG_LINE_SIZE];

    if (level > FUSE_LOG_WARNING)
        return;
    (void)vsnprintf(text, sizeof text, format, args); /* Cut if long. */
    text[strcspn(text, "\n")] = '\0';
    log_line(LOG_WARN, "fuse", "%s", text);
}

int session_open(struct session *session, struct fuse_args *args, struct fs *fs,
                 struct err *e)
{
    *session = (struct session){.fuse = NULL};
    the_session = session;
    fuse_set_log_func(keep_complaint);
    session->fuse = fuse_session_new(args, &operations, sizeof operations, fs);
    fs->session = session->fuse;
    if (session->fuse == NULL)
        return err_set(e, ERR_INVALID, "%s",
                       complaint_line("bad mount options"));
    return 0;
}

int session_mount(struct session *session, const char *mountpoint,
                  struct err *e)
{
    const struct fuse_custom_io io = {.read = io_read, .writev = io_writev};
    int fd;

    if (fuse_session_mount(session->fuse, mountpoint) != 0)
        return err_set(e, ERR_IO, "cannot mount on '%s': %s", mountpoint,
                       complaint_line("failed"));
    fuse_set_log_func(log_complaint);
    fd = fuse_session_fd(session->fuse);
    if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
        return err_set(e, ERR_IO, "fcntl: %s", strerror(errno));
    if (fuse_session_custom_io(session->fuse, &io, fd) != 0)
        return err_set(e, ERR_IO, "libfuse refuses custom I/O");
    return 0;
}

void session_unmount(struct session *session, bool detached)
{
    struct pollfd fd;

    if (session->fuse == NULL)
        return;
    fd = (struct pollfd){.fd = fuse_session_fd(session->fuse)};
    if (detached && (poll(&fd, 1, 0) != 1 || (fd.revents & POLLERR) == 0))
        return;
    fuse_session_unmount(session->fuse);
}

void session_close(struct session *session)
{
    if (session->fuse != NULL)
        fuse_session_destroy(session->fuse);
    session->fuse = NULL;
}

/* ---- the loop ---- */

/* Takes and handles one request. False when there is none. */
static bool serve_one(struct session *session, struct fuse_buf *buffer)
{
    const int got = fuse_session_receive_buf(session->fuse, buffer);

    if (got <= 0)
        return false; /* None, or exited: the caller looks. */
    fuse_session_process_buf(session->fuse, buffer);
    return true;
}

/* Serves until nothing has come for SPIN_NS. A thread that this one has woken
 * may have been put behind it on the same processor. */
static void serve_burst(struct session *session, struct fuse_buf *buffer)
{
    uint64_t last = clock_now_ns();

    while (!fuse_session_exited(session->fuse)) {
        if (serve_one(session, buffer))
            last = clock_now_ns();
        else if (clock_now_ns() - last > SPIN_NS)
            return;
        else
            (void)sched_yield();
    }
}

enum session_end session_run(struct session *session, int signal_fd)
{
    struct fuse_buf buffer = {.mem = NULL};
    struct pollfd fds[] = {
        {.fd = fuse_session_fd(session->fuse), .events = POLLIN},
        {.fd = signal_fd, .events = POLLIN},
    };
    enum session_end end = SESSION_UNMOUNTED;

    op_reader_thread();
    while (!fuse_session_exited(session->fuse)) {
        serve_burst(session, &buffer);
        if (fuse_session_exited(session->fuse))
            break;
        if (fds[1].revents != 0) {
            end = SESSION_SIGNALED;
            break;
        }
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
            fds[1].revents = 0; /* EINTR: once more. */
    }
    free(buffer.mem);
    return end;
}
