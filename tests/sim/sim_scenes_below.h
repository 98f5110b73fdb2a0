/* SPDX-License-Identifier: Apache-2.0 */

/* Plays about a directory in an eventual one that becomes strong, or is: for
 * sim_scenes.c. */

#ifndef GROVEFS_TESTS_SIM_SIM_SCENES_BELOW_H
#define GROVEFS_TESTS_SIM_SIM_SCENES_BELOW_H

#include "tests/sim/sim_stage.h"

/* It is eventual, with a file in it. */
void scene_begin_below(struct sim_stage *stage);
void scene_ask_below_strong(struct sim_stage *stage);
bool scene_is_below_strong(struct sim_stage *stage);

/* It is strong, with that file. */
void scene_begin_strong_below(struct sim_stage *stage);
void scene_ask_below_inherits(struct sim_stage *stage);
bool scene_is_below_eventual(struct sim_stage *stage);

/* It is strong and empty. */
void scene_begin_empty_below(struct sim_stage *stage);
void scene_ask_below_removal(struct sim_stage *stage);
bool scene_is_below_removed(struct sim_stage *stage);

#endif
