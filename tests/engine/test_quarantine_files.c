/* SPDX-License-Identifier: Apache-2.0 */

/* A node of production that has something in quarantine, as its mount sees it:
 * /.cluster/quarantine, and what becomes of that when it is dropped. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <semaphore.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "engine/keys.h"
#include "engine/kv_rocks.h"
#include "engine/quarantine.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/temp_dir.h"

enum { TIMEOUT_MS = 60000 };

struct fixture {
    struct temp_dir dir;
    struct engine *engine;
};

/* ---- the node ---- */

static void on_fatal(void *context, const char *reason)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", reason);
    abort();
}

static void start(struct fixture *f)
{
    struct engine_config config = {.data_dir = temp_dir_path(&f->dir, "data"),
                                   .on_fatal = on_fatal};

    assert_int_equal(engine_open(&f->engine, &config, NULL), 0);
    assert_int_equal(engine_start(f->engine, NULL), 0);
    assert_int_equal(engine_wait_ready(f->engine, TIMEOUT_MS, NULL), 0);
}

static void stop(struct fixture *f)
{
    engine_stop(f->engine);
    engine_close(f->engine);
}

static void put_item(struct kv *state, uint64_t number, const char *content)
{
    const struct eventual_record record = {
        .dir = 5,
        .name = slice_of("x"),
        .hlc = UINT64_C(900000) << 16,
        .origin = 1,
        .sequence = number,
        .since = 20,
        .attr = {.ino = 70 + number,
                 .mode = 0100600,
                 .size = strlen(content),
                 .version = UINT64_C(900000) << 16},
        .content = slice_of(content),
    };
    struct buf *b = quarantined_encode(slice_of("/app/x"), &record);

    put_record(state, key_quarantined(number), buf_slice(b));
    buf_unref(b);
}

/* Two changes, and one that cannot be read. */
static void put_items(struct kv *state)
{
    const struct quarantine_head head = {.last = 9, .count = 3};
    struct buf *b = quarantine_head_encode(&head);

    put_item(state, 3, "first");
    put_item(state, 8, "second");
    put_record(state, key_quarantined(5), slice_of("\1nonsense"));
    put_record(state, key_quarantine_head(), buf_slice(b));
    buf_unref(b);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct kv_rocks_config config = {.flavour = KV_ROCKS_STATE};
    struct kv *kv;

    temp_dir_init(&f->dir);
    start(f);
    stop(f);
    config.dir = temp_dir_path(&f->dir, "data/state");
    assert_int_equal(kv_rocks_open(&kv, &config, NULL), 0);
    put_items(kv);
    kv_close(kv);
    start(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    stop(f);
    temp_dir_close(&f->dir);
    free(f);
    return 0;
}

/* ---- requests ---- */

struct ask {
    struct request request;
    sem_t done;
};

static void on_done(struct request *request)
{
    (void)sem_post(&container_of(request, struct ask, request)->done);
}

static int ask(struct fixture *f, struct request *request)
{
    struct ask ask = {.request = *request};

    ask.request.done = on_done;
    (void)sem_init(&ask.done, 0, 0);
    if (!engine_submit(f->engine, &ask.request))
        (void)sem_wait(&ask.done);
    (void)sem_destroy(&ask.done);
    *request = ask.request;
    return request->status;
}

static int drop(struct fixture *f, uint64_t number, const char *text)
{
    struct request request = {.kind = REQUEST_CONTROL,
                              .table = TABLE_QUARANTINE_DROP,
                              .object = number,
                              .data = buf_copy(text, strlen(text))};
    int status = ask(f, &request);

    buf_unref(request.data);
    return status;
}

/* Holds `part`, or is the whole text with `is_whole`. */
static void assert_text(struct fixture *f, enum engine_table table,
                        uint64_t number, const char *part, bool is_whole)
{
    struct request request = {
        .kind = REQUEST_RENDER, .table = table, .object = number};
    const struct buf *b;

    assert_int_equal(ask(f, &request), 0);
    b = request.ret_data;
    assert_non_null(memmem(b->data, b->size, part, strlen(part)));
    assert_true(!is_whole || b->size == strlen(part));
    buf_unref(request.ret_data);
}

static void assert_is(struct fixture *f, enum engine_table table,
                      uint64_t number, const char *text)
{
    assert_text(f, table, number, text, true);
}

static void assert_has(struct fixture *f, enum engine_table table,
                       const char *part)
{
    assert_text(f, table, 0, part, false);
}

static int status_of(struct fixture *f, enum engine_table table,
                     uint64_t number)
{
    struct request request = {
        .kind = REQUEST_RENDER, .table = table, .object = number};
    int status = ask(f, &request);

    buf_unref(request.ret_data);
    return status;
}

/* ---- tests ---- */

static void test_what_is_dropped_is_gone(void **state)
{
    struct fixture *f = *state;

    assert_is(f, TABLE_QUARANTINE_IDS, 0, "3\n5\n8\n");
    assert_is(f, TABLE_QUARANTINE_PATH, 3, "/app/x\n");
    assert_is(f, TABLE_QUARANTINE_CONTENT, 8, "second");
    assert_has(f, TABLE_HEALTH, "node 1 has 3 changes in quarantine");
    assert_has(f, TABLE_METRICS, "\ngrovefs_quarantine_items 3\n");
    assert_int_equal(drop(f, 3, "yes\n"), 0);
    assert_is(f, TABLE_QUARANTINE_IDS, 0, "5\n8\n");
    assert_int_equal(status_of(f, TABLE_QUARANTINE_PATH, 3), ERR_NOT_FOUND);
    assert_int_equal(status_of(f, TABLE_QUARANTINE_DROP, 3), ERR_NOT_FOUND);
    assert_is(f, TABLE_QUARANTINE_CONTENT, 8, "second");
    assert_has(f, TABLE_HEALTH, "node 1 has 2 changes in quarantine");
    assert_int_equal(drop(f, 8, " yes"), 0);
    assert_int_equal(drop(f, 5, "yes"), 0);
    assert_is(f, TABLE_QUARANTINE_IDS, 0, "");
    assert_is(f, TABLE_HEALTH, 0, "ok\n");
    assert_has(f, TABLE_METRICS, "\ngrovefs_quarantine_items 0\n");
}

static void test_it_stays_gone_and_the_rest_stays(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(drop(f, 3, "yes"), 0);
    stop(f);
    start(f);
    assert_is(f, TABLE_QUARANTINE_IDS, 0, "5\n8\n");
    assert_is(f, TABLE_QUARANTINE_CONTENT, 8, "second");
    assert_has(f, TABLE_HEALTH, "node 1 has 2 changes in quarantine");
}

static void test_no_other_text_drops_anything(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(drop(f, 3, "no"), ERR_INVALID);
    assert_int_equal(drop(f, 3, ""), ERR_INVALID);
    assert_int_equal(drop(f, 3, "yes yes"), ERR_INVALID);
    assert_is(f, TABLE_QUARANTINE_IDS, 0, "3\n5\n8\n");
    assert_has(f, TABLE_LOG, "control file quarantine/drop: 'no': not `yes`");
}

static void test_only_what_is_there_can_be_dropped(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(drop(f, 4, "yes"), ERR_NOT_FOUND);
    assert_int_equal(drop(f, 9, "yes"), ERR_NOT_FOUND);
    assert_int_equal(drop(f, 3, "yes"), 0);
    assert_int_equal(drop(f, 3, "yes"), ERR_NOT_FOUND);
    assert_is(f, TABLE_QUARANTINE_IDS, 0, "5\n8\n");
    assert_has(f, TABLE_LOG, "control file quarantine/drop of 9: ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_dropped_is_gone),
        TEST(test_it_stays_gone_and_the_rest_stays),
        TEST(test_no_other_text_drops_anything),
        TEST(test_only_what_is_there_can_be_dropped),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
