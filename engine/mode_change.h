/* SPDX-License-Identifier: Apache-2.0 */

/* Changes the mode of a directory, with those below it that have theirs from it
 * (domain.h), or removes one below an eventual directory, because somebody
 * wants it so: on the node that he asked.
 *
 *   to eventual   the transaction TXN_TO_EVENTUAL: it closes the namespace in
 *                 all regions. If that is not empty, COMMAND_DIR_FILL comes
 *                 first: the transaction then closes those below it, too, and
 *                 brings what is in them to all nodes (txn_export.h), before
 *                 FENCE_MS are over
 *   to strong     a fence: COMMAND_DIR_MODE, behind which no node accepts
 *                 changes in it; all nodes must have told that they know of it,
 *                 and all that they had accepted before must be here. Then the
 *                 transaction TXN_TO_STRONG, which takes along what is in it
 *                 (txn_import.h), before FENCE_MS are over
 *                 By force nodes that are not heard of are left out, as long
 *                 as they answer nothing: what they had accepted that is not
 *                 here goes to quarantine on them (left_out.h, quarantine.h).
 *                 Who is there is found out before the fence, as changes wait
 *                 behind that: who falls silent later is waited for
 *   remove        likewise, if it is empty, with COMMAND_DIR_REMOVE
 *   a mode of     COMMAND_DIR_OWN, for one that is as the one it is in, and is
 *     its own     to stay so or to inherit again: no node has to tell anything,
 *                 as it stays as eventual, or strong, as it is
 *
 * A fence, or filling, that leads to nothing is taken away again, by region 0's
 * leader (mode_changes_each_second()) when this node is gone. What is decided
 * names its epoch, so it is one or the other.
 *
 * Why all nodes: behind a fence each of them may have accepted something that
 * nobody else knows of; and what was strong is to be everywhere before anybody
 * reads it as eventual.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_MODE_CHANGE_H
#define GROVEFS_ENGINE_MODE_CHANGE_H

#include "engine/catch_up.h"
#include "engine/mode_goal.h"
#include "engine/pull.h"
#include "engine/router.h"
#include "engine/txn.h"

enum {
    FENCE_MS = 4000,      /* that a fence may take, or filling */
    FENCE_LEFT_MS = 10000 /* after which it counts as abandoned */
};

struct mode_change {
    uint64_t nsid; /* public: in */
    enum mode_goal goal;
    bool only_empty; /* not with files in it */
    bool force;      /* to strong: also without nodes that are not heard of */
    uint64_t deadline_ns;
    /* 0, and this node knows it. ERR_STALE: the directory is gone;
     * ERR_NOT_EMPTY; ERR_TOO_LARGE: a file is too large for an eventual one, or
     * too many directories are below it; ERR_EXISTS: two files would have one
     * name (txn_import.h); ERR_READ_ONLY: as in eventual.h; ERR_NO_SPACE;
     * ERR_NOT_PERMITTED: the root;
     * ERR_NO_DATA: it inherits its mode already; ERR_BUSY: another change is
     * under way; ERR_NO_QUORUM: nothing has changed, a node did not tell in
     * time, or a majority; ERR_UNKNOWN_OUTCOME; ERR_CANCELED. */
    void (*done)(struct mode_change *change, int status);

    struct node *node; /* private from here on */
    bool active;
    bool is_below;  /* an eventual one: no region has its name */
    bool inherits;  /* to eventual: as the one that it is in */
    bool has_said;  /* the log says why it failed */
    int status;     /* what it ends with, once the fence is away */
    uint64_t epoch; /* of its fence or filling, or of the mode before; 0: none
                     */
    bool has_fence; /* or fills it */
    uint64_t fence_until_ns;
    uint64_t missing; /* the node that has not told */
    struct absence absence;
    uint64_t looked_ns; /* by force: when it was looked last who is there */
    struct left_out left_out;
    struct command command;
    char name[NAME_SIZE_MAX];
    struct catch_up catch_up;
    struct router_call call;
    struct txn_op txn;
    struct env_timer look;
};

/* A zeroed struct with its public part is ready. `done` may be called before
 * this returns. */
void mode_change_start(struct mode_change *change, struct node *node);
/* Ends it without calling `done`. What is decided already takes effect; else
 * its fence is taken away. One that does not run is ignored. */
void mode_change_cancel(struct mode_change *change);

/* Takes abandoned fences away. */
struct mode_changes;
struct mode_changes *mode_changes_new(struct node *node);
void mode_changes_stop(struct mode_changes *changes);
void mode_changes_free(struct mode_changes *changes); /* Takes NULL. */
void mode_changes_each_second(struct mode_changes *changes);
/* Takes the fence, or filling, with this epoch away, by itself. */
void mode_changes_take_away(struct mode_changes *changes, uint64_t nsid,
                            uint64_t epoch, enum mode_state before);

#endif
