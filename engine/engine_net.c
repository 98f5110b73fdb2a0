/* SPDX-License-Identifier: Apache-2.0 */

/* The engine's transport: who may talk to this node, and what comes in, which
 * is the node's, or of the bootstrap before there is one. */

#include <inttypes.h>

#include "engine/engine_impl.h"
#include "engine/members.h"

static void on_packet(struct env_receiver *receiver, uint64_t from,
                      enum env_channel channel, const struct env_packet *packet)
{
    struct engine *engine = container_of(receiver, struct engine, receiver);

    (void)channel;
    if (engine->stopping || (hello_is_guest(from) && packet->type != WIRE_JOIN))
        return;
    if (engine->node == NULL) {
        if (engine->bootstrap != NULL)
            bootstrap_on_packet(engine->bootstrap, packet);
    } else if (packet->type == WIRE_BOOT) {
        bootstrap_answer(engine->env, &engine->store.identity, from, packet);
    } else {
        node_on_packet(engine->node, from, packet);
    }
}

static void note_early_link(struct engine *engine, uint64_t node_id, bool up)
{
    size_t kept = 0;

    for (size_t i = 0; i < engine->link_count; i++)
        if (engine->links[i] != node_id)
            engine->links[kept++] = engine->links[i];
    if (up && kept < NODES_MAX)
        engine->links[kept++] = node_id;
    engine->link_count = kept;
}

static void on_link(struct env_receiver *receiver, uint64_t node_id, bool up)
{
    struct engine *engine = container_of(receiver, struct engine, receiver);

    if (engine->stopping)
        return;
    if (engine->node != NULL)
        node_on_link(engine->node, node_id, up);
    else
        note_early_link(engine, node_id, up);
}

/* Whether another node, or a store that is to become one, may talk to this
 * one. */
static int accept_node(void *context, const struct transport_hello *hello,
                       struct err *e)
{
    struct engine *engine = context;
    struct node_record record;

    if (hello_is_guest(hello->node_id))
        return engine->node != NULL
                   ? 0
                   : err_set(e, ERR_UNAVAILABLE,
                             "node %" PRIu64 " is no part of a cluster itself",
                             engine->store.identity.node_id);
    if (engine->node == NULL ||
        members_find(engine->node, hello->node_id, &record) != 0 ||
        record.state != NODE_REMOVED)
        return 0;
    return err_set(e, ERR_NOT_PERMITTED,
                   "node %" PRIu64 " was removed from the cluster",
                   hello->node_id);
}

static void on_refused(void *context, uint64_t node_id, int code,
                       const char *text)
{
    if (code == ERR_NOT_PERMITTED) { /* accept_node() there, and no other. */
        engine_run_removed(context);
        return;
    }
    log_line(LOG_WARN, "transport", "node=%" PRIu64 " refused us: %s (%s)",
             node_id, text, err_text(code));
}

static void send_packet(void *context, uint64_t node_id,
                        enum env_channel channel,
                        const struct env_packet *packet)
{
    struct engine *engine = context;

    transport_send(engine->transport, node_id, channel, packet);
}

static size_t pending_bytes(void *context, uint64_t node_id,
                            enum env_channel channel)
{
    struct engine *engine = context;

    return transport_pending_bytes(engine->transport, node_id, channel);
}

void engine_net_start(struct engine *engine)
{
    struct transport_config config = {
        .node_id = engine->store.identity.node_id,
        .cluster_id = engine->store.identity.cluster_id,
        .advertise = engine->advertise,
        .receiver = &engine->receiver,
        .context = engine,
        .accept = accept_node,
        .on_refused = on_refused,
    };
    struct err e = ERR_INIT;

    engine->receiver =
        (struct env_receiver){.on_packet = on_packet, .on_link = on_link};
    engine->transport = transport_new(&config);
    env_uv_set_transport(engine->uv, send_packet, pending_bytes, engine);
    if (transport_start(engine->transport, env_uv_loop(engine->uv),
                        engine->listen_fd, &e) != 0)
        env_fatal(engine->env, e.text);
    engine->listen_fd = -1;
}
