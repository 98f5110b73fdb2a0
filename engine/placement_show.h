/* SPDX-License-Identifier: Apache-2.0 */

/* What /.cluster shows of operators and settings: grovefs-cluster(7). Goals
 * and settings are in region 0's state, of which every node has a copy; the
 * rest is what region 0's leader has told. Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_PLACEMENT_SHOW_H
#define GROVEFS_ENGINE_PLACEMENT_SHOW_H

#include <stdio.h>

#include "engine/node.h"

/* The table of running and recent operators. */
void placement_render_operators(struct node *node, FILE *out);
/* The running or last one of a region, a fact a line. */
void placement_render_operator(struct node *node, uint64_t region, FILE *out);
/* The same as it would be written into `move`; no newline. */
void placement_print_move(struct node *node, uint64_t region, FILE *out);
/* `table` is one of TABLE_SETTING_...; what settings_read() says. */
int placement_render_setting(struct node *node, enum engine_table table,
                             FILE *out);

#endif
