/* SPDX-License-Identifier: Apache-2.0 */

/* All peers of the configuration, and what a quorum of them has. */

#include <assert.h>
#include <stdlib.h>

#include "raft/base/mem.h"
#include "raft/core.h"

void peers_close(struct peers *p)
{
    for (size_t i = 0; i < p->count; i++)
        progress_close(&p->item[i]);
    free(p->item);
    p->item = NULL;
    p->count = 0;
}

struct progress *peers_find(const struct peers *p, uint64_t id)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->item[i].id == id)
            return &p->item[i];
    return NULL;
}

/* Moves the known progress of `id` to `*to`, or begins anew: as active, or a
 * check of the quorum right after adding it would fail. */
static void carry_over(struct peers *p, const struct conf_next *next,
                       uint64_t id, const struct raft_config *config,
                       uint64_t last_index, struct progress *to)
{
    struct progress *from = peers_find(p, id);

    if (from != NULL && !id_set_contains(&next->forgotten, id)) {
        *to = *from;
        from->inflights = (struct inflights){.ring = NULL};
    } else {
        progress_init(to, id, last_index > 0 ? last_index : 1,
                      config->inflight_count_max, config->inflight_bytes_max);
        to->recent_active = true;
    }
    to->learner = id_set_contains(&next->conf.learners, id);
}

void peers_switch(struct peers *p, const struct conf_next *next,
                  const struct raft_config *config, uint64_t last_index)
{
    struct raft_id_set ids = conf_state_voters(&next->conf);
    bool fits = id_set_add_all(&ids, &next->conf.learners);
    struct progress *item = mem_zalloc((ids.count + 1) * sizeof *item);
    size_t count = ids.count;

    assert(fits);
    for (size_t i = 0; i < count; i++)
        carry_over(p, next, ids.id[i], config, last_index, &item[i]);
    peers_close(p);
    p->item = item;
    p->count = count;
    p->conf = next->conf;
}

void peers_reset(struct peers *p, const struct raft_config *config,
                 uint64_t last_index)
{
    for (size_t i = 0; i < p->count; i++) {
        struct progress *item = &p->item[i];
        bool learner = item->learner;

        progress_close(item);
        progress_init(item, item->id, last_index + 1,
                      config->inflight_count_max, config->inflight_bytes_max);
        item->learner = learner;
        if (item->id == config->id)
            item->match = last_index;
    }
}

static uint64_t match_of(const void *context, uint64_t id)
{
    return peers_find(context, id)->match;
}

uint64_t peers_match_quorum(const struct peers *p)
{
    return quorum_joint_index(&p->conf, match_of, p);
}

static uint64_t read_position_of(const void *context, uint64_t id)
{
    return peers_find(context, id)->read_position;
}

uint64_t peers_read_quorum(const struct peers *p)
{
    return quorum_joint_index(&p->conf, read_position_of, p);
}

static enum quorum_ballot ballot_of(const void *context, uint64_t id)
{
    return peers_find(context, id)->ballot;
}

enum quorum_result peers_vote_result(const struct peers *p)
{
    return quorum_joint_vote(&p->conf, ballot_of, p);
}

static enum quorum_ballot activity_of(const void *context, uint64_t id)
{
    return peers_find(context, id)->recent_active ? QUORUM_YES : QUORUM_NO;
}

enum quorum_result peers_active_result(const struct peers *p)
{
    return quorum_joint_vote(&p->conf, activity_of, p);
}
