/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of transactions that change the mode of a directory together with
 * those below it: which of these come with which command. */

#include "txn_fixture.h"

#include <inttypes.h>
#include <stdio.h>

enum { BELOW_NSID = 70, LAST_NSID = 60 };

/* One lies below the other, and both below what changes its mode. */
static void put_below(struct fixture *f, struct mode mode)
{
    apply_mode(f, mode, SINCE);
    put_directory(f, BELOW_NSID, CLOSED_NSID, "a", mode, 0);
    put_directory(f, LAST_NSID, BELOW_NSID, "a", mode, 0);
}

/* `further`: the first and the last number of those that come along, if any.
 */
static void expect_part(struct fixture *f, enum command_op op, uint64_t nsid,
                        const char *name, size_t count,
                        const uint64_t further[2])
{
    const struct txn_ref *txn = &f->router.command.txn;
    struct key place = key_user('d', nsid, slice_of(name));

    assert_non_null(f->router.call);
    assert_int_equal(f->router.command.op, op);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_PART);
    assert_true(txn->opens_nsid == nsid || txn->closes_nsid == nsid);
    assert_int_equal(txn->opens_nsid + txn->closes_nsid, nsid);
    assert_true(
        slice_equal(key_slice(&f->router.call->place), key_slice(&place)));
    assert_int_equal(domain_count(f->router.command.further), count);
    if (count == 0)
        return;
    assert_int_equal(domain_nsid_at(f->router.command.further, 0), further[0]);
    assert_int_equal(domain_nsid_at(f->router.command.further, count - 1),
                     further[1]);
}

static void expect_alone(struct fixture *f, enum command_op op, uint64_t nsid,
                         const char *name)
{
    expect_part(f, op, nsid, name, 0, NULL);
}

/* The part ends where one begins at (nsid, name), as do those of so many that
 * came along. */
static void end_part(struct fixture *f, enum command_op op, uint64_t nsid,
                     const char *name, uint64_t count)
{
    struct key end = key_user('d', nsid, slice_of(name));

    answer(f, op, 0,
           &(struct result){.data = key_user_part(&end), .offset = count});
}

/* The region of the first one, by its number, has a part of the other one,
 * too. */
static void pass_below(struct fixture *f, enum command_op op)
{
    static const uint64_t further[] = {BELOW_NSID, BELOW_NSID};

    expect_part(f, op, LAST_NSID, "", 1, further);
    end_part(f, op, BELOW_NSID, "m", 1);
    expect_alone(f, op, BELOW_NSID, "m");
    end_part(f, op, BELOW_NSID + 1, "", 0);
}

/* Its own namespace lies where its name does. */
static void prepare_tree(struct fixture *f, enum txn_kind kind,
                         enum catalog_change_kind change)
{
    put_below(f, kind == TXN_TO_STRONG ? fenced : filling);
    start_mode(f, kind, SINCE);
    answer(f, COMMAND_TXN_PREPARE, 0,
           &(struct result){.changes = {{.kind = change, .nsid = CLOSED_NSID}},
                            .change_count = 1});
    pass_below(f, COMMAND_TXN_PREPARE);
}

/* What is below comes before it. */
static void resolve_tree(struct fixture *f, bool commit)
{
    assert_int_equal(f->router.command.commit, commit);
    pass_below(f, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_FIRST);
    succeed(f, COMMAND_TXN_RESOLVE);
}

static void test_all_below_it_are_closed_and_brought(void **state)
{
    struct fixture *f = *state;

    prepare_tree(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    assert_non_null(f->node.export);
    assert_int_equal(f->node.export->below->count, 2);
    assert_int_equal(f->node.export->below->nsids[0], BELOW_NSID);
    assert_int_equal(f->node.export->below->nsids[1], LAST_NSID);
    end_export(f, 0);
    assert_int_equal(f->router.command.txn.closes_nsid, CLOSED_NSID);
    assert_true(slice_equal(f->router.command.data, slice_of("mtimes")));
    succeed(f, COMMAND_TXN_DECIDE);
    resolve_tree(f, true);
    succeed(f, COMMAND_TXN_FORGET);
    assert_null(f->router.call);
}

static void test_all_below_it_are_open_again_without_their_files(void **state)
{
    struct fixture *f = *state;

    prepare_tree(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    end_export(f, ERR_NO_QUORUM);
    resolve_tree(f, false);
    assert_failed(f, ERR_NO_QUORUM);
    assert_null(f->router.call);
}

/* ---- with many below it ---- */

/* The last one comes alone. */
enum {
    MANY = 2 * (1 + COMMAND_FURTHER_MAX) + 1,
    MANY_NSID = 1000 /* of the first one */
};

/* Listed from the last one on; all lie in the one whose mode changes. */
static void put_many(struct fixture *f, struct mode mode)
{
    char name[8];

    apply_mode(f, mode, SINCE);
    for (uint64_t i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "%04" PRIu64, MANY - i);
        put_directory(f, MANY_NSID + i, CLOSED_NSID, name, mode, (int64_t)i);
    }
}

static void start_many(struct fixture *f, enum txn_kind kind,
                       enum catalog_change_kind change)
{
    put_many(f, kind == TXN_TO_STRONG ? fenced : filling);
    start_mode(f, kind, SINCE);
    answer(f, COMMAND_TXN_PREPARE, 0,
           &(struct result){.changes = {{.kind = change, .nsid = CLOSED_NSID}},
                            .change_count = 1});
}

/* The `at`th of them, with as many behind it as may come along. */
static void expect_many(struct fixture *f, enum command_op op, uint64_t at,
                        const char *name)
{
    size_t count = MANY - 1 - at < COMMAND_FURTHER_MAX ? MANY - 1 - at
                                                       : COMMAND_FURTHER_MAX;
    const uint64_t further[] = {MANY_NSID + at + 1, MANY_NSID + at + count};

    expect_part(f, op, MANY_NSID + at, name, count, further);
}

static void pass_many(struct fixture *f, enum command_op op)
{
    static const struct slice end_of_all = {NULL, 0};

    for (uint64_t at = 0; at < MANY;) {
        uint64_t count = domain_count(f->router.command.further);

        expect_many(f, op, at, "");
        answer(f, op, 0, &(struct result){.data = end_of_all, .offset = count});
        at += 1 + count;
    }
}

static void test_many_below_it_take_few_commands(void **state)
{
    struct fixture *f = *state;

    start_many(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    assert_int_equal(f->router.calls, 2);
    pass_many(f, COMMAND_TXN_PREPARE);
    assert_int_equal(f->router.calls, 1 + 3);
    end_export(f, 0);
    succeed(f, COMMAND_TXN_DECIDE);
    pass_many(f, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->router.calls, 1 + 3 + 1 + 3 + 1);
    succeed(f, COMMAND_TXN_RESOLVE);
    succeed(f, COMMAND_TXN_FORGET);
    assert_null(f->router.call);
}

/* Each of them with its own. */
static void test_many_that_become_strong_have_their_times(void **state)
{
    struct fixture *f = *state;
    uint64_t at = 0;

    start_many(f, TXN_TO_STRONG, CATALOG_STRONG);
    while (f->router.command.txn_step == TXN_STEP_PART) {
        const struct command *command = &f->router.command;
        const uint8_t *times = command->further_times.data;
        uint64_t count = domain_count(command->further);

        assert_int_equal(command->set.mtime_ns, at);
        assert_int_equal(command->further_times.size, 16 * count);
        for (uint64_t i = 0; i < count; i++) {
            assert_int_equal(be64_get(times + 16 * i), at + 1 + i);
            assert_int_equal(be64_get(times + 16 * i + 8), at + 1 + i);
        }
        answer(f, COMMAND_TXN_PREPARE, 0, &(struct result){.offset = count});
        at += 1 + count;
    }
    assert_int_equal(at, MANY);
}

/* Wherever a region ends, and whatever a region has refused. */
static void test_a_list_goes_on_where_a_region_has_stopped(void **state)
{
    static const struct txn_id other = {OWN_NODE, 1, 99};
    struct fixture *f = *state;

    start_many(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    expect_many(f, COMMAND_TXN_PREPARE, 0, "");
    end_part(f, COMMAND_TXN_PREPARE, MANY_NSID + 1, "", 0);
    expect_many(f, COMMAND_TXN_PREPARE, 1, "");
    end_part(f, COMMAND_TXN_PREPARE, MANY_NSID + 5, "k", 4);
    expect_many(f, COMMAND_TXN_PREPARE, 5, "k");
    end_part(f, COMMAND_TXN_PREPARE, MANY_NSID + 5, "m", 0);
    expect_many(f, COMMAND_TXN_PREPARE, 5, "m");
    end_part(f, COMMAND_TXN_PREPARE, MANY_NSID + MANY, "", 2);
    expect_many(f, COMMAND_TXN_PREPARE, 8, "");
    answer(f, COMMAND_TXN_PREPARE, ERR_LOCKED,
           &(struct result){.status = ERR_LOCKED,
                            .holder = {.id = other, .dir = DIR_NSID}});
    tell_decision(f, &(struct result){.decided = true});
    succeed(f, COMMAND_TXN_RESOLVE);
    expect_many(f, COMMAND_TXN_PREPARE, 8, "");
}

/* What was prepared is undone. */
static void test_an_answer_of_too_many_aborts_it(void **state)
{
    struct fixture *f = *state;

    start_many(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    answer(f, COMMAND_TXN_PREPARE, 0,
           &(struct result){.offset = COMMAND_FURTHER_MAX + 1});
    assert_int_equal(f->done, 0);
    expect_many(f, COMMAND_TXN_RESOLVE, 0, "");
    assert_false(f->router.command.commit);
    answer(f, COMMAND_TXN_RESOLVE, 0,
           &(struct result){.offset = COMMAND_FURTHER_MAX + 1});
    assert_failed(f, ERR_NO_QUORUM);
    assert_null(f->router.call);
}

static void take_import(struct fixture *f)
{
    assert_int_equal(f->router.command.op, COMMAND_TXN_IMPORT);
    assert_int_equal(f->router.command.dir, CLOSED_NSID);
    answer(f, COMMAND_TXN_IMPORT, 0,
           &(struct result){.offset = f->router.command.data.size});
}

static void test_all_below_it_are_opened_and_get_their_names(void **state)
{
    struct fixture *f = *state;

    prepare_tree(f, TXN_TO_STRONG, CATALOG_STRONG);
    take_import(f);
    assert_int_equal(f->router.command.op, COMMAND_TXN_DECIDE);
    assert_int_equal(f->router.command.txn.opens_nsid, CLOSED_NSID);
    assert_int_equal(f->router.command.data.size, 0);
    succeed(f, COMMAND_TXN_DECIDE);
    pass_below(f, COMMAND_TXN_RESOLVE);
}

/* Whoever has met the last one of them; and those that lead its region, which
 * may have found more of it there. */
static const struct txn_ref last_holder = {.id = {1, 1, 1},
                                           .dir = DIR_NSID,
                                           .name = {"a", 1},
                                           .closes_nsid = LAST_NSID};

static void meet_last(struct fixture *f, struct result *decision)
{
    f->settle.done = on_settled;
    settle_start(&f->settle, &f->node, &last_holder);
    tell_decision(f, decision);
}

static void find_last(struct fixture *f, struct domain met,
                      struct result *decision)
{
    f->settle.done = on_settled;
    settle_force(&f->settle, &f->node, &last_holder, met);
    tell_decision(f, decision);
}

static struct domain nothing_else(void)
{
    return (struct domain){.count = 0};
}

/* And nothing else of it. */
static void resolve_last(struct fixture *f, bool commit)
{
    expect_alone(f, COMMAND_TXN_RESOLVE, LAST_NSID, "");
    assert_int_equal(f->router.command.commit, commit);
    end_part(f, COMMAND_TXN_RESOLVE, LAST_NSID + 1, "", 0);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_FIRST);
    succeed(f, COMMAND_TXN_RESOLVE);
    assert_failed(f, 0);
    assert_null(f->router.call); /* No FORGET. */
}

static struct result committed_with(struct slice below)
{
    return (struct result){.decided = true, .committed = true, .data = below};
}

static void test_who_meets_an_abort_opens_what_he_has_met(void **state)
{
    struct fixture *f = *state;

    meet_last(f, &(struct result){.decided = true});
    resolve_last(f, false);
}

static void test_who_finds_an_abort_opens_all_that_he_has_found(void **state)
{
    struct fixture *f = *state;
    struct domain met = nothing_else();

    domain_add(&met, BELOW_NSID);
    domain_add(&met, LAST_NSID);
    find_last(f, met, &(struct result){.decided = true});
    assert_false(f->router.command.commit);
    pass_below(f, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_FIRST);
    succeed(f, COMMAND_TXN_RESOLVE);
    assert_failed(f, 0);
    assert_null(f->router.call);
}

/* There may be thousands of them, and the coordinator is at work. */
static void test_who_waits_for_one_of_many_resolves_that_one(void **state)
{
    struct fixture *f = *state;
    uint8_t below[16] = {0};
    struct result decision =
        committed_with((struct slice){below, sizeof below});

    meet_last(f, &decision);
    resolve_last(f, true);
}

/* Behind FORGET nobody would know what is to become of them. */
static void
test_who_finds_a_commit_resolves_all_before_it_is_forgotten(void **s)
{
    struct fixture *f = *s;
    uint8_t below[16];
    struct result decision =
        committed_with((struct slice){below, sizeof below});

    be64_put(below, BELOW_NSID);
    be64_put(below + 8, LAST_NSID);
    find_last(f, nothing_else(), &decision);
    assert_true(f->router.command.commit);
    pass_below(f, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_FIRST);
    answer(f, COMMAND_TXN_RESOLVE, 0,
           &(struct result){.left = TXN_LEFT_PARTS,
                            .holder = {.closes_nsid = CLOSED_NSID}});
    expect_alone(f, COMMAND_TXN_RESOLVE, CLOSED_NSID, "");
    end_part(f, COMMAND_TXN_RESOLVE, CLOSED_NSID + 1, "", 0);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_ENDS);
    succeed(f, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->done, 0);
    succeed(f, COMMAND_TXN_FORGET);
    assert_failed(f, 0);
}

static void test_a_list_that_makes_no_sense_resolves_nothing(void **state)
{
    struct fixture *f = *state;

    struct result decision = committed_with(slice_of("abc"));

    find_last(f, nothing_else(), &decision);
    assert_failed(f, ERR_CORRUPT);
    assert_null(f->router.call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_below_it_are_closed_and_brought),
        TEST(test_all_below_it_are_open_again_without_their_files),
        TEST(test_many_below_it_take_few_commands),
        TEST(test_many_that_become_strong_have_their_times),
        TEST(test_a_list_goes_on_where_a_region_has_stopped),
        TEST(test_an_answer_of_too_many_aborts_it),
        TEST(test_all_below_it_are_opened_and_get_their_names),
        TEST(test_who_meets_an_abort_opens_what_he_has_met),
        TEST(test_who_finds_an_abort_opens_all_that_he_has_found),
        TEST(test_who_waits_for_one_of_many_resolves_that_one),
        TEST(test_who_finds_a_commit_resolves_all_before_it_is_forgotten),
        TEST(test_a_list_that_makes_no_sense_resolves_nothing),
    };

    return cmocka_run_group_tests_name("txn_below", tests, NULL, NULL);
}
