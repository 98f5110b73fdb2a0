/* SPDX-License-Identifier: Apache-2.0 */

/* test_sim_check [DIR]
 *
 * Short histories that sim_check.h must accept or reject. With DIR it tests
 * nothing, but writes those that lincheck.py can judge, too, to
 * DIR/good-*.jsonl and DIR/bad-*.jsonl. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/sim_lincheck.h"
#include "tests/sim/stories.h"

static void test_row(void **state)
{
    const struct story_row *row = *state;
    struct story s = {.now_ns = 0};

    row->tell(&s);
    assert_int_equal(sim_check(&s.history, NULL), row->verdict);
    sim_history_close(&s.history);
}

static int judge_all(void)
{
    struct CMUnitTest tests[STORIES_COUNT];

    for (size_t i = 0; i < STORIES_COUNT; i++)
        tests[i] = (struct CMUnitTest){.name = stories[i].name,
                                       .test_func = test_row,
                                       .initial_state = &stories[i]};
    return cmocka_run_group_tests_name("sim check", tests, NULL, NULL);
}

static int write_one(const struct story_row *row, const char *folder)
{
    struct story s = {.now_ns = 0};
    char path[4096];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/%s-%s.jsonl", folder,
                   row->verdict == SIM_LINEARIZABLE ? "good" : "bad",
                   row->name);
    out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        return 1;
    }
    row->tell(&s);
    sim_lincheck_write(&s.history, NULL, out);
    sim_history_close(&s.history);
    return fclose(out) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    int failed = 0;

    if (argc < 2)
        return judge_all();
    for (size_t i = 0; i < STORIES_COUNT; i++)
        if (stories[i].second == AGREES)
            failed |= write_one(&stories[i], argv[1]);
    return failed;
}
