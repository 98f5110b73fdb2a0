/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/special.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fs/events.h"

#define SPECIAL_NAME ".cluster"

/* What was in files that not everybody could read is for root alone. */
enum { READ_ONLY = 0444, CONTROL = 0644, SECRET = 0400, SECRET_CONTROL = 0600 };

struct special_file {
    const char *name;
    enum engine_table table;
    mode_t mode;
};

/* clang-format off */
static const struct special_file cluster_files[] = {
    {"version", TABLE_VERSION, READ_ONLY},
    {"health",  TABLE_HEALTH,  READ_ONLY},
    {"nodes",   TABLE_NODES,   READ_ONLY},
    {"regions", TABLE_REGIONS, READ_ONLY},
    {"leaders", TABLE_LEADERS, READ_ONLY},
    {"lag",     TABLE_LAG,     READ_ONLY},
    {"log",     TABLE_LOG,     READ_ONLY},
    {"events",  TABLE_EVENTS,  READ_ONLY},
    {"metrics", TABLE_METRICS, READ_ONLY},
    {"check",   TABLE_CHECK,   CONTROL},
    {"operators", TABLE_OPERATORS, READ_ONLY},
    {"modes",   TABLE_MODES,   READ_ONLY},
    {"eventual", TABLE_EVENTUAL, READ_ONLY},
};

static const struct special_file region_files[] = {
    {"range",    TABLE_REGION_RANGE,    READ_ONLY},
    {"leader",   TABLE_REGION_LEADER,   READ_ONLY},
    {"term",     TABLE_REGION_TERM,     READ_ONLY},
    {"epoch",    TABLE_REGION_EPOCH,    READ_ONLY},
    {"peers",    TABLE_REGION_PEERS,    READ_ONLY},
    {"learners", TABLE_REGION_LEARNERS, READ_ONLY},
    {"size",     TABLE_REGION_SIZE,     READ_ONLY},
    {"keys",     TABLE_REGION_KEYS,     READ_ONLY},
    {"lag",      TABLE_REGION_LAG,      READ_ONLY},
    {"log",      TABLE_REGION_LOG,      READ_ONLY},
    {"state",    TABLE_REGION_STATE,    READ_ONLY},
    {"transfer", TABLE_REGION_TRANSFER, CONTROL},
    {"split",    TABLE_REGION_SPLIT,    CONTROL},
    {"merge",    TABLE_REGION_MERGE,    CONTROL},
    {"move",     TABLE_REGION_MOVE,     CONTROL},
    {"operator", TABLE_REGION_OPERATOR, CONTROL},
};

static const struct special_file node_files[] = {
    {"address", TABLE_NODE_ADDRESS, READ_ONLY},
    {"state",   TABLE_NODE_STATE,   READ_ONLY},
    {"stats",   TABLE_NODE_STATS,   READ_ONLY},
    {"drain",   TABLE_NODE_DRAIN,   CONTROL},
    {"remove",  TABLE_NODE_REMOVE,  CONTROL},
};

/* The first one can be had of each, whatever the others are like. */
static const struct special_file quarantine_files[] = {
    {"drop",    TABLE_QUARANTINE_DROP,    SECRET_CONTROL},
    {"path",    TABLE_QUARANTINE_PATH,    SECRET},
    {"about",   TABLE_QUARANTINE_ABOUT,   SECRET},
    {"content", TABLE_QUARANTINE_CONTENT, SECRET},
};

static const struct special_file setting_files[] = {
    {"replicas",    TABLE_SETTING_REPLICAS,    CONTROL},
    {"region_size", TABLE_SETTING_REGION_SIZE, CONTROL},
    {"down_after",  TABLE_SETTING_DOWN_AFTER,  CONTROL},
    {"balance",     TABLE_SETTING_BALANCE,     CONTROL},
    {"operators",   TABLE_SETTING_OPERATORS,   CONTROL},
    {"auto_merge",  TABLE_SETTING_AUTO_MERGE,  CONTROL},
};

/* What is in a directory: files, or a directory with these files for each
 * number in the table `list`. */
static const struct special_dir {
    const char *name; /* in /.cluster */
    enum engine_table list; /* TABLES: none */
    const struct special_file *files;
    size_t file_count;
} dirs[] = {
    {"",       TABLES,           cluster_files, ARRAY_SIZE(cluster_files)},
    {"region", TABLE_REGION_IDS, region_files,  ARRAY_SIZE(region_files)},
    {"node",   TABLE_NODE_IDS,   node_files,    ARRAY_SIZE(node_files)},
    {"settings", TABLES, setting_files, ARRAY_SIZE(setting_files)},
    {"quarantine", TABLE_QUARANTINE_IDS, quarantine_files, ARRAY_SIZE(quarantine_files)},
};
/* clang-format on */

/* ---- numbers ----
 *
 *   24 bits  31 bits                        3 bits        6 bits
 *   ones     0, or 1 + the object's number  row of dirs   0, or 1 + row of its
 *                                                         files
 */
enum { FILE_BITS = 6, DIR_BITS = 3, SLOT_BITS = 31 };

#define SPECIAL_ID_MIN (~UINT64_C(0) << (FILE_BITS + DIR_BITS + SLOT_BITS))
#define OBJECT_MAX ((UINT64_C(1) << SLOT_BITS) - 2)

static_assert(ARRAY_SIZE(cluster_files) < 1 << FILE_BITS, "files");
static_assert(ARRAY_SIZE(region_files) < 1 << FILE_BITS, "files");
static_assert(ARRAY_SIZE(node_files) < 1 << FILE_BITS, "files");
static_assert(ARRAY_SIZE(quarantine_files) < 1 << FILE_BITS, "files");
static_assert(ARRAY_SIZE(dirs) <= 1 << DIR_BITS, "directories");

static uint64_t id_of(size_t dir, uint64_t slot, size_t file)
{
    return SPECIAL_ID_MIN | slot << (FILE_BITS + DIR_BITS) |
           (uint64_t)dir << FILE_BITS | file;
}

static size_t dir_number(uint64_t id)
{
    return id >> FILE_BITS & ((1 << DIR_BITS) - 1);
}

static const struct special_dir *dir_of(uint64_t id)
{
    return &dirs[dir_number(id)];
}

static uint64_t slot_of(uint64_t id)
{
    return (id & ~SPECIAL_ID_MIN) >> (FILE_BITS + DIR_BITS);
}

static uint64_t object_of(uint64_t id)
{
    return slot_of(id) == 0 ? 0 : slot_of(id) - 1;
}

static bool is_dir(uint64_t id)
{
    return id % (1 << FILE_BITS) == 0;
}

static const struct special_file *file_of(uint64_t id)
{
    assert(!is_dir(id));
    return &dir_of(id)->files[id % (1 << FILE_BITS) - 1];
}

static bool is_control(uint64_t id)
{
    return !is_dir(id) && (file_of(id)->mode & S_IWUSR) != 0;
}

/* Of a directory: its names are numbers. */
static bool has_objects(uint64_t dir)
{
    return dir_of(dir)->list != TABLES && slot_of(dir) == 0;
}

bool special_is(uint64_t id)
{
    return id >= SPECIAL_ID_MIN;
}

bool special_has(uint64_t dir, const char *name)
{
    return special_is(dir) ||
           (dir == INODE_ID_ROOT && strcmp(name, SPECIAL_NAME) == 0);
}

/* ---- names ---- */

uint64_t special_parent(uint64_t dir)
{
    if (dir == id_of(0, 0, 0))
        return INODE_ID_ROOT;
    return slot_of(dir) == 0 ? id_of(0, 0, 0) : id_of(dir_number(dir), 0, 0);
}

bool special_lists(uint64_t dir, enum engine_table *ret_table)
{
    *ret_table = dir_of(dir)->list;
    return has_objects(dir);
}

/* A number as it is listed: no sign, no zeros in front. False: it is none. */
static bool parse_object(const char *name, uint64_t *ret_object)
{
    uint64_t object = 0;
    size_t i;

    for (i = 0; name[i] >= '0' && name[i] <= '9' && object <= OBJECT_MAX; i++)
        object = object * 10 + (uint64_t)(name[i] - '0');
    if (i == 0 || name[i] != '\0' || object > OBJECT_MAX ||
        (name[0] == '0' && i > 1))
        return false;
    *ret_object = object;
    return true;
}

static bool find(uint64_t dir, const char *name, uint64_t *ret_id)
{
    const struct special_dir *files = dir_of(dir);
    uint64_t object;

    if (has_objects(dir)) {
        if (!parse_object(name, &object))
            return false;
        *ret_id = id_of(dir_number(dir), object + 1, 0);
        return true;
    }
    for (size_t i = 0; i < files->file_count; i++)
        if (strcmp(files->files[i].name, name) == 0) {
            *ret_id = id_of(dir_number(dir), slot_of(dir), i + 1);
            return true;
        }
    for (size_t i = 1; dir_number(dir) == 0 && i < ARRAY_SIZE(dirs); i++)
        if (strcmp(dirs[i].name, name) == 0) {
            *ret_id = id_of(i, 0, 0);
            return true;
        }
    return false;
}

static void set_name(struct special_names *names, const char *name, uint64_t id)
{
    (void)snprintf(names->name, sizeof names->name, "%s", name);
    names->stat =
        (struct stat){.st_ino = id, .st_mode = is_dir(id) ? S_IFDIR : S_IFREG};
}

/* Greater numbers than fit are not listed. */
static bool next_object(struct special_names *names)
{
    uint64_t object = 0;
    char name[24];

    if (names->position >= names->list->size)
        return false;
    for (; names->list->data[names->position] != '\n'; names->position++)
        object = object * 10 + names->list->data[names->position] - '0';
    if (object > OBJECT_MAX)
        return false;
    names->position++;
    (void)snprintf(name, sizeof name, "%" PRIu64, object);
    set_name(names, name, id_of(dir_number(names->dir), object + 1, 0));
    return true;
}

bool special_next(struct special_names *names)
{
    const struct special_dir *dir = dir_of(names->dir);
    size_t i = names->position;

    if (has_objects(names->dir))
        return next_object(names);
    names->position++;
    if (i < dir->file_count) {
        set_name(names, dir->files[i].name,
                 id_of(dir_number(names->dir), slot_of(names->dir), i + 1));
        return true;
    }
    i = i - dir->file_count + 1;
    if (dir_number(names->dir) != 0 || i >= ARRAY_SIZE(dirs))
        return false;
    set_name(names, dirs[i].name, id_of(i, 0, 0));
    return true;
}

/* ---- attributes ---- */

static void stat_of(uint64_t id, size_t size, struct stat *ret_stat)
{
    *ret_stat = (struct stat){
        .st_ino = id,
        .st_mode = is_dir(id) ? S_IFDIR | 0555 : S_IFREG | file_of(id)->mode,
        .st_nlink = 1,
        .st_size = (off_t)size,
        .st_blksize = FS_BLOCK_SIZE,
        .st_blocks = (blkcnt_t)((size + 511) / 512),
    };
    (void)clock_gettime(CLOCK_REALTIME, &ret_stat->st_mtim); /* Cannot fail. */
    ret_stat->st_atim = ret_stat->st_mtim;
    ret_stat->st_ctim = ret_stat->st_mtim;
}

/* Renders the file `id`, or for an object's directory one of its files, and
 * goes on with `done`. */
static void render(struct op *op, uint64_t id, op_done *done)
{
    op->offset = id;
    op->request.table =
        is_dir(id) ? dir_of(id)->files[0].table : file_of(id)->table;
    op->request.object = object_of(id);
    if (op->request.table == TABLE_EVENTS)
        events_begin(op, done);
    else
        op_submit(op, REQUEST_RENDER, done);
}

static size_t shown_size(const struct op *op, const struct buf *text)
{
    if (is_dir(op->offset))
        return 0;
    return op->request.kind == REQUEST_EVENTS ? op->request.attr.size
                                              : text->size;
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
    reply_entry(op->req, op->offset, shown_size(op, text));
    buf_unref(text);
    op_end(op);
}

void special_lookup(fuse_req_t req, uint64_t dir, const char *name)
{
    uint64_t id = id_of(0, 0, 0);

    if (dir != INODE_ID_ROOT && !find(dir, name, &id))
        (void)fuse_reply_err(req, ENOENT); /* An interrupted caller is gone. */
    else if (is_dir(id) && slot_of(id) == 0)
        reply_entry(req, id, 0);
    else
        render(op_new(req), id, lookup_done);
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
    reply_attr(op->req, op->offset, shown_size(op, text));
    buf_unref(text);
    op_end(op);
}

void special_getattr(fuse_req_t req, uint64_t id, const struct handle *handle)
{
    if (is_dir(id))
        reply_attr(req, id, 0);
    else if (handle != NULL)
        reply_attr(req, id, events_size(op_fs(req), handle));
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
    handle->event_next = op->request.ret_offset;
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

void special_read(fuse_req_t req, uint64_t id, size_t size, uint64_t offset,
                  const struct fuse_file_info *file)
{
    struct handle *handle = (struct handle *)(uintptr_t)file->fh;
    struct op *op = op_new(req);

    op->file = *file;
    op->offset = offset;
    op->size = size;
    op->handle = handle_ref(op->fs, handle);
    if (file_of(id)->table == TABLE_EVENTS)
        events_read(op);
    else
        op_reply_part(op, handle->kept, offset, size);
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
    op->request.table = file_of(id)->table;
    op->request.object = object_of(id);
    op->request.data = buf_copy(data, size);
    op_submit(op, REQUEST_CONTROL, write_done);
}
