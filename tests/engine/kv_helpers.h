/* SPDX-License-Identifier: Apache-2.0 */

/* Short words for tests of stores: keys and values are texts, or records of
 * keys.h. */

#ifndef GROVEFS_TESTS_ENGINE_KV_HELPERS_H
#define GROVEFS_TESTS_ENGINE_KV_HELPERS_H

#include "engine/keys.h"
#include "engine/kv.h"

enum { DUMP_SIZE = 4096 };

struct slice text_slice(const char *text);

/* One write with one change. Fail the test when the store does. */
void put_text(struct kv *kv, const char *key, const char *value,
              enum kv_durability durability);
/* "1" for each letter, one relaxed write each. */
void put_letters(struct kv *kv, const char *letters);
void delete_text(struct kv *kv, const char *key);

/* A record, durable at once. */
void put_record(struct kv *kv, struct key key, struct slice record);
/* ... that a power cut takes, until all is flushed. */
void put_relaxed(struct kv *kv, struct key key, struct slice record);
bool has_record(struct kv *kv, struct key key);

/* Expects the value, or with NULL that there is none. */
void expect_text(struct kv *kv, const struct kv_snapshot *snapshot,
                 const char *key, const char *value);
void expect_durable(struct kv *kv, const char *key, const char *value);

/* Expects "key=value key=value ..." in [lower, upper). */
void expect_range(struct kv *kv, const struct kv_snapshot *snapshot,
                  const char *lower, const char *upper, const char *dump);

/* The whole of the store in that form, good until the next call. */
const char *dump_all(struct kv *kv);

/* Expects what `iter` would still go through. */
void expect_rest(struct kv_iter *iter, const char *dump);

#endif
