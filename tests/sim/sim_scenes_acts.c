/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_scenes_acts.h"

enum { A, B, C, D, E, F }; /* names */

enum {
    SMALL = 30,    /* bytes of a value */
    LARGE = 140000 /* in three chunks */
};

/* clang-format off */
#define CREATE(dir, name, size) {REQUEST_CREATE, dir, name, 0, 0, 0, size, false}
#define UNLINK(dir, name) {REQUEST_UNLINK, dir, name, 0, 0, 0, 0, false}
#define MKDIR(dir, name) {REQUEST_MKDIR, dir, name, 0, 0, 0, 0, false}
#define RMDIR(dir, name) {REQUEST_RMDIR, dir, name, 0, 0, 0, 0, false}
#define RENAME(dir, name, to_dir, to_name, flags) \
    {REQUEST_RENAME, dir, name, to_dir, to_name, flags, 0, false}
#define BESIDE_CREATE(dir, name) {REQUEST_CREATE, dir, name, 0, 0, 0, SMALL, true}
#define END {REQUEST_KINDS, 0, 0, 0, 0, 0, 0, false}

const struct sim_act scene_rename_acts[] = {
    CREATE(SIM_IN_ROOT, A, SMALL),
    END,
    RENAME(SIM_IN_ROOT, A, SIM_IN_ROOT, D, 0),
    CREATE(SIM_IN_ROOT, A, SMALL),
    RENAME(SIM_IN_ROOT, D, SIM_IN_ROOT, A, 0),
    END,
};

const struct sim_act scene_exchange_acts[] = {
    CREATE(SIM_IN_ROOT, A, SMALL),
    CREATE(SIM_IN_ROOT, D, LARGE),
    END,
    RENAME(SIM_IN_ROOT, A, SIM_IN_ROOT, D, REQUEST_EXCHANGE),
    END,
};

const struct sim_act scene_chunk_acts[] = {
    CREATE(SIM_IN_ROOT, A, LARGE),
    CREATE(SIM_IN_ROOT, D, LARGE),
    END,
    RENAME(SIM_IN_ROOT, A, SIM_IN_ROOT, D, 0),
    END,
};

const struct sim_act scene_directory_acts[] = {
    MKDIR(SIM_IN_ROOT, D),
    END,
    MKDIR(SIM_IN_ROOT, A),
    CREATE(D, E, SMALL),
    UNLINK(D, E),
    RENAME(SIM_IN_ROOT, A, D, B, 0),
    RMDIR(D, B),
    END,
};

/* Only one can succeed: the directory's removal, or a file in it. */
const struct sim_act scene_rmdir_acts[] = {
    MKDIR(SIM_IN_ROOT, D),
    END,
    RMDIR(SIM_IN_ROOT, D),
    BESIDE_CREATE(D, A),
    BESIDE_CREATE(D, E),
    UNLINK(D, A),
    UNLINK(D, E),
    MKDIR(SIM_IN_ROOT, D),
    RMDIR(SIM_IN_ROOT, D),
    END,
};
/* clang-format on */
