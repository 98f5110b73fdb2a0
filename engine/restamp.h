/* SPDX-License-Identifier: Apache-2.0 */

/* New versions for changes that were accepted while this node's clock was
 * ahead.
 *
 * Versions of eventual changes are times. A node that starts cut off has to
 * believe its clock (clocks.h), and that may be wrong. Others take nothing that
 * is ahead of their clocks, nor what comes behind it; and this node's own clock
 * of versions does not go back, so that all it accepts later is ahead, too,
 * until the time has come.
 *
 * When its clock is right again, the node gives these changes new versions, in
 * the order in which it had accepted them, and then goes by its clock. That
 * is safe where nobody else has any of them: elsewhere the old version would
 * stay, and win over all that comes later. So:
 *
 * 1. The clocks of all nodes of the cluster are known, and agree.
 * 2. It takes back what it promised for the floor (floor.h, rule 8).
 * 3. It tells the others nothing more, and waits until what it has told is not
 *    on its way any more: each of them has asked again, a question that was
 *    not answered. That says, too, what the greatest time is that has ever come
 *    to that node from another one.
 * 4. If something that is ahead has come to any node from another one, then all
 *    stays as it is, and is tried again later: most likely the time has come
 *    by then. It does not help to look at what is there now: what has come
 *    may have been replaced, where it came from or where it came to.
 * 5. It accepts nothing while it writes (a second or two), and tells and
 *    accepts again when all of it is durable, and the journal has nothing of
 *    before. Whatever a crash leaves, the changes that are still ahead are then
 *    given new versions again; nobody else had them.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_RESTAMP_H
#define GROVEFS_ENGINE_RESTAMP_H

#include "engine/node.h"

struct restamps;

struct restamps *restamps_new(struct node *node);
/* Ends what is under way. */
void restamps_stop(struct restamps *restamps);
void restamps_free(struct restamps *restamps); /* Takes NULL. */

void restamps_tick(struct restamps *restamps);
void restamps_each_second(struct restamps *restamps);

/* By how much the versions that this node gives out are ahead of its clock, if
 * that is more than clocks may be apart; else 0. */
uint64_t restamps_ahead_ms(const struct restamps *restamps);

#endif
