/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/special.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#define SPECIAL_NAME ".cluster"
#define SPECIAL_ID_DIR UINT64_C(0xffffffffffffff00)
#define SPECIAL_ID_FILE (SPECIAL_ID_DIR + 1) /* of the first row below */

enum { READ_ONLY = 0444, CONTROL = 0644 };

static const struct special {
    const char *name;
    enum engine_table table;
    mode_t mode;
} specials[] = {
    /* clang-format off */
    {"version", TABLE_VERSION, READ_ONLY},
    {"health",  TABLE_HEALTH,  READ_ONLY},
    {"nodes",   TABLE_NODES,   READ_ONLY},
    {"regions", TABLE_REGIONS, READ_ONLY},
    {"leaders", TABLE_LEADERS, READ_ONLY},
    {"lag",     TABLE_LAG,     READ_ONLY},
    {"log",     TABLE_LOG,     READ_ONLY},
    {"metrics", TABLE_METRICS, READ_ONLY},
    {"check",   TABLE_CHECK,   CONTROL},
    /* clang-format on */
};

static_assert(ARRAY_SIZE(specials) == TABLES, "a row for each table");

bool special_is(uint64_t id)
{
    return id >= SPECIAL_ID_DIR;
}

bool special_has(uint64_t dir, const char *name)
{
    return special_is(dir) ||
           (dir == INODE_ID_ROOT && strcmp(name, SPECIAL_NAME) == 0);
}

static const struct special *special_of(uint64_t id)
{
    return id == SPECIAL_ID_DIR ? NULL : &specials[id - SPECIAL_ID_FILE];
}

static bool is_control(uint64_t id)
{
    return id != SPECIAL_ID_DIR && special_of(id)->mode == CONTROL;
}

static void stat_of(uint64_t id, size_t size, struct stat *ret_stat)
{
    const bool is_dir = id == SPECIAL_ID_DIR;

    *ret_stat = (struct stat){
        .st_ino = id,
        .st_mode = is_dir ? S_IFDIR | 0555 : S_IFREG | special_of(id)->mode,
        .st_nlink = 1,
        .st_size = (off_t)size,
        .st_blksize = FS_BLOCK_SIZE,
        .st_blocks = (blkcnt_t)((size + 511) / 512),
    };
    (void)clock_gettime(CLOCK_REALTIME, &ret_stat->st_mtim); /* Cannot fail. */
    ret_stat->st_atim = ret_stat->st_mtim;
    ret_stat->st_ctim = ret_stat->st_mtim;
}

void special_stat_dir(struct stat *ret_stat)
{
    stat_of(SPECIAL_ID_DIR, 0, ret_stat);
}

const char *special_name(size_t index, struct stat *ret_stat)
{
    if (index >= ARRAY_SIZE(specials))
        return NULL;
    stat_of(SPECIAL_ID_FILE + index, 0, ret_stat);
    return specials[index].name;
}

/* Renders the file `id` and goes on with `done`. */
static void render(struct op *op, uint64_t id, op_done *done)
{
    op->offset = id;
    op->request.table = special_of(id)->table;
    op_submit(op, REQUEST_RENDER, done);
}

static void reply_entry(fuse_req_t req, uint64_t id, size_t size)
{
    struct fuse_entry_param entry = {.ino = id};

    stat_of(id, size, &entry.attr);
    (void)fuse_reply_entry(req, &entry); /* Not counted: never freed. */
}

static void lookup_done(struct op *op, int status)
{
    struct buf *text;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    text = op_take_data(op);
    op_no_more_interrupts(op);
    reply_entry(op->req, op->offset, text->size);
    buf_unref(text);
    op_end(op);
}

void special_lookup(fuse_req_t req, uint64_t dir, const char *name)
{
    if (dir == INODE_ID_ROOT) {
        reply_entry(req, SPECIAL_ID_DIR, 0);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(specials); i++)
        if (strcmp(specials[i].name, name) == 0) {
            render(op_new(req), SPECIAL_ID_FILE + i, lookup_done);
            return;
        }
    (void)fuse_reply_err(req, ENOENT); /* An interrupted caller is gone. */
}

static void reply_attr(fuse_req_t req, uint64_t id, size_t size)
{
    struct stat st;

    stat_of(id, size, &st);
    (void)fuse_reply_attr(req, &st, 0); /* An interrupted caller is gone. */
}

static void getattr_done(struct op *op, int status)
{
    struct buf *text;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    text = op_take_data(op);
    op_no_more_interrupts(op);
    reply_attr(op->req, op->offset, text->size);
    buf_unref(text);
    op_end(op);
}

void special_getattr(fuse_req_t req, uint64_t id, const struct handle *handle)
{
    if (id == SPECIAL_ID_DIR)
        reply_attr(req, id, 0);
    else if (handle != NULL)
        reply_attr(req, id, handle->kept->size);
    else
        render(op_new(req), id, getattr_done);
}

static void open_done(struct op *op, int status)
{
    struct handle *handle;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    handle = handle_new(op->fs, NULL, op->file.flags, 0, 0);
    handle->kept = op_take_data(op);
    op->file.fh = (uintptr_t)handle;
    op->file.direct_io = 1;
    op->file.noflush = 1;
    op_no_more_interrupts(op);
    if (fuse_reply_open(op->req, &op->file) != 0)
        handle_unref(op->fs, handle); /* Interrupted: no RELEASE will come. */
    op_end(op);
}

void special_open(fuse_req_t req, uint64_t id,
                  const struct fuse_file_info *file)
{
    struct op *op;

    if (!is_control(id) && ((file->flags & O_ACCMODE) != O_RDONLY ||
                            (file->flags & O_TRUNC) != 0)) {
        (void)fuse_reply_err(req, EACCES); /* Also for root. */
        return;
    }
    op = op_new(req);
    op->file = *file;
    render(op, id, open_done);
}

/* ---- writing ---- */

/* There is nothing to truncate, but `>` asks for it. */
void special_setattr(fuse_req_t req, uint64_t id, int to_set)
{
    if (is_control(id) && (to_set & ~FUSE_SET_ATTR_CTIME &
                           ~FUSE_SET_ATTR_MTIME) == FUSE_SET_ATTR_SIZE)
        reply_attr(req, id, 0);
    else
        (void)fuse_reply_err(req, EPERM);
}

static void write_done(struct op *op, int status)
{
    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    op_no_more_interrupts(op);
    (void)fuse_reply_write(op->req, op->size);
    op_end(op);
}

void special_write(fuse_req_t req, uint64_t id, const char *data, size_t size)
{
    struct op *op = op_new(req);

    assert(is_control(id)); /* Nothing else can be opened for writing. */
    op->size = size;
    op->request.table = special_of(id)->table;
    op->request.data = buf_copy(data, size);
    op_submit(op, REQUEST_CONTROL, write_done);
}
