/* SPDX-License-Identifier: Apache-2.0 */

/* The invariants of state/, for exec_fixture.h. */

#include <string.h>

#include "exec_fixture.h"
#include "tests/engine/kv_helpers.h"

typedef void visitor(struct exec_fixture *f, struct slice key,
                     struct slice value);

static void for_each(struct exec_fixture *f, const char *class, visitor *visit)
{
    struct slice none = {NULL, 0};
    struct kv_iter *iter = kv_iter_new(f->state, NULL, slice_of(class), none);

    kv_iter_seek(iter, slice_of(class));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice key = kv_iter_key(iter);

        if (memcmp(key.data, class, strlen(class)) != 0)
            break;
        visit(f, key, kv_iter_value(iter));
    }
    kv_iter_free(iter);
}

uint64_t count_class(struct kv *state, const char *class)
{
    struct slice none = {NULL, 0};
    struct kv_iter *iter = kv_iter_new(state, NULL, slice_of(class), none);
    uint64_t count = 0;

    kv_iter_seek(iter, slice_of(class));
    for (; kv_iter_valid(iter); kv_iter_next(iter), count++)
        if (memcmp(kv_iter_key(iter).data, class, strlen(class)) != 0)
            break;
    kv_iter_free(iter);
    return count;
}

uint64_t count_names(struct exec_fixture *f, uint64_t nsid)
{
    struct key lower = key_user('d', nsid, slice_of(""));
    struct key upper = key_behind_namespace('d', nsid);
    struct kv_iter *iter =
        kv_iter_new(f->state, NULL, key_slice(&lower), key_slice(&upper));
    struct slice name;
    uint64_t count = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter))
        if (key_parse_entry(kv_iter_key(iter), &nsid, &name))
            count++;
    kv_iter_free(iter);
    return count;
}

bool has_namespace(struct exec_fixture *f, uint64_t nsid)
{
    return has_record(f->state, key_user('n', nsid, slice_of("")));
}

/* Fails unless there is an entry; to be released. */
static struct entry get_entry(struct exec_fixture *f, uint64_t nsid,
                              struct slice name)
{
    struct key key = key_user('d', nsid, name);
    struct kv_value value = {0};
    struct entry entry = {0};

    assert_int_equal(kv_get(f->state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        entry_decode(&entry, (struct slice){value.data, value.size}), 0);
    kv_value_release(&value);
    return entry;
}

/* ---- entries and chunks ---- */

/* Whether it is a chunk of this entry. */
static bool is_chunk_of(const struct entry *entry, uint32_t number, size_t size)
{
    uint64_t begin =
        (uint64_t)(number - entry->chunk_base) * (uint64_t)CHUNK_SIZE;

    return entry->kind == ENTRY_FILE && number >= entry->chunk_base &&
           entry->attr.size > INLINE_SIZE_MAX &&
           begin + size <= entry->attr.size;
}

static bool is_chunk_of_record(struct slice record, uint32_t number,
                               size_t size)
{
    struct entry entry = {0};
    bool is_its;

    if (record.size == 0)
        return false;
    assert_int_equal(entry_decode(&entry, record), 0);
    is_its = is_chunk_of(&entry, number, size);
    entry_release(&entry);
    return is_its;
}

/* Of the file at this name or, in an intent, of what was there or shall be. */
static void check_chunk(struct exec_fixture *f, struct slice key,
                        struct slice value)
{
    const uint8_t *bytes = key.data;
    struct slice name = {bytes + 9, key.size - 9 - KEY_CHUNK_SUFFIX_SIZE};
    uint32_t number = be32_get(bytes + key.size - 4);
    struct entry entry;

    assert_true(key.size > 9 + KEY_CHUNK_SUFFIX_SIZE);
    assert_true(value.size <= CHUNK_SIZE);
    entry = get_entry(f, be64_get(bytes + 1), name);
    assert_true(is_chunk_of(&entry, number, value.size) ||
                is_chunk_of_record(entry.old_record, number, value.size) ||
                is_chunk_of_record(entry.new_record, number, value.size));
    entry_release(&entry);
}

/* The part that the region of a user key has of a namespace. */
static bool get_part(struct exec_fixture *f, uint64_t nsid,
                     struct slice user_key, struct namespace_record *ret)
{
    struct key key = key_namespace(nsid, range_at(f, user_key).start);
    struct kv_value value = {0};

    if (kv_get(f->state, NULL, key_slice(&key), &value) != 0)
        return false;
    assert_int_equal(
        namespace_decode(ret, (struct slice){value.data, value.size}), 0);
    kv_value_release(&value);
    return true;
}

static struct slice without_class(struct slice key)
{
    return (struct slice){(const uint8_t *)key.data + 1, key.size - 1};
}

static void check_intent(struct exec_fixture *f, uint64_t nsid,
                         struct slice name, const struct entry *intent)
{
    assert_true(has_record(f->state, key_user('x', nsid, name)));
    assert_true(intent->old_record.size > 0 || intent->new_record.size > 0);
}

static void check_data_key(struct exec_fixture *f, struct slice key,
                           struct slice value)
{
    struct namespace_record part = {0};
    struct entry entry = {0};
    struct slice name;
    uint64_t nsid;

    if (!key_parse_entry(key, &nsid, &name)) {
        check_chunk(f, key, value);
        return;
    }
    assert_true(get_part(f, nsid, without_class(key), &part));
    namespace_release(&part);
    assert_int_equal(entry_decode(&entry, value), 0);
    if (entry.kind == ENTRY_INTENT)
        check_intent(f, nsid, name, &entry);
    else if (entry.kind == ENTRY_FILE)
        assert_int_equal(entry.content.size, entry.attr.size <= INLINE_SIZE_MAX
                                                 ? entry.attr.size
                                                 : 0);
    entry_release(&entry);
}

static void check_mark(struct exec_fixture *f, struct slice key, uint64_t nsid)
{
    struct namespace_record part = {0};

    assert_true(get_part(f, nsid, without_class(key), &part));
    assert_true(part.closing.id.node != 0 || part.opening.id.node != 0);
    namespace_release(&part);
}

static void check_index(struct exec_fixture *f, struct slice key,
                        struct slice value)
{
    struct entry entry;
    struct slice name;
    uint64_t nsid;

    (void)value;
    if (key_parse_namespace_mark(key, &nsid)) {
        check_mark(f, key, nsid);
        return;
    }
    assert_true(key_parse_user(key, 'x', &nsid, &name));
    entry = get_entry(f, nsid, name);
    assert_int_equal(entry.kind, ENTRY_INTENT);
    entry_release(&entry);
}

/* The sum of the parts, seen from the first one; not while some of them are
 * being made or deleted. */
static void check_namespace(struct exec_fixture *f, struct slice key,
                            struct slice value)
{
    struct key upper;
    struct namespace_record record = {0};
    struct slice name;
    uint64_t count = 0;
    bool held = false;
    uint64_t nsid;
    struct kv_iter *iter;

    (void)value;
    assert_true(key_parse_user(key, 'n', &nsid, &name));
    if (name.size > 0)
        return;
    upper = key_behind_namespace('n', nsid);
    iter = kv_iter_new(f->state, NULL, key, key_slice(&upper));
    for (kv_iter_seek(iter, key); kv_iter_valid(iter); kv_iter_next(iter)) {
        assert_int_equal(namespace_decode(&record, kv_iter_value(iter)), 0);
        assert_int_equal(record.nsid, nsid);
        count += record.entry_count;
        held =
            held || record.closing.id.node != 0 || record.opening.id.node != 0;
        namespace_release(&record);
    }
    kv_iter_free(iter);
    if (!held)
        assert_int_equal(count, count_names(f, nsid));
}

static struct directory get_directory(struct exec_fixture *f, uint64_t nsid)
{
    struct key key = key_directory(nsid);
    struct directory directory = {0};
    struct kv_value value = {0};

    assert_int_equal(kv_get(f->state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        directory_decode(&directory, (struct slice){value.data, value.size}),
        0);
    kv_value_release(&value);
    return directory;
}

/* What the index of directories says, the directories say, too. */
static void check_child(struct exec_fixture *f, struct slice key,
                        struct slice value)
{
    struct directory directory;
    struct slice name;
    uint64_t parent;

    assert_true(key_parse_directory_name(key, &parent, &name));
    assert_int_equal(value.size, 8);
    directory = get_directory(f, be64_get(value.data));
    assert_int_equal(directory.parent, parent);
    assert_true(slice_equal(directory.name, name));
    directory_release(&directory);
}

void check_state(struct exec_fixture *f)
{
    for_each(f, "d", check_data_key);
    for_each(f, "x", check_index);
    for_each(f, "n", check_namespace);
    for_each(f, "cp", check_child);
}

/* ---- settled ---- */

static bool is_strong(struct exec_fixture *f, uint64_t nsid)
{
    struct directory directory = get_directory(f, nsid);
    bool strong = directory.mode.state == MODE_STRONG;

    directory_release(&directory);
    return strong;
}

/* Names below one that is not strong are in the index alone. */
static void check_name(struct exec_fixture *f,
                       const struct directory *directory)
{
    struct key key = key_directory_name(directory->parent, directory->name);
    struct entry entry;

    if (directory->nsid == NSID_ROOT)
        return;
    assert_true(has_record(f->state, key));
    if (!is_strong(f, directory->parent))
        return;
    entry = get_entry(f, directory->parent, directory->name);
    assert_int_equal(entry.kind, ENTRY_DIR);
    assert_int_equal(nsid_of_ino(entry.attr.ino), directory->nsid);
    entry_release(&entry);
}

static void check_directory(struct exec_fixture *f, struct slice key,
                            struct slice value)
{
    struct directory directory = {0};

    (void)key;
    assert_int_equal(directory_decode(&directory, value), 0);
    assert_int_equal(has_namespace(f, directory.nsid),
                     directory.mode.state == MODE_STRONG);
    check_name(f, &directory);
    directory_release(&directory);
}

static void check_open(struct exec_fixture *f, struct slice key,
                       struct slice value)
{
    struct namespace_record record = {0};

    (void)key;
    assert_int_equal(namespace_decode(&record, value), 0);
    assert_int_equal(record.closing.id.node, 0);
    assert_int_equal(record.opening.id.node, 0);
    assert_true(has_record(f->state, key_directory(record.nsid)));
    namespace_release(&record);
}

static void check_reference(struct exec_fixture *f, struct slice key,
                            struct slice value)
{
    struct entry entry = {0};
    struct slice name;
    uint64_t nsid;

    if (!key_parse_entry(key, &nsid, &name))
        return;
    assert_int_equal(entry_decode(&entry, value), 0);
    assert_int_not_equal(entry.kind, ENTRY_INTENT);
    if (entry.kind == ENTRY_DIR)
        assert_true(
            has_record(f->state, key_directory(nsid_of_ino(entry.attr.ino))));
    entry_release(&entry);
}

void check_settled(struct exec_fixture *f)
{
    check_state(f);
    assert_int_equal(count_class(f->state, "x"), 0);
    for_each(f, "d", check_reference);
    for_each(f, "n", check_open);
    for_each(f, "cd", check_directory);
}
