/* SPDX-License-Identifier: Apache-2.0 */

/* Brings calls to the leader of their region, wherever that is, and keeps at
 * it until they are answered or their deadline has passed: leaders change,
 * links break, answers get lost. Also answers the calls of other nodes.
 *
 * A proposed command has an identity: {node, boot, sequence}. All
 * attempts carry the same one, so however many arrive, it takes effect once.
 * Every command also says which sequences this node still waits for; that is
 * what `struct router_hold` keeps. It names the version of the region that it
 * was sent to: a copy that is applied after the region has split or merged
 * does nothing, and the next attempt goes where its place is then.
 *
 * What a call ends with: the command's own status; or ERR_NO_QUORUM: surely
 * not applied; ERR_UNKNOWN_OUTCOME: some leader may have it in its log;
 * ERR_CANCELED: the node stops. One that reads ends with ERR_EPOCH when this
 * node itself has come to lead the region: it need not ask others.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_ROUTER_H
#define GROVEFS_ENGINE_ROUTER_H

/* uthash's default function has unmarked fall-throughs. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

#include "engine/command.h"
#include "engine/control_leader.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/wire.h"

/* While it is held, the results of this sequence and all later ones are
 * remembered by the regions. */
struct router_hold {
    uint64_t sequence;
    TAILQ_ENTRY(router_hold) link; /* private */
};

struct routes;

struct router_call {
    enum call_kind kind; /* public: in */
    uint64_t region;     /* while `place` is not empty: the one that has it */
    struct key place;    /* a user key with a class; size 0: `region` counts */
    /* What is proposed names more than `place`: it ends with ERR_EPOCH, which
     * says that it took no effect, when these lie in several regions. */
    bool names_more;
    uint64_t deadline_ns; /* monotonic; 0 never */
    /* `result` is NULL unless the command was answered; borrowed. `index` is
     * that of a CALL_READ_INDEX. */
    void (*done)(struct router_call *call, int status,
                 const struct result *result, uint64_t index);

    struct node *node; /* private from here on */
    struct buf *command;
    struct router_hold hold;
    struct control_wait control;
    uint64_t ticket;   /* its low bits are left to `attempt` */
    uint64_t attempt;  /* counts them */
    uint64_t target;   /* node asked now; 0: none */
    uint64_t hint;     /* node that is said to lead */
    size_t turn;       /* for trying all nodes */
    uint64_t asked_ns; /* who has its place; 0: not yet */
    bool active;
    bool grows;
    bool maybe_applied;
    struct env_timer timer;
    UT_hash_handle by_ticket;
};

struct router *router_new(struct node *node);
void router_free(struct router *router); /* Takes NULL; nothing may run. */
/* Ends all calls with ERR_CANCELED. */
void router_stop(struct router *router);

/* Where a call is to go, before it is started. */
void router_to_region(struct router_call *call, uint64_t region);
void router_to_place(struct router_call *call, uint64_t dir, struct slice name);
void router_to_key(struct router_call *call, const struct key *user_key);

/* Starts a call; `command` is NULL for CALL_READ_INDEX. Identity and stamp are
 * filled in for CALL_PROPOSE. `done` may be called before this returns. */
void router_call(struct router *router, struct router_call *call,
                 struct command *command);
/* Ends a call without calling `done`; its command may still be applied. An
 * inactive call is ignored. */
void router_cancel(struct router *router, struct router_call *call);

/* Takes the next sequence and keeps results from it on. */
void router_hold(struct router *router, struct router_hold *hold);
void router_release(struct router *router, struct router_hold *hold);

/* Whether a new change may begin: not while the regions have to remember as
 * many results for this node as they may. */
bool router_has_room(const struct router *router);

/* How many sequences have been taken since the lowest that is held, with it:
 * as many results may have to be remembered for this node. */
uint64_t router_held_span(const struct router *router);

/* Which region has what, as far as is known. */
struct routes *router_routes(struct router *router);

/* Packets WIRE_LOCATE and WIRE_LOCATED: see routes.h. */
void router_on_locate(struct router *router, uint64_t from,
                      const struct env_packet *packet);
void router_on_located(struct router *router, const struct env_packet *packet);
/* Packets WIRE_CALL and WIRE_RETURN. */
void router_on_call(struct router *router, uint64_t from,
                    const struct env_packet *packet);
void router_on_return(struct router *router, const struct env_packet *packet);
/* Calls on their way to this node must try again. */
void router_on_link_down(struct router *router, uint64_t lost_node);
void router_on_leader_change(struct router *router, uint64_t region,
                             uint64_t leader_node);

/* Whether two tickets of one node are those of attempts at the same call. */
bool router_same_call(uint64_t a, uint64_t b);

/* How many calls wait, for /.cluster. */
size_t router_waiting(const struct router *router);

#endif
