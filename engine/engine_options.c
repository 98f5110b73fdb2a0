/* SPDX-License-Identifier: Apache-2.0 */

/* What engine_open() is given: what holds for that which is not, and what does
 * not go together. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/check.h"
#include "engine/engine_impl.h"

enum { OP_TIMEOUT_DEFAULT_MS = 10000 };

static const char data_dir_default[] = "/var/lib/grovefs";
static const char listen_default[] = "127.0.0.1:7420";
static const uint64_t value_size_default = UINT64_C(64) * 1024 * 1024;

static int check_founders(struct engine *engine,
                          const struct engine_config *config, struct err *e)
{
    int rc = founders_parse(&engine->founders, config->peers, e);

    if (rc != 0)
        return err_prefix(e, rc, "peers=");
    if (config->node_id == 0)
        return err_set(e, ERR_INVALID, "peers= needs id=, this node's own id");
    for (size_t i = 0; i < engine->founders.count; i++)
        if (engine->founders.founder[i].id == config->node_id)
            return 0;
    return err_set(e, ERR_INVALID,
                   "id=%" PRIu64 " is not in peers=", config->node_id);
}

static int check_members(struct engine *engine,
                         const struct engine_config *config, struct err *e)
{
    int rc = join_parse(&engine->members, config->join, e);

    if (rc != 0)
        return err_prefix(e, rc, "join=");
    if (config->peers != NULL)
        return err_set(e, ERR_INVALID,
                       "a node founds a cluster (peers=) or joins one (join=), "
                       "not both");
    if (config->node_id != 0)
        return err_set(e, ERR_INVALID,
                       "the cluster that is joined chooses the id: leave out "
                       "id=");
    return 0;
}

int engine_set_addresses(struct engine *engine,
                         const struct engine_config *config,
                         struct address *ret_listen, struct err *e)
{
    const char *advertise = config->advertise;
    const char *listen = config->listen;
    int rc;

    engine->advertise_given = advertise != NULL;
    if (listen == NULL)
        listen = listen_default;
    rc = address_parse(ret_listen, listen, e);
    if (rc != 0)
        return err_prefix(e, rc, "listen=");
    rc = address_parse(&engine->advertise,
                       advertise == NULL ? listen : advertise, e);
    return rc == 0 ? 0 : err_prefix(e, rc, "advertise=");
}

int engine_set_options(struct engine *engine,
                       const struct engine_config *config, struct err *e)
{
    const char *dir =
        config->data_dir == NULL ? data_dir_default : config->data_dir;

    if (strlen(dir) >= sizeof engine->data_dir - 16)
        return err_set(e, ERR_NAME_TOO_LONG, "data=: the path is too long");
    (void)snprintf(engine->data_dir, sizeof engine->data_dir, "%s", dir);
    engine->op_timeout_ms = config->op_timeout_ms != 0 ? config->op_timeout_ms
                                                       : OP_TIMEOUT_DEFAULT_MS;
    engine->value_size_max = config->value_size_max != 0
                                 ? config->value_size_max
                                 : value_size_default;
    engine->log_keep =
        config->log_keep != 0 ? config->log_keep : LOG_KEEP_DEFAULT;
    engine->check_interval_ms = config->check_interval_ms == ENGINE_NEVER ? 0
                                : config->check_interval_ms != 0
                                    ? config->check_interval_ms
                                    : (uint64_t)CHECK_INTERVAL_DEFAULT_S * 1000;
    if (config->workers > ENV_APPLY_MAX)
        return err_set(e, ERR_INVALID, "workers=: %d at most", ENV_APPLY_MAX);
    engine->workers = (unsigned)config->workers;
    engine->on_fatal = config->on_fatal;
    engine->on_fatal_context = config->on_fatal_context;
    if (config->join != NULL)
        return check_members(engine, config, e);
    return config->peers == NULL ? 0 : check_founders(engine, config, e);
}
