/* SPDX-License-Identifier: Apache-2.0 */

/* The applier of a region over the state/ of exec_fixture.h, for entries that
 * change what the region is: at first it is all there is, and has a directory
 * with the files a, c, e and g. */

#ifndef GROVEFS_TESTS_ENGINE_APPLIER_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_APPLIER_FIXTURE_H

#include "engine/applier.h"
#include "engine/range_change.h"
#include "exec_fixture.h"
#include "fake_env.h"

enum {
    LEFT = 1,  /* region id; that of the whole, too */
    RIGHT = 8, /* of a region that is split off */
    NODE = 3,  /* which sends the commands */
    INDEX = 20,
    TERM = 6,
    STAMP = 5000 /* the version at INDEX */
};

struct applier_fixture {
    struct exec_fixture *exec; /* its state/ is the one here */
    struct fake_env fake;
    struct applier *applier;
    uint64_t index;
    struct region region; /* as of `index` */
    uint64_t dir;
};

int setup_applier(void **state);
int teardown_applier(void **state);

/* From here on `f` is about this region, as its state/ says. */
void go_to(struct applier_fixture *f, uint64_t region);

void put_region(struct applier_fixture *f, const struct region *region,
                const struct marker *marker);
/* What a split of the region of `f` is to make of it; the caller releases both
 * sides. */
struct range_split plan_split(struct applier_fixture *f, uint64_t new_region,
                              uint64_t dir, const char *name);
/* Splits the region of `f`, and so it is the left one from here on. */
void split_as(struct applier_fixture *f, uint64_t new_region, uint64_t dir,
              const char *name, enum split_side right_here);
/* The same for RIGHT, which gets a replica. */
void split(struct applier_fixture *f, uint64_t dir, const char *name);

/* The creation of a file, for a region of this version. */
struct command create_at(uint64_t version, uint64_t sequence, uint64_t dir,
                         const char *name);
/* Applies it as the next entry. Returns the status. */
int apply(struct applier_fixture *f, struct command command);
/* That of a result as bytes, which it takes. */
int status_of(struct buf *bytes);

/* The part of a namespace that begins at `name`; fails without one. Borrows
 * nothing: only numbers are to be looked at. */
struct namespace_record part_at(struct applier_fixture *f, uint64_t dir,
                                const char *name);

#endif
