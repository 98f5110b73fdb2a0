/* SPDX-License-Identifier: Apache-2.0 */

/* What is sent of an eventual directory that becomes strong, and in which
 * pieces. The router is the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/eventual_record.h"
#include "engine/txn_import.h"
#include "tests/sim/kv_mem.h"

enum { DIR_NSID = 5, ITEMS_MAX = 64, NAME_MAX_SIZE = 24 };

struct router {
    struct router_call *call; /* NULL: none is under way */
    size_t sizes[ITEMS_MAX];  /* of the items of the last one */
    char names[ITEMS_MAX][NAME_MAX_SIZE];
    size_t count;
    size_t size;
};

struct node {
    struct env env;
    struct router *router;
};

struct fixture {
    struct node node;
    struct router router;
    struct txn_import import;
    unsigned done;
    int status;
};

/* ---- node.h, router.h ---- */

struct env *node_env(struct node *node)
{
    return &node->env;
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

void router_to_place(struct router_call *call, uint64_t dir, struct slice name)
{
    call->place = key_user('d', dir, name);
}

static void take_apart(struct router *router, struct slice data)
{
    const uint8_t *bytes = data.data;
    struct eventual_record record = {0};
    size_t at = 0;

    router->count = 0;
    router->size = data.size;
    while (at < data.size) {
        size_t size = be32_get(bytes + at);

        assert_true(router->count < ITEMS_MAX);
        assert_int_equal(
            eventual_decode(&record, (struct slice){bytes + at + 4, size}), 0);
        (void)snprintf(router->names[router->count], NAME_MAX_SIZE, "%.*s",
                       (int)record.name.size, (const char *)record.name.data);
        router->sizes[router->count++] = 4 + size;
        at += 4 + size;
        eventual_release(&record);
    }
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    struct key place;

    assert_null(router->call);
    assert_int_equal(command->op, COMMAND_TXN_IMPORT);
    assert_int_equal(command->dir, DIR_NSID);
    assert_in_range(command->data.size, 1, COMMAND_DATA_SIZE_MAX);
    take_apart(router, command->data);
    place = key_user('d', DIR_NSID, slice_of(router->names[0]));
    assert_true(slice_equal(key_slice(&call->place), key_slice(&place)));
    call->active = true;
    router->call = call;
}

void router_cancel(struct router *router, struct router_call *call)
{
    if (call->active)
        router->call = NULL;
    call->active = false;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->node.env.state = kv_mem_new();
    f->node.router = &f->router;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    txn_import_cancel(&f->import);
    assert_null(f->router.call);
    kv_close(f->node.env.state);
    free(f);
    return 0;
}

static void put(struct fixture *f, uint64_t dir, const char *name, size_t size,
                bool removed)
{
    struct kv_batch *batch = kv_batch_new(f->node.env.state);
    uint8_t *content = mem_zalloc(size + 1);
    struct eventual_record record = {.dir = dir,
                                     .name = slice_of(name),
                                     .hlc = 9,
                                     .origin = 1,
                                     .local = 1,
                                     .removed = removed,
                                     .attr = {.size = size},
                                     .content = {content, size}};

    eventual_put(batch, &record, NULL);
    assert_int_equal(kv_write(f->node.env.state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    free(content);
}

static void put_files(struct fixture *f, size_t count, size_t size)
{
    char name[NAME_MAX_SIZE];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%02zu", i);
        put(f, DIR_NSID, name, size, false);
    }
}

static void on_done(struct txn_import *import, int status)
{
    struct fixture *f = container_of(import, struct fixture, import);

    f->done++;
    f->status = status;
}

static void start(struct fixture *f)
{
    f->import = (struct txn_import){.nsid = DIR_NSID, .done = on_done};
    txn_import_start(&f->import, &f->node);
}

/* The region has taken so many bytes. */
static void answer(struct fixture *f, int status, uint64_t size)
{
    struct router_call *call = f->router.call;
    const struct result result = {.offset = size};

    assert_non_null(call);
    f->router.call = NULL;
    call->active = false;
    call->done(call, status, &result, 0);
}

static void expect_end(struct fixture *f, int status)
{
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, status);
    assert_null(f->router.call);
}

/* ---- what is sent ---- */

static void test_an_empty_directory_takes_nothing(void **state)
{
    struct fixture *f = *state;

    put(f, DIR_NSID, "gone", 0, true);
    put(f, DIR_NSID + 1, "other", 3, false);
    start(f);
    expect_end(f, 0);
}

static void test_what_is_there_is_sent_in_order(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;

    put_files(f, 3, 10);
    put(f, DIR_NSID, "01x", 0, true);
    put(f, DIR_NSID - 1, "other", 3, false);
    start(f);
    assert_int_equal(router->count, 3);
    assert_string_equal(router->names[0], "00");
    assert_string_equal(router->names[2], "02");
    answer(f, 0, router->size);
    expect_end(f, 0);
}

static void test_many_files_go_in_several_commands(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;
    size_t count = 0;
    unsigned commands = 0;

    put_files(f, 50, 20000);
    start(f);
    while (router->call != NULL) {
        char name[NAME_MAX_SIZE];

        (void)snprintf(name, sizeof name, "%02zu", count);
        assert_string_equal(router->names[0], name);
        assert_in_range(router->size, 1, EVENTUAL_ITEMS_SIZE);
        count += router->count;
        commands++;
        answer(f, 0, router->size);
    }
    expect_end(f, 0);
    assert_int_equal(count, 50);
    assert_int_equal(commands, 4);
}

static void test_the_largest_file_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;

    put(f, DIR_NSID, "a", 1, false);
    put(f, DIR_NSID, "b", EVENTUAL_VALUE_SIZE_MAX, false);
    put(f, DIR_NSID, "c", 1, false);
    start(f);
    for (const char *name = "abc"; *name != '\0'; name++) {
        assert_int_equal(router->count, 1);
        assert_int_equal(router->names[0][0], *name);
        answer(f, 0, router->size);
    }
    expect_end(f, 0);
}

static void test_what_a_region_has_not_goes_to_the_next(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;

    put_files(f, 4, 10);
    start(f);
    answer(f, 0, router->sizes[0] + router->sizes[1]);
    assert_int_equal(router->count, 2);
    assert_string_equal(router->names[0], "02");
    answer(f, 0, router->sizes[0]);
    assert_int_equal(router->count, 1);
    assert_string_equal(router->names[0], "03");
    answer(f, 0, router->size);
    expect_end(f, 0);
}

/* ---- failures ---- */

static void test_a_failure_ends_it(void **state)
{
    struct fixture *f = *state;

    put_files(f, 1, 10);
    start(f);
    answer(f, ERR_NO_SPACE, 0);
    expect_end(f, ERR_NO_SPACE);
}

static void test_an_answer_that_makes_no_sense_ends_it(void **state)
{
    struct fixture *f = *state;

    put_files(f, 2, 10);
    start(f);
    answer(f, 0, 0);
    expect_end(f, ERR_ABORTED);
    f->done = 0;
    start(f);
    answer(f, 0, f->router.size + 1);
    expect_end(f, ERR_ABORTED);
}

static void test_it_ends_without_a_word(void **state)
{
    struct fixture *f = *state;

    put_files(f, 2, 10);
    start(f);
    txn_import_cancel(&f->import);
    assert_null(f->router.call);
    txn_import_cancel(&f->import);
    assert_int_equal(f->done, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_directory_takes_nothing),
        TEST(test_what_is_there_is_sent_in_order),
        TEST(test_many_files_go_in_several_commands),
        TEST(test_the_largest_file_goes_alone),
        TEST(test_what_a_region_has_not_goes_to_the_next),
        TEST(test_a_failure_ends_it),
        TEST(test_an_answer_that_makes_no_sense_ends_it),
        TEST(test_it_ends_without_a_word),
    };

    return cmocka_run_group_tests_name("txn_import", tests, NULL, NULL);
}
