/* SPDX-License-Identifier: Apache-2.0 */

/* The histories that sim_check.h must accept or reject, for test_check.c. */

#ifndef GROVEFS_TESTS_SIM_STORIES_H
#define GROVEFS_TESTS_SIM_STORIES_H

#include "tests/sim/sim_check.h"
#include "tests/sim/story.h"

enum { STORIES_COUNT = 49 };

/* What lincheck.py says: not all kinds of operations are known to it. */
enum opinion { AGREES, CANNOT_TELL };

struct story_row {
    const char *name;
    void (*tell)(struct story *s);
    enum sim_verdict verdict;
    enum opinion second;
};

extern struct story_row stories[];

#endif
