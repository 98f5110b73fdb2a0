/* SPDX-License-Identifier: Apache-2.0 */

/* Several files, and names of directories, on their way between an eventual
 * directory and the regions of a strong one: items of size (4 bytes, big
 * endian) and a record (eventual_encode(), eventual_decode_item()). Any thread.
 */

#ifndef GROVEFS_ENGINE_EVENTUAL_ITEMS_H
#define GROVEFS_ENGINE_EVENTUAL_ITEMS_H

#include "engine/eventual_record.h"

enum { EVENTUAL_ITEMS_SIZE = 256 * 1024 }; /* one alone may be larger */

/* Zeroed: none. */
struct eventual_items {
    uint8_t *bytes; /* owned */
    size_t size;
    size_t size_max; /* private */
};

/* Adds one, unless there is no room for it: `*ret_full`. ERR_NO_MEMORY. */
int eventual_items_add(struct eventual_items *items,
                       const struct eventual_record *record, bool *ret_full);
void eventual_items_release(struct eventual_items *items);

/* The record at `*at`, which moves behind it. False: there is none that is
 * whole. */
bool eventual_items_next(struct slice items, size_t *at, struct slice *ret);

#endif
