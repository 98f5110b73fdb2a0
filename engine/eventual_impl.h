/* SPDX-License-Identifier: Apache-2.0 */

/* What the files eventual*.c of eventual.h share; for them only.
 *
 * A change goes this way: eventual.c takes it on ENV_WORKER, eventual_accept.c
 * executes it on region 0's owner, eventual_journal.c writes it to log/, and
 * eventual.c answers. */

#ifndef GROVEFS_ENGINE_EVENTUAL_IMPL_H
#define GROVEFS_ENGINE_EVENTUAL_IMPL_H

#include <stdatomic.h>

#include "engine/digest.h"
#include "engine/eventual.h"
#include "engine/eventual_exec.h"
#include "raft/base/log.h"

/* Changes of one command in the journal: numbers that follow each other. */
struct eventual_journaled {
    struct env_log_write write;
    struct eventual *eventual;
    struct eventual_work *work; /* that is answered when it is durable */
    uint64_t first;
    uint64_t last;
    size_t size_bytes;
    struct buf *records[2]; /* NULL once they are durable */
    STAILQ_ENTRY(eventual_journaled) link;
};

STAILQ_HEAD(eventual_journaled_list, eventual_journaled);

struct eventual_journal {
    struct eventual_journaled_list writing; /* in the order of numbers */
    struct eventual_journaled_list kept;    /* durable, and in front of them */
    size_t entry_count;
    size_t size_bytes;
    struct env_log_write cut;
    bool cutting;
    uint64_t cut_last;
};

/* A command under way. It outlives its op when that is cancelled. */
struct eventual_work {
    struct env_task task;
    struct eventual *eventual;
    struct eventual_op *op; /* NULL: cancelled */
    struct command command; /* borrows from `bytes` */
    struct buf *bytes;
    int status;
    struct result result;
    uint64_t last; /* the greatest number given out, as of then */
    struct eventual_journaled *journaled; /* NULL: nothing has changed */
    TAILQ_ENTRY(eventual_work) link;      /* while it has an op */
};

/* So many namespaces at most change with one batch. */
struct eventual_tally {
    struct {
        uint64_t nsid;
        struct eventual_namespace record;
        uint64_t digest_before; /* as it is in state/ */
    } of[2];
    size_t count;
};

/* Records that go into state/ together: in the batch, and counted in the head,
 * but not written yet. Zeroed: none. */
struct eventual_intake {
    struct eventual_tally tally;
    uint64_t hashes[64]; /* of their names */
    size_t count;
};

/* Changes of another node under way, likewise. */
struct eventual_merge_run {
    struct env_task task;
    struct eventual *eventual;
    struct eventual_merge *merge; /* NULL: cancelled */
    struct eventual_merge copy;   /* with an own reference to the items */
    bool has_room;                /* on the disk */
    int status;
    uint64_t last;
    uint64_t seen;
    bool whole;
    uint64_t damages; /* rule 6 of eventual_damage.h */
    struct eventual_intake intake;
    struct eventual_counts counts;        /* what it adds to them */
    TAILQ_ENTRY(eventual_merge_run) link; /* while it has a merge */
};

/* A look at tombstones, on region 0's owner. */
struct eventual_floor_run {
    struct env_task task;
    struct eventual *eventual;
    int status;
    uint64_t oldest; /* the time of the first tombstone that stays, and is of a
                      * life that goes on; 0: none */
    uint64_t left_over; /* others that were met */
    uint64_t hlc;       /* as far as the clock had come then */
    uint64_t floor;
    uint64_t dropped;
};

/* What this node has told, and is about to: floor.h. ENV_WORKER. */
struct eventual_floor {
    uint64_t ticks;
    uint64_t flush_ticks; /* the next one is not before */
    uint64_t oldest;      /* as of the last look */
    uint64_t hlc;         /* the floor, likewise */
    uint64_t clock;       /* how far the clock had come, likewise */
    bool is_silent;       /* nothing is promised */
    uint64_t silent_roll; /* to be withdrawn */
    bool is_busy;         /* a look or a write is under way */
    uint64_t promise;     /* that is durable */
    uint64_t consent;
    uint64_t roll; /* of the consent */
    uint64_t promise_asked;
    uint64_t consent_asked;
    uint64_t roll_asked;
    struct env_log_write write;
};

/* Two passes over what is in the index of changes: see eventual_restamp.c. */
enum restamp_step {
    RESTAMP_BEGIN,
    RESTAMP_LOOK,
    RESTAMP_WRITE,
    RESTAMP_END,
    RESTAMP_WAIT /* until all that is durable; no task is under way */
};

struct eventual_restamp_run {
    struct env_task task;
    struct eventual *eventual;
    struct eventual_restamp *restamp; /* NULL: cancelled */
    enum restamp_step step;
    uint64_t seen; /* struct eventual_restamp */
    bool writes;
    uint64_t bound;    /* what is greater is ahead */
    uint64_t hlc;      /* the last one given */
    uint64_t at;       /* the next number to be looked at */
    uint64_t end;      /* behind the last one */
    uint64_t first;    /* that is ahead */
    uint64_t count;    /* of those that are ahead */
    uint64_t written;  /* of those that have a new version */
    uint64_t last;     /* the greatest number given ... */
    uint64_t reported; /* ... and by others meanwhile */
    int status;
};

/* What state/ has between two tasks of its owner: digest.h. */
struct eventual_moment {
    uint64_t number; /* counts them */
    uint64_t lives;  /* 0: it cannot be compared */
    uint64_t sequence;
    uint64_t digest;
    uint64_t last; /* the greatest number given out then */
    uint64_t nodes[NODES_MAX];
    uint64_t cursors[NODES_MAX]; /* struct eventual_peer, of each of them */
    size_t count;
};

/* What is known of damage on ENV_WORKER: eventual_damage.h. */
struct eventual_damage {
    uint64_t count; /* eventual_damages() */
    uint64_t left;  /* noted, and not to be had, when it was looked last */
    bool is_damaged;
    bool has_had_all;
    bool is_searching; /* a task is under way */
    bool is_mending;   /* likewise */
};

struct eventual {
    struct eventual_config config;
    atomic_bool whole;         /* written by ENV_WORKER, read by all */
    atomic_bool is_restamping; /* likewise: nothing is accepted */
    /* ENV_WORKER: */
    bool stopped;
    TAILQ_HEAD(, eventual_work) works;
    TAILQ_HEAD(, eventual_merge_run) merges;
    TAILQ_HEAD(, eventual_drop_run) drops;
    bool has_dropped;                     /* since the last tick */
    struct eventual_restamp_run *restamp; /* NULL: none under way */
    struct eventual_journal journal;
    uint64_t last;        /* the greatest number that is known to be given */
    uint64_t seen;        /* of the head, when nothing is being merged */
    uint64_t fence;       /* that is durable */
    uint64_t fence_asked; /* or about to be */
    bool whole_posted;
    struct env_task whole_task;
    void (*notice)(void *context);
    void *notice_context;
    struct eventual_counts counts;
    struct eventual_floor floor;
    struct eventual_moment moment; /* the newest */
    bool moment_posted;
    struct eventual_damage damage;
    /* Region 0's owner: */
    bool is_open;
    uint64_t damages; /* that were noted since the start */
    struct eventual_head head;
    bool has_moved;         /* into quarantine, and that may not be durable */
    uint64_t lives;         /* struct digest_moment, ... */
    uint64_t digest;        /* ... likewise, if ... */
    bool digest_is_summed;  /* ... it has followed all that was written */
    bool digest_is_clear;   /* all of them have one, of their present lives */
    struct kv_batch *batch; /* reused */
};

/* A drop under way; it outlives the request when that is cancelled. */
struct eventual_drop_run {
    struct env_task task;
    struct eventual *eventual;
    struct eventual_drop *drop; /* NULL: cancelled */
    uint64_t number;
    int status;
    TAILQ_ENTRY(eventual_drop_run) link; /* while it has a drop */
};

void eventual_notice(struct eventual *eventual);

static inline void eventual_post_owner(struct eventual *eventual,
                                       struct env_task *task)
{
    struct env *env = eventual->config.env;

    env_post(env, env_apply_owner(env, REGION_PLACEMENT), task);
}

/* ---- eventual.c, on ENV_WORKER ---- */

/* Numbers up to this one are given out. */
void eventual_report(struct eventual *eventual, uint64_t last);
/* The end of a work that has come back, which is freed. */
void eventual_answer(struct eventual_work *work);

/* ---- eventual_accept.c, on region 0's owner ---- */

/* Executes the command of a work. */
void eventual_accept(struct eventual_work *work);

/* What there is in state/ of a namespace, once for each batch. ERR_CORRUPT,
 * ERR_IO. */
int eventual_tally_find(struct eventual *eventual, struct eventual_tally *tally,
                        uint64_t nsid, struct eventual_namespace **ret);
/* Puts a record in the place of `old` (or NULL), and counts it. ERR_CORRUPT,
 * ERR_IO: of the count; batch and tally are as before. */
int eventual_store(struct eventual *eventual, struct eventual_tally *tally,
                   const struct eventual_record *record,
                   const struct eventual_record *old);
/* Writes the batch with these counts and this head, which is eventual->head
 * from here on. A failure ends the node. */
int eventual_write(struct eventual *eventual,
                   const struct eventual_tally *tally,
                   const struct eventual_head *head);

/* ---- eventual_take.c, on region 0's owner ---- */

/* What a record is to that which was known of its name. */
struct eventual_taken {
    bool is_newer;
    bool is_conflict; /* eventual_is_conflict() */
};

/* Before any look at what is known of a record's name: writes those before it
 * where it cannot go with them. A failure ends the node. */
int eventual_make_room(struct eventual *eventual,
                       struct eventual_intake *intake,
                       const struct eventual_record *record);
/* Adds a record, under record->local, if it is newer: to an intake in which
 * room was made for it, or that is empty. ERR_UNAVAILABLE: what was known
 * cannot be read, which is noted now (eventual_damage.h); ERR_CORRUPT, ERR_IO.
 * Those before it stay in any case. */
int eventual_take(struct eventual *eventual, struct eventual_intake *intake,
                  const struct eventual_record *record,
                  struct eventual_taken *ret);
/* Writes all of them; there are none then. A failure ends the node. */
int eventual_write_taken(struct eventual *eventual,
                         struct eventual_intake *intake);

/* The namespace's life as an eventual one that the record is of has ended. */
bool eventual_is_outlived(const struct eventual *eventual,
                          const struct eventual_record *record);
/* Whether keys and numbers are such as a node makes them. */
bool eventual_is_sound(const struct eventual_record *record);

/* ---- eventual_journal.c ---- */

void eventual_journal_init(struct eventual_journal *journal);
void eventual_journal_close(struct eventual_journal *journal);
/* Replays all that is there: eventual_open(). */
int eventual_journal_open(struct eventual *eventual, struct err *e);
/* For the changes of an outcome, whose numbers are given: encodes them. NULL:
 * no memory. Any thread. */
struct eventual_journaled *
eventual_journaled_new(struct eventual *eventual,
                       const struct eventual_outcome *outcome);
void eventual_journaled_free(struct eventual_journaled *journaled);
/* Writes that of a work, which is answered then. */
void eventual_journal_write(struct eventual_work *work);
/* Cuts off what state/ has safely. */
void eventual_journal_cut(struct eventual *eventual);

/* ---- eventual_digest.c ---- */

/* Reads namespaces that have no digest, as in a store of an earlier version,
 * and counts those of which all can be read: eventual_open(). ERR_IO,
 * ERR_NO_MEMORY. */
int eventual_digest_count(struct eventual *eventual);
/* These counts are about to be written. On region 0's owner, as the next. */
void eventual_digest_follow(struct eventual *eventual,
                            const struct eventual_tally *tally);
/* All is to be summed up anew. */
void eventual_digest_forget(struct eventual *eventual);
/* The namespace has another mode. */
void eventual_digest_on_mode(struct eventual *eventual, uint64_t nsid,
                             struct mode before, struct mode mode);
void eventual_moment_tick(struct eventual *eventual);

/* ---- eventual_mode.c ---- */

/* Each namespace of which there is anything. What `visit` returns ends it if
 * that is not 0. ERR_CORRUPT: there may be more. */
int eventual_visit_namespaces(struct eventual *eventual,
                              int (*visit)(struct eventual *eventual,
                                           uint64_t nsid));

/* Deletes what is left of earlier lives of eventual namespaces: a snapshot of
 * the catalog is durable at once, and what follows from it is not.
 * eventual_open(). As eventual_sweep() otherwise. */
int eventual_sweep_lives(struct eventual *eventual);
/* The fence in log/, if any: eventual_open(). */
int eventual_fence_open(struct eventual *eventual);
/* Tells of a fence that came without eventual_on_mode(). On ENV_WORKER. */
void eventual_fence_follow(struct eventual *eventual);

/* ---- eventual_floor.c ---- */

/* What was told, in log/: eventual_open(). */
int eventual_floor_open(struct eventual *eventual);
void eventual_floor_tick(struct eventual *eventual);

/* Nothing is stamped up to a floor. */
static inline void eventual_raise_floor(struct eventual_head *head,
                                        uint64_t floor)
{
    if (head->floor < floor)
        head->floor = floor;
    if (head->hlc < floor)
        head->hlc = floor;
}

/* ---- eventual_damage.c ---- */

/* A line of the log; `what` ends in front of the path. */
void eventual_say_damage(const struct eventual *eventual, enum log_level level,
                         uint64_t nsid, struct slice name, const char *what);

/* ---- eventual_mend.c ---- */

/* Looks what can be read again. */
void eventual_damage_tick(struct eventual *eventual);

/* ---- eventual_merge.c ---- */

void eventual_merge_stop(struct eventual *eventual);

/* ---- eventual_drop.c ---- */

void eventual_drop_stop(struct eventual *eventual);

/* ---- eventual_restamp.c ---- */

void eventual_restamp_stop(struct eventual *eventual);
/* eventual_report(), for when it is done. */
void eventual_restamp_report(struct eventual *eventual, uint64_t last);

#endif
