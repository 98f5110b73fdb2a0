/* SPDX-License-Identifier: Apache-2.0 */

#include "quarantine_fixture.h"

#include <sys/stat.h>

int quarantine_setup(void **state)
{
    struct directory directory = {.nsid = DIR, .parent = NSID_ROOT};
    struct kv *kv = kv_mem_new();
    struct buf *bytes;

    directory.name = slice_of("d e");
    directory.attr.ino = ino_of_nsid(DIR);
    bytes = directory_encode(&directory);
    put_record(kv, key_directory(DIR), buf_slice(bytes));
    buf_unref(bytes);
    *state = kv;
    return 0;
}

int quarantine_teardown(void **state)
{
    kv_mem_check(*state);
    kv_close(*state);
    return 0;
}

void leave_out(struct kv *kv, uint64_t since, uint64_t node)
{
    struct left_out left_out = {.count = 0};
    struct kv_batch *batch = kv_batch_new(kv);

    left_out_add(&left_out, node, TAKEN);
    left_out_put(batch, DIR, since, &left_out);
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
}

struct eventual_record change(const char *name, uint64_t sequence,
                              const char *text)
{
    struct eventual_record record = {.dir = DIR,
                                     .name = slice_of(name),
                                     .hlc = 1000 + sequence,
                                     .origin = NODE,
                                     .sequence = sequence,
                                     .local = sequence,
                                     .since = LIFE,
                                     .removed = text == NULL,
                                     .content = slice_of(text)};

    if (text != NULL)
        record.attr = (struct attr){.ino = INO_FILE_MIN,
                                    .mode = S_IFREG | 0640,
                                    .size = record.content.size};
    return record;
}

void put(struct kv *kv, const struct eventual_record *record)
{
    struct kv_batch *batch = kv_batch_new(kv);

    eventual_put(batch, record, NULL);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

void put_change(struct kv *kv, const char *name, uint64_t sequence,
                const char *text)
{
    struct eventual_record record = change(name, sequence, text);

    put(kv, &record);
}

uint64_t keep(struct kv *kv, uint64_t since)
{
    struct quarantine_kept kept = {.unread_count = 99};

    assert_int_equal(quarantine_keep(kv, NODE, DIR, since, &kept), 0);
    return kept.unread_count;
}

bool is_there(struct kv *kv, const char *name)
{
    return has_record(kv, key_user('v', DIR, slice_of(name)));
}

void expect_head(struct kv *kv, uint64_t last, uint64_t count)
{
    struct quarantine_head head;

    assert_int_equal(quarantine_head_get(kv, &head), 0);
    assert_int_equal(head.last, last);
    assert_int_equal(head.count, count);
}

void expect_item(struct kv *kv, uint64_t number, const char *path,
                 const char *text)
{
    struct quarantined item = {0};

    assert_int_equal(quarantine_get(kv, number, &item), 0);
    assert_int_equal(item.number, number);
    assert_true(slice_equal(item.path, slice_of(path)));
    assert_int_equal(item.record.removed, text == NULL);
    assert_true(slice_equal(item.record.content, slice_of(text)));
    quarantined_release(&item);
}
