/* SPDX-License-Identifier: Apache-2.0 */

/* Directories are listed page by page, by name, so that one of any size is
 * listed in bounded memory and names that are there all the time are shown
 * exactly once, whatever comes and goes meanwhile.
 *
 * Offsets: 1 is behind ".", 2 behind "..", 2 + k behind the k-th name of this
 * descriptor's listing. The kernel usually asks from the middle of what it got
 * last, so the page is kept; other offsets are found through dirpos. */

#include "fs/ops.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/dirpos.h"
#include "fs/special.h"

enum {
    PAGE_SIZE = 64 * 1024,
    OFFSET_DOTS = 2, /* "." and ".." */
};

struct dir {
    uint64_t id;
    uint64_t parent_id;
    pthread_mutex_t lock; /* guards what follows; READDIRs can overlap */
    struct dirpos marks;
    struct buf *page; /* names behind the first_position-th, or NULL */
    uint64_t first_position;
    size_t count; /* names in the page */
    bool at_end;  /* nothing comes behind the page */
};

static struct dir *op_dir(const struct fuse_file_info *file)
{
    return (struct dir *)(uintptr_t)file->fh;
}

void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file)
{
    struct dir *dir = mem_zalloc(sizeof *dir);
    const uint64_t parent = inode_parent(&op_fs(req)->inodes, id);

    dir->id = id;
    if (special_is(id))
        dir->parent_id = special_parent(id);
    else
        dir->parent_id =
            parent == 0 ? INODE_ID_ROOT : inode_id_of_ino(ino_of_nsid(parent));
    dirpos_init(&dir->marks);
    (void)pthread_mutex_init(&dir->lock, NULL); /* Cannot fail on Linux. */
    file->fh = (uintptr_t)dir;
    if (fuse_reply_open(req, file) != 0)
        op_releasedir(NULL, id, file); /* Interrupted: none will come. */
}

void op_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file)
{
    struct dir *dir = op_dir(file);

    (void)id;
    dirpos_release(&dir->marks);
    buf_unref(dir->page);
    (void)pthread_mutex_destroy(&dir->lock);
    free(dir);
    if (req != NULL)
        (void)fuse_reply_err(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t id, int data_only,
                 struct fuse_file_info *file)
{
    (void)id;
    (void)data_only;
    (void)file;
    (void)fuse_reply_err(req, 0); /* All names are on a majority's disks. */
}

/* ---- one READDIR's answer ---- */

struct answer {
    fuse_req_t req;
    char *bytes;
    size_t size;
    size_t used;
};

/* False when it is full. */
static bool answer_add(struct answer *answer, const char *name, uint64_t id,
                       mode_t mode, uint64_t offset)
{
    const struct stat st = {.st_ino = id, .st_mode = mode};
    const size_t size = fuse_add_direntry(
        answer->req, answer->bytes + answer->used, answer->size - answer->used,
        name, &st, (off_t)offset);

    if (size > answer->size - answer->used)
        return false;
    answer->used += size;
    return true;
}

/* The dots that lie behind `offset`; false when the answer is full. */
static bool add_dots(struct answer *answer, const struct dir *dir,
                     uint64_t offset)
{
    if (offset == 0 && !answer_add(answer, ".", dir->id, S_IFDIR, 1))
        return false;
    return offset > 1 || answer_add(answer, "..", dir->parent_id, S_IFDIR, 2);
}

static void add_special(struct answer *answer, const struct dir *dir,
                        uint64_t position)
{
    struct special_names names = {.dir = dir->id, .list = dir->page};

    for (uint64_t at = 1; special_next(&names); at++)
        if (at > position && !answer_add(answer, names.name, names.stat.st_ino,
                                         names.stat.st_mode, OFFSET_DOTS + at))
            return;
}

/* The page's names behind the position-th. */
static void add_page(struct answer *answer, const struct dir *dir,
                     uint64_t position)
{
    uint64_t at = dir->first_position;
    struct dirent_view entry;
    size_t cursor = 0;

    while (dirent_next(dir->page, &cursor, &entry)) {
        at++;
        if (at > position &&
            !answer_add(answer, entry.name, inode_id_of_ino(entry.ino),
                        entry.mode, OFFSET_DOTS + at))
            return;
    }
}

/* ---- pages ---- */

/* A seek counts names from a mark. When names there have vanished since, the
 * count would pass over names that were not shown yet. Those behind `bound`,
 * the mark behind the position, were not: they are numbered from `position`
 * on at least. Returns the page's first position. */
static uint64_t rebase(uint64_t first_position, const struct buf *page,
                       const char *bound, uint64_t position)
{
    uint64_t end = first_position; /* of the names up to the bound */
    struct dirent_view entry;
    size_t cursor = 0;
    bool passed = false;

    while (!passed && dirent_next(page, &cursor, &entry)) {
        passed = strcmp(entry.name, bound) > 0;
        end += !passed;
    }
    return passed && end < position ? first_position + (position - end)
                                    : first_position;
}

/* Counts the page's names and marks its end. Marks behind its beginning are
 * of an earlier count. */
static void page_install(struct dir *dir, uint64_t first_position,
                         struct buf *page, bool at_end)
{
    char last[NAME_SIZE_MAX + 1] = "";
    struct dirent_view entry;
    size_t cursor = 0;

    buf_unref(dir->page);
    dir->page = page;
    dir->first_position = first_position;
    dir->count = 0;
    while (dirent_next(page, &cursor, &entry)) {
        dir->count++;
        memcpy(last, entry.name, strlen(entry.name) + 1);
    }
    dir->at_end = at_end || dir->count == 0;
    dirpos_cut(&dir->marks, first_position);
    if (dir->count > 0)
        dirpos_note(&dir->marks, first_position + dir->count, last);
}

/* The last name of the page, where the next one begins. */
static void page_last(const struct dir *dir, char *ret_name)
{
    struct dirent_view entry;
    size_t cursor = 0;

    while (dirent_next(dir->page, &cursor, &entry))
        memcpy(ret_name, entry.name, strlen(entry.name) + 1);
}

static bool page_has(const struct dir *dir, uint64_t position)
{
    const uint64_t end = dir->first_position + dir->count;

    if (dir->page == NULL || position < dir->first_position)
        return false;
    return position < end || (dir->at_end && position >= end);
}

/* Where to list from to get nearer to `position`: behind this page, or behind
 * the mark before, whichever is nearer. */
static void next_page(struct op *op, const struct dir *dir, uint64_t position)
{
    const struct dirpos_mark mark = dirpos_before(&dir->marks, position);
    const struct dirpos_mark *bound = dirpos_behind(&dir->marks, position);
    const uint64_t end = dir->first_position + dir->count;

    if (dir->page != NULL && end <= position && end >= mark.position) {
        op->offset = end;
        page_last(dir, op->from.name);
    } else {
        op->offset = mark.position;
        memcpy(op->from.name, mark.name, strlen(mark.name) + 1);
    }
    if (bound != NULL && op->to.name[0] == '\0')
        memcpy(op->to.name, bound->name, strlen(bound->name) + 1);
}

/* How many names lie before the offset that the kernel asks for. */
static uint64_t position_of(const struct op *op)
{
    return op->position < OFFSET_DOTS ? 0 : op->position - OFFSET_DOTS;
}

static void page_done(struct op *op, int status);
static void special_page_done(struct op *op, int status);

static void answer_send(struct op *op, struct answer *answer)
{
    op_no_more_interrupts(op);
    (void)fuse_reply_buf(op->req, answer->bytes, answer->used);
    free(answer->bytes);
    op_end(op);
}

/* In /.cluster only numbers are asked for; all of them are one page. */
static bool is_ready(const struct dir *dir, uint64_t position)
{
    enum engine_table table;

    if (!special_is(dir->id))
        return page_has(dir, position);
    return dir->page != NULL || !special_lists(dir->id, &table);
}

static void add_all(struct answer *answer, const struct dir *dir,
                    uint64_t offset, uint64_t position)
{
    if (!add_dots(answer, dir, offset))
        return;
    if (special_is(dir->id))
        add_special(answer, dir, position);
    else
        add_page(answer, dir, position);
}

static void ask(struct op *op, uint64_t id)
{
    if (special_is(id)) {
        (void)special_lists(id, &op->request.table);
        op_submit(op, REQUEST_RENDER, special_page_done);
        return;
    }
    op->request.dir = inode_nsid(id);
    op->request.name = op->from.name;
    op->request.offset = 0;
    op->request.size = PAGE_SIZE;
    op_submit(op, REQUEST_READDIR, page_done);
}

static void list(struct op *op)
{
    struct dir *dir = op_dir(&op->file);
    const uint64_t position = position_of(op);
    struct answer answer = {.req = op->req, .size = op->size};
    bool ready;

    pthread_mutex_lock(&dir->lock);
    ready = is_ready(dir, position);
    if (ready) {
        answer.bytes = mem_zalloc(op->size);
        add_all(&answer, dir, op->position, position);
    } else if (!special_is(dir->id)) {
        next_page(op, dir, position);
    }
    pthread_mutex_unlock(&dir->lock);

    if (ready)
        answer_send(op, &answer);
    else
        ask(op, dir->id);
}

/* An empty page that is not the last. */
static bool goes_on(const struct op *op, const struct buf *page)
{
    return page->size == 0 && !op->request.at_end;
}

static void list_on(struct op *op)
{
    const char *next = op->request.ret_next;

    memcpy(op->from.name, next, strlen(next) + 1);
    op->request.name = op->from.name;
    op->request.offset = 1;
    op_submit(op, REQUEST_READDIR, page_done);
}

static void page_done(struct op *op, int status)
{
    struct dir *dir = op_dir(&op->file);
    struct buf *page;
    uint64_t first;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    page = op_take_data(op);
    if (goes_on(op, page)) {
        buf_unref(page);
        list_on(op);
        return;
    }
    first = op->offset;
    if (op->to.name[0] != '\0')
        first = rebase(first, page, op->to.name, position_of(op));
    pthread_mutex_lock(&dir->lock);
    page_install(dir, first, page, op->request.at_end);
    pthread_mutex_unlock(&dir->lock);
    list(op);
}

static void special_page_done(struct op *op, int status)
{
    struct dir *dir = op_dir(&op->file);

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    pthread_mutex_lock(&dir->lock);
    buf_unref(dir->page);
    dir->page = op_take_data(op);
    pthread_mutex_unlock(&dir->lock);
    list(op);
}

void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                struct fuse_file_info *file)
{
    struct dir *dir = op_dir(file);
    struct op *op = op_new(req);

    (void)id;
    op->file = *file;
    op->size = size;
    op->position = (uint64_t)offset;
    if (offset == 0) {
        pthread_mutex_lock(&dir->lock);
        dirpos_clear(&dir->marks);
        buf_unref(dir->page);
        dir->page = NULL;
        pthread_mutex_unlock(&dir->lock);
    }
    list(op);
}
