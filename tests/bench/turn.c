/* SPDX-License-Identifier: Apache-2.0 */

/* turn [SECONDS]: what one turn of 128 bytes there and 128 back costs between
 * two processes over loopback TCP, without any work at the other end. A commit
 * that a follower must acknowledge cannot be answered sooner. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/measure.h"

enum { MESSAGE_SIZE = 128 };

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
        die("TCP_NODELAY: %s", strerror(errno));
    return fd;
}

/* Listens on a free loopback port, which it puts into `address`. */
static int tcp_listen(struct sockaddr_in *address)
{
    int fd = tcp_socket();
    socklen_t size = sizeof *address;

    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)address, size) != 0 || listen(fd, 1) != 0)
        die("listen: %s", strerror(errno));
    if (getsockname(fd, (struct sockaddr *)address, &size) != 0)
        die("getsockname: %s", strerror(errno));
    return fd;
}

/* Reads one whole message; false at the end of the stream. */
static bool receive(int fd, char *message)
{
    ssize_t size = recv(fd, message, MESSAGE_SIZE, MSG_WAITALL);

    if (size < 0)
        die("recv: %s", strerror(errno));
    return size == MESSAGE_SIZE;
}

static void transmit(int fd, const char *message)
{
    if (send(fd, message, MESSAGE_SIZE, MSG_NOSIGNAL) != MESSAGE_SIZE)
        die("send: %s", strerror(errno));
}

static _Noreturn void echo(int listener)
{
    char message[MESSAGE_SIZE];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* Not to wait for nobody. */

    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int one = 1;

    if (fd < 0)
        die("accept: %s", strerror(errno));
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
        die("TCP_NODELAY: %s", strerror(errno));
    while (receive(fd, message))
        transmit(fd, message);
    _exit(0);
}

static void measure(int fd, double seconds)
{
    static struct hist hist;
    char message[MESSAGE_SIZE] = "turn";
    uint64_t begin_ns = clock_ns();
    uint64_t end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    uint64_t before_ns = begin_ns;

    while (before_ns < end_ns) {
        transmit(fd, message);
        if (!receive(fd, message))
            die("the other end left");

        uint64_t now_ns = clock_ns();

        hist_add(&hist, now_ns - before_ns);
        before_ns = now_ns;
    }
    measure_print("turn", 1, &hist, seconds, hist.count);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1.0;
    struct sockaddr_in address;
    int listener = tcp_listen(&address);
    pid_t child = fork();

    if (child < 0)
        die("fork: %s", strerror(errno));
    if (child == 0)
        echo(listener);

    int fd = tcp_socket();

    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect: %s", strerror(errno));
    measure(fd, seconds);
    close(fd);
    close(listener);
    return waitpid(child, NULL, 0) == child ? 0 : 1;
}
