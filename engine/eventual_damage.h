/* SPDX-License-Identifier: Apache-2.0 */

/* Eventual entries that cannot be read on this node (eventual.h).
 *
 *     met          by a read, a listing, a change that is accepted or taken, an
 *          |       answer to a pull, the journal at a start
 *     noted        at 'e' 'd' in state/, and in the same batch: the node lacks
 *          |       something (head.damaged), and cursors, vectors and promises
 *          |       of all other nodes are none
 *     asked for    everything, of all others, also what was this node's own
 *          |
 *     replaced     by whatever comes of that name
 *          |
 *     mended       all that others can give is here, and each noted entry can
 *                  be read: the notes go, and the node lacks nothing
 *
 * 1. The entry stays where it is until something takes its place: its name
 *    cannot be read (ERR_CORRUPT), and does not look like one that nobody has
 *    ever had, which a user would make anew, over what others have. All other
 *    names are read and changed as ever: what this node shows of them is no
 *    less than before. So a node that is alone, or cut off, goes on, too.
 * 2. Of the version of what cannot be read nothing is known. So a note is also
 *    the permission to take any record in its place; an older one shows until
 *    the newest has come.
 * 3. A node that lacks something claims nothing of that: its answers to pulls
 *    pass over the entry and are never complete (pull.h), so nobody adopts its
 *    vector or its promise, goes by its fence, or becomes whole by it as long
 *    as there is another one to ask.
 * 4. What cannot be read may be a tombstone. So for floor.h it is a node whose
 *    state/ was given up, of which rule 7 there speaks: it withdraws its
 *    consent, takes only answers that were read behind that, and drops nothing.
 *    But of names of which it knows nothing it takes no more than before below
 *    the floor (rule 5 there): what cannot be read is not among them.
 * 5. What others can give is here when a whole node has answered completely
 *    since, or all others have told all that they can read: two nodes that are
 *    damaged at different names mend each other. Then a noted tombstone below
 *    the floor, which nobody has any more, is forgotten like any other; what
 *    else still cannot be read nobody has. It stays, for whoever can salvage
 *    it by hand, and with it what 3 and 4 say, until a newer change of its name
 *    comes, or its directory goes.
 * 6. Questions, answers and merges of before the note count for nothing
 *    (eventual_damages()).
 *
 * An item of the index of changes that cannot be told is no loss: it is made
 * anew from the entries, and so is a namespace's count. */

#ifndef GROVEFS_ENGINE_EVENTUAL_DAMAGE_H
#define GROVEFS_ENGINE_EVENTUAL_DAMAGE_H

#include "engine/eventual.h"

/* ---- ENV_WORKER ---- */

/* Somebody has met damage at a name of this namespace, or, where the name is
 * empty, somewhere in it: what cannot be read there is noted, soon. */
void eventual_find_damage(struct eventual *eventual, uint64_t nsid,
                          struct slice name);

/* Whether this node lacks something. */
bool eventual_is_damaged(const struct eventual *eventual);
/* It is whole, and lacks nothing. */
bool eventual_has_all(const struct eventual *eventual);
/* Grows with each note; eventual_watch() tells. */
uint64_t eventual_damages(const struct eventual *eventual);
/* Rule 5: all that others can give is here, as of these damages. Likewise when
 * more has come: each second it is looked what can be read again. */
void eventual_has_had_all(struct eventual *eventual);

/* ---- region 0's owner ---- */

/* Notes an entry that cannot be read; one that is noted is not noted again. A
 * failure ends the node. */
int eventual_note_damage(struct eventual *eventual, uint64_t nsid,
                         struct slice name);
bool eventual_is_noted(const struct eventual *eventual, uint64_t nsid,
                       struct slice name);
/* Notes it if it cannot be read. ERR_IO, ERR_NO_MEMORY. */
int eventual_check_entry(struct eventual *eventual, uint64_t nsid,
                         struct slice name);
/* The same for all of a namespace in which nothing is noted yet, and for its
 * count. */
int eventual_check_namespace(struct eventual *eventual, uint64_t nsid);
/* An item of the index cannot be told: all are made anew that should be there.
 * ERR_CORRUPT: not all entries can be reached; ERR_IO, ERR_NO_MEMORY. */
int eventual_index_anew(struct eventual *eventual);

/* Counts a namespace anew, and its digest: an entry that cannot be read counts
 * as a file, and leaves no digest.
 * ERR_CORRUPT: not all of it can be reached; ERR_IO, ERR_NO_MEMORY. */
int eventual_count_anew(struct eventual *eventual, uint64_t nsid,
                        struct eventual_namespace *ret);
/* The count that is there, or a new one where that cannot be read. */
int eventual_count_get(struct eventual *eventual, uint64_t nsid,
                       struct eventual_namespace *ret);

/* ---- any thread ---- */

/* Visits the notes in order, until one returns something else than 0: when it
 * was made, or 0 if that cannot be told. Returns that; ERR_CORRUPT, ERR_IO. */
typedef int eventual_damage_visit(void *context, uint64_t nsid,
                                  struct slice name, int64_t since_ns);
int eventual_visit_damage(struct kv *state, eventual_damage_visit *visit,
                          void *context);

#endif
