/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/options.h"

enum { ARGUMENTS_MAX = 8 };

struct fixture {
    struct options options;
    struct err e;
    char config[32]; /* a configuration file, made by write_config() */
};

static int setup(void **state)
{
    *state = mem_zalloc(sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    options_release(&f->options);
    if (f->config[0] != '\0')
        (void)unlink(f->config);
    free(f);
    return 0;
}

/* Parses "grovefs" and up to three arguments. */
static int parse(struct fixture *f, const char *a, const char *b, const char *c)
{
    static char storage[4][256];
    char *argv[] = {storage[0], storage[1], storage[2], storage[3], NULL};
    int argc = 1;

    (void)snprintf(storage[0], sizeof storage[0], "grovefs");
    for (const char *const *text = (const char *const[]){a, b, c, NULL};
         argc < 4 && *text != NULL; text++)
        (void)snprintf(storage[argc++], sizeof storage[0], "%s", *text);
    argv[argc] = NULL;
    options_release(&f->options);
    f->e = (struct err)ERR_INIT;
    return options_parse(&f->options, argc, argv, &f->e);
}

static void write_config(struct fixture *f, const char *text)
{
    int fd;

    (void)snprintf(f->config, sizeof f->config, "/tmp/groveXXXXXX");
    fd = mkstemp(f->config);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static int parse_with_config(struct fixture *f, const char *text,
                             const char *more)
{
    char argument[128];

    write_config(f, text);
    (void)snprintf(argument, sizeof argument, "-oconfig=%s%s", f->config, more);
    return parse(f, argument, "/mnt", NULL);
}

/* Is the word among libfuse's options? It joins them by commas. */
static bool fuse_has(const struct fixture *f, const char *word)
{
    bool found = false;

    for (int i = 1; i < f->options.fuse.argc; i++) {
        char *copy = mem_strdup(f->options.fuse.argv[i]);
        char *save = NULL;
        char *text = strncmp(copy, "-o", 2) == 0 ? copy + 2 : copy;

        for (text = strtok_r(text, ",", &save); text != NULL;
             text = strtok_r(NULL, ",", &save))
            found = found || strcmp(text, word) == 0;
        free(copy);
    }
    return found;
}

static void test_a_mountpoint_is_enough(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, "/mnt", NULL, NULL), 0);
    assert_string_equal(f->options.mountpoint, "/mnt");
    assert_null(f->options.data);
    assert_int_equal(f->options.op_timeout_ms, 0);
    assert_int_equal(f->options.log_level, LOG_INFO);
    assert_true(fuse_has(f, "default_permissions"));
    assert_true(fuse_has(f, "subtype=grovefs"));
    assert_true(fuse_has(f, "fsname=grovefs"));
}

/* mount -t fuse.grovefs SOURCE MOUNTPOINT -o ... */
static void test_what_mount_passes_is_taken(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        parse(f, "source", "/mnt", "-orw,dev,suid,_netdev,x-systemd.foo=1"), 0);
    assert_string_equal(f->options.mountpoint, "/mnt");
    assert_true(fuse_has(f, "dev"));
    assert_false(fuse_has(f, "_netdev"));
}

static void test_every_kind_of_value(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, "-odata=/d,id=3,op_timeout=0.25,value_max=2M",
                           "-olisten=h:1,peers=1@a:1+2@b:2,log_level=debug",
                           "/mnt"),
                     0);
    assert_string_equal(f->options.data, "/d");
    assert_string_equal(f->options.peers, "1@a:1+2@b:2");
    assert_int_equal(f->options.id, 3);
    assert_int_equal(f->options.op_timeout_ms, 250);
    assert_int_equal(f->options.value_size_max, 2 << 20);
    assert_int_equal(f->options.log_level, LOG_DEBUG);
}

/* 0 is the default in options that were not given, so never is another. */
static void test_no_checks_are_not_the_default(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, "-ocheck_interval=0", "/mnt", NULL), 0);
    assert_true(f->options.check_interval_ms == ENGINE_NEVER);
    assert_int_equal(parse(f, "-ocheck_interval=1.5", "/mnt", NULL), 0);
    assert_int_equal(f->options.check_interval_ms, 1500);
    assert_int_equal(parse(f, "-ocheck_interval=-1", "/mnt", NULL),
                     ERR_INVALID);
    assert_int_equal(parse(f, "/mnt", NULL, NULL), 0);
    assert_int_equal(f->options.check_interval_ms, 0);
}

static void test_workers_may_be_left_to_the_machine(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, "-oworkers=3", "/mnt", NULL), 0);
    assert_int_equal(f->options.workers, 3);
    assert_int_equal(parse(f, "-oworkers=0", "/mnt", NULL), 0);
    assert_int_equal(f->options.workers, 0);
    assert_int_equal(parse(f, "-oworkers=many", "/mnt", NULL), ERR_INVALID);
}

static void test_paths_become_absolute(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, "-odata=sub", "/mnt", NULL), 0);
    assert_int_equal(f->options.data[0], '/');
    assert_non_null(strstr(f->options.data, "/sub"));
}

static void test_wrong_values_are_refused_by_name(void **state)
{
    static const char *const wrong[] = {
        "-oid=x",          "-oid=0",        "-oid=",           "-oid",
        "-oop_timeout=-1", "-oop_timeout=", "-oop_timeout=1x", "-ovalue_max=0",
        "-ovalue_max=5T",  "-ovalue_max=K", "-olog_level=all", "-odata=",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(parse(f, wrong[i], "/mnt", NULL), ERR_INVALID);
        assert_non_null(strstr(f->e.text, wrong[i] + 2));
    }
}

static void test_unknown_switches_and_too_many_arguments(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, "-x", "/mnt", NULL), ERR_INVALID);
    assert_int_equal(parse(f, "a", "b", "c"), ERR_INVALID);
    assert_int_equal(parse(f, NULL, NULL, NULL), ERR_INVALID);
    assert_int_equal(parse(f, "-o", NULL, NULL), ERR_INVALID);
    assert_true(f->e.text[0] != '\0');
}

static void test_help_needs_no_mountpoint(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, "-h", NULL, NULL), 0);
    assert_int_equal(f->options.action, OPTIONS_HELP);
    assert_int_equal(parse(f, "--version", NULL, NULL), 0);
    assert_int_equal(f->options.action, OPTIONS_VERSION);
}

static void test_the_file_has_the_same_names(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse_with_config(f,
                                       "# comment\n[grovefs]\nid = 4\n"
                                       "data = /x y\nop_timeout = 2\n",
                                       ""),
                     0);
    assert_int_equal(f->options.id, 4);
    assert_string_equal(f->options.data, "/x y");
    assert_int_equal(f->options.op_timeout_ms, 2000);
}

static void test_the_command_line_wins_over_the_file(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse_with_config(f, "id = 4\n", ",id=5"), 0);
    assert_int_equal(f->options.id, 5);
}

static void test_errors_in_the_file_name_the_line(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse_with_config(f, "id = 4\njoined = x\n", ""),
                     ERR_INVALID);
    assert_non_null(strstr(f->e.text, ":2: unknown option 'joined'"));
}

static void test_a_missing_file_is_an_error(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(parse(f, "-oconfig=/no/such", "/mnt", NULL), ERR_INVALID);
    assert_non_null(strstr(f->e.text, "/no/such"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_mountpoint_is_enough),
        TEST(test_what_mount_passes_is_taken),
        TEST(test_every_kind_of_value),
        TEST(test_no_checks_are_not_the_default),
        TEST(test_workers_may_be_left_to_the_machine),
        TEST(test_paths_become_absolute),
        TEST(test_wrong_values_are_refused_by_name),
        TEST(test_unknown_switches_and_too_many_arguments),
        TEST(test_help_needs_no_mountpoint),
        TEST(test_the_file_has_the_same_names),
        TEST(test_the_command_line_wins_over_the_file),
        TEST(test_errors_in_the_file_name_the_line),
        TEST(test_a_missing_file_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
