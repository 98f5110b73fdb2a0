/* SPDX-License-Identifier: Apache-2.0 */

/* Files that come with a directory that becomes strong again. */

#include <string.h>
#include <sys/stat.h>

#include "engine/eventual_record.h"
#include "exec_fixture.h"
#include "exec_regions.h"

#define ROOT NSID_ROOT

enum { ITEMS_MAX = 512 * 1024, INO = 500 };

/* Some files, as a command brings them. */
struct items {
    uint8_t bytes[ITEMS_MAX];
    size_t size;
    size_t first_size; /* of the first one */
    char first[8];
    uint64_t ino;
};

static void add_record(struct items *items,
                       const struct eventual_record *record)
{
    struct buf *bytes = eventual_encode(record);

    be32_put(items->bytes + items->size, (uint32_t)bytes->size);
    memcpy(items->bytes + items->size + 4, bytes->data, bytes->size);
    if (items->size == 0) {
        memcpy(items->first, record->name.data, record->name.size);
        items->first[record->name.size] = '\0';
        items->first_size = 4 + bytes->size;
    }
    items->size += 4 + bytes->size;
    buf_unref(bytes);
}

static void add(struct items *items, uint64_t dir, const char *name,
                size_t size)
{
    static uint8_t content[ITEMS_MAX / 2];
    struct eventual_record record = {
        .dir = dir,
        .name = slice_of(name),
        .hlc = 7,
        .origin = 1,
        .attr = {.ino = INO + ++items->ino,
                 .mode = S_IFREG | 0640,
                 .uid = 3,
                 .size = size,
                 .mtime_ns = 11},
        .content = {content, size},
    };

    memset(content, 'c', sizeof content);
    add_record(items, &record);
}

/* The name of a directory. */
static void add_dir(struct items *items, uint64_t dir, const char *name,
                    uint64_t nsid)
{
    const struct eventual_record record = {
        .dir = dir,
        .name = slice_of(name),
        .attr = {.ino = ino_of_nsid(nsid), .mode = S_IFDIR}};

    add_record(items, &record);
}

static int import(struct exec_fixture *f, struct txn_id id, uint64_t dir,
                  const struct items *items)
{
    return run(f, &(struct command){.op = COMMAND_TXN_IMPORT,
                                    .dir = dir,
                                    .name = slice_of(items->first),
                                    .txn = {.id = id},
                                    .data = {items->bytes, items->size}});
}

/* A fenced directory, and the transaction that opens it. */
struct opening {
    uint64_t e;
    struct test_txn txn;
};

static struct opening open_fenced(struct exec_fixture *f)
{
    struct opening o = {.e = make_eventual(f, ROOT, "e")};

    o.txn = txn_to_strong(f, ROOT, "e", o.e,
                          set_mode(f, o.e, MODE_FENCED, mode_of(f, o.e).epoch));
    return o;
}

static void finish(struct exec_fixture *f, struct opening *o)
{
    assert_int_equal(decide(f, &o->txn), 0);
    assert_int_equal(resolve(f, &o->txn, true), 0);
    assert_int_equal(forget(f, &o->txn), 0);
}

static void test_files_come_with_what_is_in_them(void **state)
{
    struct exec_fixture *f = *state;
    struct opening o = open_fenced(f);
    static struct items items;

    items = (struct items){.size = 0};
    add(&items, o.e, "a", 0);
    add(&items, o.e, "b", 10);
    add(&items, o.e, "c", CHUNK_SIZE * 2 + 1);
    assert_int_equal(prepare(f, &o.txn), 0);
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), 0);
    assert_int_equal(f->result.offset, items.size);
    finish(f, &o);
    assert_string_equal(tree(f), "e/=101 e/a=501 e/b=502 e/c=503");
    assert_int_equal(count_names(f, o.e), 3);
    assert_int_equal(lookup(f, o.e, "c"), 0);
    assert_int_equal(f->result.attr.size, CHUNK_SIZE * 2 + 1);
    assert_int_equal(f->result.attr.mode, S_IFREG | 0640);
    assert_int_equal(f->result.attr.uid, 3);
    assert_int_equal(f->result.attr.mtime_ns, 11);
    assert_true(f->result.attr.version <= f->version);
    check_settled(f);
}

/* Who lists it meanwhile goes by an older catalog. */
static void test_names_of_directories_come_with_them(void **state)
{
    struct exec_fixture *f = *state;
    struct opening o = open_fenced(f);
    uint64_t d = make_dir(f, ROOT, "d");
    static struct items items;

    items = (struct items){.size = 0};
    add_dir(&items, o.e, "a", d);
    add(&items, o.e, "b", 10);
    assert_int_equal(prepare(f, &o.txn), 0);
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), 0);
    assert_int_equal(f->result.offset, items.size);
    finish(f, &o);
    assert_int_equal(count_names(f, o.e), 2);
    assert_int_equal(lookup(f, o.e, "a"), 0);
    assert_int_equal(f->result.attr.ino, ino_of_nsid(d));
    assert_true(S_ISDIR(f->result.attr.mode));
    check_settled(f);
}

static void test_nobody_is_told_a_part_of_them(void **state)
{
    struct exec_fixture *f = *state;
    struct opening o = open_fenced(f);
    const struct command list = {
        .op = COMMAND_READDIR, .dir = o.e, .size = READDIR_SIZE_MAX};
    static struct items items;

    items = (struct items){.size = 0};
    add(&items, o.e, "a", 1);
    assert_int_equal(prepare(f, &o.txn), 0);
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), 0);
    assert_int_equal(run_read(f, &list), 0);
    assert_int_equal(f->result.data.size, 0);
    assert_true(f->result.at_end);
    finish(f, &o);
    assert_int_equal(run_read(f, &list), 0);
    assert_true(f->result.data.size > 0);
}

static void test_they_go_when_it_stays_eventual(void **state)
{
    struct exec_fixture *f = *state;
    struct opening o = open_fenced(f);
    static struct items items;

    items = (struct items){.size = 0};
    add(&items, o.e, "a", 1);
    add(&items, o.e, "b", CHUNK_SIZE + 1);
    assert_int_equal(prepare(f, &o.txn), 0);
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), 0);
    assert_int_equal(create(f, o.e, "x"), ERR_LOCKED);
    roll_back(f, &o.txn);
    assert_false(has_namespace(f, o.e));
    assert_int_equal(count_class(f->state, "d"), 1);
    check_settled(f);
}

static void test_a_region_takes_its_own(void **state)
{
    struct exec_fixture *f = *state;
    struct opening o = open_fenced(f);
    static struct items items;
    struct test_prepare p;

    items = (struct items){.size = 0};
    cut_region(f, o.e, "b");
    p = prepare_begin(&o.txn);
    assert_int_equal(prepare_all(f, &p), 0);
    add(&items, o.e, "a", 1);
    add(&items, o.e, "b", 2);
    assert_int_equal(import(f, p.ref.id, o.e, &items), 0);
    assert_int_equal(f->result.offset, items.first_size);
    items = (struct items){.size = 0};
    add(&items, o.e, "b", 2);
    assert_int_equal(import(f, p.ref.id, o.e, &items), 0);
    assert_int_equal(decide_prepared(f, &p), 0);
    resolve_all(f, &p.ref, true);
    assert_string_equal(tree(f), "e/=101 e/a=501 e/b=501");
    prepare_end(&p);
    check_settled(f);
}

static void test_only_who_has_opened_it_brings_any(void **state)
{
    struct exec_fixture *f = *state;
    struct opening o = open_fenced(f);
    static struct items items;
    struct txn_id id;

    items = (struct items){.size = 0};
    add(&items, o.e, "a", 1);
    assert_int_equal(import(f, (struct txn_id){1, 1, 1}, o.e, &items),
                     ERR_ABORTED);
    assert_int_equal(prepare(f, &o.txn), 0);
    id = o.txn.command.txn.id;
    id.sequence++;
    assert_int_equal(import(f, id, o.e, &items), ERR_ABORTED);
    add(&items, o.e + 1, "a", 1);
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), ERR_ABORTED);
    finish(f, &o);
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), ERR_ABORTED);
    assert_string_equal(tree(f), "e/=101");
    check_settled(f);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
    struct exec_fixture *f = *state;
    struct opening o = open_fenced(f);
    const struct eventual_record removal = {
        .dir = o.e, .name = slice_of("a"), .hlc = 7, .removed = true};
    static struct items items;

    items = (struct items){.size = 0};
    assert_int_equal(prepare(f, &o.txn), 0);
    add(&items, o.e, "a", 1);
    be32_put(items.bytes, UINT32_MAX);
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), ERR_INVALID);
    items.size = 3;
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), ERR_INVALID);
    items.size = 0;
    add_record(&items, &removal);
    assert_int_equal(import(f, o.txn.command.txn.id, o.e, &items), ERR_INVALID);
    finish(f, &o);
    assert_string_equal(tree(f), "e/=101");
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_files_come_with_what_is_in_them),
        WITH_ROOT(test_names_of_directories_come_with_them),
        WITH_ROOT(test_nobody_is_told_a_part_of_them),
        WITH_ROOT(test_they_go_when_it_stays_eventual),
        WITH_ROOT(test_a_region_takes_its_own),
        WITH_ROOT(test_only_who_has_opened_it_brings_any),
        WITH_ROOT(test_what_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests_name("exec_import", tests, NULL, NULL);
}
