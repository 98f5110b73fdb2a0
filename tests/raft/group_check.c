/* SPDX-License-Identifier: Apache-2.0 */

/* The properties of figure 3 of the Raft paper, over everything that a random
 * group has ever done:
 *
 *   1. Election safety: one leader per term, who leads it once.
 *   2. Leader append-only: a leader never replaces its entries.
 *   3. Log matching: the same index and term mean the same entry, and the same
 *      entries before it.
 *   4. Leader completeness: what was committed in a term is in the log of each
 *      leader of a later one.
 *   5. State machine safety: at one index all apply the same entry, and come
 *      to the same state and configuration.
 *   6. A read sees all that was committed when it was asked for. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>

#include "raft/id_set.h"
#include "tests/raft/group.h"

void group_saw(struct group *g, enum group_event event)
{
    g->seen[event]++;
}

void group_require(const struct group *g, bool good, const char *what)
{
    if (!good)
        fail_msg("seed %" PRIu64 ", step %" PRIu64 ": not so: %s",
                 g->options.seed, g->steps, what);
}

/* ---- Digests ---------------------------------------------------------- */

uint64_t group_mix(uint64_t digest, uint64_t value)
{
    uint64_t z = digest + value + 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint64_t group_entry_digest(const struct raft_entry *entry)
{
    uint64_t digest = group_mix(entry->term, (uint64_t)entry->type);

    if (entry->data != NULL)
        for (size_t i = 0; i < entry->data->size; i++)
            digest = group_mix(digest, entry->data->data[i]);
    return digest;
}

uint64_t group_conf_digest(const struct raft_conf_state *conf)
{
    const struct raft_id_set *const sets[] = {
        &conf->voters, &conf->voters_outgoing, &conf->learners,
        &conf->learners_next};
    uint64_t digest = conf->auto_leave;

    for (size_t i = 0; i < 4; i++) {
        digest = group_mix(digest, sets[i]->count);
        for (size_t j = 0; j < sets[i]->count; j++)
            digest = group_mix(digest, sets[i]->id[j]);
    }
    return digest;
}

/* ---- 3: logs ---------------------------------------------------------- */

static const struct group_variant *variant_of(const struct group_index *at,
                                              uint64_t term)
{
    for (size_t i = 0; i < at->variant_count; i++)
        if (at->variant[i].term == term)
            return &at->variant[i];
    return NULL;
}

/* By induction over the entries before it, comparing one term is enough. */
static void check_entry(struct group *g, uint64_t term_before,
                        const struct raft_entry *entry)
{
    struct group_index *at = &g->index[entry->index];
    const struct group_variant *known = variant_of(at, entry->term);

    if (known == NULL) {
        group_require(g, at->variant_count < GROUP_VARIANTS_MAX,
                      "there is room for all variants of an entry");
        at->variant[at->variant_count++] = (struct group_variant){
            .term = entry->term,
            .term_before = term_before,
            .digest = group_entry_digest(entry),
        };
        return;
    }
    group_require(g, known->digest == group_entry_digest(entry),
                  "log matching: the same entry");
    group_require(g, known->term_before == term_before,
                  "log matching: the same entries before it");
}

void group_check_entries(struct group *g, struct group_peer *p,
                         const struct raft_entries *entries)
{
    struct memory_storage *s = &p->storage;
    uint64_t term = 0;

    for (size_t i = 0; i < entries->count; i++) {
        const struct raft_entry *entry = &entries->item[i];
        uint64_t there = 0;

        group_require(g, entry->index < GROUP_INDEX_MAX, "the log stays short");
        if (i == 0)
            group_require(
                g, memory_storage_ops.term(s, entry->index - 1, &term) == 0,
                "entries follow what is there");
        check_entry(g, term, entry);
        if (memory_storage_ops.term(s, entry->index, &there) == 0 &&
            there != entry->term)
            group_saw(g, GROUP_ENTRY_REPLACED);
        term = entry->term;
    }
}

/* ---- 1, 2 and 4: leaders ---------------------------------------------- */

static bool has_unapplied_change(struct group *g, struct group_peer *p)
{
    struct raft_entries tail = {.count = 0};
    uint64_t first = raft_applied(p->raft) + 1;
    uint64_t end = memory_storage_last_index(&p->storage) + 1;
    bool found = false;

    if (first >= end || first < memory_storage_first_index(&p->storage))
        return false;
    group_require(g,
                  memory_storage_ops.entries(&p->storage, first, end,
                                             RAFT_NO_LIMIT, &tail) == 0,
                  "the tail can be read");
    for (size_t i = 0; i < tail.count; i++)
        found = found || tail.item[i].type != RAFT_ENTRY_NORMAL;
    raft_entries_release(&tail);
    return found;
}

static void check_completeness(struct group *g, const struct group_peer *p)
{
    struct raft_status status;

    raft_status(p->raft, &status);
    for (uint64_t i = status.first_index; i <= g->commit_max; i++)
        if (g->index[i].committed_in_term < status.term)
            group_require(
                g, raft_term_at(p->raft, i) == g->index[i].committed_term,
                "leader completeness");
}

static void check_new_leader(struct group *g, struct group_peer *p)
{
    uint64_t term = raft_term(p->raft);
    struct raft_status status;

    group_require(g, term < GROUP_TERM_MAX, "terms stay small");
    group_require(g, g->leader_of[term] == 0, "election safety");
    g->leader_of[term] = p->id;
    check_completeness(g, p);

    raft_status(p->raft, &status);
    group_saw(g, GROUP_LEADER_ELECTED);
    if (status.joint)
        group_saw(g, GROUP_ELECTED_WHILE_JOINT);
    if (has_unapplied_change(g, p))
        group_saw(g, GROUP_ELECTED_WITH_UNAPPLIED_CHANGE);
    if (g->transferee == p->id)
        group_saw(g, GROUP_TRANSFERRED);
    g->transferee = 0;
}

static void check_leader(struct group *g, struct group_peer *p)
{
    uint64_t term = raft_term(p->raft);

    if (!p->leads || p->led_term != term)
        check_new_leader(g, p);
    else
        group_require(g,
                      raft_last_index(p->raft) >= p->led_last &&
                          raft_term_at(p->raft, p->led_last) == term,
                      "leader append-only");
    p->leads = true;
    p->led_term = term;
    p->led_last = raft_last_index(p->raft);
}

/* ---- 4 and 5: commit and application ---------------------------------- */

/* A leader is the first to see a commit, so its term is the one in which the
 * entry was committed. What a snapshot covers is not known by its term. */
static void check_commit(struct group *g, struct group_peer *p)
{
    uint64_t commit = raft_commit(p->raft);

    for (uint64_t i = p->commit_seen + 1; i <= commit; i++) {
        struct group_index *at = &g->index[i];
        uint64_t term = raft_term_at(p->raft, i);

        if (at->committed_term == 0) {
            group_require(g, raft_role(p->raft) == RAFT_LEADER,
                          "only a leader commits");
            at->committed_term = term;
            at->committed_in_term = raft_term(p->raft);
        }
        group_require(g, term == at->committed_term || term == 0,
                      "all commit the same entry");
    }
    if (commit > p->commit_seen)
        p->commit_seen = commit;
    if (commit > g->commit_max)
        g->commit_max = commit;
}

void group_check_peer(struct group *g, struct group_peer *p)
{
    raft_check(p->raft);
    if (raft_role(p->raft) == RAFT_LEADER)
        check_leader(g, p);
    else
        p->leads = false;
    check_commit(g, p);
}

static void see_change(struct group *g, const struct group_peer *p,
                       const struct raft_conf_state *before)
{
    const struct raft_conf_state *now = &p->state.conf;

    if (!conf_state_is_joint(before) && conf_state_is_joint(now))
        group_saw(g, GROUP_JOINT_ENTERED);
    if (conf_state_is_joint(before) && !conf_state_is_joint(now))
        group_saw(g, GROUP_JOINT_LEFT);
    if (p->led_term == raft_term(p->raft) &&
        conf_state_is_voter(before, p->id) && !conf_state_is_voter(now, p->id))
        group_saw(g, GROUP_LEADER_REMOVED);
    for (size_t i = 0; i < before->learners.count; i++)
        if (conf_state_is_voter(now, before->learners.id[i]))
            group_saw(g, GROUP_LEARNER_PROMOTED);
    for (size_t i = 0; i < now->learners.count; i++)
        if (conf_state_is_voter(before, now->learners.id[i]))
            group_saw(g, GROUP_VOTER_DEMOTED);
}

void group_check_applied(struct group *g, const struct group_peer *p,
                         const struct raft_entry *entry,
                         const struct raft_conf_state *before)
{
    const struct group_index *at = &g->index[entry->index];

    group_require(g, entry->index == p->state.applied + 1,
                  "entries are applied in order, each once");
    group_require(g, at->committed_term == entry->term,
                  "only committed entries are applied");
    group_require(g, entry->index <= memory_storage_last_index(&p->storage),
                  "what is applied is durable here");
    if (entry->index <= p->replayed_to)
        group_saw(g, GROUP_REPLAYED);
    see_change(g, p, before);
}

/* ---- 6: reads --------------------------------------------------------- */

void group_check_read(struct group *g, const struct group_peer *p,
                      const struct raft_read_state *read)
{
    group_require(g, read->request <= g->read_count, "a read was asked for");
    group_require(g, g->read_by[read->request] == p->id,
                  "an answer goes to the one that asked");
    group_require(g, read->index >= g->read_floor[read->request],
                  "a read sees all that was committed before it");
    group_saw(g, GROUP_READ_ANSWERED);
    if (raft_role(p->raft) != RAFT_LEADER)
        group_saw(g, GROUP_FORWARDED_READ_ANSWERED);
}
