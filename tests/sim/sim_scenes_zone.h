/* SPDX-License-Identifier: Apache-2.0 */

/* What scenes with an eventual directory are made of: see sim_stage.h. */

#ifndef GROVEFS_TESTS_SIM_SIM_SCENES_ZONE_H
#define GROVEFS_TESTS_SIM_SIM_SCENES_ZONE_H

#include "tests/sim/sim_stage.h"

struct sim_zone_op;

/* By any node's client, if all have ended what they did. False: they have not,
 * or none can. */
bool scene_begin_op(struct sim_stage *stage, const struct sim_zone_op *op);
/* Nothing is under way, and all nodes have everything. */
bool scene_is_settled(struct sim_stage *stage);

void scene_begin_strong(struct sim_stage *stage);
void scene_ask_eventual(struct sim_stage *stage);
bool scene_is_eventual(struct sim_stage *stage);

void scene_begin_eventual(struct sim_stage *stage);
void scene_ask_files(struct sim_stage *stage);
bool scene_files_are_done(struct sim_stage *stage);

/* Empty again. */
void scene_begin_used(struct sim_stage *stage);
void scene_ask_strong(struct sim_stage *stage);
bool scene_is_strong(struct sim_stage *stage);
void scene_ask_removal(struct sim_stage *stage);
bool scene_is_removed(struct sim_stage *stage);

/* It is strong and eventual again while a node waits for what another one had
 * sent before. */
void scene_begin_again(struct sim_stage *stage);
void scene_ask_again(struct sim_stage *stage);
bool scene_is_again(struct sim_stage *stage);

/* A node is drained and removed that has what nobody else has. */
void scene_begin_leaving(struct sim_stage *stage);
void scene_ask_leaving(struct sim_stage *stage);
bool scene_has_left(struct sim_stage *stage);

/* It becomes strong without a node that is cut off. */
void scene_begin_away(struct sim_stage *stage);
void scene_ask_force(struct sim_stage *stage);
void scene_begin_behind(struct sim_stage *stage);

#endif
