/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/node.h"
#include "engine/region_table.h"

struct fixture {
    struct region_table *table;
    uint64_t sequence;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->table = region_table_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    region_table_check(f->table);
    region_table_free(f->table);
    free(f);
    return 0;
}

static struct region_report report_of(struct fixture *f, uint64_t id,
                                      const char *start, const char *end)
{
    return (struct region_report){
        .sequence = ++f->sequence,
        .region = {.id = id,
                   .conf_ver = 5,
                   .version = 5,
                   .start = slice_of(start),
                   .end = slice_of(end)},
        .term = 5,
        .digest = id,
    };
}

static bool take(struct fixture *f, uint64_t from, struct region_report report)
{
    return region_table_take(f->table, from, &report, 1) != NULL;
}

/* ---- rule 1 ---- */

static void test_only_newer_reports_count(void **state)
{
    struct fixture *f = *state;
    struct region_report report = report_of(f, 1, "", "");
    struct region_report early = report;

    assert_true(take(f, 1, report_of(f, 1, "", "")));
    assert_false(take(f, 1, early));
    report = report_of(f, 1, "", "");
    report.region.conf_ver = 4;
    report.term = 9;
    assert_false(take(f, 2, report));
    report = report_of(f, 1, "", "");
    report.region.version = 4;
    report.region.conf_ver = 9;
    assert_false(take(f, 2, report));
    report = report_of(f, 1, "", "");
    report.term = 4;
    assert_false(take(f, 2, report));
    assert_int_equal(region_table_find(f->table, 1)->leader_node, 1);
}

static void test_a_newer_term_counts_whatever_its_sequence(void **state)
{
    struct fixture *f = *state;
    struct region_report report = report_of(f, 1, "", "");

    report.term = 6;
    assert_true(take(f, 1, report_of(f, 1, "", "")));
    assert_true(take(f, 2, report));
    assert_int_equal(region_table_find(f->table, 1)->leader_node, 2);
}

static void test_progress_is_seen(void **state)
{
    struct fixture *f = *state;
    struct region_report report = report_of(f, 1, "", "");
    struct table_entry *entry;

    report.region.peers[0] = (struct region_peer){1, 1, PEER_LEARNER};
    report.region.peer_count = 1;
    report.peers[0].match = 7;
    entry = region_table_take(f->table, 1, &report, 10);
    assert_int_equal(entry->progress_ns, 10);
    report = entry->report;
    report.sequence++;
    entry = region_table_take(f->table, 1, &report, 20);
    assert_int_equal(entry->progress_ns, 10);
    report = entry->report;
    report.sequence++;
    report.peers[0].match++;
    entry = region_table_take(f->table, 1, &report, 30);
    assert_int_equal(entry->progress_ns, 30);
}

/* From the first report of a term on. */
static void test_a_new_leader_is_seen(void **state)
{
    struct fixture *f = *state;
    struct region_report report = report_of(f, 1, "", "");
    struct table_entry *entry = region_table_take(f->table, 1, &report, 10);

    assert_int_equal(entry->led_ns, 10);
    report = entry->report;
    report.sequence++;
    entry = region_table_take(f->table, 1, &report, 20);
    assert_int_equal(entry->led_ns, 10);
    report = entry->report;
    report.term++;
    entry = region_table_take(f->table, 2, &report, 30);
    assert_int_equal(entry->led_ns, 30);
}

static void test_a_new_range_is_seen(void **state)
{
    struct fixture *f = *state;
    struct region_report report = report_of(f, 1, "", "");
    struct table_entry *entry = region_table_take(f->table, 1, &report, 10);

    assert_int_equal(entry->ranged_ns, 10);
    report = entry->report;
    report.term++;
    report.region.conf_ver++;
    entry = region_table_take(f->table, 1, &report, 20);
    assert_int_equal(entry->ranged_ns, 10);
    report = entry->report;
    report.region.version++;
    entry = region_table_take(f->table, 1, &report, 30);
    assert_int_equal(entry->ranged_ns, 30);
}

/* ---- rule 2 ---- */

static void test_what_overlaps_goes_by_the_version_of_its_range(void **state)
{
    struct fixture *f = *state;
    struct region_report half = report_of(f, 2, "m", "");
    struct region_report old = report_of(f, 1, "", "");

    half.region.version = 6;
    assert_true(take(f, 1, report_of(f, 1, "", "")));
    assert_true(take(f, 1, half));
    assert_null(region_table_find(f->table, 1));
    assert_false(take(f, 1, old));
    assert_null(region_table_find(f->table, 1));
    assert_int_equal(region_table_count(f->table), 1);
}

static void test_neighbours_do_not_overlap(void **state)
{
    struct fixture *f = *state;

    assert_true(take(f, 1, report_of(f, 2, "m", "")));
    assert_true(take(f, 1, report_of(f, 1, "", "m")));
    assert_true(take(f, 1, report_of(f, REGION_PLACEMENT, "", "")));
    assert_int_equal(region_table_count(f->table), 3);
}

/* A region whose range grows takes the place of the other. */
static void test_a_range_that_grows_drives_others_out(void **state)
{
    struct fixture *f = *state;
    struct region_report merged = report_of(f, 1, "", "");

    merged.region.version = 7;
    assert_true(take(f, 1, report_of(f, 1, "", "m")));
    assert_true(take(f, 1, report_of(f, 2, "m", "")));
    assert_true(take(f, 1, merged));
    assert_null(region_table_find(f->table, 2));
}

static void test_it_is_whole_when_no_key_is_missing(void **state)
{
    struct fixture *f = *state;

    assert_false(region_table_is_whole(f->table));
    (void)take(f, 1, report_of(f, REGION_PLACEMENT, "", ""));
    assert_false(region_table_is_whole(f->table));
    (void)take(f, 1, report_of(f, 3, "m", "t"));
    (void)take(f, 1, report_of(f, 1, "", "m"));
    assert_false(region_table_is_whole(f->table));
    (void)take(f, 1, report_of(f, 2, "u", ""));
    assert_false(region_table_is_whole(f->table));
    (void)take(f, 1, report_of(f, 4, "t", "u"));
    assert_true(region_table_is_whole(f->table));
}

static void test_entries_come_by_ascending_id(void **state)
{
    struct fixture *f = *state;
    const struct table_entry *entry;
    uint64_t id = 0;

    (void)take(f, 1, report_of(f, 9, "p", ""));
    (void)take(f, 1, report_of(f, 2, "", "h"));
    (void)take(f, 1, report_of(f, 5, "h", "p"));
    for (entry = region_table_first(f->table); entry != NULL;
         entry = region_table_next(f->table, entry)) {
        assert_true(entry->report.region.id > id);
        id = entry->report.region.id;
    }
    assert_int_equal(id, 9);
    assert_null(region_table_find(f->table, 3));
}

/* ---- sums ---- */

static void test_a_lost_report_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct reported sum = {.led_count = 2, .led_digest = 1 ^ 2};

    (void)take(f, 7, report_of(f, 1, "", "m"));
    assert_false(region_table_agrees(f->table, 7, &sum));
    (void)take(f, 8, report_of(f, 2, "m", ""));
    assert_false(region_table_agrees(f->table, 7, &sum));
    (void)take(f, 7, report_of(f, 2, "m", ""));
    assert_true(region_table_agrees(f->table, 7, &sum));
    sum.led_digest++;
    assert_false(region_table_agrees(f->table, 7, &sum));
}

static void test_who_tells_all_leads_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct reported sum = {.led_count = 1, .led_digest = 2};

    (void)take(f, 7, report_of(f, 1, "", "m"));
    (void)take(f, 7, report_of(f, 2, "m", ""));
    assert_false(region_table_agrees(f->table, 7, &sum));
    region_table_keep(f->table, 7, f->sequence);
    assert_true(region_table_agrees(f->table, 7, &sum));
    assert_int_equal(region_table_find(f->table, 1)->leader_node, 0);
    assert_int_equal(region_table_find(f->table, 2)->leader_node, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_newer_reports_count),
        TEST(test_a_newer_term_counts_whatever_its_sequence),
        TEST(test_progress_is_seen),
        TEST(test_a_new_leader_is_seen),
        TEST(test_a_new_range_is_seen),
        TEST(test_what_overlaps_goes_by_the_version_of_its_range),
        TEST(test_neighbours_do_not_overlap),
        TEST(test_a_range_that_grows_drives_others_out),
        TEST(test_it_is_whole_when_no_key_is_missing),
        TEST(test_entries_come_by_ascending_id),
        TEST(test_a_lost_report_is_noticed),
        TEST(test_who_tells_all_leads_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
