/* SPDX-License-Identifier: Apache-2.0 */

/* HOST:PORT as people write it, and the listening socket made from it.
 *
 * An IPv6 address stands in brackets: [::1]:7420. */

#ifndef GROVEFS_ENGINE_ADDRESS_H
#define GROVEFS_ENGINE_ADDRESS_H

#include <stdint.h>

#include "raft/base/err.h"

enum { ADDRESS_HOST_SIZE = 256, ADDRESS_TEXT_SIZE = ADDRESS_HOST_SIZE + 8 };

struct address {
    char host[ADDRESS_HOST_SIZE]; /* a name or a number, without brackets */
    uint16_t port;
};

/* Returns 0, or ERR_INVALID with what is wrong. */
int address_parse(struct address *ret, const char *text, struct err *e);

/* HOST:PORT, with brackets where they are needed. Returns `text`. */
const char *address_format(const struct address *address,
                           char text[ADDRESS_TEXT_SIZE]);

/* A bound and listening TCP socket, made before the program goes into the
 * background so that the user sees what is wrong. May wait for DNS. Port 0
 * takes a free one. ERR_ADDRESS_IN_USE, ERR_ACCESS, ERR_INVALID for a name
 * that is not known here, ERR_IO. */
int address_listen(const struct address *address, int *ret_fd, struct err *e);

/* The port that a socket is bound to. */
uint16_t address_port_of(int fd);

#endif
