/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/handle.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>

#include "fs/clock.h"

enum { RECENT_NS = 1000 * 1000 * 1000 };

static void lock(struct fs *fs)
{
    pthread_mutex_lock(&fs->inodes.lock);
}

static void unlock(struct fs *fs)
{
    pthread_mutex_unlock(&fs->inodes.lock);
}

struct handle *handle_new(struct fs *fs, struct inode *inode, int flags,
                          pid_t pid, uid_t uid)
{
    struct handle *handle = mem_zalloc(sizeof *handle);

    handle->flags = flags;
    handle->pid = pid;
    handle->kill_priv = uid != 0;
    handle->ref_count = 1;
    if (inode != NULL)
        handle->inode = inode_ref(&fs->inodes, inode);
    lock(fs);
    if (inode != NULL)
        TAILQ_INSERT_TAIL(&inode->handles, handle, link);
    else
        TAILQ_INSERT_TAIL(&fs->special, handle, link);
    unlock(fs);
    return handle;
}

struct handle *handle_ref(struct fs *fs, struct handle *handle)
{
    lock(fs);
    handle->ref_count++;
    unlock(fs);
    return handle;
}

static void drop_kept(struct fs *fs, struct handle *handle)
{
    if (handle->kept == NULL)
        return;
    if (handle->inode != NULL) {
        assert(fs->kept_size >= handle->kept->size);
        fs->kept_size -= handle->kept->size;
    }
    buf_unref(handle->kept);
    handle->kept = NULL;
}

static void drop_last_content(struct fs *fs, struct inode *inode)
{
    if (inode->last_content == NULL)
        return;
    assert(fs->kept_size >= inode->last_content->size);
    fs->kept_size -= inode->last_content->size;
    buf_unref(inode->last_content);
    inode->last_content = NULL;
}

void handle_unref(struct fs *fs, struct handle *handle)
{
    struct inode *inode;
    bool last;

    if (handle == NULL)
        return;

    lock(fs);
    assert(handle->ref_count > 0);
    last = --handle->ref_count == 0;
    inode = handle->inode;
    if (last) {
        drop_kept(fs, handle);
        if (inode == NULL) {
            TAILQ_REMOVE(&fs->special, handle, link);
        } else {
            TAILQ_REMOVE(&inode->handles, handle, link);
            if (TAILQ_EMPTY(&inode->handles))
                drop_last_content(fs, inode);
        }
    }
    unlock(fs);
    if (!last)
        return;
    inode_unref(&fs->inodes, inode);
    free(handle);
}

bool handle_reads(const struct handle *handle)
{
    return (handle->flags & O_ACCMODE) != O_WRONLY;
}

bool handle_writes(const struct handle *handle)
{
    return (handle->flags & O_ACCMODE) != O_RDONLY;
}

/* ---- staged truncation ---- */

void handle_stage(struct fs *fs, struct handle *handle, enum handle_stage stage,
                  unsigned flushes)
{
    lock(fs);
    handle->stage = stage;
    handle->flushes_left = flushes;
    handle->staged_ns = clock_now_ns();
    handle->inode->staged_ns = handle->staged_ns;
    unlock(fs);
}

bool handle_stage_joins(struct fs *fs, struct handle *handle)
{
    bool joins;

    lock(fs);
    joins = handle->stage != STAGE_NONE;
    unlock(fs);
    return joins;
}

void handle_stage_ended(struct fs *fs, struct handle *handle, bool joined,
                        int status)
{
    lock(fs);
    if (status == 0)
        handle->stage = STAGE_NONE;
    else if (joined)
        handle->stage = STAGE_JOIN;
    else if (handle->stage == STAGE_RUNNING)
        handle->stage = STAGE_DUE;
    unlock(fs);
}

bool handle_stage_flushed(struct fs *fs, struct handle *handle)
{
    bool due = false;

    lock(fs);
    if (handle->stage == STAGE_DUE) {
        if (handle->flushes_left > 0)
            handle->flushes_left--;
        due = handle->flushes_left == 0;
    }
    unlock(fs);
    return due;
}

struct handle *handle_stage_due(struct fs *fs, struct handle *handle,
                                struct inode *inode, bool others)
{
    const uint64_t now = clock_now_ns();
    struct handle *due = NULL;
    struct handle *h;

    lock(fs);
    TAILQ_FOREACH (h, &inode->handles, link) {
        if (h->stage != STAGE_DUE)
            continue;
        if (h == handle || (others && now - h->staged_ns > STAGE_GRACE_NS))
            due = h;
    }
    if (due != NULL) {
        due->stage = STAGE_RUNNING;
        due->ref_count++;
    }
    unlock(fs);
    return due;
}

bool handle_stage_begin(struct fs *fs, struct handle *handle)
{
    bool due;

    lock(fs);
    due = handle->stage == STAGE_DUE;
    if (due)
        handle->stage = STAGE_RUNNING;
    unlock(fs);
    return due;
}

bool handle_stage_recent(struct fs *fs, uint64_t id)
{
    struct inode *inode = inode_get(&fs->inodes, id);
    struct handle *h;
    bool recent;

    lock(fs);
    recent =
        inode->staged_ns != 0 && clock_now_ns() - inode->staged_ns < RECENT_NS;
    TAILQ_FOREACH (h, &inode->handles, link)
        recent = recent || h->stage != STAGE_NONE;
    unlock(fs);
    inode_unref(&fs->inodes, inode);
    return recent;
}

bool handle_stage_shows(struct fs *fs, struct inode *inode, pid_t pid)
{
    bool shows = false;
    struct handle *h;

    lock(fs);
    TAILQ_FOREACH (h, &inode->handles, link)
        shows = shows || (h->stage != STAGE_NONE && h->pid == pid);
    unlock(fs);
    return shows;
}

/* ---- kept content ---- */

void handle_keep(struct fs *fs, struct handle *handle, struct buf *data,
                 const struct attr *attr, unsigned write_count)
{
    const size_t size = data == NULL ? 0 : data->size;

    lock(fs);
    drop_kept(fs, handle);
    handle->size_seen = attr->size;
    handle->kept_version = attr->version;
    handle->kept_reach = 0;
    handle->kept_ended = false;
    if (data != NULL && attr->size == size &&
        handle->inode->write_count == write_count &&
        fs->kept_size + size <= KEPT_SIZE_MAX) {
        handle->kept = buf_ref(data);
        fs->kept_size += size;
    }
    unlock(fs);
}

void handle_reached(struct fs *fs, struct handle *handle, uint64_t offset)
{
    lock(fs);
    if (handle->kept_reach < offset)
        handle->kept_reach = offset;
    unlock(fs);
}

struct buf *handle_kept(struct fs *fs, struct handle *handle, uint64_t offset,
                        size_t size)
{
    struct buf *kept = NULL;

    lock(fs);
    if (handle->kept != NULL && offset > 0 && offset <= handle->kept_reach &&
        !(handle->kept_ended && offset >= handle->kept->size)) {
        kept = buf_ref(handle->kept);
        handle->kept_ended = handle->kept_ended || offset >= handle->kept->size;
        if (handle->kept_reach < offset + size)
            handle->kept_reach = offset + size;
    }
    unlock(fs);
    return kept;
}

bool handle_is_small(struct fs *fs, struct handle *handle)
{
    bool small;

    lock(fs);
    small = handle->size_seen <= WRITE_SIZE_MAX &&
            fs->kept_size + handle->size_seen <= KEPT_SIZE_MAX;
    unlock(fs);
    return small;
}

struct buf *handle_left(struct fs *fs, struct handle *handle, uint64_t offset)
{
    struct inode *inode = handle->inode;
    struct buf *left;

    lock(fs);
    left = inode->last_content;
    if (offset > 0 && handle->kept != NULL)
        left = handle->kept;
    /* Replaced on another node between OPEN and the first READ: what OPEN saw.
     * Later than that it might be older than what was written since. */
    else if (left == NULL && handle->kept_reach == 0)
        left = handle->kept;
    left = buf_ref(left);
    unlock(fs);
    return left;
}

void handle_saw_version(struct fs *fs, struct handle *handle,
                        const struct attr *attr)
{
    lock(fs);
    handle->size_seen = attr->size;
    if (handle->kept_version != attr->version)
        drop_kept(fs, handle);
    unlock(fs);
}

void handle_content_changed(struct fs *fs, struct inode *inode)
{
    struct handle *h;

    lock(fs);
    inode->write_count++;
    TAILQ_FOREACH (h, &inode->handles, link)
        drop_kept(fs, h);
    unlock(fs);
}

bool handle_readers(struct fs *fs, struct inode *inode)
{
    bool readers = false;
    struct handle *h;

    lock(fs);
    TAILQ_FOREACH (h, &inode->handles, link)
        readers = readers || handle_reads(h);
    unlock(fs);
    return readers;
}

void handle_keep_last(struct fs *fs, struct inode *inode, struct buf *data)
{
    lock(fs);
    drop_last_content(fs, inode);
    if (!TAILQ_EMPTY(&inode->handles) &&
        fs->kept_size + data->size <= KEPT_SIZE_MAX) {
        inode->last_content = buf_ref(data);
        fs->kept_size += data->size;
    }
    unlock(fs);
}
