/* SPDX-License-Identifier: Apache-2.0 */

/* Between conn.c (making and ending a connection) and conn_io.c (what goes
 * through it); nobody else includes this. */

#ifndef GROVEFS_ENGINE_CONN_IO_H
#define GROVEFS_ENGINE_CONN_IO_H

#include "engine/conn.h"

/* The only place where the state changes; only ever forward. */
void conn_become(struct conn *conn, enum conn_state state);

/* Closes because of a libuv error. */
void conn_fail_uv(struct conn *conn, int status);

/* The socket is connected: says hello and reads from now on. */
void conn_greet(struct conn *conn);

#endif
