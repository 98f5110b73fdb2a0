/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/kv_helpers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct slice text_slice(const char *text)
{
    return (struct slice){text, strlen(text)};
}

void put_text(struct kv *kv, const char *key, const char *value,
              enum kv_durability durability)
{
    struct kv_batch *batch = kv_batch_new(kv);
    int rc;

    kv_batch_put(batch, text_slice(key), text_slice(value));
    rc = kv_write(kv, batch, durability, NULL);
    kv_batch_free(batch);
    assert_int_equal(rc, 0);
}

void put_letters(struct kv *kv, const char *letters)
{
    for (; *letters != '\0'; letters++)
        put_text(kv, (const char[]){*letters, '\0'}, "1", KV_RELAXED);
}

void delete_text(struct kv *kv, const char *key)
{
    struct kv_batch *batch = kv_batch_new(kv);
    int rc;

    kv_batch_delete(batch, text_slice(key));
    rc = kv_write(kv, batch, KV_RELAXED, NULL);
    kv_batch_free(batch);
    assert_int_equal(rc, 0);
}

static void write_record(struct kv *kv, struct key key, struct slice record,
                         enum kv_durability durability)
{
    struct kv_batch *batch = kv_batch_new(kv);
    int rc;

    kv_batch_put(batch, key_slice(&key), record);
    rc = kv_write(kv, batch, durability, NULL);
    kv_batch_free(batch);
    assert_int_equal(rc, 0);
}

void put_record(struct kv *kv, struct key key, struct slice record)
{
    write_record(kv, key, record, KV_SYNCED);
}

void put_relaxed(struct kv *kv, struct key key, struct slice record)
{
    write_record(kv, key, record, KV_RELAXED);
}

bool has_record(struct kv *kv, struct key key)
{
    struct kv_value value = {0};
    int rc = kv_get(kv, NULL, key_slice(&key), &value);

    kv_value_release(&value);
    return rc == 0;
}

static void expect_result(int rc, struct kv_value *value, const char *text)
{
    if (text == NULL) {
        assert_int_equal(rc, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(value->size, strlen(text));
    assert_memory_equal(value->data, text, value->size);
    kv_value_release(value);
}

void expect_text(struct kv *kv, const struct kv_snapshot *snapshot,
                 const char *key, const char *value)
{
    struct kv_value found = {.data = NULL};

    expect_result(kv_get(kv, snapshot, text_slice(key), &found), &found, value);
}

void expect_durable(struct kv *kv, const char *key, const char *value)
{
    struct kv_value found = {.data = NULL};

    expect_result(kv_get_durable(kv, text_slice(key), &found), &found, value);
}

static void dump_rest(struct kv_iter *iter, char *dump)
{
    size_t size = 0;

    dump[0] = '\0';
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice key = kv_iter_key(iter);
        struct slice value = kv_iter_value(iter);

        size += (size_t)snprintf(dump + size, DUMP_SIZE - size, "%s%.*s=%.*s",
                                 size > 0 ? " " : "", (int)key.size,
                                 (const char *)key.data, (int)value.size,
                                 (const char *)value.data);
        assert_true(size < DUMP_SIZE);
    }
    assert_int_equal(kv_iter_status(iter, NULL), 0);
}

void expect_rest(struct kv_iter *iter, const char *dump)
{
    char found[DUMP_SIZE];

    dump_rest(iter, found);
    assert_string_equal(found, dump);
}

void expect_range(struct kv *kv, const struct kv_snapshot *snapshot,
                  const char *lower, const char *upper, const char *dump)
{
    char found[DUMP_SIZE];
    struct kv_iter *iter =
        kv_iter_new(kv, snapshot, text_slice(lower), text_slice(upper));

    kv_iter_seek(iter, text_slice(lower));
    dump_rest(iter, found);
    kv_iter_free(iter);
    assert_string_equal(found, dump);
}

const char *dump_all(struct kv *kv)
{
    static char found[DUMP_SIZE];
    struct kv_iter *iter =
        kv_iter_new(kv, NULL, text_slice(""), text_slice(""));

    kv_iter_seek(iter, text_slice(""));
    dump_rest(iter, found);
    kv_iter_free(iter);
    return found;
}
