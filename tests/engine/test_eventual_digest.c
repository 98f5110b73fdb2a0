/* SPDX-License-Identifier: Apache-2.0 */

/* What a digest is of, how it follows what comes and goes, and the moments in
 * which it can be compared. */

#include "eventual_fixture.h"

#include <string.h>

#include "engine/eventual_damage.h"
#include "engine/range.h"

enum { LATER = 20, FIRST = 10, SECOND = 11, OTHER_DIR = 8 };

static char large[EVENTUAL_INLINE_MAX + 1];

static uint64_t digest_of(struct eventual_fixture *f)
{
    struct eventual_namespace record;

    assert_int_equal(eventual_namespace_get(f->state, NULL, DIR, &record), 0);
    assert_true(record.has_digest);
    return record.digest;
}

/* What its entries have in truth. */
static uint64_t sum_of(struct eventual_fixture *f)
{
    uint64_t sum;

    assert_int_equal(digest_entries(f->state, DIR, &sum), 0);
    return sum;
}

/* The node looks at itself. */
static struct digest_moment moment(struct eventual_fixture *f)
{
    uint64_t before = eventual_moment_number(f->eventual);

    eventual_tick(f->eventual);
    settle(f);
    assert_int_equal(eventual_moment_number(f->eventual), before + 1);
    return eventual_moment(f->eventual, OTHER);
}

static struct eventual_record large_record(struct eventual_fixture *f,
                                           uint64_t counter, char byte)
{
    struct eventual_record record = record_of(f, "large", counter, "");

    memset(large, byte, sizeof large);
    record.content = (struct slice){large, sizeof large};
    record.attr.size = sizeof large;
    return record;
}

/* ---- of an entry ---- */

static void test_whatever_all_nodes_have_of_an_entry_counts(void **state)
{
    struct eventual_record record = record_of(*state, "a", 1, "text");
    const uint64_t digest = digest_record(&record);
    uint64_t *const numbers[] = {
        &record.dir,   &record.hlc,   &record.origin,   &record.sequence,
        &record.since, &record.known, &record.attr.ino, &record.attr.size};
    int64_t *const times[] = {&record.attr.atime_ns, &record.attr.mtime_ns,
                              &record.attr.ctime_ns};
    uint32_t *const words[] = {&record.attr.mode, &record.attr.uid,
                               &record.attr.gid};

    for (size_t i = 0; i < ARRAY_SIZE(numbers) - 1; i++) {
        (*numbers[i])++;
        assert_true(digest_record(&record) != digest);
        (*numbers[i])--;
    }
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        (*times[i])++;
        assert_true(digest_record(&record) != digest);
        (*times[i])--;
        (*words[i])++;
        assert_true(digest_record(&record) != digest);
        (*words[i])--;
    }
    assert_true(digest_record(&record) == digest);
}

static void test_each_byte_counts_where_it_is(void **state)
{
    struct eventual_record record = record_of(*state, "a", 1, "text");
    const uint64_t digest = digest_record(&record);

    record.content = slice_of("texd");
    assert_true(digest_record(&record) != digest);
    record.content = slice_of("text");
    record.name = slice_of("b");
    assert_true(digest_record(&record) != digest);
    record.name = slice_of("ax");
    assert_true(digest_record(&record) != digest);
    record.name = slice_of("a");
    record.xattrs = slice_of("x");
    assert_true(digest_record(&record) != digest);
}

static void test_what_is_the_nodes_own_does_not_count(void **state)
{
    struct eventual_record record = record_of(*state, "a", 1, "text");
    const uint64_t digest = digest_record(&record);

    record.local++;
    record.digest++;
    assert_true(digest_record(&record) == digest);
    record.removed = true;
    assert_int_equal(digest_record(&record), 0);
}

/* ---- of a namespace ---- */

static void test_a_digest_follows_each_change(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t before;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    before = digest_of(f);
    assert_true(before == sum_of(f));
    assert_int_equal(write_text(f, "a", "text"), 0);
    assert_true(digest_of(f) != before);
    assert_true(digest_of(f) == sum_of(f));
    assert_int_equal(unlink_name(f, "b"), 0);
    assert_true(digest_of(f) == sum_of(f));
    assert_int_equal(unlink_name(f, "a"), 0);
    assert_int_equal(digest_of(f), 0);
}

static void test_the_order_of_changes_does_not_matter(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record old = record_of(f, "a", 1, "old");
    struct eventual_record a = record_of(f, "a", 2, "a");
    struct eventual_record b = record_of(f, "b", 3, "b");
    const uint64_t sum = digest_record(&a) + digest_record(&b);

    assert_int_equal(merge_one(f, &b, FIRST), 0);
    assert_int_equal(merge_one(f, &a, SECOND), 0);
    assert_int_equal(merge_one(f, &old, SECOND + 1), 0);
    assert_true(digest_of(f) == sum);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    apply_mode(f, DIR, MODE_EVENTUAL, SINCE, LATER + 1);
    assert_int_equal(digest_of(f), 0);
    assert_int_equal(merge_one(f, &old, FIRST), 0);
    assert_int_equal(merge_one(f, &a, SECOND), 0);
    assert_int_equal(merge_one(f, &b, SECOND + 1), 0);
    assert_true(digest_of(f) == sum);
}

static void test_large_contents_come_and_go(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = large_record(f, 1, 'x');
    uint64_t before;

    assert_int_equal(merge_one(f, &record, FIRST), 0);
    before = digest_of(f);
    assert_true(before == sum_of(f));
    record = large_record(f, 2, 'y');
    assert_int_equal(merge_one(f, &record, SECOND), 0);
    assert_true(digest_of(f) != before);
    assert_true(digest_of(f) == sum_of(f));
    record = record_of(f, "large", 3, "small");
    assert_int_equal(merge_one(f, &record, SECOND + 1), 0);
    assert_true(digest_of(f) == digest_record(&record));
}

static void test_what_is_forgotten_changes_nothing(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t before;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    before = digest_of(f);
    put_floor(f, hlc_of(f, "a"));
    look(f);
    assert_false(is_known(f, "a"));
    assert_true(digest_of(f) == before);
}

static void test_a_crash_leaves_the_digest_of_what_it_leaves(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "b", 1, "other");
    uint64_t own;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(write_text(f, "a", "text"), 0);
    own = digest_of(f);
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_true(digest_of(f) == own + digest_record(&record));
    crash(f);
    assert_true(digest_of(f) == own);
    lose_state(f);
    assert_true(sum_of(f) == own);
}

/* As in test_eventual_mode.c: what is of the later life stays, and is counted
 * anew. */
static void test_what_is_of_a_later_life_keeps_its_digest(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER, LATER);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(create(f, "c"), 0);
    kv_mem_sync(f->state, 1);
    crash(f);
    assert_false(is_known(f, "a"));
    assert_int_equal(entry_count(f), 2);
    assert_true(digest_of(f) == sum_of(f));
}

/* ---- of stores that have none ---- */

/* As an earlier program has written it. */
static void forget_digests(struct eventual_fixture *f,
                           const struct eventual_record *record)
{
    const struct eventual_namespace namespace = {
        .entry_count = 1, .since_first = SINCE, .since_last = SINCE};
    struct kv_batch *batch = kv_batch_new(f->state);
    struct eventual_record entry = *record;

    entry.local = local_of(f, "large");
    eventual_put(batch, &entry, NULL);
    eventual_namespace_put(batch, DIR, &namespace);
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
}

static void test_a_start_counts_what_was_not_counted(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = large_record(f, 1, 'x');

    assert_int_equal(merge_one(f, &record, FIRST), 0);
    forget_digests(f, &record);
    assert_int_equal(moment(f).lives, 0);
    crash(f);
    assert_true(digest_of(f) == digest_record(&record));
    assert_true(moment(f).lives == digest_life(DIR, SINCE));
    record = record_of(f, "large", 2, "small");
    assert_int_equal(merge_one(f, &record, SECOND), 0);
    assert_true(digest_of(f) == digest_record(&record));
}

static void test_an_entry_that_cannot_be_read_leaves_no_digest(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = large_record(f, 1, 'x');

    assert_int_equal(merge_one(f, &record, FIRST), 0);
    forget_digests(f, &record);
    put_record(f->state, key_user('w', DIR, slice_of("large")), slice_of("x"));
    crash(f);
    assert_int_equal(moment(f).lives, 0);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(moment(f).lives, 0);
}

/* ---- moments ---- */

static void test_a_moment_is_what_there_is(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "text");
    struct digest_moment m;

    assert_int_equal(eventual_moment(f->eventual, OTHER).lives, 0);
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    m = moment(f);
    assert_true(m.lives == digest_life(DIR, SINCE));
    assert_int_equal(m.cursor, FIRST);
    assert_int_equal(m.sequence, local_of(f, "a"));
    assert_true(m.digest == digest_record(&record));
    assert_true(eventual_moment_holds(f->eventual));
    assert_int_equal(eventual_moment(f->eventual, OTHER + 1).cursor, 0);
    assert_int_equal(create(f, "b"), 0);
    assert_false(eventual_moment_holds(f->eventual));
    assert_true(moment(f).digest == digest_of(f));
    assert_true(eventual_moment_holds(f->eventual));
}

static void test_a_moment_is_of_all_namespaces_that_are_eventual(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "text");
    uint64_t own;

    assert_int_equal(create(f, "b"), 0);
    own = moment(f).digest;
    apply_mode(f, OTHER_DIR, MODE_EVENTUAL, LATER, LATER);
    record.dir = OTHER_DIR;
    record.since = LATER;
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_true(moment(f).digest == own + digest_record(&record));
    apply_mode(f, DIR, MODE_STRONG, 0, LATER + 1);
    assert_true(moment(f).digest == digest_record(&record));
    assert_true(moment(f).lives == digest_life(OTHER_DIR, LATER));
    apply_mode(f, OTHER_DIR, MODE_STRONG, 0, LATER + 2);
    assert_int_equal(moment(f).lives, 0);
}

/* A crash may leave it, and nobody sees it. */
static void test_what_is_left_of_a_life_makes_no_difference(void **state)
{
    struct eventual_fixture *f = *state;
    const struct eventual_namespace left = {
        .since_first = 1, .since_last = 1, .digest = 77, .has_digest = true};
    struct kv_batch *batch = kv_batch_new(f->state);

    assert_int_equal(create(f, "a"), 0);
    eventual_namespace_put(batch, OTHER_DIR, &left);
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    assert_true(moment(f).digest == digest_of(f));
    assert_true(moment(f).lives == digest_life(DIR, SINCE));
}

/* They would be in the way of comparing those of the present one. */
static void test_entries_of_another_life_make_no_moment(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_namespace record;
    struct kv_batch *batch = kv_batch_new(f->state);

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(eventual_namespace_get(f->state, NULL, DIR, &record), 0);
    eventual_namespace_add_life(&record, SINCE + 1);
    eventual_namespace_put(batch, DIR, &record);
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(moment(f).lives, 0);
}

static void test_a_node_that_lacks_something_has_no_moment(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_true(moment(f).lives == digest_life(DIR, SINCE));
    modes_distrust(f->modes);
    assert_int_equal(moment(f).lives, 0);
    lose_state(f);
    assert_false(eventual_is_whole(f->eventual));
    assert_int_equal(moment(f).lives, 0);
}

static void has_had_all(struct eventual_fixture *f)
{
    eventual_has_had_all(f->eventual);
    eventual_tick(f->eventual);
    settle(f);
}

/* What was counted of it stays in the sum until that is made anew. */
static void test_a_damaged_entry_makes_no_moment_until_it_is_mended(void **s)
{
    struct eventual_fixture *f = *s;
    struct eventual_record record = record_of(f, "a", 1, "text");

    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_int_equal(create(f, "b"), 0);
    put_record(f->state, key_user('v', DIR, slice_of("a")), slice_of("x"));
    eventual_find_damage(f->eventual, DIR, slice_of("a"));
    settle(f);
    assert_int_equal(moment(f).lives, 0);
    record = record_of(f, "a", 2, "newer");
    assert_int_equal(merge_one(f, &record, SECOND), 0);
    assert_int_equal(moment(f).lives, 0);
    has_had_all(f);
    assert_true(moment(f).lives == digest_life(DIR, SINCE));
    assert_true(digest_of(f) == sum_of(f));
}

static void test_a_count_that_is_made_anew_has_a_digest(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = large_record(f, 1, 'x');

    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_int_equal(create(f, "b"), 0);
    put_record(f->state, key_eventual_namespace(DIR), slice_of("x"));
    assert_int_equal(moment(f).lives, 0);
    eventual_find_damage(f->eventual, DIR, slice_of(""));
    settle(f);
    assert_true(digest_of(f) == sum_of(f));
    assert_true(moment(f).lives == digest_life(DIR, SINCE));
    assert_true(moment(f).digest == sum_of(f));
    assert_int_equal(create(f, "c"), 0);
    assert_true(moment(f).digest == sum_of(f));
}

/* ---- of two nodes ---- */

enum { BOOT = 3 };

static uint64_t number(uint64_t boot, uint64_t count)
{
    return (boot << EVENTUAL_BOOT_SHIFT) + count;
}

static void assert_verdict(const struct digest_moment *a,
                           const struct digest_moment *b,
                           enum digest_verdict verdict)
{
    assert_int_equal(digest_compare(a, b), verdict);
    assert_int_equal(digest_compare(b, a), verdict);
}

static void test_nodes_that_have_all_of_each_other_are_compared(void **state)
{
    struct digest_moment a = {9, number(BOOT, 5), number(7, 8), 1};
    struct digest_moment b = {9, number(7, 8), number(BOOT, 5), 1};

    (void)state;
    assert_verdict(&a, &b, DIGEST_EQUAL);
    b.digest = 2;
    assert_verdict(&a, &b, DIGEST_DIFFERS);
    b.cursor--;
    assert_verdict(&a, &b, DIGEST_BEHIND);
    b.cursor += 2;
    assert_verdict(&a, &b, DIGEST_DIFFERS);
    a.cursor--;
    assert_verdict(&a, &b, DIGEST_BEHIND);
}

/* What was before may be lost. */
static void test_a_later_boot_covers_nothing_of_an_earlier_one(void **state)
{
    struct digest_moment a = {9, number(BOOT, 5), number(7, 8), 1};
    struct digest_moment b = {9, number(7, 8), number(BOOT + 1, 0), 2};

    (void)state;
    assert_verdict(&a, &b, DIGEST_BEHIND);
}

static void test_moments_are_of_the_same_lives(void **state)
{
    struct digest_moment a = {9, 5, 8, 1};
    struct digest_moment b = {10, 8, 5, 2};

    (void)state;
    assert_verdict(&a, &b, DIGEST_BEHIND);
    b.lives = 0;
    assert_verdict(&a, &b, DIGEST_NONE);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup_eventual, teardown_eventual)
    const struct CMUnitTest tests[] = {
        TEST(test_whatever_all_nodes_have_of_an_entry_counts),
        TEST(test_each_byte_counts_where_it_is),
        TEST(test_what_is_the_nodes_own_does_not_count),
        TEST(test_a_digest_follows_each_change),
        TEST(test_the_order_of_changes_does_not_matter),
        TEST(test_large_contents_come_and_go),
        TEST(test_what_is_forgotten_changes_nothing),
        TEST(test_a_crash_leaves_the_digest_of_what_it_leaves),
        TEST(test_what_is_of_a_later_life_keeps_its_digest),
        TEST(test_a_start_counts_what_was_not_counted),
        TEST(test_an_entry_that_cannot_be_read_leaves_no_digest),
        TEST(test_a_moment_is_what_there_is),
        TEST(test_a_moment_is_of_all_namespaces_that_are_eventual),
        TEST(test_what_is_left_of_a_life_makes_no_difference),
        TEST(test_entries_of_another_life_make_no_moment),
        TEST(test_a_node_that_lacks_something_has_no_moment),
        TEST(test_a_damaged_entry_makes_no_moment_until_it_is_mended),
        TEST(test_a_count_that_is_made_anew_has_a_digest),
        TEST(test_nodes_that_have_all_of_each_other_are_compared),
        TEST(test_a_later_boot_covers_nothing_of_an_earlier_one),
        TEST(test_moments_are_of_the_same_lives),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
