/* SPDX-License-Identifier: Apache-2.0 */

/* The changer. Every operation works on a copy that is given out only when all
 * of it is valid. */

#include "raft/conf_change.h"

#include <assert.h>

#include "raft/id_set.h"

static const char too_many[] = "too many peers";

enum conf_step conf_change_step(const struct raft_conf_change *change)
{
    if (change->transition == RAFT_TRANSITION_AUTO && change->count == 0)
        return CONF_STEP_LEAVE;
    if (change->transition != RAFT_TRANSITION_AUTO || change->count > 1)
        return CONF_STEP_ENTER;
    return CONF_STEP_SIMPLE;
}

static bool known(const struct raft_conf_state *conf, uint64_t peer)
{
    return conf_state_is_voter(conf, peer) ||
           id_set_contains(&conf->learners, peer);
}

static bool add_voter(struct conf_next *next, uint64_t peer)
{
    id_set_remove(&next->conf.learners, peer);
    id_set_remove(&next->conf.learners_next, peer);
    return id_set_add(&next->conf.voters, peer);
}

static bool add_learner(struct conf_next *next, uint64_t peer)
{
    id_set_remove(&next->conf.voters, peer);
    id_set_remove(&next->conf.learners_next, peer);
    if (id_set_contains(&next->conf.voters_outgoing, peer))
        return id_set_add(&next->conf.learners_next, peer);
    return id_set_add(&next->conf.learners, peer);
}

static bool remove_peer(struct conf_next *next, uint64_t peer)
{
    if (!known(&next->conf, peer))
        return true;

    id_set_remove(&next->conf.voters, peer);
    id_set_remove(&next->conf.learners, peer);
    id_set_remove(&next->conf.learners_next, peer);
    if (id_set_contains(&next->conf.voters_outgoing, peer))
        return true;
    return id_set_add(&next->forgotten, peer);
}

static bool operate(struct conf_next *next, enum raft_conf_change_type type,
                    uint64_t peer)
{
    if (peer == 0)
        return true; /* A change that the host has neutralized. */

    switch (type) {
    case RAFT_ADD_VOTER:
        return add_voter(next, peer);
    case RAFT_ADD_LEARNER:
        return add_learner(next, peer);
    case RAFT_REMOVE_PEER:
        return remove_peer(next, peer);
    case RAFT_UPDATE_PEER:
    case RAFT_CONF_CHANGE_TYPES:
        break;
    }
    return true;
}

static const char *operate_all(struct conf_next *next,
                               const struct raft_conf_change *change)
{
    struct raft_id_set all;

    for (size_t i = 0; i < change->count; i++)
        if (!operate(next, change->change[i].type, change->change[i].peer))
            return too_many;
    if (next->conf.voters.count == 0)
        return "removed all voters";

    all = next->conf.voters;
    if (!id_set_add_all(&all, &next->conf.voters_outgoing) ||
        !id_set_add_all(&all, &next->conf.learners))
        return too_many;
    return NULL;
}

const char *conf_change_simple(const struct raft_conf_state *conf,
                               const struct raft_conf_change *change,
                               struct conf_next *ret)
{
    struct conf_next next = {.conf = *conf};
    const char *why;

    if (conf_state_is_joint(conf))
        return "can't apply simple config change in joint config";
    why = operate_all(&next, change);
    if (why != NULL)
        return why;
    if (id_set_difference(&conf->voters, &next.conf.voters) > 1)
        return "more than one voter changed without entering joint config";

    conf_state_check(&next.conf);
    *ret = next;
    return NULL;
}

const char *conf_change_enter_joint(const struct raft_conf_state *conf,
                                    const struct raft_conf_change *change,
                                    bool auto_leave, struct conf_next *ret)
{
    struct conf_next next = {.conf = *conf};
    const char *why;

    if (conf_state_is_joint(conf))
        return "config is already joint";
    if (conf->voters.count == 0)
        return "can't make a zero-voter config joint";

    next.conf.voters_outgoing = conf->voters;
    why = operate_all(&next, change);
    if (why != NULL)
        return why;

    next.conf.auto_leave = auto_leave;
    conf_state_check(&next.conf);
    *ret = next;
    return NULL;
}

const char *conf_change_leave_joint(const struct raft_conf_state *conf,
                                    struct conf_next *ret)
{
    struct conf_next next = {.conf = *conf};

    if (!conf_state_is_joint(conf))
        return "can't leave a non-joint config";
    if (!id_set_add_all(&next.conf.learners, &conf->learners_next))
        return too_many;

    next.conf.learners_next.count = 0;
    next.conf.voters_outgoing.count = 0;
    next.conf.auto_leave = false;
    conf_state_check(&next.conf);
    *ret = next;
    return NULL;
}

const char *conf_change_next(const struct raft_conf_state *conf,
                             const struct raft_conf_change *change,
                             struct conf_next *ret)
{
    switch (conf_change_step(change)) {
    case CONF_STEP_LEAVE:
        return conf_change_leave_joint(conf, ret);
    case CONF_STEP_ENTER:
        return conf_change_enter_joint(
            conf, change, change->transition != RAFT_TRANSITION_EXPLICIT, ret);
    case CONF_STEP_SIMPLE:
        return conf_change_simple(conf, change, ret);
    }
    assert(false && "unknown step");
    return NULL;
}
