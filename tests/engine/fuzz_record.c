/* SPDX-License-Identifier: Apache-2.0 */

/* Fuzzes the decoders of records; the first byte selects one. Whatever
 * decodes can be encoded, and what that gives decodes and encodes to itself. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/dirent.h"
#include "engine/domain.h"
#include "engine/eventual_items.h"
#include "engine/eventual_record.h"
#include "engine/left_out.h"
#include "engine/quarantine.h"
#include "engine/record.h"
#include "engine/xattr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns what the bytes decode to, encoded again; NULL when they do not. */
typedef struct buf *recoder(struct slice bytes);

static struct buf *recode_entry(struct slice bytes)
{
    struct entry record;
    struct buf *b;

    if (entry_decode(&record, bytes) != 0)
        return NULL;
    b = entry_encode(&record);
    entry_release(&record);
    return b;
}

static struct buf *recode_namespace(struct slice bytes)
{
    struct namespace_record record;
    struct buf *b;

    if (namespace_decode(&record, bytes) != 0)
        return NULL;
    b = namespace_encode(&record);
    namespace_release(&record);
    return b;
}

static struct buf *recode_directory(struct slice bytes)
{
    struct directory record;
    struct buf *b;

    if (directory_decode(&record, bytes) != 0)
        return NULL;
    b = directory_encode(&record);
    directory_release(&record);
    return b;
}

static struct buf *recode_decision(struct slice bytes)
{
    struct decision record;
    struct buf *b;

    if (decision_decode(&record, bytes) != 0)
        return NULL;
    b = decision_encode(&record);
    decision_release(&record);
    return b;
}

static struct buf *recode_region(struct slice bytes)
{
    struct region record;
    struct buf *b;

    if (region_decode(&record, bytes) != 0)
        return NULL;
    b = region_encode(&record);
    region_release(&record);
    return b;
}

static struct buf *recode_damage(struct slice bytes)
{
    struct damage record;
    struct buf *b;

    if (damage_decode(&record, bytes) != 0)
        return NULL;
    b = damage_encode(&record);
    damage_release(&record);
    return b;
}

static struct buf *recode_node(struct slice bytes)
{
    struct node_record record;

    return node_decode(&record, bytes) == 0 ? node_encode(&record) : NULL;
}

static struct buf *recode_identity(struct slice bytes)
{
    struct identity record;

    return identity_decode(&record, bytes) == 0 ? identity_encode(&record)
                                                : NULL;
}

static struct buf *recode_marker(struct slice bytes)
{
    uint8_t to[MARKER_SIZE_MAX];
    struct marker record;

    if (marker_decode(&record, bytes) != 0)
        return NULL;
    return buf_copy(to, marker_encode(&record, to));
}

static struct buf *recode_hard_state(struct slice bytes)
{
    uint8_t to[MARKER_SIZE_MAX];
    struct hard_state record;

    if (hard_state_decode(&record, bytes) != 0)
        return NULL;
    return buf_copy(to, hard_state_encode(&record, to));
}

static struct buf *recode_log_start(struct slice bytes)
{
    uint8_t to[MARKER_SIZE_MAX];
    struct log_start record;

    if (log_start_decode(&record, bytes) != 0)
        return NULL;
    return buf_copy(to, log_start_encode(&record, to));
}

static struct buf *recode_goal(struct slice bytes)
{
    struct goal record;

    return goal_decode(&record, bytes) == 0 ? goal_encode(&record) : NULL;
}

static struct buf *recode_setting(struct slice bytes)
{
    uint64_t value;

    return setting_decode(&value, bytes) == 0 ? setting_encode(value) : NULL;
}

static struct buf *recode_gone_region(struct slice bytes)
{
    uint64_t target;

    return gone_region_decode(&target, bytes) == 0 ? gone_region_encode(target)
                                                   : NULL;
}

static struct buf *recode_tombstone(struct slice bytes)
{
    uint8_t to[MARKER_SIZE_MAX];
    struct tombstone record;

    if (tombstone_decode(&record, bytes) != 0)
        return NULL;
    return buf_copy(to, tombstone_encode(&record, to));
}

static struct buf *recode_sender(struct slice bytes)
{
    uint8_t to[MARKER_SIZE_MAX];
    struct sender record;

    if (sender_decode(&record, bytes) != 0)
        return NULL;
    return buf_copy(to, sender_encode(&record, to));
}

/* Uses them as they are, malformed or not. */
static struct buf *recode_xattrs(struct slice bytes)
{
    const struct slice name = {"n", 1};
    struct slice value;
    struct buf *b = NULL;

    buf_unref(xattr_list(bytes));
    (void)xattr_get(bytes, name, &value); /* Either is fine. */
    if (xattr_remove(bytes, name, &b) == 0)
        buf_unref(b);
    b = NULL;
    if (xattr_set(bytes, name, name, 0, &b) != 0 || xattr_check(bytes))
        return b;
    buf_unref(b);
    return NULL;
}

static struct buf *recode_dirents(struct slice bytes)
{
    struct buf *data = buf_copy(bytes.data, bytes.size);
    struct dirent_writer writer;
    struct dirent_view view;
    size_t position = 0;

    dirent_writer_init(&writer, bytes.size);
    while (dirent_next(data, &position, &view)) {
        const struct slice name = {view.name, strlen(view.name)};
        int rc = dirent_append(&writer, name, view.ino, view.mode);

        assert(rc == 0);
    }
    buf_unref(data);
    return dirent_writer_finish(&writer);
}

static struct buf *recode_domain(struct slice bytes)
{
    struct domain domain;
    struct buf *b;

    if (domain_decode(bytes, &domain) != 0)
        return NULL;
    b = domain_encode(&domain);
    domain_release(&domain);
    return b;
}

/* Adds the item at `*at`. False: there is no more that makes sense, or no room.
 */
static bool recode_item(struct eventual_items *items, struct slice bytes,
                        size_t *at)
{
    struct eventual_record record;
    struct slice item;
    bool full = false;

    if (!eventual_items_next(bytes, at, &item) ||
        eventual_decode_item(&record, item) != 0)
        return false;
    if (eventual_items_add(items, &record, &full) != 0)
        full = true;
    eventual_release(&record);
    return !full;
}

static struct buf *recode_items(struct slice bytes)
{
    struct eventual_items items = {.size = 0};
    struct buf *b;
    size_t at = 0;

    while (at < bytes.size && recode_item(&items, bytes, &at))
        continue;
    b = buf_copy(items.bytes, items.size);
    eventual_items_release(&items);
    return b;
}

static struct buf *recode_eventual(struct slice bytes)
{
    struct eventual_record record;
    struct buf *b;

    if (eventual_decode(&record, bytes) != 0)
        return NULL;
    b = eventual_encode(&record);
    eventual_release(&record);
    return b;
}

static struct buf *recode_eventual_entry(struct slice bytes)
{
    struct eventual_record record;
    struct buf *b;

    if (eventual_decode_entry(&record, bytes) != 0)
        return NULL;
    b = eventual_encode_entry(&record);
    eventual_release(&record);
    return b;
}

static struct buf *recode_left_out(struct slice bytes)
{
    struct left_out record;

    return left_out_decode(&record, bytes) == 0 ? left_out_encode(&record)
                                                : NULL;
}

static struct buf *recode_quarantined(struct slice bytes)
{
    struct quarantined item;
    struct buf *b;

    if (quarantined_decode(&item, bytes) != 0)
        return NULL;
    b = quarantined_encode(item.path, &item.record);
    quarantined_release(&item);
    return b;
}

static struct buf *recode_quarantine_head(struct slice bytes)
{
    struct quarantine_head head;

    return quarantine_head_decode(&head, bytes) == 0
               ? quarantine_head_encode(&head)
               : NULL;
}

static recoder *const recoders[] = {
    recode_entry,       recode_namespace,       recode_directory,
    recode_decision,    recode_region,          recode_damage,
    recode_node,        recode_identity,        recode_marker,
    recode_hard_state,  recode_log_start,       recode_sender,
    recode_xattrs,      recode_dirents,         recode_tombstone,
    recode_goal,        recode_setting,         recode_gone_region,
    recode_eventual,    recode_eventual_entry,  recode_left_out,
    recode_quarantined, recode_quarantine_head, recode_domain,
    recode_items,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    recoder *recode;
    struct buf *first;
    struct buf *second;

    if (size == 0)
        return 0;
    recode = recoders[data[0] % ARRAY_SIZE(recoders)];
    first = recode((struct slice){data + 1, size - 1});
    if (first == NULL)
        return 0;
    second = recode(buf_slice(first));
    assert(second != NULL && second->size == first->size);
    assert(memcmp(first->data, second->data, first->size) == 0);
    buf_unref(first);
    buf_unref(second);
    return 0;
}
