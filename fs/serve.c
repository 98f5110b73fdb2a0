/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "fs/mount.h"
#include "fs/session.h"
#include "fs/start.h"

enum {
    /* A one-node store is ready as soon as it has read itself in. A node
     * with peers may wait for them for long, and its starter should not. */
    READY_WAIT_MS = 10000,
    READY_WAIT_PEERS_MS = 2000,
    READY_SLICE_MS = 100,
    /* At the end, for what is under way; longer waits are canceled. */
    OPS_WAIT_MS = 1000,
};

struct daemon {
    struct fs fs;
    struct mount mount;
    struct session session;
    bool mounted;
    bool started; /* the engine */
    uint64_t ready_wait_ms;
    atomic_bool stopping;
    pthread_t watcher;
    struct err refusal; /* the watcher's; why the cluster does not want us */
};

/* The store cannot be trusted any more: nobody may be served from here on. */
static void on_fatal(void *context, const char *reason)
{
    const struct daemon *daemon = context;

    log_line(LOG_ERROR, "engine", "fatal reason=\"%s\"", reason);
    if (daemon->mounted)
        (void)mount_detach(&daemon->mount); /* We end in any case. */
    start_failed(reason);
    _exit(EXIT_FAILURE);
}

static int open_engine(struct daemon *daemon, const struct options *options,
                       struct err *e)
{
    const struct engine_config config = {
        .data_dir = options->data,
        .listen = options->listen,
        .advertise = options->advertise,
        .peers = options->peers,
        .join = options->join,
        .node_id = options->id,
        .op_timeout_ms = options->op_timeout_ms,
        .value_size_max = options->value_size_max,
        .log_keep = options->log_keep,
        .check_interval_ms = options->check_interval_ms,
        .workers = options->workers,
        .on_fatal = on_fatal,
        .on_fatal_context = daemon,
    };

    return engine_open(&daemon->fs.engine, &config, e);
}

/* ---- readiness ---- */

/* Waits in slices, so that stopping is not held up. Tells the parent when the
 * node is ready, or when it has waited long enough; systemd only when it is
 * ready. */
static void *watch(void *context)
{
    struct daemon *daemon = context;
    uint64_t waited_ms = 0;
    struct err e = ERR_INIT;
    int rc = ERR_NO_QUORUM;

    (void)sd_notify(0, "STATUS=waiting for the cluster");
    while (rc == ERR_NO_QUORUM && !daemon->stopping) {
        rc = engine_wait_ready(daemon->fs.engine, READY_SLICE_MS, &e);
        waited_ms += READY_SLICE_MS;
        if (rc == 0 || waited_ms >= daemon->ready_wait_ms)
            start_succeeded();
    }
    if (rc == 0) {
        (void)sd_notify(0, "READY=1\nSTATUS=serving");
        log_line(LOG_INFO, "fs", "ready path=%s", daemon->mount.path);
    } else if (!daemon->stopping) {
        log_line(LOG_ERROR, "fs", "refused reason=\"%s\"", e.text);
        daemon->refusal = e;
        (void)kill(getpid(), SIGTERM); /* The reader ends the rest. */
    }
    return NULL;
}

/* ---- the parts in order ---- */

/* Signals are read by the reader thread; every thread inherits the mask. */
static int open_signals(bool foreground)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (foreground)
        (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int bring_up(struct daemon *daemon, struct options *options,
                    struct err *e)
{
    int rc = session_open(&daemon->session, &options->fuse, &daemon->fs, e);

    if (rc == 0)
        rc = open_engine(daemon, options, e);
    if (rc == 0)
        rc = mount_clear(&daemon->mount, e);
    if (rc == 0)
        rc = session_mount(&daemon->session, daemon->mount.path, e);
    if (rc != 0)
        return rc;

    daemon->mounted = true;
    rc = engine_start(daemon->fs.engine, e);
    daemon->started = rc == 0;
    if (rc == 0 && pthread_create(&daemon->watcher, NULL, watch, daemon) != 0)
        rc = err_set(e, ERR_NO_MEMORY, "cannot start a thread");
    return rc;
}

/* Writes, and the truncations of closes, that are nearly through end well. */
static void wait_for_ops(const struct fs *fs)
{
    for (int i = 0; fs->op_count > 0 && i < OPS_WAIT_MS; i++)
        (void)usleep(1000);
}

/* First nobody new gets in, then what is under way ends, then the connection
 * closes: engine threads answer through it until engine_stop() returns. */
static void take_down(struct daemon *daemon, enum session_end end)
{
    bool detached = end == SESSION_UNMOUNTED || !daemon->mounted;

    if (!detached)
        detached = mount_detach(&daemon->mount);
    wait_for_ops(&daemon->fs);
    if (daemon->started)
        engine_stop(daemon->fs.engine);
    session_unmount(&daemon->session, detached);
    session_close(&daemon->session);
    engine_close(daemon->fs.engine);
}

static int run(struct daemon *daemon, int signal_fd)
{
    enum session_end end = session_run(&daemon->session, signal_fd);

    log_line(LOG_INFO, "fs", "stopping reason=%s",
             end == SESSION_SIGNALED ? "signal" : "unmounted");
    (void)sd_notify(0, "STOPPING=1");
    daemon->stopping = true;
    (void)pthread_join(daemon->watcher, NULL); /* Joinable, not this one. */
    take_down(daemon, end);
    if (daemon->refusal.text[0] != '\0') {
        start_failed(daemon->refusal.text);
        return EXIT_FAILURE;
    }
    start_failed("stopped before it was ready"); /* Unless it was. */
    return EXIT_SUCCESS;
}

int serve(struct options *options)
{
    static struct daemon daemon; /* on_fatal() may use it until the end */
    struct err e = ERR_INIT;
    int status = EXIT_FAILURE;
    int signal_fd;

    daemon.ready_wait_ms = options->peers == NULL && options->join == NULL
                               ? READY_WAIT_MS
                               : READY_WAIT_PEERS_MS;
    if (mount_check(&daemon.mount, options->mountpoint, &e) != 0) {
        start_failed(e.text);
        mount_release(&daemon.mount);
        return status;
    }

    start_begin(options->foreground);
    inode_table_init(&daemon.fs.inodes);
    walk_init(&daemon.fs.walks);
    TAILQ_INIT(&daemon.fs.special);
    signal_fd = open_signals(options->foreground);
    if (bring_up(&daemon, options, &e) == 0) {
        status = run(&daemon, signal_fd);
    } else {
        take_down(&daemon, SESSION_SIGNALED);
        start_failed(e.text);
    }
    mount_release(&daemon.mount);
    return status;
}
