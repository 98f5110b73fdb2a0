/* SPDX-License-Identifier: Apache-2.0 */

/* What check.c, the side of each replica, and check_round.c, the leader's,
 * share; for them, and for the simulation, which puts checks off. */

#ifndef GROVEFS_ENGINE_CHECK_IMPL_H
#define GROVEFS_ENGINE_CHECK_IMPL_H

#include <stdatomic.h>

#include "engine/check.h"
#include "engine/node.h"

enum { FINDINGS = 4 };

TAILQ_HEAD(check_waits, check_wait);

/* What this replica's state was like behind a CHECK. */
struct finding {
    uint64_t index; /* 0: none */
    uint64_t hash;
};

/* A CHECK behind which it could not be hashed. */
struct failed {
    uint64_t index;
    int status;
};

enum round_state { IDLE, CHECKING, GATHERING, VERIFYING };

struct check {
    struct node *node;
    struct peer *peer;
    struct env *env;
    uint64_t region;
    atomic_bool stopped;
    atomic_uint hashings; /* that were started and have not come back */
    uint64_t restores;    /* counts; a hash of an earlier one is dropped */

    struct finding findings[FINDINGS]; /* the newest first */
    struct failed failed;
    struct verdict verdict; /* the last one; index 0: none */
    int64_t verdict_ns;     /* wall clock of who led */
    uint64_t verdicts;
    bool unjudged; /* the hash that the verdict is about is not ready */

    /* On the leader. */
    enum round_state state;
    uint64_t round; /* counts; answers to an earlier one are ignored */
    uint64_t index; /* of CHECK */
    uint64_t asked_ns;
    uint64_t until_ns;        /* others are waited for; 0: no own hash yet */
    uint64_t due_ns;          /* when the next one begins by itself; 0: never */
    struct check_waits waits; /* for the verdict of this round */
    struct check_waits next;  /* for that of the next one */
};

uint64_t check_interval_ns(const struct check *check);
/* This replica's hash behind a CHECK, or NULL. */
const struct finding *check_find(const struct check *check, uint64_t index);

/* check_round.c: the leader's round is over; who waited is told. */
void check_end_round(struct check *check, int status);

#endif
