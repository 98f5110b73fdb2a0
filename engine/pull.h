/* SPDX-License-Identifier: Apache-2.0 */

/* How eventual changes come from node to node: each asks each other one for
 * what has changed there behind a *cursor*, one question at a time, and asks
 * again when it has taken the answer (eventual.h). A question to which there
 * is nothing to say waits at the other end until there is, or for WAIT_MS: the
 * empty answer is what tells that a node is there. A change is told at once
 * unless others were less than PAUSE_MS ago: then with all that come meanwhile.
 *
 * A question also says what the asker has of each origin's own changes, by
 * whatever way they came (its *vector*): these are not sent again. What a node
 * has only pulled it sends on later than what it has accepted, so that the
 * other one mostly has it by then, and has said so.
 *
 * A question also tells a digest of what the asker has (digest.h), which is
 * compared with this node's own.
 *
 * An answer counts only for the question that is outstanding. Both also carry
 * what it takes to forget removed names: floor.h. A node that cannot read all
 * that it should have passes over that, and says so: eventual_damage.h.
 *
 * Belongs to ENV_WORKER; changes are read for an answer on region 0's owner. */

#ifndef GROVEFS_ENGINE_PULL_H
#define GROVEFS_ENGINE_PULL_H

#include "engine/digest.h"
#include "engine/floor.h"
#include "engine/left_out.h"
#include "engine/node.h"

struct pulls;

struct pulls *pulls_new(struct node *node);
void pulls_stop(struct pulls *pulls);
void pulls_free(struct pulls *pulls); /* Takes NULL. */

/* Once a tick: asks whom there is to ask (nodes come and go with region 0). */
void pulls_tick(struct pulls *pulls);
/* A node can be reached again: it is asked at once. */
void pulls_on_link(struct pulls *pulls, uint64_t node, bool up);
/* WIRE_EVENTUAL_ASK and WIRE_EVENTUAL_ANSWER. */
void pulls_on_packet(struct pulls *pulls, uint64_t from,
                     const struct env_packet *packet);

/* The least floor to which all other members have consented, as far as they
 * have told this node in the roll; 0: not all have. UINT64_MAX: there is no
 * other one. */
uint64_t pulls_consent(const struct pulls *pulls,
                       const struct floor_members *members);

/* Whether all that all other nodes had accepted before this fence (an epoch:
 * modes.h) is here. False, and `*ret_missing` (a node), as long as one of them
 * has not told. */
bool pulls_are_drained(struct pulls *pulls, uint64_t fence,
                       uint64_t *ret_missing);

/* Whether all other nodes have answered in the last STATUS_SILENT_MS;
 * `*ret_missing` as above. */
bool pulls_hear_all(struct pulls *pulls, uint64_t *ret_missing);

/* Who has not answered since a moment, for whom a directory that is made strong
 * does not wait (left_out.h). */
struct absence {
    uint64_t since_ns;     /* monotonic time */
    struct left_out nodes; /* without numbers */
};

/* Whether it is known of all other nodes if they are there: each one has
 * answered since absence->since_ns, or has not for STATUS_SILENT_MS. Those that
 * have not are in absence->nodes then. */
bool pulls_know_who_is_there(struct pulls *pulls, struct absence *absence);

/* As pulls_are_drained(), but a node that was absent, and has answered nothing
 * since, need not have told: it is in `*ret` then, with how much of its own
 * changes is in state/ here. */
bool pulls_are_drained_without(struct pulls *pulls, uint64_t fence,
                               const struct absence *absence,
                               struct left_out *ret, uint64_t *ret_missing);

/* Stops telling other nodes of changes, or goes on with it. */
void pulls_hold(struct pulls *pulls, bool hold);
/* While it is held: whether nothing that was told is on its way any more, as
 * all other nodes have asked again. */
bool pulls_are_quiet(const struct pulls *pulls);
/* The greatest time that any other node has got from others, as far as they
 * have told. False: not all have. */
bool pulls_seen(const struct pulls *pulls, uint64_t *ret);

/* What a node had when it told of its newest fence. */
struct pull_told {
    uint64_t fence;      /* 0: it has told of none since this node started */
    uint64_t sequence;   /* its own changes up to this number were before */
    uint64_t head;       /* this node's number that all of it has got here: see
                          * eventual_head_get_durable() */
    uint64_t contact_ns; /* as below */
};

struct pull_told pulls_told(const struct pulls *pulls, uint64_t node);

/* Whether another node that is heard of has not got all changes of `origin` up
 * to `sequence`, as far as it has told: `*ret_node`. Those for which `stays` is
 * false do not count. */
bool pulls_lack(const struct pulls *pulls, uint64_t origin, uint64_t sequence,
                bool (*stays)(struct node *node, uint64_t id),
                uint64_t *ret_node);

/* Whether all other nodes have this node's own changes up to `sequence` so that
 * a power cut leaves them there. Told only while a directory is being filled.
 * False, and `*ret_missing`, as above. */
bool pulls_all_keep(const struct pulls *pulls, uint64_t sequence,
                    uint64_t *ret_missing);

/* How far this node may be behind others: all that they had accepted `*ret_ns`
 * ago is here. False: there is one that it has not had everything of since it
 * started. */
bool pulls_behind(struct pulls *pulls, uint64_t *ret_ns);

/* The first other node of at least this id that has something else, though all
 * changes are on both (digest.h), and since when by the wall clock. False:
 * there is none. */
bool pulls_next_differing(const struct pulls *pulls, uint64_t node_min,
                          uint64_t *ret_node, int64_t *ret_since_ns);

/* Between this node and another. */
struct pull_lag {
    uint64_t node;
    bool is_known;            /* it has asked since this node started */
    uint64_t pending_entries; /* here, that it does not have; counted up to
                               * PULL_COUNT_MAX */
    uint64_t pending_bytes;   /* about: of their content */
    uint64_t oldest_hlc;      /* the version of the first of them; 0: none */
    uint64_t contact_ns;      /* monotonic time of its last answer; 0: never */
    uint64_t conflicts;       /* met in its changes: eventual_is_conflict() */
    bool is_held;             /* its changes are ahead of this node's clock */
    enum digest_verdict verdict; /* digest.h; DIFFERS once it is certain */
};

enum { PULL_COUNT_MAX = 10000 };

/* Of each other node, in ascending order; returns how many. Reads state/. */
size_t pulls_lag(struct pulls *pulls, struct pull_lag ret[NODES_MAX]);

#endif
