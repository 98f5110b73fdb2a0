/* SPDX-License-Identifier: Apache-2.0 */

/* Is there an order of all operations, each between its call and its return,
 * in which the tree of sim_model.h gives the same results? The search of Wing
 * and Gong, with Lowe's memory of what was tried (notes/eventual.md D.4). The
 * whole tree is one group, since a rename may tie any two names together.
 *
 * What the logs say makes the intervals of writes shorter, which is stricter
 * and makes the search short: an operation cannot take effect before its
 * command (of a transaction, its PREPARE) is committed; one of unknown outcome
 * does so before all that is called after that, which waits for what is
 * committed, or never. */

#ifndef GROVEFS_TESTS_SIM_SIM_CHECK_H
#define GROVEFS_TESTS_SIM_SIM_CHECK_H

#include "tests/sim/sim_history.h"
#include "tests/sim/sim_model.h"
#include "tests/sim/sim_watch.h"

enum sim_verdict { SIM_LINEARIZABLE, SIM_NOT_LINEARIZABLE, SIM_TOO_HARD };

/* `watch` knows what the logs say; NULL: nobody does, and what an operation
 * of unknown outcome has created must be in its `ret_ino`. Prints what it is
 * about when it is not linearizable. */
enum sim_verdict sim_check(const struct sim_history *history,
                           const struct sim_watch *watch);

#endif
