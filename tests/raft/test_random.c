/* SPDX-License-Identifier: Apache-2.0 */

/* test_raft_random [SEED [COUNT]]
 *
 * Random groups: messages are lost, repeated and reordered, links cut, peers
 * crash, members come and go one by one and through joint configurations,
 * logs are compacted. After every step nothing that was committed may be lost
 * (group_check.c); when the faults end, the group must get on. */

#include "tests/raft/unit.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "raft/id_set.h"
#include "tests/raft/group.h"

enum { STEPS = 4000, CALM_ROUNDS = 300, SILENT_ROUNDS = 30 };

static uint64_t first_seed = 1;
static uint64_t seed_count = 4000;
static unsigned seen[GROUP_EVENT_COUNT];

static const char *const event_texts[] = {
#define EVENT_TEXT(name, text) text,
    GROUP_EVENTS(EVENT_TEXT)
#undef EVENT_TEXT
};

/* ---- What may happen -------------------------------------------------- */

/* The host finds it quiet, and thinks that it knows who is out of reach. */
static void doze(struct group *g, struct group_peer *p)
{
    struct raft_id_set absent = {.count = 0};

    if (group_pick(g, 4) == 0)
        absent = (struct raft_id_set){1, {1 + group_pick(g, GROUP_PEERS_MAX)}};
    raft_doze(p->raft, &absent);
    if (raft_is_asleep(p->raft) && raft_role(p->raft) == RAFT_LEADER)
        group_saw(g, GROUP_SLEPT_IN_CHAOS);
    group_check_peer(g, p);
}

static void tick(struct group *g, struct group_peer *p)
{
    raft_set_clock(p->raft, ++g->now);
    if (g->quiet)
        doze(g, p);
    group_require(g, raft_tick(p->raft) == 0, "a tick passes");
    group_check_peer(g, p);
}

static void propose(struct group *g, struct group_peer *p)
{
    uint64_t value = g->steps;
    struct raft_entry entry = {.data = buf_copy(&value, sizeof value)};

    if (raft_last_index(p->raft) < GROUP_INDEX_MAX / 2)
        (void)raft_propose(p->raft, &entry, 1, NULL);
    buf_unref(entry.data);
    group_check_peer(g, p);
}

/* One operation or several, on members and others. */
static struct raft_conf_change random_change(struct group *g, bool joint)
{
    static const enum raft_conf_change_type types[] = {
        RAFT_ADD_VOTER, RAFT_ADD_VOTER, RAFT_ADD_LEARNER, RAFT_REMOVE_PEER};
    struct raft_conf_change change = {.count = 0};

    if (joint && group_pick(g, 8) > 0)
        return change; /* Out of it. */
    change.count = group_pick(g, 2) == 0 ? 1 : 1 + group_pick(g, 4);
    change.transition =
        (enum raft_conf_transition)group_pick(g, RAFT_TRANSITIONS);
    for (size_t i = 0; i < change.count; i++) {
        change.change[i].type = types[group_pick(g, ARRAY_SIZE(types))];
        change.change[i].peer = 1 + group_pick(g, GROUP_PEERS_MAX);
    }
    return change;
}

static void change_members(struct group *g, struct group_peer *p)
{
    struct raft_conf_state conf;
    struct raft_conf_change change;

    raft_conf_state(p->raft, &conf);
    change = random_change(g, conf_state_is_joint(&conf));
    if (raft_last_index(p->raft) < GROUP_INDEX_MAX / 2)
        (void)raft_propose_conf_change(p->raft, &change, NULL);
    group_check_peer(g, p);
}

static void transfer(struct group *g, struct group_peer *p)
{
    uint64_t target = 1 + group_pick(g, GROUP_PEERS_MAX);

    if (raft_transfer_leader(p->raft, target) == 0)
        g->transferee = target;
    group_check_peer(g, p);
}

/* Cuts a few links, or none any more. */
static void cut_links(struct group *g)
{
    memset(g->cut, 0, sizeof g->cut);
    for (uint64_t left = group_pick(g, 2 * GROUP_PEERS_MAX); left > 0; left--)
        g->cut[1 + group_pick(g, GROUP_PEERS_MAX)]
              [1 + group_pick(g, GROUP_PEERS_MAX)] = true;
    if (group_pick(g, 3) > 0)
        return;

    uint64_t alone = 1 + group_pick(g, GROUP_PEERS_MAX);

    for (size_t i = 1; i <= GROUP_PEERS_MAX; i++) {
        g->cut[alone][i] = true;
        g->cut[i][alone] = true;
    }
}

/* Some message, not always the oldest; perhaps twice, perhaps never. */
static void some_message(struct group *g)
{
    uint64_t fate = group_pick(g, 100);
    size_t i;

    if (g->network.count == 0)
        return;
    i = fate < 50 ? 0 : group_pick(g, g->network.count);
    if (fate % 20 == 0) {
        struct raft_message copy;

        raft_message_copy(&copy, &g->network.item[i]);
        raft_messages_append(&g->network, &copy);
    }
    group_deliver(g, i, fate % 10 != 1);
}

/* Rare things happen to one peer, seldom. */
static void rare_step(struct group *g, struct group_peer *p)
{
    switch (group_pick(g, 12)) {
    case 0:
        group_crash(g, p);
        break;
    case 1:
    case 2:
        transfer(g, p);
        break;
    case 3:
        (void)raft_campaign(p->raft);
        group_check_peer(g, p);
        break;
    case 4:
        if (raft_request_snapshot(p->raft) == 0)
            group_saw(g, GROUP_SNAPSHOT_WANTED);
        group_check_peer(g, p);
        break;
    case 5:
        raft_forget_leader(p->raft);
        group_check_peer(g, p);
        break;
    case 6:
        cut_links(g);
        break;
    case 7:
        group_compact(g, p);
        break;
    case 8:
        raft_rouse(p->raft);
        group_check_peer(g, p);
        break;
    default:
        change_members(g, group_leader(g) != NULL ? group_leader(g) : p);
        break;
    }
}

static void request(struct group *g, struct group_peer *p)
{
    switch (group_pick(g, 3)) {
    case 0:
        propose(g, p);
        break;
    case 1:
        group_read(g, p);
        break;
    default:
        rare_step(g, p);
        break;
    }
}

static void peer_step(struct group *g, struct group_peer *p)
{
    switch (group_pick(g, 16)) {
    case 0:
    case 1:
        for (uint64_t left = 1 + group_pick(g, g->options.haste); left > 0;
             left--)
            tick(g, p);
        break;
    case 2:
    case 3:
        (void)group_write(g, p, group_pick(g, 4) > 0);
        break;
    case 4:
    case 5:
        (void)group_apply(g, p);
        break;
    case 6:
        group_flush(p);
        break;
    case 7:
    case 8:
    case 9:
        if (!g->quiet)
            request(g, p);
        break;
    default:
        (void)group_take(g, p);
        break;
    }
}

static bool has_disk(const struct group_peer *p)
{
    return p->storage.hard_state.term > 0;
}

static void random_step(struct group *g)
{
    struct group_peer *p = &g->peer[group_pick(g, GROUP_PEERS_MAX)];

    g->steps++;
    if (group_pick(g, 500) == 0)
        g->quiet = !g->quiet;
    if (p->raft != NULL)
        peer_step(g, p);
    else if (has_disk(p) && group_pick(g, 8) == 0)
        group_start(g, p);
    some_message(g);
    some_message(g);
}

/* ---- Calm ------------------------------------------------------------- */

static void calm_round(struct group *g)
{
    g->steps++;
    for (size_t i = 0; i < GROUP_PEERS_MAX; i++) {
        struct group_peer *p = &g->peer[i];

        if (p->raft == NULL && has_disk(p))
            group_start(g, p);
        if (p->raft == NULL)
            continue;
        tick(g, p);
        while (group_take(g, p) || group_write(g, p, true) || group_apply(g, p))
            continue;
    }
    for (size_t left = g->network.count; left > 0; left--)
        group_deliver(g, 0, true);
}

/* A leader, and all its members where it is. */
static bool settled(struct group *g)
{
    struct group_peer *leader = group_leader(g);

    if (leader == NULL || conf_state_is_joint(&leader->state.conf))
        return false;
    for (size_t i = 0; i < GROUP_PEERS_MAX; i++) {
        struct group_peer *p = &g->peer[i];
        bool member = conf_state_is_voter(&leader->state.conf, p->id) ||
                      id_set_contains(&leader->state.conf.learners, p->id);

        if (member && (p->raft == NULL ||
                       p->state.applied != raft_last_index(leader->raft) ||
                       p->state.digest != leader->state.digest))
            return false;
    }
    return raft_commit(leader->raft) == raft_last_index(leader->raft);
}

/* What is left to the host: to leave an explicit joint configuration, and to
 * replace a leader that was removed and not told to step down. */
static void help(struct group *g)
{
    struct group_peer *leader = group_leader(g);
    struct raft_conf_change leave = {.count = 0};
    struct raft_conf_state conf;

    if (leader == NULL)
        return;
    raft_conf_state(leader->raft, &conf);
    if (!conf_state_is_voter(&conf, leader->id))
        (void)raft_transfer_leader(leader->raft, conf.voters.id[0]);
    else if (conf_state_is_joint(&conf) && !conf.auto_leave)
        (void)raft_propose_conf_change(leader->raft, &leave, NULL);
}

static void rouse_all(struct group *g)
{
    for (size_t i = 0; i < GROUP_PEERS_MAX; i++)
        if (g->peer[i].raft != NULL)
            raft_rouse(g->peer[i].raft);
}

/* When nothing fails any more a leader comes, and all its members get what it
 * has, within some election timeouts. */
static void calm_down(struct group *g)
{
    unsigned rounds = 0;

    memset(g->cut, 0, sizeof g->cut);
    g->quiet = false;
    rouse_all(g);
    do {
        if (rounds % 20 == 10)
            help(g);
        calm_round(g);
        group_require(g, rounds++ < CALM_ROUNDS, "a calm group settles");
    } while (!settled(g));
}

/* Removed peers do not know it, and ask for votes for ever. */
static bool has_strangers(const struct group *g,
                          const struct group_peer *leader)
{
    for (size_t i = 0; i < GROUP_PEERS_MAX; i++)
        if (g->peer[i].raft != NULL &&
            !conf_state_is_voter(&leader->state.conf, i + 1) &&
            !id_set_contains(&leader->state.conf.learners, i + 1))
            return true;
    return false;
}

static bool all_asleep(const struct group *g)
{
    for (size_t i = 0; i < GROUP_PEERS_MAX; i++)
        if (g->peer[i].raft != NULL && !raft_is_asleep(g->peer[i].raft))
            return false;
    return g->network.count == 0;
}

/* What a host does that still waits for a snapshot. */
static void ask_again(struct group *g)
{
    for (size_t i = 0; i < GROUP_PEERS_MAX; i++) {
        struct raft_status status = {.id = 0};

        if (g->peer[i].raft != NULL)
            raft_status(g->peer[i].raft, &status);
        if (status.snapshot_wanted != 0)
            (void)raft_request_snapshot(g->peer[i].raft);
    }
}

/* A settled group falls asleep when its host says so, and stays so. */
static void fall_asleep(struct group *g)
{
    struct group_peer *leader = group_leader(g);
    unsigned rounds = 0;

    if (has_strangers(g, leader))
        return;
    while (!all_asleep(g)) {
        if (rounds % 20 == 10)
            ask_again(g);
        leader = group_leader(g);
        if (leader != NULL)
            raft_doze(leader->raft, NULL);
        calm_round(g);
        group_require(g, rounds++ < CALM_ROUNDS, "a settled group sleeps");
    }
    for (rounds = 0; rounds < SILENT_ROUNDS; rounds++)
        calm_round(g);
    group_require(g, all_asleep(g), "a group that sleeps is silent");
    group_saw(g, GROUP_SLEPT);
}

/* ---- Seeds ------------------------------------------------------------ */

static struct group_options options_of(uint64_t seed)
{
    bool stable = seed % 4 != 0;

    return (struct group_options){
        .seed = seed,
        .haste = seed % 4 == 1 ? 4 : 1,
        .pre_vote = stable,
        .check_quorum = stable,
        .step_down_on_removal = seed % 2 == 0,
        .message_size_max = seed % 3 == 0 ? 40 : RAFT_NO_LIMIT,
        .committed_size_max = seed % 5 == 0 ? 60 : 0,
        .inflight_count_max = seed % 7 == 0 ? 2 : 64,
    };
}

/* Which seed an assertion in the core belongs to. */
static char abort_note[64];

static void on_abort(int number)
{
    ssize_t written = write(STDERR_FILENO, abort_note, strlen(abort_note));

    (void)written;
    (void)number;
}

static void run_seed(uint64_t seed)
{
    struct group_options options = options_of(seed);
    struct group *g;

    snprintf(abort_note, sizeof abort_note, "in seed %" PRIu64 "\n", seed);
    g = group_new(&options);
    while (g->steps < STEPS)
        random_step(g);
    if (options.check_quorum) {
        calm_down(g);
        fall_asleep(g);
    }
    for (size_t i = 0; i < GROUP_EVENT_COUNT; i++)
        seen[i] += g->seen[i];
    group_free(g);
}

/* Whatever fails, nothing that was committed is lost, and the group recovers.
 */
static void test_random_groups_are_safe_and_recover(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seed_count; i++)
        run_seed(first_seed + i);
}

/* All that makes this worth something did happen. */
static void test_everything_has_happened(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUP_EVENT_COUNT; i++) {
        print_message("# %u times: %s\n", seen[i], event_texts[i]);
        if (seen[i] == 0)
            fail_msg("never: %s", event_texts[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_groups_are_safe_and_recover),
        cmocka_unit_test(test_everything_has_happened),
    };

    signal(SIGABRT, on_abort);
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
