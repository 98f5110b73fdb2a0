/* SPDX-License-Identifier: Apache-2.0 */

#include "snapshot_data_fixture.h"

#include <stdlib.h>

#include "tests/sim/kv_mem.h"

static const uint8_t bound_low[] = {0, 0, 0, 0, 0, 0, 0, 2, 'd'};
static const uint8_t bound_high[] = {0, 0, 0, 0, 0, 0, 0, 9, 'm'};

const struct region region_data = {
    .id = REGION_FIRST_DATA,
    .conf_ver = 1,
    .version = 1,
    .start = {bound_low, sizeof bound_low},
    .end = {bound_high, sizeof bound_high},
    .peers = {{11, 1, PEER_VOTER}, {12, 2, PEER_VOTER}},
    .peer_count = 2,
    .voters = {11, 12},
    .voter_count = 2,
};

int setup_snapshot_data(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->from = kv_mem_new();
    f->to = kv_mem_new();
    *state = f;
    return 0;
}

int teardown_snapshot_data(void **state)
{
    struct fixture *f = *state;

    kv_mem_check(f->to);
    kv_close(f->from);
    kv_close(f->to);
    free(f);
    return 0;
}
