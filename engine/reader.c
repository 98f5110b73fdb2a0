/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/reader.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/read_memo.h"
#include "engine/reader_impl.h"

enum {
    ATTEMPTS_AT_ONCE = 8, /* then with a pause */
    PAUSE_MS = 5
};

struct reader {
    struct node *node;
    TAILQ_HEAD(, read_op) ops;
    struct read_memo *memo;           /* reader_try()'s */
    atomic_uint_fast64_t answered_ns; /* see reader_note_answer() */
};

struct reader *reader_new(struct node *node)
{
    struct reader *reader = mem_zalloc(sizeof *reader);

    reader->node = node;
    reader->memo = read_memo_new();
    atomic_init(&reader->answered_ns, 0);
    TAILQ_INIT(&reader->ops);
    return reader;
}

void reader_free(struct reader *reader)
{
    if (reader == NULL)
        return;
    assert(TAILQ_EMPTY(&reader->ops));
    read_memo_free(reader->memo);
    free(reader);
}

struct read_memo *reader_memo(struct reader *reader)
{
    return reader->memo;
}

void reader_note_answer(struct reader *reader)
{
    atomic_store(&reader->answered_ns, env_mono_ns(node_env(reader->node)));
}

uint64_t reader_since(const struct reader *reader, uint64_t since_ns)
{
    return since_ns > atomic_load(&reader->answered_ns) ? since_ns : 0;
}

/* ---- the end ---- */

static void piece_free(struct read_piece *piece)
{
    struct read_op *op = piece->op;

    barrier_cancel(&piece->wait);
    router_cancel(node_router(op->node), &piece->call);
    TAILQ_REMOVE(&op->pieces, piece, link);
    buf_unref(piece->start);
    buf_unref(piece->end);
    free(piece);
}

/* Gives up reading here, in whatever way that is under way. */
static void leave(struct read_op *op)
{
    env_timer_stop(node_env(op->node), &op->pause);
    while (!TAILQ_EMPTY(&op->pieces))
        piece_free(TAILQ_FIRST(&op->pieces));
    if (op->run != NULL)
        op->run->op = NULL;
    op->run = NULL;
}

static void forget_op(struct read_op *op)
{
    struct reader *reader = node_reader(op->node);

    leave(op);
    env_timer_stop(node_env(op->node), &op->deadline);
    router_cancel(node_router(op->node), &op->call);
    op->active = false;
    TAILQ_REMOVE(&reader->ops, op, link);
}

static void end_op(struct read_op *op, int status, struct result *result)
{
    struct result none = {.status = status};

    forget_op(op);
    op->done(op, status, result == NULL ? &none : result);
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    (void)reader;
    if (op->active)
        forget_op(op);
}

void reader_stop(struct reader *reader)
{
    struct read_op *op;

    while ((op = TAILQ_FIRST(&reader->ops)) != NULL)
        end_op(op, ERR_CANCELED, NULL);
}

/* ---- which regions ---- */

static bool is_sound(const struct node *node, const struct peer *peer)
{
    return peer != NULL && !peer_is_damaged(peer) &&
           node_read_barrier(node, peer_region_id(peer)) != NULL;
}

static struct peer *sound(const struct node *node, struct peer *peer)
{
    return is_sound(node, peer) ? peer : NULL;
}

static struct peer *first_peer(const struct read_op *op)
{
    struct key key = read_first_key(op->command);

    return command_is_of_catalog(op->command)
               ? node_peer(op->node, REGION_PLACEMENT)
               : node_peer_at(op->node, key_user_part(&key));
}

static struct read_piece *add_piece(struct read_op *op, uint64_t region)
{
    struct read_piece *piece = mem_zalloc(sizeof *piece);

    piece->op = op;
    piece->part.region = region;
    TAILQ_INSERT_TAIL(&op->pieces, piece, link);
    return piece;
}

static void add_peer(struct read_op *op, struct peer *peer)
{
    const struct region *region = peer_region(peer);
    struct read_piece *piece = add_piece(op, region->id);

    piece->version = region->version;
    piece->start = buf_copy(region->start.data, region->start.size);
    piece->end = buf_copy(region->end.data, region->end.size);
}

/* Whether all is here, and still what it was when it was waited for. */
static bool pieces_count(const struct read_op *op)
{
    const struct read_piece *piece;

    TAILQ_FOREACH (piece, &op->pieces, link) {
        struct peer *peer =
            sound(op->node, node_peer(op->node, piece->part.region));

        if (!piece->part.is_elsewhere &&
            (peer == NULL || peer_region(peer)->version != piece->version ||
             node_read_barrier(op->node, piece->part.region) != piece->barrier))
            return false;
    }
    return true;
}

/* ---- executed ---- */

static void begin(struct read_op *op);
static void wait_for_pieces(struct read_op *op);
static void ask_leader(struct read_op *op);

static void begin_later(struct read_op *op)
{
    leave(op);
    env_timer_start(node_env(op->node), &op->pause,
                    (uint64_t)PAUSE_MS * 1000000);
}

/* A key that a transaction holds: with what is known now, once more. The
 * leader's looks follow each other faster than those with barriers between
 * them, so less changes meanwhile. */
static void try_again(struct read_op *op)
{
    const struct peer *peer = first_peer(op);

    if (++op->attempts % ATTEMPTS_AT_ONCE != 0)
        begin(op);
    else if (peer != NULL && !peer_is_leader(peer) && !op->only_here)
        ask_leader(op);
    else
        begin_later(op);
}

/* A bad record: it is not looked at again where others have a good one. */
static void report(const struct node *node, const struct read_unknown *unknown)
{
    struct peer *peer = node_peer(node, unknown->region);

    if (peer != NULL && !peer_was_just_mended(peer))
        (void)peer_found_damage(peer, "a read met a bad record");
}

static void ask_for_part(struct read_op *op, const struct key *key);

/* The read needs the region of `key` too. */
static void add_needed(struct read_op *op, const struct key *key)
{
    struct peer *peer =
        sound(op->node, node_peer_at(op->node, key_user_part(key)));

    if (peer != NULL) {
        add_peer(op, peer);
        wait_for_pieces(op);
    } else {
        ask_for_part(op, key);
    }
}

void reader_finish_run(struct read_op *op, struct read_run *run)
{
    if (run->result.status == ERR_CORRUPT)
        report(op->node, &run->unknown);
    if (run->op == NULL)
        return; /* Begun anew with all the others. */
    op->run = NULL;
    op->unknown = run->unknown;
    if (!pieces_count(op))
        begin_later(op);
    else if (run->result.status == ERR_LOCKED)
        try_again(op);
    else if (run->result.status == ERR_UNAVAILABLE)
        add_needed(op, &run->unknown.needed);
    else
        end_op(op, run->result.status, &run->result);
}

/* ---- waiting ---- */

static void piece_ready(struct read_op *op)
{
    if (--op->pieces_left > 0)
        return;
    reader_run(op);
}

static void barrier_passed(struct barrier_wait *wait)
{
    piece_ready(container_of(wait, struct read_piece, wait)->op);
}

/* Also of those that were waited for before: what is needed was learnt only
 * after that. Only the first look of a read may be as old as the read says:
 * the others have to come behind barriers (read.h). */
static void wait_for_pieces(struct read_op *op)
{
    struct read_piece *piece;
    struct read_piece *next;

    op->pieces_left = 1; /* Ours, so that none runs before the loop is done. */
    for (piece = TAILQ_FIRST(&op->pieces); piece != NULL; piece = next) {
        struct barrier *barrier =
            node_read_barrier(op->node, piece->part.region);

        next = TAILQ_NEXT(piece, link);
        if (piece->part.is_elsewhere)
            continue;
        op->pieces_left++;
        piece->barrier = barrier;
        piece->wait.done = barrier_passed;
        piece->wait.since_ns = op->since_ns;
        barrier_wait(barrier, &piece->wait);
    }
    op->since_ns = 0;
    piece_ready(op);
}

static void part_told(struct router_call *call, int status,
                      const struct result *result, uint64_t index)
{
    struct read_piece *piece = container_of(call, struct read_piece, call);
    struct read_op *op = piece->op;

    (void)index;
    if (result == NULL || status != 0) {
        /* Gone, or the directory is: the whole read will see. */
        begin_later(op);
        return;
    }
    piece->part.attr = result->attr;
    piece->end = buf_copy(result->data.data, result->data.size);
    if (pieces_count(op))
        wait_for_pieces(op);
    else
        begin_later(op);
}

static void ask_for_part(struct read_op *op, const struct key *key)
{
    struct read_piece *piece = add_piece(op, UINT64_MAX);
    struct slice user_key = key_user_part(key);
    const uint8_t *bytes = user_key.data;

    piece->part.is_elsewhere = true;
    piece->start = buf_copy(user_key.data, user_key.size);
    memcpy(piece->name, bytes + KEY_NSID_SIZE, user_key.size - KEY_NSID_SIZE);
    piece->question = (struct command){
        .op = COMMAND_PART,
        .dir = be64_get(bytes),
        .name = {piece->name, user_key.size - KEY_NSID_SIZE},
    };
    piece->call.kind = CALL_READ;
    router_to_place(&piece->call, piece->question.dir, piece->question.name);
    piece->call.deadline_ns = op->deadline_ns;
    piece->call.done = part_told;
    router_call(node_router(op->node), &piece->call, &piece->question);
}

/* ---- at the leader ---- */

static void answered(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct read_op *op = container_of(call, struct read_op, call);
    struct result copy = {.status = status};

    (void)index;
    if (result == NULL && status == ERR_EPOCH) { /* This node leads. */
        begin_later(op);
        return;
    }
    if (result != NULL)
        copy = *result;
    reader_note_answer(node_reader(op->node));
    copy.held = NULL; /* The router's. */
    copy.data_buf = NULL;
    if (copy.data.size > 0)
        copy.data_buf = buf_copy(copy.data.data, copy.data.size);
    end_op(op, status, &copy);
    buf_unref(copy.data_buf);
}

static void ask_leader(struct read_op *op)
{
    struct key key = read_first_key(op->command);
    struct command command = *op->command;

    leave(op);
    op->call.kind = CALL_READ;
    if (command_is_of_catalog(op->command))
        router_to_region(&op->call, REGION_PLACEMENT);
    else
        router_to_key(&op->call, &key);
    op->call.deadline_ns = op->deadline_ns;
    op->call.done = answered;
    router_call(node_router(op->node), &op->call, &command);
}

/* What has begun here is begun anew. */
static void begin_all(struct reader *reader)
{
    struct read_op *op;

    TAILQ_FOREACH (op, &reader->ops, link)
        if (!op->call.active)
            begin_later(op);
}

void reader_on_replica_gone(struct reader *reader)
{
    begin_all(reader);
}

void reader_on_replica_new(struct reader *reader)
{
    struct read_op *op;

    TAILQ_FOREACH (op, &reader->ops, link)
        if (op->call.active) {
            router_cancel(node_router(op->node), &op->call);
            begin_later(op);
        }
}

void reader_on_damage(struct reader *reader)
{
    begin_all(reader);
}

void reader_on_freeze(struct reader *reader)
{
    begin_all(reader);
}

/* ---- start ---- */

/* With what this node has and knows now. */
static void begin(struct read_op *op)
{
    struct peer *placement =
        sound(op->node, node_peer(op->node, REGION_PLACEMENT));
    struct peer *first = sound(op->node, first_peer(op));

    leave(op);
    if (placement != NULL && first != NULL) {
        add_peer(op, placement);
        if (first != placement)
            add_peer(op, first);
        wait_for_pieces(op);
    } else if (op->only_here) {
        end_op(op, ERR_NO_QUORUM, NULL);
    } else {
        ask_leader(op);
    }
}

static void pause_over(struct env_timer *timer)
{
    begin(container_of(timer, struct read_op, pause));
}

static void deadline_passed(struct env_timer *timer)
{
    end_op(container_of(timer, struct read_op, deadline), ERR_NO_QUORUM, NULL);
}

static void arm_deadline(struct read_op *op)
{
    struct env *env = node_env(op->node);
    uint64_t now_ns = env_mono_ns(env);

    op->deadline = (struct env_timer){.fire = deadline_passed};
    env_timer_start(env, &op->deadline,
                    op->deadline_ns > now_ns ? op->deadline_ns - now_ns : 0);
}

void reader_start(struct reader *reader, struct read_op *op)
{
    op->node = reader->node;
    op->since_ns = reader_since(reader, op->since_ns);
    op->active = true;
    op->attempts = 0;
    op->run = NULL;
    op->unknown = (struct read_unknown){.count = 0};
    op->pause = (struct env_timer){.fire = pause_over};
    op->call.active = false;
    TAILQ_INIT(&op->pieces);
    TAILQ_INSERT_TAIL(&reader->ops, op, link);
    arm_deadline(op);
    begin(op);
}
