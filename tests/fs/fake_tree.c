/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/fs/fake_tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int64_t fake_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- entries ---- */

void entry_changed(struct tree *tree, struct entry *entry)
{
    entry->attr.version = ++tree->version;
    entry->attr.mtime_ns = fake_now_ns();
    entry->attr.ctime_ns = entry->attr.mtime_ns;
}

struct entry *entry_new(struct tree *tree, const char *name, uint32_t mode)
{
    struct entry *entry = mem_zalloc(sizeof *entry);

    entry->name = mem_strdup(name);
    TAILQ_INIT(&entry->xattrs);
    entry->attr.mode = mode;
    if (S_ISDIR(mode)) {
        tree->dirs = mem_grow(tree->dirs, sizeof *tree->dirs, &tree->dirs_max,
                              tree->dir_count + 1);
        entry->attr.ino = ino_of_nsid(tree->dir_count);
        tree->dirs[tree->dir_count++] = entry;
    } else {
        entry->attr.ino = tree->ino_next++;
    }
    entry_changed(tree, entry);
    entry->attr.atime_ns = entry->attr.mtime_ns;
    return entry;
}

void entry_free(struct tree *tree, struct entry *entry)
{
    struct xattr *xattr;

    for (size_t i = 0; i < entry->count; i++)
        entry_free(tree, entry->entries[i]);
    while ((xattr = TAILQ_FIRST(&entry->xattrs)) != NULL) {
        TAILQ_REMOVE(&entry->xattrs, xattr, link);
        buf_unref(xattr->value);
        free(xattr->name);
        free(xattr);
    }
    if (S_ISDIR(entry->attr.mode))
        tree->dirs[nsid_of_ino(entry->attr.ino)] = NULL;
    free(entry->entries);
    free(entry->content);
    free(entry->name);
    free(entry);
}

/* Index of the first name not less than `name`. */
size_t entry_position(const struct entry *dir, const char *name)
{
    size_t low = 0;
    size_t high = dir->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (strcmp(dir->entries[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct entry *entry_find(const struct entry *dir, const char *name)
{
    const size_t at = entry_position(dir, name);

    if (at < dir->count && strcmp(dir->entries[at]->name, name) == 0)
        return dir->entries[at];
    return NULL;
}

void entry_insert(struct tree *tree, struct entry *dir, struct entry *entry)
{
    const size_t at = entry_position(dir, entry->name);

    dir->entries = mem_grow(dir->entries, sizeof *dir->entries, &dir->count_max,
                            dir->count + 1);
    memmove(dir->entries + at + 1, dir->entries + at,
            (dir->count - at) * sizeof *dir->entries);
    dir->entries[at] = entry;
    dir->count++;
    dir->attr.entry_count = (uint32_t)dir->count;
    entry->parent = dir;
    entry_changed(tree, dir);
}

void entry_take_out(struct tree *tree, struct entry *entry)
{
    struct entry *dir = entry->parent;
    const size_t at = entry_position(dir, entry->name);

    assert(dir->entries[at] == entry);
    memmove(dir->entries + at, dir->entries + at + 1,
            (dir->count - at - 1) * sizeof *dir->entries);
    dir->count--;
    dir->attr.entry_count = (uint32_t)dir->count;
    entry_changed(tree, dir);
}

struct entry *tree_dir(const struct tree *tree, uint64_t nsid)
{
    return nsid < tree->dir_count ? tree->dirs[nsid] : NULL;
}

int entry_resize(struct engine *engine, struct entry *entry, uint64_t size)
{
    if (size > engine->config.value_size_max)
        return ERR_TOO_LARGE;
    entry->content = realloc(entry->content, size == 0 ? 1 : size);
    if (size > entry->attr.size)
        memset(entry->content + entry->attr.size, 0, size - entry->attr.size);
    entry->attr.size = size;
    return 0;
}

/* ---- the tree ---- */

struct tree *tree_new(void)
{
    struct tree *tree = mem_zalloc(sizeof *tree);

    tree->ino_next = INO_FILE_MIN;
    tree->dirs = mem_grow(NULL, sizeof *tree->dirs, &tree->dirs_max, 1);
    tree->dirs[0] = NULL; /* nsid 0 is nobody's */
    tree->dir_count = 1;
    tree->root = entry_new(tree, "", S_IFDIR | 0755);
    return tree;
}

void tree_free(struct tree *tree)
{
    entry_free(tree, tree->root);
    free(tree->dirs);
    free(tree);
}

/* The directory and the name of a path. */
static struct entry *walk(struct tree *tree, char *path, char **ret_name)
{
    struct entry *dir = tree->root;
    char *save = NULL;
    char *word = strtok_r(path, "/", &save);
    char *next;

    while (word != NULL && (next = strtok_r(NULL, "/", &save)) != NULL) {
        dir = entry_find(dir, word);
        assert(dir != NULL);
        word = next;
    }
    *ret_name = word;
    return dir;
}

static void fill(struct tree *tree, struct entry *dir, int count)
{
    char name[32];

    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "f%07d", i);
        entry_insert(tree, dir, entry_new(tree, name, S_IFREG | 0644));
    }
}

int tree_order(struct engine *engine, const char *verb, const char *path,
               const char *rest)
{
    struct tree *tree = engine->tree;
    char *copy = mem_strdup(path);
    char *to_copy = mem_strdup(rest == NULL ? "" : rest);
    struct request r = {.kind = REQUEST_UNLINK};
    char *name;
    char *to_name;
    struct entry *dir = walk(tree, copy, &name);
    struct entry *entry = entry_find(dir, name);
    int rc = 0;

    r.dir = nsid_of_ino(dir->attr.ino);
    r.name = name;
    if (strcmp(verb, "unlink") == 0) {
        rc = tree_apply(engine, &r);
    } else if (strcmp(verb, "write") == 0) {
        if (entry == NULL) {
            entry = entry_new(tree, name, S_IFREG | 0644);
            entry_insert(tree, dir, entry);
        }
        (void)entry_resize(engine, entry, strlen(rest));
        memcpy(entry->content, rest, strlen(rest));
        entry_changed(tree, entry);
    } else if (strcmp(verb, "rename") == 0) {
        r.to_dir = nsid_of_ino(walk(tree, to_copy, &to_name)->attr.ino);
        r.to_name = to_name;
        r.kind = REQUEST_RENAME;
        rc = tree_apply(engine, &r);
    } else if (strcmp(verb, "fill") == 0) {
        fill(tree, entry, atoi(rest));
    } else {
        rc = ERR_INVALID;
    }
    free(copy);
    free(to_copy);
    return rc;
}
