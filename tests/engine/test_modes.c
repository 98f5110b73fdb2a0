/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/node.h"
#include "kv_helpers.h"
#include "modes_fixture.h"

static void test_an_empty_store_has_none(void **state)
{
    struct fixture *f = *state;
    struct mode mode;
    uint64_t nsid;

    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_int_equal(modes_version(f->modes), 0);
    assert_int_equal(modes_fence(f->modes), 0);
    assert_false(modes_any(f->modes));
    assert_false(modes_next(f->modes, 0, &nsid, &mode));
    assert_int_equal(modes_find(f->modes, 7).state, MODE_STRONG);
    assert_int_equal(f->change_count, 0);
}

static void test_all_that_are_not_strong_are_loaded(void **state)
{
    struct fixture *f = *state;

    put_marker(f, 20);
    put_directory(f, 2, MODE_STRONG, 19);
    put_directory(f, 3, MODE_EVENTUAL, 5);
    put_directory(f, 4, MODE_FENCED, 18);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_int_equal(modes_version(f->modes), 20);
    assert_int_equal(modes_fence(f->modes), 18);
    assert_true(modes_any(f->modes));
    assert_int_equal(modes_find(f->modes, 2).epoch, 0);
    assert_int_equal(modes_find(f->modes, 3).state, MODE_EVENTUAL);
    assert_int_equal(modes_find(f->modes, 3).since, 5);
    assert_int_equal(modes_find(f->modes, 4).state, MODE_FENCED);
    assert_int_equal(f->change_count, 2);
}

static void test_they_come_in_ascending_order(void **state)
{
    struct fixture *f = *state;
    const uint64_t nsids[] = {9, 300, 4, 70000};
    const uint64_t sorted[] = {4, 9, 300, 70000};
    struct mode mode;
    uint64_t nsid = 0;

    for (size_t i = 0; i < ARRAY_SIZE(nsids); i++)
        put_directory(f, nsids[i], MODE_EVENTUAL, nsids[i]);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
        assert_true(modes_next(f->modes, nsid, &nsid, &mode));
        assert_int_equal(nsid, sorted[i]);
        assert_int_equal(mode.epoch, sorted[i]);
        nsid++;
    }
    assert_false(modes_next(f->modes, nsid, &nsid, &mode));
}

/* Whichever comes and goes when. */
static void test_they_stay_in_order_when_they_come_and_go(void **state)
{
    struct fixture *f = *state;
    bool is_there[64] = {false};

    for (uint64_t i = 0; i < 300; i++) {
        uint64_t nsid = i * 37 % 61 + 1;
        struct mode mode;

        is_there[nsid] = !is_there[nsid];
        put_directory(f, nsid, is_there[nsid] ? MODE_EVENTUAL : MODE_STRONG, i);
        assert_int_equal(modes_follow(f->modes, f->kv, nsid, i + 1), 0);
        nsid = 0;
        for (uint64_t at = 1; at < ARRAY_SIZE(is_there); at++) {
            if (!is_there[at])
                continue;
            assert_true(modes_next(f->modes, nsid, &nsid, &mode));
            assert_int_equal(nsid, at);
            nsid++;
        }
        assert_false(modes_next(f->modes, nsid, &nsid, &mode));
    }
}

static void test_a_change_is_followed_and_told(void **state)
{
    struct fixture *f = *state;

    put_directory(f, 3, MODE_EVENTUAL, 5);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 5), 0);
    assert_int_equal(f->change_count, 1);
    assert_int_equal(f->nsid, 3);
    assert_int_equal(f->before.state, MODE_STRONG);
    assert_int_equal(f->mode.state, MODE_EVENTUAL);
    put_directory(f, 3, MODE_FENCED, 8);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 8), 0);
    assert_int_equal(f->change_count, 2);
    assert_int_equal(f->before.state, MODE_EVENTUAL);
    assert_int_equal(f->mode.epoch, 8);
    assert_int_equal(modes_fence(f->modes), 8);
    assert_int_equal(modes_version(f->modes), 8);
}

static void test_what_changes_no_mode_is_not_told(void **state)
{
    struct fixture *f = *state;

    put_directory(f, 3, MODE_EVENTUAL, 5);
    put_directory(f, 4, MODE_STRONG, 6);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 5), 0);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 6), 0);
    assert_int_equal(modes_follow(f->modes, f->kv, 4, 7), 0);
    assert_int_equal(modes_follow(f->modes, f->kv, 99, 8), 0);
    assert_int_equal(modes_follow(f->modes, f->kv, 0, 9), 0);
    assert_int_equal(f->change_count, 1);
    assert_int_equal(modes_version(f->modes), 9);
}

static void test_what_becomes_strong_or_goes_is_told(void **state)
{
    struct fixture *f = *state;

    put_directory(f, 3, MODE_FENCED, 5);
    put_directory(f, 4, MODE_FENCED, 6);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    put_directory(f, 3, MODE_STRONG, 7);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 7), 0);
    assert_int_equal(f->change_count, 3);
    assert_int_equal(f->mode.state, MODE_STRONG);
    delete_directory(f, 4);
    assert_int_equal(modes_follow(f->modes, f->kv, 4, 8), 0);
    assert_int_equal(f->change_count, 4);
    assert_int_equal(f->before.state, MODE_FENCED);
    assert_int_equal(f->mode.state, MODE_STRONG);
    assert_false(modes_any(f->modes));
    assert_int_equal(modes_fence(f->modes), 6);
}

static void test_a_replaced_catalog_tells_of_what_differs(void **state)
{
    struct fixture *f = *state;

    put_directory(f, 3, MODE_EVENTUAL, 5);
    put_directory(f, 4, MODE_EVENTUAL, 6);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    delete_directory(f, 4);
    put_marker(f, 30);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_int_equal(f->change_count, 3);
    assert_int_equal(f->nsid, 4);
    assert_int_equal(f->mode.state, MODE_STRONG);
    assert_int_equal(modes_find(f->modes, 3).state, MODE_EVENTUAL);
    assert_int_equal(modes_version(f->modes), 30);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_int_equal(f->change_count, 3);
}

static void test_damage_is_told_and_forgets_nothing(void **state)
{
    struct fixture *f = *state;

    put_directory(f, 3, MODE_EVENTUAL, 5);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    put_record(f->kv, key_directory(7), slice_of("bad"));
    put_directory(f, 8, MODE_EVENTUAL, 6);
    assert_int_equal(modes_load(f->modes, f->kv), ERR_CORRUPT);
    assert_int_equal(modes_find(f->modes, 8).state, MODE_EVENTUAL);
    assert_int_equal(modes_follow(f->modes, f->kv, 7, 9), ERR_CORRUPT);
    assert_int_equal(modes_find(f->modes, 3).state, MODE_EVENTUAL);
    delete_directory(f, 7);
    delete_directory(f, 8);
    delete_directory(f, 3);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_false(modes_any(f->modes));
}

/* ---- directories that are about to become eventual ---- */

static void test_one_that_is_being_filled_is_known(void **state)
{
    struct fixture *f = *state;
    struct mode mode;
    uint64_t nsid;

    put_filling(f, 3, 8);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 8), 0);
    assert_int_equal(f->change_count, 1);
    assert_int_equal(f->mode.since, 8);
    mode = modes_find(f->modes, 3);
    assert_true(mode_is_filling(mode));
    assert_int_equal(mode.domain, 3);
    assert_int_equal(mode.epoch, 8);
    assert_true(modes_any(f->modes));
    assert_true(modes_any_filling(f->modes));
    assert_true(modes_next(f->modes, 0, &nsid, &mode));
    assert_int_equal(nsid, 3);
    assert_true(modes_any_before(f->modes, 9));
    assert_int_equal(modes_fence(f->modes), 0);
}

static void test_one_that_is_filled_no_more_is_forgotten(void **state)
{
    struct fixture *f = *state;

    put_filling(f, 3, 8);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 8), 0);
    put_directory(f, 3, MODE_STRONG, 9);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 9), 0);
    assert_int_equal(f->change_count, 2);
    assert_int_equal(f->before.since, 8);
    assert_int_equal(f->mode.since, 0);
    assert_int_equal(f->mode.epoch, 0);
    assert_int_equal(modes_find(f->modes, 3).epoch, 0);
    assert_false(modes_any(f->modes));
    assert_false(modes_any_filling(f->modes));
}

static void test_its_life_goes_on_when_it_is_eventual(void **state)
{
    struct fixture *f = *state;

    put_filling(f, 3, 8);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 8), 0);
    put_mode(f, 3, (struct mode){MODE_EVENTUAL, 3, 8, 9});
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 9), 0);
    assert_int_equal(f->change_count, 2);
    assert_int_equal(f->before.since, 8);
    assert_int_equal(f->mode.since, 8);
    assert_true(modes_any(f->modes));
    assert_false(modes_any_filling(f->modes));
}

/* As long as there is one of them. */
static void test_those_that_are_being_filled_are_counted(void **state)
{
    struct fixture *f = *state;

    put_filling(f, 3, 8);
    put_filling(f, 4, 9);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_true(modes_any_filling(f->modes));
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_int_equal(f->change_count, 2);
    put_filling(f, 4, 10);
    assert_int_equal(modes_follow(f->modes, f->kv, 4, 10), 0);
    delete_directory(f, 4);
    assert_int_equal(modes_follow(f->modes, f->kv, 4, 11), 0);
    assert_true(modes_any_filling(f->modes));
    delete_directory(f, 3);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_false(modes_any_filling(f->modes));
    assert_false(modes_any(f->modes));
}

/* ---- directories that are strong by themselves ---- */

static void put_strong(struct fixture *f, uint64_t nsid, uint64_t epoch)
{
    put_mode(f, nsid, (struct mode){MODE_STRONG, nsid, 0, epoch});
}

static void assert_next_own(struct fixture *f, uint64_t nsid_min, uint64_t nsid,
                            uint64_t epoch)
{
    struct mode mode;
    uint64_t found;

    assert_true(modes_next_own(f->modes, nsid_min, &found, &mode));
    assert_int_equal(found, nsid);
    assert_int_equal(mode.epoch, epoch);
}

static void test_one_that_is_strong_by_itself_is_only_listed(void **state)
{
    struct fixture *f = *state;
    struct mode mode;
    uint64_t nsid;

    put_marker(f, 8);
    put_strong(f, 3, 8);
    put_directory(f, 4, MODE_STRONG, 8);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_int_equal(f->change_count, 0);
    assert_false(modes_any(f->modes));
    assert_false(modes_next(f->modes, 0, &nsid, &mode));
    assert_int_equal(modes_find(f->modes, 3).domain, 0);
    assert_int_equal(modes_find(f->modes, 3).epoch, 0);
    assert_false(modes_any_before(f->modes, 8));
    assert_next_own(f, 0, 3, 8);
    assert_false(modes_next_own(f->modes, 4, &nsid, &mode));
}

static void test_own_modes_are_listed_of_whatever_kind(void **state)
{
    struct fixture *f = *state;
    struct mode mode;
    uint64_t nsid;

    put_directory(f, 3, MODE_EVENTUAL, 5);
    put_mode(f, 4, (struct mode){MODE_EVENTUAL, 3, 5, 5});
    put_strong(f, 5, 8);
    put_filling(f, 6, 9);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_next_own(f, 1, 3, 5);
    assert_next_own(f, 4, 5, 8);
    assert_next_own(f, 6, 6, 9);
    assert_true(modes_next(f->modes, 5, &nsid, &mode));
    assert_int_equal(nsid, 6);
    delete_directory(f, 6);
    delete_directory(f, 3);
    delete_directory(f, 4);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_false(modes_any(f->modes));
    assert_next_own(f, 0, 5, 8);
    delete_directory(f, 5);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_false(modes_next_own(f->modes, 0, &nsid, &mode));
}

static void test_that_it_is_so_by_itself_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct mode mode;
    uint64_t nsid;

    put_directory(f, 3, MODE_FENCED, 5);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 5), 0);
    put_strong(f, 3, 8);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 8), 0);
    assert_int_equal(f->change_count, 2);
    assert_int_equal(f->mode.domain, 0);
    assert_int_equal(f->mode.epoch, 0);
    put_directory(f, 3, MODE_STRONG, 9);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 9), 0);
    assert_false(modes_next_own(f->modes, 0, &nsid, &mode));
    put_strong(f, 3, 10);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 10), 0);
    assert_next_own(f, 0, 3, 10);
    assert_int_equal(f->change_count, 2);
    put_directory(f, 3, MODE_EVENTUAL, 11);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 11), 0);
    assert_int_equal(f->change_count, 3);
    assert_int_equal(f->before.domain, 0);
    assert_true(modes_any(f->modes));
}

/* ---- this node ---- */

static void put_node(struct fixture *f, uint64_t id, enum node_state state,
                     uint64_t epoch)
{
    struct node_record record = {.id = id, .state = state, .epoch = epoch};
    struct buf *bytes = node_encode(&record);

    put_record(f->kv, key_node(id), buf_slice(bytes));
    buf_unref(bytes);
}

static void test_a_node_that_is_drained_is_a_fence(void **state)
{
    struct fixture *f = *state;

    put_node(f, NODE, NODE_UP, 0);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_false(modes_is_leaving(f->modes));
    put_node(f, NODE, NODE_DRAINING, 8);
    assert_int_equal(modes_follow(f->modes, f->kv, 0, 8), 0);
    assert_true(modes_is_leaving(f->modes));
    assert_int_equal(modes_fence(f->modes), 8);
    put_node(f, NODE, NODE_UP, 9);
    assert_int_equal(modes_follow(f->modes, f->kv, 0, 9), 0);
    assert_false(modes_is_leaving(f->modes));
    assert_int_equal(modes_fence(f->modes), 8);
}

static void test_what_becomes_of_others_is_no_matter(void **state)
{
    struct fixture *f = *state;

    put_node(f, NODE + 1, NODE_DRAINING, 8);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_int_equal(modes_follow(f->modes, f->kv, 0, 9), 0);
    assert_false(modes_is_leaving(f->modes));
    assert_int_equal(modes_fence(f->modes), 0);
}

static void test_a_fence_of_this_node_is_loaded(void **state)
{
    struct fixture *f = *state;

    put_node(f, NODE, NODE_DRAINING, 8);
    put_directory(f, 3, MODE_FENCED, 7);
    put_marker(f, 9);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_true(modes_is_leaving(f->modes));
    assert_int_equal(modes_fence(f->modes), 8);
}

static void test_a_node_that_cannot_read_its_record_is_leaving(void **state)
{
    struct fixture *f = *state;

    put_record(f->kv, key_node(NODE), slice_of("bad"));
    put_marker(f, 9);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_true(modes_is_leaving(f->modes));
    put_node(f, NODE, NODE_UP, 0);
    assert_int_equal(modes_follow(f->modes, f->kv, 0, 10), 0);
    assert_false(modes_is_leaving(f->modes));
    put_record(f->kv, key_node(NODE), slice_of("bad"));
    assert_int_equal(modes_follow(f->modes, f->kv, 0, 11), 0);
    assert_true(modes_is_leaving(f->modes));
    assert_int_equal(modes_fence(f->modes), 0);
}

/* All that put_directory() makes are eventual since version 5. */
static void
test_what_became_eventual_behind_a_fence_does_not_matter(void **state)
{
    struct fixture *f = *state;

    put_marker(f, 9);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_false(modes_any_before(f->modes, 9));
    put_directory(f, 3, MODE_EVENTUAL, 8);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_false(modes_any_before(f->modes, 5));
    assert_true(modes_any_before(f->modes, 6));
}

static void test_what_is_not_known_may_be_eventual(void **state)
{
    struct fixture *f = *state;

    put_marker(f, 9);
    assert_int_equal(modes_load(f->modes, f->kv), 0);
    assert_true(modes_any_before(f->modes, 10));
    modes_distrust(f->modes);
    assert_true(modes_any_before(f->modes, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_an_empty_store_has_none),
        WITH_STORE(test_all_that_are_not_strong_are_loaded),
        WITH_STORE(test_they_come_in_ascending_order),
        WITH_STORE(test_they_stay_in_order_when_they_come_and_go),
        WITH_STORE(test_a_change_is_followed_and_told),
        WITH_STORE(test_what_changes_no_mode_is_not_told),
        WITH_STORE(test_what_becomes_strong_or_goes_is_told),
        WITH_STORE(test_a_replaced_catalog_tells_of_what_differs),
        WITH_STORE(test_damage_is_told_and_forgets_nothing),
        WITH_STORE(test_one_that_is_being_filled_is_known),
        WITH_STORE(test_one_that_is_filled_no_more_is_forgotten),
        WITH_STORE(test_its_life_goes_on_when_it_is_eventual),
        WITH_STORE(test_those_that_are_being_filled_are_counted),
        WITH_STORE(test_one_that_is_strong_by_itself_is_only_listed),
        WITH_STORE(test_own_modes_are_listed_of_whatever_kind),
        WITH_STORE(test_that_it_is_so_by_itself_is_not_told),
        WITH_STORE(test_a_node_that_is_drained_is_a_fence),
        WITH_STORE(test_what_becomes_of_others_is_no_matter),
        WITH_STORE(test_a_fence_of_this_node_is_loaded),
        WITH_STORE(test_a_node_that_cannot_read_its_record_is_leaving),
        WITH_STORE(test_what_became_eventual_behind_a_fence_does_not_matter),
        WITH_STORE(test_what_is_not_known_may_be_eventual),
    };

    return cmocka_run_group_tests_name("modes", tests, NULL, NULL);
}
