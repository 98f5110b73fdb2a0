/* SPDX-License-Identifier: Apache-2.0 */

/* User keys as people see them: the bounds of a region are shown as paths, and
 * a place to split at is written as one.
 *
 *   /app/users/m   the name `m` in the directory /app/users, whether there is
 *                  such a name or not
 *   /app/users/    where that directory's own range begins, before all names
 *   #12/m          the same in the directory with the namespace id 12, which
 *                  the catalog does not have, or not yet
 *   -              no bound
 *
 * Bytes outside 0x21-0x7e and `\` are written as \ooo, three octal digits.
 * What people write may have any byte but \0 as it is.
 *
 * The catalog in state/ is asked as it is, without waiting for anything. */

#ifndef GROVEFS_ENGINE_KEY_PATH_H
#define GROVEFS_ENGINE_KEY_PATH_H

#include <stdio.h>

#include "engine/keys.h"

/* Prints a user key (nsid + name, without a class); an empty one is `-`. */
void key_path_print(FILE *out, struct kv *state, struct slice user_key);

/* Prints a directory's path, without a slash at its end; the root's is `/`. One
 * that the catalog does not have is #nsid. */
void key_path_print_directory(FILE *out, struct kv *state, uint64_t nsid);

/* Prints bytes as they are in a path. */
void key_path_print_bytes(FILE *out, struct slice text);

/* The same for a line of the log, which has room for two of them: of a long one
 * the end, behind "...". Any thread. */
enum { SHOWN_PATH_SIZE = 88 };
struct shown_path {
    char text[SHOWN_PATH_SIZE];
};
struct shown_path key_path_show(struct kv *state, uint64_t nsid);

/* Takes a path apart. `ret` is the user key without a class. ERR_INVALID: not
 * a path as above (`-` is none here); ERR_NAME_TOO_LONG; ERR_NOT_FOUND: one of
 * its directories is not there; ERR_CORRUPT, ERR_IO. */
int key_path_parse(struct kv *state, struct slice text, struct key *ret);

#endif
