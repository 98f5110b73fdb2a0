/* SPDX-License-Identifier: Apache-2.0 */

/* Any number of transactions over regions that come and go, in any order. */

#include <sys/stat.h>

#include "exec_model.h"
#include "exec_regions.h"

enum { CHUNKED = 70000, PENDING_MAX = 4, SEEDS = 150, STEPS = 300 };

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
    if (c->txn_kind == TXN_TO_STRONG)
        return;
    if (c->txn_kind != TXN_TO_EVENTUAL || c->offset == 0) {
        assert_int_equal(count_names(f, from->id), 0);
        assert_false(model_has_dir(from->id));
    }
}

/* What the regions cannot know. */
static void check_refused(const struct test_txn *txn, int rc)
{
    bool circle = model_makes_circle(txn);

    assert_true(rc == ERR_ABORTED || rc == ERR_NOT_FOUND || rc == ERR_BUSY ||
                (rc == ERR_INVALID && circle));
}

/* ---- modes ---- */

static int change_mode(struct exec_fixture *f, enum command_op op,
                       uint64_t nsid, enum mode_state mode)
{
    return run(f, &(struct command){.op = op,
                                    .ino = ino_of_nsid(nsid),
                                    .size = (uint64_t)mode,
                                    .offset = mode_of(f, nsid).epoch});
}

/* To whichever mode it does not have; what is strong is filled for it, or is
 * not, as it may be empty. */
static struct test_txn change_it(struct exec_fixture *f, uint64_t dir,
                                 const char *name, uint64_t nsid)
{
    struct mode mode = mode_of(f, nsid);
    struct test_txn txn;

    if (mode.state == MODE_STRONG) {
        if (pick(f, 3) > 0)
            (void)change_mode(f, COMMAND_DIR_FILL, nsid, MODE_STRONG);
        txn = txn_to_eventual(f, dir, name, nsid);
        txn.command.offset = mode_of(f, nsid).since;
        return txn;
    }
    (void)change_mode(f, COMMAND_DIR_MODE, nsid, MODE_FENCED);
    return txn_to_strong(f, dir, name, nsid, mode_of(f, nsid).epoch);
}

/* Whoever changes it finds it other than it was. */
static void forget_change(struct exec_fixture *f)
{
    uint64_t nsid = model_pick_dir(f);
    struct mode mode = mode_of(f, nsid);

    if (mode.domain != nsid)
        return; /* It goes by where that has its own. */
    if (mode.state == MODE_FENCED)
        assert_int_equal(change_mode(f, COMMAND_DIR_MODE, nsid, MODE_EVENTUAL),
                         0);
    else if (mode_is_filling(mode))
        assert_int_equal(change_mode(f, COMMAND_DIR_MODE, nsid, MODE_STRONG),
                         0);
}

/* ---- transactions ---- */

static void begin(struct exec_fixture *f, struct pending *p)
{
    static const unsigned flags[] = {0, 0, REQUEST_NOREPLACE, REQUEST_EXCHANGE};
    uint64_t dir = model_pick_dir(f);
    const char *name = model_pick_name(f);
    unsigned kind = (unsigned)pick(f, 5);
    uint64_t to_dir = model_pick_dir(f);
    const char *to_name = model_pick_name(f);
    const struct model_name *there = model_find(dir, name);
    struct test_txn txn;

    if (kind == 2 && (there == NULL || !there->is_dir))
        kind = 3;
    switch (kind) {
    case 0:
        txn = txn_mkdir(f, dir, name);
        break;
    case 1:
        txn = txn_rmdir(f, dir, name);
        break;
    case 2:
        txn = change_it(f, dir, name, there->id);
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
    p->r = resolve_below(&p->p.ref, commit, &p->p.below);
}

static void decide_it(struct exec_fixture *f, struct pending *p)
{
    int rc = decide_prepared(f, &p->p);

    if (rc == 0) {
        assert_false(model_makes_circle(&p->p.txn));
        check_may_commit(f, &p->p.txn);
        model_apply(&p->p.txn);
    } else {
        check_refused(&p->p.txn, rc);
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

/* Names of directories below an eventual one are in the catalog alone. */
static void add_directory(struct exec_fixture *f)
{
    uint64_t dir = model_pick_dir(f);
    const char *name = model_pick_name(f);

    if (model_names_used() < MODEL_NAMES_MAX - 8 &&
        run(f, &(struct command){.op = COMMAND_DIR_ADD,
                                 .dir = dir,
                                 .name = slice_of(name),
                                 .set.mode = S_IFDIR | 0755}) == 0)
        model_add(dir, name, true, nsid_of_ino(f->result.attr.ino));
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
    else if (what == 2 && pick(f, 20) == 0)
        forget_change(f);
    else if (what == 2 && pick(f, 8) == 0)
        add_directory(f);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_see_what_was_decided_and_nothing_else),
    };

    return cmocka_run_group_tests_name("exec_txn_regions_random", tests, NULL,
                                       NULL);
}
