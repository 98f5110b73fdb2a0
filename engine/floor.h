/* SPDX-License-Identifier: Apache-2.0 */

/* The floor of tombstones: what was removed in eventual namespaces up to this
 * time is forgotten (eventual.h).
 *
 * A tombstone must stay for as long as an older record of its name may come
 * from anywhere. So the floor is a time S up to which each member has, safely,
 * all that any member has ever had; and no member stamps anything up to S any
 * more. Members are the nodes that have a replica of region 0. It is a number
 * of the catalog, the same for the whole cluster, and only grows.
 *
 * 1. *Promises.* A node writes into log/ how far its clock has come (the time
 *    of the greatest version it has given out or seen). From then on it stamps
 *    nothing up to there, also after a restart: its clock begins there. So no
 *    wall clock matters, and a promise never drags a clock along.
 * 2. *Answers.* A complete answer to a pull (pull.h) has all that the node has
 *    at one moment, and tells what was promised before that. Who has taken it
 *    keeps the promise beside the cursor, in the same batch. So: "what that
 *    node had when it had promised to stamp nothing up to c is here".
 * 3. *Consent.* A node consents to a floor up to the least promise that it has
 *    of the other members and its own one. Only what a power cut would leave
 *    of state/ counts: the promises that it still had then stand beside the
 *    tombstones that it still had then, so nobody else needs to have those.
 *    And only when what state/ has safely is cut off the journal: else, were
 *    state/ given up, the journal might bring back what is long removed.
 *    Before that it had to be whole.
 * 4. *The roll* is a number that grows whenever members come or go. Promises
 *    and consents are of one roll, and count together with those of the same
 *    one only; the entry that sets the floor names it, and does nothing at
 *    another one. So a node that came meanwhile is asked, too; and a node that
 *    left is asked no more. What others still took from that one is here, too:
 *    a node takes nothing from a node that is no member as far as it has
 *    applied region 0, and promises of the new roll are told behind that.
 *    There is no floor either as long as some node of the cluster is no member
 *    yet, or just not.
 * 5. A whole node takes no record up to the floor of a name of which it knows
 *    nothing: it had that, or what has replaced it, when it consented. What
 *    was removed and is forgotten here may be on its way still, in an answer
 *    that was read before.
 * 6. A node that is not whole yet takes such records: it has nothing. Those
 *    that it asks have applied region 0 up to its own membership. As for floors
 *    before that, each of them knew of all that was removed below when it
 *    answered; and floors behind that need its own consent.
 * 7. A node whose state/ was given up may have consented before. It *withdraws*
 *    that by an entry of region 0 that makes another roll, and takes only
 *    answers that were read behind it: where a floor to which it had consented
 *    is set by then, the other one knew of all that was removed below. Nobody
 *    who has not had answers of this roll from all members tells a promise:
 *    what the others have of the lost state is here then, too.
 *    The same does a node that cannot read all of it: eventual_damage.h.
 * 8. A node whose clock is about to go back (restamp.h) takes its promise back:
 *    it writes into log/ that there is none, and withdraws what was told as in
 *    7. When it has applied that, no floor that it does not know of can come
 *    of it any more, and it stamps above those that it knows of. It promises
 *    nothing until the clock is back.
 *
 * Then, if S is a floor: a record up to S was stamped by a member before its
 * promise (1, 6, 8: a node that comes begins above the floors before), so each
 * member has it or what has replaced it (2, 3, 4), and has that after each
 * crash (3). Where the newest record of the name is a tombstone up to S, no
 * member shows an older one any more, and none takes an older one that is still
 * on its way: either it has the tombstone, or it is past the floor (5). So each
 * can drop it by itself, when it has applied the floor: until then it keeps it,
 * with no harm. A removal that is to go into quarantine (quarantine.h), of a
 * life that ended without the node, is dropped by the others as soon as they
 * get it; but the floor is above it only behind the end of that life.
 *
 * It takes about this long: two questions, and a flush of state/ on each node.
 * All of that happens only while there are tombstones of directories that are
 * eventual; what a crash has left of others goes along. */

#ifndef GROVEFS_ENGINE_FLOOR_H
#define GROVEFS_ENGINE_FLOOR_H

#include "engine/record.h"

/* In the catalog. */
struct floor {
    uint64_t hlc;       /* 0: there was none yet */
    uint64_t withdrawn; /* how often consents were withdrawn */
};

/* Zeroes where there is no record. ERR_CORRUPT, ERR_IO. Any thread. */
int floor_get(struct kv *state, const struct kv_snapshot *snapshot,
              struct floor *ret);

struct floor_members {
    uint64_t nodes[REGION_PEERS_MAX];
    size_t count;
    uint64_t roll;
};

/* The members as far as region 0 is applied here; where there is none, nobody,
 * and the roll is 0. ERR_CORRUPT, ERR_IO. Any thread. */
int floor_members_get(struct kv *state, struct floor_members *ret);
bool floor_has_member(const struct floor_members *members, uint64_t node);

#endif
