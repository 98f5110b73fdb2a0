/* SPDX-License-Identifier: Apache-2.0 */

/* What clients do to files and directories in scenes: for sim_scenes.c. What
 * is before the first end is done beforehand, what is behind it is what the
 * scene asks for. */

#ifndef GROVEFS_TESTS_SIM_SIM_SCENES_ACTS_H
#define GROVEFS_TESTS_SIM_SIM_SCENES_ACTS_H

#include "tests/sim/sim_stage.h"

extern const struct sim_act scene_rename_acts[];
extern const struct sim_act scene_exchange_acts[];
extern const struct sim_act scene_chunk_acts[];
extern const struct sim_act scene_directory_acts[];
extern const struct sim_act scene_rmdir_acts[];

#endif
