/* SPDX-License-Identifier: Apache-2.0 */

/* What clients of zones do next. A zone is a directory in the root that is made
 * eventual with what is in it, used, emptied for a while, and made strong or
 * removed. There may be directories in it, two levels deep, each of which may
 * have a mode of its own. What is known of it is what operations have said, on
 * whatever node. */

#ifndef GROVEFS_TESTS_SIM_SIM_ZONE_CHOICE_H
#define GROVEFS_TESTS_SIM_SIM_ZONE_CHOICE_H

#include "engine/engine.h"
#include "tests/sim/sim_plan.h"

enum {
    ZONE_FILES_MAX = 6,
    ZONE_NAMES = ZONE_FILES_MAX + 2, /* the last ones are those of ... */
    ZONE_SUB = ZONE_FILES_MAX,       /* ... a directory with others in it */
    ZONE_OTHER = ZONE_SUB + 1,       /* ... and of one without */
    ZONE_DIRS = 5 /* the zone, s and t in it, s and t in that s */
};

struct sim_zone {
    const char *name;
    uint64_t nsid;               /* 0: it is not known that there is one */
    uint64_t subs[ZONE_DIRS];    /* likewise; the first one is not used */
    uint64_t owns[ZONE_DIRS];    /* which of them has a mode of its own */
    uint64_t strongs[ZONE_DIRS]; /* which of them was made strong */
    bool eventual;               /* as the last answer has it */
    bool emptying;               /* until all is away, or `turn_ns` */
    bool ending;                 /* it is to become strong, and to stay so */
    uint64_t turn_ns;
    uint64_t switch_ns; /* somebody is changing its mode until then */
};

/* Which of the things that are kept per name of a node's clients. */
struct sim_zone_handles {
    uint64_t ino[SIM_ZONES_MAX][ZONE_DIRS][ZONE_NAMES]; /* 0: not known */
};

struct sim_zone_op {
    enum request_kind kind;
    unsigned flags;
    size_t zone;
    bool of_zone;     /* of the zone itself: its directory is the root */
    bool of_own;      /* of the mode of a directory in it */
    bool of_dir;      /* RENAME of a directory in it */
    bool to_eventual; /* SETXATTR of a zone, or of such a directory */
    bool by_force;    /* to strong: without nodes that are not heard of */
    uint8_t dir;      /* 0: in the zone, else in that directory */
    uint8_t name;
    size_t to_zone; /* RENAME */
    uint8_t to_dir;
    uint8_t to_name;
    uint64_t ino; /* of the handle; 0: it takes none */
    uint32_t piece_size;
};

const char *sim_zone_root_name(size_t zone);
/* Whether a name of the root is that of a zone. */
bool sim_zone_is_name(const char *name);
/* In a zone. */
const char *sim_zone_file_name(uint8_t name);

uint64_t sim_zone_nsid(const struct sim_zone *zone, uint8_t dir);
/* Which directory in a zone has that name there; 0: none has. */
uint8_t sim_zone_sub(uint8_t parent, uint8_t name);
uint8_t sim_zone_parent(uint8_t sub);
/* Whether a mode is asked for, or set. */
bool sim_zone_is_of_mode(const struct sim_zone_op *op);

/* `is_away`: some node is. */
void sim_zone_choose(struct sim_loop *loop, const struct sim_plan *plan,
                     struct sim_zone *zones,
                     const struct sim_zone_handles *handles, bool is_away,
                     struct sim_zone_op *ret);
/* What its answer says: sim_zone_learn.c. */
void sim_zone_learn(struct sim_loop *loop, struct sim_zone *zones,
                    struct sim_zone_handles *handles,
                    const struct sim_zone_op *op,
                    const struct request *request);

#endif
