/* SPDX-License-Identifier: Apache-2.0 */

/* Majorities and joint majorities. */

#include "raft/quorum.h"

/* Insertion into an ascending array: there are few voters. */
static void insert(uint64_t *sorted, size_t count, uint64_t value)
{
    size_t i = count;

    for (; i > 0 && sorted[i - 1] > value; i--)
        sorted[i] = sorted[i - 1];
    sorted[i] = value;
}

uint64_t quorum_majority_index(const struct raft_id_set *voters,
                               quorum_value *value, const void *context)
{
    uint64_t sorted[RAFT_PEERS_MAX];

    if (voters->count == 0)
        return UINT64_MAX;

    for (size_t i = 0; i < voters->count; i++)
        insert(sorted, i, value(context, voters->id[i]));

    /* With n voters, n/2 + 1 of them have at least this one. */
    return sorted[voters->count - (voters->count / 2 + 1)];
}

uint64_t quorum_joint_index(const struct raft_conf_state *conf,
                            quorum_value *value, const void *context)
{
    uint64_t incoming = quorum_majority_index(&conf->voters, value, context);
    uint64_t outgoing =
        quorum_majority_index(&conf->voters_outgoing, value, context);

    return incoming < outgoing ? incoming : outgoing;
}

enum quorum_result quorum_majority_vote(const struct raft_id_set *voters,
                                        quorum_vote *vote, const void *context)
{
    size_t count[QUORUM_YES + 1] = {0};
    size_t quorum = voters->count / 2 + 1;

    if (voters->count == 0)
        return QUORUM_WON;

    for (size_t i = 0; i < voters->count; i++)
        count[vote(context, voters->id[i])]++;

    if (count[QUORUM_YES] >= quorum)
        return QUORUM_WON;
    if (count[QUORUM_YES] + count[QUORUM_SILENT] >= quorum)
        return QUORUM_PENDING;
    return QUORUM_LOST;
}

enum quorum_result quorum_joint_vote(const struct raft_conf_state *conf,
                                     quorum_vote *vote, const void *context)
{
    enum quorum_result incoming =
        quorum_majority_vote(&conf->voters, vote, context);
    enum quorum_result outgoing =
        quorum_majority_vote(&conf->voters_outgoing, vote, context);

    if (incoming == QUORUM_LOST || outgoing == QUORUM_LOST)
        return QUORUM_LOST;
    return incoming == outgoing ? incoming : QUORUM_PENDING;
}
