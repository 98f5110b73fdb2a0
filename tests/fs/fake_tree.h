/* SPDX-License-Identifier: Apache-2.0 */

/* The fake engine's files: directories are sorted arrays of entries. Slow and
 * plain. Guarded by the engine's lock. */

#ifndef GROVEFS_TESTS_FS_FAKE_TREE_H
#define GROVEFS_TESTS_FS_FAKE_TREE_H

#include "tests/fs/fake_engine.h"

struct xattr {
    char *name;
    struct buf *value;
    TAILQ_ENTRY(xattr) link;
};

struct entry {
    char *name;
    struct attr attr;
    uint8_t *content;
    TAILQ_HEAD(, xattr) xattrs;
    bool eventual; /* of a directory */
    struct entry *parent;
    struct entry **entries; /* of a directory, sorted */
    size_t count;
    size_t count_max;
};

struct tree {
    struct entry *root;
    struct entry **dirs; /* by nsid; NULL when removed */
    size_t dir_count;
    size_t dirs_max;
    uint64_t ino_next;
    uint64_t version;
};

int64_t fake_now_ns(void);

/* A new entry, not yet in a directory; a directory gets the next nsid. */
struct entry *entry_new(struct tree *tree, const char *name, uint32_t mode);
void entry_free(struct tree *tree, struct entry *entry);

/* New version and times. */
void entry_changed(struct tree *tree, struct entry *entry);

/* Index of the first name not less than `name`; the entry, or NULL. */
size_t entry_position(const struct entry *dir, const char *name);
struct entry *entry_find(const struct entry *dir, const char *name);

void entry_insert(struct tree *tree, struct entry *dir, struct entry *entry);
void entry_take_out(struct tree *tree, struct entry *entry);

/* The directory with that nsid, or NULL. */
struct entry *tree_dir(const struct tree *tree, uint64_t nsid);

/* New bytes are zeros. */
int entry_resize(struct engine *engine, struct entry *entry, uint64_t size);

#endif
