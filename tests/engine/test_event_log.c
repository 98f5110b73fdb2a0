/* SPDX-License-Identifier: Apache-2.0 */

/* The recent events, and who waits for the next ones. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/event_log.h"
#include "engine/event_watch.h"
#include "raft/base/buf.h"
#include "raft/base/mem.h"

static const int64_t wall_ns = INT64_C(1700000000123456789);

struct fixture {
    struct env env;
    struct env_task *posted; /* one at most */
    struct event_log *log;
    struct event_watch *watch;
    struct event_wait wait;
    char *text; /* of the last answer */
    uint64_t next;
};

static void fake_post(struct env *env, enum env_owner owner,
                      struct env_task *task)
{
    struct fixture *f = container_of(env, struct fixture, env);

    assert_int_equal(owner, ENV_WORKER);
    assert_null(f->posted);
    f->posted = task;
}

static const struct env_ops ops = {.post = fake_post};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->env.ops = &ops;
    f->log = event_log_new();
    f->watch = event_watch_new(&f->env, f->log);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    event_watch_free(f->watch);
    event_log_free(f->log);
    free(f->text);
    free(f);
    return 0;
}

static void add(struct fixture *f, const char *text)
{
    event_log_add(f->log, wall_ns, LOG_INFO, text);
}

static void add_many(struct fixture *f, unsigned count)
{
    char text[16];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        add(f, text);
    }
}

static char *text_of(struct buf *bytes)
{
    return strndup((const char *)bytes->data, bytes->size);
}

static void came(struct event_wait *wait, struct buf *text, uint64_t next)
{
    struct fixture *f = container_of(wait, struct fixture, wait);

    free(f->text);
    f->text = text_of(text);
    f->next = next;
}

static void start(struct fixture *f, uint64_t number)
{
    f->wait = (struct event_wait){.number = number, .done = came};
    event_watch_start(f->watch, &f->wait);
}

static void run(struct fixture *f)
{
    struct env_task *task = f->posted;

    assert_non_null(task);
    f->posted = NULL;
    task->run(task);
}

/* ---- the log ---- */

static void assert_region_log(struct fixture *f, uint64_t region,
                              const char *last_words)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    event_log_render_region(f->log, region, out);
    (void)fclose(out);
    assert_string_equal(text, last_words);
    free(text);
}

/* Not those whose id begins with the same digits. */
static void test_a_region_has_the_lines_that_name_it(void **state)
{
    struct fixture *f = *state;

    add(f, "region 1: a");
    add(f, "region 12: b");
    add(f, "no region 112 but region 1");
    add(f, "a node");
    assert_region_log(f, 1,
                      "2023-11-14T22:13:20.123Z info region 1: a\n"
                      "2023-11-14T22:13:20.123Z info no region 112 but region "
                      "1\n");
    assert_region_log(f, 12, "2023-11-14T22:13:20.123Z info region 12: b\n");
    assert_region_log(f, 2, "");
}

/* tail(1) takes a file that is shorter than what it has read for truncated. */
static void test_the_size_is_that_of_all_lines(void **state)
{
    struct fixture *f = *state;
    uint64_t number = 0;
    size_t size = 0;

    add_many(f, 777);
    event_log_add(f->log, wall_ns, LOG_ERROR, "bad");
    event_log_add_rare(f->log, wall_ns, "rare", "why");
    while (number < event_log_count(f->log)) {
        struct buf *text = event_log_read(f->log, &number);

        size += text->size;
        buf_unref(text);
    }
    assert_int_equal(number, 779);
    assert_true(event_log_size_bytes(f->log) == size);
}

static void test_a_slow_reader_is_told_what_it_has_missed(void **state)
{
    struct fixture *f = *state;

    add_many(f, EVENTS_KEPT + 7);
    start(f, 2);
    assert_non_null(f->text);
    assert_memory_equal(f->text, "# 5 events left out\n", 20);
    assert_non_null(strstr(f->text, "Z info 7\n"));
    assert_null(strstr(f->text, "Z info 6\n"));
    start(f, f->next);
    assert_null(strstr(f->text, "#"));
}

/* ---- who waits ---- */

static void test_what_is_there_already_comes_at_once(void **state)
{
    struct fixture *f = *state;

    add(f, "a");
    add(f, "b");
    start(f, 1);
    assert_string_equal(f->text, "2023-11-14T22:13:20.123Z info b\n");
    assert_int_equal(f->next, 2);
    assert_null(f->wait.watch);
}

static void test_the_next_event_ends_the_wait(void **state)
{
    struct fixture *f = *state;

    start(f, 0);
    assert_null(f->text);
    add(f, "a");
    add(f, "b"); /* One task for both. */
    run(f);
    assert_non_null(strstr(f->text, " b\n"));
    assert_int_equal(f->next, 2);
}

static void test_each_wait_has_its_event(void **state)
{
    struct fixture *f = *state;

    for (uint64_t i = 0; i < 10; i++) {
        start(f, i);
        event_log_add_rare(f->log, wall_ns + (int64_t)i * 2000000000, "rare",
                           "why");
        run(f);
        assert_int_equal(f->next, i + 1);
    }
}

/* An event that comes while the task is on its way is in its answer, and who
 * waits for a later one goes on waiting. */
static void test_a_wait_for_a_later_event_goes_on(void **state)
{
    struct fixture *f = *state;

    start(f, 1);
    add(f, "a");
    run(f);
    assert_null(f->text);
    add(f, "b");
    run(f);
    assert_non_null(strstr(f->text, " b\n"));
}

static void test_nobody_is_woken_who_does_not_wait(void **state)
{
    struct fixture *f = *state;

    add(f, "a");
    assert_null(f->posted);
    start(f, 1);
    event_watch_cancel(&f->wait);
    event_watch_cancel(&f->wait);
    add(f, "b");
    if (f->posted != NULL) /* Once, for what was cancelled. */
        run(f);
    add(f, "c");
    assert_null(f->posted);
    assert_null(f->text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_region_has_the_lines_that_name_it),
        TEST(test_the_size_is_that_of_all_lines),
        TEST(test_a_slow_reader_is_told_what_it_has_missed),
        TEST(test_what_is_there_already_comes_at_once),
        TEST(test_the_next_event_ends_the_wait),
        TEST(test_each_wait_has_its_event),
        TEST(test_a_wait_for_a_later_event_goes_on),
        TEST(test_nobody_is_woken_who_does_not_wait),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
