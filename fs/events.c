/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/events.h"

#include <errno.h>
#include <fcntl.h>

void events_begin(struct op *op, op_done *done)
{
    op->request.offset = EVENTS_FROM_NOW;
    op_submit(op, REQUEST_EVENTS, done);
}

size_t events_size(struct fs *fs, const struct handle *handle)
{
    size_t size;

    pthread_mutex_lock(&fs->inodes.lock);
    size = handle->kept_offset + handle->kept->size;
    pthread_mutex_unlock(&fs->inodes.lock);
    return size;
}

/* Unless another READ of the same handle has been faster. */
static void install(struct op *op, struct buf *text)
{
    struct handle *handle = op->handle;
    struct buf *old = text;

    pthread_mutex_lock(&op->fs->inodes.lock);
    if (handle->event_next == op->request.offset) {
        old = handle->kept;
        handle->kept_offset += old->size;
        handle->kept = text;
        handle->event_next = op->request.ret_offset;
    }
    pthread_mutex_unlock(&op->fs->inodes.lock);
    buf_unref(old);
}

static void read_done(struct op *op, int status)
{
    struct buf *text;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    text = op_take_data(op);
    if (text->size == 0) {
        buf_unref(text);
        op_reply_errno(op, EAGAIN);
        return;
    }
    install(op, text);
    events_read(op);
}

void events_read(struct op *op)
{
    struct handle *handle = op->handle;
    struct buf *kept;
    uint64_t begin;

    pthread_mutex_lock(&op->fs->inodes.lock);
    kept = buf_ref(handle->kept);
    begin = handle->kept_offset;
    op->request.offset = handle->event_next;
    pthread_mutex_unlock(&op->fs->inodes.lock);

    op->request.table = TABLE_EVENTS;
    if (op->offset < begin) {
        op_reply_errno(op, ESPIPE);
    } else if (op->offset != begin + kept->size) {
        op_reply_part(op, kept, op->offset - begin, op->size);
    } else {
        if ((op->file.flags & O_NONBLOCK) != 0)
            op->request.flags = REQUEST_NO_WAIT;
        op_submit(op, REQUEST_EVENTS, read_done);
    }
    buf_unref(kept);
}
