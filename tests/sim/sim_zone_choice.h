/* SPDX-License-Identifier: Apache-2.0 */

/* What clients of zones do next. A zone is a directory in the root that is made
 * eventual while it is empty, used, emptied again, and then made strong or
 * removed; it may have one directory in it. What is known of it is what
 * operations have said, on whatever node. */

#ifndef GROVEFS_TESTS_SIM_SIM_ZONE_CHOICE_H
#define GROVEFS_TESTS_SIM_SIM_ZONE_CHOICE_H

#include "engine/engine.h"
#include "tests/sim/sim_plan.h"

enum {
    ZONE_FILES_MAX = 6,
    ZONE_NAMES = ZONE_FILES_MAX + 1, /* the last one is the directory's */
    ZONE_SUB = ZONE_FILES_MAX,
    ZONE_DIRS = 2 /* the zone, and the directory in it */
};

struct sim_zone {
    const char *name;
    uint64_t nsid; /* 0: it is not known that there is one */
    uint64_t sub;  /* likewise */
    bool eventual; /* as the last answer has it */
    bool emptying; /* until all is away, or `turn_ns` */
    bool ending;   /* it is to become strong, and to stay so */
    bool full;     /* strong, and with files in it */
    uint8_t next;  /* of those that is looked for next */
    uint64_t turn_ns;
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
    bool to_eventual; /* SETXATTR of a zone */
    uint8_t dir;      /* 0: in the zone, 1: in the directory in it */
    uint8_t name;
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

void sim_zone_choose(struct sim_loop *loop, const struct sim_plan *plan,
                     struct sim_zone *zones,
                     const struct sim_zone_handles *handles,
                     struct sim_zone_op *ret);
/* What its answer says. */
void sim_zone_learn(struct sim_loop *loop, struct sim_zone *zones,
                    struct sim_zone_handles *handles,
                    const struct sim_zone_op *op,
                    const struct request *request);

#endif
