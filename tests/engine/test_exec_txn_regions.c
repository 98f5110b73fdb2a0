/* SPDX-License-Identifier: Apache-2.0 */

/* Transactions over several regions: whatever lies where, and whoever dies
 * when, they take effect as a whole or not at all, and leave nothing. */

#include "exec_regions.h"
#include "exec_regions_tree.h"

enum { CHUNKED = 70000 };

/* Each one by itself on TREE. */
struct outcome {
    enum txn_kind kind;
    uint64_t dir;
    const char *name;
    uint64_t to_dir;
    const char *to_name;
    unsigned flags;
    const char *committed; /* the tree after it */
    unsigned prepares;     /* how many it takes when everything is cut */
};

/* clang-format off */
static const struct outcome outcomes[] = {
    {TXN_MKDIR, ROOT, "n", 0, NULL, 0,
     "d/=101 d/f=104 e/=102 i=105 j=106 n/=108 o/=103 o/g=107", 2},
    {TXN_MKDIR, E, "n", 0, NULL, 0,
     "d/=101 d/f=104 e/=102 e/n/=108 i=105 j=106 o/=103 o/g=107", 2},
    {TXN_RMDIR, ROOT, "e", 0, NULL, 0,
     "d/=101 d/f=104 i=105 j=106 o/=103 o/g=107", 4},
    {TXN_RENAME, ROOT, "d", ROOT, "n", 0,
     "e/=102 i=105 j=106 n/=101 n/f=104 o/=103 o/g=107", 2},
    {TXN_RENAME, ROOT, "d", ROOT, "n", REQUEST_NOREPLACE,
     "e/=102 i=105 j=106 n/=101 n/f=104 o/=103 o/g=107", 2},
    {TXN_RENAME, ROOT, "d", ROOT, "e", 0,
     "e/=101 e/f=104 i=105 j=106 o/=103 o/g=107", 5},
    {TXN_RENAME, ROOT, "d", O, "n", 0,
     "e/=102 i=105 j=106 o/=103 o/g=107 o/n/=101 o/n/f=104", 2},
    {TXN_RENAME, ROOT, "e", D, "e", 0,
     "d/=101 d/e/=102 d/f=104 i=105 j=106 o/=103 o/g=107", 2},
    {TXN_RENAME, ROOT, "d", ROOT, "e", REQUEST_EXCHANGE,
     "d/=102 e/=101 e/f=104 i=105 j=106 o/=103 o/g=107", 3},
    {TXN_RENAME, ROOT, "d", ROOT, "o", REQUEST_EXCHANGE,
     "d/=103 d/g=107 e/=102 i=105 j=106 o/=101 o/f=104", 3},
    {TXN_RENAME, ROOT, "d", ROOT, "i", REQUEST_EXCHANGE,
     "d=105 e/=102 i/=101 i/f=104 j=106 o/=103 o/g=107", 3},
    {TXN_RENAME, O, "g", ROOT, "e", REQUEST_EXCHANGE,
     "d/=101 d/f=104 e=107 i=105 j=106 o/=103 o/g/=102", 3},
    {TXN_RENAME, ROOT, "i", ROOT, "j", 0,
     "d/=101 d/f=104 e/=102 j=105 o/=103 o/g=107", 2},
    {TXN_RENAME, ROOT, "i", ROOT, "j", REQUEST_EXCHANGE,
     "d/=101 d/f=104 e/=102 i=106 j=105 o/=103 o/g=107", 3},
    {TXN_RENAME, ROOT, "i", E, "n", REQUEST_NOREPLACE,
     "d/=101 d/f=104 e/=102 e/n=105 j=106 o/=103 o/g=107", 2},
    {TXN_RENAME, O, "g", D, "f", 0,
     "d/=101 d/f=107 e/=102 i=105 j=106 o/=103", 2},
};
/* clang-format on */

static struct test_prepare begin_outcome(struct exec_fixture *f,
                                         const struct outcome *o)
{
    struct test_txn txn;

    if (o->kind == TXN_MKDIR)
        txn = txn_mkdir(f, o->dir, o->name);
    else if (o->kind == TXN_RMDIR)
        txn = txn_rmdir(f, o->dir, o->name);
    else
        txn = txn_rename(f, o->dir, o->name, o->to_dir, o->to_name, o->flags);
    return prepare_begin(&txn);
}

/* The coordinator dies after so many commands. */
static bool run_until(struct exec_fixture *f, struct test_prepare *p,
                      unsigned commands, bool *committed)
{
    struct test_resolve r;

    *committed = false;
    do {
        if (commands-- == 0)
            return false;
        assert_int_equal(prepare_step(f, p), 0);
        check_state(f);
        assert_string_equal(tree(f), TREE);
    } while (!p->complete);
    if (commands-- == 0)
        return false;
    assert_int_equal(decide_prepared(f, p), 0);
    *committed = true;
    for (r = resolve_begin(&p->ref, true); !r.done; resolve_step(f, &r)) {
        check_state(f);
        if (commands-- == 0)
            return false;
    }
    return true;
}

/* Returns whether it got to its end. */
static bool run_outcome(const struct outcome *o, unsigned commands)
{
    struct exec_fixture *f;
    struct test_prepare p;
    bool committed;
    bool ended;

    (void)setup_tree((void **)&f);
    cut_everything(f);
    p = begin_outcome(f, o);
    ended = run_until(f, &p, commands, &committed);
    if (ended) {
        assert_int_equal(p.steps, o->prepares);
        check_settled(f);
    }
    assert_string_equal(tree(f), committed ? o->committed : TREE);
    check_contents(f);
    settle_orphans(f);
    check_settled(f);
    check_contents(f);
    assert_int_equal(count_class(f->state, "ct"), committed ? 0 : commands > 0);
    assert_string_equal(tree(f), committed ? o->committed : TREE);
    prepare_end(&p);
    (void)teardown_exec((void **)&f);
    return ended;
}

static void die_after_every_step(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        unsigned commands = 0;

        while (!run_outcome(&outcomes[i], commands))
            commands++;
    }
}

static void test_a_coordinator_may_die_after_every_step(void **state)
{
    (void)state;
    die_after_every_step();
}

static void test_it_may_die_while_it_brings_content(void **state)
{
    (void)state;
    tree_file_size = CHUNKED;
    die_after_every_step();
    tree_file_size = 10;
}

/* What is settled by somebody else goes on as if nothing had happened, and
 * dies after its next step: a PREPARE that was late. False: it was complete
 * before so many commands. */
static bool run_late(const struct outcome *o, unsigned commands)
{
    struct exec_fixture *f;
    struct test_prepare p;
    int rc = 0;

    (void)setup_tree((void **)&f);
    cut_everything(f);
    p = begin_outcome(f, o);
    for (unsigned i = 0; i < commands && !p.complete; i++)
        assert_int_equal(prepare_step(f, &p), 0);
    settle_txn(f, &p.ref);
    check_settled(f);
    if (!p.complete)
        rc = prepare_step(f, &p);
    assert_true(rc == 0 || rc == ERR_ABORTED);
    check_state(f);
    assert_string_equal(tree(f), TREE);
    assert_int_equal(decide_prepared(f, &p), ERR_ABORTED);
    settle_orphans(f);
    check_settled(f);
    assert_string_equal(tree(f), TREE);
    check_contents(f);
    prepare_end(&p);
    (void)teardown_exec((void **)&f);
    return !p.complete;
}

static void late_after_every_step(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        unsigned commands = 1;

        while (run_late(&outcomes[i], commands))
            commands++;
    }
}

static void test_a_late_prepare_leaves_nothing(void **state)
{
    (void)state;
    late_after_every_step();
    tree_file_size = CHUNKED;
    late_after_every_step();
    tree_file_size = 10;
}

static void join_everything(struct exec_fixture *f)
{
    while (f->cut_count > 0)
        join_regions(f, f->cut_count / 2);
}

/* What was prepared in few regions is resolved in many, or the other way
 * round. */
static void run_change(const struct outcome *o, bool commit, bool join)
{
    struct exec_fixture *f;
    struct test_prepare p;

    (void)setup_tree((void **)&f);
    if (join)
        cut_everything(f);
    p = begin_outcome(f, o);
    assert_int_equal(prepare_all(f, &p), 0);
    if (!p.has_happened) {
        assert_int_equal(commit ? decide_prepared(f, &p) : abort_txn(f, &p.txn),
                         0);
        if (join)
            join_everything(f);
        else
            cut_everything(f);
        if (p.txn.nsid != 0)
            cut_region(f, p.txn.nsid, "m");
        check_state(f);
        resolve_all(f, &p.ref, commit);
    }
    check_settled(f);
    assert_string_equal(tree(f),
                        commit || p.has_happened ? o->committed : TREE);
    check_contents(f);
    join_everything(f);
    check_settled(f);
    prepare_end(&p);
    (void)teardown_exec((void **)&f);
}

static void test_regions_may_change_before_resolve(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
        for (unsigned what = 0; what < 8; what++) {
            tree_file_size = what < 4 ? 10 : CHUNKED;
            run_change(&outcomes[i], what % 2 == 0, what % 4 >= 2);
        }
    tree_file_size = 10;
}

static void test_one_region_takes_one_command_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        struct exec_fixture *f;
        struct test_prepare p;
        struct test_resolve r;

        (void)setup_tree((void **)&f);
        p = begin_outcome(f, &outcomes[i]);
        assert_int_equal(prepare_step(f, &p), 0);
        assert_int_equal(p.left, 0);
        if (!p.has_happened) {
            assert_int_equal(decide_prepared(f, &p), 0);
            r = resolve_begin(&p.ref, true);
            resolve_step(f, &r);
            assert_int_equal(r.at, AT_FORGET);
        }
        check_settled(f);
        assert_string_equal(tree(f), outcomes[i].committed);
        prepare_end(&p);
        (void)teardown_exec((void **)&f);
    }
}

/* Who has met a transaction may come back to it when all is over, and nobody
 * knows any more how it was decided. */
static void test_what_is_over_is_not_undone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        struct exec_fixture *f;
        struct test_prepare p;

        (void)setup_tree((void **)&f);
        p = begin_outcome(f, &outcomes[i]);
        assert_int_equal(prepare_all(f, &p), 0);
        if (!p.has_happened) {
            assert_int_equal(decide_prepared(f, &p), 0);
            resolve_all(f, &p.ref, true);
        }
        settle_txn(f, &p.ref);
        cut_everything(f);
        settle_txn(f, &p.ref);
        check_settled(f);
        assert_string_equal(tree(f), outcomes[i].committed);
        prepare_end(&p);
        (void)teardown_exec((void **)&f);
    }
}

/* The left part is resolved when the right one is joined with it and cut off
 * again, further to the right or to the left. */
static void test_a_part_is_not_held_again(void **state)
{
    (void)state;
    for (unsigned what = 0; what < 8; what++) {
        struct exec_fixture *f;
        struct test_txn txn;
        struct test_prepare p;
        struct test_resolve r;
        bool commit = what % 2 == 0;

        (void)setup_tree((void **)&f);
        txn = (what & 2) != 0 ? txn_rmdir(f, ROOT, "e") : txn_mkdir(f, E, "n");
        p = prepare_begin(&txn);
        cut_region(f, (what & 2) != 0 ? E : txn.nsid, "c");
        assert_int_equal(prepare_all(f, &p), 0);
        assert_int_equal(commit ? decide_prepared(f, &p) : abort_txn(f, &p.txn),
                         0);
        r = resolve_begin(&p.ref, commit);
        resolve_step(f, &r);
        resolve_step(f, &r);
        assert_int_equal(r.at, AT_PARTS);
        join_everything(f);
        cut_region(f, (what & 2) != 0 ? E : txn.nsid,
                   (what & 4) != 0 ? "d" : "b");
        check_state(f);
        while (!r.done)
            resolve_step(f, &r);
        check_settled(f);
        prepare_end(&p);
        (void)teardown_exec((void **)&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_coordinator_may_die_after_every_step),
        cmocka_unit_test(test_it_may_die_while_it_brings_content),
        cmocka_unit_test(test_a_late_prepare_leaves_nothing),
        cmocka_unit_test(test_regions_may_change_before_resolve),
        cmocka_unit_test(test_one_region_takes_one_command_each),
        cmocka_unit_test(test_what_is_over_is_not_undone),
        cmocka_unit_test(test_a_part_is_not_held_again),
    };

    return cmocka_run_group_tests_name("exec_txn_regions", tests, NULL, NULL);
}
