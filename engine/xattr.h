/* SPDX-License-Identifier: Apache-2.0 */

/* The extended attributes of one entry in one flat piece of bytes, as records
 * and the catalog keep them: for each its name's size and its value's size (2
 * bytes each, big endian), its name, its value; in the order in which they
 * were first set. All of it together is at most XATTRS_SIZE_MAX.
 *
 * Nothing here reads outside of malformed bytes; what comes behind the damage
 * is then not found. Names are not empty and at most XATTR_NAME_SIZE_MAX.
 * Any thread. */

#ifndef GROVEFS_ENGINE_XATTR_H
#define GROVEFS_ENGINE_XATTR_H

#include <stdbool.h>

#include "engine/engine.h"
#include "engine/kv.h"

/* The value is borrowed from `xattrs`. ERR_NO_DATA. */
int xattr_get(struct slice xattrs, struct slice name, struct slice *ret_value);

/* New bytes in which `name` has this value. `flags` may have
 * REQUEST_XATTR_CREATE (ERR_EXISTS when there is one) or _REPLACE (ERR_NO_DATA
 * when there is none). ERR_NO_SPACE over the limit. */
int xattr_set(struct slice xattrs, struct slice name, struct slice value,
              unsigned flags, struct buf **ret);

/* New bytes without `name`. ERR_NO_DATA. */
int xattr_remove(struct slice xattrs, struct slice name, struct buf **ret);

/* All names, each with a \0 behind it. */
struct buf *xattr_list(struct slice xattrs);

/* Whether these are bytes that xattr_set() could have made. */
bool xattr_check(struct slice xattrs);

#endif
