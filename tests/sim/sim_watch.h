/* SPDX-License-Identifier: Apache-2.0 */

/* What must hold after every step, looked at on the node that took it:
 *
 *   1. Election safety: one leader per region and term.
 *   2. Leader completeness: a new leader has every committed entry:
 *      sim_commits.h.
 *   3. Log matching, and durability of what is committed: sim_logs.h.
 *   4. State machine safety: what two nodes know as committed is of the same
 *      term, so by 3 the same; who has applied up to some entry has given out
 *      the same versions as the others: sim_commits.h.
 *   5. Commit and applied index never go back in one incarnation, applied is
 *      at most commit, and after a restart applied is at least what was
 *      durable.
 *   6. Nobody holds a lease while another node has committed in a later term.
 *   7. Ranges of regions: sim_ranges.h.
 *   8. What is acknowledged is committed, and so durable by 3.
 *   9. What a node has the regions remember for it is bounded.
 *  10. raft_check().
 *  11. Whoever sleeps may: sim_sleep.h.
 *  12. No replica is found damaged but those that were harmed: sim_harm.h.
 *
 * It also keeps what the logs say about each operation: sim_commands.h. */

#ifndef GROVEFS_TESTS_SIM_SIM_WATCH_H
#define GROVEFS_TESTS_SIM_SIM_WATCH_H

#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_commands.h"
#include "tests/sim/sim_harm.h"

struct sim_watch;

struct sim_watch *sim_watch_new(struct sim_cluster *cluster);
void sim_watch_free(struct sim_watch *watch);

void sim_watch_start(struct sim_watch *watch, const struct sim_node *node);
void sim_watch_step(struct sim_watch *watch, struct sim_node *node);
/* A node has crashed: its stores are what the disk has kept. */
void sim_watch_crash(struct sim_watch *watch);
/* All is quiet, for the last time. */
void sim_watch_end(const struct sim_watch *watch);
/* A client has been told that the operation, a write, has succeeded. */
void sim_watch_acknowledged(struct sim_watch *watch, uint32_t tag);

struct sim_tag sim_watch_tag(const struct sim_watch *watch, uint32_t tag);
/* The region's last entry that some node knows as committed; 0: none does. */
uint64_t sim_watch_committed(const struct sim_watch *watch, uint64_t region);
/* Where whoever harms a replica says so. */
struct sim_harms *sim_watch_harms(const struct sim_watch *watch);

#endif
