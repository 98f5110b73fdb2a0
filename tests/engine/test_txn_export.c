/* SPDX-License-Identifier: Apache-2.0 */

/* How what is in a strong directory is brought to all nodes: which pages are
 * asked for, what is accepted of them, and what ends it. Reader, eventual
 * entries and what others have are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/eventual_record.h"
#include "engine/pull.h"
#include "engine/txn_export.h"
#include "fake_env.h"
#include "tests/sim/kv_mem.h"

enum {
    DIR_NSID = 5,
    SINCE = 9,
    TIMEOUT_MS = 1000,
    SILENT_NODE = 4,
    FIRST_NUMBER = 100, /* of what is accepted */
    STARTED_MAX = 300,
    NAME_SIZE = 24
};

/* What was asked of the eventual entries. */
struct started {
    struct eventual_op *op; /* NULL: it has come back, or was cancelled */
    char name[NAME_SIZE];
    size_t size;
};

struct node {
    struct fake_env fake;
    struct read_op *read; /* NULL: none is under way */
    struct command question;
    char asked[NAME_SIZE]; /* its name */
    struct started started[STARTED_MAX];
    size_t started_count;
    size_t running;
    size_t running_max;
    bool all_keep;
    uint64_t looked_for; /* the number that all were to have; 0: none was */
    unsigned looks;
    unsigned warnings;
    char warning[256];
};

struct fixture {
    struct node node;
    struct txn_export export;
    struct buf *page; /* that is being made */
    unsigned done;
    int status;
};

/* ---- node.h, reader.h ---- */

struct env *node_env(struct node *node)
{
    return &node->fake.env;
}

struct reader *node_reader(const struct node *node)
{
    return (struct reader *)(uintptr_t)node;
}

struct eventual *node_eventual(const struct node *node)
{
    return (struct eventual *)(uintptr_t)node;
}

struct pulls *node_pulls(const struct node *node)
{
    return (struct pulls *)(uintptr_t)node;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    va_list arguments;

    assert_int_equal(level, LOG_WARN);
    node->warnings++;
    va_start(arguments, format);
    (void)vsnprintf(node->warning, sizeof node->warning, format, arguments);
    va_end(arguments);
}

void reader_start(struct reader *reader, struct read_op *op)
{
    struct node *node = (struct node *)(void *)reader;
    struct slice name = op->command->name;

    assert_null(node->read);
    assert_int_equal(op->command->op, COMMAND_TXN_EXPORT);
    assert_int_equal(op->command->dir, DIR_NSID);
    assert_int_equal(op->command->txn.id.sequence, 7);
    assert_int_equal(op->deadline_ns, (uint64_t)TIMEOUT_MS * 1000000);
    node->question = *op->command;
    (void)snprintf(node->asked, sizeof node->asked, "%.*s", (int)name.size,
                   name.size > 0 ? (const char *)name.data : "");
    op->active = true;
    node->read = op;
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    if (op->active)
        ((struct node *)(void *)reader)->read = NULL;
    op->active = false;
}

/* ---- eventual.h, pull.h ---- */

/* The command is borrowed no longer than this. */
void eventual_start(struct eventual *eventual, struct eventual_op *op)
{
    struct node *node = (struct node *)(void *)eventual;
    struct started *started = &node->started[node->started_count++];
    const struct command *command = op->command;
    struct eventual_record record = {0};

    assert_true(node->started_count < STARTED_MAX);
    assert_null(op->work);
    assert_int_equal(command->op, COMMAND_BRING);
    assert_int_equal(command->dir, DIR_NSID);
    assert_int_equal(command->offset, SINCE);
    assert_int_equal(eventual_decode(&record, command->data), 0);
    assert_true(slice_equal(record.name, command->name));
    (void)snprintf(started->name, sizeof started->name, "%.*s",
                   (int)record.name.size, (const char *)record.name.data);
    started->size = record.content.size;
    started->op = op;
    op->work = (struct eventual_work *)(void *)started;
    eventual_release(&record);
    if (++node->running > node->running_max)
        node->running_max = node->running;
}

void eventual_cancel(struct eventual_op *op)
{
    if (op->work != NULL)
        ((struct started *)(void *)op->work)->op = NULL;
    op->work = NULL;
}

uint64_t eventual_shown(const struct eventual *eventual)
{
    const struct node *node = (const struct node *)(const void *)eventual;

    assert_int_equal(node->running, 0);
    return FIRST_NUMBER + node->started_count;
}

bool pulls_all_keep(const struct pulls *pulls, uint64_t sequence,
                    uint64_t *ret_missing)
{
    struct node *node = (struct node *)(uintptr_t)pulls;

    node->looks++;
    node->looked_for = sequence;
    if (!node->all_keep)
        *ret_missing = SILENT_NODE;
    return node->all_keep;
}

/* ---- the fixture ---- */

static void on_done(struct txn_export *export, int status)
{
    struct fixture *f = container_of(export, struct fixture, export);

    f->done++;
    f->status = status;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    fake_env_init(&f->node.fake, NULL, NULL);
    f->export =
        (struct txn_export){.txn = {.sequence = 7},
                            .nsid = DIR_NSID,
                            .since = SINCE,
                            .deadline_ns = (uint64_t)TIMEOUT_MS * 1000000,
                            .done = on_done};
    txn_export_start(&f->export, &f->node);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    txn_export_cancel(&f->export);
    assert_null(f->node.read);
    for (size_t i = 0; i < f->node.started_count; i++)
        assert_null(f->node.started[i].op);
    fake_env_pass(&f->node.fake, TIMEOUT_MS);
    assert_true(f->done <= 1);
    buf_unref(f->page);
    free(f);
    return 0;
}

/* One more file of the page. */
static void put(struct fixture *f, const char *name, size_t size)
{
    uint8_t *content = mem_zalloc(size + 1);
    const struct eventual_record record = {.dir = DIR_NSID,
                                           .name = slice_of(name),
                                           .attr.size = size,
                                           .content = {content, size}};
    struct buf *bytes = eventual_encode(&record);
    size_t before = f->page == NULL ? 0 : f->page->size;
    struct buf *page = buf_new(before + 4 + bytes->size);

    if (before > 0)
        memcpy(page->data, f->page->data, before);
    be32_put(page->data + before, (uint32_t)bytes->size);
    memcpy(page->data + before + 4, bytes->data, bytes->size);
    buf_unref(f->page);
    buf_unref(bytes);
    free(content);
    f->page = page;
}

static void put_files(struct fixture *f, size_t count)
{
    char name[NAME_SIZE];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%03zu", i);
        put(f, name, 10);
    }
}

/* The page has come; `next`: where the next region begins. */
static void answer(struct fixture *f, int status, bool at_end, const char *next)
{
    struct read_op *read = f->node.read;
    struct result result = {.status = status, .at_end = at_end};

    assert_non_null(read);
    if (f->page == NULL)
        f->page = buf_new(0);
    result.data_buf = f->page;
    result.data = buf_slice(f->page);
    memcpy(result.next, next, strlen(next));
    f->page = NULL;
    f->node.read = NULL;
    read->active = false;
    read->done(read, status, &result);
    result_release(&result);
}

/* One that was asked for is over. */
static void bring(struct fixture *f, size_t at, int status)
{
    struct eventual_op *op = f->node.started[at].op;

    assert_non_null(op);
    f->node.started[at].op = NULL;
    f->node.running--;
    op->work = NULL;
    op->done(op, status, &(struct result){.status = status});
}

/* All that are, and those that are asked for then. */
static void bring_all(struct fixture *f)
{
    for (size_t i = 0; i < f->node.started_count; i++)
        if (f->node.started[i].op != NULL)
            bring(f, i, 0);
}

/* What follows this name is asked for; `itself`: and what has it. */
static void expect_asked(const struct fixture *f, const char *name, bool itself)
{
    assert_string_equal(f->node.asked, name);
    assert_int_equal(f->node.question.offset != 0, itself);
}

static void expect_end(const struct fixture *f, int status)
{
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, status);
    assert_null(f->node.read);
    assert_int_equal(f->node.running, 0);
}

/* ---- pages ---- */

/* There is nothing that they could lack. */
static void test_an_empty_directory_waits_for_nobody(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(f->node.asked, "");
    answer(f, 0, true, "");
    expect_end(f, 0);
    assert_int_equal(f->node.looks, 0);
}

static void test_each_file_is_accepted_here(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    put(f, "b", 70000);
    answer(f, 0, true, "");
    assert_int_equal(f->node.started_count, 2);
    assert_string_equal(f->node.started[0].name, "a");
    assert_string_equal(f->node.started[1].name, "b");
    assert_int_equal(f->node.started[1].size, 70000);
    f->node.all_keep = true;
    bring(f, 1, 0);
    assert_int_equal(f->done, 0);
    bring(f, 0, 0);
    expect_end(f, 0);
    assert_int_equal(f->node.looked_for, FIRST_NUMBER + 2);
}

static void test_a_page_follows_the_last_name_of_the_one_before(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    put(f, "bb", 0);
    answer(f, 0, false, "");
    assert_null(f->node.read);
    bring_all(f);
    expect_asked(f, "bb", false);
    put(f, "c", 0);
    answer(f, 0, false, "");
    bring_all(f);
    expect_asked(f, "c", false);
    f->node.all_keep = true;
    answer(f, 0, true, "");
    expect_end(f, 0);
    assert_int_equal(f->node.looked_for, FIRST_NUMBER + 3);
}

/* Its first name belongs to the page. */
static void test_behind_a_region_it_goes_on_in_the_next(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    answer(f, 0, false, "m");
    bring_all(f);
    expect_asked(f, "m", true);
    answer(f, 0, false, "q");
    expect_asked(f, "q", true);
    put(f, "r", 0);
    answer(f, 0, false, "");
    bring_all(f);
    expect_asked(f, "r", false);
    f->node.all_keep = true;
    answer(f, 0, true, "");
    expect_end(f, 0);
}

static void test_many_files_are_under_way_but_not_all(void **state)
{
    struct fixture *f = *state;
    const size_t count = 3 * BRINGS_MAX + 5;

    put_files(f, count);
    answer(f, 0, true, "");
    assert_int_equal(f->node.started_count, BRINGS_MAX);
    bring(f, 10, 0);
    assert_int_equal(f->node.started_count, BRINGS_MAX + 1);
    f->node.all_keep = true;
    bring_all(f);
    expect_end(f, 0);
    assert_int_equal(f->node.started_count, count);
    assert_int_equal(f->node.running_max, BRINGS_MAX);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(strtoul(f->node.started[i].name, NULL, 10), i);
}

/* ---- until all nodes have it ---- */

static void bring_one_file(struct fixture *f)
{
    put(f, "a", 0);
    answer(f, 0, true, "");
    bring(f, 0, 0);
}

static void test_it_waits_until_all_have_it_safely(void **state)
{
    struct fixture *f = *state;

    bring_one_file(f);
    for (unsigned i = 0; i < 10; i++)
        fake_env_pass(&f->node.fake, TIMEOUT_MS / 20);
    assert_int_equal(f->done, 0);
    assert_true(f->node.looks > 5);
    f->node.all_keep = true;
    fake_env_pass(&f->node.fake, TIMEOUT_MS / 20);
    expect_end(f, 0);
    assert_int_equal(f->node.warnings, 0);
}

static void test_it_does_not_wait_for_ever(void **state)
{
    struct fixture *f = *state;

    bring_one_file(f);
    fake_env_pass(&f->node.fake, TIMEOUT_MS / 2);
    assert_int_equal(f->done, 0);
    fake_env_pass(&f->node.fake, TIMEOUT_MS / 2);
    expect_end(f, ERR_NO_QUORUM);
    assert_int_equal(f->node.warnings, 1);
    assert_non_null(strstr(f->node.warning, "directory 5 "));
    assert_non_null(strstr(f->node.warning, "node 4 "));
}

/* The last page need not have any. */
static void test_what_an_earlier_page_had_is_waited_for(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    answer(f, 0, false, "m");
    bring(f, 0, 0);
    answer(f, 0, true, "");
    assert_int_equal(f->done, 0);
    assert_int_equal(f->node.looked_for, FIRST_NUMBER + 1);
    f->node.all_keep = true;
    fake_env_pass(&f->node.fake, TIMEOUT_MS / 20);
    expect_end(f, 0);
}

/* ---- failures ---- */

static void test_a_page_that_cannot_be_read_ends_it(void **state)
{
    struct fixture *f = *state;

    answer(f, ERR_NOT_EMPTY, false, "");
    expect_end(f, ERR_NOT_EMPTY);
}

/* What is under way has an op of this export. */
static void test_the_first_failure_ends_it_when_the_rest_is_back(void **state)
{
    struct fixture *f = *state;

    put_files(f, BRINGS_MAX + 5);
    answer(f, 0, true, "");
    bring(f, 3, 0);
    bring(f, 5, ERR_NO_SPACE);
    assert_int_equal(f->node.started_count, BRINGS_MAX + 1);
    bring(f, 4, ERR_READ_ONLY);
    assert_int_equal(f->done, 0);
    bring_all(f);
    expect_end(f, ERR_NO_SPACE);
    assert_int_equal(f->node.started_count, BRINGS_MAX + 1);
    assert_int_equal(f->node.looks, 0);
}

static void test_a_life_that_is_over_aborts_it(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    answer(f, 0, false, "");
    bring(f, 0, ERR_EPOCH);
    expect_end(f, ERR_ABORTED);
}

static void test_what_makes_no_sense_is_not_brought(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    f->page->data[f->page->size - 1] ^= 0xff;
    f->page->data[5] ^= 0xff;
    answer(f, 0, true, "");
    expect_end(f, ERR_CORRUPT);
    assert_int_equal(f->node.started_count, 0);
}

/* ---- the end from outside ---- */

static void cancel(struct fixture *f)
{
    txn_export_cancel(&f->export);
    txn_export_cancel(&f->export);
    assert_null(f->node.read);
    for (size_t i = 0; i < f->node.started_count; i++)
        assert_null(f->node.started[i].op);
    fake_env_pass(&f->node.fake, TIMEOUT_MS);
    assert_int_equal(f->done, 0);
}

static void test_it_ends_without_a_word_while_it_reads(void **state)
{
    cancel(*state);
}

static void test_it_ends_without_a_word_while_files_are_brought(void **state)
{
    struct fixture *f = *state;

    put_files(f, 5);
    answer(f, 0, true, "");
    bring(f, 2, 0);
    cancel(f);
}

static void test_it_ends_without_a_word_while_others_take_them(void **state)
{
    struct fixture *f = *state;
    unsigned looks;

    bring_one_file(f);
    looks = f->node.looks;
    cancel(f);
    assert_int_equal(f->node.looks, looks);
}

static void test_what_is_over_is_not_ended_again(void **state)
{
    struct fixture *f = *state;

    answer(f, ERR_ABORTED, false, "");
    txn_export_cancel(&f->export);
    expect_end(f, ERR_ABORTED);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_directory_waits_for_nobody),
        TEST(test_each_file_is_accepted_here),
        TEST(test_a_page_follows_the_last_name_of_the_one_before),
        TEST(test_behind_a_region_it_goes_on_in_the_next),
        TEST(test_many_files_are_under_way_but_not_all),
        TEST(test_it_waits_until_all_have_it_safely),
        TEST(test_it_does_not_wait_for_ever),
        TEST(test_what_an_earlier_page_had_is_waited_for),
        TEST(test_a_page_that_cannot_be_read_ends_it),
        TEST(test_the_first_failure_ends_it_when_the_rest_is_back),
        TEST(test_a_life_that_is_over_aborts_it),
        TEST(test_what_makes_no_sense_is_not_brought),
        TEST(test_it_ends_without_a_word_while_it_reads),
        TEST(test_it_ends_without_a_word_while_files_are_brought),
        TEST(test_it_ends_without_a_word_while_others_take_them),
        TEST(test_what_is_over_is_not_ended_again),
    };

    return cmocka_run_group_tests_name("txn_export", tests, NULL, NULL);
}
