/* SPDX-License-Identifier: Apache-2.0 */

/* Random entries of region 0 on a few directories, strong and eventual ones
 * with and without modes of their own: whose mode a directory has agrees with
 * where it is, and who follows the catalog knows what is in it. */

#include <sys/stat.h>

#include "engine/modes.h"
#include "exec_fixture.h"

#define ROOT NSID_ROOT

enum { SEEDS = 60, ENTRIES = 400, DIRS_MAX = 16 };

static const char *const names[] = {"a", "b", "c", "d"};

struct known {
    uint64_t nsid;
    uint64_t parent;
    const char *name;
};

struct play {
    struct exec_fixture *f;
    struct modes *modes; /* followed entry by entry */
    struct known dirs[DIRS_MAX];
    size_t count;
};

/* How often what was done. */
static struct {
    unsigned own;
    unsigned inherited;
    unsigned changed_trees; /* moved there */
    unsigned exchanged;
    unsigned eventual;
    unsigned strong;
    unsigned removed;
    unsigned strong_below; /* an eventual one */
} seen;

static struct known *pick_dir(struct play *play)
{
    return &play->dirs[pick(play->f, play->count)];
}

static const char *pick_name(struct play *play)
{
    return names[pick(play->f, ARRAY_SIZE(names))];
}

static struct command on_dir(struct play *play, enum command_op op,
                             const struct known *dir)
{
    return (struct command){.op = op,
                            .dir = dir->parent,
                            .name = slice_of(dir->name),
                            .ino = ino_of_nsid(dir->nsid),
                            .offset = mode_of(play->f, dir->nsid).epoch};
}

/* ---- entries: each returns the directory whose mode may have changed ---- */

static void know(struct play *play, uint64_t nsid, uint64_t parent,
                 const char *name)
{
    play->dirs[play->count++] = (struct known){nsid, parent, name};
}

static uint64_t add(struct play *play)
{
    struct known *parent = pick_dir(play);
    struct command c = {.op = COMMAND_DIR_ADD,
                        .dir = parent->nsid,
                        .set = {.mode = S_IFDIR | 0700}};
    const char *name = pick_name(play);

    c.name = slice_of(name);
    if (play->count == DIRS_MAX || run(play->f, &c) != 0)
        return 0;
    know(play, nsid_of_ino(play->f->result.attr.ino), parent->nsid, name);
    return play->dirs[play->count - 1].nsid;
}

static uint64_t own(struct play *play)
{
    struct known *dir = pick_dir(play);
    struct command c = on_dir(play, COMMAND_DIR_OWN, dir);

    c.size = pick(play->f, 2);
    if (run(play->f, &c) == 0)
        *(c.size != 0 ? &seen.own : &seen.inherited) += 1;
    return dir->nsid;
}

static uint64_t move(struct play *play)
{
    struct known *dir = pick_dir(play);
    struct known *to = pick_dir(play);
    struct command c = on_dir(play, COMMAND_DIR_MOVE, dir);
    const char *name = pick_name(play);
    uint64_t from = mode_of(play->f, dir->parent).domain;

    c.to_dir = to->nsid;
    c.to_name = slice_of(name);
    if (run(play->f, &c) != 0)
        return 0;
    if (from != mode_of(play->f, to->nsid).domain)
        seen.changed_trees++;
    dir->parent = to->nsid;
    dir->name = name;
    return 0;
}

static uint64_t exchange(struct play *play)
{
    struct known *dir = pick_dir(play);
    struct known *other = pick_dir(play);
    struct command c = on_dir(play, COMMAND_DIR_MOVE, dir);
    struct known before = *dir;
    bool is_alike = mode_of(play->f, dir->parent).domain ==
                    mode_of(play->f, other->parent).domain;

    c.to_dir = other->parent;
    c.to_name = slice_of(other->name);
    c.flags = REQUEST_EXCHANGE;
    if (run(play->f, &c) != 0 || dir == other)
        return 0;
    seen.exchanged++;
    seen.changed_trees += is_alike ? 0 : 1;
    dir->parent = other->parent;
    dir->name = other->name;
    other->parent = before.parent;
    other->name = before.name;
    return 0;
}

static uint64_t remove_dir(struct play *play)
{
    struct known *dir = pick_dir(play);
    struct command c = on_dir(play, COMMAND_DIR_REMOVE, dir);
    uint64_t nsid = dir->nsid;

    if (run(play->f, &c) != 0)
        return 0;
    seen.removed++;
    *dir = play->dirs[--play->count];
    return nsid;
}

static uint64_t set_state(struct play *play)
{
    struct known *dir = pick_dir(play);
    struct command c = on_dir(play, COMMAND_DIR_MODE, dir);

    c.size = pick(play->f, MODE_FENCED + 1);
    (void)run(play->f, &c);
    return dir->nsid;
}

static uint64_t fill(struct play *play)
{
    struct known *dir = pick_dir(play);
    struct command c = on_dir(play, COMMAND_DIR_FILL, dir);

    (void)run(play->f, &c);
    return dir->nsid;
}

/* What data regions have to do with it is no matter here. */
static uint64_t decide_mode(struct play *play)
{
    struct known *dir = pick_dir(play);
    struct mode mode = mode_of(play->f, dir->nsid);
    bool is_strong = mode.state == MODE_STRONG;
    struct test_txn txn =
        txn_to_strong(play->f, dir->parent, dir->name, dir->nsid, mode.epoch);

    txn.changes[0] = (struct catalog_change){
        .kind = is_strong ? CATALOG_EVENTUAL : CATALOG_STRONG,
        .nsid = dir->nsid,
        .attr.version = is_strong ? mode.since : mode.epoch,
    };
    txn.change_count = 1;
    if (decide(play->f, &txn) == 0)
        *(is_strong ? &seen.eventual : &seen.strong) += 1;
    return dir->nsid;
}

/* ---- what holds behind each of them ---- */

static void expect_same(struct mode a, struct mode b)
{
    assert_int_equal(a.state, b.state);
    assert_int_equal(a.since, b.since);
    if (a.state == MODE_STRONG && a.since == 0)
        return;
    assert_int_equal(a.domain, b.domain);
    assert_int_equal(a.epoch, b.epoch);
}

/* Only one with a mode of its own differs from the directory that it is in, and
 * that this is strong by itself does not show. A fence with which one is to be
 * removed comes to those below it, too, and goes with it. */
static void check_dir(struct play *play, const struct known *dir)
{
    struct mode mode = mode_of(play->f, dir->nsid);
    struct mode parent = mode_of(play->f, dir->parent);

    expect_same(modes_find(play->modes, dir->nsid), mode);
    if (mode.domain == dir->nsid) {
        seen.strong_below +=
            mode.state == MODE_STRONG && parent.state != MODE_STRONG;
        return;
    }
    if (mode.state == MODE_STRONG && !mode_is_filling(mode))
        assert_int_equal(mode.domain, 0);
    else
        assert_int_equal(mode.domain, parent.domain);
    assert_int_equal(mode_is_filling(mode), mode_is_filling(parent));
    assert_int_equal(mode.state == MODE_STRONG, parent.state == MODE_STRONG);
    if (mode_is_filling(mode) || parent.state == MODE_FENCED) {
        assert_int_equal(mode.state, parent.state);
        assert_int_equal(mode.epoch, parent.epoch);
    }
}

/* ---- all of them ---- */

static void play_one(struct play *play)
{
    static uint64_t (*const entries[])(struct play * play) = {
        add,      own,        own,       move, move,
        exchange, remove_dir, set_state, fill, decide_mode};
    uint64_t nsid = entries[pick(play->f, ARRAY_SIZE(entries))](play);

    assert_int_equal(
        modes_follow(play->modes, play->f->state, nsid, play->f->version), 0);
    for (size_t i = 0; i < play->count; i++)
        check_dir(play, &play->dirs[i]);
}

static void play_seed(uint64_t seed)
{
    struct play play = {.modes = modes_new(1)};

    (void)setup_exec((void **)&play.f);
    play.f->random = seed;
    know(&play, make_dir(play.f, ROOT, "a"), ROOT, "a");
    know(&play, make_dir(play.f, ROOT, "b"), ROOT, "b");
    know(&play, make_dir(play.f, play.dirs[0].nsid, "c"), play.dirs[0].nsid,
         "c");
    for (unsigned i = 0; i < ENTRIES; i++)
        play_one(&play);
    modes_free(play.modes);
    (void)teardown_exec((void **)&play.f);
}

static void test_modes_agree_with_where_directories_are(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        play_seed(seed);
    assert_true(seen.own > 0);
    assert_true(seen.inherited > 0);
    assert_true(seen.changed_trees > 0);
    assert_true(seen.exchanged > 0);
    assert_true(seen.eventual > 0);
    assert_true(seen.strong > 0);
    assert_true(seen.removed > 0);
    assert_true(seen.strong_below > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes_agree_with_where_directories_are),
    };

    return cmocka_run_group_tests_name("exec_own_random", tests, NULL, NULL);
}
