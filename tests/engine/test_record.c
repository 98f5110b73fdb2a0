/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include "engine/record.h"
#include "engine/xattr.h"

static const struct slice xattrs = {"\0\1\0\1ab", 6};

static int try_entry(struct slice bytes)
{
    struct entry entry = {0};
    int rc = entry_decode(&entry, bytes);

    entry_release(&entry);
    return rc;
}

static int try_namespace(struct slice bytes)
{
    struct namespace_record record = {0};
    int rc = namespace_decode(&record, bytes);

    namespace_release(&record);
    return rc;
}

static int try_directory(struct slice bytes)
{
    struct directory directory = {0};
    int rc = directory_decode(&directory, bytes);

    directory_release(&directory);
    return rc;
}

static int try_decision(struct slice bytes)
{
    struct decision decision = {0};
    int rc = decision_decode(&decision, bytes);

    decision_release(&decision);
    return rc;
}

static struct entry filled_file(void)
{
    return (struct entry){
        .kind = ENTRY_FILE,
        .attr = filled_attr(1),
        .xattrs = xattrs,
        .content = letters(128),
        .chunk_base = CHUNK_BASE_OTHER,
    };
}

static struct entry filled_intent(void)
{
    return (struct entry){
        .kind = ENTRY_INTENT,
        .attr = filled_attr(1),
        .txn = filled_txn(10),
        .old_record = slice_of("old record"),
        .new_record = slice_of("new record"),
    };
}

static void test_a_file_comes_back(void **state)
{
    struct entry in = filled_file();
    struct buf *b = entry_encode(&in);
    struct entry out;

    (void)state;
    assert_int_equal(entry_decode(&out, buf_slice(b)), 0);
    buf_unref(b); /* The slices are the entry's own. */
    assert_int_equal(out.kind, ENTRY_FILE);
    assert_attr_equal(&out.attr, &in.attr);
    assert_slice_equal(out.xattrs, in.xattrs);
    assert_slice_equal(out.content, in.content);
    assert_int_equal(out.chunk_base, in.chunk_base);
    assert_int_equal(out.txn.id.node, 0);
    assert_int_equal(out.old_record.size + out.new_record.size, 0);
    entry_release(&out);
}

static void test_an_intent_comes_back(void **state)
{
    struct entry in = filled_intent();
    struct buf *b = entry_encode(&in);
    struct entry out;

    (void)state;
    assert_int_equal(entry_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_int_equal(out.kind, ENTRY_INTENT);
    assert_txn_equal(&out.txn, &in.txn);
    assert_slice_equal(out.old_record, in.old_record);
    assert_slice_equal(out.new_record, in.new_record);
    entry_release(&out);
}

static void test_the_greatest_content_comes_back(void **state)
{
    struct entry in = {.kind = ENTRY_FILE, .content = letters(INLINE_SIZE_MAX)};
    struct buf *b = entry_encode(&in);
    struct entry out;

    (void)state;
    assert_int_equal(entry_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_slice_equal(out.content, in.content);
    entry_release(&out);
}

/* An intent holds the greatest entries that there may be, twice. */
static void test_an_intent_holds_two_greatest_entries(void **state)
{
    struct entry file = filled_file();
    struct entry intent = filled_intent();
    struct buf *x = NULL;
    struct buf *record;

    (void)state;
    assert_int_equal(xattr_set((struct slice){NULL, 0}, slice_of("name"),
                               letters(XATTRS_SIZE_MAX - 8), 0, &x),
                     0);
    file.content = letters(INLINE_SIZE_MAX);
    file.xattrs = buf_slice(x);
    record = entry_encode(&file);
    intent.old_record = buf_slice(record);
    intent.new_record = buf_slice(record);
    assert_decodes_to(0, try_entry, entry_encode(&intent));
    buf_unref(record);
    buf_unref(x);
}

static void test_what_is_absent_takes_no_bytes(void **state)
{
    struct entry in = {.kind = ENTRY_DIR};
    struct buf *b = entry_encode(&in);

    (void)state;
    assert_int_equal(b->size, 1 + 2); /* Format and kind. */
    buf_unref(b);
}

static struct buf *file_bytes(void)
{
    struct entry in = filled_file();

    return entry_encode(&in);
}

static struct buf *intent_bytes(void)
{
    struct entry in = filled_intent();

    return entry_encode(&in);
}

/* Numbers of fields are those of record.proto. */
static void test_an_entry_over_a_limit_is_refused(void **state)
{
    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_entry, with_number(file_bytes(), 1, 0));
    assert_decodes_to(ERR_CORRUPT, try_entry, with_number(file_bytes(), 1, 4));
    assert_decodes_to(ERR_CORRUPT, try_entry,
                      with_bytes(file_bytes(), 3, slice_of("no xattrs")));
    assert_decodes_to(
        ERR_CORRUPT, try_entry,
        with_bytes(file_bytes(), 15, letters(INLINE_SIZE_MAX + 1)));
}

static void test_an_intent_and_its_kind_belong_together(void **state)
{
    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_entry, with_number(file_bytes(), 1, 3));
    assert_decodes_to(ERR_CORRUPT, try_entry,
                      with_number(intent_bytes(), 1, ENTRY_FILE));
    assert_decodes_to(
        ERR_CORRUPT, try_entry,
        with_bytes(with_number(file_bytes(), 1, 3), 4, slice_of("")));
}

static void test_an_intent_over_a_limit_is_refused(void **state)
{
    struct buf *long_ref = with_bytes(buf_copy("", 0), 5, letters(256));
    struct buf *zero_ref =
        with_bytes(buf_copy("", 0), 5, (struct slice){"a\0b", 3});
    struct buf *name = with_bytes(buf_copy("", 0), 1, buf_slice(long_ref));
    struct buf *zero = with_bytes(buf_copy("", 0), 1, buf_slice(zero_ref));
    struct buf *record = with_bytes(buf_copy("", 0), 2, letters(90000));

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_entry,
                      with_bytes(intent_bytes(), 4, buf_slice(name)));
    assert_decodes_to(ERR_CORRUPT, try_entry,
                      with_bytes(intent_bytes(), 4, buf_slice(zero)));
    assert_decodes_to(ERR_CORRUPT, try_entry,
                      with_bytes(intent_bytes(), 4, buf_slice(record)));
    buf_unref(name);
    buf_unref(zero);
    buf_unref(long_ref);
    buf_unref(zero_ref);
    buf_unref(record);
}

static void test_other_formats_are_not_guessed(void **state)
{
    struct buf *b = file_bytes();

    (void)state;
    assert_int_equal(try_entry((struct slice){NULL, 0}), ERR_CORRUPT);
    b->data[0] = RECORD_FORMAT + 1;
    assert_int_equal(try_entry(buf_slice(b)), ERR_VERSION);
    b->data[0] = 0;
    assert_decodes_to(ERR_CORRUPT, try_entry, b);
}

/* A later version may add fields without a new format. */
static void test_unknown_fields_are_ignored(void **state)
{
    (void)state;
    assert_decodes_to(0, try_entry, with_number(file_bytes(), 100, 1));
    assert_decodes_to(0, try_entry,
                      with_bytes(file_bytes(), 200, slice_of("new")));
}

static void test_a_namespace_comes_back(void **state)
{
    struct namespace_record in = {
        1, 2, 3, -4, 5, UINT64_MAX, filled_txn(7), filled_txn(8), true, NULL};
    struct buf *b = namespace_encode(&in);
    struct namespace_record out;

    (void)state;
    assert_int_equal(namespace_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_int_equal(out.nsid, 1);
    assert_int_equal(out.domain, 2);
    assert_int_equal(out.entry_count, 3);
    assert_int_equal(out.mtime_ns, -4);
    assert_int_equal(out.ctime_ns, 5);
    assert_true(out.version == UINT64_MAX);
    assert_true(out.reopened);
    assert_txn_equal(&out.closing, &in.closing);
    assert_txn_equal(&out.opening, &in.opening);
    assert_true(out.reopened);
    namespace_release(&out);
}

static void test_a_directory_comes_back(void **state)
{
    struct directory in = {.nsid = 1,
                           .parent = 2,
                           .name = letters(NAME_SIZE_MAX),
                           .attr = filled_attr(3),
                           .xattrs = xattrs};
    struct buf *b = directory_encode(&in);
    struct directory out;

    (void)state;
    assert_int_equal(directory_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_int_equal(out.nsid, 1);
    assert_int_equal(out.parent, 2);
    assert_slice_equal(out.name, in.name);
    assert_attr_equal(&out.attr, &in.attr);
    assert_slice_equal(out.xattrs, in.xattrs);
    directory_release(&out);
}

static void test_a_directory_over_a_limit_is_refused(void **state)
{
    struct directory in = {.nsid = 1};

    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_directory,
                      with_bytes(directory_encode(&in), 3, letters(256)));
    assert_decodes_to(ERR_CORRUPT, try_directory,
                      with_bytes(directory_encode(&in), 5, letters(20000)));
}

static void test_a_decision_comes_back(void **state)
{
    struct decision in = {
        .txn = filled_txn(5), .committed = true, .below = letters(24)};
    struct buf *b = decision_encode(&in);
    struct decision out;

    (void)state;
    assert_int_equal(decision_decode(&out, buf_slice(b)), 0);
    buf_unref(b);
    assert_txn_equal(&out.txn, &in.txn);
    assert_true(out.committed);
    assert_slice_equal(out.below, in.below);
    decision_release(&out);
}

static void test_a_decision_names_its_transaction(void **state)
{
    (void)state;
    assert_decodes_to(ERR_CORRUPT, try_decision,
                      with_number(buf_copy("\x01", 1), 2, 1));
}

static void test_damaged_records_are_survived(void **state)
{
    struct namespace_record record = {.nsid = 1, .closing = filled_txn(1)};
    struct directory directory = {
        .name = slice_of("name"), .attr = filled_attr(1), .xattrs = xattrs};
    struct decision decision = {.txn = filled_txn(1), .below = letters(24)};

    (void)state;
    assert_damage_is_survived(try_entry, file_bytes());
    assert_damage_is_survived(try_entry, intent_bytes());
    assert_damage_is_survived(try_namespace, namespace_encode(&record));
    assert_damage_is_survived(try_directory, directory_encode(&directory));
    assert_damage_is_survived(try_decision, decision_encode(&decision));
}

static void test_releasing_what_was_never_decoded_is_allowed(void **state)
{
    struct entry entry = {0};
    struct region region = {0};

    (void)state;
    entry_release(&entry);
    region_release(&region);
    assert_null(entry.held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_comes_back),
        cmocka_unit_test(test_an_intent_comes_back),
        cmocka_unit_test(test_the_greatest_content_comes_back),
        cmocka_unit_test(test_an_intent_holds_two_greatest_entries),
        cmocka_unit_test(test_what_is_absent_takes_no_bytes),
        cmocka_unit_test(test_an_entry_over_a_limit_is_refused),
        cmocka_unit_test(test_an_intent_and_its_kind_belong_together),
        cmocka_unit_test(test_an_intent_over_a_limit_is_refused),
        cmocka_unit_test(test_other_formats_are_not_guessed),
        cmocka_unit_test(test_unknown_fields_are_ignored),
        cmocka_unit_test(test_a_namespace_comes_back),
        cmocka_unit_test(test_a_directory_comes_back),
        cmocka_unit_test(test_a_directory_over_a_limit_is_refused),
        cmocka_unit_test(test_a_decision_comes_back),
        cmocka_unit_test(test_a_decision_names_its_transaction),
        cmocka_unit_test(test_damaged_records_are_survived),
        cmocka_unit_test(test_releasing_what_was_never_decoded_is_allowed),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
