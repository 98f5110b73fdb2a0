/* SPDX-License-Identifier: Apache-2.0 */

/* Files of the nodes of pull_fixture.h, and what is known of them. */

#include "pull_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"

struct test_op {
    struct eventual_op op;
    struct command command;
};

static void op_done(struct eventual_op *op, int status,
                    const struct result *result)
{
    (void)result;
    assert_true(status == 0 || status == ERR_CANCELED);
    free(container_of(op, struct test_op, op));
}

void put_file(struct node *node, const char *name, struct slice content)
{
    struct test_op *op = mem_zalloc(sizeof *op);

    op->command = (struct command){.op = COMMAND_WRITE,
                                   .dir = DIR,
                                   .ino = 77,
                                   .name = slice_of(name),
                                   .data = content,
                                   .value_size_max = EVENTUAL_VALUE_SIZE_MAX};
    op->op = (struct eventual_op){.command = &op->command, .done = op_done};
    eventual_start(node->eventual, &op->op);
    settle(node->cluster);
}

void put_text_file(struct node *node, const char *name, const char *text)
{
    put_file(node, name, slice_of(text));
}

void expect_file(struct node *node, const char *name, const char *text)
{
    struct eventual_record record = {0};
    int rc =
        eventual_get(node->state, NULL, DIR, slice_of(name), true, &record);

    assert_int_equal(rc, text == NULL ? ERR_NOT_FOUND : 0);
    if (text != NULL)
        assert_true(slice_equal(record.content, slice_of(text)));
    eventual_release(&record);
}

struct eventual_counts counts_of(const struct node *node)
{
    struct eventual_counts counts;

    eventual_count(node->eventual, &counts);
    return counts;
}

struct pull_lag lag_of(struct node *node, uint64_t other)
{
    struct pull_lag lags[NODES_MAX];
    size_t count = pulls_lag(node->pulls, lags);

    for (size_t i = 0; i < count; i++)
        if (lags[i].node == other)
            return lags[i];
    return (struct pull_lag){.node = 0};
}

struct slice large(void)
{
    static char bytes[LARGE];

    memset(bytes, 'x', sizeof bytes);
    return (struct slice){bytes, sizeof bytes};
}

void put_many(struct node *node, const char *prefix)
{
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "%s%u", prefix, i);
        put_text_file(node, name, "many");
    }
}
