/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 8 of a directory that has become eventual with files in it: what each
 * node has of them, as soon as the first one knows that it is eventual. Nobody
 * has changed anything by then, and what is in the regions is not deleted
 * yet. */

#include <inttypes.h>

#include "engine/keys.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_entry.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"

/* A file as a region has it. */
struct file {
    struct sim_lives *lives;
    const struct life *life;
    const struct sim_node *teller; /* that knows the decision */
    const struct sim_node *from;   /* whose region it is */
    struct txn_id closing;         /* with which this life has begun ... */
    uint64_t version;              /* ... of a part that it has closed */
    struct slice name;
    uint64_t plain;
};

/* One that has lost its state/, or has only just come, has it later; it serves
 * nobody until then. One that is gone may be the last one to know. */
static bool has_to_have(const struct file *file, const struct sim_node *node)
{
    const struct sim_lives *lives = file->lives;
    struct eventual_head head = {0};

    return !node->removed && node->node != NULL &&
           sim_drain_state(file->teller, node) != NODE_REMOVED &&
           !lives->nodes[node->number].lost &&
           eventual_head_get(lives_state(node), &head) == 0 && head.whole;
}

/* As it was, or what that node has made of it in the same step in which it got
 * to know that the life has begun: the teller, or one that nobody has looked at
 * since. */
static bool is_right(const struct file *file, const struct sim_node *node,
                     const struct eventual_record *record)
{
    struct mode mode = sim_lives_mode(node, file->life->dir);
    bool may_be_newer = record->origin == node->number + 1 &&
                        mode.since == file->life->since &&
                        mode.state == MODE_EVENTUAL;

    return record->since == file->life->since &&
           (may_be_newer || record->removed ||
            lives_plain(&record->attr, record->xattrs, record->content) ==
                file->plain);
}

static void check_node(const struct file *file, const struct sim_node *node)
{
    const struct life *life = file->life;
    struct eventual_record record = {0};
    int rc = eventual_get(lives_state(node), NULL, life->dir, file->name, true,
                          &record);

    if (rc != 0 || !is_right(file, node, &record))
        sim_fail(file->lives->cluster->loop,
                 "%" PRIx64
                 "/%.*s is eventual, and node %zu does not have what "
                 "it was as a strong one",
                 life->dir, (int)file->name.size, (const char *)file->name.data,
                 node->number + 1);
    eventual_release(&record);
}

static void check_file(struct file *file)
{
    const struct sim_cluster *cluster = file->lives->cluster;
    struct entry entry = {0};
    struct buf *content = NULL;

    if (!sim_entry_get(file->from, file->life->dir, file->name, &entry,
                       &content))
        return;
    file->plain = lives_plain(&entry.attr, entry.xattrs, buf_slice(content));
    for (size_t i = 0; i < cluster->plan->nodes; i++)
        if (has_to_have(file, &cluster->nodes[i]))
            check_node(file, &cluster->nodes[i]);
    sim_seen(SEEN_ZONE_EXPORTED);
    buf_unref(content);
    entry_release(&entry);
}

/* Of those that were committed, and are not forgotten, the last one: each of
 * them has closed what one behind the one before had opened. */
static void look_for_closing(void *context, struct range range,
                             const struct namespace_record *part)
{
    struct file *file = context;

    (void)range;
    if (part->version < file->version ||
        !lives_was_committed(file->teller, part->closing.id))
        return;
    file->closing = part->closing.id;
    file->version = part->version;
}

/* Of a replica that has closed its part for the transaction which was
 * committed: others know too much or too little. */
static void check_part(void *context, struct range range,
                       const struct namespace_record *part)
{
    struct file *file = context;
    struct key lower = key_namespace(file->life->dir, range.start);
    struct key upper;
    struct kv_iter *iter;

    if (!txn_id_equal(part->closing.id, file->closing))
        return;
    lower.data[0] = 'd';
    if (!key_next_part(file->life->dir, range.end, &upper))
        upper = key_behind_namespace('d', file->life->dir);
    iter = kv_iter_new(lives_state(file->from), NULL, key_slice(&lower),
                       key_slice(&upper));
    for (kv_iter_seek(iter, key_slice(&lower)); kv_iter_valid(iter);
         kv_iter_next(iter)) {
        uint64_t dir;

        if (key_parse_entry(kv_iter_key(iter), &dir, &file->name))
            check_file(file);
    }
    kv_iter_free(iter);
}

static void visit_parts(struct file *file, lives_part *on_part)
{
    const struct sim_cluster *cluster = file->lives->cluster;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        file->from = &cluster->nodes[i];
        if (file->from->node != NULL)
            lives_visit_parts(file->from, file->life->dir, on_part, file);
    }
}

void lives_check_filled(struct sim_lives *lives, const struct sim_node *teller,
                        const struct life *life)
{
    struct file file = {.lives = lives, .life = life, .teller = teller};

    visit_parts(&file, look_for_closing);
    if (file.closing.node != 0)
        visit_parts(&file, check_part);
}
