/* SPDX-License-Identifier: Apache-2.0 */

/* Digests of eventual namespaces: whether two nodes have the same in them.
 *
 * An entry has a hash of all that every node has alike of it, and a namespace
 * the sum of those of its live entries, in its record (eventual_record.h): it
 * changes in one batch with them, and the order in which they came does not
 * matter. Removed names count for nothing, as nodes forget them at different
 * times. A node's digest is the sum over all namespaces, each in its present
 * life.
 *
 * Nodes that accept changes differ most of the time, and rightly. So each one
 * looks at itself once a second: such a *moment* is what its state/ has between
 * two tasks of region 0's owner, which writes all of it: which namespaces are
 * eventual, or about to be, and in which life; the greatest number that it has
 * given to a change (eventual.h); how far it has got what each other node has
 * (cursors: pull.h); and its digest. Each question tells the newest moment. Two
 * nodes' moments are comparable if
 *
 * 1. both have the same namespaces in the same lives;
 * 2. each one's cursor covers the other one's number: nothing of the other one
 *    is missing, held back, or on its way. Both have to be of one boot, since
 *    a crash may take what was given numbers before;
 * 3. both nodes are whole, and each knows its catalog and the digests of all
 *    that it has, which is of present lives only.
 *
 * Then the digests are equal, whenever either moment was. By 2 each of both
 * nodes has taken, of all names, what the other one had in its moment, or has
 * been told by that node's own vector that it had it; of one name the greater
 * version stays (lesser ones, in place of some that nobody else had, are not
 * shown before all of them are written: restamp.h); so they have the same of
 * each name, but for removed names, which count for nothing. What one of them
 * has dropped since its life had ended there is not in the other one's digest,
 * by 1: no life comes back. A name that one of them has removed and forgotten
 * is none that the other one still has, as floor.h says, nor is what was not
 * taken as it lay below the floor.
 *
 * That leaves what a *third* node has dropped since its life had ended there:
 * its vector speaks for changes that it does not send any more. Two nodes that
 * do not know of that end yet may have got it so, and differ, until one of them
 * has executed the entry of region 0 with which the life ended. What is shown
 * of it then is an alarm that ends by itself.
 *
 * Equal vectors would not do: a node may have more than its vector says, for
 * example of an answer of which it has a part, from a third node that died. Nor
 * have both to be of one version of the catalog: that grows with whatever
 * region 0 decides.
 *
 * So where digests of comparable moments are not equal, an error of a program
 * or of a disk has made it so. That is shown when two such comparisons in a row
 * have found it, and until one finds them equal. Nothing is mended by it. */

#ifndef GROVEFS_ENGINE_DIGEST_H
#define GROVEFS_ENGINE_DIGEST_H

#include "engine/eventual_record.h"

/* Of a record with its content; 0 only for a removed one. */
uint64_t digest_record(const struct eventual_record *record);

/* The same of an entry that may be without its content: what was kept with it,
 * or else its content is read. ERR_CORRUPT, ERR_IO, ERR_NO_MEMORY. */
int digest_entry(struct kv *state, const struct eventual_record *record,
                 uint64_t *ret);

/* Of a namespace, from the content of its entries, of whatever life: for
 * stores of earlier versions, and for tests. Errors as above. */
int digest_entries(struct kv *state, uint64_t nsid, uint64_t *ret);

/* A moment, as one other node is told of it. */
struct digest_moment {
    uint64_t lives; /* a hash of those in 1; 0: there are none, or it cannot be
                     * compared (3) */
    uint64_t sequence;
    uint64_t cursor; /* of the other one's numbers */
    uint64_t digest;
};

/* Of one life, to be summed up. */
uint64_t digest_life(uint64_t nsid, uint64_t since);

enum digest_verdict {
    DIGEST_NONE, /* nobody can tell */
    DIGEST_BEHIND,
    DIGEST_EQUAL,
    DIGEST_DIFFERS,
    DIGEST_VERDICTS
};

/* `a` is told to the node of `b`, and the other way round. */
enum digest_verdict digest_compare(const struct digest_moment *a,
                                   const struct digest_moment *b);

#endif
