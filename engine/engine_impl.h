/* SPDX-License-Identifier: Apache-2.0 */

/* What the engine*.c files share; for them only. */

#ifndef GROVEFS_ENGINE_ENGINE_IMPL_H
#define GROVEFS_ENGINE_ENGINE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/bootstrap.h"
#include "engine/engine.h"
#include "engine/env_uv.h"
#include "engine/event_log.h"
#include "engine/founding.h"
#include "engine/join.h"
#include "engine/node.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/store.h"
#include "engine/transport.h"

struct early;
TAILQ_HEAD(early_list, early);

enum { ENGINE_TEXT_SIZE = 512 };

struct engine {
    /* Set by engine_open(), not changed afterwards. */
    char data_dir[4096];
    struct address advertise;
    bool advertise_given; /* by the user: the catalog is to say so */
    bool listens;
    struct join_list members; /* count 0: none were given */
    struct founders founders; /* count 0: none were given */
    uint64_t op_timeout_ms;
    uint64_t value_size_max;
    uint64_t log_keep;
    uint64_t check_interval_ms; /* 0: never */
    unsigned workers;           /* 0: what is best on this machine */
    int listen_fd;              /* the transport's after the start; -1: none */
    void (*on_fatal)(void *context, const char *reason);
    void *on_fatal_context;

    struct store store;
    struct env_uv *uv;
    struct env *env;
    atomic_uint_fast64_t flow_last; /* ids of requests */
    struct node *_Atomic node;      /* set once by the worker */

    /* ENV_WORKER's. */
    struct transport *transport;
    struct bootstrap *bootstrap;
    struct env_receiver receiver;
    struct env_timer addresses; /* once a second: what the catalog says */
    struct early_list early;    /* requests from before there was a node */
    bool stopping;
    uint64_t links[NODES_MAX]; /* that came up before there was a node */
    size_t link_count;
    struct router_call address_call;
    struct read_op first_read;
    struct command first_command;

    /* Below the mutex: who waits in engine_wait_ready() or engine_stop(). */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool ready;
    bool retired;
    int failed; /* the cluster refused this node */
    char why[ENGINE_TEXT_SIZE];
};

/* engine_run.c: everything on the worker, with the two below. */
void engine_on_started(struct env_uv *uv, void *context);
void engine_on_stopping(struct env_uv *uv, void *context);
void engine_run_submit(struct engine *engine, struct request *request);
void engine_run_cancel(struct engine *engine, uint64_t id);
void engine_run_retire(struct engine *engine);
void engine_run_stop(struct engine *engine);
/* This node was removed from the cluster: the program ends. */
void engine_run_removed(void *context);

/* engine_early.c: requests from before there is a node. */

/* Answers it, or keeps it until there is a node, or until it is too late. */
void engine_early_submit(struct engine *engine, struct request *request);
/* False: it is not one of those. */
bool engine_early_cancel(struct engine *engine, uint64_t id);
/* The first of those that wait, for the node; NULL: there are no more. */
struct request *engine_early_take(struct engine *engine);
/* Ends all with ERR_CANCELED. */
void engine_early_stop(struct engine *engine);

/* engine_net.c: the transport. */
void engine_net_start(struct engine *engine);

/* engine_options.c */

/* All but the addresses. */
int engine_set_options(struct engine *engine,
                       const struct engine_config *config, struct err *e);
/* Where the others find this node: what it was told, or where it listens. */
int engine_set_addresses(struct engine *engine,
                         const struct engine_config *config,
                         struct address *ret_listen, struct err *e);

/* engine.c */
void engine_space_of(void *context, struct engine_space *ret);

#endif
