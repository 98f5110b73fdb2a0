/* SPDX-License-Identifier: Apache-2.0 */

/* What has changed in the eventual namespaces of this node behind a cursor, as
 * another node gets it: the index of changes (class 'i') is gone through, and
 * what the other one has already, by its own account, is left out.
 *
 * Runs on region 0's owner, where nothing changes meanwhile. */

#ifndef GROVEFS_ENGINE_EVENTUAL_SCAN_H
#define GROVEFS_ENGINE_EVENTUAL_SCAN_H

#include "engine/node.h"

enum { EVENTUAL_SCAN_KEYS_MAX = 4096 }; /* that one scan looks at */

struct eventual_scan {
    uint64_t cursor;              /* public: in; begins behind this number */
    uint64_t shown;               /* ends with this one: eventual_shown() */
    uint64_t origins[NODES_MAX];  /* of these nodes' own changes ... */
    uint64_t received[NODES_MAX]; /* ... those up to here are left out */
    size_t origin_count;
    size_t bytes_max; /* of items; one is always taken */
    /* An entry that cannot be read (eventual_damage.h) is passed over; the
     * empty name: it cannot be told which, which ends the scan. NULL: both do.
     */
    void (*on_damage)(void *context, uint64_t nsid, struct slice name);
    void *context;

    struct buf *items; /* public: out; see struct eventual_merge. The caller's
                        * reference; NULL: none */
    size_t item_count;
    uint64_t last; /* all up to this number are in it, or left out; greater
                    * than the cursor unless it is complete */
    bool complete; /* there is nothing behind that, and last is `shown` */
};

/* Also deletes the index keys that it meets and that lead nowhere. Without an
 * item it may still not be complete: EVENTUAL_SCAN_KEYS_MAX. ERR_CORRUPT,
 * ERR_IO, ERR_NO_MEMORY: there are no items. */
int eventual_scan_run(struct kv *state, struct eventual_scan *scan);

#endif
