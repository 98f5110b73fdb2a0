/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_ask.h"

#include <assert.h>

#include "engine/flow.h"

static void end(struct sim_ask *ask)
{
    struct buf *data = ask->request.data;
    struct buf *ret_data = ask->request.ret_data;

    ask->active = false;
    ask->done(ask);
    buf_unref(data);
    buf_unref(ret_data);
}

static void request_done(struct request *request)
{
    end(container_of(request, struct sim_ask, request));
}

static void run_submit(struct env_task *task)
{
    struct sim_ask *ask = container_of(task, struct sim_ask, submit);

    flows_submit(node_flows(ask->node->node), &ask->request);
}

static void run_cancel(struct env_task *task)
{
    struct sim_ask *ask = container_of(task, struct sim_ask, cancel);

    ask->cancelling = false;
    flows_cancel(node_flows(ask->node->node),
                 (uint64_t)(uintptr_t)ask->request.private);
}

static void post(struct sim_ask *ask, struct env_task *task)
{
    struct sim_env *env = ask->node->env;

    sim_env_enter(env, SIM_FROM_USER);
    env_post(&env->env, ENV_WORKER, task);
    sim_env_leave(env);
}

void sim_ask(struct sim_ask *ask, bool try_first)
{
    struct sim_node *node = ask->node;

    assert(!ask->active && sim_node_serves(node));
    ask->active = true;
    ask->request.done = request_done;
    if (try_first && flows_try(node->node, &ask->request)) {
        end(ask);
        return;
    }
    ask->request.private = (void *)(uintptr_t)++node->request_last;
    ask->submit.run = run_submit;
    post(ask, &ask->submit);
}

void sim_ask_cancel(struct sim_ask *ask)
{
    if (!ask->active || ask->cancelling || ask->node->env == NULL)
        return;
    ask->cancelling = true;
    ask->cancel.run = run_cancel;
    post(ask, &ask->cancel);
}

bool sim_ask_on_crash(struct sim_ask *ask)
{
    bool was_active = ask->active;

    ask->cancelling = false;
    ask->active = false; /* What it had is left lying with the process. */
    return was_active;
}
