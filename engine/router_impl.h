/* SPDX-License-Identifier: Apache-2.0 */

/* What the files router*.c share; for them only. */

#ifndef GROVEFS_ENGINE_ROUTER_IMPL_H
#define GROVEFS_ENGINE_ROUTER_IMPL_H

#include "engine/router.h"
#include "engine/routes.h"

enum { ATTEMPTS = 256 }; /* told apart in a ticket */

struct router {
    struct node *node;
    struct env *env;
    struct router_call *calls;       /* by ticket */
    TAILQ_HEAD(, router_hold) holds; /* by ascending sequence */
    uint64_t sequence_last;
    uint64_t ticket_last;
    struct serve *serve;
    struct routes *routes;
};

/* ---- router.c ---- */

/* NULL: it has ended. The ticket is that of the call, not of an attempt. */
struct router_call *router_find_call(struct router *router, uint64_t ticket);
/* `result` may be NULL; borrowed. */
void router_end_call(struct router_call *call, int status,
                     const struct result *result, uint64_t index);
/* A command's result has come, from the attempt with this number or ticket.
 * Ends the call, unless that copy of the command has missed its region. */
void router_on_result(struct router_call *call, uint64_t attempt,
                      const struct buf *bytes);

/* ---- router_attempt.c ---- */

/* Begins the next attempt, or waits until that can be done; may end the call.
 */
void router_attempt(struct router_call *call);
/* The attempt under way was refused; `in_log`: it may still take effect. Begins
 * the next one: at once if another node is said to lead, which is `hint`, else
 * after a while. Ends the call if its deadline has passed. */
void router_retry(struct router_call *call, bool in_log, uint64_t hint);
/* Gives up the attempt under way, of which nothing is known, and begins the
 * next one as soon as this has returned. */
void router_attempt_anew(struct router_call *call);
/* For the timer of a call. */
void router_on_timer(struct env_timer *timer);

#endif
