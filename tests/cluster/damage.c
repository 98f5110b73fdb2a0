/* SPDX-License-Identifier: Apache-2.0 */

/* damage FLIP|CUT|DELETE|FORGE STORE NAME
 *
 * Changes the record of the file NAME, in whatever directory, strong before
 * eventual ones, in the state/ of a store whose node is stopped: the last byte
 * flips, half of it is lost, or all of it. RocksDB writes it as any other, with
 * a right checksum. FORGE is for eventual ones: the last byte of the content
 * flips, and all that goes with it, digests, too, is as if it had come so: as
 * an error of the program might leave it. The marker stays where it is, so
 * nothing of the log is applied anew. Exit status 0 when it was done. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/digest.h"
#include "engine/keys.h"
#include "engine/kv_rocks.h"
#include "raft/base/buf.h"
#include "raft/base/mem.h"

static struct kv *open_state(const char *store)
{
    char path[4096];
    struct kv_rocks_config config = {.dir = path, .flavour = KV_ROCKS_STATE};
    struct err e = ERR_INIT;
    struct kv *state = NULL;

    (void)snprintf(path, sizeof path, "%s/state", store);
    if (kv_rocks_open(&state, &config, &e) != 0)
        (void)fprintf(stderr, "damage: %s\n", e.text);
    return state;
}

/* Of a file in a strong directory, or in an eventual one. */
static bool parse_entry(struct slice key, struct slice *ret_name)
{
    uint64_t nsid;

    return key_parse_entry(key, &nsid, ret_name) ||
           key_parse_user(key, 'v', &nsid, ret_name);
}

/* The first entry of that name; false: there is none. */
static bool find_entry(struct kv *state, const char *name, struct key *ret_key,
                       struct buf **ret_value)
{
    struct slice lower = {"d", 1};
    struct slice upper = {"w", 1};
    struct kv_iter *iter = kv_iter_new(state, NULL, lower, upper);
    bool found = false;

    kv_iter_seek(iter, lower);
    for (; !found && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice key = kv_iter_key(iter);
        struct slice value = kv_iter_value(iter);
        struct slice entry_name;

        found = parse_entry(key, &entry_name) &&
                slice_equal(entry_name, slice_of(name));
        if (!found)
            continue;
        memcpy(ret_key->data, key.data, key.size);
        ret_key->size = key.size;
        *ret_value = buf_copy(value.data, value.size);
    }
    kv_iter_free(iter);
    return found;
}

/* With another content, which is borrowed. */
static void put_forged(struct kv_batch *batch,
                       const struct eventual_record *record,
                       struct slice content, struct eventual_namespace *count)
{
    struct eventual_record forged = *record;

    forged.content = content;
    forged.digest = digest_record(&forged);
    count->digest += forged.digest - record->digest;
    eventual_put(batch, &forged, record);
    eventual_namespace_put(batch, record->dir, count);
}

static bool forge(struct kv *state, struct kv_batch *batch,
                  const struct key *key)
{
    struct eventual_record record = {0};
    struct eventual_namespace count;
    struct buf *content;
    struct slice name;
    uint64_t nsid;
    bool is_one = key_parse_user(key_slice(key), 'v', &nsid, &name) &&
                  eventual_get(state, NULL, nsid, name, true, &record) == 0 &&
                  eventual_namespace_get(state, NULL, nsid, &count) == 0 &&
                  record.content.size > 0;

    if (is_one) {
        content = buf_copy(record.content.data, record.content.size);
        content->data[content->size - 1] ^= 1;
        put_forged(batch, &record, buf_slice(content), &count);
        buf_unref(content);
    }
    eventual_release(&record);
    return is_one;
}

static bool change(struct kv *state, struct kv_batch *batch, const char *how,
                   const struct key *key, struct buf *value)
{
    if (strcmp(how, "FORGE") == 0)
        return forge(state, batch, key);
    if (strcmp(how, "FLIP") == 0)
        value->data[value->size - 1] ^= 1;
    else if (strcmp(how, "CUT") == 0)
        value->size /= 2;
    else if (strcmp(how, "DELETE") != 0)
        return false;
    if (strcmp(how, "DELETE") == 0)
        kv_batch_delete(batch, key_slice(key));
    else
        kv_batch_put(batch, key_slice(key),
                     (struct slice){value->data, value->size});
    return true;
}

static bool damage(struct kv *state, const char *how, const char *name)
{
    struct kv_batch *batch = kv_batch_new(state);
    struct buf *value = NULL;
    struct key key;
    bool done = find_entry(state, name, &key, &value) &&
                change(state, batch, how, &key, value) &&
                kv_write(state, batch, KV_RELAXED, NULL) == 0 &&
                kv_flush(state, true, NULL) == 0;

    buf_unref(value);
    kv_batch_free(batch);
    return done;
}

int main(int argc, char **argv)
{
    struct kv *state;
    bool done;

    if (argc != 4) {
        (void)fprintf(stderr,
                      "usage: damage FLIP|CUT|DELETE|FORGE STORE NAME\n");
        return 2;
    }
    state = open_state(argv[2]);
    if (state == NULL)
        return 1;
    done = damage(state, argv[1], argv[3]);
    kv_close(state);
    if (!done)
        (void)fprintf(stderr, "damage: nothing was changed\n");
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
