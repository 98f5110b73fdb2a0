/* SPDX-License-Identifier: Apache-2.0 */

/* When a read is answered at once: which of the replicas have to be what. They
 * and their state are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/hosted.h"
#include "engine/keys.h"
#include "engine/read_memo.h"
#include "engine/reader.h"

enum { SINCE_NS = 500 };

struct peer {
    bool leads;
    uint64_t current_ns;
};

static uint64_t mono_ns(struct env *env)
{
    (void)env;
    return 1000;
}

static const struct env_ops ops = {.mono_ns = mono_ns};

struct node {
    struct env env;
    struct peer placement;
    struct peer data;
    int status; /* of a look */
    unsigned looks;
    uint64_t answered_ns; /* see reader_note_answer() */
};

static struct node the_node;

/* ---- node.h, hosted.h, peer.h, reader.h, read.h ---- */

struct env *node_env(struct node *node)
{
    return &node->env;
}

struct hosted *node_hosted(const struct node *node)
{
    (void)node;
    return NULL;
}

struct reader *node_reader(const struct node *node)
{
    (void)node;
    return NULL;
}

void hosted_enter(struct hosted *hosted)
{
    (void)hosted;
}

void hosted_leave(struct hosted *hosted)
{
    (void)hosted;
}

struct peer *hosted_placement(const struct hosted *hosted)
{
    (void)hosted;
    return &the_node.placement;
}

struct peer *hosted_find(const struct hosted *hosted, struct slice user_key,
                         struct range *ret_range)
{
    (void)hosted;
    (void)user_key;
    *ret_range = (struct range){0};
    return &the_node.data;
}

uint64_t peer_region_id(const struct peer *peer)
{
    return peer == &the_node.data ? REGION_FIRST_DATA : REGION_PLACEMENT;
}

uint64_t peer_moment(const struct peer *peer)
{
    (void)peer;
    return 1;
}

bool peer_lease_holds(const struct peer *peer, uint64_t now_ns)
{
    assert_int_equal(now_ns, 1000);
    return peer->leads;
}

bool peer_is_current(const struct peer *peer, uint64_t since_ns)
{
    return peer->current_ns >= since_ns;
}

void peer_note_use(struct peer *peer)
{
    (void)peer;
}

uint64_t reader_since(const struct reader *reader, uint64_t since_ns)
{
    (void)reader;
    return since_ns > the_node.answered_ns ? since_ns : 0;
}

struct read_memo *reader_memo(struct reader *reader)
{
    (void)reader;
    return NULL;
}

bool read_memo_find(struct read_memo *memo, const struct command *command,
                    struct read_moment moment, struct result *ret)
{
    (void)memo;
    (void)command;
    (void)moment;
    (void)ret;
    return false;
}

void read_memo_keep(struct read_memo *memo, const struct command *command,
                    struct read_moment moment, const struct result *result)
{
    (void)memo;
    (void)command;
    (void)moment;
    (void)result;
    assert_true(the_node.placement.leads);
}

struct key read_first_key(const struct command *command)
{
    return key_user('d', command->dir, command->name);
}

int read_execute(struct kv *state, const struct read_view *view,
                 const struct command *command, struct read_unknown *unknown,
                 struct result *ret)
{
    (void)state;
    (void)view;
    (void)command;
    (void)unknown;
    the_node.looks++;
    ret->status = the_node.status;
    return the_node.status;
}

/* ---- tests ---- */

static int setup(void **state)
{
    (void)state;
    the_node = (struct node){.env.ops = &ops};
    return 0;
}

static bool look_up(uint64_t since_ns)
{
    const struct command command = {
        .op = COMMAND_LOOKUP, .dir = NSID_ROOT, .name = {"a", 1}};
    struct result result = {0};

    return reader_try(&the_node, &command, since_ns, &result);
}

static void test_a_read_needs_the_leases_of_both_regions(void **state)
{
    (void)state;
    assert_false(look_up(0));
    the_node.placement.leads = true;
    assert_false(look_up(0));
    the_node.data.leads = true;
    assert_true(look_up(0));
    the_node.placement.leads = false;
    assert_false(look_up(0));
    assert_int_equal(the_node.looks, 1);
}

static void test_without_leases_both_regions_have_to_be_current(void **state)
{
    (void)state;
    the_node.placement.current_ns = SINCE_NS;
    assert_false(look_up(SINCE_NS));
    the_node.data.current_ns = SINCE_NS;
    assert_true(look_up(SINCE_NS));
    assert_false(look_up(SINCE_NS + 1));
    assert_false(look_up(0));
    the_node.placement.current_ns = SINCE_NS - 1;
    assert_false(look_up(SINCE_NS));
    assert_int_equal(the_node.looks, 1);
}

static void test_what_was_answered_from_elsewhere_is_seen(void **state)
{
    (void)state;
    the_node.placement.current_ns = the_node.data.current_ns = SINCE_NS;
    the_node.answered_ns = SINCE_NS;
    assert_false(look_up(SINCE_NS));
    the_node.answered_ns = SINCE_NS - 1;
    assert_true(look_up(SINCE_NS));
}

static void test_a_lock_is_looked_at_again_under_leases_only(void **state)
{
    (void)state;
    the_node.status = ERR_LOCKED;
    the_node.placement.current_ns = the_node.data.current_ns = SINCE_NS;
    assert_false(look_up(SINCE_NS));
    assert_int_equal(the_node.looks, 1);
    the_node.placement.leads = the_node.data.leads = true;
    assert_false(look_up(0));
    assert_true(the_node.looks > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* clang-format off */
        cmocka_unit_test_setup(test_a_read_needs_the_leases_of_both_regions, setup),
        cmocka_unit_test_setup(test_without_leases_both_regions_have_to_be_current, setup),
        cmocka_unit_test_setup(test_what_was_answered_from_elsewhere_is_seen, setup),
        cmocka_unit_test_setup(test_a_lock_is_looked_at_again_under_leases_only, setup),
        /* clang-format on */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
