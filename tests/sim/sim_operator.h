/* SPDX-License-Identifier: Apache-2.0 */

/* Somebody who writes node ids to /.cluster/region/<id>/transfer, on any node:
 * whatever comes to his mind during the chaos, then once in the calm what has
 * to succeed. When it has, the node that he wrote to must see it at once; and
 * region 0 must stay where he has put it. */

#ifndef GROVEFS_TESTS_SIM_SIM_OPERATOR_H
#define GROVEFS_TESTS_SIM_SIM_OPERATOR_H

#include "tests/sim/sim_cluster.h"

struct sim_operator;

/* In half of the runs he begins at once. */
struct sim_operator *sim_operator_new(struct sim_cluster *cluster);
void sim_operator_rest(struct sim_operator *operator);
bool sim_operator_is_idle(const struct sim_operator *operator);

/* In the calm: a region gets another leader. False: none can, or leaders
 * change by themselves because packets take as long as elections. */
bool sim_operator_hand_over(struct sim_operator *operator);
/* After that: fails unless it has worked, and has not been undone, but for a
 * merge of the region. */
void sim_operator_check(const struct sim_operator *operator);

void sim_operator_free(struct sim_operator *operator);

#endif
