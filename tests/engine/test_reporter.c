/* SPDX-License-Identifier: Apache-2.0 */

/* When region 0's leader is told of a region, and when nobody even looks at
 * it. Peers, links and the other node are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/node.h"
#include "engine/placement.h"
#include "engine/reporter.h"
#include "engine/splitter.h"
#include "engine/status.h"

enum { READER = 2, REGIONS_LED = 3, TICKS = 10 };

struct peer {
    struct region region;
    uint64_t leader_node;
    uint64_t term;
    bool asleep;
    bool gone;
};

struct placement {
    struct node *node;
};

/* Node 1; region 0's leader is READER. */
struct node {
    struct node_config config;
    struct peer own[1 + REGIONS_LED];
    struct peer *peers; /* those, by region id */
    bool other_is_silent;
    struct reporter *reporter;
    struct placement *placement;
    unsigned reports;     /* sent */
    uint64_t last_region; /* of the last one */
    uint64_t last_bytes;
    bool last_measured;
    unsigned last_flags; /* of its replica on READER */
    struct reported sum; /* the last one */
    bool asks_for_all;   /* whoever is told of it finds that it is not right */
};

static unsigned looks;             /* at peers */
static enum peer_state state_told; /* by READER of its replicas */
static struct region_size size_of_2 = {SIZE_UNKNOWN, SIZE_UNKNOWN};

/* ---- node.h, peer.h and others ---- */

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

uint64_t node_id(const struct node *node)
{
    (void)node;
    return 1;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    return node->peers[region].gone ? NULL : &node->peers[region];
}

static struct peer *next_peer(const struct node *node, const struct peer *peer,
                              bool only_awake)
{
    uint64_t region = peer == NULL ? 0 : peer->region.id + 1;

    for (; region <= REGIONS_LED; region++)
        if (!node->peers[region].gone &&
            !(only_awake && node->peers[region].asleep))
            return node_peer(node, region);
    return NULL;
}

struct peer *node_next_peer(const struct node *node, const struct peer *peer)
{
    return next_peer(node, peer, false);
}

struct peer *node_next_awake(const struct node *node, const struct peer *peer)
{
    return next_peer(node, peer, true);
}

bool node_link_up(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return true;
}

/* Though it may be connected. */
bool node_is_alive(const struct node *node, uint64_t node_id)
{
    return node_id == READER || !node->other_is_silent;
}

struct status_board *node_status_board(const struct node *node)
{
    (void)node;
    return NULL;
}

struct splitter *node_splitter(const struct node *node)
{
    (void)node;
    return NULL;
}

struct placement *node_placement(const struct node *node)
{
    return node->placement;
}

static void see_sum(struct node *node, struct slice bytes)
{
    assert_int_equal(reported_decode(&node->sum, bytes), 0);
}

static void see_report(struct node *node, struct slice bytes)
{
    struct region_report report;

    assert_int_equal(region_report_decode(&report, bytes), 0);
    node->reports++;
    node->last_region = report.region.id;
    node->last_flags = report.peers[1].flags;
    node->last_bytes = report.size_bytes;
    node->last_measured = report.measured;
    region_report_release(&report);
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    struct slice bytes = buf_slice(header);

    assert_int_equal(to, node->peers[REGION_PLACEMENT].leader_node);
    assert_int_equal(channel, ENV_CHANNEL_RAFT);
    assert_null(payload);
    if (type == WIRE_REPORTED) {
        see_sum(node, bytes);
        return;
    }
    assert_int_equal(type, WIRE_REPORT);
    see_report(node, bytes);
}

/* This node leads region 0 itself. */
void placement_on_report(struct placement *placement, uint64_t from,
                         struct slice bytes)
{
    assert_int_equal(from, 1);
    see_report(placement->node, bytes);
}

void placement_on_reported(struct placement *placement, uint64_t from,
                           struct slice bytes)
{
    struct node *node = placement->node;

    assert_int_equal(from, 1);
    see_sum(node, bytes);
    if (node->asks_for_all)
        reporter_tell_all(node->reporter);
    node->asks_for_all = false;
}

unsigned status_board_state(const struct status_board *board, uint64_t node_id,
                            uint64_t region)
{
    (void)board;
    (void)region;
    return node_id == 1 ? PEER_RUNNING : state_told;
}

void splitter_find_size(const struct splitter *splitter, uint64_t region,
                        struct region_size *ret)
{
    (void)splitter;
    *ret = region == 2 ? size_of_2
                       : (struct region_size){SIZE_UNKNOWN, SIZE_UNKNOWN};
}

bool peer_is_serving(const struct peer *peer)
{
    looks += peer->region.id != REGION_PLACEMENT;
    return peer->leader_node == 1;
}

bool peer_is_asleep(const struct peer *peer)
{
    return peer->asleep;
}

uint64_t peer_region_id(const struct peer *peer)
{
    return peer->region.id;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

uint64_t peer_leader_node(const struct peer *peer)
{
    return peer->leader_node;
}

uint64_t peer_term(const struct peer *peer)
{
    return peer->term;
}

uint64_t peer_commit(const struct peer *peer)
{
    (void)peer;
    return 9;
}

void peer_status(const struct peer *peer, struct peer_status *ret)
{
    *ret = (struct peer_status){.region = peer->region.id, .term = peer->term};
}

bool peer_progress(const struct peer *peer, uint64_t node_id,
                   struct raft_peer_status *ret)
{
    (void)peer;
    (void)node_id;
    *ret = (struct raft_peer_status){.state = RAFT_REPLICATE, .match = 9};
    return true;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    state_told = PEER_RUNNING;
    size_of_2 = (struct region_size){SIZE_UNKNOWN, SIZE_UNKNOWN};
    node->peers = node->own;
    for (uint64_t id = 0; id <= REGIONS_LED; id++)
        node->peers[id] = (struct peer){
            .region = {.id = id,
                       .conf_ver = 1,
                       .version = 1,
                       .peers = {{1, 1, PEER_VOTER}, {2, 3, PEER_VOTER}},
                       .peer_count = 2},
            .leader_node = id == REGION_PLACEMENT ? READER : 1,
            .term = 1,
        };
    node->placement = mem_zalloc(sizeof *node->placement);
    node->placement->node = node;
    node->reporter = reporter_new(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    reporter_free(node->reporter);
    free(node->placement);
    free(node);
    return 0;
}

static void all_sleep(struct node *node)
{
    reporter_tick(node->reporter);
    for (uint64_t id = 1; id <= REGIONS_LED; id++)
        node->peers[id].asleep = true;
    node->reports = 0;
    looks = 0;
}

/* ---- the tests ---- */

static void test_each_region_is_told_of_once(void **state)
{
    struct node *node = *state;

    for (unsigned i = 0; i < TICKS; i++)
        reporter_tick(node->reporter);
    assert_int_equal(node->reports, REGIONS_LED);
    assert_int_equal(node->sum.led_count, REGIONS_LED);
}

static void test_nobody_looks_at_regions_that_sleep(void **state)
{
    struct node *node = *state;

    all_sleep(node);
    for (unsigned i = 0; i < TICKS; i++)
        reporter_tick(node->reporter);
    assert_int_equal(looks, 0);
    reporter_each_second(node->reporter);
    assert_int_equal(node->reports, 0);
    assert_int_equal(node->sum.led_count, REGIONS_LED);
}

static void test_who_reads_next_is_told_at_once_of_all(void **state)
{
    struct node *node = *state;

    all_sleep(node);
    node->peers[REGION_PLACEMENT].leader_node = READER + 1;
    reporter_tick(node->reporter);
    assert_int_equal(node->reports, REGIONS_LED);
}

static void test_what_is_asked_for_is_told_at_once(void **state)
{
    struct node *node = *state;

    all_sleep(node);
    reporter_tell_again(node->reporter, 2);
    reporter_tick(node->reporter);
    assert_int_equal(node->reports, 1);
    assert_int_equal(node->last_region, 2);
}

static void test_a_lost_leadership_counts_at_once(void **state)
{
    struct node *node = *state;

    all_sleep(node);
    node->peers[2].asleep = false;
    node->peers[2].leader_node = 3;
    reporter_tick(node->reporter);
    assert_int_equal(node->sum.led_count, REGIONS_LED - 1);
}

static void test_a_removed_replica_counts_within_a_second(void **state)
{
    struct node *node = *state;

    all_sleep(node);
    node->peers[2].gone = true;
    reporter_each_second(node->reporter);
    assert_int_equal(node->sum.led_count, REGIONS_LED - 1);
}

/* Another node is lost, and nothing wakes up for it. */
static void test_silence_is_told_once_of_regions_that_sleep(void **state)
{
    struct node *node = *state;

    all_sleep(node);
    node->other_is_silent = true;
    for (unsigned i = 0; i < 3; i++)
        reporter_each_second(node->reporter);
    assert_int_equal(node->reports, REGIONS_LED);
    assert_int_equal(node->last_flags, PEER_FLAG_SILENT | PEER_FLAG_CAUGHT_UP);
}

/* Whatever the log says: such a replica cannot take part yet. */
static void test_who_is_damaged_or_restored_has_not_caught_up(void **state)
{
    struct node *node = *state;

    state_told = PEER_DAMAGED;
    reporter_tick(node->reporter);
    assert_int_equal(node->last_flags, PEER_FLAG_DAMAGED);
    state_told = PEER_RESTORING;
    reporter_each_second(node->reporter);
    assert_int_equal(node->last_flags, 0);
    state_told = PEER_RUNNING;
    reporter_each_second(node->reporter);
    assert_int_equal(node->last_flags, PEER_FLAG_CAUGHT_UP);
}

/* It is asked while it still tells its sum. */
static void
test_region_0s_leader_tells_itself_that_it_has_told_all(void **state)
{
    struct node *node = *state;
    uint64_t sequence;

    node->peers[REGION_PLACEMENT].leader_node = 1;
    reporter_tick(node->reporter);
    sequence = node->sum.sequence;
    node->asks_for_all = true;
    reporter_tell_again(node->reporter, 2);
    reporter_tick(node->reporter);
    node->reports = 0;
    reporter_tick(node->reporter);
    assert_int_equal(node->reports, 1 + REGIONS_LED);
    assert_true(node->sum.first > sequence);
    reporter_tell_again(node->reporter, 2);
    reporter_tick(node->reporter);
    assert_int_equal(node->sum.first, 0);
}

static unsigned reports_of_size(struct node *node, uint64_t bytes)
{
    unsigned reports = node->reports;

    size_of_2.bytes = bytes;
    reporter_each_second(node->reporter);
    return node->reports - reports;
}

/* What balances regions by their size has to know it; each write changes it. */
static void test_a_size_is_told_when_it_has_changed_noticeably(void **state)
{
    enum { MIB = 1024 * 1024 };
    struct node *node = *state;

    all_sleep(node);
    assert_int_equal(reports_of_size(node, 80 * MIB), 1);
    assert_int_equal(node->last_region, 2);
    assert_int_equal(node->last_bytes, 80 * MIB);
    assert_false(node->last_measured);
    for (unsigned i = 1; i <= 10; i++)
        assert_int_equal(reports_of_size(node, (80 + i) * MIB), 0);
    assert_int_equal(reports_of_size(node, 90 * MIB + 1), 1);
    assert_int_equal(reports_of_size(node, 80 * MIB), 0);
    assert_int_equal(reports_of_size(node, 78 * MIB), 1);
    assert_int_equal(reports_of_size(node, MIB), 1);
    assert_int_equal(reports_of_size(node, MIB / 16), 1);
    assert_int_equal(reports_of_size(node, 0), 0);
    assert_int_equal(reports_of_size(node, MIB / 8), 0);
}

/* Where regions are small, what has just been split would look small enough to
 * be merged again, for ever. */
static void test_a_size_is_exact_where_something_else_is_told(void **state)
{
    struct node *node = *state;

    all_sleep(node);
    assert_int_equal(reports_of_size(node, 100), 0);
    size_of_2.keys = 1;
    assert_int_equal(reports_of_size(node, 12000), 1);
    assert_true(node->last_measured);
    assert_int_equal(node->last_bytes, 12000);
    node->own[2].region.version++;
    assert_int_equal(reports_of_size(node, 6000), 1);
    assert_int_equal(node->last_bytes, 6000);
    assert_int_equal(reports_of_size(node, 6001), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_region_is_told_of_once),
        TEST(test_nobody_looks_at_regions_that_sleep),
        TEST(test_who_reads_next_is_told_at_once_of_all),
        TEST(test_what_is_asked_for_is_told_at_once),
        TEST(test_a_lost_leadership_counts_at_once),
        TEST(test_a_removed_replica_counts_within_a_second),
        TEST(test_silence_is_told_once_of_regions_that_sleep),
        TEST(test_who_is_damaged_or_restored_has_not_caught_up),
        TEST(test_region_0s_leader_tells_itself_that_it_has_told_all),
        TEST(test_a_size_is_told_when_it_has_changed_noticeably),
        TEST(test_a_size_is_exact_where_something_else_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
