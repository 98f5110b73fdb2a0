/* SPDX-License-Identifier: Apache-2.0 */

/* An open file. Two things live here and nowhere else:
 *
 * The staged truncation. O_TRUNC and ftruncate(fd, 0) are not carried out but
 * noted, and joined with the first WRITE into one request, so that nobody
 * ever sees the empty value in between. Shells send a FLUSH before the WRITE
 * (dup2 closes the first descriptor), hence `flushes_left`.
 *
 *   NONE ──open(O_TRUNC), ftruncate(0)──> DUE ──WRITE went well──> NONE
 *                                        ^  ├──WRITE failed──────> JOIN
 *                                        │  └──> RUNNING (alone)
 *                                        └─failed──┴──went well──> NONE
 *   CREATE(O_TRUNC) made the file ──────> JOIN ──WRITE went well─> NONE
 *
 * DUE is carried out alone at the latest when the file is closed. JOIN only
 * ever together with a write: a failed `echo v > f` must not empty f.
 *
 * The kept content: what the READ at offset 0 (or OPEN) got, up to 1 MiB, so
 * that a reader who goes on from there sees one value. All kept contents
 * together are bounded; beyond that reads go through one by one.
 *
 * Guarded by the inode table's lock, except the constant fields. */

#ifndef GROVEFS_FS_HANDLE_H
#define GROVEFS_FS_HANDLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "fs/fs.h"

enum handle_stage { STAGE_NONE, STAGE_DUE, STAGE_RUNNING, STAGE_JOIN };

enum {
    KEPT_SIZE_MAX = 64 * 1024 * 1024, /* of all handles together */
    /* A truncation staged longer ago than this is not part of an `echo > f`
     * under way; a write through another handle has it carried out first. */
    STAGE_GRACE_NS = 100 * 1000 * 1000,
    /* The FLUSH by which a bare truncation is carried out. */
    FLUSHES_OF_OPEN = 2,
    FLUSHES_OF_FTRUNCATE = 1
};

struct handle {
    struct inode *inode; /* constant, a reference; NULL for special files */
    int flags;           /* constant: of open(2) */
    pid_t pid;           /* constant: who opened */
    bool kill_priv;      /* constant: the opener is not root */
    enum handle_stage stage;
    unsigned flushes_left;
    uint64_t staged_ns;
    struct buf *kept;      /* whole content, or NULL */
    uint64_t kept_version; /* of the entry */
    uint64_t kept_reach;   /* READs have come this far in it */
    bool kept_ended;       /* its end of file was shown */
    uint64_t kept_offset;  /* these two of events.c: where it begins */
    uint64_t event_next;   /* the number of the first event behind it */
    uint64_t size_seen;    /* of the value, when last told */
    unsigned ref_count;
    TAILQ_ENTRY(handle) link;
};

/* A handle with one reference, in its inode's list. `inode` is kept with a
 * reference of its own. */
struct handle *handle_new(struct fs *fs, struct inode *inode, int flags,
                          pid_t pid, uid_t uid);
struct handle *handle_ref(struct fs *fs, struct handle *handle);

/* The last reference frees. Takes NULL. */
void handle_unref(struct fs *fs, struct handle *handle);

/* Opened for reading, for writing. */
bool handle_reads(const struct handle *handle);
bool handle_writes(const struct handle *handle);

/* ---- staged truncation ---- */

void handle_stage(struct fs *fs, struct handle *handle, enum handle_stage stage,
                  unsigned flushes);

/* Is a truncation to be joined with a WRITE on this handle? */
bool handle_stage_joins(struct fs *fs, struct handle *handle);

/* A WRITE that joined, or the bare truncation, has ended. */
void handle_stage_ended(struct fs *fs, struct handle *handle, bool joined,
                        int status);

/* A FLUSH has come. True when the bare truncation is to be carried out. */
bool handle_stage_flushed(struct fs *fs, struct handle *handle);

/* A handle whose truncation is to be carried out alone before `handle` (may be
 * NULL) may read or write: its own, or with `others` one of another handle on
 * the same inode that is older than the grace. It is RUNNING now, and the
 * caller sees to it. Returns a reference or NULL. */
struct handle *handle_stage_due(struct fs *fs, struct handle *handle,
                                struct inode *inode, bool others);

/* Is the handle's own truncation still to be carried out? Then it is RUNNING
 * now, and the caller sees to it. */
bool handle_stage_begin(struct fs *fs, struct handle *handle);

/* Is a truncation of the inode staged, or was one in the last second? Then more
 * are to be expected. */
bool handle_stage_recent(struct fs *fs, uint64_t id);

/* Has this process opened the inode and its truncation is still staged? Then
 * fstat(2) shows it size 0. */
bool handle_stage_shows(struct fs *fs, struct inode *inode, pid_t pid);

/* ---- kept content ---- */

/* Keeps the whole value, when the budget allows and nobody here has written
 * to it in place since `write_count` was read from the inode. */
void handle_keep(struct fs *fs, struct handle *handle, struct buf *data,
                 const struct attr *attr, unsigned write_count);

/* A READ has shown the kept content up to `offset`. */
void handle_reached(struct fs *fs, struct handle *handle, uint64_t offset);

/* Content for a READ at `offset`, as a reference; NULL: ask the engine. */
struct buf *handle_kept(struct fs *fs, struct handle *handle, uint64_t offset,
                        size_t size);

/* Is the value, as last seen, small enough to be kept now? */
bool handle_is_small(struct fs *fs, struct handle *handle);

/* The engine has said that the file is gone: what is left to show, as a
 * reference, or NULL. */
struct buf *handle_left(struct fs *fs, struct handle *handle, uint64_t offset);

/* A READ brought another version than the kept one. */
void handle_saw_version(struct fs *fs, struct handle *handle,
                        const struct attr *attr);

/* The content was changed in place through this mount: what is kept of it is
 * dropped, so that every READ from now on sees the change. Not to be called
 * when the value was replaced (truncated and written): whoever is in the
 * middle of the old one reads that to its end, never a mixture. */
void handle_content_changed(struct fs *fs, struct inode *inode);

/* Is somebody reading the file, so that its content must outlive it? */
bool handle_readers(struct fs *fs, struct inode *inode);

/* The content of a file about to be removed, for those who have it open. */
void handle_keep_last(struct fs *fs, struct inode *inode, struct buf *data);

#endif
