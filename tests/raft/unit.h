/* SPDX-License-Identifier: Apache-2.0 */

/* What every unit test of raft/ includes: cmocka with what it needs before it,
 * and a fixture of one peer. */

#ifndef GROVEFS_TESTS_RAFT_UNIT_H
#define GROVEFS_TESTS_RAFT_UNIT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"
#include "tests/raft/peer.h"

/* Gives each test three voters, not yet started. */
static inline int unit_setup(void **state)
{
    struct peer *p = mem_zalloc(sizeof *p);

    peer_init(p, 3);
    *state = p;
    return 0;
}

static inline int unit_teardown(void **state)
{
    peer_close(*state);
    free(*state);
    return 0;
}

#define UNIT(test)                                                             \
    cmocka_unit_test_setup_teardown(test, unit_setup, unit_teardown)

#endif
