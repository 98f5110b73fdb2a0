/* SPDX-License-Identifier: Apache-2.0 */

/* What other nodes are answered that have commands proposed here, by a node
 * that leads nothing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/engine/lone_node.h"

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    lone_node_init(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    lone_node_shut_down(*state);
    free(*state);
    return 0;
}

/* Another node has this proposed; returns the answer's status, 0 for none. */
static int propose_for_another(struct node *node, uint64_t ticket,
                               struct buf *command)
{
    struct call call = {
        .ticket = ticket, .region = REGION_FIRST_DATA, .kind = CALL_PROPOSE};
    struct buf *header = call_encode(&call);
    struct env_packet packet = {.type = WIRE_CALL,
                                .header = header,
                                .payloads = &command,
                                .payload_count = 1};

    node->returned.status = 0;
    router_on_call(node->router, 1, &packet);
    buf_unref(header);
    buf_unref(command);
    return node->returned.status;
}

static struct buf *command_of(enum command_op op)
{
    struct command command = {.op = op, .dir = 1, .name = slice_of("a")};

    return command_encode(&command);
}

static void test_a_full_disk_refuses_what_grows(void **state)
{
    struct node *node = *state;

    node->disk_full = true;
    assert_int_equal(propose_for_another(node, 7, command_of(COMMAND_CREATE)),
                     ERR_NO_SPACE);
    assert_int_equal(propose_for_another(node, 8, command_of(COMMAND_UNLINK)),
                     ERR_NOT_LEADER);
}

/* Its sender has told that nothing was done. */
static void test_what_was_refused_for_good_stays_refused(void **state)
{
    struct node *node = *state;

    node->disk_full = true;
    assert_int_equal(propose_for_another(node, 7, command_of(COMMAND_CREATE)),
                     ERR_NO_SPACE);
    node->disk_full = false;
    assert_int_equal(propose_for_another(node, 7, command_of(COMMAND_CREATE)),
                     0);
    assert_int_equal(propose_for_another(node, 8, command_of(COMMAND_CREATE)),
                     ERR_NOT_LEADER);
}

/* The first one may be in a log. */
static void test_a_copy_of_what_was_taken_is_not_refused_for_good(void **state)
{
    struct node *node = *state;

    assert_int_equal(propose_for_another(node, 7, command_of(COMMAND_CREATE)),
                     ERR_NOT_LEADER);
    node->disk_full = true;
    assert_int_equal(propose_for_another(node, 7, command_of(COMMAND_CREATE)),
                     ERR_NOT_LEADER);
    assert_int_equal(propose_for_another(node, 8, command_of(COMMAND_CREATE)),
                     ERR_NO_SPACE);
}

static void test_what_cannot_be_read_is_not_proposed(void **state)
{
    struct node *node = *state;

    assert_int_equal(propose_for_another(node, 7, buf_copy("rubbish", 7)),
                     ERR_PROTOCOL);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_full_disk_refuses_what_grows),
        TEST(test_what_was_refused_for_good_stays_refused),
        TEST(test_a_copy_of_what_was_taken_is_not_refused_for_good),
        TEST(test_what_cannot_be_read_is_not_proposed),
    };

    return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
