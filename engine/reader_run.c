/* SPDX-License-Identifier: Apache-2.0 */

/* Executing a read whose barriers have been passed, by one of those who apply:
 * with copies of all it needs, since its op may be cancelled meanwhile. */

#include <assert.h>
#include <stdlib.h>

#include "engine/reader_impl.h"

static void run_on_apply(struct env_task *task)
{
    struct read_run *run = container_of(task, struct read_run, task);

    (void)read_execute(run->env->state, &run->view, &run->command,
                       &run->unknown, &run->result);
    env_post(run->env, ENV_WORKER, &run->done_task);
}

static void run_done(struct env_task *task)
{
    struct read_run *run = container_of(task, struct read_run, done_task);

    if (run->op != NULL)
        reader_finish_run(run->op, run);
    for (size_t i = 0; i < 2 * run->view.count; i++)
        buf_unref(run->bounds[i]);
    free(run->bounds);
    free(run->parts);
    result_release(&run->result);
    command_release(&run->command);
    buf_unref(run->bytes);
    free(run);
}

static struct slice bytes_of(const struct buf *b)
{
    return (struct slice){b->data, b->size};
}

/* All pieces but region 0's. */
static void fill_view(struct read_run *run, const struct read_op *op)
{
    const struct read_piece *piece;
    size_t count = 0;

    TAILQ_FOREACH (piece, &op->pieces, link)
        count += piece->part.region != REGION_PLACEMENT;
    run->parts = mem_zalloc((count + 1) * sizeof *run->parts);
    run->bounds = mem_zalloc((2 * count + 1) * sizeof(struct buf *));
    count = 0;
    TAILQ_FOREACH (piece, &op->pieces, link) {
        struct read_part *part = &run->parts[count];

        if (piece->part.region == REGION_PLACEMENT)
            continue;
        run->bounds[2 * count] = buf_ref(piece->start);
        run->bounds[2 * count + 1] = buf_ref(piece->end);
        *part = piece->part;
        part->range =
            (struct range){bytes_of(piece->start), bytes_of(piece->end)};
        count++;
    }
    run->view = (struct read_view){run->parts, count};
}

/* The run gets a command of its own, since the op's may go away. */
static struct read_run *run_new(struct read_op *op)
{
    struct read_run *run = mem_zalloc(sizeof *run);
    int rc;

    run->op = op;
    run->env = node_env(op->node);
    run->task.run = run_on_apply;
    run->done_task.run = run_done;
    run->unknown = op->unknown;
    run->bytes = command_encode(op->command);
    assert(run->bytes != NULL);
    rc = command_decode(&run->command, bytes_of(run->bytes));
    assert(rc == 0);
    fill_view(run, op);
    return run;
}

/* Any of those who apply could do it: this spreads the work. */
static enum env_owner reading_owner(const struct read_run *run)
{
    return env_apply_owner(run->env, run->view.count == 0
                                         ? REGION_PLACEMENT
                                         : run->view.parts[0].region);
}

void reader_run(struct read_op *op)
{
    op->run = run_new(op);
    env_post(node_env(op->node), reading_owner(op->run), &op->run->task);
}
