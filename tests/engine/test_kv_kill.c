/* SPDX-License-Identifier: Apache-2.0 */

/* What the stores on RocksDB keep when their process is killed.
 *
 * A process that is to be killed is this program again, started with a role:
 * RocksDB's threads would not survive a mere fork(). It says through its
 * standard output how far it has come. */

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "raft/base/mem.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/rocks_fixture.h"

enum {
    SYNCED_WRITES = 200,   /* before the kill */
    DURABLE_REPORTS = 200, /* that say something else than "nothing yet" */
    FLUSH_EVERY = 50
};

/* ---- roles of a child ---- */

static void say(uint64_t number)
{
    if (write(STDOUT_FILENO, &number, sizeof number) != sizeof number)
        _exit(EXIT_FAILURE);
}

static void role_hold(struct kv *kv)
{
    (void)kv;
    say(1);
    (void)pause();
}

/* Says each number after it was stored. */
static void role_synced(struct kv *kv)
{
    char key[ENTRY_KEY_SIZE];

    for (uint64_t i = 1;; i++) {
        entry_key(i, key);
        put_text(kv, key, "value", KV_SYNCED);
        say(i);
    }
}

/* Says what it takes for durable. */
static void role_relaxed(struct kv *kv)
{
    for (uint64_t i = 1;; i++) {
        put_applied(kv, i);
        if (i % FLUSH_EVERY == 0)
            (void)kv_flush(kv, false, NULL);
        say(applied(kv, true));
    }
}

/* Dies in the middle of collecting an ingest. */
static void role_ingest(struct kv *kv)
{
    struct kv_ingest *ingest = NULL;

    if (kv_ingest_new(kv, &ingest, NULL) != 0 ||
        kv_ingest_replace_range(ingest, text_slice("a"), text_slice("z"),
                                NULL) != 0 ||
        kv_ingest_put(ingest, text_slice("b"), text_slice("2"), NULL) != 0)
        _exit(EXIT_FAILURE);
    say(1);
    (void)pause();
}

static const struct role {
    const char *name;
    enum kv_rocks_flavour flavour;
    void (*run)(struct kv *kv);
} roles[] = {
    {"hold", KV_ROCKS_STATE, role_hold},
    {"synced", KV_ROCKS_LOG, role_synced},
    {"relaxed", KV_ROCKS_STATE, role_relaxed},
    {"ingest", KV_ROCKS_STATE, role_ingest},
};

static int run_role(const char *name, const char *dir)
{
    for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
        struct kv_rocks_config config = {
            .dir = dir, .flavour = roles[i].flavour, .create = true};
        struct kv *kv;

        if (strcmp(roles[i].name, name) != 0)
            continue;
        if (kv_rocks_open(&kv, &config, NULL) == 0)
            roles[i].run(kv);
    }
    return EXIT_FAILURE;
}

struct child {
    pid_t pid;
    int output;
};

static struct child child_start(struct fixture *f, const char *role)
{
    struct child child;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child.output = ends[0];
    child.pid = fork();
    if (child.pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "child", role,
                    temp_dir_path(&f->dir, "store"), (char *)NULL);
        _exit(EXIT_FAILURE);
    }
    assert_true(child.pid > 0);
    (void)close(ends[1]);
    return child;
}

/* The next number that the child said, 0 at the end. */
static uint64_t child_hear(const struct child *child)
{
    uint64_t number = 0;

    (void)!read(child->output, &number, sizeof number);
    return number;
}

/* Kills it, and returns the last number that it had said. */
static uint64_t child_kill(struct child *child, uint64_t heard)
{
    uint64_t number = heard;

    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
    while (read(child->output, &number, sizeof number) == sizeof number)
        heard = number;
    (void)close(child->output);
    return heard;
}

/* ---- tests ---- */

static void test_a_second_process_is_refused_in_words(void **state)
{
    struct fixture *f = *state;
    struct child child = child_start(f, "hold");
    struct err e = ERR_INIT;

    assert_int_equal(child_hear(&child), 1);
    assert_int_equal(open_store(f, KV_ROCKS_STATE, true, &e), ERR_BUSY);
    (void)child_kill(&child, 0);
    assert_string_equal(e.text, "it is in use by another process");
    must_open(f, KV_ROCKS_STATE);
}

static void test_every_acknowledged_synced_write_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    struct child child = child_start(f, "synced");
    uint64_t last = 0;
    char key[ENTRY_KEY_SIZE];

    while (last < SYNCED_WRITES)
        last = child_hear(&child);
    last = child_kill(&child, last);
    must_open(f, KV_ROCKS_LOG);

    for (uint64_t i = 1; i <= last; i++) {
        entry_key(i, key);
        expect_text(f->kv, NULL, key, "value");
    }
}

/* What survives ends at its marker, and what was called durable survives. */
static void test_a_prefix_of_relaxed_writes_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    struct child child = child_start(f, "relaxed");
    uint64_t durable = 0;
    uint64_t survived;
    struct kv_value value = {.data = NULL};
    char key[ENTRY_KEY_SIZE];

    for (int i = 0; i<DURABLE_REPORTS; i += durable> 0)
        durable = child_hear(&child);
    durable = child_kill(&child, durable);
    must_open(f, KV_ROCKS_STATE);

    survived = applied(f->kv, false);
    assert_true(durable > 0);
    assert_true(durable <= survived);
    for (uint64_t i = 1; i <= survived + 1; i++) {
        entry_key(i, key);
        assert_int_equal(kv_get(f->kv, NULL, text_slice(key), &value),
                         i <= survived ? 0 : ERR_NOT_FOUND);
        kv_value_release(&value);
    }
}

static void test_files_of_an_interrupted_ingest_are_removed(void **state)
{
    struct fixture *f = *state;
    struct child child = child_start(f, "ingest");
    glob_t found;

    assert_int_equal(child_hear(&child), 1);
    (void)child_kill(&child, 0);
    assert_int_equal(
        glob(temp_dir_path(&f->dir, "store/ingest/*"), 0, NULL, &found), 0);
    globfree(&found);
    must_open(f, KV_ROCKS_STATE);
    assert_string_equal(dump_all(f->kv), "");
    assert_int_equal(
        glob(temp_dir_path(&f->dir, "store/ingest/*"), 0, NULL, &found),
        GLOB_NOMATCH);
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
/* clang-format on */

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(test_a_second_process_is_refused_in_words),
        T(test_every_acknowledged_synced_write_survives_a_kill),
        T(test_a_prefix_of_relaxed_writes_survives_a_kill),
        T(test_files_of_an_interrupted_ingest_are_removed),
    };

    if (argc == 3)
        return run_role(argv[1], argv[2]);
    return cmocka_run_group_tests_name("kv_kill", tests, NULL, NULL);
}
