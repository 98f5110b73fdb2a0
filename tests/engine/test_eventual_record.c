/* SPDX-License-Identifier: Apache-2.0 */

/* Records of eventual directories in state/, and what is kept beside them. */

#include <sys/stat.h>

#include "codec_helpers.h"
#include "kv_helpers.h"

#include "engine/eventual_record.h"
#include "tests/sim/kv_mem.h"

static const struct slice xattrs = {"\0\1\0\1ab", 6};

static int setup(void **state)
{
    *state = kv_mem_new();
    return 0;
}

static int teardown(void **state)
{
    kv_close(*state);
    return 0;
}

static struct eventual_record filled(size_t size)
{
    struct eventual_record record = {
        .dir = 7,
        .name = slice_of("name"),
        .hlc = 100,
        .origin = 2,
        .sequence = 11,
        .since = 5,
        .known = 99,
        .local = 12,
        .attr = {.ino = INO_FILE_MIN,
                 .size = size,
                 .mode = S_IFREG | 0644,
                 .uid = 3,
                 .gid = 4,
                 .atime_ns = 5,
                 .mtime_ns = 6,
                 .ctime_ns = 7,
                 .version = 100},
        .xattrs = xattrs,
        .content = letters(size),
    };

    return record;
}

static struct eventual_record tombstone(void)
{
    return (struct eventual_record){.dir = 7,
                                    .name = slice_of("name"),
                                    .hlc = 101,
                                    .local = 13,
                                    .removed = true};
}

static void put(struct kv *kv, const struct eventual_record *record,
                const struct eventual_record *old)
{
    struct kv_batch *batch = kv_batch_new(kv);

    eventual_put(batch, record, old);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static int try_whole(struct slice bytes)
{
    struct eventual_record record = {0};
    int rc = eventual_decode(&record, bytes);

    eventual_release(&record);
    return rc;
}

static int try_item(struct slice bytes)
{
    struct eventual_record record = {0};
    int rc = eventual_decode_item(&record, bytes);

    eventual_release(&record);
    return rc;
}

static int try_entry(struct slice bytes)
{
    struct eventual_record record = {0};
    int rc = eventual_decode_entry(&record, bytes);

    eventual_release(&record);
    return rc;
}

static void assert_record_equal(const struct eventual_record *a,
                                const struct eventual_record *b)
{
    assert_int_equal(a->dir, b->dir);
    assert_slice_equal(a->name, b->name);
    assert_int_equal(a->hlc, b->hlc);
    assert_int_equal(a->origin, b->origin);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->since, b->since);
    assert_int_equal(a->known, b->known);
    assert_int_equal(a->local, b->local);
    assert_int_equal(a->removed, b->removed);
    assert_attr_equal(&a->attr, &b->attr);
    assert_slice_equal(a->xattrs, b->xattrs);
    assert_slice_equal(a->content, b->content);
}

/* ---- bytes ---- */

static void test_a_record_comes_back_with_all_its_content(void **state)
{
    struct eventual_record in = filled(EVENTUAL_VALUE_SIZE_MAX);
    struct buf *b = eventual_encode(&in);
    struct eventual_record out;

    (void)state;
    assert_int_equal(eventual_decode(&out, buf_slice(b)), 0);
    buf_unref(b); /* The slices are the record's own. */
    in.local = 0; /* A number of this node's. */
    assert_record_equal(&out, &in);
    eventual_release(&out);
}

static void test_of_a_tombstone_nothing_but_the_version_counts(void **state)
{
    struct eventual_record in = filled(10);
    struct eventual_record expected = in;
    struct eventual_record out;
    struct buf *b;

    (void)state;
    in.removed = expected.removed = true;
    expected.attr = (struct attr){0};
    expected.xattrs = expected.content = (struct slice){NULL, 0};
    b = eventual_encode_entry(&in);
    assert_int_equal(eventual_decode_entry(&out, buf_slice(b)), 0);
    assert_record_equal(&out, &expected);
    eventual_release(&out);
    buf_unref(b);
}

static void test_damaged_records_are_refused(void **state)
{
    struct eventual_record in = filled(10);

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_whole,
                      with_bytes(eventual_encode(&in), 7, slice_of("")));
    assert_decodes_to(
        ERR_CORRUPT, try_whole,
        with_bytes(eventual_encode(&in), 7, (struct slice){"a\0b", 3}));
    assert_decodes_to(ERR_CORRUPT, try_whole,
                      with_bytes(eventual_encode(&in), 9, slice_of("x")));
    assert_decodes_to(ERR_CORRUPT, try_whole,
                      with_bytes(eventual_encode(&in), 15, letters(11)));
    assert_decodes_to(ERR_CORRUPT, try_whole,
                      with_number(eventual_encode(&in), 6, 0));
    assert_damage_is_survived(try_whole, eventual_encode(&in));
    assert_damage_is_survived(try_entry, eventual_encode_entry(&in));
    assert_damage_is_survived(try_item, eventual_encode(&in));
}

/* They are in the catalog. */
static void test_only_an_item_is_the_name_of_a_directory(void **state)
{
    struct eventual_record in = filled(0);
    struct eventual_record out;
    struct buf *b;

    (void)state;
    in.attr.mode = S_IFDIR;
    in.attr.ino = ino_of_nsid(9);
    b = eventual_encode(&in);
    assert_int_equal(eventual_decode_item(&out, buf_slice(b)), 0);
    in.local = 0;
    assert_record_equal(&out, &in);
    eventual_release(&out);
    buf_unref(b);
    assert_decodes_to(ERR_CORRUPT, try_whole, eventual_encode(&in));
    assert_decodes_to(ERR_CORRUPT, try_entry, eventual_encode_entry(&in));
}

static void test_a_type_that_its_number_is_not_of_is_refused(void **state)
{
    int (*const tries[])(struct slice bytes) = {try_whole, try_item, try_entry};
    struct eventual_record file = filled(0);
    struct eventual_record directory = filled(0);

    (void)state;
    file.attr.ino = ino_of_nsid(9);
    directory.attr.mode = S_IFDIR | 0755;
    for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
        assert_decodes_to(ERR_CORRUPT, tries[i], eventual_encode(&file));
        assert_decodes_to(ERR_CORRUPT, tries[i], eventual_encode(&directory));
    }
}

static void test_an_item_has_all_its_content(void **state)
{
    struct eventual_record in = filled(EVENTUAL_INLINE_MAX + 1);

    (void)state;
    assert_decodes_to(0, try_item, eventual_encode(&in));
    assert_decodes_to(ERR_CORRUPT, try_item, eventual_encode_entry(&in));
}

static void test_large_content_is_not_in_the_entry(void **state)
{
    struct eventual_record in = filled(EVENTUAL_INLINE_MAX + 1);

    (void)state;
    assert_decodes_to(0, try_entry, eventual_encode_entry(&in));
    assert_decodes_to(ERR_CORRUPT, try_whole, eventual_encode_entry(&in));
    assert_decodes_to(ERR_CORRUPT, try_entry, eventual_encode(&in));
    in = filled(EVENTUAL_INLINE_MAX);
    assert_decodes_to(0, try_entry, eventual_encode(&in));
}

static void test_time_goes_before_node_and_nothing_else_counts(void **state)
{
    struct eventual_record a = {.hlc = 1, .origin = 9, .sequence = 9};
    struct eventual_record b = {.hlc = 2, .origin = 1};

    (void)state;
    assert_true(eventual_compare(&a, &b) < 0);
    assert_true(eventual_compare(&b, &a) > 0);
    b.hlc = 1;
    assert_true(eventual_compare(&a, &b) > 0);
    b.origin = 9;
    assert_int_equal(eventual_compare(&a, &b), 0);
}

/* Node 2 has made the newer one; what it knew of then says the rest. */
static void
test_changes_conflict_when_neither_node_knew_of_the_other(void **state)
{
    struct eventual_record newer = filled(1);
    struct eventual_record older = filled(1);

    (void)state;
    older.hlc = 90;
    older.origin = 3;
    newer.known = 89;
    assert_true(eventual_is_conflict(&newer, &older));
    assert_true(eventual_is_conflict(&older, &newer));
    newer.known = 90;
    assert_false(eventual_is_conflict(&newer, &older));
    newer.known = 91;
    assert_false(eventual_is_conflict(&older, &newer));
}

static void test_changes_of_one_node_and_removals_do_not_conflict(void **state)
{
    struct eventual_record newer = filled(1);
    struct eventual_record older = filled(1);

    (void)state;
    older.hlc = 90;
    newer.known = 0;
    assert_false(eventual_is_conflict(&newer, &older));
    older.origin = 3;
    newer.removed = true;
    assert_true(eventual_is_conflict(&newer, &older));
    older.removed = true;
    assert_false(eventual_is_conflict(&newer, &older));
}

/* ---- state/ ---- */

static void test_what_was_put_is_found_with_and_without_content(void **state)
{
    struct kv *kv = *state;
    struct eventual_record in = filled(EVENTUAL_INLINE_MAX + 1);
    struct eventual_record out;

    put(kv, &in, NULL);
    assert_int_equal(eventual_get(kv, NULL, 7, in.name, true, &out), 0);
    assert_record_equal(&out, &in);
    eventual_release(&out);
    in.content = (struct slice){NULL, 0};
    assert_int_equal(eventual_get(kv, NULL, 7, in.name, false, &out), 0);
    assert_record_equal(&out, &in);
    eventual_release(&out);
    assert_int_equal(eventual_get(kv, NULL, 8, in.name, true, &out),
                     ERR_NOT_FOUND);
}

static void test_a_name_is_in_the_order_of_changes_once(void **state)
{
    struct kv *kv = *state;
    struct eventual_record first = filled(10);
    struct eventual_record second = tombstone();
    struct key change = key_eventual_change(13);
    struct kv_value value = {0};

    put(kv, &first, NULL);
    assert_true(has_record(kv, key_eventual_change(12)));
    put(kv, &second, &first);
    assert_false(has_record(kv, key_eventual_change(12)));
    assert_int_equal(kv_get(kv, NULL, key_slice(&change), &value), 0);
    assert_slice_equal((struct slice){value.data, value.size},
                       (struct slice){"\0\0\0\0\0\0\0\7name", 12});
    kv_value_release(&value);
}

static void test_content_beside_the_entry_goes_with_it(void **state)
{
    struct kv *kv = *state;
    struct eventual_record large = filled(EVENTUAL_INLINE_MAX + 1);
    struct eventual_record small = filled(1);
    struct eventual_record gone = tombstone();
    struct key key = key_user('w', 7, large.name);

    put(kv, &large, NULL);
    assert_true(has_record(kv, key));
    put(kv, &small, &large);
    assert_false(has_record(kv, key));
    put(kv, &large, &small);
    put(kv, &gone, &large);
    assert_false(has_record(kv, key));
}

static void test_content_that_is_missing_or_too_short_is_damage(void **state)
{
    struct kv *kv = *state;
    struct eventual_record in = filled(EVENTUAL_INLINE_MAX + 1);
    struct key key = key_user('w', 7, in.name);
    struct eventual_record out;

    put(kv, &in, NULL);
    put_record(kv, key, letters(EVENTUAL_INLINE_MAX));
    assert_int_equal(eventual_get(kv, NULL, 7, in.name, true, &out),
                     ERR_CORRUPT);
    assert_int_equal(eventual_get(kv, NULL, 7, in.name, false, &out), 0);
    eventual_release(&out);
}

static void test_an_entry_of_another_name_is_damage(void **state)
{
    struct kv *kv = *state;
    struct eventual_record in = filled(1);
    struct buf *b = eventual_encode_entry(&in);
    struct eventual_record out;

    put_record(kv, key_user('v', 7, slice_of("other")), buf_slice(b));
    buf_unref(b);
    assert_int_equal(eventual_get(kv, NULL, 7, slice_of("other"), false, &out),
                     ERR_CORRUPT);
}

static void take(struct kv *kv, const struct eventual_record *record,
                 const struct eventual_record *old)
{
    struct kv_batch *batch = kv_batch_new(kv);

    eventual_put(batch, record, old);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void test_a_tombstone_is_listed_until_it_is_replaced(void **state)
{
    struct kv *kv = *state;
    struct eventual_record gone = {
        .dir = 7, .hlc = 5, .local = 1, .removed = true};
    struct eventual_record later = {
        .dir = 7, .hlc = 6, .local = 2, .removed = true};
    struct kv_batch *batch = kv_batch_new(kv);

    gone.name = later.name = slice_of("a");
    take(kv, &gone, NULL);
    assert_true(has_record(kv, key_eventual_removed(5, 7, gone.name)));
    take(kv, &later, &gone);
    assert_false(has_record(kv, key_eventual_removed(5, 7, gone.name)));
    assert_true(has_record(kv, key_eventual_removed(6, 7, gone.name)));
    eventual_delete_removed(batch, &later);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    assert_false(has_record(kv, key_eventual_removed(6, 7, gone.name)));
    assert_false(has_record(kv, key_user('v', 7, gone.name)));
    assert_false(has_record(kv, key_eventual_change(2)));
}

static void test_counts_and_cursors_are_zero_until_they_are_put(void **state)
{
    struct kv *kv = *state;
    struct eventual_namespace namespace = {9, 9, 9, 9, 9, 9, false};
    struct eventual_head head = {9, 9, true, 9, 9, true};
    struct eventual_peer peer = {9, 9, 9, 9};

    assert_int_equal(eventual_namespace_get(kv, NULL, 7, &namespace), 0);
    assert_int_equal(namespace.entry_count, 0);
    assert_int_equal(namespace.changed_ns, 0);
    assert_int_equal(namespace.since_last, 0);
    assert_int_equal(namespace.digest, 0);
    assert_true(namespace.has_digest);
    assert_int_equal(eventual_head_get(kv, &head), 0);
    assert_int_equal(head.sequence, 0);
    assert_int_equal(head.seen, 0);
    assert_false(head.whole);
    assert_int_equal(eventual_peer_get(kv, 2, &peer), 0);
    assert_int_equal(peer.cursor, 0);
}

static void test_counts_and_cursors_come_back(void **state)
{
    struct kv *kv = *state;
    struct kv_batch *batch = kv_batch_new(kv);
    struct eventual_namespace namespace = {1, -2, 3, 4, 5, 6, true};
    struct eventual_head head = {4, 5, true, 8, 6, true};
    struct eventual_peer peer = {6, 7, 8, 9};

    eventual_namespace_put(batch, 7, &namespace);
    eventual_head_put(batch, &head);
    eventual_peer_put(batch, 2, &peer);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(eventual_namespace_get(kv, NULL, 7, &namespace), 0);
    assert_int_equal(namespace.changed_ns, -2);
    assert_int_equal(namespace.version, 3);
    assert_int_equal(namespace.since_first, 4);
    assert_int_equal(namespace.since_last, 5);
    assert_int_equal(namespace.digest, 6);
    assert_true(namespace.has_digest);
    assert_int_equal(eventual_peer_get(kv, 2, &peer), 0);
    assert_int_equal(peer.received, 7);
    assert_int_equal(peer.promise, 8);
    assert_int_equal(peer.roll, 9);
    assert_int_equal(eventual_peer_get_durable(kv, 2, &peer), 0);
    assert_int_equal(peer.promise, 0); /* Nor is that. */
    assert_int_equal(eventual_head_get_durable(kv, &head), 0);
    assert_int_equal(head.hlc, 0); /* It is not on the disk yet. */
    assert_int_equal(eventual_head_get(kv, &head), 0);
    assert_int_equal(head.hlc, 5);
    assert_int_equal(head.floor, 8);
    assert_int_equal(head.seen, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_comes_back_with_all_its_content),
        cmocka_unit_test(test_of_a_tombstone_nothing_but_the_version_counts),
        cmocka_unit_test(test_damaged_records_are_refused),
        cmocka_unit_test(test_only_an_item_is_the_name_of_a_directory),
        cmocka_unit_test(test_a_type_that_its_number_is_not_of_is_refused),
        cmocka_unit_test(test_an_item_has_all_its_content),
        cmocka_unit_test(test_large_content_is_not_in_the_entry),
        cmocka_unit_test(test_time_goes_before_node_and_nothing_else_counts),
        cmocka_unit_test_setup_teardown(
            test_what_was_put_is_found_with_and_without_content, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_a_name_is_in_the_order_of_changes_once, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_content_beside_the_entry_goes_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_content_that_is_missing_or_too_short_is_damage, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_a_tombstone_is_listed_until_it_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_entry_of_another_name_is_damage,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_counts_and_cursors_are_zero_until_they_are_put, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_counts_and_cursors_come_back,
                                        setup, teardown),
        cmocka_unit_test(
            test_changes_conflict_when_neither_node_knew_of_the_other),
        cmocka_unit_test(test_changes_of_one_node_and_removals_do_not_conflict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
