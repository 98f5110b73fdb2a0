/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_commands.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/command.h"
#include "engine/domain.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_zone.h"

enum { LIST_MAX = 16 };

struct seen_command {
    uint64_t key;
    bool used;
};

/* Of the last command about parts: those beside the first one. */
struct seen_list {
    enum command_op op;
    struct txn_id txn;
    uint64_t nsids[LIST_MAX];
    size_t count;
};

struct sim_commands {
    struct sim_cluster *cluster;
    struct sim_ranges *ranges;
    struct sim_tag *tags;
    size_t tag_count;
    size_t tag_count_max;
    struct seen_command *seen; /* open addressing */
    size_t seen_size;
    size_t seen_count;
    struct seen_list list;
};

struct sim_commands *sim_commands_new(struct sim_cluster *cluster,
                                      struct sim_ranges *ranges)
{
    struct sim_commands *commands = mem_zalloc(sizeof *commands);

    commands->cluster = cluster;
    commands->ranges = ranges;
    commands->seen_size = 1 << 16;
    commands->seen = mem_zalloc(commands->seen_size * sizeof *commands->seen);
    return commands;
}

void sim_commands_free(struct sim_commands *commands)
{
    free(commands->tags);
    free(commands->seen);
    free(commands);
}

/* ---- operations ---- */

static struct sim_tag *tag_of(struct sim_commands *commands, uint32_t tag)
{
    while (commands->tag_count <= tag) {
        commands->tags =
            mem_grow(commands->tags, sizeof *commands->tags,
                     &commands->tag_count_max, commands->tag_count + 1);
        commands->tags[commands->tag_count++] = (struct sim_tag){0};
    }
    return &commands->tags[tag];
}

struct sim_tag sim_commands_tag(const struct sim_commands *commands,
                                uint32_t tag)
{
    return tag < commands->tag_count ? commands->tags[tag]
                                     : (struct sim_tag){0};
}

void sim_commands_published(struct sim_commands *commands, uint32_t tag)
{
    struct sim_tag *published = tag_of(commands, tag);

    published->unpublished--;
    published->last_ns = commands->cluster->loop->now_ns;
}

/* A rename's PREPARE does the rename when no directory is in it any more. */
static bool may_take_effect(const struct command *c)
{
    if (c->op == COMMAND_TXN_PREPARE)
        return c->txn_kind == TXN_RENAME;
    return c->op != COMMAND_TXN_RESOLVE;
}

/* Returns the tag if the command makes its operation take effect, or 0. */
static uint32_t note_tag(struct sim_commands *commands, const struct command *c)
{
    struct sim_tag *tag;

    if (c->set.uid == 0)
        return 0;
    tag = tag_of(commands, c->set.uid);
    if ((c->op == COMMAND_CREATE || c->op == COMMAND_TXN_PREPARE) &&
        c->ino != 0)
        tag->ino = c->ino;
    if (tag->begun_ns == 0)
        tag->begun_ns = commands->cluster->loop->now_ns;
    if (!may_take_effect(c))
        return 0;
    tag->committed = true;
    tag->unpublished++;
    return c->set.uid;
}

/* ---- one command ---- */

static void note_repeat(struct sim_commands *commands, uint64_t region,
                        const struct command *c)
{
    uint64_t key =
        sim_mix(sim_mix(region * 64 + c->node, c->boot), c->sequence);
    size_t i = (size_t)key % commands->seen_size;

    if (c->node == 0 || commands->seen_count > commands->seen_size / 2)
        return;
    for (; commands->seen[i].used; i = (i + 1) % commands->seen_size)
        if (commands->seen[i].key == key) {
            sim_seen(SEEN_REPEATED);
            return;
        }
    commands->seen[i] = (struct seen_command){key, true};
    commands->seen_count++;
}

static uint64_t nsid_of(const struct command *c)
{
    return c->txn.opens_nsid != 0 ? c->txn.opens_nsid : c->txn.closes_nsid;
}

static void note_resolved(struct sim_commands *commands,
                          const struct command *c)
{
    const struct txn_ref *txn = &c->txn;

    if (c->node == txn->id.node)
        return;
    sim_seen(SEEN_TXN_SETTLED);
    if (c->txn_step != TXN_STEP_PART || !c->commit)
        return;
    sim_zones_on_resolved(commands->cluster->zones, nsid_of(c));
    for (size_t i = 0; i < domain_count(c->further); i++)
        sim_zones_on_resolved(commands->cluster->zones,
                              domain_nsid_at(c->further, i));
}

/* One that begins in the middle of the last list goes on with that. */
static void note_list(struct sim_commands *commands, const struct command *c)
{
    struct seen_list *list = &commands->list;
    size_t count = domain_count(c->further);

    if (c->txn_step != TXN_STEP_PART)
        return;
    if (count > 0)
        sim_seen(SEEN_TREE_LISTED);
    if (list->op == c->op && txn_id_equal(list->txn, c->txn.id))
        for (size_t i = 0; i < list->count; i++)
            if (list->nsids[i] == nsid_of(c))
                sim_seen(SEEN_TREE_LIST_CUT);
    assert(count <= LIST_MAX);
    *list = (struct seen_list){.op = c->op, .txn = c->txn.id, .count = count};
    for (size_t i = 0; i < count; i++)
        list->nsids[i] = domain_nsid_at(c->further, i);
}

static void note_seen(struct sim_commands *commands, const struct command *c)
{
    if (c->op == COMMAND_VERIFY)
        sim_seen(SEEN_CHECKED);
    if (c->op == COMMAND_UNFREEZE)
        sim_seen(SEEN_MERGE_GIVEN_UP);
    if (c->op == COMMAND_TXN_DECIDE)
        sim_seen(SEEN_TXN_DECIDED);
    if (c->op == COMMAND_TXN_COPY)
        sim_seen(SEEN_TXN_COPIED);
    if (c->op == COMMAND_TXN_ABORT)
        sim_seen(SEEN_TXN_ABORTED);
    if (c->op == COMMAND_TXN_RESOLVE)
        note_resolved(commands, c);
    if (c->op == COMMAND_TXN_RESOLVE || c->op == COMMAND_TXN_PREPARE)
        note_list(commands, c);
}

uint32_t sim_commands_committed(struct sim_commands *commands, uint64_t region,
                                const struct raft_entry *entry)
{
    struct sim_loop *loop = commands->cluster->loop;
    struct command c = {0};
    uint32_t tag;

    if (entry->data == NULL || entry->type != RAFT_ENTRY_NORMAL)
        return 0;
    if (command_decode(
            &c, (struct slice){entry->data->data, entry->data->size}) != 0)
        sim_fail(loop, "a committed entry cannot be decoded");
    note_repeat(commands, region, &c);
    sim_note(loop,
             "log %" PRIu64 ": %" PRIu64 ".%" PRIu64 " op=%d tag=%u id=%" PRIu64
             ".%" PRIu64 ".%" PRIu64 " txn=%" PRIu64 ".%" PRIu64 ".%" PRIu64,
             region, entry->index, entry->term, (int)c.op, c.set.uid, c.node,
             c.boot, c.sequence, c.txn.id.node, c.txn.id.boot,
             c.txn.id.sequence);
    tag = note_tag(commands, &c);
    if (c.op == COMMAND_SPLIT)
        sim_ranges_committed(commands->ranges, region, entry->index,
                             entry->term, &c);
    if (c.op == COMMAND_FREEZE || c.op == COMMAND_UNFREEZE)
        sim_ranges_touched(commands->ranges, region);
    note_seen(commands, &c);
    command_release(&c);
    return tag;
}
