/* SPDX-License-Identifier: Apache-2.0 */

/* Files of strong directories, as a node has them in state/. */

#ifndef GROVEFS_TESTS_SIM_SIM_ENTRY_H
#define GROVEFS_TESTS_SIM_SIM_ENTRY_H

#include "engine/record.h"
#include "tests/sim/sim_cluster.h"

/* With its content, which is to be dropped, as the entry is to be released.
 * False: there is none that can be read. */
bool sim_entry_get(const struct sim_node *node, uint64_t dir, struct slice name,
                   struct entry *ret, struct buf **ret_content);

#endif
