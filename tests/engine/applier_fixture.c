/* SPDX-License-Identifier: Apache-2.0 */

#include "applier_fixture.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "engine/region_state.h"
#include "tests/engine/kv_helpers.h"

static struct applier *open_applier(struct applier_fixture *f, uint64_t region)
{
    struct applier *applier = NULL;

    assert_int_equal(applier_open(&applier, &f->fake.env, region), 0);
    return applier;
}

void put_region(struct applier_fixture *f, const struct region *region,
                const struct marker *marker)
{
    struct buf *bytes = region_encode(region);
    uint8_t small[MARKER_SIZE_MAX];

    put_record(f->exec->state, key_region(region->id), buf_slice(bytes));
    put_record(f->exec->state, key_marker(region->id),
               (struct slice){small, marker_encode(marker, small)});
    buf_unref(bytes);
}

int setup_applier(void **state)
{
    const struct region whole = {.id = LEFT,
                                 .conf_ver = 2,
                                 .version = 4,
                                 .peers = {{3, 1, PEER_VOTER}},
                                 .peer_count = 1,
                                 .voters = {3},
                                 .voter_count = 1,
                                 .peer_max = 3};
    struct applier_fixture *f = mem_zalloc(sizeof *f);
    void *exec = NULL;

    (void)setup_exec(&exec);
    f->exec = exec;
    f->dir = make_dir(f->exec, NSID_ROOT, "d");
    for (const char *name = "a\0c\0e\0g\0"; *name != '\0'; name += 2)
        assert_int_equal(create(f->exec, f->dir, name), 0);
    fake_env_init(&f->fake, NULL, f->exec->state);
    put_region(f, &whole, &(struct marker){INDEX, TERM, STAMP});
    f->region = region_copy(&whole);
    f->index = INDEX;
    f->applier = open_applier(f, LEFT);
    *state = f;
    return 0;
}

int teardown_applier(void **state)
{
    struct applier_fixture *f = *state;

    assert_int_equal(f->fake.fatal_count, 0);
    applier_free(f->applier);
    region_release(&f->region);
    result_release(&f->exec->result);
    kv_close(f->exec->state);
    free(f->exec);
    free(f);
    return 0;
}

void go_to(struct applier_fixture *f, uint64_t region)
{
    applier_free(f->applier);
    region_release(&f->region);
    f->applier = open_applier(f, region);
    f->index = applier_marker(f->applier)->index;
    assert_int_equal(
        region_state_descriptor(f->exec->state, NULL, region, &f->region), 0);
}

struct range_split plan_split(struct applier_fixture *f, uint64_t new_region,
                              uint64_t dir, const char *name)
{
    const struct command command = {.op = COMMAND_SPLIT,
                                    .region_version = f->region.version,
                                    .region_conf_ver = f->region.conf_ver,
                                    .dir = dir,
                                    .name = slice_of(name),
                                    .new_region = new_region};
    struct range_split split = {.dir = dir, .name = command.name};

    region_split(&f->region, &command, &split.left, &split.right);
    return split;
}

void split_as(struct applier_fixture *f, uint64_t new_region, uint64_t dir,
              const char *name, enum split_side right_here)
{
    struct range_split split = plan_split(f, new_region, dir, name);
    struct raft_entry entry = {.term = TERM, .index = ++f->index};
    struct buf *result = NULL;

    split.right_here = right_here;
    assert_int_equal(applier_split(f->applier, &entry, &split, 0, &result), 0);
    assert_int_equal(status_of(result), 0);
    region_release(&split.right);
    region_release(&f->region);
    f->region = split.left;
}

void split(struct applier_fixture *f, uint64_t dir, const char *name)
{
    split_as(f, RIGHT, dir, name, SPLIT_KEEP);
}

struct command create_at(uint64_t version, uint64_t sequence, uint64_t dir,
                         const char *name)
{
    return (struct command){.op = COMMAND_CREATE,
                            .node = NODE,
                            .boot = 1,
                            .sequence = sequence,
                            .lowest = 1,
                            .region_version = version,
                            .dir = dir,
                            .name = slice_of(name),
                            .ino = 900 + sequence,
                            .flags = REQUEST_EXCLUSIVE,
                            .set = {.mode = S_IFREG | 0644},
                            .value_size_max = 1024};
}

int apply(struct applier_fixture *f, struct command command)
{
    struct raft_entry entry = {
        .term = TERM, .index = ++f->index, .data = command_encode(&command)};
    struct buf *bytes = NULL;

    assert_int_equal(applier_apply(f->applier, &entry, &bytes), 0);
    buf_unref(entry.data);
    return status_of(bytes);
}

int status_of(struct buf *bytes)
{
    struct result result = {0};
    int status;

    assert_int_equal(result_decode(&result, buf_slice(bytes)), 0);
    status = result.status;
    result_release(&result);
    buf_unref(bytes);
    return status;
}

struct namespace_record part_at(struct applier_fixture *f, uint64_t dir,
                                const char *name)
{
    struct key key = key_user('n', dir, slice_of(name));
    struct namespace_record record = {0};
    struct namespace_record numbers;
    struct kv_value value = {0};

    assert_int_equal(kv_get(f->exec->state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        namespace_decode(&record, (struct slice){value.data, value.size}), 0);
    kv_value_release(&value);
    numbers = record;
    namespace_release(&record);
    return numbers;
}
