/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_split.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/keys.h"
#include "engine/range.h"
#include "engine/split.h"
#include "tests/sim/sim_history.h"

enum {
    REGIONS_MAX = 24,       /* no more than that are made */
    FIRST_OWN_ID = 1000000, /* of those that region 0 does not know of */
    TRIES_MAX = 12          /* to find a key in the region */
};

struct asked_split {
    struct split_wait wait;
    struct sim_loop *loop;
    uint64_t region;
    struct asked_split *next;
};

struct proposed_split {
    struct proposal proposal;
    struct proposed_split *next;
};

/* What a crash has cut short is never answered, so all are kept. */
struct sim_splits {
    struct asked_split *asked;
    struct proposed_split *proposed;
    uint64_t own_id_last;
    struct buf *last; /* command, of `last_region` */
    uint64_t last_region;
};

struct split_key {
    uint64_t dir;
    char bytes[3];
    size_t size;
};

static struct sim_splits *splits_of(struct sim_cluster *cluster)
{
    if (cluster->splits == NULL)
        cluster->splits = mem_zalloc(sizeof *cluster->splits);
    return cluster->splits;
}

void sim_splits_free(struct sim_splits *splits)
{
    struct asked_split *asked;
    struct proposed_split *proposed;

    if (splits == NULL)
        return;
    while ((asked = splits->asked) != NULL) {
        splits->asked = asked->next;
        free(asked);
    }
    while ((proposed = splits->proposed) != NULL) {
        splits->proposed = proposed->next;
        buf_unref(proposed->proposal.command);
        free(proposed);
    }
    buf_unref(splits->last);
    free(splits);
}

/* ---- where ---- */

/* Of the namespaces that the region has a part of, or one behind it. */
static uint64_t pick_dir(const struct sim_node *node, const struct peer *peer)
{
    struct sim_loop *loop = node->cluster->loop;
    struct kv *state = node->env->env.state;
    const struct region *region = peer_region(peer);
    struct key key = key_namespace(NSID_ROOT, region->start);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, slice_of("n"), slice_of("o"));
    uint64_t dir = NSID_ROOT;
    uint64_t seen = 0;

    for (kv_iter_seek(iter, key_slice(&key)); kv_iter_valid(iter);
         kv_iter_next(iter)) {
        uint64_t nsid;
        struct slice name;

        if (key_parse_user(kv_iter_key(iter), 'n', &nsid, &name) &&
            sim_pick(loop, ++seen) == 0)
            dir = nsid;
    }
    kv_iter_free(iter);
    return dir + (sim_pick(loop, 8) == 0);
}

/* Before all names, at one, or between two. */
static struct split_key pick_any_key(const struct sim_node *node,
                                     const struct peer *peer)
{
    const struct sim_plan *plan = node->cluster->plan;
    struct sim_loop *loop = node->cluster->loop;
    uint64_t number = sim_pick(loop, plan->names + plan->dir_names);
    struct split_key key = {.dir = pick_dir(node, peer)};

    key.bytes[0] = *sim_name((uint8_t)number);
    key.bytes[1] = "0z"[sim_pick(loop, 2)];
    key.bytes[2] = "0z"[sim_pick(loop, 2)];
    key.size = sim_pick(loop, sizeof key.bytes + 1);
    return key;
}

static struct split_key pick_key(const struct sim_node *node,
                                 const struct peer *peer)
{
    struct range range = {peer_region(peer)->start, peer_region(peer)->end};
    struct split_key key;
    int tries = TRIES_MAX;

    do
        key = pick_any_key(node, peer);
    while (
        !range_has_place(range, key.dir, (struct slice){key.bytes, key.size}) &&
        --tries > 0);
    return key;
}

/* ---- how ---- */

static void asked_done(struct split_wait *wait, int status, const char *why)
{
    struct asked_split *asked = container_of(wait, struct asked_split, wait);

    sim_note(asked->loop, "region %" PRIu64 ": split: %s%s%s", asked->region,
             err_text(status), *why != '\0' ? ": " : "", why);
}

/* As an operator does, at a key or in the middle. */
static void ask(struct sim_node *node, const struct peer *peer)
{
    struct sim_splits *splits = splits_of(node->cluster);
    struct split_key at = pick_key(node, peer);
    struct key key = key_user('d', at.dir, (struct slice){at.bytes, at.size});
    struct asked_split *asked = mem_zalloc(sizeof *asked);

    if (sim_pick(node->cluster->loop, 4) == 0)
        key.size = 0;
    asked->next = splits->asked;
    splits->asked = asked;
    asked->loop = node->cluster->loop;
    asked->region = peer_region_id(peer);
    asked->wait.done = asked_done;
    split_start(&asked->wait, node->node, asked->region,
                peer_region(peer)->version, &key);
}

static void proposed_done(struct proposal *proposal, int status, bool in_log,
                          struct buf *result)
{
    (void)proposal;
    (void)status;
    (void)in_log;
    (void)result;
}

/* Straight into the log. */
static void propose(struct sim_node *node, struct peer *peer,
                    struct buf *command)
{
    struct sim_splits *splits = splits_of(node->cluster);
    struct proposed_split *proposed = mem_zalloc(sizeof *proposed);

    proposed->next = splits->proposed;
    splits->proposed = proposed;
    proposed->proposal.command = buf_ref(command);
    proposed->proposal.done = proposed_done;
    peer_propose(peer, &proposed->proposal);
    buf_unref(splits->last);
    splits->last = buf_ref(command);
    splits->last_region = peer_region_id(peer);
}

/* `behind`: for a membership that was changed since. */
static void propose_new(struct sim_node *node, struct peer *peer,
                        uint64_t behind)
{
    struct sim_splits *splits = splits_of(node->cluster);
    struct split_key key = pick_key(node, peer);
    struct command command = {
        .op = COMMAND_SPLIT,
        .dir = key.dir,
        .name = {key.bytes, key.size},
        .new_region = FIRST_OWN_ID + splits->own_id_last++,
        .region_version = peer_region(peer)->version,
        .region_conf_ver = peer_region(peer)->conf_ver - behind,
    };
    struct buf *bytes = command_encode(&command);

    propose(node, peer, bytes);
    buf_unref(bytes);
}

static void propose_again(struct sim_node *node)
{
    struct sim_splits *splits = splits_of(node->cluster);
    struct peer *peer = splits->last == NULL
                            ? NULL
                            : node_peer(node->node, splits->last_region);
    struct buf *command;

    if (peer == NULL)
        return;
    command = buf_ref(splits->last);
    propose(node, peer, command);
    buf_unref(command);
}

static void split_once(struct sim_node *node, struct peer *peer)
{
    if (peer_region_id(peer) < FIRST_OWN_ID)
        ask(node, peer);
    else
        propose_new(node, peer, 0);
}

static void split(struct sim_node *node, struct peer *peer)
{
    switch (sim_pick(node->cluster->loop, 10)) {
    case 0:
        propose_new(node, peer, 1);
        break;
    case 1:
        propose_new(node, peer, 0);
        propose_new(node, peer, 0);
        break;
    case 2:
        propose_new(node, peer, 0);
        propose_again(node);
        break;
    case 3:
        propose_again(node);
        break;
    case 4:
        split_once(node, peer);
        split_once(node, peer);
        break;
    default:
        split_once(node, peer);
    }
}

void sim_split_one(struct sim_cluster *cluster)
{
    uint64_t region = REGION_FIRST_DATA;
    uint64_t count = 0;
    struct sim_node *node;
    struct peer *peer;

    for (; sim_cluster_find_region(cluster, &region); region++)
        count++;
    if (count == 0 || count >= REGIONS_MAX)
        return;
    region = sim_cluster_pick_region(cluster, REGION_FIRST_DATA);
    peer = sim_cluster_leader(cluster, region, &node);
    if (peer == NULL)
        return;
    sim_env_enter(node->env, ENV_WORKER);
    split(node, peer);
    sim_env_leave(node->env);
}
