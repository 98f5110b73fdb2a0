/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "exec_fixture.h"

#include "engine/settings.h"

enum { REGION = 5 };

static void put_node(struct exec_fixture *f, uint64_t id, enum node_state state)
{
    struct node_record node = {.id = id, .state = state};
    struct kv_batch *batch = kv_batch_new(f->state);
    struct buf *bytes = node_encode(&node);
    struct key key = key_node(id);

    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    buf_unref(bytes);
    kv_batch_free(batch);
}

static int setup(void **state)
{
    int rc = setup_exec(state);

    for (uint64_t id = 1; id <= 4; id++)
        put_node(*state, id, NODE_UP);
    return rc;
}

static int begin(struct exec_fixture *f, uint64_t from, uint64_t to)
{
    return run(f, &(struct command){
                      .op = COMMAND_BEGIN_GOAL,
                      .goal = {.region = REGION, .from = from, .to = to},
                  });
}

static int end(struct exec_fixture *f, uint64_t id, int status, const char *why)
{
    struct command command = {
        .op = COMMAND_END_GOAL,
        .goal = {.region = REGION, .id = id, .status = status},
    };

    strcpy(command.goal.why, why);
    return run(f, &command);
}

static struct goal read_goal(struct exec_fixture *f)
{
    struct key key = key_goal(REGION);
    struct kv_value value = {0};
    struct goal goal = {0};

    assert_int_equal(kv_get(f->state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(goal_decode(&goal, (struct slice){value.data, value.size}),
                     0);
    kv_value_release(&value);
    return goal;
}

/* ---- goals ---- */

static void test_a_goal_is_kept_until_it_has_ended(void **state)
{
    struct exec_fixture *f = *state;
    struct goal goal;

    assert_int_equal(begin(f, 2, 4), 0);
    goal = read_goal(f);
    assert_true(goal_is_running(&goal));
    assert_int_equal(goal.from, 2);
    assert_int_equal(goal.to, 4);
    assert_true(goal.begin_ns > 0);
    assert_true(goal.id != 0 && goal.id == f->result.first_id);
    assert_int_equal(end(f, goal.id, ERR_UNAVAILABLE, "node 4 is down"), 0);
    goal = read_goal(f);
    assert_false(goal_is_running(&goal));
    assert_true(goal.end_ns > goal.begin_ns);
    assert_int_equal(goal.status, ERR_UNAVAILABLE);
    assert_string_equal(goal.why, "node 4 is down");
}

static void test_a_region_has_one_goal_at_a_time(void **state)
{
    struct exec_fixture *f = *state;
    struct goal first;

    assert_int_equal(begin(f, 2, 4), 0);
    first = read_goal(f);
    assert_int_equal(begin(f, 1, 4), ERR_BUSY);
    assert_int_equal(read_goal(f).from, 2);
    assert_int_equal(end(f, first.id, 0, ""), 0);
    assert_int_equal(begin(f, 1, 4), 0);
    assert_true(read_goal(f).id > first.id);
}

/* A late word about an operator must not end the next one. */
static void test_an_end_is_for_the_goal_that_it_names(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t first;

    assert_int_equal(end(f, 0, 0, ""), ERR_NOT_FOUND);
    assert_int_equal(begin(f, 2, 4), 0);
    first = read_goal(f).id;
    assert_int_equal(end(f, first + 1, 0, ""), ERR_NOT_FOUND);
    assert_int_equal(end(f, first, ERR_CANCELED, ""), 0);
    assert_int_equal(end(f, first, 0, ""), ERR_NOT_FOUND);
    assert_int_equal(read_goal(f).status, ERR_CANCELED);
    assert_int_equal(begin(f, 2, 4), 0);
    assert_int_equal(end(f, first, 0, ""), ERR_NOT_FOUND);
    assert_int_equal(read_goal(f).end_ns, 0);
    assert_int_equal(end(f, 0, ERR_CANCELED, ""), 0);
}

static void test_only_members_get_replicas(void **state)
{
    struct exec_fixture *f = *state;

    put_node(f, 3, NODE_REMOVED);
    assert_int_equal(begin(f, 2, 9), ERR_NOT_FOUND);
    assert_int_equal(begin(f, 2, 3), ERR_NOT_FOUND);
    assert_int_equal(begin(f, 2, 2), ERR_INVALID);
    assert_int_equal(begin(f, 0, 0), ERR_INVALID);
    assert_int_equal(count_class(f->state, "cg"), 0);
    /* It may still lose them. */
    assert_int_equal(begin(f, 3, 0), 0);
}

/* ---- settings ---- */

static int set(struct exec_fixture *f, const char *name, uint64_t value)
{
    return run(f, &(struct command){.op = COMMAND_SET,
                                    .name = slice_of(name),
                                    .size = value});
}

static uint64_t value_of(struct exec_fixture *f, enum setting setting)
{
    struct settings settings;

    assert_int_equal(settings_read(f->state, &settings), 0);
    return settings.value[setting];
}

static void test_settings_have_defaults_until_they_are_set(void **state)
{
    struct exec_fixture *f = *state;

    assert_int_equal(value_of(f, SETTING_REPLICAS), 3);
    assert_int_equal(value_of(f, SETTING_DOWN_AFTER), 300);
    assert_int_equal(value_of(f, SETTING_REGION_SIZE), 96 << 20);
    assert_int_equal(value_of(f, SETTING_BALANCE), 1);
    assert_int_equal(set(f, "replicas", 5), 0);
    assert_int_equal(set(f, "balance", 0), 0);
    assert_int_equal(value_of(f, SETTING_REPLICAS), 5);
    assert_int_equal(value_of(f, SETTING_BALANCE), 0);
    assert_int_equal(value_of(f, SETTING_DOWN_AFTER), 300);
}

static void test_what_a_setting_does_not_allow_is_refused(void **state)
{
    struct exec_fixture *f = *state;

    assert_int_equal(set(f, "replica", 3), ERR_NOT_FOUND);
    assert_int_equal(set(f, "", 3), ERR_NOT_FOUND);
    assert_int_equal(set(f, "replicas", 0), ERR_INVALID);
    assert_int_equal(set(f, "replicas", 2), ERR_INVALID);
    assert_int_equal(set(f, "replicas", 7), ERR_INVALID);
    assert_int_equal(set(f, "down_after", 9), ERR_INVALID);
    assert_int_equal(set(f, "region_size", 1000), ERR_INVALID);
    assert_int_equal(set(f, "balance", 2), ERR_INVALID);
    assert_int_equal(count_class(f->state, "cs"), 0);
}

static void test_texts_of_settings_are_read_and_printed(void **state)
{
    const char *why = NULL;
    uint64_t value = 0;
    char text[32];

    (void)state;
    for (size_t i = 0; i < SETTINGS; i++) {
        enum setting setting = (enum setting)i;
        FILE *out = fmemopen(text, sizeof text, "w");
        uint64_t min = 0;

        assert_int_equal(setting_find(slice_of(setting_name(setting))), i);
        while (!setting_allows(setting, min))
            min++;
        setting_print(setting, min, out);
        assert_int_equal(fclose(out), 0);
        text[strlen(text) - 1] = '\0';
        assert_int_equal(setting_parse(setting, slice_of(text), &value, &why),
                         0);
        assert_int_equal(value, min);
        assert_int_equal(setting_parse(setting, slice_of("x"), &value, &why),
                         ERR_INVALID);
        assert_non_null(why);
        assert_int_equal(setting_parse(setting, slice_of(""), &value, &why),
                         ERR_INVALID);
    }
    assert_int_equal(setting_find(slice_of("no")), SETTINGS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_goal_is_kept_until_it_has_ended),
        TEST(test_a_region_has_one_goal_at_a_time),
        TEST(test_an_end_is_for_the_goal_that_it_names),
        TEST(test_only_members_get_replicas),
        TEST(test_settings_have_defaults_until_they_are_set),
        TEST(test_what_a_setting_does_not_allow_is_refused),
        TEST(test_texts_of_settings_are_read_and_printed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
