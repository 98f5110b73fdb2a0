/* SPDX-License-Identifier: Apache-2.0 */

/* Tells region 0's leader about the regions that this node leads: each one
 * when something has changed in it that matters there, and all of them when
 * region 0 has got another leader, or asks. A size matters when it has become
 * noticeably another one, by an eighth and 64 KiB at least; and where something
 * else is told the size goes along as it is.
 *
 * What is told may get lost. So what it adds up to is told every few seconds,
 * in one packet however many regions there are (struct reported). A region in
 * which nothing happens costs no packet.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_REPORTER_H
#define GROVEFS_ENGINE_REPORTER_H

#include "engine/node.h"
#include "engine/wire_placement.h"

struct reporter;

struct reporter *reporter_new(struct node *node);
void reporter_free(struct reporter *reporter); /* Takes NULL. */

void reporter_tick(struct reporter *reporter);
void reporter_each_second(struct reporter *reporter);
/* All of them are to be told again. */
void reporter_tell_all(struct reporter *reporter);
/* Region 0's leader has an old view of this region. */
void reporter_tell_again(struct reporter *reporter, uint64_t region);

/* What a leader thinks of a replica of its region: enum peer_flag. */
unsigned reporter_peer_flags(const struct node *node, const struct peer *peer,
                             const struct region_peer *replica);

#endif
