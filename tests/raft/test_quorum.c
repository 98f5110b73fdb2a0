/* SPDX-License-Identifier: Apache-2.0 */

/* Majorities of random configurations against a naive second computation. */

#include "raft/quorum.h"

#include "raft/id_set.h"
#include "tests/raft/unit.h"

enum { ROUNDS = 20000, IDS = 9, VALUES = 6 };

static uint64_t seed = 1;

static uint64_t pick(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

struct sample {
    struct raft_conf_state conf;
    uint64_t value[IDS + 1];
    enum quorum_ballot ballot[IDS + 1];
};

static struct sample random_sample(void)
{
    struct sample s = {.value = {0}};

    for (uint64_t id = 1; id <= IDS; id++) {
        s.value[id] = pick(VALUES);
        s.ballot[id] = (enum quorum_ballot)pick(QUORUM_YES + 1);
        if (pick(2) == 0)
            (void)id_set_add(&s.conf.voters, id);
        if (pick(2) == 0)
            (void)id_set_add(&s.conf.voters_outgoing, id);
    }
    return s;
}

static uint64_t value_of(const void *context, uint64_t id)
{
    return ((const struct sample *)context)->value[id];
}

static enum quorum_ballot ballot_of(const void *context, uint64_t id)
{
    return ((const struct sample *)context)->ballot[id];
}

/* Tries every index from the top: does a majority have it? */
static uint64_t naive_index(const struct raft_id_set *voters,
                            const struct sample *s)
{
    if (voters->count == 0)
        return UINT64_MAX;
    for (uint64_t index = VALUES; index > 0; index--) {
        size_t have = 0;

        for (size_t i = 0; i < voters->count; i++)
            have += s->value[voters->id[i]] >= index;
        if (2 * have > voters->count)
            return index;
    }
    return 0;
}

/* The committed index is the greatest that a majority of each half has. */
static void test_index_is_what_majorities_have(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct sample s = random_sample();
        uint64_t a = naive_index(&s.conf.voters, &s);
        uint64_t b = naive_index(&s.conf.voters_outgoing, &s);

        assert_true(quorum_majority_index(&s.conf.voters, value_of, &s) == a);
        assert_true(quorum_joint_index(&s.conf, value_of, &s) ==
                    (a < b ? a : b));
    }
}

/* Won if the silent are not needed, lost if they could not help. */
static enum quorum_result naive_vote(const struct raft_id_set *voters,
                                     const struct sample *s)
{
    size_t yes = 0;
    size_t no = 0;

    for (size_t i = 0; i < voters->count; i++) {
        yes += s->ballot[voters->id[i]] == QUORUM_YES;
        no += s->ballot[voters->id[i]] == QUORUM_NO;
    }
    if (voters->count == 0 || 2 * yes > voters->count)
        return QUORUM_WON;
    return 2 * (voters->count - no) > voters->count ? QUORUM_PENDING
                                                    : QUORUM_LOST;
}

/* Both halves must win, and one that loses is enough to lose. */
static void test_vote_needs_both_halves(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct sample s = random_sample();
        enum quorum_result a = naive_vote(&s.conf.voters, &s);
        enum quorum_result b = naive_vote(&s.conf.voters_outgoing, &s);
        enum quorum_result both = quorum_joint_vote(&s.conf, ballot_of, &s);

        assert_int_equal(quorum_majority_vote(&s.conf.voters, ballot_of, &s),
                         a);
        assert_int_equal(both == QUORUM_WON,
                         a == QUORUM_WON && b == QUORUM_WON);
        assert_int_equal(both == QUORUM_LOST,
                         a == QUORUM_LOST || b == QUORUM_LOST);
    }
}

/* Sets stay sorted and hold each id once. */
static void test_sets_are_sorted(void **state)
{
    struct raft_id_set set = {.count = 0};

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t id = 1 + pick(RAFT_PEERS_MAX);

        if (pick(2) == 0)
            assert_true(id_set_add(&set, id));
        else
            id_set_remove(&set, id);
        for (size_t i = 1; i < set.count; i++)
            assert_true(set.id[i - 1] < set.id[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_is_what_majorities_have),
        cmocka_unit_test(test_vote_needs_both_halves),
        cmocka_unit_test(test_sets_are_sorted),
    };

    return cmocka_run_group_tests_name("quorum", tests, NULL, NULL);
}
