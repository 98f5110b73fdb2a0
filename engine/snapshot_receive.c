/* SPDX-License-Identifier: Apache-2.0 */

/* The follower's end of a snapshot stream.
 *
 *      BEGIN -> open job -> ACK -> put job per chunk, each with ACK -+
 *                                                                    |
 *         ACK of the last chunk <- install by the peer <- last chunk-'
 *
 * Everything before the install can be dropped at any point without a trace;
 * the install itself is the peer's and cannot be called back. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/snapshot_impl.h"

enum receiving_job { RECEIVING_OPEN, RECEIVING_PUT, RECEIVING_CLOSE };

struct waiting_chunk {
    struct snapshot_chunk chunk;
    struct buf *payload;
};

struct receiving {
    struct snapshots *snapshots;
    TAILQ_ENTRY(receiving) link;
    uint64_t from_node;
    struct snapshot_begin begin;
    struct waiting_chunk waiting[SNAPSHOT_WINDOW]; /* arrived, not yet put */
    size_t waiting_count;
    uint64_t arrived_count; /* chunks; also the number expected next */
    bool last_arrived;
    uint64_t heard_ns;
    bool opened;
    bool installing;
    struct snapshot_install install;
    bool ended;
    bool busy;

    /* The job's while busy; so is waiting[0] while it is put. */
    enum receiving_job job;
    struct snapshot_writer *writer;
    int status;
    struct err error;
    struct env_task task; /* to ENV_BULK */
    struct env_task back;
};

/* ---- the job on ENV_BULK ---- */

static int open_writer(struct receiving *r)
{
    return snapshot_writer_open(&r->writer, r->snapshots->env->state,
                                &r->begin.region, r->begin.index, r->begin.term,
                                &r->error);
}

static int put_chunk(struct receiving *r)
{
    const struct waiting_chunk *first = &r->waiting[0];
    int rc = snapshot_writer_put(r->writer, buf_slice(first->payload),
                                 first->chunk.checksum, &r->error);

    if (rc == 0 && first->chunk.last)
        rc = snapshot_writer_finish(r->writer, &r->error);
    return rc;
}

static void run_job(struct env_task *task)
{
    struct receiving *r = container_of(task, struct receiving, task);

    switch (r->job) {
    case RECEIVING_OPEN:
        r->status = open_writer(r);
        break;
    case RECEIVING_PUT:
        r->status = put_chunk(r);
        break;
    case RECEIVING_CLOSE:
        snapshot_writer_free(r->writer);
        r->writer = NULL;
        kv_ingest_free(r->install.ingest);
        r->install.ingest = NULL;
        break;
    }
    env_post(r->snapshots->env, ENV_WORKER, &r->back);
}

static void start_job(struct receiving *r, enum receiving_job job)
{
    assert(!r->busy);

    r->busy = true;
    r->job = job;
    env_post(r->snapshots->env, ENV_BULK, &r->task);
}

/* ---- the end ---- */

static void destroy(struct receiving *r)
{
    TAILQ_REMOVE(&r->snapshots->receivings, r, link);
    for (size_t i = 0; i < r->waiting_count; i++)
        buf_unref(r->waiting[i].payload);
    snapshot_writer_free(r->writer);
    kv_ingest_free(r->install.ingest);
    snapshot_begin_release(&r->begin);
    free(r);
}

/* Takes the next step towards being freed, if there is one right now. */
static void wind_up(struct receiving *r)
{
    if (!r->ended || r->busy)
        return;
    if (r->writer != NULL || r->install.ingest != NULL)
        start_job(r, RECEIVING_CLOSE);
    else
        destroy(r);
}

static void end(struct receiving *r)
{
    assert(!r->ended);
    assert(!r->installing);

    r->ended = true;
    wind_up(r);
}

static void send_ack(struct snapshots *snapshots, uint64_t to_node,
                     const struct snapshot_ack *ack)
{
    struct buf *header = snapshot_ack_encode(ack);

    node_send(snapshots->node, to_node, ENV_CHANNEL_BULK, WIRE_SNAPSHOT_ACK,
              header, NULL);
    buf_unref(header);
}

static void acknowledge(const struct receiving *r, uint64_t number, int status)
{
    send_ack(r->snapshots, r->from_node,
             &(struct snapshot_ack){r->begin.stream, number, status, false});
}

static void accept(const struct receiving *r)
{
    send_ack(r->snapshots, r->from_node,
             &(struct snapshot_ack){r->begin.stream, 0, 0, true});
}

static void refuse(struct snapshots *snapshots, uint64_t to_node,
                   uint64_t stream, uint64_t number, int status)
{
    send_ack(snapshots, to_node,
             &(struct snapshot_ack){stream, number, status, false});
}

/* `reason` may be empty. */
static void fail(struct receiving *r, int status, const char *reason)
{
    if (*reason == '\0')
        reason = err_text(status);
    if (!snapshot_comes_later(status))
        node_log_event(r->snapshots->node, LOG_WARN,
                       "region %" PRIu64 ": the snapshot from node %" PRIu64
                       " was given up: %s",
                       r->begin.region.id, r->from_node, reason);
    acknowledge(r, r->arrived_count, status);
    end(r);
}

/* ---- installing ---- */

static void install_done(struct snapshot_install *install, int status)
{
    struct receiving *r = container_of(install, struct receiving, install);

    r->installing = false;
    if (status == ERR_STALE)
        status = 0; /* This replica has it all: what the leader wanted. */
    if (status != 0) {
        fail(r, status, err_text(status));
        return;
    }
    acknowledge(r, r->arrived_count - 1, 0);
    end(r);
}

/* The stream's place in the log, as if Raft had sent it in one message. */
static void install(struct receiving *r)
{
    const struct snapshot_begin *begin = &r->begin;
    struct peer *peer = node_any_peer(r->snapshots->node, begin->region.id);
    struct raft_snapshot snapshot = {.index = begin->index,
                                     .term = begin->term};
    struct raft_message message = {
        .type = RAFT_MSG_SNAP,
        .from = begin->from_peer,
        .to = begin->to_peer,
        .term = begin->raft_term,
        .snapshot = &snapshot, /* borrowed by the step */
    };
    int rc = snapshot_admit(r->snapshots, r->from_node, begin);

    if (rc != 0) {
        fail(r, rc, err_text(rc));
        return;
    }
    region_conf_state(&begin->region, &snapshot.conf_state);
    r->installing = true;
    r->install.ingest = snapshot_writer_take(r->writer);
    r->install.region = &begin->region;
    r->install.done = install_done;
    peer_install_snapshot(peer, &r->install, &message);
}

/* ---- chunks ---- */

static void put_next(struct receiving *r)
{
    if (!r->busy && r->opened && r->waiting_count > 0)
        start_job(r, RECEIVING_PUT);
}

static struct snapshot_chunk pop_waiting(struct receiving *r)
{
    struct snapshot_chunk chunk = r->waiting[0].chunk;

    buf_unref(r->waiting[0].payload);
    r->waiting_count--;
    for (size_t i = 0; i < r->waiting_count; i++)
        r->waiting[i] = r->waiting[i + 1];
    return chunk;
}

static void put_done(struct receiving *r)
{
    struct snapshot_chunk chunk = pop_waiting(r);

    if (chunk.last) {
        install(r);
        return;
    }
    acknowledge(r, chunk.number, 0);
    put_next(r);
}

static void job_done(struct env_task *task)
{
    struct receiving *r = container_of(task, struct receiving, back);

    r->busy = false;
    if (r->ended) {
        wind_up(r);
    } else if (r->status != 0) {
        fail(r, r->status, r->error.text);
    } else if (r->job == RECEIVING_OPEN) {
        r->opened = true;
        accept(r);
    } else {
        put_done(r);
    }
}

static struct receiving *find(const struct snapshots *snapshots,
                              uint64_t from_node, uint64_t stream)
{
    struct receiving *r;

    TAILQ_FOREACH (r, &snapshots->receivings, link)
        if (r->from_node == from_node && r->begin.stream == stream && !r->ended)
            return r;
    return NULL;
}

static bool is_expected(const struct receiving *r,
                        const struct snapshot_chunk *chunk,
                        const struct buf *payload)
{
    return !r->last_arrived && chunk->number == r->arrived_count &&
           r->waiting_count < SNAPSHOT_WINDOW &&
           payload->size <= SNAPSHOT_PAYLOAD_BYTES_MAX;
}

void receivings_on_chunk(struct snapshots *snapshots, uint64_t from_node,
                         const struct snapshot_chunk *chunk,
                         struct buf *payload)
{
    struct receiving *r = find(snapshots, from_node, chunk->stream);

    if (r == NULL) {
        refuse(snapshots, from_node, chunk->stream, chunk->number,
               ERR_NOT_FOUND);
        return;
    }
    if (chunk->number < r->arrived_count)
        return; /* A packet may come twice. */
    if (!is_expected(r, chunk, payload)) {
        fail(r, ERR_PROTOCOL, "a chunk that was not expected");
        return;
    }
    r->waiting[r->waiting_count++] =
        (struct waiting_chunk){*chunk, buf_ref(payload)};
    r->arrived_count++;
    r->last_arrived = chunk->last;
    r->heard_ns = env_mono_ns(snapshots->env);
    put_next(r);
}

/* ---- begin ---- */

/* A region's newer stream takes the place of its older one. ERR_BUSY: that is
 * being installed already, or there are as many streams as there may be. */
static int make_room(struct snapshots *snapshots, uint64_t region)
{
    struct receiving *older = NULL;
    struct receiving *r;

    TAILQ_FOREACH (r, &snapshots->receivings, link)
        if (!r->ended && r->begin.region.id == region)
            older = r;
    if (older == NULL)
        return region == REGION_PLACEMENT ||
                       receivings_running(snapshots) < SNAPSHOT_RECEIVING_MAX
                   ? 0
                   : ERR_BUSY;
    if (older->installing)
        return ERR_BUSY;
    acknowledge(older, older->arrived_count, ERR_CANCELED);
    end(older);
    return 0;
}

static void start(struct snapshots *snapshots, uint64_t from_node,
                  struct snapshot_begin *begin)
{
    struct receiving *r = mem_zalloc(sizeof *r);

    log_line(LOG_INFO, "snapshot",
             "receiving region=%" PRIu64 " from_node=%" PRIu64 " index=%" PRIu64
             " term=%" PRIu64,
             begin->region.id, from_node, begin->index, begin->term);
    r->snapshots = snapshots;
    r->from_node = from_node;
    r->begin = *begin;
    *begin = (struct snapshot_begin){0};
    r->heard_ns = env_mono_ns(snapshots->env);
    r->task.run = run_job;
    r->back.run = job_done;
    TAILQ_INSERT_TAIL(&snapshots->receivings, r, link);
    start_job(r, RECEIVING_OPEN);
}

void receivings_on_begin(struct snapshots *snapshots, uint64_t from_node,
                         struct snapshot_begin *begin)
{
    int rc;

    if (find(snapshots, from_node, begin->stream) != NULL) {
        snapshot_begin_release(begin);
        return; /* A packet may come twice. */
    }
    rc = snapshot_admit(snapshots, from_node, begin);
    if (rc == 0)
        rc = make_room(snapshots, begin->region.id);
    if (rc == 0) {
        start(snapshots, from_node, begin);
        return;
    }
    log_line(LOG_INFO, "snapshot",
             "refused region=%" PRIu64 " from_node=%" PRIu64 ": %s",
             begin->region.id, from_node, err_text(rc));
    refuse(snapshots, from_node, begin->stream, 0, rc);
    snapshot_begin_release(begin);
}

/* ---- what happens to them ---- */

void receivings_on_link_down(struct snapshots *snapshots, uint64_t node_id)
{
    struct receiving *r;
    struct receiving *next;

    for (r = TAILQ_FIRST(&snapshots->receivings); r != NULL; r = next) {
        next = TAILQ_NEXT(r, link);
        if (r->from_node == node_id && !r->ended && !r->installing)
            end(r);
    }
}

/* What has all arrived needs only this node's disk. */
static bool has_stalled(const struct receiving *r, uint64_t now_ns)
{
    return !r->ended && !r->last_arrived && !r->busy &&
           now_ns - r->heard_ns > snapshot_stall_ns();
}

void receivings_tick(struct snapshots *snapshots)
{
    uint64_t now_ns = env_mono_ns(snapshots->env);
    struct receiving *r;
    struct receiving *next;

    for (r = TAILQ_FIRST(&snapshots->receivings); r != NULL; r = next) {
        next = TAILQ_NEXT(r, link);
        if (has_stalled(r, now_ns))
            fail(r, ERR_CANCELED, "nothing came any more");
    }
}

/* What is being installed goes on as far as it gets. */
void receivings_stop(struct snapshots *snapshots)
{
    struct receiving *r;
    struct receiving *next;

    for (r = TAILQ_FIRST(&snapshots->receivings); r != NULL; r = next) {
        next = TAILQ_NEXT(r, link);
        if (!r->ended && !r->installing)
            end(r);
    }
}

bool receivings_overlap(const struct snapshots *snapshots,
                        const struct region *region)
{
    const struct receiving *r;

    TAILQ_FOREACH (r, &snapshots->receivings, link)
        if (!r->ended && snapshot_overlaps(&r->begin.region, region))
            return true;
    return false;
}

size_t receivings_running(const struct snapshots *snapshots)
{
    const struct receiving *r;
    size_t count = 0;

    TAILQ_FOREACH (r, &snapshots->receivings, link)
        count += !r->ended;
    return count;
}

void receivings_free(struct snapshots *snapshots)
{
    struct receiving *r;

    while ((r = TAILQ_FIRST(&snapshots->receivings)) != NULL)
        destroy(r);
}
