/* SPDX-License-Identifier: Apache-2.0 */

/* What the pull*.c files share; for them only. */

#ifndef GROVEFS_ENGINE_PULL_IMPL_H
#define GROVEFS_ENGINE_PULL_IMPL_H

#include "engine/eventual.h"
#include "engine/eventual_scan.h"
#include "engine/pull.h"
#include "engine/wire_eventual.h"

enum {
    ASK_AGAIN_MS = 2000, /* while there is no answer */
    RETRY_MS = 200,      /* when something had to wait here */
    WAIT_MS = 500,       /* until a question is answered with nothing */
    PAUSE_MS = 10,       /* between answers that have changes */
    ANSWER_BYTES_MAX = 256 * 1024
};

enum reply_state {
    REPLY_NONE,  /* nothing was asked that is not answered */
    REPLY_WAITS, /* until there is something to say */
    REPLY_READS, /* on region 0's owner */
    REPLY_UNSAFE /* until all that was there when it was read is durable */
};

/* What another node asks. A newer question takes the place of the one before,
 * also while that is being answered. */
struct pull_reply {
    enum reply_state state;
    struct eventual_ask ask; /* the newest */
    uint64_t asked_ns;
    uint64_t changes_ns; /* when it was told of some last; 0: never */
    bool is_known;       /* it has asked */
    bool is_fresh;       /* ... again, and this question was never answered */
    uint64_t seen;       /* the greatest that was told: a crash takes it back */
    bool has_told;       /* it was answered */
    bool told_whole;
    struct eventual_answer answer; /* that is being made */
    struct eventual_scan scan;
    uint64_t accepted; /* by this node, when it was begun to be answered */
    uint64_t given;    /* the greatest number when it was read */
    int status;
    bool is_damaged; /* this node was, then: eventual_damage.h */
    struct eventual_told told;
    struct env_task task;
};

/* Another node. */
struct pull_peer {
    struct pulls *pulls;
    uint64_t node;
    bool is_member;         /* else it is freed when nothing is under way */
    uint64_t ticket;        /* of the outstanding question; 0: none */
    uint64_t ask_ns;        /* it is asked then, or again */
    uint64_t vector_change; /* that it was told of */
    uint64_t kept;          /* likewise: struct eventual_ask */
    uint64_t cursor;        /* struct eventual_peer */
    uint64_t received;
    uint64_t promise;
    uint64_t roll;
    uint64_t fence; /* that it has told of with a complete answer ... */
    uint64_t fence_sequence; /* ... and what it had then: struct pull_told */
    uint64_t fence_head;
    uint64_t contact_ns; /* of its last answer; 0: none */
    uint64_t asked_ns;   /* when the newest question was sent first */
    uint64_t equal_ns;   /* all that it had accepted then is here; 0: never */
    uint64_t conflicts;  /* met in its changes */
    enum digest_verdict verdict; /* of the last moments */
    unsigned differ_count;       /* comparisons in a row that found that */
    int64_t differs_ns;          /* wall time of the first of them */
    bool has_told_all;           /* by a complete answer */
    bool has_told_rest; /* ... or one that is as complete as it can be */
    bool is_held;
    int status; /* of the last answer */
    bool merging;
    struct eventual_answer answer; /* that is being merged */
    struct eventual_merge merge;
    struct pull_reply reply;
    TAILQ_ENTRY(pull_peer) link;
};

struct pulls {
    struct node *node;
    struct env *env;
    TAILQ_HEAD(, pull_peer) peers; /* by ascending node id */
    struct env_timer pause;        /* until some of them is answered */
    bool pausing;
    uint64_t ticket;        /* the last one: they only grow */
    uint64_t vector_change; /* counts those of what this node has */
    uint64_t moment;        /* that was compared last */
    uint64_t damages;       /* eventual_damages(), of the questions */
    bool was_damaged;       /* eventual_is_damaged(), likewise */
    bool has_looked;        /* at who is there, since the start */
    bool knows_own;         /* see pulls_vector() */
    bool is_held;           /* pulls_hold() */
    bool stopped;
};

/* What this node has of each node's own changes. What it has lost with its
 * state/ of its own, any other one may have: so it says nothing of these until
 * it has everything of all others, unless it was whole when it started. */
void pulls_vector(const struct pulls *pulls, struct eventual_vector *ret);

/* NULL: that node is not known. */
struct pull_peer *pulls_find(const struct pulls *pulls, uint64_t node);

/* ---- pull_heard.c ---- */

/* Whether it has answered in the last STATUS_SILENT_MS. */
bool pulls_is_heard(const struct pull_peer *peer);

/* ---- pull_damage.c ---- */

/* Asks for everything again where more was damaged. */
void pulls_follow_damage(struct pulls *pulls);
/* Whether all other nodes have told all that they can read. */
bool pulls_have_rest(const struct pulls *pulls);

/* ---- pull_kept.c ---- */

/* What of its own changes is safely here, while a directory is being filled;
 * else 0. */
uint64_t pulls_kept(const struct pull_peer *peer);
/* Each tick: sees to it that all that was pulled becomes so, and is told. */
void pulls_keep(struct pulls *pulls);

/* ---- pull_leave.c ---- */

/* It has told of a fence, and all that it had then is here. */
void pulls_note_fence(struct pull_peer *peer);

/* ---- pull_digest.c ---- */

/* Each tick: compares what others have told when there is a new moment. */
void pulls_compare(struct pulls *pulls);
/* What is known of it now. */
enum digest_verdict pulls_verdict(const struct pull_peer *peer);

/* ---- pull_answer.c ---- */

void pulls_on_ask(struct pull_peer *peer, struct slice bytes);
/* Goes on with what it has asked, if it is time to. */
void pulls_reply(struct pull_peer *peer);

#endif
