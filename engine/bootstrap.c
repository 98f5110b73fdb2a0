/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/bootstrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 100 };

struct bootstrap {
    struct bootstrap_config config;
    struct env_timer timer;
    uint64_t tokens[NODES_MAX]; /* 0: not heard of yet */
    bool other_list[NODES_MAX]; /* it has another peers= */
    bool ended;
};

struct bootstrap *bootstrap_new(const struct bootstrap_config *config)
{
    struct bootstrap *bootstrap = mem_zalloc(sizeof *bootstrap);

    bootstrap->config = *config;
    for (size_t i = 0; i < config->founders.count; i++)
        if (config->founders.founder[i].id == config->identity.node_id)
            bootstrap->tokens[i] = config->identity.token;
    return bootstrap;
}

void bootstrap_free(struct bootstrap *bootstrap)
{
    if (bootstrap == NULL)
        return;
    env_timer_stop(bootstrap->config.env, &bootstrap->timer);
    free(bootstrap);
}

static void send_boot(struct env *env, uint64_t to, const struct boot *boot)
{
    struct env_packet packet = {.type = WIRE_BOOT, .header = boot_encode(boot)};

    env_send(env, to, ENV_CHANNEL_RAFT, &packet);
    buf_unref(packet.header);
}

static void tell(struct bootstrap *bootstrap, uint64_t to, bool reply)
{
    const struct identity *identity = &bootstrap->config.identity;

    send_boot(bootstrap->config.env, to,
              &(struct boot){
                  .reply = reply,
                  .node = identity->node_id,
                  .peers_hash = founders_hash(&bootstrap->config.founders),
                  .token = identity->token,
              });
}

static void tell_all(struct env_timer *timer)
{
    struct bootstrap *bootstrap = container_of(timer, struct bootstrap, timer);
    const struct founders *founders = &bootstrap->config.founders;

    for (size_t i = 0; i < founders->count; i++)
        if (founders->founder[i].id != bootstrap->config.identity.node_id)
            tell(bootstrap, founders->founder[i].id, false);
    env_timer_start(bootstrap->config.env, &bootstrap->timer,
                    (uint64_t)ASK_MS * 1000000);
}

static void end(struct bootstrap *bootstrap, int status, const char *why)
{
    bootstrap->ended = true;
    env_timer_stop(bootstrap->config.env, &bootstrap->timer);
    bootstrap->config.done(bootstrap->config.context, status,
                           &bootstrap->config.identity, why);
}

static void found(struct bootstrap *bootstrap, const uint64_t *tokens)
{
    struct identity *identity = &bootstrap->config.identity;
    const struct founders *founders = &bootstrap->config.founders;

    identity->token_count = founders->count;
    memcpy(identity->tokens, tokens, founders->count * sizeof *tokens);
    identity->peers_hash = founders_hash(founders);
    identity->cluster_id = founding_cluster_id(founders, tokens);
    end(bootstrap, 0, "");
}

static void found_if_complete(struct bootstrap *bootstrap)
{
    for (size_t i = 0; i < bootstrap->config.founders.count; i++)
        if (bootstrap->tokens[i] == 0 || bootstrap->other_list[i])
            return;
    found(bootstrap, bootstrap->tokens);
}

void bootstrap_start(struct bootstrap *bootstrap)
{
    bootstrap->timer.fire = tell_all;
    tell_all(&bootstrap->timer);
    found_if_complete(bootstrap);
}

/* ---- what comes in ---- */

static bool is_founder(const struct bootstrap *bootstrap,
                       const struct boot *boot)
{
    const struct founders *founders = &bootstrap->config.founders;

    if (boot->peers_hash != founders_hash(founders) ||
        boot->token_count != founders->count)
        return false;
    for (size_t i = 0; i < founders->count; i++)
        if (founders->founder[i].id == bootstrap->config.identity.node_id)
            return boot->tokens[i] == bootstrap->config.identity.token;
    return false;
}

static void on_cluster(struct bootstrap *bootstrap, const struct boot *boot)
{
    char why[256];

    if (is_founder(bootstrap, boot)) {
        found(bootstrap, boot->tokens);
        return;
    }
    (void)snprintf(why, sizeof why,
                   "node %" PRIu64 " says that the cluster exists and this "
                   "empty store is not one of its founders; a node that lost "
                   "its store cannot come back under its old id",
                   boot->node);
    end(bootstrap, ERR_FOREIGN, why);
}

static void on_empty(struct bootstrap *bootstrap, const struct boot *boot)
{
    const struct founders *founders = &bootstrap->config.founders;

    for (size_t i = 0; i < founders->count; i++) {
        if (founders->founder[i].id != boot->node)
            continue;
        bootstrap->tokens[i] = boot->token;
        bootstrap->other_list[i] = boot->peers_hash != founders_hash(founders);
    }
    if (!boot->reply)
        tell(bootstrap, boot->node, true);
    found_if_complete(bootstrap);
}

void bootstrap_on_packet(struct bootstrap *bootstrap,
                         const struct env_packet *packet)
{
    struct boot boot = {0};

    if (bootstrap->ended || packet->type != WIRE_BOOT ||
        boot_decode(&boot, buf_slice(packet->header)) != 0)
        return;
    if (boot.initialised)
        on_cluster(bootstrap, &boot);
    else
        on_empty(bootstrap, &boot);
}

void bootstrap_answer(struct env *env, const struct identity *identity,
                      uint64_t to, const struct env_packet *packet)
{
    struct boot question = {0};
    struct boot answer = {
        .reply = true,
        .initialised = true,
        .node = identity->node_id,
        .cluster_id = identity->cluster_id,
        .peers_hash = identity->peers_hash,
        .token = identity->token,
        .token_count = identity->token_count,
    };

    if (boot_decode(&question, buf_slice(packet->header)) != 0 ||
        question.reply)
        return;
    memcpy(answer.tokens, identity->tokens, sizeof answer.tokens);
    send_boot(env, to, &answer);
}

void bootstrap_render(const struct bootstrap *bootstrap, FILE *out)
{
    const struct founders *founders = &bootstrap->config.founders;

    for (size_t i = 0; i < founders->count; i++) {
        const struct founder *founder = &founders->founder[i];

        if (bootstrap->other_list[i])
            (void)fprintf(out,
                          "node %" PRIu64 " has another list of peers: give "
                          "all nodes the same peers=\n",
                          founder->id);
        else if (bootstrap->tokens[i] == 0)
            (void)fprintf(out,
                          "waiting for node %" PRIu64 " at %s, to found the "
                          "cluster: start it\n",
                          founder->id, founder->address);
    }
}
