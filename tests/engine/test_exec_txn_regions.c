/* SPDX-License-Identifier: Apache-2.0 */

/* Transactions over several regions: whatever lies where, and whoever dies
 * when, they take effect as a whole or not at all, and leave nothing. */

#include <string.h>
#include <sys/stat.h>

#include "exec_fixture.h"
#include "exec_model.h"
#include "exec_regions.h"

#define ROOT NSID_ROOT

/* What the tests of outcomes begin with. */
#define TREE "d/=101 d/f=104 e/=102 i=105 j=106 o/=103 o/g=107"

enum {
    D = 101,
    E = 102,
    O = 103,
    FIRST_INO = 104,
    CHUNKED = 70000,
    PENDING_MAX = 4,
    SEEDS = 150,
    STEPS = 300
};

/* Of the least one: its content lies in its entry, or in chunks. */
static size_t file_size = 10;

static int setup_tree(void **state)
{
    struct exec_fixture *f;

    (void)setup_exec(state);
    f = *state;
    (void)make_dir(f, ROOT, "d");
    (void)make_dir(f, ROOT, "e");
    (void)make_dir(f, ROOT, "o");
    assert_int_equal(create(f, D, "f"), 0);
    assert_int_equal(create_sized(f, ROOT, "i", file_size), 0);
    assert_int_equal(create_sized(f, ROOT, "j", 3 * file_size), 0);
    assert_int_equal(create_sized(f, O, "g", 2 * file_size), 0);
    assert_string_equal(tree(f), TREE);
    return 0;
}

/* Whoever has taken it where: a file is what it was. */
static void check_file(struct exec_fixture *f, uint64_t dir, const char *name,
                       struct attr attr)
{
    const uint64_t sizes[] = {0, file_size, 3 * file_size, 2 * file_size};
    uint64_t size = sizes[attr.ino - FIRST_INO];
    const char *bytes;

    assert_int_equal(attr.size, size);
    assert_int_equal(
        run_read_again(f, &(struct command){.op = COMMAND_READ,
                                            .dir = dir,
                                            .name = slice_of(name),
                                            .ino = attr.ino,
                                            .size = WRITE_SIZE_MAX}),
        0);
    assert_int_equal(f->result.data.size, size);
    bytes = f->result.data.data;
    for (uint64_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], 'a' + (int)((attr.ino - 1) % 26));
}

static void check_contents(struct exec_fixture *f)
{
    static const uint64_t dirs[] = {ROOT, D, E, O};
    static const char *const names[] = {"d", "e", "f", "g", "i", "j", "n"};

    for (size_t i = 0; i < ARRAY_SIZE(dirs) * ARRAY_SIZE(names); i++) {
        uint64_t dir = dirs[i % ARRAY_SIZE(dirs)];
        const char *name = names[i / ARRAY_SIZE(dirs)];

        if (lookup(f, dir, name) == 0 && S_ISREG(f->result.attr.mode))
            check_file(f, dir, name, f->result.attr);
    }
}

/* Each name, and each half of a directory, in a region of its own. */
static void cut_everything(struct exec_fixture *f)
{
    cut_region(f, ROOT, "e");
    cut_region(f, ROOT, "f");
    cut_region(f, ROOT, "j");
    cut_region(f, ROOT, "k");
    cut_region(f, ROOT, "o");
    cut_region(f, D, "");
    cut_region(f, D, "g");
    cut_region(f, E, "");
    cut_region(f, E, "c");
    cut_region(f, E, "k");
    cut_region(f, O, "");
    cut_region(f, O, "h");
    cut_region(f, O + 1, "");
}

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
    file_size = CHUNKED;
    die_after_every_step();
    file_size = 10;
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
    file_size = CHUNKED;
    late_after_every_step();
    file_size = 10;
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
            file_size = what < 4 ? 10 : CHUNKED;
            run_change(&outcomes[i], what % 2 == 0, what % 4 >= 2);
        }
    file_size = 10;
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

/* ---- removing a directory ---- */

/* E lies in three regions; `name` is in the last one. */
static void test_a_directory_is_empty_when_all_its_parts_are(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_prepare p;

    cut_everything(f);
    assert_int_equal(create(f, E, "x"), 0);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), ERR_NOT_EMPTY);
    assert_int_equal(p.steps, 3);
    assert_true(p.begun);
    /* Nobody else can have it committed. */
    resolve_all(f, &p.ref, false);
    check_settled(f);
    assert_int_equal(unlink_file(f, E, "x"), 0);
    txn = txn_rmdir(f, ROOT, "e");
    prepare_end(&p);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), 0);
    prepare_end(&p);
    settle_orphans(f);
}

static void test_a_closed_part_takes_no_name_and_an_open_one_does(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_prepare p = prepare_begin(&txn);

    cut_everything(f);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(create(f, E, "a"), ERR_LOCKED);
    assert_true(txn_id_equal(f->result.holder.id, txn.command.txn.id));
    assert_int_equal(f->result.holder.closes_nsid, E);
    assert_int_equal(create(f, E, "x"), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), ERR_NOT_EMPTY);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
    assert_int_equal(create(f, E, "a"), 0);
}

/* Counts of parts may be anything. */
static void test_a_count_of_one_part_decides_nothing(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_prepare p = prepare_begin(&txn);

    assert_int_equal(create(f, E, "x"), 0);
    cut_region(f, E, "c");
    cut_region(f, E, "k");
    assert_int_equal(unlink_file(f, E, "x"), 0); /* 1 here and -1 there. */
    check_settled(f);
    assert_int_equal(prepare_all(f, &p), 0);
    assert_int_equal(decide_prepared(f, &p), 0);
    resolve_all(f, &p.ref, true);
    check_settled(f);
    prepare_end(&p);
}

static void test_an_undecided_name_in_any_part_is_waited_for(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inner = txn_mkdir(f, E, "x");
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_prepare q = prepare_begin(&inner);
    struct test_prepare p = prepare_begin(&txn);

    cut_everything(f);
    assert_int_equal(prepare_all(f, &q), 0);
    assert_int_equal(prepare_all(f, &p), ERR_LOCKED);
    assert_true(txn_id_equal(f->result.holder.id, inner.command.txn.id));
    settle_txn(f, &q.ref);
    assert_int_equal(prepare_all(f, &p), 0);
    prepare_end(&q);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
}

/* The source itself lies in the directory that is to be replaced. */
static void test_a_parent_is_not_replaced_by_what_is_in_it(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn;
    struct test_prepare p;

    (void)make_dir(f, E, "x");
    cut_region(f, E, "");
    cut_region(f, E, "k");
    txn = txn_rename(f, E, "x", ROOT, "e", 0);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), ERR_NOT_EMPTY);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
}

/* ---- renames ---- */

static void test_a_refused_target_lets_the_source_go(void **state)
{
    static const struct {
        const char *name;
        const char *to_name;
        unsigned flags;
        int rc;
    } refused[] = {
        {"i", "j", REQUEST_NOREPLACE, ERR_EXISTS},
        {"i", "n", REQUEST_EXCHANGE, ERR_NOT_FOUND},
        {"i", "o", 0, ERR_IS_DIR},
        {"d", "j", 0, ERR_NOT_DIR},
        {"d", "o", 0, ERR_NOT_EMPTY},
    };
    struct exec_fixture *f = *state;

    cut_everything(f);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct test_txn txn = txn_rename(f, ROOT, refused[i].name, ROOT,
                                         refused[i].to_name, refused[i].flags);
        struct test_prepare p = prepare_begin(&txn);

        assert_int_equal(prepare_all(f, &p), refused[i].rc);
        resolve_all(f, &p.ref, false);
        prepare_end(&p);
        check_settled(f);
        assert_string_equal(tree(f), TREE);
    }
}

/* Whatever the versions are in the region where it comes to. */
static void test_a_version_grows_over_regions(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rename(f, ROOT, "i", O, "n", 0);
    struct test_prepare p = prepare_begin(&txn);
    uint64_t before;

    cut_everything(f);
    assert_int_equal(lookup(f, ROOT, "i"), 0);
    before = f->result.attr.version;
    assert_int_equal(prepare_step(f, &p), 0);
    f->version = 3;
    assert_int_equal(prepare_step(f, &p), 0);
    assert_true(f->version > before);
    assert_int_equal(decide_prepared(f, &p), 0);
    resolve_all(f, &p.ref, true);
    prepare_end(&p);
    assert_int_equal(lookup(f, O, "n"), 0);
    assert_true(f->result.attr.version > before);
    assert_int_equal(f->result.attr.size, 10);
    check_settled(f);
}

/* ---- any number of them, in any order ---- */

struct pending {
    struct test_prepare p;
    struct test_resolve r;
    enum { FREE, PREPARING, RESOLVING } at;
};

static struct pending pendings[PENDING_MAX];

/* By the names alone; the rest is for region 0. */
static void check_may_commit(struct exec_fixture *f, const struct test_txn *txn)
{
    const struct command *c = &txn->command;
    const struct model_name *from = model_find(c->dir, c->name.data);
    const struct model_name *to;

    if (c->txn_kind == TXN_MKDIR) {
        assert_null(from);
        return;
    }
    assert_non_null(from);
    if (c->txn_kind == TXN_RENAME) {
        to = model_find(c->to_dir, c->to_name.data);
        assert_int_equal(model_rename_rc(from, to, c->flags), 0);
        if (to == NULL || !to->is_dir || (c->flags & REQUEST_EXCHANGE) != 0)
            return;
        from = to;
    }
    assert_true(from->is_dir);
    assert_int_equal(count_names(f, from->id), 0);
}

static void begin(struct exec_fixture *f, struct pending *p)
{
    static const unsigned flags[] = {0, 0, REQUEST_NOREPLACE, REQUEST_EXCHANGE};
    uint64_t dir = model_pick_dir(f);
    const char *name = model_pick_name(f);
    unsigned kind = (unsigned)pick(f, 4);
    uint64_t to_dir = model_pick_dir(f);
    const char *to_name = model_pick_name(f);
    struct test_txn txn;

    switch (kind) {
    case 0:
        txn = txn_mkdir(f, dir, name);
        break;
    case 1:
        txn = txn_rmdir(f, dir, name);
        break;
    default:
        txn = txn_rename(f, dir, name, to_dir, to_name,
                         flags[pick(f, ARRAY_SIZE(flags))]);
    }
    p->p = prepare_begin(&txn);
    p->at = PREPARING;
}

static void resolve_it(struct pending *p, bool commit)
{
    p->at = RESOLVING;
    p->r = resolve_begin(&p->p.ref, commit);
}

static void decide_it(struct exec_fixture *f, struct pending *p)
{
    bool circle = model_makes_circle(&p->p.txn);
    int rc = decide_prepared(f, &p->p);

    if (rc == 0) {
        assert_false(circle);
        check_may_commit(f, &p->p.txn);
        model_apply(&p->p.txn);
    } else {
        assert_true(rc == ERR_ABORTED || (rc == ERR_INVALID && circle) ||
                    rc == ERR_NOT_FOUND);
    }
    resolve_it(p, rc == 0);
}

static void give_up(struct pending *p)
{
    prepare_end(&p->p);
    p->at = FREE;
}

static void go_on(struct exec_fixture *f, struct pending *p)
{
    int rc;

    if (p->p.complete) {
        decide_it(f, p);
        return;
    }
    rc = prepare_step(f, &p->p);
    if (rc == ERR_LOCKED && pick(f, 4) == 0)
        settle_txn(f, &f->result.holder);
    if (rc != 0 && p->p.begun)
        resolve_it(p, false);
    else if (rc != 0)
        give_up(p);
    else if (p->p.has_happened) {
        model_apply(&p->p.txn);
        give_up(p);
    }
}

static void advance(struct exec_fixture *f, struct pending *p)
{
    if (p->at == FREE) {
        begin(f, p);
    } else if (pick(f, 30) == 0) {
        give_up(p); /* It dies. */
    } else if (pick(f, 30) == 0) {
        settle_txn(f, &p->p.ref);
    } else if (p->at == PREPARING) {
        go_on(f, p);
    } else {
        resolve_step(f, &p->r);
        if (p->r.done)
            give_up(p);
    }
}

static void change_files(struct exec_fixture *f)
{
    uint64_t dir = model_pick_dir(f);
    const char *name = model_pick_name(f);
    struct model_name *old = model_find(dir, name);

    if (pick(f, 2) == 0) {
        if (model_names_used() < MODEL_NAMES_MAX - 8 &&
            create_sized(f, dir, name, pick(f, 2) * CHUNKED) == 0) {
            assert_null(old);
            model_add(dir, name, false, f->ino);
        }
    } else if (unlink_file(f, dir, name) == 0) {
        assert_false(old->is_dir);
        old->dir = 0;
    }
}

static void change_regions(struct exec_fixture *f)
{
    static const char *const names[] = {"", "a", "b", "bb", "c", "d"};

    if (f->cut_count > 0 && pick(f, CUTS_MAX) < f->cut_count)
        join_regions(f, pick(f, f->cut_count));
    else
        cut_region(f, pick(f, 8) == 0 ? f->ino + 1 : model_pick_dir(f),
                   names[pick(f, ARRAY_SIZE(names))]);
}

static void random_step(struct exec_fixture *f)
{
    uint64_t what = pick(f, 10);

    if (what == 0)
        change_files(f);
    else if (what == 1)
        change_regions(f);
    else if (what == 2 && pick(f, 20) == 0)
        settle_orphans(f);
    else
        advance(f, &pendings[pick(f, PENDING_MAX)]);
    check_state(f);
    assert_string_equal(tree(f), model_tree());
}

static void run_seed(uint64_t seed)
{
    struct exec_fixture *f;

    (void)setup_exec((void **)&f);
    f->random = seed * 104729;
    model_clear();
    for (int step = 0; step < STEPS; step++)
        random_step(f);
    for (size_t i = 0; i < PENDING_MAX; i++)
        give_up(&pendings[i]);
    settle_orphans(f);
    check_settled(f);
    assert_string_equal(tree(f), model_tree());
    (void)teardown_exec((void **)&f);
}

static void test_readers_see_what_was_decided_and_nothing_else(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
}

#define ON_TREE(test)                                                          \
    cmocka_unit_test_setup_teardown(test, setup_tree, teardown_exec)

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
        ON_TREE(test_a_directory_is_empty_when_all_its_parts_are),
        ON_TREE(test_a_closed_part_takes_no_name_and_an_open_one_does),
        ON_TREE(test_a_count_of_one_part_decides_nothing),
        ON_TREE(test_an_undecided_name_in_any_part_is_waited_for),
        ON_TREE(test_a_parent_is_not_replaced_by_what_is_in_it),
        ON_TREE(test_a_refused_target_lets_the_source_go),
        ON_TREE(test_a_version_grows_over_regions),
        cmocka_unit_test(test_readers_see_what_was_decided_and_nothing_else),
    };

    return cmocka_run_group_tests_name("exec_txn_regions", tests, NULL, NULL);
}
