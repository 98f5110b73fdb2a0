/* SPDX-License-Identifier: Apache-2.0 */

/* The consistency check of a region's replicas, one `struct check` per peer.
 *
 *     leader     proposes CHECK
 *     replicas   each, right behind that entry, takes a view of its state and
 *                has it hashed on ENV_BULK: all that a snapshot would carry
 *     replicas   tell the hash to all nodes (status.h)
 *     leader     waits for its own, and then for those of the replicas that
 *                can be reached, but not longer than CHECK_WAIT_MS or than it
 *                took itself; what a majority of the voters has is right
 *     leader     proposes VERIFY with that verdict
 *     replicas   each compares with its own hash, whenever that is ready; the
 *                one that differs is damaged: see peer_damage.c
 *
 * 1. A check is named by the index of its CHECK. Nothing else identifies it,
 *    so what two leaders do after each other cannot be mixed up.
 * 2. A replica judges itself, by a committed verdict only. One that has no
 *    hash of that index (it was restarted, or restored since) is not judged.
 * 3. Where no majority agrees nobody is judged; the verdict says so.
 * 4. Writes go on: nothing waits for a hash.
 *
 * Belongs to ENV_WORKER, except for what says otherwise. */

#ifndef GROVEFS_ENGINE_CHECK_H
#define GROVEFS_ENGINE_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include "engine/command.h"
#include "engine/peer.h"

enum {
    CHECK_WAIT_MS = 5000,
    CHECK_INTERVAL_DEFAULT_S = 3600 /* between two by the leader itself */
};

/* Somebody who wants to know that the replicas were checked; embedded. */
struct check_wait {
    /* `status` 0: the verdict is committed; ERR_CORRUPT: it says that no
     * majority agrees; ERR_NO_QUORUM: too few hashes came; ERR_NOT_LEADER. */
    void (*done)(struct check_wait *wait, int status);
    struct check *check; /* private from here on; NULL: does not wait */
    TAILQ_ENTRY(check_wait) link;
};

struct check *check_new(struct node *node, struct peer *peer, uint64_t region);
/* What is being hashed is given up soon. */
void check_stop(struct check *check);
/* Whether nothing that runs on ENV_BULK is still to come back. */
bool check_has_settled(const struct check *check);
/* Settled, or ENV_BULK and ENV_WORKER are over. Takes NULL. */
void check_free(struct check *check);

/* On the leader: begins a check, or waits for the next one when one runs.
 * `done` may be called before this returns. */
void check_start(struct check *check, struct check_wait *wait);
/* Ends the wait without calling `done`; one that does not wait is ignored. */
void check_cancel(struct check_wait *wait);

/* Each tick: goes on with what waits; begins one when it is time. */
void check_tick(struct check *check);
/* No check is under way that this replica leads. A hash may still be made: that
 * needs no tick. */
bool check_is_idle(const struct check *check);
/* When the leader begins one by itself (monotonic); 0: never. */
uint64_t check_due_ns(const struct check *check);
/* This replica leads no longer, or does not serve. */
void check_on_deposed(struct check *check);
/* A snapshot has replaced the state: hashes of the old one mean nothing. */
void check_on_restored(struct check *check);

/* Behind the entry of a CHECK or VERIFY; `context` is the check. On the
 * region's owner. */
void check_on_command(void *context, uint64_t index,
                      const struct command *command);

/* Fills in what a peer's status says of checks. */
void check_status(const struct check *check, struct peer_status *status);
/* The row of /.cluster/check. */
void check_render(const struct check *check, FILE *out);
/* When no majority agreed at the last check: when that was, else 0. */
int64_t check_unclear_ns(const struct check *check);

/* Picks the hash that more than half of `voter_count` voters have. False: there
 * is none. */
struct check_hash {
    uint64_t node;
    uint64_t hash;
    bool voter;
};
bool check_majority(const struct check_hash *hashes, size_t count,
                    size_t voter_count, uint64_t *ret_hash);

#endif
