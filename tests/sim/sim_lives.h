/* SPDX-License-Identifier: Apache-2.0 */

/* What the nodes have in eventual directories, looked at after every step in
 * their state/, and what was acknowledged there. A *life* is the time of a
 * namespace from when it becomes eventual until it is strong again or gone.
 *
 *   1. A version of a name (a time and a node) is one value, wherever it is
 *      seen.
 *   2. On each node the version of a name only grows as long as it runs, and a
 *      start does not bring it behind what it has accepted itself and somebody
 *      knows of; but for rule 12.
 *   3. When a life ends as the directory has become strong, then each name is
 *      there what its greatest version that counts says, or a greater one; when
 *      it ends as the directory has gone, that is a removal. So a switch loses
 *      nothing, whatever was cut off meanwhile.
 *   4. At the end all nodes have the same, of each name the greatest version
 *      that counts or a greater one, and nothing of lives that are over.
 *   5. What was removed may be forgotten below the floor of a node, and comes
 *      back nowhere; at the end all of it is forgotten (floor.h).
 *   6. What comes to a node is not far ahead of its clock, and of the life
 *      that its directory has there.
 *   7. What another node has is durable on the one that has accepted it.
 *   8. When a life begins as a directory with files has become eventual, all
 *      nodes have these. If it ends before that, nothing of it counts.
 *   9. The modes of directories in a catalog fit together: what is below a
 *      directory has its mode, unless it has one of its own; nothing strong
 *      lies below what is not, or is about not to be. A node goes by what its
 *      catalog says.
 *  10. When a directory has become strong, the regions have it, and the names
 *      of the directories in it.
 *  11. When it has become strong without some nodes (left_out.h), what these
 *      had accepted need not be there, but for what was taken along: that
 *      somebody else had. As soon as one of them knows of it, it has the
 *      rest in its quarantine, unless there was something greater; and
 *      nothing else comes there, nor to any other node's. No node that is
 *      there is left out.
 *  12. A node may give a change of its own a new version, a lesser one, when
 *      its clock was wrong: one that is hardly ahead of it, in place of one
 *      that was far ahead and that nobody else has, or has ever had but for who
 *      has lost it with its own power. It is the same value. Nobody else ever
 *      gets the one that was given up, unless a crash has brought it back on
 *      the node itself.
 *  13. No two nodes that have all of each other's changes are found to differ
 *      by their digests (digest.h), whenever they are compared; but for one
 *      whose catalog was damaged, and for lives that are over on a third one.
 *      At the end all find that they have the same, and each digest is that of
 *      the entries.
 *
 * A version counts when it was acknowledged, or when another node than the one
 * that has accepted it has it, as only what is durable is shown to others. Of
 * versions that counted of one name and node only the greatest is kept. Those
 * of a node whose removal by force was asked for need not survive: it may have
 * gone with them. */

#ifndef GROVEFS_TESTS_SIM_SIM_LIVES_H
#define GROVEFS_TESTS_SIM_SIM_LIVES_H

#include "engine/eventual_record.h"
#include "tests/sim/sim_cluster.h"

/* Also for one that is shown beside a directory: eventual_read.h. */
enum { SIM_LIVES_NAME_MAX = 32 };

struct sim_lives;

/* Of an entry; hlc 0: there is none. */
struct sim_version {
    uint64_t hlc;
    uint64_t origin;
    bool removed;
    uint64_t sequence; /* the origin's number of it, which compares nothing; 0:
                        * not known */
};

struct sim_lives *sim_lives_new(struct sim_cluster *cluster);
void sim_lives_free(struct sim_lives *lives); /* Takes NULL. */

/* After each step of a node. */
void sim_lives_step(struct sim_lives *lives, struct sim_node *node);
/* It has crashed, and its stores are what the disk has kept. */
void sim_lives_on_crash(const struct sim_node *node);
/* Its state/ is given up as a whole: no start of it need have anything. */
void sim_lives_on_loss(struct sim_lives *lives, const struct sim_node *node);

/* Somebody has resolved a part of that namespace for another one. */
void sim_lives_on_resolved(struct sim_lives *lives, uint64_t nsid);

/* The node has acknowledged that. */
void sim_lives_acknowledged(struct sim_lives *lives, uint64_t dir,
                            uint64_t since, const char *name,
                            struct sim_version version);

/* What has become of a version of a name that the node has shown: itself, or
 * what the node has given it in its place since it was started (rule 12). */
struct sim_version sim_lives_now(struct sim_lives *lives,
                                 const struct sim_node *node, uint64_t dir,
                                 uint64_t since, const char *name,
                                 struct sim_version version);

/* The mode of a namespace as the node has it in state/; strong where it knows
 * nothing of it. */
struct mode sim_lives_mode(const struct sim_node *node, uint64_t nsid);
/* What it has of a name; with its content, to be released. False: nothing. */
bool sim_lives_get(const struct sim_node *node, uint64_t dir, const char *name,
                   struct eventual_record *ret);

static inline struct sim_version
sim_version_of(const struct eventual_record *record)
{
    return (struct sim_version){record->hlc, record->origin, record->removed,
                                record->sequence};
}
/* < 0, 0, > 0 */
int sim_version_compare(struct sim_version a, struct sim_version b);

/* Whether all nodes have the same, and no namespace is on its way from one mode
 * to another. */
bool sim_lives_are_settled(struct sim_lives *lives);
/* Whether no node has a tombstone any more. */
bool sim_lives_are_forgotten(struct sim_lives *lives);
/* Rules 4 and 11. Prints what the nodes have when it does not hold. */
void sim_lives_check(struct sim_lives *lives);
/* Into the notes. */
void sim_lives_print(struct sim_lives *lives);

#endif
