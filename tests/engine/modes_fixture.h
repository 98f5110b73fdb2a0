/* SPDX-License-Identifier: Apache-2.0 */

/* Modes that follow a catalog in memory, and who is told of changes. */

#ifndef GROVEFS_TESTS_ENGINE_MODES_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_MODES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/modes.h"

enum { NODE = 3 };

struct fixture {
    struct kv *kv;
    struct modes *modes;
    unsigned change_count;
    uint64_t nsid; /* of the last change */
    struct mode before;
    struct mode mode;
};

int setup_modes(void **state);
int teardown_modes(void **state);

/* What the catalog says; nobody has followed that yet. */
void put_mode(struct fixture *f, uint64_t nsid, struct mode mode);
void put_directory(struct fixture *f, uint64_t nsid, enum mode_state mode_state,
                   uint64_t epoch);
void put_filling(struct fixture *f, uint64_t nsid, uint64_t epoch);
void delete_directory(struct fixture *f, uint64_t nsid);
/* Its version. */
void put_marker(struct fixture *f, uint64_t version);

#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, setup_modes, teardown_modes)

#endif
