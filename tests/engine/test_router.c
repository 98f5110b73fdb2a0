/* SPDX-License-Identifier: Apache-2.0 */

/* What a call may conclude from answers that come late, twice or for somebody
 * else, on a node that holds no region itself. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/placement.h"
#include "engine/range.h"
#include "engine/router.h"
#include "engine/status.h"
#include "engine/timers.h"

enum { OWN_NODE = 9, NODE_COUNT = 6, DEADLINE_MS = 1000 };

struct node {
    struct env env;
    struct node_config config;
    struct router *router;
    struct timers timers;
    uint64_t now_ns;
    struct call sent; /* the last one */
    uint64_t sent_to;
    uint64_t sent_version;
    unsigned sent_count;
    struct call_return returned; /* to a call of another node */
    bool disk_full;
    unsigned asked_count;           /* for the region of a key */
    unsigned tried[NODE_COUNT + 1]; /* by node */
};

struct fixture {
    struct node node;
    struct router_call call;
    unsigned done_count;
    int status;
};

/* ---- env.h ---- */

static struct node *node_of(struct env *env)
{
    return container_of(env, struct node, env);
}

static uint64_t fake_clock(struct env *env)
{
    return node_of(env)->now_ns;
}

static void fake_timer_start(struct env *env, struct env_timer *timer,
                             uint64_t delay_ns)
{
    struct node *node = node_of(env);

    timers_start(&node->timers, timer, node->now_ns + delay_ns);
}

static void fake_timer_stop(struct env *env, struct env_timer *timer)
{
    timers_stop(&node_of(env)->timers, timer);
}

static const struct env_ops fake_ops = {
    .mono_ns = fake_clock,
    .wall_ns = fake_clock,
    .timer_start = fake_timer_start,
    .timer_stop = fake_timer_stop,
};

/* ---- node.h ---- */

struct env *node_env(struct node *node)
{
    return &node->env;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

uint64_t node_id(const struct node *node)
{
    return node->config.identity.node_id;
}

uint64_t node_log_keep(const struct node *node)
{
    return node->config.log_keep;
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
    return NULL;
}

struct peer *node_next_peer(const struct node *node, const struct peer *peer)
{
    (void)node;
    (void)peer;
    return NULL;
}

struct peer *node_peer_at(const struct node *node, struct slice user_key)
{
    (void)node;
    (void)user_key;
    return NULL;
}

struct hosted *node_hosted(const struct node *node)
{
    (void)node;
    return NULL;
}

struct peer *node_any_peer(const struct node *node, uint64_t region)
{
    return node_peer(node, region);
}

enum split_side node_on_split(struct node *node, struct peer *peer,
                              const struct region *right)
{
    (void)node;
    (void)peer;
    (void)right;
    return SPLIT_DROP;
}

void node_on_split_applied(struct node *node, uint64_t region, bool kept,
                           bool campaign)
{
    (void)node;
    (void)region;
    (void)kept;
    (void)campaign;
}

bool node_on_merge(struct node *node, const struct peer *target,
                   uint64_t source, uint64_t attempt)
{
    (void)node;
    (void)target;
    (void)source;
    (void)attempt;
    return false;
}

void node_on_merge_applied(struct node *node, struct peer *target,
                           uint64_t source, bool applied)
{
    (void)node;
    (void)target;
    (void)source;
    (void)applied;
}

void node_on_freeze(struct node *node)
{
    (void)node;
}

struct merges *node_merges(const struct node *node)
{
    (void)node;
    return NULL;
}

struct peer *node_next_awake(const struct node *node, const struct peer *peer)
{
    return node_next_peer(node, peer);
}

void node_on_peer_restored(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

void node_on_peer_removed(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

void node_tell_gone(struct node *node, struct peer *peer,
                    const struct region_peer *removed)
{
    (void)node;
    (void)peer;
    (void)removed;
}

void node_on_damage(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

struct status_board *node_status_board(const struct node *node)
{
    (void)node;
    return NULL;
}

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    return node_region_nodes(node, 0, nodes);
}

struct flows *node_flows(const struct node *node)
{
    (void)node;
    return NULL;
}

void flows_on_release(struct flows *flows)
{
    assert_null(flows);
}

struct reader *node_reader(const struct node *node)
{
    (void)node;
    return NULL;
}

struct placement *node_placement(const struct node *node)
{
    (void)node;
    return NULL;
}

int placement_check_goal(struct placement *placement, const struct goal *goal,
                         char why[GOAL_WHY_SIZE])
{
    (void)placement;
    (void)goal;
    (void)why;
    return ERR_NOT_LEADER;
}

int placement_read_goal(struct kv *state, uint64_t region, struct goal *ret)
{
    (void)state;
    (void)region;
    (void)ret;
    return ERR_NOT_FOUND;
}

struct barrier *node_barrier(const struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
    return NULL;
}

struct barrier *node_read_barrier(const struct node *node, uint64_t region)
{
    return node_barrier(node, region);
}

size_t node_region_nodes(const struct node *node, uint64_t region,
                         uint64_t nodes[NODES_MAX])
{
    (void)node;
    (void)region;
    for (size_t i = 0; i < NODE_COUNT; i++)
        nodes[i] = i + 1;
    return NODE_COUNT;
}

bool node_link_up(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return true;
}

bool node_is_alive(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return true;
}

void node_on_sleep(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

bool node_disk_full(const struct node *node, uint64_t region)
{
    (void)region;
    return node->disk_full;
}

uint64_t node_stamp(struct node *node)
{
    return node->now_ns;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    struct slice bytes = {header->data, header->size};

    (void)channel;
    if (type == WIRE_RETURN) {
        assert_int_equal(call_return_decode(&node->returned, bytes), 0);
        return;
    }
    if (type == WIRE_LOCATE) {
        node->asked_count++;
        return;
    }
    assert_int_equal(type, WIRE_CALL);
    assert_int_equal(call_decode(&node->sent, bytes), 0);
    node->sent_to = to;
    node->sent_count++;
    node->sent_version = command_peek_version(payload);
    node->tried[to]++;
}

void node_send_raft(struct node *node, uint64_t to, uint64_t region,
                    const struct raft_message *message)
{
    (void)node;
    (void)to;
    (void)region;
    (void)message;
}

void node_send_snapshot(struct node *node, struct peer *peer, uint64_t to,
                        const struct raft_message *message)
{
    (void)node;
    (void)peer;
    (void)to;
    (void)message;
}

void node_on_leader_change(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

void node_on_manual_transfer(struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
}

void node_on_removed(struct node *node)
{
    (void)node;
}

int status_region_leader(struct node *node, uint64_t region,
                         uint64_t *ret_leader_node)
{
    (void)node;
    (void)region;
    (void)ret_leader_node;
    return ERR_NOT_FOUND;
}

void node_flush_state(struct node *node)
{
    (void)node;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    (void)node;
    (void)level;
    (void)format;
}

/* ---- status.h: no replica asks ---- */

void status_board_tick(struct status_board *board)
{
    (void)board;
}

void status_board_note(struct status_board *board, const struct peer *peer)
{
    (void)board;
    (void)peer;
}

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    (void)board;
    (void)id;
    return NULL;
}

const struct region_status *
status_board_region(const struct status_board *board, uint64_t node_id,
                    uint64_t region)
{
    (void)board;
    (void)node_id;
    (void)region;
    return NULL;
}

const struct region_status *
status_board_next_region(const struct status_board *board, uint64_t node_id,
                         const struct region_status *region)
{
    (void)board;
    (void)node_id;
    (void)region;
    return NULL;
}

unsigned status_board_state(const struct status_board *board, uint64_t node_id,
                            uint64_t region)
{
    (void)board;
    (void)node_id;
    (void)region;
    return 0;
}

void status_print_time(FILE *out, int64_t wall_ns)
{
    (void)out;
    (void)wall_ns;
}

/* ---- the fixture ---- */

static void boot(struct fixture *f)
{
    f->node.config.identity.boot++;
    f->node.router = router_new(&f->node);
}

static void shut_down(struct fixture *f)
{
    router_stop(f->node.router);
    router_free(f->node.router);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->node.env.ops = &fake_ops;
    f->node.config.identity.node_id = OWN_NODE;
    f->node.now_ns = 1000;
    timers_init(&f->node.timers);
    boot(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    shut_down(f);
    free(f);
    return 0;
}

static void on_done(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct fixture *f = container_of(call, struct fixture, call);

    (void)result;
    (void)index;
    f->done_count++;
    f->status = status;
}

static void start(struct fixture *f)
{
    struct command command = {
        .op = COMMAND_UNLINK, .dir = 1, .name = slice_of("a")};

    f->call = (struct router_call){
        .kind = CALL_PROPOSE,
        .region = REGION_FIRST_DATA,
        .deadline_ns = f->node.now_ns + DEADLINE_MS * UINT64_C(1000000),
        .done = on_done};
    f->done_count = 0;
    router_call(f->node.router, &f->call, &command);
}

static void pass(struct fixture *f, uint64_t ms)
{
    f->node.now_ns += ms * 1000000;
    timers_fire(&f->node.timers, f->node.now_ns);
}

static void answer(struct fixture *f, const struct call_return *answer,
                   struct buf *payload)
{
    struct buf *header = call_return_encode(answer);
    struct env_packet packet = {.type = WIRE_RETURN,
                                .header = header,
                                .payloads = &payload,
                                .payload_count = payload != NULL ? 1 : 0};

    router_on_return(f->node.router, &packet);
    buf_unref(header);
}

/* By one that does not lead, and knows as leader `leader`. */
static void refuse(struct fixture *f, uint64_t ticket, uint64_t leader,
                   bool proposed)
{
    answer(f,
           &(struct call_return){.ticket = ticket,
                                 .status = ERR_NOT_LEADER,
                                 .leader_node = leader,
                                 .proposed = proposed},
           NULL);
}

static void succeed(struct fixture *f, uint64_t ticket)
{
    struct buf *bytes = result_encode(&(struct result){.status = 0});

    answer(f, &(struct call_return){.ticket = ticket}, bytes);
    buf_unref(bytes);
}

/* ---- tests ---- */

static void test_an_answer_ends_a_call(void **state)
{
    struct fixture *f = *state;

    start(f);
    succeed(f, f->node.sent.ticket);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, 0);
    succeed(f, f->node.sent.ticket);
    assert_int_equal(f->done_count, 1);
}

static void test_a_refusal_leads_to_the_leader(void **state)
{
    struct fixture *f = *state;

    start(f);
    refuse(f, f->node.sent.ticket, 2, false);
    assert_int_equal(f->node.sent_count, 2);
    assert_int_equal(f->node.sent_to, 2);
}

/* The attempt under way may still be applied, whatever the earlier one says. */
static void test_a_refusal_that_comes_twice_counts_once(void **state)
{
    struct fixture *f = *state;
    uint64_t first;

    start(f);
    first = f->node.sent.ticket;
    refuse(f, first, 2, false);
    refuse(f, first, 2, false);
    assert_int_equal(f->node.sent_count, 2);
    pass(f, DEADLINE_MS);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_UNKNOWN_OUTCOME);
}

/* Nothing is under way at the deadline. */
static void test_what_was_only_refused_is_surely_not_applied(void **state)
{
    struct fixture *f = *state;

    start(f);
    pass(f, DEADLINE_MS - 5);
    refuse(f, f->node.sent.ticket, 0, false);
    pass(f, 5);
    assert_int_equal(f->status, ERR_NO_QUORUM);
}

static void test_what_was_in_a_log_may_still_be_applied(void **state)
{
    struct fixture *f = *state;

    start(f);
    refuse(f, f->node.sent.ticket, 2, true);
    pass(f, DEADLINE_MS - 5);
    refuse(f, f->node.sent.ticket, 0, false);
    pass(f, 5);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_UNKNOWN_OUTCOME);
}

/* ---- regions that are elsewhere ---- */

/* Region 7 has [a, m) of the root's names, 8 what is behind that. */
static struct region region_seven(uint64_t version)
{
    static struct key start;
    static struct key end;

    start = key_user('d', NSID_ROOT, slice_of("a"));
    end = key_user('d', NSID_ROOT, slice_of("m"));
    return (struct region){
        .id = 7,
        .conf_ver = 1,
        .version = version,
        .start = key_user_part(&start),
        .end = key_user_part(&end),
        .peers = {{1, 1, PEER_VOTER}, {2, 2, PEER_VOTER}, {3, 3, PEER_VOTER}},
        .peer_count = 3};
}

static void tell(struct fixture *f, const struct region *region,
                 uint64_t leader)
{
    struct buf *header = located_encode(
        &(struct located){.region = *region, .leader_node = leader});
    struct env_packet packet = {.type = WIRE_LOCATED, .header = header};

    router_on_located(f->node.router, &packet);
    buf_unref(header);
}

static void start_at_place(struct fixture *f, const char *name)
{
    struct command command = {
        .op = COMMAND_UNLINK, .dir = NSID_ROOT, .name = slice_of(name)};

    f->call = (struct router_call){
        .kind = CALL_PROPOSE,
        .deadline_ns = f->node.now_ns + DEADLINE_MS * UINT64_C(1000000),
        .done = on_done};
    router_to_place(&f->call, NSID_ROOT, slice_of(name));
    f->done_count = 0;
    router_call(f->node.router, &f->call, &command);
}

/* The leader that is known, of a region of another version. */
static void refuse_version(struct fixture *f, const struct region *region)
{
    struct buf *payload = located_encode(
        &(struct located){.region = *region, .leader_node = f->node.sent_to});

    answer(f,
           &(struct call_return){.ticket = f->node.sent.ticket,
                                 .status = ERR_EPOCH,
                                 .leader_node = f->node.sent_to},
           payload);
    buf_unref(payload);
}

static void test_a_call_goes_to_the_region_that_has_its_place(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    tell(f, &seven, 2);
    start_at_place(f, "b");
    assert_int_equal(f->node.asked_count, 0);
    assert_int_equal(f->node.sent.region, 7);
    assert_int_equal(f->node.sent_to, 2);
    assert_int_equal(f->node.sent_version, 3);
}

static void test_all_nodes_are_asked_who_has_an_unknown_place(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    start_at_place(f, "b");
    assert_int_equal(f->node.asked_count, NODE_COUNT);
    assert_int_equal(f->node.sent_count, 0);
    tell(f, &seven, 2);
    pass(f, 0);
    assert_int_equal(f->node.sent_to, 2);
}

static void test_no_place_until_the_deadline_means_not_applied(void **state)
{
    struct fixture *f = *state;

    start_at_place(f, "b");
    for (unsigned i = 0; i < DEADLINE_MS / 10; i++)
        pass(f, 10);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_NO_QUORUM);
}

static void refuse_by_all(struct fixture *f, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        refuse(f, f->node.sent.ticket, 0, false);
        pass(f, 10);
    }
}

/* None of them knows a leader. */
static void test_each_node_is_tried_in_turn(void **state)
{
    struct fixture *f = *state;

    start(f);
    refuse_by_all(f, NODE_COUNT - 1);
    for (unsigned i = 1; i <= NODE_COUNT; i++)
        assert_int_equal(f->node.tried[i], 1);
}

static void test_each_node_is_tried_that_does_not_answer(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->call.deadline_ns = 0;
    for (unsigned i = 1; i < NODE_COUNT; i++)
        pass(f, 1000);
    for (unsigned i = 1; i <= NODE_COUNT; i++)
        assert_int_equal(f->node.tried[i], 1);
}

/* Its replicas have all moved: a node that was not said to have one does. */
static void
test_at_last_nodes_are_tried_that_are_not_said_to_have_it(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    tell(f, &seven, 0);
    start_at_place(f, "b");
    refuse_by_all(f, 20);
    assert_true(f->node.tried[4] > 0);
    assert_true(f->node.asked_count > 0);
}

static void test_a_refusal_teaches_the_regions_version(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    tell(f, &seven, 2);
    start_at_place(f, "b");
    seven.version = 4;
    refuse_version(f, &seven);
    assert_int_equal(f->node.sent_count, 2);
    assert_int_equal(f->node.sent_version, 4);
}

/* What it told was known: at once it would only refuse again. */
static void test_a_refusal_that_teaches_nothing_is_waited_out(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);

    tell(f, &seven, 2);
    start_at_place(f, "b");
    refuse_version(f, &seven);
    assert_int_equal(f->node.sent_count, 1);
    pass(f, 10);
    assert_int_equal(f->node.sent_count, 2);
}

/* The command was in a log, and had no effect there. */
static void test_a_copy_that_missed_its_region_is_sent_anew(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);
    struct buf *bytes = result_encode(&(struct result){.status = ERR_EPOCH});

    tell(f, &seven, 2);
    start_at_place(f, "b");
    answer(f, &(struct call_return){.ticket = f->node.sent.ticket}, bytes);
    assert_int_equal(f->done_count, 0);
    pass(f, 10);
    assert_int_equal(f->node.sent_count, 2);
    buf_unref(bytes);
}

static void test_what_names_two_regions_ends(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);
    struct buf *bytes = result_encode(&(struct result){.status = ERR_EPOCH});

    tell(f, &seven, 2);
    start_at_place(f, "b");
    f->call.names_more = true;
    answer(f, &(struct call_return){.ticket = f->node.sent.ticket}, bytes);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_EPOCH);
    buf_unref(bytes);
}

/* The newer copy may be in the log behind the one that had no effect. */
static void test_what_an_earlier_copy_missed_a_newer_may_do(void **state)
{
    struct fixture *f = *state;
    struct region seven = region_seven(3);
    struct buf *bytes = result_encode(&(struct result){.status = ERR_EPOCH});
    uint64_t first;

    tell(f, &seven, 2);
    start_at_place(f, "b");
    f->call.names_more = true;
    f->call.deadline_ns = 0;
    first = f->node.sent.ticket;
    pass(f, 1000);
    assert_int_equal(f->node.sent_count, 2);
    answer(f, &(struct call_return){.ticket = first}, bytes);
    assert_int_equal(f->done_count, 0);
    succeed(f, f->node.sent.ticket);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, 0);
    buf_unref(bytes);
}

static void test_no_answer_of_an_earlier_boot_fits(void **state)
{
    struct fixture *f = *state;
    uint64_t ticket;

    start(f);
    ticket = f->node.sent.ticket;
    shut_down(f);
    boot(f);
    start(f);
    succeed(f, ticket);
    assert_int_equal(f->done_count, 0);
    succeed(f, f->node.sent.ticket);
    assert_int_equal(f->done_count, 1);
}

/* Another node has this proposed; returns the answer's status, 0 for none. */
static int propose_for_another(struct fixture *f, uint64_t ticket,
                               struct buf *command)
{
    struct call call = {
        .ticket = ticket, .region = REGION_FIRST_DATA, .kind = CALL_PROPOSE};
    struct buf *header = call_encode(&call);
    struct env_packet packet = {.type = WIRE_CALL,
                                .header = header,
                                .payloads = &command,
                                .payload_count = 1};

    f->node.returned.status = 0;
    router_on_call(f->node.router, 1, &packet);
    buf_unref(header);
    buf_unref(command);
    return f->node.returned.status;
}

static struct buf *command_of(enum command_op op)
{
    struct command command = {.op = op, .dir = 1, .name = slice_of("a")};

    return command_encode(&command);
}

static void test_a_full_disk_refuses_what_grows(void **state)
{
    struct fixture *f = *state;

    f->node.disk_full = true;
    assert_int_equal(propose_for_another(f, 7, command_of(COMMAND_CREATE)),
                     ERR_NO_SPACE);
    assert_int_equal(propose_for_another(f, 8, command_of(COMMAND_UNLINK)),
                     ERR_NOT_LEADER);
}

/* Its sender has told that nothing was done. */
static void test_what_was_refused_for_good_stays_refused(void **state)
{
    struct fixture *f = *state;

    f->node.disk_full = true;
    assert_int_equal(propose_for_another(f, 7, command_of(COMMAND_CREATE)),
                     ERR_NO_SPACE);
    f->node.disk_full = false;
    assert_int_equal(propose_for_another(f, 7, command_of(COMMAND_CREATE)), 0);
    assert_int_equal(propose_for_another(f, 8, command_of(COMMAND_CREATE)),
                     ERR_NOT_LEADER);
}

/* The first one may be in a log. */
static void test_a_copy_of_what_was_taken_is_not_refused_for_good(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(propose_for_another(f, 7, command_of(COMMAND_CREATE)),
                     ERR_NOT_LEADER);
    f->node.disk_full = true;
    assert_int_equal(propose_for_another(f, 7, command_of(COMMAND_CREATE)),
                     ERR_NOT_LEADER);
    assert_int_equal(propose_for_another(f, 8, command_of(COMMAND_CREATE)),
                     ERR_NO_SPACE);
}

static void test_what_cannot_be_read_is_not_proposed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(propose_for_another(f, 7, buf_copy("rubbish", 7)),
                     ERR_PROTOCOL);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_answer_ends_a_call),
        TEST(test_a_refusal_leads_to_the_leader),
        TEST(test_a_refusal_that_comes_twice_counts_once),
        TEST(test_what_was_only_refused_is_surely_not_applied),
        TEST(test_what_was_in_a_log_may_still_be_applied),
        TEST(test_a_call_goes_to_the_region_that_has_its_place),
        TEST(test_all_nodes_are_asked_who_has_an_unknown_place),
        TEST(test_no_place_until_the_deadline_means_not_applied),
        TEST(test_each_node_is_tried_in_turn),
        TEST(test_each_node_is_tried_that_does_not_answer),
        TEST(test_at_last_nodes_are_tried_that_are_not_said_to_have_it),
        TEST(test_a_refusal_teaches_the_regions_version),
        TEST(test_a_refusal_that_teaches_nothing_is_waited_out),
        TEST(test_a_copy_that_missed_its_region_is_sent_anew),
        TEST(test_what_names_two_regions_ends),
        TEST(test_what_an_earlier_copy_missed_a_newer_may_do),
        TEST(test_no_answer_of_an_earlier_boot_fits),
        TEST(test_a_full_disk_refuses_what_grows),
        TEST(test_what_was_refused_for_good_stays_refused),
        TEST(test_a_copy_of_what_was_taken_is_not_refused_for_good),
        TEST(test_what_cannot_be_read_is_not_proposed),
    };

    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
