/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/serve.h"

#include <stdlib.h>

#include "engine/command.h"
#include "engine/control_leader.h"
#include "engine/keys.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/wire.h"

enum { SERVED_READ_MS = 5000 };

/* One call being answered. */
struct served {
    struct serve *serve;
    uint64_t from;
    uint64_t ticket;
    uint64_t region;
    struct proposal proposal;
    struct index_request index_request;
    struct read_op read;
    struct control_wait control;
    struct command command; /* of a read; borrows from `bytes` */
    struct buf *bytes;
    TAILQ_ENTRY(served) link; /* in serve->reads or serve->controls */
};

enum { TICKETS_KEPT = 256 };

/* The last calls that had the same fate. */
struct tickets {
    struct {
        uint64_t from; /* 0: free */
        uint64_t ticket;
    } kept[TICKETS_KEPT];
    size_t next;
};

struct serve {
    struct node *node;
    TAILQ_HEAD(, served) reads;
    TAILQ_HEAD(, served) controls;
    /* Refused for good. Whoever made it knows now that nothing was done; a
     * second copy of the packet must not do it after all. */
    struct tickets refused;
    /* Taken, of those that grow. A second copy must not be refused for good:
     * the first one may have an effect. */
    struct tickets taken;
    bool stopped;
};

struct serve *serve_new(struct node *node)
{
    struct serve *serve = mem_zalloc(sizeof *serve);

    serve->node = node;
    TAILQ_INIT(&serve->reads);
    TAILQ_INIT(&serve->controls);
    return serve;
}

static void served_free(struct served *served)
{
    command_release(&served->command);
    buf_unref(served->bytes);
    free(served);
}

void serve_stop(struct serve *serve)
{
    struct served *served;

    serve->stopped = true;
    while ((served = TAILQ_FIRST(&serve->reads)) != NULL) {
        TAILQ_REMOVE(&serve->reads, served, link);
        reader_cancel(node_reader(serve->node), &served->read);
        served_free(served);
    }
    while ((served = TAILQ_FIRST(&serve->controls)) != NULL) {
        TAILQ_REMOVE(&serve->controls, served, link);
        control_cancel_wait(&served->control);
        served_free(served);
    }
}

void serve_free(struct serve *serve)
{
    free(serve);
}

/* ---- answers ---- */

static void answer(struct served *served, const struct call_return *answer,
                   struct buf *payload)
{
    struct node *node = served->serve->node;
    struct buf *header = call_return_encode(answer);

    if (!served->serve->stopped)
        node_send(node, served->from, ENV_CHANNEL_RAFT, WIRE_RETURN, header,
                  payload);
    buf_unref(header);
    served_free(served);
}

/* Who is to be asked instead; not the one that just refused. */
static uint64_t other_leader(const struct served *served)
{
    const struct node *node = served->serve->node;
    const struct peer *peer = node_peer(node, served->region);
    uint64_t leader = peer == NULL ? 0 : peer_leader_node(peer);

    return leader == node_id(node) && !peer_is_serving(peer) ? 0 : leader;
}

/* What the region is now, for who had an older notion of it. */
static struct buf *describe(const struct served *served)
{
    const struct peer *peer = node_peer(served->serve->node, served->region);

    return peer == NULL ? NULL
                        : located_encode(&(struct located){
                              .region = *peer_region(peer),
                              .leader_node = peer_leader_node(peer),
                          });
}

static void refuse(struct served *served, int status, bool in_log)
{
    struct buf *payload = status == ERR_EPOCH ? describe(served) : NULL;

    answer(served,
           &(struct call_return){
               .ticket = served->ticket,
               .status = status,
               .leader_node = other_leader(served),
               .proposed = in_log,
           },
           payload);
    buf_unref(payload);
}

static void on_proposed(struct proposal *proposal, int status, bool in_log,
                        struct buf *result)
{
    struct served *served = container_of(proposal, struct served, proposal);

    if (status != 0)
        refuse(served, status, in_log);
    else
        answer(served, &(struct call_return){.ticket = served->ticket}, result);
}

static void on_index(struct index_request *request, int status, uint64_t index)
{
    struct served *served = container_of(request, struct served, index_request);

    if (status != 0)
        refuse(served, status, false);
    else
        answer(served,
               &(struct call_return){.ticket = served->ticket, .index = index},
               NULL);
}

static void answer_result(struct served *served, const struct result *result)
{
    struct buf *bytes = result_encode(result);

    if (bytes == NULL)
        refuse(served, ERR_NO_MEMORY, false);
    else
        answer(served, &(struct call_return){.ticket = served->ticket}, bytes);
    buf_unref(bytes);
}

static void on_read(struct read_op *read, int status, struct result *result)
{
    struct served *served = container_of(read, struct served, read);

    TAILQ_REMOVE(&served->serve->reads, served, link);
    if (status == ERR_NO_QUORUM) { /* Most likely the key is not here. */
        refuse(served, ERR_EPOCH, false);
        return;
    }
    result->status = status;
    answer_result(served, result);
}

static void on_controlled(struct control_wait *wait, int status,
                          const char *why)
{
    struct served *served = container_of(wait, struct served, control);
    struct result result = {.status = status, .data = slice_of(why)};

    TAILQ_REMOVE(&served->serve->controls, served, link);
    if (status == ERR_NOT_LEADER)
        refuse(served, status, false);
    else
        answer_result(served, &result);
}

/* ---- calls ---- */

static void serve_read(struct served *served)
{
    struct node *node = served->serve->node;
    int rc = command_decode(&served->command, buf_slice(served->bytes));

    if (rc != 0 || !command_is_read(served->command.op)) {
        refuse(served, ERR_INVALID, false);
        return;
    }
    TAILQ_INSERT_TAIL(&served->serve->reads, served, link);
    served->read.command = &served->command;
    served->read.only_here = true;
    served->read.deadline_ns =
        env_mono_ns(node_env(node)) + (uint64_t)SERVED_READ_MS * 1000000;
    served->read.done = on_read;
    reader_start(node_reader(node), &served->read);
}

/* A caller that has heard nothing for a while asks again: it is to get the
 * answer to what is under way. */
static bool is_asked_again(const struct served *served)
{
    struct served *other;

    TAILQ_FOREACH (other, &served->serve->controls, link)
        if (other->from == served->from &&
            router_same_call(other->ticket, served->ticket)) {
            other->ticket = served->ticket;
            return true;
        }
    return false;
}

static void serve_control(struct served *served, struct peer *peer)
{
    if (is_asked_again(served)) {
        served_free(served);
        return;
    }
    TAILQ_INSERT_TAIL(&served->serve->controls, served, link);
    served->control.done = on_controlled;
    control_carry_out(served->serve->node, peer, served->bytes,
                      &served->control);
}

static void start(struct served *served, enum call_kind kind)
{
    struct peer *peer = node_peer(served->serve->node, served->region);

    if (peer != NULL)
        peer_rouse(peer);
    if (peer == NULL || !peer_is_serving(peer)) {
        refuse(served, ERR_NOT_LEADER, false);
        return;
    }
    switch (kind) {
    case CALL_PROPOSE:
        served->proposal.command = served->bytes;
        served->proposal.done = on_proposed;
        peer_propose(peer, &served->proposal);
        return;
    case CALL_READ:
        serve_read(served);
        return;
    case CALL_READ_INDEX:
        peer_tell_commit(peer);
        served->index_request.done = on_index;
        peer_read_index(peer, &served->index_request);
        return;
    case CALL_CONTROL:
        serve_control(served, peer);
        return;
    }
}

/* A stamp that is too far ahead of this node's clock would make all that comes
 * after it look as if it had been written then. Returns a reference, or NULL:
 * memory is out. */
static struct buf *with_credible_stamp(struct node *node,
                                       struct command *command,
                                       struct buf *bytes)
{
    if (command->stamp <= node_stamp_bound(node))
        return buf_ref(bytes);
    command->stamp = node_stamp(node);
    return command_encode(command);
}

/* What is proposed is checked here once, so that a log never holds what its
 * replicas cannot read. Sets `served->bytes`. */
static int take_payload(struct served *served, const struct call *call,
                        const struct env_packet *packet, bool *ret_grows)
{
    struct command command = {0};
    struct buf *bytes;

    if (call->kind == CALL_READ_INDEX)
        return packet->payload_count == 0 ? 0 : ERR_PROTOCOL;
    if (packet->payload_count != 1)
        return ERR_PROTOCOL;
    bytes = packet->payloads[0];
    if (command_decode(&command, buf_slice(bytes)) != 0)
        return ERR_PROTOCOL;
    *ret_grows = call->kind == CALL_PROPOSE && command_grows(&command);
    served->bytes = with_credible_stamp(served->serve->node, &command, bytes);
    command_release(&command);
    return served->bytes == NULL ? ERR_NO_MEMORY : 0;
}

static bool has_ticket(const struct tickets *tickets, uint64_t from,
                       uint64_t ticket)
{
    for (size_t i = 0; i < TICKETS_KEPT; i++)
        if (tickets->kept[i].ticket == ticket && tickets->kept[i].from == from)
            return true;
    return false;
}

static void keep_ticket(struct tickets *tickets, const struct served *served)
{
    size_t at = tickets->next++ % TICKETS_KEPT;

    tickets->kept[at].from = served->from;
    tickets->kept[at].ticket = served->ticket;
}

static void refuse_for_good(struct served *served, int status)
{
    keep_ticket(&served->serve->refused, served);
    refuse(served, status, false);
}

void serve_call(struct serve *serve, uint64_t from,
                const struct env_packet *packet)
{
    struct slice header = buf_slice(packet->header);
    struct call call = {0};
    struct served *served;
    bool grows = false;
    int rc;

    if (serve->stopped || call_decode(&call, header) != 0 ||
        has_ticket(&serve->refused, from, call.ticket))
        return;
    served = mem_zalloc(sizeof *served);
    served->serve = serve;
    served->from = from;
    served->ticket = call.ticket;
    served->region = call.region;
    rc = take_payload(served, &call, packet, &grows);
    if (rc != 0) {
        refuse_for_good(served, rc);
        return;
    }
    if (grows && !has_ticket(&serve->taken, from, call.ticket)) {
        if (node_disk_full(serve->node, call.region)) {
            refuse_for_good(served, ERR_NO_SPACE);
            return;
        }
        keep_ticket(&serve->taken, served);
    }
    start(served, call.kind);
}
