/* SPDX-License-Identifier: Apache-2.0 */

/* The packets of the placement group: what regions' leaders report to region
 * 0's leader, the steps that it sends back, and what it tells everybody about
 * its operators. Encoding and errors as in wire.h. Read placement.h first. */

#ifndef GROVEFS_ENGINE_WIRE_PLACEMENT_H
#define GROVEFS_ENGINE_WIRE_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/record.h"

/* What a leader thinks of a replica. */
enum peer_flag {
    PEER_FLAG_CAUGHT_UP = 1 << 0, /* has nearly everything, and runs */
    PEER_FLAG_SNAPSHOT = 1 << 1,  /* is being sent a snapshot */
    PEER_FLAG_DAMAGED = 1 << 2,
    PEER_FLAG_SILENT = 1 << 3, /* its node cannot be reached */
    PEER_FLAGS = (1 << 4) - 1
};

struct peer_report {
    unsigned flags; /* of enum peer_flag */
    uint64_t match;
};

/* WIRE_REPORT: a region, as its leader sees it. */
struct region_report {
    uint64_t sequence; /* grows with all that a node reports */
    struct region region;
    uint64_t term;
    uint64_t last_index;
    uint64_t size_bytes; /* about; 0: not known */
    uint64_t keys;
    bool measured; /* by this leader; else the size is only that of its files */
    uint64_t digest;                            /* of all that counts in it */
    struct peer_report peers[REGION_PEERS_MAX]; /* as in region.peers */
};

struct buf *region_report_encode(const struct region_report *report);
int region_report_decode(struct region_report *ret, struct slice bytes);
void region_report_release(struct region_report *report);

/* WIRE_REPORTED, behind the reports: what it adds up to. Who finds that what
 * he has been told adds up to something else asks for all again. */
struct reported {
    uint64_t sequence;
    uint64_t first; /* sequence; all that is led was told from here on; or 0 */
    uint64_t led_count;
    uint64_t led_digest; /* exclusive or of the reports' */
};

struct buf *reported_encode(const struct reported *reported);
int reported_decode(struct reported *ret, struct slice bytes);

/* Numbers are part of the protocol: append only. */
enum step_kind {
    STEP_NONE = 0,   /* the goal is reached */
    STEP_WAIT = 1,   /* for what is under way */
    STEP_FAIL = 2,   /* the goal cannot be reached */
    STEP_REPORT = 3, /* tell of all regions that you lead */
    STEP_ADD = 4,    /* one new learner */
    STEP_VOTERS = 5, /* roles change, in one joint configuration */
    STEP_LEAVE = 6,  /* the joint configuration */
    STEP_REMOVE = 7, /* one learner */
    STEP_TRANSFER = 8,
    STEP_MERGE = 9, /* take over a neighbour */
    STEP_KINDS
};

struct step_change {
    uint64_t node;
    enum peer_role role; /* that it is to have; STEP_REMOVE, STEP_TRANSFER:
                          * as it is */
};

/* WIRE_STEP: what a region's leader is asked to do now, if its region is still
 * at this epoch. Only kinds from STEP_REPORT on are sent. */
struct step {
    enum step_kind kind;
    uint64_t region;
    uint64_t conf_ver;
    uint64_t version;
    struct step_change changes[REGION_PEERS_MAX];
    size_t change_count;
    uint64_t source; /* STEP_MERGE: the neighbour */
    uint64_t source_version;
};

struct buf *step_encode(const struct step *step);
int step_decode(struct step *ret, struct slice bytes);

enum { OPERATORS_TOLD_MAX = 64 };

/* WIRE_OPERATORS: one of them, for /.cluster. */
struct operator_view {
    uint64_t region;
    uint64_t from; /* 0: none, as in struct goal */
    uint64_t to;
    uint64_t leader; /* the node that is to lead; 0: any */
    uint64_t into;   /* the region that is to take it over; 0: none */
    bool manual;
    int64_t begin_ns; /* wall clock */
    int64_t end_ns;   /* 0: it is running */
    int status;
    enum step_kind step;
    unsigned percent;        /* of the step */
    char why[GOAL_WHY_SIZE]; /* what it waits for, or why it has failed */
};

struct operators_view {
    uint64_t term; /* of region 0's leader who tells them */
    struct operator_view operators[OPERATORS_TOLD_MAX];
    size_t count;
};

struct buf *operators_encode(const struct operators_view *view);
int operators_decode(struct operators_view *ret, struct slice bytes);

#endif
