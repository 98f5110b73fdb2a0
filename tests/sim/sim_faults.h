/* SPDX-License-Identifier: Apache-2.0 */

/* Faults as the plan wants them, as long as they are on. */

#ifndef GROVEFS_TESTS_SIM_SIM_FAULTS_H
#define GROVEFS_TESTS_SIM_SIM_FAULTS_H

#include "tests/sim/sim_client.h"
#include "tests/sim/sim_cluster.h"

struct sim_faults;

struct sim_faults *sim_faults_new(struct sim_cluster *cluster,
                                  struct sim_clients *clients);
void sim_faults_stop(struct sim_faults *faults);
void sim_faults_free(struct sim_faults *faults); /* At the end of the run. */

#endif
