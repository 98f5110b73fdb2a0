/* SPDX-License-Identifier: Apache-2.0 */

/* What committed commands say, of whichever region: about each operation of a
 * client, and about splits and merges, which sim_ranges.h is told of. */

#ifndef GROVEFS_TESTS_SIM_SIM_COMMANDS_H
#define GROVEFS_TESTS_SIM_SIM_COMMANDS_H

#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_ranges.h"

/* What became of the operation with a tag (sim_client.h), as the logs have
 * it. */
struct sim_tag {
    bool committed;       /* what makes it take effect is in the log */
    uint64_t begun_ns;    /* of its first entry at all, a PREPARE too */
    uint64_t last_ns;     /* when somebody has acted upon the last one: commands
                           * may be repeated */
    unsigned unpublished; /* entries that nobody has acted upon yet */
    uint64_t ino;         /* of CREATE and MKDIR */
};

struct sim_commands;

/* Borrows `ranges` until it is freed. */
struct sim_commands *sim_commands_new(struct sim_cluster *cluster,
                                      struct sim_ranges *ranges);
void sim_commands_free(struct sim_commands *commands);

/* The entry of the region is known to be committed, for the first time. Returns
 * the tag of the operation that it makes take effect; 0: of none. */
uint32_t sim_commands_committed(struct sim_commands *commands, uint64_t region,
                                const struct raft_entry *entry);
/* Somebody has acted upon an entry of that tag. */
void sim_commands_published(struct sim_commands *commands, uint32_t tag);

/* Zeroed when no log says anything about it. */
struct sim_tag sim_commands_tag(const struct sim_commands *commands,
                                uint32_t tag);

#endif
