/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 128, PORT_DIGITS_MAX = 5 };

static int parse_port(uint16_t *ret, const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    unsigned long number;

    if (digits == 0 || digits > PORT_DIGITS_MAX || text[digits] != '\0')
        return ERR_INVALID;
    number = strtoul(text, NULL, 10);
    if (number > UINT16_MAX)
        return ERR_INVALID;
    *ret = (uint16_t)number;
    return 0;
}

int address_parse(struct address *ret, const char *text, struct err *e)
{
    const char *host = text;
    const char *colon = strrchr(text, ':');
    struct address address = {.port = 0};
    size_t host_size;

    if (colon == NULL || parse_port(&address.port, colon + 1) != 0)
        return err_set(e, ERR_INVALID, "address '%s': not HOST:PORT", text);
    host_size = (size_t)(colon - text);
    if (host_size >= 2 && host[0] == '[' && host[host_size - 1] == ']') {
        host++;
        host_size -= 2;
    } else if (memchr(host, ':', host_size) != NULL) {
        return err_set(e, ERR_INVALID,
                       "address '%s': an IPv6 address goes in brackets", text);
    }
    if (host_size == 0 || host_size >= sizeof address.host)
        return err_set(e, ERR_INVALID, "address '%s': no usable host", text);

    memcpy(address.host, host, host_size);
    *ret = address;
    return 0;
}

const char *address_format(const struct address *address,
                           char text[ADDRESS_TEXT_SIZE])
{
    const bool bare = strchr(address->host, ':') == NULL;

    (void)snprintf(text, ADDRESS_TEXT_SIZE, bare ? "%s:%u" : "[%s]:%u",
                   address->host, (unsigned)address->port);
    return text;
}

static int listen_on(const struct addrinfo *info, int *ret_fd)
{
    const int on = 1;
    const int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int number;

    if (fd < 0)
        return errno;
    /* Both fail only for wrong arguments; a node must be able to take its
     * port again while old connections linger. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 &&
        listen(fd, LISTEN_BACKLOG) == 0) {
        *ret_fd = fd;
        return 0;
    }
    number = errno;
    (void)close(fd); /* Nothing was written to it. */
    return number;
}

int address_listen(const struct address *address, int *ret_fd, struct err *e)
{
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE,
    };
    char text[ADDRESS_TEXT_SIZE];
    char service[PORT_DIGITS_MAX + 1];
    struct addrinfo *infos;
    int number;

    address_format(address, text);
    (void)snprintf(service, sizeof service, "%u", (unsigned)address->port);
    number = getaddrinfo(address->host, service, &hints, &infos);
    if (number != 0)
        return err_set(e, ERR_INVALID, "listen on %s: %s", text,
                       gai_strerror(number));
    number = listen_on(infos, ret_fd);
    freeaddrinfo(infos);
    if (number != 0)
        return err_set(e, err_from_errno(number), "listen on %s: %s", text,
                       strerror(number));
    return 0;
}

uint16_t address_port_of(int fd)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof name;
    const int rc = getsockname(fd, (struct sockaddr *)(void *)&name, &size);
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    assert(rc == 0);
    if (name.ss_family == AF_INET6) {
        memcpy(&in6, &name, sizeof in6);
        return ntohs(in6.sin6_port);
    }
    assert(name.ss_family == AF_INET);
    memcpy(&in, &name, sizeof in);
    return ntohs(in.sin_port);
}
