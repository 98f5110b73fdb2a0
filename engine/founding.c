/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/founding.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "engine/address.h"
#include "engine/eventual_record.h"
#include "engine/keys.h"
#include "engine/region_log.h"

enum { TOKEN_TIME_SHIFT = 20, FIRST_NSID = 1024 };

/* ---- the list ---- */

static int add_founder(struct founders *founders, const char *item,
                       struct err *e)
{
    struct founder *founder = &founders->founder[founders->count];
    struct address address;
    char text[ADDRESS_TEXT_SIZE];
    char *at;
    unsigned long long id;
    int rc;

    if (founders->count == NODES_MAX)
        return err_set(e, ERR_INVALID, "more than %d nodes", NODES_MAX);
    id = strtoull(item, &at, 10);
    if (at == item || *at != '@' || id == 0 || id > 0xffff)
        return err_set(e, ERR_INVALID, "'%s' is not ID@HOST:PORT", item);
    rc = address_parse(&address, at + 1, e);
    if (rc != 0)
        return rc;
    if (address.port == 0)
        return err_set(e, ERR_INVALID, "'%s' has no port", item);
    founder->id = id;
    (void)address_format(&address, text);
    if (strlen(text) >= sizeof founder->address)
        return err_set(e, ERR_INVALID, "'%s' is too long", at + 1);
    memcpy(founder->address, text, strlen(text) + 1);
    founders->count++;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct founder *left = a;
    const struct founder *right = b;

    return left->id < right->id ? -1 : left->id > right->id;
}

static int check_ids(const struct founders *founders, struct err *e)
{
    for (size_t i = 1; i < founders->count; i++)
        if (founders->founder[i].id == founders->founder[i - 1].id)
            return err_set(e, ERR_INVALID, "node %" PRIu64 " is there twice",
                           founders->founder[i].id);
    return 0;
}

int founders_parse(struct founders *ret, const char *text, struct err *e)
{
    char *copy = mem_strdup(text);
    char *rest = copy;
    char *item;
    int rc = 0;

    *ret = (struct founders){0};
    while (rc == 0 && (item = strsep(&rest, "+")) != NULL)
        rc = add_founder(ret, item, e);
    free(copy);
    if (rc != 0)
        return rc;
    qsort(ret->founder, ret->count, sizeof ret->founder[0], by_id);
    return check_ids(ret, e);
}

uint64_t founders_hash(const struct founders *founders)
{
    uint64_t hash = founders->count;

    for (size_t i = 0; i < founders->count; i++) {
        const struct founder *founder = &founders->founder[i];

        hash = XXH3_64bits_withSeed(founder->address, strlen(founder->address),
                                    hash ^ founder->id);
    }
    return hash;
}

uint64_t founding_token(uint64_t random, uint64_t wall_ns)
{
    return wall_ns / 1000000 << TOKEN_TIME_SHIFT |
           (random & ((1U << TOKEN_TIME_SHIFT) - 1));
}

uint64_t founding_cluster_id(const struct founders *founders,
                             const uint64_t *tokens)
{
    uint64_t hash = XXH3_64bits_withSeed(
        tokens, founders->count * sizeof *tokens, founders_hash(founders));

    return hash != 0 ? hash : 1;
}

/* ---- the state ---- */

static void put(struct kv_batch *batch, struct key key, struct buf *bytes)
{
    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

/* 1, 3 or 5 of them. */
static size_t voters_of(size_t replicas, size_t voters_max)
{
    size_t voters = replicas < voters_max ? replicas : voters_max;

    return voters % 2 == 1 ? voters : voters - 1;
}

/* Peer ids are counted through all regions. */
static struct region make_region(uint64_t id, const struct founders *founders,
                                 size_t replicas, size_t voters_max,
                                 uint64_t *next_peer)
{
    struct region region = {.id = id, .conf_ver = 1, .version = 1};
    size_t voters = voters_of(replicas, voters_max);

    for (size_t i = 0; i < replicas; i++) {
        uint64_t peer_id = (*next_peer)++;
        bool voter = i < voters;

        region.peers[region.peer_count++] = (struct region_peer){
            .id = peer_id,
            .node = founders->founder[i].id,
            .role = voter ? PEER_VOTER : PEER_LEARNER,
        };
        if (voter)
            region.voters[region.voter_count++] = peer_id;
        else
            region.learners[region.learner_count++] = peer_id;
        region.peer_max = peer_id;
    }
    return region;
}

static bool has_peer(const struct region *region, uint64_t node_id)
{
    for (size_t i = 0; i < region->peer_count; i++)
        if (region->peers[i].node == node_id)
            return true;
    return false;
}

static void put_region(struct kv_batch *state, struct kv_batch *log,
                       const struct region *region)
{
    struct marker marker = {.index = FOUNDING_INDEX, .term = FOUNDING_TERM};
    struct log_start start = {FOUNDING_INDEX, FOUNDING_TERM};
    struct hard_state hard_state = {.term = FOUNDING_TERM,
                                    .commit = FOUNDING_INDEX};
    struct key key = key_marker(region->id);
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = marker_encode(&marker, bytes);

    put(state, key_region(region->id), region_encode(region));
    kv_batch_put(state, key_slice(&key), (struct slice){bytes, size});
    region_log_found(log, region->id, &start, &hard_state);
}

static int64_t founding_time_ns(const struct identity *identity)
{
    uint64_t token = 0;

    for (size_t i = 0; i < identity->token_count; i++)
        if (identity->tokens[i] > token)
            token = identity->tokens[i];
    return (int64_t)(token >> TOKEN_TIME_SHIFT) * 1000000;
}

static void put_next_id(struct kv_batch *state, struct key key, uint64_t next)
{
    uint8_t bytes[8];

    be64_put(bytes, next);
    kv_batch_put(state, key_slice(&key), (struct slice){bytes, sizeof bytes});
}

static void put_catalog(struct kv_batch *state, const struct founders *founders,
                        int64_t now_ns)
{
    struct directory root = {
        .nsid = NSID_ROOT,
        .attr = {.ino = ino_of_nsid(NSID_ROOT),
                 .mode = S_IFDIR | 0755,
                 .atime_ns = now_ns,
                 .mtime_ns = now_ns,
                 .ctime_ns = now_ns,
                 .version = 1},
    };

    put(state, key_directory(NSID_ROOT), directory_encode(&root));
    put_next_id(state, key_id_allocator(), FIRST_NSID);
    put_next_id(state, key_region_id_allocator(), REGION_FIRST_DATA + 1);
    for (size_t i = 0; i < founders->count; i++) {
        struct node_record node = {.id = founders->founder[i].id,
                                   .state = NODE_UP,
                                   .since_ns = now_ns};

        (void)snprintf(node.address, sizeof node.address, "%s",
                       founders->founder[i].address);
        put(state, key_node(node.id), node_encode(&node));
    }
}

static void put_root_namespace(struct kv_batch *state, int64_t now_ns)
{
    put(state, key_user('n', NSID_ROOT, (struct slice){NULL, 0}),
        namespace_encode(&(struct namespace_record){
            .nsid = NSID_ROOT,
            .domain = NSID_ROOT,
            .mtime_ns = now_ns,
            .ctime_ns = now_ns,
        }));
}

static void fill(struct kv_batch *state, struct kv_batch *log,
                 const struct identity *identity,
                 const struct founders *founders)
{
    size_t count = founders->count;
    size_t data_replicas = count < DATA_REPLICAS ? count : DATA_REPLICAS;
    int64_t now_ns = founding_time_ns(identity);
    uint64_t next_peer = 1;
    struct region placement = make_region(REGION_PLACEMENT, founders, count,
                                          PLACEMENT_VOTERS_MAX, &next_peer);
    struct region data = make_region(REGION_FIRST_DATA, founders, data_replicas,
                                     DATA_REPLICAS, &next_peer);

    put_region(state, log, &placement);
    eventual_head_put(state, &(struct eventual_head){.whole = true});
    put_catalog(state, founders, now_ns);
    if (!has_peer(&data, identity->node_id))
        return;
    put_region(state, log, &data);
    put_root_namespace(state, now_ns);
}

int founding_write(struct kv *log, struct kv *state,
                   const struct identity *identity,
                   const struct founders *founders, struct err *e)
{
    struct kv_batch *state_batch = kv_batch_new(state);
    struct kv_batch *log_batch = kv_batch_new(log);
    int rc;

    assert(identity->cluster_id != 0);
    fill(state_batch, log_batch, identity, founders);
    put(log_batch, key_identity(), identity_encode(identity));
    rc = kv_write(state, state_batch, KV_RELAXED, e);
    if (rc == 0)
        rc = kv_flush(state, true, e);
    if (rc == 0)
        rc = kv_write(log, log_batch, KV_SYNCED, e);
    kv_batch_free(state_batch);
    kv_batch_free(log_batch);
    return rc;
}
