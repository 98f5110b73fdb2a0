/* SPDX-License-Identifier: Apache-2.0 */

/* Sorted sets of ids, and what a conf state made of four of them must obey. */

#include "raft/id_set.h"

#include <assert.h>
#include <string.h>

#include "raft/base/err.h"

/* Where `id` is or belongs. */
static size_t position(const struct raft_id_set *set, uint64_t id)
{
    size_t i = 0;

    while (i < set->count && set->id[i] < id)
        i++;
    return i;
}

bool id_set_contains(const struct raft_id_set *set, uint64_t id)
{
    size_t i = position(set, id);

    return i < set->count && set->id[i] == id;
}

bool id_set_add(struct raft_id_set *set, uint64_t id)
{
    size_t i = position(set, id);

    if (i < set->count && set->id[i] == id)
        return true;
    if (set->count == RAFT_PEERS_MAX)
        return false;

    memmove(&set->id[i + 1], &set->id[i], (set->count - i) * sizeof set->id[0]);
    set->id[i] = id;
    set->count++;
    return true;
}

void id_set_remove(struct raft_id_set *set, uint64_t id)
{
    size_t i = position(set, id);

    if (i == set->count || set->id[i] != id)
        return;

    set->count--;
    memmove(&set->id[i], &set->id[i + 1], (set->count - i) * sizeof set->id[0]);
}

bool id_set_add_all(struct raft_id_set *set, const struct raft_id_set *more)
{
    for (size_t i = 0; i < more->count; i++)
        if (!id_set_add(set, more->id[i]))
            return false;
    return true;
}

static size_t only_in_first(const struct raft_id_set *a,
                            const struct raft_id_set *b)
{
    size_t count = 0;

    for (size_t i = 0; i < a->count; i++)
        if (!id_set_contains(b, a->id[i]))
            count++;
    return count;
}

size_t id_set_difference(const struct raft_id_set *a,
                         const struct raft_id_set *b)
{
    return only_in_first(a, b) + only_in_first(b, a);
}

struct raft_id_set id_set_sorted(const struct raft_id_set *set)
{
    struct raft_id_set sorted = {.count = 0};

    assert(set->count <= RAFT_PEERS_MAX);
    (void)id_set_add_all(&sorted, set); /* Fits: it is not larger. */
    return sorted;
}

struct raft_id_set conf_state_voters(const struct raft_conf_state *conf)
{
    struct raft_id_set voters = conf->voters;
    bool fits = id_set_add_all(&voters, &conf->voters_outgoing);

    assert(fits);
    return voters;
}

bool conf_state_is_voter(const struct raft_conf_state *conf, uint64_t id)
{
    return id_set_contains(&conf->voters, id) ||
           id_set_contains(&conf->voters_outgoing, id);
}

bool conf_state_is_joint(const struct raft_conf_state *conf)
{
    return conf->voters_outgoing.count > 0;
}

/* Learners are not voters; those of tomorrow still are outgoing voters; and
 * all of a joint configuration is gone when it is left. */
static bool consistent(const struct raft_conf_state *conf)
{
    struct raft_id_set all = conf->voters;

    if (!id_set_add_all(&all, &conf->voters_outgoing) ||
        !id_set_add_all(&all, &conf->learners))
        return false;
    if (id_set_contains(&all, 0))
        return false;

    for (size_t i = 0; i < conf->learners.count; i++)
        if (conf_state_is_voter(conf, conf->learners.id[i]))
            return false;
    for (size_t i = 0; i < conf->learners_next.count; i++)
        if (!id_set_contains(&conf->voters_outgoing,
                             conf->learners_next.id[i]) ||
            id_set_contains(&conf->voters, conf->learners_next.id[i]))
            return false;
    return conf_state_is_joint(conf) || !conf->auto_leave;
}

static void set_check(const struct raft_id_set *set)
{
    assert(set->count <= RAFT_PEERS_MAX);
    for (size_t i = 1; i < set->count; i++)
        assert(set->id[i - 1] < set->id[i]);
}

void conf_state_check(const struct raft_conf_state *conf)
{
    set_check(&conf->voters);
    set_check(&conf->voters_outgoing);
    set_check(&conf->learners);
    set_check(&conf->learners_next);
    assert(consistent(conf));
}

static bool fits(const struct raft_conf_state *conf)
{
    return conf->voters.count <= RAFT_PEERS_MAX &&
           conf->voters_outgoing.count <= RAFT_PEERS_MAX &&
           conf->learners.count <= RAFT_PEERS_MAX &&
           conf->learners_next.count <= RAFT_PEERS_MAX;
}

int conf_state_normalize(const struct raft_conf_state *conf,
                         struct raft_conf_state *ret)
{
    struct raft_conf_state sorted = {.auto_leave = conf->auto_leave};

    if (!fits(conf))
        return ERR_INVALID;

    sorted.voters = id_set_sorted(&conf->voters);
    sorted.voters_outgoing = id_set_sorted(&conf->voters_outgoing);
    sorted.learners = id_set_sorted(&conf->learners);
    sorted.learners_next = id_set_sorted(&conf->learners_next);
    if (!consistent(&sorted))
        return ERR_INVALID;
    *ret = sorted;
    return 0;
}
