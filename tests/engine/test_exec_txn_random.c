/* SPDX-License-Identifier: Apache-2.0 */

/* Several directory transactions at once, mixed with commands on files, in
 * any order, against a list of names. What a reader sees is the list: it
 * changes where a transaction is decided, and with each command on files. */

#include <string.h>

#include "exec_fixture.h"
#include "exec_model.h"

enum { PENDING_MAX = 5, SEEDS = 80, STEPS = 400, CHUNKED = 70000 };

struct pending {
    struct test_txn txn;
    bool used;
    bool decided;
    bool committed;
    bool resolved;
    uint64_t closes;
};

static struct pending pendings[PENDING_MAX];

/* ---- what transactions hold ---- */

static bool holds(const struct pending *p, uint64_t dir, const char *name)
{
    const struct command *c = &p->txn.command;
    struct slice s = slice_of(name);

    return p->used && !p->resolved &&
           ((c->dir == dir && slice_equal(c->name, s)) ||
            (c->to_dir == dir && slice_equal(c->to_name, s)));
}

static bool is_held(uint64_t dir, const char *name)
{
    for (size_t i = 0; i < PENDING_MAX; i++)
        if (holds(&pendings[i], dir, name))
            return true;
    return false;
}

static bool is_closing(uint64_t nsid)
{
    for (size_t i = 0; i < PENDING_MAX; i++)
        if (pendings[i].used && !pendings[i].resolved &&
            pendings[i].closes == nsid)
            return true;
    return false;
}

/* What closing an open namespace answers: an intent in it has to be decided
 * first. */
static int closing_rc(struct exec_fixture *f, uint64_t nsid)
{
    if (count_names(f, nsid) == 0)
        return 0;
    for (size_t i = 0; i < PENDING_MAX; i++)
        for (size_t j = 0; j < MODEL_LETTERS; j++)
            if (holds(&pendings[i], nsid, model_letters[j]))
                return ERR_LOCKED;
    return ERR_NOT_EMPTY;
}

static void check_holder(struct exec_fixture *f, int rc)
{
    bool found = rc != ERR_LOCKED;

    for (size_t i = 0; i < PENDING_MAX; i++)
        if (pendings[i].used && !pendings[i].resolved &&
            txn_id_equal(f->result.holder.id, pendings[i].txn.command.txn.id))
            found = true;
    assert_true(found);
}

/* ---- what is expected of PREPARE ---- */

static int expect_mkdir(uint64_t dir, const char *name)
{
    if (is_held(dir, name))
        return ERR_LOCKED;
    if (model_find(dir, name) != NULL)
        return ERR_EXISTS;
    return is_closing(dir) ? ERR_LOCKED : 0;
}

static int expect_rmdir(struct exec_fixture *f, uint64_t dir, const char *name)
{
    const struct model_name *old = model_find(dir, name);

    if (is_held(dir, name))
        return ERR_LOCKED;
    if (old == NULL)
        return ERR_NOT_FOUND;
    return old->is_dir ? closing_rc(f, old->id) : ERR_NOT_DIR;
}

static int expect_rename(struct exec_fixture *f, const struct command *c,
                         const struct model_name *from,
                         const struct model_name *to)
{
    int rc = model_rename_rc(from, to, c->flags);

    if (rc != 0 || from == to)
        return rc;
    if (to != NULL && from->is_dir && to->is_dir &&
        (c->flags & REQUEST_EXCHANGE) == 0)
        rc = closing_rc(f, to->id);
    return rc == 0 && is_closing(c->to_dir) ? ERR_LOCKED : rc;
}

/* ---- steps of transactions ---- */

static uint64_t closed_by(const struct test_txn *txn)
{
    for (size_t i = 0; i < txn->change_count; i++)
        if (txn->changes[i].kind == CATALOG_REMOVE)
            return txn->changes[i].nsid;
    return 0;
}

static unsigned pick_flags(struct exec_fixture *f)
{
    static const unsigned flags[] = {0, 0, REQUEST_NOREPLACE, REQUEST_EXCHANGE};

    return flags[pick(f, ARRAY_SIZE(flags))];
}

static int pick_txn(struct exec_fixture *f, struct test_txn *ret)
{
    uint64_t dir = model_pick_dir(f);
    uint64_t to_dir = model_pick_dir(f);
    const char *name = model_pick_name(f);
    const char *to_name = model_pick_name(f);

    switch (pick(f, 4)) {
    case 0:
        *ret = txn_mkdir(f, dir, name);
        return expect_mkdir(dir, name);
    case 1:
        *ret = txn_rmdir(f, dir, name);
        return expect_rmdir(f, dir, name);
    default:
        *ret = txn_rename(f, dir, name, to_dir, to_name, pick_flags(f));
        if (is_held(dir, name) || is_held(to_dir, to_name))
            return ERR_LOCKED;
        return expect_rename(f, &ret->command, model_find(dir, name),
                             model_find(to_dir, to_name));
    }
}

static void begin(struct exec_fixture *f, struct pending *p)
{
    struct test_txn txn;
    int expected = pick_txn(f, &txn);
    int rc = prepare(f, &txn);

    assert_int_equal(rc, expected);
    check_holder(f, rc);
    if (rc != 0)
        return;
    if (txn.change_count == 0)
        model_apply(&txn); /* Without a directory: done. */
    else
        *p = (struct pending){
            .txn = txn, .used = true, .closes = closed_by(&txn)};
}

static void decide_it(struct exec_fixture *f, struct pending *p)
{
    bool refused = model_makes_circle(&p->txn);

    assert_int_equal(decide(f, &p->txn), refused ? ERR_INVALID : 0);
    p->decided = true;
    p->committed = !refused;
    if (!refused)
        model_apply(&p->txn);
}

static void abort_it(struct exec_fixture *f, struct pending *p)
{
    assert_int_equal(abort_txn(f, &p->txn), 0);
    assert_true(f->result.decided);
    assert_int_equal(f->result.committed, p->committed);
    p->decided = true;
}

static void resolve_it(struct exec_fixture *f, struct pending *p)
{
    assert_int_equal(resolve(f, &p->txn, p->committed), 0);
    p->resolved = true;
}

static void forget_it(struct exec_fixture *f, struct pending *p)
{
    assert_int_equal(forget(f, &p->txn), 0);
    p->used = false;
}

static void advance(struct exec_fixture *f, struct pending *p)
{
    if (!p->used)
        begin(f, p);
    else if (!p->decided && pick(f, 3) > 0)
        decide_it(f, p);
    else if (!p->decided)
        abort_it(f, p);
    else if (pick(f, 4) == 0)
        assert_int_equal(decide(f, &p->txn), p->committed ? 0 : ERR_ABORTED);
    else if (pick(f, 4) == 0)
        abort_it(f, p);
    else if (!p->resolved || pick(f, 3) == 0)
        resolve_it(f, p);
    else
        forget_it(f, p);
}

/* ---- commands on files ---- */

static void step_create(struct exec_fixture *f)
{
    uint64_t dir = model_pick_dir(f);
    const char *name = model_pick_name(f);
    int expected = expect_mkdir(dir, name); /* The same rules. */
    int rc;

    if (model_names_used() > MODEL_NAMES_MAX - 8)
        return;
    rc = create_sized(f, dir, name, pick(f, 2) * CHUNKED);
    assert_int_equal(rc, expected);
    check_holder(f, rc);
    if (rc == 0)
        model_add(dir, name, false, f->ino);
}

static void step_unlink(struct exec_fixture *f)
{
    uint64_t dir = model_pick_dir(f);
    const char *name = model_pick_name(f);
    struct model_name *old = model_find(dir, name);
    int rc = unlink_file(f, dir, name);

    if (is_held(dir, name)) {
        assert_int_equal(rc, ERR_LOCKED);
    } else if (old == NULL) {
        assert_int_equal(rc, ERR_NOT_FOUND);
    } else {
        assert_int_equal(rc, old->is_dir ? ERR_IS_DIR : 0);
        if (rc == 0)
            old->dir = 0;
    }
}

static void step_rename(struct exec_fixture *f)
{
    struct command c = {.dir = model_pick_dir(f),
                        .to_dir = model_pick_dir(f),
                        .flags = pick_flags(f)};
    const char *name = model_pick_name(f);
    const char *to_name = model_pick_name(f);
    int rc = rename_file(f, c.dir, name, c.to_dir, to_name, c.flags);
    struct model_name *from = model_find(c.dir, name);

    check_holder(f, rc);
    if (is_held(c.dir, name))
        assert_int_equal(rc, ERR_LOCKED);
    else if (from == NULL)
        assert_int_equal(rc, ERR_NOT_FOUND);
    else if (is_held(c.to_dir, to_name))
        assert_int_equal(rc, ERR_LOCKED);
    if (rc != 0)
        return;
    assert_int_equal(
        model_rename_rc(from, model_find(c.to_dir, to_name), c.flags), 0);
    model_rename(from, model_find(c.to_dir, to_name), &c, to_name);
}

/* ---- runs ---- */

static void random_step(struct exec_fixture *f)
{
    uint64_t what = pick(f, 10);

    if (what == 0)
        step_create(f);
    else if (what == 1)
        step_unlink(f);
    else if (what == 2)
        step_rename(f);
    else
        advance(f, &pendings[pick(f, PENDING_MAX)]);
    check_state(f);
    assert_string_equal(tree(f), model_tree());
}

static void finish_all(struct exec_fixture *f)
{
    for (size_t i = 0; i < PENDING_MAX; i++) {
        while (pendings[i].used)
            advance(f, &pendings[i]);
    }
    check_settled(f);
    assert_string_equal(tree(f), model_tree());
}

static void run_seed(uint64_t seed)
{
    struct exec_fixture *f;

    (void)setup_exec((void **)&f);
    f->random = seed * 7919;
    model_clear();
    memset(pendings, 0, sizeof pendings);
    for (int step = 0; step < STEPS; step++)
        random_step(f);
    finish_all(f);
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

    return cmocka_run_group_tests_name("exec_txn_random", tests, NULL, NULL);
}
