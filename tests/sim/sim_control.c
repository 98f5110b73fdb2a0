/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_control.h"

#include <stdlib.h>
#include <string.h>

#include "engine/flow.h"

static void answered(struct request *request)
{
    struct sim_control *control =
        container_of(request, struct sim_control, request);

    control->done(control);
    buf_unref(request->data);
    free(control);
}

static void submit(struct env_task *task)
{
    struct sim_control *control = container_of(task, struct sim_control, task);

    flows_submit(node_flows(control->node->node), &control->request);
}

struct sim_control *sim_control_write(struct sim_node *node,
                                      enum engine_table table, uint64_t object,
                                      const char *text,
                                      void (*done)(struct sim_control *control),
                                      void *context)
{
    struct sim_control *control = mem_zalloc(sizeof *control);

    control->node = node;
    control->context = context;
    control->done = done;
    control->starts = node->starts;
    control->request = (struct request){
        .kind = REQUEST_CONTROL,
        .table = table,
        .object = object,
        .data = buf_copy(text, strlen(text)),
        .done = answered,
        .private = (void *)(uintptr_t)++node->request_last,
    };
    control->task.run = submit;
    sim_env_enter(node->env, SIM_FROM_USER);
    env_post(&node->env->env, ENV_WORKER, &control->task);
    sim_env_leave(node->env);
    return control;
}

bool sim_control_is_lost(const struct sim_control *control)
{
    return control->node->starts != control->starts ||
           control->node->state == SIM_DOWN;
}
