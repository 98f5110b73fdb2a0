/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/sink.h"

static int report_fd = -1; /* the child's end of the pipe */
static atomic_bool reported;

static void print_error(const char *text)
{
    (void)fprintf(stderr, "grovefs: %s\n", text); /* Nobody left to tell. */
}

/* The report is "" for success (one \0), or the error's text. */
static void wait_for_report(int fd)
{
    char text[ERR_TEXT_SIZE];
    size_t used = 0;
    ssize_t got;

    do {
        got = read(fd, text + used, sizeof text - 1 - used);
        used += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    text[used] = '\0';

    if (used == 1 && text[0] == '\0')
        _exit(EXIT_SUCCESS);
    print_error(used > 0 ? text : "the daemon ended unexpectedly");
    _exit(EXIT_FAILURE);
}

/* stderr stays where log lines make sense: a file or the journal. A terminal
 * or a pipe belongs to the caller, who goes on without us. */
static void leave_terminal(void)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct stat st;

    (void)setsid(); /* Fails only for a leader, which a child is not. */
    if (null < 0)
        return;
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    if (!sink_is_journal() &&
        (fstat(STDERR_FILENO, &st) != 0 || !S_ISREG(st.st_mode)))
        (void)dup2(null, STDERR_FILENO);
    (void)close(null);
}

void start_begin(bool foreground)
{
    int fds[2];
    pid_t child;

    if (foreground)
        return;
    if (pipe2(fds, O_CLOEXEC) != 0 || (child = fork()) < 0) {
        print_error(strerror(errno));
        exit(EXIT_FAILURE);
    }
    if (child > 0) {
        (void)close(fds[1]);
        wait_for_report(fds[0]);
    }
    (void)close(fds[0]);
    report_fd = fds[1];
    leave_terminal();
}

static void report(const char *text, size_t size)
{
    if (write(report_fd, text, size) < 0)
        return; /* The parent was killed: nobody waits. */
    (void)close(report_fd);
    report_fd = -1;
}

void start_succeeded(void)
{
    if (atomic_exchange(&reported, true) || report_fd < 0)
        return;
    report("", 1);
    if (chdir("/") != 0)
        return; /* Then it stays, and keeps that folder's mount busy. */
}

void start_failed(const char *text)
{
    if (atomic_exchange(&reported, true))
        return;
    if (report_fd < 0)
        print_error(text);
    else
        report(text, strlen(text));
}
