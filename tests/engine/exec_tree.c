/* SPDX-License-Identifier: Apache-2.0 */

/* The tree as a reader sees it, and copies of stores; see exec_fixture.h. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "exec_fixture.h"
#include "tests/sim/kv_mem.h"

enum { TREE_SIZE = 8192, PATH_SIZE = 256 };

static char text[TREE_SIZE];

static void add_line(const char *path, bool is_dir, uint64_t number)
{
    size_t size = strlen(text);
    int added = snprintf(text + size, sizeof text - size, "%s%s%s=%" PRIu64,
                         size > 0 ? " " : "", path, is_dir ? "/" : "", number);

    assert_true(added > 0 && (size_t)added < sizeof text - size);
}

/* The whole of a directory: in one page. */
static struct buf *list(struct exec_fixture *f, uint64_t nsid)
{
    int rc = run_read_again(f, &(struct command){.op = COMMAND_READDIR,
                                                 .dir = nsid,
                                                 .size = READDIR_SIZE_MAX});

    assert_int_equal(rc, 0);
    assert_true(f->result.at_end);
    return buf_ref(f->result.data_buf);
}

static void add_tree(struct exec_fixture *f, uint64_t nsid, const char *path);

/* A name in a listing is also found by itself. */
static void add_entry(struct exec_fixture *f, uint64_t nsid, const char *parent,
                      const struct dirent_view *entry)
{
    char path[PATH_SIZE];

    assert_true(snprintf(path, sizeof path, "%s%s", parent, entry->name) <
                (int)sizeof path);
    assert_int_equal(lookup(f, nsid, entry->name), 0);
    assert_int_equal(f->result.attr.ino, entry->ino);
    assert_int_equal(f->result.attr.mode & S_IFMT, entry->mode & S_IFMT);
    add_line(path, S_ISDIR(entry->mode), nsid_of_ino(entry->ino));
    if (!S_ISDIR(entry->mode))
        return;
    strcat(path, "/");
    add_tree(f, nsid_of_ino(entry->ino), path);
}

static void add_tree(struct exec_fixture *f, uint64_t nsid, const char *path)
{
    struct buf *names = list(f, nsid);
    struct dirent_view entry;
    size_t position = 0;

    while (dirent_next(names, &position, &entry))
        add_entry(f, nsid, path, &entry);
    buf_unref(names);
}

const char *tree(struct exec_fixture *f)
{
    text[0] = '\0';
    add_tree(f, NSID_ROOT, "");
    return text;
}

/* ---- two stores ---- */

static void assert_equal(struct slice a, struct slice b)
{
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
}

void assert_same_stores(struct kv *a, struct kv *b)
{
    struct slice none = {NULL, 0};
    struct kv_iter *left = kv_iter_new(a, NULL, none, none);
    struct kv_iter *right = kv_iter_new(b, NULL, none, none);

    kv_iter_seek(left, none);
    kv_iter_seek(right, none);
    for (; kv_iter_valid(left); kv_iter_next(left), kv_iter_next(right)) {
        assert_true(kv_iter_valid(right));
        assert_equal(kv_iter_key(left), kv_iter_key(right));
        assert_equal(kv_iter_value(left), kv_iter_value(right));
    }
    assert_false(kv_iter_valid(right));
    kv_iter_free(left);
    kv_iter_free(right);
}

struct kv *copy_store(struct kv *from)
{
    struct slice none = {NULL, 0};
    struct kv *copy = kv_mem_new();
    struct kv_batch *batch = kv_batch_new(copy);
    struct kv_iter *iter = kv_iter_new(from, NULL, none, none);

    kv_iter_seek(iter, none);
    for (; kv_iter_valid(iter); kv_iter_next(iter))
        kv_batch_put(batch, kv_iter_key(iter), kv_iter_value(iter));
    kv_iter_free(iter);
    assert_int_equal(kv_write(copy, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    return copy;
}
