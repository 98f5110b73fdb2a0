/* SPDX-License-Identifier: Apache-2.0 */

/* Group commit: the consumer of a thread that writes log/.
 *
 * While one group is being synced, the writes that come in meanwhile wait;
 * together they are the next group: one batch, one sync, however many regions
 * they are for. There is no artificial wait. A group that grows beyond
 * LOG_GROUP_BYTES_MAX is written before the rest is looked at.
 *
 * A failed write is final (kv.h): the failure is reported once, and neither
 * that group nor any later write is ever done. */

#ifndef GROVEFS_ENGINE_LOG_WRITER_H
#define GROVEFS_ENGINE_LOG_WRITER_H

#include "engine/task_thread.h"

enum { LOG_GROUP_BYTES_MAX = 4 * 1024 * 1024 };

/* Set `log` and the callbacks, zero the rest. */
struct log_writer {
    struct kv *log;
    /* `group` is durable; its tasks are to be run on ENV_WORKER in order and
     * call the writes' `done`. */
    void (*committed)(void *context, struct task_list *group);
    /* `count` writes will never be done. */
    void (*dropped)(void *context, size_t count);
    void (*failed)(void *context, const char *reason);
    void *context;

    struct kv_batch *batch; /* private from here on; the log thread's */
    bool has_failed;
    /* Numbers for anybody. A group without changes needs no sync. */
    atomic_ullong write_count;
    atomic_ullong group_count;
    atomic_ullong sync_count;
    atomic_ullong byte_count;
};

/* Prepares a write to be pushed to the thread, and returns its task. */
struct env_task *log_writer_task(struct env_log_write *write);

/* The thread's `consume`; the context is the struct log_writer. */
void log_writer_consume(void *context, struct task_list *writes);

/* Frees the batch. */
void log_writer_close(struct log_writer *writer);

#endif
