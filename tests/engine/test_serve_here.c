/* SPDX-License-Identifier: Apache-2.0 */

/* What a region's leader proposes of what other nodes send it: their commands,
 * with stamps that it believes. The leader is the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/command.h"
#include "engine/control_leader.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/serve.h"
#include "engine/wire.h"

enum { OTHER_NODE = 2, OWN_STAMP = 1000, STAMP_BOUND = 1500 };

struct peer {
    struct buf *proposed; /* the last command */
};

struct node {
    struct peer peer;
    struct serve *serve;
};

/* ---- node.h, peer.h ---- */

struct env *node_env(struct node *node)
{
    (void)node;
    return NULL;
}

uint64_t node_id(const struct node *node)
{
    (void)node;
    return 1;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    assert_int_equal(region, REGION_FIRST_DATA);
    return (struct peer *)(uintptr_t)&node->peer;
}

struct reader *node_reader(const struct node *node)
{
    (void)node;
    return NULL;
}

bool node_disk_full(const struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
    return false;
}

uint64_t node_stamp(struct node *node)
{
    (void)node;
    return OWN_STAMP;
}

uint64_t node_stamp_bound(const struct node *node)
{
    (void)node;
    return STAMP_BOUND;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    (void)node;
    (void)to;
    (void)channel;
    (void)type;
    (void)header;
    (void)payload;
}

void peer_rouse(struct peer *peer)
{
    (void)peer;
}

bool peer_is_serving(const struct peer *peer)
{
    (void)peer;
    return true;
}

/* As if nobody could be reached. */
void peer_propose(struct peer *peer, struct proposal *proposal)
{
    buf_unref(peer->proposed);
    peer->proposed = buf_ref(proposal->command);
    proposal->done(proposal, ERR_NOT_LEADER, false, NULL);
}

uint64_t peer_leader_node(const struct peer *peer)
{
    (void)peer;
    return 1;
}

const struct region *peer_region(const struct peer *peer)
{
    (void)peer;
    return NULL;
}

void peer_tell_commit(struct peer *peer)
{
    (void)peer;
}

void peer_read_index(struct peer *peer, struct index_request *request)
{
    (void)peer;
    (void)request;
}

/* ---- reader.h, control.h, router.h: not needed ---- */

void reader_start(struct reader *reader, struct read_op *op)
{
    (void)reader;
    (void)op;
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    (void)reader;
    (void)op;
}

void control_carry_out(struct node *node, struct peer *peer,
                       const struct buf *bytes, struct control_wait *wait)
{
    (void)node;
    (void)peer;
    (void)bytes;
    (void)wait;
}

void control_cancel_wait(struct control_wait *wait)
{
    (void)wait;
}

bool router_same_call(uint64_t a, uint64_t b)
{
    return a == b;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->serve = serve_new(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    serve_stop(node->serve);
    serve_free(node->serve);
    buf_unref(node->peer.proposed);
    free(node);
    return 0;
}

/* Another node has a command proposed here. */
static void propose(struct node *node, struct buf *command)
{
    struct call call = {
        .ticket = 7, .region = REGION_FIRST_DATA, .kind = CALL_PROPOSE};
    struct buf *header = call_encode(&call);
    struct env_packet packet = {.type = WIRE_CALL,
                                .header = header,
                                .payloads = &command,
                                .payload_count = 1};

    serve_call(node->serve, OTHER_NODE, &packet);
    buf_unref(header);
}

static struct buf *write_with_stamp(uint64_t stamp)
{
    struct command command = {.op = COMMAND_WRITE,
                              .node = OTHER_NODE,
                              .boot = 4,
                              .sequence = 9,
                              .stamp = stamp,
                              .dir = 1,
                              .name = slice_of("a"),
                              .data = slice_of("value")};

    return command_encode(&command);
}

static void assert_proposed(struct node *node, struct buf *expected)
{
    assert_true(
        slice_equal(buf_slice(node->peer.proposed), buf_slice(expected)));
}

/* ---- tests ---- */

static void test_a_stamp_that_is_believed_stays(void **state)
{
    struct node *node = *state;
    struct buf *command = write_with_stamp(STAMP_BOUND);

    propose(node, command);
    assert_ptr_equal(node->peer.proposed, command); /* Nothing is copied. */
    buf_unref(command);
}

/* And nothing but the stamp. */
static void test_a_stamp_too_far_ahead_becomes_the_leaders(void **state)
{
    struct node *node = *state;
    struct buf *command = write_with_stamp(STAMP_BOUND + 1);
    struct buf *expected = write_with_stamp(OWN_STAMP);

    propose(node, command);
    assert_proposed(node, expected);
    buf_unref(command);
    buf_unref(expected);
}

static void test_a_stamp_far_behind_stays(void **state)
{
    struct node *node = *state;
    struct buf *command = write_with_stamp(1);

    propose(node, command);
    assert_proposed(node, command);
    buf_unref(command);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_stamp_that_is_believed_stays),
        TEST(test_a_stamp_too_far_ahead_becomes_the_leaders),
        TEST(test_a_stamp_far_behind_stays),
    };

    return cmocka_run_group_tests_name("serve here", tests, NULL, NULL);
}
