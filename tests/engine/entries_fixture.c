/* SPDX-License-Identifier: Apache-2.0 */

#include "entries_fixture.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "tests/sim/kv_mem.h"

enum { REGION = 1, VALUE_SIZE_MAX = 1024 * 1024 };

static struct applier *open_applier(struct fixture *f)
{
    struct applier *applier = NULL;

    assert_int_equal(applier_open(&applier, &f->fake.env, REGION), 0);
    return applier;
}

static void put_marker(struct kv *state)
{
    struct kv_batch *batch = kv_batch_new(state);
    struct marker marker = {.index = 5, .term = 5};
    struct key key = key_marker(REGION);
    uint8_t bytes[MARKER_SIZE_MAX];

    struct region region = {.id = REGION, .conf_ver = 1, .version = 1};
    struct key region_key = key_region(REGION);
    struct buf *record = region_encode(&region);

    kv_batch_put(batch, key_slice(&key),
                 (struct slice){bytes, marker_encode(&marker, bytes)});
    kv_batch_put(batch, key_slice(&region_key), buf_slice(record));
    buf_unref(record);
    assert_int_equal(kv_write(state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    kv_mem_sync(state, kv_mem_unsynced_count(state));
}

int setup_entries(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct kv *kv = exec_state_new();

    put_marker(kv);
    fake_env_init(&f->fake, NULL, kv);
    f->index = 5;
    f->applier = open_applier(f);
    *state = f;
    return 0;
}

int teardown_entries(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->fake.fatal_count, 0);
    result_release(&f->result);
    buf_unref(f->bytes);
    applier_free(f->applier);
    kv_close(f->fake.env.state);
    free(f);
    return 0;
}

int apply(struct fixture *f, const struct command *command)
{
    struct raft_entry entry = {
        .term = 5, .index = ++f->index, .data = command_encode(command)};
    struct buf *bytes = NULL;

    assert_int_equal(applier_apply(f->applier, &entry, &bytes), 0);
    assert_int_equal(applier_marker(f->applier)->index, f->index);
    buf_unref(entry.data);
    result_release(&f->result);
    buf_unref(f->bytes);
    f->bytes = bytes;
    assert_int_equal(result_decode(&f->result, buf_slice(bytes)), 0);
    return f->result.status;
}

struct command command(enum command_op op, uint64_t sequence, const char *name)
{
    return (struct command){.op = op,
                            .node = NODE,
                            .boot = 1,
                            .sequence = sequence,
                            .lowest = 1,
                            .stamp = 1,
                            .now_ns = 1000,
                            .dir = NSID_ROOT,
                            .name = slice_of(name),
                            .ino = 100,
                            .set = {.mode = S_IFREG | 0644},
                            .value_size_max = VALUE_SIZE_MAX};
}

int create_file(struct fixture *f, uint64_t sequence, const char *name)
{
    struct command c = command(COMMAND_CREATE, sequence, name);

    c.flags = REQUEST_EXCLUSIVE;
    return apply(f, &c);
}

void reload(struct fixture *f)
{
    applier_free(f->applier);
    f->applier = open_applier(f);
}
