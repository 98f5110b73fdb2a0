/* SPDX-License-Identifier: Apache-2.0 */

/* What the snapshot*.c files share; for them only.
 *
 * A stream has one job on ENV_BULK at a time and is `busy` while that is under
 * way: what the job uses is then the job's. A stream that has ended stays in
 * its list until its job has come back and a last job has closed what it
 * holds; only then is it freed. */

#ifndef GROVEFS_ENGINE_SNAPSHOT_IMPL_H
#define GROVEFS_ENGINE_SNAPSHOT_IMPL_H

#include "engine/snapshot.h"
#include "engine/snapshot_data.h"

struct sending;
struct receiving;

TAILQ_HEAD(sendings, sending);
TAILQ_HEAD(receivings, receiving);

struct snapshots {
    struct node *node;
    struct env *env;
    bool stopped;
    struct sendings sendings;
    struct receivings receivings;
    uint64_t paid_ns;      /* until when what was read is paid for: rule 6 */
    struct env_timer pace; /* until more may be read */
};

static inline uint64_t snapshot_stall_ns(void)
{
    return (uint64_t)SNAPSHOT_STALL_MS * 1000000;
}

/* Not an error: the leader's Raft tries again, and nobody has to be told. */
static inline bool snapshot_comes_later(int status)
{
    return status == ERR_EPOCH || status == ERR_BUSY;
}

/* snapshot_send.c */
void sendings_init(struct snapshots *snapshots);
void sendings_on_ack(struct snapshots *snapshots, uint64_t from_node,
                     const struct snapshot_ack *ack);
void sendings_on_link_down(struct snapshots *snapshots, uint64_t node_id);
void sendings_on_damage(struct snapshots *snapshots, uint64_t region);
void sendings_tick(struct snapshots *snapshots);
void sendings_stop(struct snapshots *snapshots);
void sendings_free(struct snapshots *snapshots);

/* snapshot_turn.c: how many have begun. */
size_t sendings_running(const struct snapshots *snapshots);

/* snapshot_admit.c: whether a stream is for this node. 0; ERR_NOT_FOUND: there
 * is no replica here to take it; ERR_FOREIGN, ERR_PROTOCOL. */
int snapshot_admit(const struct snapshots *snapshots, uint64_t from_node,
                   const struct snapshot_begin *begin);
/* Whether it may be installed beside what else is on this node. 0, or
 * ERR_EPOCH: not now. */
int snapshot_fits(const struct snapshots *snapshots,
                  const struct region *region);
/* The same for one that is about to begin, if this says so: drops the region
 * that was merged into its own. */
int snapshot_make_way(const struct snapshots *snapshots,
                      const struct region *region);

/* snapshot_receive.c. Takes what `begin` holds. */
void receivings_on_begin(struct snapshots *snapshots, uint64_t from_node,
                         struct snapshot_begin *begin);
void receivings_on_chunk(struct snapshots *snapshots, uint64_t from_node,
                         const struct snapshot_chunk *chunk,
                         struct buf *payload);
void receivings_on_link_down(struct snapshots *snapshots, uint64_t node_id);
void receivings_tick(struct snapshots *snapshots);
void receivings_stop(struct snapshots *snapshots);
/* Whether what another region's stream brings overlaps the region. */
bool receivings_overlap(const struct snapshots *snapshots,
                        const struct region *region);
size_t receivings_running(const struct snapshots *snapshots);
void receivings_free(struct snapshots *snapshots);

#endif
