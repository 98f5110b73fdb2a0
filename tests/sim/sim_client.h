/* SPDX-License-Identifier: Apache-2.0 */

/* Clients: each does one operation after the other on its node, as a process
 * on a mount does, and all of it goes into the history. They work on few
 * names, so that they meet; directories are addressed by namespace ids that
 * some operation has returned, files by inode numbers, so handles may be
 * stale. */

#ifndef GROVEFS_TESTS_SIM_SIM_CLIENT_H
#define GROVEFS_TESTS_SIM_SIM_CLIENT_H

#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_history.h"

struct sim_clients;

struct sim_clients *sim_clients_new(struct sim_cluster *cluster);
/* None may have an operation under way. */
void sim_clients_free(struct sim_clients *clients);

/* They begin, and go on until they are told to rest. */
void sim_clients_work(struct sim_clients *clients);
void sim_clients_rest(struct sim_clients *clients);
bool sim_clients_are_idle(const struct sim_clients *clients);
/* What was under way on a node has come to nothing that anybody knows. */
void sim_clients_on_crash(struct sim_clients *clients,
                          const struct sim_node *node);

/* A client begins that: kind, flags, places, handle and size are as in `what`.
 * False: it has something under way, or its node does not serve. */
bool sim_clients_do(struct sim_clients *clients, size_t number,
                    const struct sim_op *what);
/* What operations that have succeeded say of the place: an inode number, 0 for
 * nothing. */
uint64_t sim_clients_known(const struct sim_clients *clients, uint64_t dir,
                           uint8_t name);

/* Each node reads the whole tree once, by itself, into the history. */
void sim_clients_audit(struct sim_clients *clients);

/* How many operations have succeeded that change something. */
uint64_t sim_clients_written(const struct sim_clients *clients);
struct sim_history *sim_clients_history(struct sim_clients *clients);

#endif
