/* SPDX-License-Identifier: Apache-2.0 */

/* Listing an eventual directory, in the order of the names that are shown:
 * those of directories from the catalog, those of files, and those of files
 * beside a directory of their name.
 *
 * The last kind lies behind the directory's name, with others in between: it
 * waits for its turn in `besides`. A page that begins in between looks for
 * those whose names begin what the page begins behind. A name that was cut may
 * also come before the directory's: all with the same beginning are looked for
 * when the first directory comes that may have it.
 *
 * An entry that cannot be read (eventual_damage.h) has its name in its key: it
 * is listed, as something of which nobody knows what it is. */

#include "engine/eventual_read.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "engine/catalog.h"
#include "engine/dirent.h"
#include "engine/keys.h"
#include "engine/read.h"

/* A file beside a directory of its name. */
struct beside {
    struct eventual_shown_name name;
    uint64_t ino;
    uint32_t mode;
    TAILQ_ENTRY(beside) link;
};

TAILQ_HEAD(besides, beside);

struct listing {
    struct kv *state;
    const struct kv_snapshot *snapshot;
    const struct command *command;
    struct dirent_writer writer;
    struct kv_iter *directories;
    struct kv_iter *files;
    struct eventual_record file; /* under the iterator; dir 0: none is left */
    struct besides besides;      /* in order */
    uint8_t cut[EVENTUAL_STEM_MAX]; /* looked for last */
    bool has_cut;
};

static const struct slice no_name = {NULL, 0};
static const uint64_t ino_unknown = UINT32_MAX; /* As libfuse has it. */

/* ---- files beside directories ---- */

static struct slice beside_name(const struct beside *beside)
{
    return (struct slice){beside->name.data, beside->name.size};
}

/* Whether a name belongs to what is asked for. */
static bool is_asked_for(const struct listing *l, struct slice name)
{
    int order = slice_compare(name, l->command->name);

    return l->command->offset != 0 ? order >= 0 : order > 0;
}

static void add_beside(struct listing *l, const struct eventual_record *record)
{
    struct beside *beside = mem_zalloc(sizeof *beside);
    struct beside *next = TAILQ_FIRST(&l->besides);

    beside->name = eventual_show_name(record);
    beside->ino = record->attr.ino;
    beside->mode = record->attr.mode;
    if (!is_asked_for(l, beside_name(beside))) {
        free(beside);
        return;
    }
    while (next != NULL &&
           slice_compare(beside_name(next), beside_name(beside)) < 0)
        next = TAILQ_NEXT(next, link);
    if (next != NULL)
        TAILQ_INSERT_BEFORE(next, beside, link);
    else
        TAILQ_INSERT_TAIL(&l->besides, beside, link);
}

static void drop_beside(struct listing *l)
{
    struct beside *beside = TAILQ_FIRST(&l->besides);

    TAILQ_REMOVE(&l->besides, beside, link);
    free(beside);
}

/* Adds the file of a name that a directory has. */
static int look_beside(struct listing *l, struct slice name)
{
    struct eventual_record record = {0};
    int rc = eventual_get_live(l->state, l->snapshot, l->command->dir, name,
                               false, &record);

    if (rc == 0)
        add_beside(l, &record);
    eventual_release(&record);
    return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT ? 0 : rc;
}

static struct slice directory_name(struct kv_iter *iter)
{
    struct slice name = no_name;
    uint64_t parent;

    (void)key_parse_directory_name(kv_iter_key(iter), &parent, &name);
    return name;
}

/* All whose names are cut to this stem. */
static int look_for_stem(struct listing *l, struct slice stem)
{
    struct key lower = key_directory_name(l->command->dir, stem);
    struct key upper = key_directory_name(l->command->dir + 1, no_name);
    struct kv_iter *iter = kv_iter_new(l->state, l->snapshot, key_slice(&lower),
                                       key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice name = directory_name(iter);

        if (name.size < stem.size ||
            memcmp(name.data, stem.data, stem.size) != 0)
            break;
        if (name.size > stem.size)
            rc = look_beside(l, name);
    }
    if (rc == 0 && !kv_iter_valid(iter))
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* Once for all names that begin like this one. */
static int look_for_cut(struct listing *l, struct slice name)
{
    const struct slice stem = {l->cut, sizeof l->cut};

    if (name.size < stem.size ||
        (l->has_cut && memcmp(l->cut, name.data, stem.size) == 0))
        return 0;
    memcpy(l->cut, name.data, stem.size);
    l->has_cut = true;
    return look_for_stem(l, stem);
}

/* Those of directories that come before this page, or the one that it begins
 * behind. */
static int look_before(struct listing *l)
{
    const struct command *c = l->command;
    size_t size_max = c->offset != 0 ? c->name.size - 1 : c->name.size;
    int rc = 0;

    for (size_t size = 1;
         rc == 0 && size <= size_max && size <= EVENTUAL_STEM_MAX; size++) {
        struct slice name = {c->name.data, size};
        uint64_t nsid;

        rc = catalog_find(l->state, l->snapshot, c->dir, name, &nsid);
        if (rc == 0)
            rc = look_beside(l, name);
        else if (rc == ERR_NOT_FOUND)
            rc = 0;
    }
    return rc == 0 ? look_for_cut(l, c->name) : rc;
}

/* ---- the three kinds in order ---- */

static int settle_directory(struct listing *l)
{
    if (!kv_iter_valid(l->directories))
        return kv_iter_status(l->directories, NULL);
    if (directory_name(l->directories).size == 0)
        return ERR_CORRUPT;
    return look_for_cut(l, directory_name(l->directories));
}

/* `*ret` borrows from the iterator where it cannot be read. */
static int read_file(const struct kv_iter *iter, struct eventual_record *ret)
{
    int rc = eventual_read_at(iter, ret);

    if (rc != ERR_CORRUPT)
        return rc;
    ret->attr = (struct attr){.ino = ino_unknown};
    return key_parse_user(kv_iter_key(iter), 'v', &ret->dir, &ret->name)
               ? 0
               : ERR_CORRUPT;
}

/* Passes over tombstones. */
static int settle_file(struct listing *l)
{
    eventual_release(&l->file);
    while (kv_iter_valid(l->files)) {
        int rc = read_file(l->files, &l->file);

        if (rc != 0)
            return rc;
        if (!l->file.removed)
            return 0;
        eventual_release(&l->file);
        kv_iter_next(l->files);
    }
    return kv_iter_status(l->files, NULL);
}

static int next_file(struct listing *l)
{
    kv_iter_next(l->files);
    return settle_file(l);
}

/* Its name is that of the file under the iterator, or of none. */
static int list_directory(struct listing *l, struct slice name)
{
    struct slice value = kv_iter_value(l->directories);
    int rc;

    if (value.size != KEY_NSID_SIZE)
        return ERR_CORRUPT;
    rc = dirent_append(&l->writer, name, ino_of_nsid(be64_get(value.data)),
                       S_IFDIR);
    if (rc != 0)
        return rc;
    if (l->file.dir != 0 && slice_equal(l->file.name, name)) {
        if (name.size <= EVENTUAL_STEM_MAX && l->file.attr.ino != ino_unknown)
            add_beside(l, &l->file);
        rc = next_file(l);
    }
    if (rc != 0)
        return rc;
    kv_iter_next(l->directories);
    return settle_directory(l);
}

static int list_file(struct listing *l)
{
    int rc = dirent_append(&l->writer, l->file.name, l->file.attr.ino,
                           l->file.attr.mode);

    return rc == 0 ? next_file(l) : rc;
}

static int list_beside(struct listing *l)
{
    const struct beside *beside = TAILQ_FIRST(&l->besides);
    int rc = dirent_append(&l->writer, beside_name(beside), beside->ino,
                           beside->mode);

    if (rc == 0)
        drop_beside(l);
    return rc;
}

/* Whether the first is there, and not behind the second. */
static bool is_first(struct slice name, struct slice other)
{
    return name.size > 0 &&
           (other.size == 0 || slice_compare(name, other) <= 0);
}

/* ERR_NOT_FOUND at the end, ERR_RANGE when the page is full. */
static int list_next(struct listing *l)
{
    struct beside *first = TAILQ_FIRST(&l->besides);
    struct slice beside = first != NULL ? beside_name(first) : no_name;
    struct slice file = l->file.name;
    struct slice directory = no_name;
    struct slice name;

    if (kv_iter_valid(l->directories))
        directory = directory_name(l->directories);
    name = is_first(directory, file) ? directory : file;
    if (first != NULL && !is_first(name, beside))
        return list_beside(l);
    if (first != NULL && slice_equal(name, beside))
        drop_beside(l); /* What really has the name hides it. */
    if (name.size == 0)
        return ERR_NOT_FOUND;
    return is_first(directory, file) ? list_directory(l, name) : list_file(l);
}

/* ---- a page ---- */

static void pass_over(struct kv_iter *iter, struct key begin, bool itself)
{
    kv_iter_seek(iter, key_slice(&begin));
    if (!itself && kv_iter_valid(iter) &&
        slice_equal(kv_iter_key(iter), key_slice(&begin)))
        kv_iter_next(iter);
}

static int begin(struct listing *l)
{
    const struct command *c = l->command;
    bool itself = c->offset != 0;
    struct key directory = key_directory_name(c->dir, c->name);
    struct key file = key_user('v', c->dir, c->name);
    struct key behind_directories = key_directory_name(c->dir + 1, no_name);
    struct key behind_files = key_behind_namespace('v', c->dir);
    int rc = 0;

    l->directories = kv_iter_new(l->state, l->snapshot, key_slice(&directory),
                                 key_slice(&behind_directories));
    l->files = kv_iter_new(l->state, l->snapshot, key_slice(&file),
                           key_slice(&behind_files));
    pass_over(l->directories, directory, itself);
    pass_over(l->files, file, itself);
    if (c->name.size > 0)
        rc = look_before(l);
    if (rc == 0)
        rc = settle_directory(l);
    return rc == 0 ? settle_file(l) : rc;
}

static void end(struct listing *l)
{
    while (TAILQ_FIRST(&l->besides) != NULL)
        drop_beside(l);
    eventual_release(&l->file);
    kv_iter_free(l->directories);
    kv_iter_free(l->files);
}

int eventual_list(struct kv *state, const struct kv_snapshot *snapshot,
                  const struct command *command, struct result *ret)
{
    uint64_t size = command->size;
    struct listing l = {
        .state = state, .snapshot = snapshot, .command = command};
    int rc;

    if (size > READDIR_SIZE_MAX)
        size = READDIR_SIZE_MAX;
    TAILQ_INIT(&l.besides);
    dirent_writer_init(&l.writer, (size_t)size);
    rc = begin(&l);
    while (rc == 0)
        rc = list_next(&l);
    ret->at_end = rc == ERR_NOT_FOUND;
    ret->data_buf = dirent_writer_finish(&l.writer);
    ret->data = buf_slice(ret->data_buf);
    end(&l);
    return rc == ERR_NOT_FOUND || rc == ERR_RANGE ? 0 : rc;
}
