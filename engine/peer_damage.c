/* SPDX-License-Identifier: Apache-2.0 */

/* A replica whose state/ is damaged.
 *
 *     found        by a consistency check (check.h), or because a record that
 *          |       is read, applied to, hashed or sent cannot be right
 *     marked       in log/, with the descriptor, so that a restart does not
 *          |       serve it either
 *     waiting      no lease, no reads, nothing applied, no proposal taken, no
 *          |       snapshot sent; a leader hands over to a voter that is not
 *          |       damaged, a follower asks for a snapshot and asks again
 *     restored     as any other snapshot is (peer_snapshot.c)
 *          |
 *     unmarked     behind the log's reset, so that a crash in between only
 *                  has it rebuilt once more
 *
 * Its log and its hard state are whole, so it goes on voting and acknowledging
 * and breaks no promise; it may even have to lead for a moment, when nobody
 * else has all that is committed. */

#include <inttypes.h>
#include <stdlib.h>

#include "engine/check.h"
#include "engine/erase.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/peer_impl.h"
#include "engine/status.h"

enum {
    ASK_TICKS = 10, /* a request may get lost */
    JUST_MS = 10 * 60 * 1000
};

bool peer_has_other_voter(const struct peer *peer)
{
    const struct region *region = &peer->region;

    for (size_t i = 0; i < region->voter_count; i++)
        if (region->voters[i] != peer->id)
            return true;
    return false;
}

/* ---- the mark ---- */

struct mark {
    struct env_log_write write;
    uint64_t region;
    struct buf *bytes; /* NULL: it goes */
};

static void mark_fill(struct env_log_write *write, struct kv_batch *batch)
{
    const struct mark *mark = container_of(write, struct mark, write);
    struct key key = key_damage(mark->region);

    if (mark->bytes != NULL)
        kv_batch_put(batch, key_slice(&key), buf_slice(mark->bytes));
    else
        kv_batch_delete(batch, key_slice(&key));
}

static void mark_done(struct env_log_write *write)
{
    struct mark *mark = container_of(write, struct mark, write);

    buf_unref(mark->bytes);
    free(mark);
}

static void write_mark(struct peer *peer, struct buf *bytes)
{
    struct mark *mark = mem_zalloc(sizeof *mark);

    mark->region = peer->region_id;
    mark->bytes = bytes;
    mark->write.fill = mark_fill;
    mark->write.done = mark_done;
    env_log_write(peer->env, &mark->write);
}

/* The entry that removes it is on its way to the applier. */
static bool is_leaving(const struct peer *peer)
{
    return region_find_peer(&peer->region, peer->id) == NULL;
}

/* A replica that leaves gets none: it is erased as soon as the applier is
 * done, however that ends, and a restart before that finds it out again. The
 * descriptor would not name it any more. */
static void set_mark(struct peer *peer)
{
    struct damage damage = {.since_ns = peer->damaged_ns,
                            .region = peer->region}; /* still the peer's */

    if (!is_leaving(peer))
        write_mark(peer, damage_encode(&damage));
}

static int read_mark(const struct peer *peer, struct damage *ret)
{
    struct key key = key_damage(peer->region_id);
    struct kv_value value = {0};
    int rc = kv_get(peer->env->log, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = damage_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

/* The crash came when its state was erased already, and its log was not. */
static bool was_erased(const struct peer *peer, uint64_t peer_id)
{
    struct tombstone tombstone;

    return tombstone_read(peer->env, peer->region_id, &tombstone) == 0 &&
           tombstone.peer >= peer_id;
}

/* ERR_NOT_FOUND: there is none that counts. */
static int load_mark(struct peer *peer)
{
    struct damage damage = {0};
    const struct region_peer *self;
    int rc = read_mark(peer, &damage);

    if (rc != 0)
        return rc;
    self = region_find_node(&damage.region, node_id(peer->node));
    if (self == NULL || was_erased(peer, self->id)) {
        damage_release(&damage);
        return self == NULL ? ERR_CORRUPT : ERR_NOT_FOUND;
    }
    peer->id = self->id;
    peer->region = damage.region;
    peer->damaged = true;
    peer->damaged_ns = damage.since_ns;
    node_log_event(peer->node, LOG_WARN,
                   "region %" PRIu64 ": the replica on this node is damaged "
                   "and is rebuilt from a snapshot",
                   peer->region_id);
    return 0;
}

/* ---- found ---- */

static void mark_damaged(struct peer *peer, const char *what)
{
    peer->damaged = true;
    peer->damaged_ns = (int64_t)env_wall_ns(peer->env);
    peer->damaged_for = 0;
    set_mark(peer);
    node_log_event(peer->node, LOG_ERROR,
                   "region %" PRIu64 ": the replica on this node is damaged "
                   "(%s) and serves nothing until it is rebuilt",
                   peer->region_id, what);
}

static bool open_damaged(struct peer *peer)
{
    if (!peer_has_other_voter(peer))
        return false;
    mark_damaged(peer, "its markers cannot be read");
    return true;
}

/* Descriptor and applier, or the mark that says that they cannot be used. */
int peer_load_state(struct peer *peer)
{
    int rc = load_mark(peer);

    if (rc == ERR_NOT_FOUND) {
        rc = peer_load_region(peer);
        if (rc == 0)
            rc = applier_open(&peer->applier, peer->env, peer->region_id);
        if (rc == ERR_CORRUPT && open_damaged(peer))
            rc = 0;
    }
    if (rc == 0 && peer->damaged)
        peer->applier = applier_new(peer->env, peer->region_id);
    if (rc == 0)
        peer_watch_applier(peer);
    return rc;
}

void peer_has_lost_state(struct peer *peer)
{
    peer->damaged = true;
    peer->damaged_ns = (int64_t)env_wall_ns(peer->env);
}

/* Of a damaged replica nothing is known but its log. */
uint64_t peer_applied_at_start(const struct peer *peer)
{
    return peer->damaged ? region_log_first_index(peer->log) - 1
                         : applier_marker(peer->applier)->index;
}

bool peer_found_damage(struct peer *peer, const char *what)
{
    if (peer->damaged || peer->closed)
        return true;
    if (!peer_has_other_voter(peer))
        return false;
    mark_damaged(peer, what);
    peer_publish_reads(peer);
    peer_fail_proposals(peer, ERR_NOT_LEADER);
    peer_fail_index_requests(peer);
    check_on_deposed(peer->check);
    node_on_damage(peer->node, peer);
    peer_wake(peer);
    return true;
}

/* ---- waiting ---- */

static void hand_over(struct peer *peer)
{
    struct raft_status status;

    raft_status(peer->raft, &status);
    if (status.transferee == 0)
        (void)peer_transfer_away(peer);
}

void peer_damage_tick(struct peer *peer)
{
    if (!peer->damaged || peer->install != NULL)
        return;
    if (peer_is_leader(peer))
        hand_over(peer);
    else if (peer->damaged_for++ % ASK_TICKS == 0)
        (void)raft_request_snapshot(peer->raft); /* Or with the next one. */
}

/* ---- what is shown ---- */

bool peer_is_damaged(const struct peer *peer)
{
    return peer->damaged;
}

bool peer_is_serving(const struct peer *peer)
{
    return peer_is_leader(peer) && !peer->damaged;
}

enum peer_state peer_state(const struct peer *peer)
{
    if (peer->install != NULL)
        return PEER_RESTORING;
    return peer->damaged ? PEER_DAMAGED : PEER_RUNNING;
}

const char *peer_state_name(unsigned state)
{
    switch (state) {
    case PEER_RESTORING:
        return "restoring";
    case PEER_DAMAGED:
        return "damaged";
    default:
        return "running";
    }
}

/* ---- mended ---- */

bool peer_was_just_mended(const struct peer *peer)
{
    return peer->mended_ns != 0 && env_mono_ns(peer->env) - peer->mended_ns <
                                       (uint64_t)JUST_MS * 1000000;
}

void peer_damage_mended(struct peer *peer)
{
    if (!peer->damaged)
        return;
    peer->damaged = false;
    peer->mended_ns = env_mono_ns(peer->env);
    write_mark(peer, NULL);
    node_log_event(peer->node, LOG_INFO,
                   "region %" PRIu64 ": the damaged replica was rebuilt",
                   peer->region_id);
    status_board_tick(node_status_board(peer->node)); /* Others wait for it. */
}
