/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of another node that come together: what is written with one batch,
 * and that the result is the same as if each came alone. */

#include <stdio.h>
#include <string.h>

#include "engine/eventual_damage.h"
#include "eventual_fixture.h"

enum {
    TOGETHER = 64, /* so many go into one batch */
    COUNT = 3 * TOGETHER + 8,
    DIRECTORIES = 5
};

static struct eventual_namespace namespace_of(struct eventual_fixture *f,
                                              uint64_t nsid)
{
    struct eventual_namespace ret;

    assert_int_equal(eventual_namespace_get(f->state, NULL, nsid, &ret), 0);
    return ret;
}

static uint64_t cursor(struct eventual_fixture *f)
{
    struct eventual_peer peer;

    assert_int_equal(eventual_peer_get(f->state, OTHER, &peer), 0);
    return peer.cursor;
}

static void name_of(char name[16], unsigned i)
{
    (void)snprintf(name, 16, "file %u", i);
}

static struct buf *many(struct eventual_fixture *f)
{
    struct buf *items = NULL;

    for (unsigned i = 1; i <= COUNT; i++) {
        struct eventual_record record;
        char name[16];

        name_of(name, i);
        record = record_of(f, name, i, "text");
        items = add_item(items, &record, i);
    }
    return items;
}

static unsigned count_known(struct eventual_fixture *f)
{
    unsigned count = 0;

    for (unsigned i = 1; i <= COUNT; i++) {
        char name[16];

        name_of(name, i);
        if (!is_known(f, name))
            return count;
        count++;
    }
    return count;
}

/* The last write is that of the cursor. */
static void test_what_comes_together_is_written_together(void **state)
{
    struct eventual_fixture *f = *state;
    const unsigned known[] = {0, TOGETHER, 2 * TOGETHER, 3 * TOGETHER, COUNT};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        struct test_merge merge = {.merge = {.last = COUNT}};

        assert_int_equal(merge_items(f, &merge, many(f)), 0);
        assert_int_equal(count_known(f), COUNT);
        assert_int_equal(entry_count(f), COUNT);
        assert_int_equal(cursor(f), COUNT);
        f->kept_count = i == 0 ? 0 : 1;
        crash(f);
        assert_int_equal(count_known(f), known[i]);
        assert_int_equal(namespace_of(f, DIR).entry_count, known[i]);
        assert_int_equal(cursor(f), 0);
    }
}

/* Nobody sends such an answer who keeps to the rules. */
static void test_a_name_that_comes_twice_counts_once(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record first = record_of(f, "a", 1, "first");
    struct eventual_record other = record_of(f, "b", 2, "other");
    struct eventual_record last = record_of(f, "a", 3, "last");
    struct test_merge merge = {.merge = {.last = 3}};
    uint64_t digest;

    assert_int_equal(merge_one(f, &other, 2), 0);
    assert_int_equal(merge_one(f, &last, 3), 0);
    digest = namespace_of(f, DIR).digest;
    crash(f);
    assert_int_equal(
        merge_items(
            f, &merge,
            add_item(add_item(add_item(NULL, &first, 1), &other, 2), &last, 3)),
        0);
    assert_string_equal(text_of(f, "a"), "last");
    assert_int_equal(entry_count(f), 2);
    assert_int_equal(namespace_of(f, DIR).digest, digest);
    assert_int_equal(counts_of(f).pulled, 3);
}

/* One of the same name in another directory is another one. */
static void test_each_directory_has_its_own_count(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_merge merge = {.merge = {.last = COUNT}};
    struct buf *items = NULL;

    for (unsigned dir = 1; dir < DIRECTORIES; dir++)
        apply_mode(f, DIR + dir, MODE_EVENTUAL, SINCE, VERSION);
    for (unsigned i = 0; i < COUNT; i++) {
        struct eventual_record record;
        char name[16];

        name_of(name, i / DIRECTORIES);
        record = record_of(f, name, i + 1, "text");
        record.dir = DIR + i % DIRECTORIES;
        items = add_item(items, &record, i + 1);
    }
    assert_int_equal(merge_items(f, &merge, items), 0);
    for (unsigned dir = 0; dir < DIRECTORIES; dir++)
        assert_int_equal(namespace_of(f, DIR + dir).entry_count,
                         COUNT / DIRECTORIES);
    assert_int_equal(counts_of(f).pulled, COUNT);
}

static void test_what_cannot_be_taken_leaves_what_came_before(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record first = record_of(f, "a", 1, "text");
    struct eventual_record early = record_of(f, "b", 2, "text");
    struct eventual_record last = record_of(f, "c", 3, "text");
    struct test_merge merge = {.merge = {.last = 3}};

    early.since = VERSION + 1;
    assert_int_equal(
        merge_items(
            f, &merge,
            add_item(add_item(add_item(NULL, &first, 1), &early, 2), &last, 3)),
        ERR_UNAVAILABLE);
    assert_string_equal(text_of(f, "a"), "text");
    assert_false(is_known(f, "c"));
    assert_int_equal(namespace_of(f, DIR).entry_count, 1);
    assert_int_equal(cursor(f), 1);
}

/* It asks for everything again, and must not have forgotten what it took. */
static void
test_damage_that_is_met_is_noted_behind_what_came_before(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record first = record_of(f, "a", 2, "text");
    struct eventual_record spoilt = record_of(f, "b", 1, "text");
    struct test_merge merge = {.merge = {.last = 3}};

    assert_int_equal(merge_one(f, &spoilt, 1), 0);
    put_record(f->state, key_user('v', DIR, slice_of("b")),
               slice_of("\001damage"));
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    spoilt = record_of(f, "b", 3, "text");
    assert_int_equal(
        merge_items(f, &merge, add_item(add_item(NULL, &first, 2), &spoilt, 3)),
        ERR_CANCELED);
    assert_true(eventual_is_damaged(f->eventual));
    assert_string_equal(text_of(f, "a"), "text");
    f->kept_count = 1;
    crash(f);
    assert_string_equal(text_of(f, "a"), "text");
    assert_false(has_record(f->state, key_eventual_damage(DIR, slice_of("b"))));
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup_eventual, teardown_eventual)
    const struct CMUnitTest tests[] = {
        TEST(test_what_comes_together_is_written_together),
        TEST(test_a_name_that_comes_twice_counts_once),
        TEST(test_each_directory_has_its_own_count),
        TEST(test_what_cannot_be_taken_leaves_what_came_before),
        TEST(test_damage_that_is_met_is_noted_behind_what_came_before),
    };
#undef TEST

    return cmocka_run_group_tests_name("eventual take", tests, NULL, NULL);
}
