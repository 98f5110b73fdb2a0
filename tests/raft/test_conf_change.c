/* SPDX-License-Identifier: Apache-2.0 */

/* The changer (thesis §4.3) against random changes, and the bytes of conf
 * changes. What single changes give is in the scenario files. */

#include "raft/conf_change.h"

#include "raft/id_set.h"
#include "tests/raft/unit.h"

enum { ROUNDS = 5000, PEERS = 7 };

static uint64_t seed;

static uint64_t pick(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

static struct raft_conf_change random_change(void)
{
    struct raft_conf_change change = {.count = 1 + pick(4)};

    for (size_t i = 0; i < change.count; i++) {
        change.change[i].type =
            (enum raft_conf_change_type)pick(RAFT_CONF_CHANGE_TYPES);
        change.change[i].peer = 1 + pick(PEERS);
    }
    return change;
}

static bool same_set(const struct raft_id_set *a, const struct raft_id_set *b)
{
    return id_set_difference(a, b) == 0;
}

/* A change through a joint configuration ends where its operations one by one
 * end; on the way both halves' quorums are needed, so that no two disjoint
 * majorities can decide. */
static void test_joint_change_ends_where_simple_ones_do(void **state)
{
    struct raft_conf_state conf = {.voters = {3, {1, 2, 3}}};

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct raft_conf_change change = random_change();
        struct conf_next joint;
        struct conf_next left;
        struct conf_next simple = {.conf = conf};
        bool possible = true;

        for (size_t i = 0; i < change.count && possible; i++) {
            struct raft_conf_change one = {.count = 1};

            one.change[0] = change.change[i];
            possible = conf_change_simple(&simple.conf, &one, &simple) == NULL;
        }
        if (conf_change_enter_joint(&conf, &change, false, &joint) != NULL)
            continue;
        assert_true(same_set(&joint.conf.voters_outgoing, &conf.voters));
        assert_null(conf_change_leave_joint(&joint.conf, &left));
        if (possible) {
            assert_true(same_set(&left.conf.voters, &simple.conf.voters));
            assert_true(same_set(&left.conf.learners, &simple.conf.learners));
        }
        conf = left.conf;
    }
}

/* A simple change moves one voter at most, so that any two majorities meet. */
static void test_simple_change_moves_one_voter(void **state)
{
    struct raft_conf_state conf = {.voters = {3, {1, 2, 3}}};

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct raft_conf_change change = random_change();
        struct conf_next next;

        if (conf_change_simple(&conf, &change, &next) != NULL)
            continue;
        assert_true(id_set_difference(&conf.voters, &next.conf.voters) <= 1);
        assert_true(next.conf.voters.count > 0);
        conf = next.conf;
    }
}

/* No configuration has more peers than there is room for. */
static void test_peers_are_limited(void **state)
{
    struct raft_conf_state conf = {.voters = {1, {1}}};

    (void)state;
    for (uint64_t id = 2; id <= RAFT_PEERS_MAX + 1; id++) {
        struct raft_conf_change change = {.count = 1,
                                          .change = {{RAFT_ADD_LEARNER, id}}};
        struct conf_next next;
        const char *why = conf_change_simple(&conf, &change, &next);

        assert_true((why == NULL) == (id <= RAFT_PEERS_MAX));
        if (why == NULL)
            conf = next.conf;
    }
}

/* What is written is what is read. */
static void test_bytes_round_trip(void **state)
{
    struct raft_conf_change change = {
        .transition = RAFT_TRANSITION_EXPLICIT,
        .count = 2,
        .change = {{RAFT_ADD_VOTER, 7}, {RAFT_REMOVE_PEER, UINT64_MAX}},
        .context = buf_copy("node7", 5),
    };
    struct buf *data = raft_conf_change_encode(&change);
    struct raft_conf_change read;

    (void)state;
    assert_int_equal(raft_conf_change_decode(data, &read), 0);
    assert_int_equal(read.transition, RAFT_TRANSITION_EXPLICIT);
    assert_int_equal(read.count, 2);
    assert_true(read.change[1].peer == UINT64_MAX);
    assert_memory_equal(read.context->data, "node7", 5);
    buf_unref(read.context);
    buf_unref(change.context);
    buf_unref(data);
}

/* No bytes are the change that leaves. */
static void test_no_bytes_leave(void **state)
{
    struct raft_conf_change read;

    (void)state;
    assert_int_equal(raft_conf_change_decode(NULL, &read), 0);
    assert_int_equal(conf_change_step(&read), CONF_STEP_LEAVE);
}

static int decode(const void *bytes, size_t size)
{
    struct buf *data = buf_copy(bytes, size);
    struct raft_conf_change read;
    int rc = raft_conf_change_decode(data, &read);

    buf_unref(data);
    return rc;
}

/* Bytes of another version, cut or impossible ones are told apart. */
static void test_bad_bytes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode("\x02\x00\x00", 3), ERR_VERSION);
    assert_int_equal(decode("\x01\x00", 2), ERR_PROTOCOL);
    assert_int_equal(decode("\x01\x00\x01", 3), ERR_PROTOCOL);
    assert_int_equal(decode("\x01\x09\x00", 3), ERR_PROTOCOL);
    assert_int_equal(decode("\x01\x00\xff", 3), ERR_PROTOCOL);
    assert_int_equal(decode("\x01\x00\x01\x07.8bytes.", 12), ERR_PROTOCOL);
}

/* From a joint configuration leads no other change than the one out of it. */
static void test_joint_configuration_does_not_change(void **state)
{
    struct raft_conf_state joint = {.voters = {2, {1, 2}},
                                    .voters_outgoing = {1, {1}}};
    struct raft_conf_change change = {.count = 1,
                                      .change = {{RAFT_ADD_VOTER, 3}}};
    struct conf_next next;

    (void)state;
    assert_non_null(conf_change_simple(&joint, &change, &next));
    assert_non_null(conf_change_enter_joint(&joint, &change, true, &next));
    assert_null(conf_change_leave_joint(&joint, &next));
    assert_non_null(conf_change_leave_joint(&next.conf, &next));
}

/* No configuration is without voters, before or after. */
static void test_voters_do_not_run_out(void **state)
{
    struct raft_conf_state none = {.voters = {0, {0}}};
    struct raft_conf_state one = {.voters = {1, {1}}};
    struct raft_conf_change change = {.count = 1,
                                      .change = {{RAFT_REMOVE_PEER, 1}}};
    struct conf_next next;

    (void)state;
    assert_non_null(conf_change_enter_joint(&none, &change, false, &next));
    assert_non_null(conf_change_enter_joint(&one, &change, false, &next));
    change.change[0].type = RAFT_ADD_LEARNER;
    assert_non_null(conf_change_simple(&one, &change, &next));
}

/* An operation on nobody, which a host has put in the place of another, does
 * nothing. */
static void test_operation_on_nobody_does_nothing(void **state)
{
    struct raft_conf_state conf = {.voters = {1, {1}}};
    struct raft_conf_change change = {.count = 1,
                                      .change = {{RAFT_ADD_VOTER, 0}}};
    struct conf_next next;

    (void)state;
    assert_null(conf_change_simple(&conf, &change, &next));
    assert_true(same_set(&next.conf.voters, &conf.voters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joint_change_ends_where_simple_ones_do),
        cmocka_unit_test(test_simple_change_moves_one_voter),
        cmocka_unit_test(test_peers_are_limited),
        cmocka_unit_test(test_bytes_round_trip),
        cmocka_unit_test(test_no_bytes_leave),
        cmocka_unit_test(test_bad_bytes_are_refused),
        cmocka_unit_test(test_joint_configuration_does_not_change),
        cmocka_unit_test(test_voters_do_not_run_out),
        cmocka_unit_test(test_operation_on_nobody_does_nothing),
    };

    return cmocka_run_group_tests_name("conf_change", tests, NULL, NULL);
}
