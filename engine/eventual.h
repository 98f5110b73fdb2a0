/* SPDX-License-Identifier: Apache-2.0 */

/* The eventual entries of this node: changes that are accepted here, and those
 * that were pulled from other nodes (pull.h).
 *
 * Each node has all eventual namespaces, whatever regions it has: so each
 * mount may read and write them, alone, too.
 *
 * A change that is accepted here is executed, gets its version and its number,
 * is written into state/, and is acknowledged when it is in the journal: a
 * synced write of log/, in the group commit of all others. After a crash the
 * journal is replayed; what state/ has safely is cut off.
 *
 * 1. *Numbers* of changes are this node's own, and count what it accepts and
 *    what it pulls alike. They begin anew above all earlier ones with each
 *    boot (EVENTUAL_BOOT_SHIFT), so no number that another node may have seen
 *    is ever given to anything else.
 * 2. Class 'i' has each name once, at the number of its newest change here. So
 *    it is bounded by the number of names, however long a node was away.
 * 3. What is not durable here is not shown to other nodes, unless it was pulled
 *    from one: see eventual_shown().
 * 4. Behind a fence (modes.h) nothing is accepted: in that directory, or in
 *    none when it is this node's own. A node tells of a fence when all it had
 *    accepted before is durable, and the fence, too: after a restart it accepts
 *    nothing until it has applied region 0 that far again.
 * 5. A record is taken only in the life of its namespace as an eventual one:
 *    `since` says which. An older one is dropped, of a newer one nothing is
 *    known here yet: it waits.
 *
 * A name that was removed leaves a tombstone until no older record of it can
 * come from anywhere: floor.h. What cannot be read comes again from others:
 * eventual_damage.h.
 *
 * Everything is written on the owner of region 0 (env_apply_owner()), which
 * applies the modes, too. The functions here belong to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_EVENTUAL_H
#define GROVEFS_ENGINE_EVENTUAL_H

#include "engine/command.h"
#include "engine/digest.h"
#include "engine/eventual_record.h"
#include "engine/modes.h"
#include "engine/node.h"

enum { EVENTUAL_BOOT_SHIFT = 40 };

struct eventual;

struct eventual_config {
    struct env *env;
    uint64_t node; /* this one */
    uint64_t boot; /* counted up already */
    struct modes *modes;
    bool (*clock_is_wrong)(void *context); /* this node's */
    /* What it shows, as clocks_read() says it. Any thread. */
    int (*read_clock)(void *context, uint64_t *ret_wall_ns);
    bool (*disk_is_full)(void *context); /* likewise: down to the reserve */
    void (*flush)(void *context);        /* asks for a flush of state/ */
    /* Asks that this node knows after a restart, with nobody else's help, what
     * it has applied of region 0: in the group commit that comes. */
    void (*save_catalog)(void *context);
    void *context;
};

/* `modes` has to stay until eventual_free(). */
struct eventual *eventual_new(const struct eventual_config *config);
/* Reads what there is and replays the journal. May block; before the worker
 * runs, and behind modes_load(). ERR_CORRUPT, ERR_VERSION, ERR_IO. */
int eventual_open(struct eventual *eventual, struct err *e);
/* Ends all with ERR_CANCELED. What is under way elsewhere comes back later:
 * until then it must not be freed. */
void eventual_stop(struct eventual *eventual);
void eventual_free(struct eventual *eventual); /* Takes NULL. */

/* Once a second: cuts the journal; has flushed what was dropped. */
void eventual_tick(struct eventual *eventual);

/* A namespace has another mode, as modes_watch() says it: what is left of its
 * last life as an eventual one is deleted; others are told of a fence (rule 4).
 * Before eventual_open() nothing happens. On region 0's owner. */
void eventual_on_mode(struct eventual *eventual, uint64_t nsid,
                      struct mode before, struct mode mode);

/* The catalog was replaced by a snapshot and modes_load() has read it: deletes
 * what is left of namespaces that are not eventual any more, and of earlier
 * lives of those that are. Namespaces that are none not at each start: a
 * catalog that has come to harm might lack one, and a crash between the end of
 * its life and the deletion leaves but what nobody sees. (Where this node was
 * left out of that life the catalog says so, and a start does see to it.) What
 * may be of a later life and cannot be read stays, and is no error. On region
 * 0's owner. ERR_IO, ERR_NO_MEMORY. */
int eventual_sweep(struct eventual *eventual);

/* ---- changes that are accepted here ---- */

struct eventual_op {
    const struct command *command; /* public: in; copied where it is needed
                                    * longer than eventual_start(). Node and
                                    * time are filled in */
    /* Statuses of eventual_execute(); ERR_EPOCH: the namespace is fenced or
     * strong, or for COMMAND_BRING not in front of that life; ERR_READ_ONLY:
     * this node's clock is wrong, or it is being drained; ERR_NO_SPACE;
     * ERR_UNAVAILABLE: it has not been whole yet, lags behind its own fence, or
     * does not know whether its clock is right; ERR_CANCELED. `result` is the
     * callee's to read only. */
    void (*done)(struct eventual_op *op, int status,
                 const struct result *result);
    struct eventual_work *work; /* private; NULL: none under way */
};

/* What would refuse each op now, as it is the matter of this node: 0: nothing;
 * ERR_READ_ONLY, ERR_UNAVAILABLE as above. */
int eventual_readiness(const struct eventual *eventual);
/* A zeroed op with its public part is ready. */
void eventual_start(struct eventual *eventual, struct eventual_op *op);
/* Ends it without `done`; it may take effect. One that has ended is ignored. */
void eventual_cancel(struct eventual_op *op);

/* ---- changes from other nodes ---- */

/* The changes of one answer: items of local (8 bytes) and size (4 bytes), big
 * endian, and a record (eventual_encode()). */
struct eventual_merge {
    uint64_t node;     /* public: in; who has sent them */
    struct buf *items; /* NULL: none; borrowed until done */
    uint64_t last;     /* its numbers up to here, when all are taken */
    bool complete;     /* that is all it has */
    bool whole;        /* ... and it is whole */
    uint64_t
        received[NODES_MAX]; /* if complete: what it has of each origin's */
    uint64_t origins[NODES_MAX];
    size_t origin_count;
    uint64_t promise; /* if complete; floor.h: it stamps nothing up to here */
    uint64_t roll;    /* ... and of whom it knew then */
    uint64_t floor;   /* ... and what is forgotten there */
    /* `status` 0: all are taken; ERR_UNAVAILABLE: up to one that has to wait,
     * `behind` says whether for region 0, or for room on the disk, else for a
     * clock; ERR_PROTOCOL;
     * ERR_CORRUPT, ERR_IO, ERR_NO_MEMORY: up to one that this node cannot
     * compare or keep; ERR_CANCELED, also when damage was met since the
     * question: eventual_damage.h. */
    void (*done)(struct eventual_merge *merge, int status);

    uint64_t taken_last; /* public: out; `node`'s numbers up to here are here */
    bool behind;
    uint64_t conflicts; /* changes that were in conflict with what was here:
                         * eventual_is_conflict() */
    struct eventual_merge_run *run; /* private; NULL: none under way */
};

/* A zeroed merge with its public part is ready. */
void eventual_merge_start(struct eventual *eventual,
                          struct eventual_merge *merge);

/* ---- what is in quarantine on this node: quarantine.h ---- */

struct eventual_drop {
    uint64_t number; /* public: in */
    /* ERR_NOT_FOUND: there is none; ERR_CORRUPT, ERR_IO, ERR_CANCELED. */
    void (*done)(struct eventual_drop *drop, int status);
    struct eventual_drop_run *run; /* private; NULL: none under way */
};

/* A zeroed drop with its public part is ready. */
void eventual_drop_start(struct eventual *eventual, struct eventual_drop *drop);
/* Ends it without `done`; it takes effect all the same. One that has ended is
 * ignored. */
void eventual_drop_cancel(struct eventual_drop *drop);

/* ---- changes that are ahead of this node's clock: restamp.h ---- */

struct eventual_restamp {
    uint64_t seen; /* public: in; the greatest time that any other node has got
                    * from others */
    bool writes;   /* gives new versions; else only looks if that could be */
    /* ERR_BUSY: it cannot, as some other node has got such a change, or has
     * made one, or the floor is ahead, too; what clocks_read() says;
     * ERR_CORRUPT, ERR_IO, ERR_NO_MEMORY, ERR_CANCELED. */
    void (*done)(struct eventual_restamp *restamp, int status);

    uint64_t count; /* public: out; of changes that are, or were, ahead */
    struct eventual_restamp_run *run; /* private; NULL: none under way */
};

/* A zeroed restamp with its public part is ready; one at a time. While it
 * writes nothing is accepted (ERR_UNAVAILABLE), and nothing new shown to
 * others; when it is done, all is durable, and the clock is where it should
 * be. */
void eventual_restamp_start(struct eventual *eventual,
                            struct eventual_restamp *restamp);
/* Each tick, while one is under way. */
void eventual_restamp_tick(struct eventual *eventual);

/* ---- what others may know ---- */

/* All changes up to this number may be shown to other nodes. */
uint64_t eventual_shown(const struct eventual *eventual);
/* The greatest time that came from another node. */
uint64_t eventual_seen(const struct eventual *eventual);
/* The fence that others may be told of: rule 4. */
uint64_t eventual_fence(const struct eventual *eventual);
/* It has everything that some other node once had, or was alone. Any thread. */
bool eventual_is_whole(const struct eventual *eventual);
/* There is no other node: it is whole as it is. */
void eventual_set_whole(struct eventual *eventual);

/* ---- tombstones: floor.h ---- */

/* Up to this time nothing is stamped any more. */
uint64_t eventual_promise(const struct eventual *eventual);

struct eventual_floor_view {
    uint64_t floor;  /* what is forgotten here */
    uint64_t oldest; /* the time of the oldest tombstone here; 0: none */
    uint64_t consent;
    uint64_t roll;  /* of the consent */
    uint64_t clock; /* how far the clock of versions had come, some seconds
                     * ago */
};

void eventual_floor_look(const struct eventual *eventual,
                         struct eventual_floor_view *ret);
/* Rule 8: takes the promise back, which was made in this roll or an earlier
 * one, and promises nothing until eventual_promise_again(). */
void eventual_unpromise(struct eventual *eventual, uint64_t roll);
void eventual_promise_again(struct eventual *eventual);
/* It is taken back, and nobody goes by it any more: this is the roll now. */
bool eventual_has_unpromised(const struct eventual *eventual, uint64_t roll);

/* Rules 7 and 8, of the roll as this node knows it. */
bool eventual_must_withdraw(const struct eventual *eventual, uint64_t roll);
/* Whether an answer of this roll may be taken: likewise. */
bool eventual_may_take(const struct eventual *eventual, uint64_t roll);

/* How many tombstones there are in state/; it counts up to `max`. 0 also if
 * they cannot be read. Any thread. */
uint64_t eventual_removed_count(struct kv *state, uint64_t max);

/* What an answer says of the node `node` whose state/ it is. On region 0's
 * owner. ERR_CORRUPT, ERR_IO. */
struct eventual_told {
    uint64_t roll;
    uint64_t floor;
    bool may_promise;
};

int eventual_tell(struct kv *state, uint64_t node, struct eventual_told *ret);

/* ---- digests: digest.h ---- */

/* This node's newest moment, as node `node` is told of it. */
struct digest_moment eventual_moment(const struct eventual *eventual,
                                     uint64_t node);
/* Of that moment: grows with each. 0: there was none yet. */
uint64_t eventual_moment_number(const struct eventual *eventual);
/* Nothing has been accepted or taken here since. */
bool eventual_moment_holds(const struct eventual *eventual);

/* ---- for those that wait ---- */

/* Calls `notice` when shown, fence or whole has grown. */
void eventual_watch(struct eventual *eventual, void (*notice)(void *context),
                    void *context);

/* For numbers: what was accepted and what was pulled since the start. */
struct eventual_counts {
    uint64_t accepted;
    uint64_t pulled;    /* and made a difference */
    uint64_t outlived;  /* pulled, and older than what is here */
    uint64_t held;      /* ahead of this node's clock */
    uint64_t dropped;   /* tombstones */
    uint64_t restamped; /* own ones that were given a new version */
    uint64_t damages;   /* entries that were found unreadable */
    uint64_t healed;    /* ... and can be read again */
    uint64_t journal_entries;
};

void eventual_count(const struct eventual *eventual,
                    struct eventual_counts *ret);

#endif
