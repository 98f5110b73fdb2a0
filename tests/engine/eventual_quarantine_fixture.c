/* SPDX-License-Identifier: Apache-2.0 */

#include "eventual_quarantine_fixture.h"

#include "engine/left_out.h"
#include "engine/quarantine.h"

void leave_out(struct eventual_fixture *f, uint64_t since, uint64_t node,
               uint64_t taken)
{
    struct left_out left_out = {.count = 0};
    struct kv_batch *batch = kv_batch_new(f->state);

    left_out_add(&left_out, node, taken);
    left_out_put(batch, DIR, since, &left_out);
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

void end_life(struct eventual_fixture *f, uint64_t taken)
{
    leave_out(f, SINCE, NODE, taken);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
}

void flush_all(struct eventual_fixture *f)
{
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
}

uint64_t count_of(struct eventual_fixture *f)
{
    struct quarantine_head head;

    assert_int_equal(quarantine_head_get(f->state, &head), 0);
    return head.count;
}

void expect_item(struct eventual_fixture *f, uint64_t number, const char *name,
                 const char *text)
{
    struct quarantined item = {0};

    assert_int_equal(quarantine_get(f->state, number, &item), 0);
    assert_true(slice_equal(item.record.name, slice_of(name)));
    assert_int_equal(item.record.dir, DIR);
    assert_int_equal(item.record.removed, text == NULL);
    assert_true(slice_equal(item.record.content, slice_of(text)));
    quarantined_release(&item);
}

void make(struct eventual_fixture *f, const char *name, const char *text)
{
    assert_int_equal(create(f, name), 0);
    assert_int_equal(write_text(f, name, text), 0);
}
