/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/log_writer.h"

#include <assert.h>

#include "raft/base/mem.h"

struct group {
    struct task_list tasks;
    size_t count;
};

static struct env_log_write *write_of(struct env_task *task)
{
    return container_of(task, struct env_log_write, task);
}

static void run_done(struct env_task *task)
{
    write_of(task)->done(write_of(task));
}

struct env_task *log_writer_task(struct env_log_write *write)
{
    assert(write->fill != NULL);
    assert(write->done != NULL);

    write->task.run = run_done;
    return &write->task;
}

static void count(atomic_ullong *number, size_t more)
{
    atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

/* One sync for everything in the batch. */
static void write_batch(struct log_writer *writer)
{
    struct err e = ERR_INIT;

    if (kv_batch_count(writer->batch) == 0)
        return;
    count(&writer->byte_count, kv_batch_size_bytes(writer->batch));
    count(&writer->sync_count, 1);
    if (kv_write(writer->log, writer->batch, KV_SYNCED, &e) != 0) {
        writer->has_failed = true;
        writer->failed(writer->context, e.text);
    }
    kv_batch_clear(writer->batch);
}

static void commit(struct log_writer *writer, struct group *group)
{
    if (!writer->has_failed)
        write_batch(writer);
    count(&writer->group_count, 1);
    count(&writer->write_count, group->count);
    if (writer->has_failed)
        writer->dropped(writer->context, group->count);
    else
        writer->committed(writer->context, &group->tasks);
    STAILQ_INIT(&group->tasks);
    group->count = 0;
}

void log_writer_consume(void *context, struct task_list *writes)
{
    struct log_writer *writer = context;
    struct group group = {.tasks = STAILQ_HEAD_INITIALIZER(group.tasks)};
    struct env_task *task;

    if (writer->batch == NULL)
        writer->batch = kv_batch_new(writer->log);
    while ((task = STAILQ_FIRST(writes)) != NULL) {
        STAILQ_REMOVE_HEAD(writes, link);
        if (!writer->has_failed)
            write_of(task)->fill(write_of(task), writer->batch);
        STAILQ_INSERT_TAIL(&group.tasks, task, link);
        group.count++;
        if (kv_batch_size_bytes(writer->batch) >= LOG_GROUP_BYTES_MAX)
            commit(writer, &group);
    }
    if (group.count > 0)
        commit(writer, &group);
}

void log_writer_close(struct log_writer *writer)
{
    kv_batch_free(writer->batch);
    writer->batch = NULL;
}
