/* SPDX-License-Identifier: Apache-2.0 */

/* What sim_lives.c and sim_lives_*.c share. */

#ifndef GROVEFS_TESTS_SIM_SIM_LIVES_IMPL_H
#define GROVEFS_TESTS_SIM_SIM_LIVES_IMPL_H

#include "engine/eventual.h"
#include "engine/left_out.h"
#include "engine/range.h"
#include "engine/record.h"
#include "tests/sim/sim_lives.h"

struct life {
    uint64_t dir;
    uint64_t since;
    uint64_t known; /* a version of region 0 with which it was there */
    bool begun;     /* else it is prepared: mode_is_filling() */
    bool over;
    bool strong; /* it is over as the directory has become strong */
    struct left_out left_out; /* without whom */
};

/* What a node has shown of a name in one of its starts. */
struct seen {
    struct sim_version version;
    uint64_t starts;
};

/* A name in a life. */
struct place {
    uint64_t dir;
    uint64_t since;
    char name[SIM_LIVES_NAME_MAX];
    struct sim_version counts[SIM_NODES_MAX]; /* by who has accepted it */
    struct seen seen[SIM_NODES_MAX];
    struct sim_version last; /* that it had when the life was over; hlc 0: not
                              * known */
    struct sim_version removed; /* the greatest removal that was seen */
};

/* A version of a name, and what it is. */
struct value {
    uint64_t key;  /* 0: free */
    uint64_t name; /* of which name in which life */
    struct sim_version version;
    uint64_t hash;
    uint64_t plain;    /* lives_plain() */
    uint64_t first_ns; /* when it was seen for the first time */
    uint64_t starts;   /* of its origin then; 0: others have it, too */
    uint64_t had[SIM_NODES_MAX]; /* starts of each node when it had it last */
    struct sim_version instead;  /* rule 12; hlc 0: it was not given up */
    uint64_t given_up_starts;    /* of its origin then */
    bool is_new_version;         /* the other one of these two */
};

struct known_node {
    uint64_t starts;
    uint64_t start_ns;
    uint64_t head;                 /* as it was at the last look */
    uint64_t sequence;             /* its changes up to here were looked at */
    uint64_t applied;              /* of region 0 */
    uint64_t withdrawn;            /* struct floor, as of then */
    struct eventual_counts counts; /* the engine's, of this start */
    bool lost;                     /* its state/ was given up once */
    uint64_t kept_last;   /* struct quarantine_head, as of the last look ... */
    uint64_t kept_starts; /* ... and in which start that was */
    uint64_t moment;      /* that was looked at last */
    uint64_t apart_ns[SIM_NODES_MAX]; /* since when it has no link; 0: it has */
};

/* What a catalog says of a directory. */
struct lives_directory {
    uint64_t nsid;
    uint64_t parent;
    struct mode mode;
};

struct lives_tree {
    struct lives_directory *items;
    size_t count;
    size_t count_max;
};

struct sim_lives {
    struct sim_cluster *cluster;
    struct life *lives;
    size_t life_count;
    size_t life_count_max;
    struct place *places;
    size_t place_count;
    size_t place_count_max;
    struct value *values; /* open addressing */
    size_t value_size;
    size_t value_count;
    struct known_node nodes[SIM_NODES_MAX];
    uint64_t calm_ns;         /* since when nothing goes wrong; 0: it does */
    struct lives_tree tree;   /* of the node that is looked at */
    struct lives_tree newest; /* of the greatest version that was seen */
    uint64_t newest_version;
    struct lives_tree switched; /* those that were below a tree's top when it
                                 * changed its mode */
};

/* While the node runs. */
static inline struct kv *lives_state(const struct sim_node *node)
{
    return node->env->env.state;
}

/* Of region 0, as far as the node has applied it. */
uint64_t lives_catalog_version(const struct sim_node *node);
/* What the node has of directories may be damaged: see sim_damage.h. */
bool lives_has_harm(const struct sim_lives *lives, const struct sim_node *node);
/* NULL: it is not known. */
struct life *lives_find_life(const struct sim_lives *lives, uint64_t dir,
                             uint64_t since);
/* They are made where there are none yet. */
struct life *lives_life(struct sim_lives *lives, uint64_t dir, uint64_t since);
struct place *lives_place(struct sim_lives *lives, uint64_t dir, uint64_t since,
                          struct slice name);
/* A version of that name counts from now on. */
void lives_count(struct sim_lives *lives, struct place *place,
                 struct sim_version version);
/* sim_lives_see.c: looks at what has changed on the node since the last time,
 * in whatever order. */
void lives_see(struct sim_lives *lives, const struct sim_node *node);
/* The greatest version that counts, but for what a life ended without; hlc 0:
 * none does. */
struct sim_version lives_required(const struct sim_lives *lives,
                                  const struct place *place);
/* Whether the node may know nothing of the name, where this version of it was:
 * it was removed, and is below the floor. */
bool lives_is_forgotten(const struct sim_node *node, const struct place *place,
                        struct sim_version version);
/* Rule 1. */
struct value *lives_check_value(struct sim_lives *lives,
                                const struct sim_node *node,
                                const struct eventual_record *record);
/* What is known of a version of a name; its key is 0 where it was never seen.
 * It stays where it is until another one is seen. */
struct value *lives_find_value(struct sim_lives *lives,
                               const struct place *place,
                               struct sim_version version);
/* sim_lives_restamp.c: rules 2 and 12. `value` is the record's. */
void lives_check_growth(struct sim_lives *lives, const struct sim_node *node,
                        struct place *place,
                        const struct eventual_record *record,
                        struct value *value);
/* Of a file as users see it, also when its directory is strong; never 0. */
uint64_t lives_plain(const struct attr *attr, struct slice xattrs,
                     struct slice content);
/* 0: it was never seen. */
uint64_t lives_plain_of(struct sim_lives *lives, const struct place *place,
                        struct sim_version version);
/* Likewise: the origin's number of it. */
uint64_t lives_sequence_of(struct sim_lives *lives, const struct place *place,
                           struct sim_version version);
/* The next one of all that was ever seen of a name, behind `last` or, where
 * that is NULL, from the first one on. NULL: there is no more. They stay where
 * they are until another one is seen. */
const struct value *lives_next_value(const struct sim_lives *lives,
                                     const struct place *place,
                                     const struct value *last);
/* sim_lives_strong.c: looks at a name when `teller` is the first one to know
 * that its directory has become strong, and notes its last version. */
void lives_check_strong(struct sim_lives *lives, const struct sim_node *teller,
                        struct place *place);
/* sim_lives_filled.c: looks at what there was in the directory when `teller` is
 * the first one to know that it has become eventual. */
void lives_check_filled(struct sim_lives *lives, const struct sim_node *teller,
                        const struct life *life);
/* sim_lives_parts.c: whether the node knows the transaction as committed. */
bool lives_was_committed(const struct sim_node *node, struct txn_id id);
/* Whether that has opened a part that was gone. */
bool lives_was_opened(const struct sim_node *node,
                      const struct namespace_record *part);
/* What a region's replica has of a strong directory; `range` is the region's.
 * Borrows both until it returns. */
typedef void lives_part(void *context, struct range range,
                        const struct namespace_record *part);
/* Of the replicas of all data regions that the node has in state/; some may
 * lag. */
void lives_visit_parts(const struct sim_node *node, uint64_t dir,
                       lives_part *on_part, void *context);
/* sim_lives_names.c: rule 10, when `teller` is the first one to know that the
 * directory has become strong. */
void lives_check_names(struct sim_lives *lives, const struct sim_node *teller,
                       uint64_t dir);
bool lives_is_there(const struct sim_node *node);
/* It has, since before anything was brought into the regions; or it is gone. */
bool lives_has_stayed(const struct sim_lives *lives,
                      const struct sim_node *node);
/* sim_lives_kept.c: rule 11. When `teller` is the first one to know that the
 * life has ended: notes without whom, and looks at what was taken along. */
void lives_note_left_out(struct sim_lives *lives, const struct sim_node *teller,
                         struct life *life);
/* Whether a life that is over has ended without that. */
bool lives_is_left_out(const struct life *life, struct sim_version version);
/* Whatever the node has in its quarantine, and has to have. */
void lives_check_kept(struct sim_lives *lives, const struct sim_node *node);
/* sim_lives_tree.c: rule 9, and what has become of trees. */
void lives_look_at_tree(struct sim_lives *lives, const struct sim_node *node);
/* Those that go on, as struct digest_moment has them. */
uint64_t lives_going_on(const struct sim_lives *lives);
/* sim_lives_digest.c: rule 13, in a step; whether the node finds all others to
 * have the same; and what it counts. */
void lives_check_moment(struct sim_lives *lives, const struct sim_node *node);
bool lives_is_converged(const struct sim_node *node);
void lives_check_sums(const struct sim_lives *lives,
                      const struct sim_node *node);
void lives_print_moments(const struct sim_lives *lives,
                         const struct sim_node *node);
/* Of all that is the same on all nodes. */
uint64_t lives_hash(const struct eventual_record *record);

#endif
