/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/applier_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/exec.h"
#include "engine/founding.h"
#include "engine/region_state.h"
#include "engine/snapshot.h"

struct applier *applier_new(struct env *env, uint64_t region)
{
    struct applier *applier = mem_zalloc(sizeof *applier);

    applier->env = env;
    applier->region_id = region;
    applier->batch = kv_batch_new(env->state);
    applier->corrupt = true;
    return applier;
}

int applier_open(struct applier **ret, struct env *env, uint64_t region)
{
    struct applier *applier = applier_new(env, region);
    int rc = applier_reload(applier);

    if (rc != 0) {
        applier_free(applier);
        return rc;
    }
    *ret = applier;
    return 0;
}

void applier_free(struct applier *applier)
{
    if (applier == NULL)
        return;
    results_free(applier->results);
    buf_unref(applier->start);
    buf_unref(applier->end);
    kv_batch_free(applier->batch);
    free(applier);
}

/* A batch keeps the room of the largest one. */
void applier_rest(struct applier *applier)
{
    kv_batch_free(applier->batch);
    applier->batch = kv_batch_new(applier->env->state);
}

static struct slice slice_of_buf(const struct buf *b)
{
    return (struct slice){b->data, b->size};
}

void applier_follow(struct applier *applier, const struct region *region)
{
    buf_unref(applier->start);
    buf_unref(applier->end);
    applier->start = buf_copy(region->start.data, region->start.size);
    applier->end = buf_copy(region->end.data, region->end.size);
    applier->range = (struct range){slice_of_buf(applier->start),
                                    slice_of_buf(applier->end)};
    applier->region_version = region->version;
    applier->frozen = region_is_frozen(region);
}

int applier_reload(struct applier *applier)
{
    struct kv *state = applier->env->state;
    struct region region = {0};
    int rc =
        region_state_marker(state, NULL, applier->region_id, &applier->marker);

    if (rc == 0)
        rc = region_state_descriptor(state, NULL, applier->region_id, &region);
    if (rc != 0)
        return rc;
    applier_follow(applier, &region);
    region_release(&region);
    results_free(applier->results);
    applier->results = NULL;
    rc = results_open(&applier->results, state, applier->region_id);
    applier->corrupt = rc != 0;
    return rc;
}

void applier_watch(struct applier *applier,
                   void (*on_check)(void *context, uint64_t index,
                                    const struct command *command),
                   void *context)
{
    applier->on_check = on_check;
    applier->on_check_context = context;
}

const struct marker *applier_marker(const struct applier *applier)
{
    return &applier->marker;
}

/* ---- one entry ---- */

int applier_fail(struct applier *applier, const struct raft_entry *entry,
                 int rc)
{
    char reason[128];

    (void)snprintf(reason, sizeof reason,
                   "region %" PRIu64 ": cannot apply entry %" PRIu64 ": %s",
                   applier->region_id, entry->index, err_text(rc));
    env_fatal(applier->env, reason);
    return rc;
}

int applier_finish(struct applier *applier, const struct raft_entry *entry,
                   uint64_t version)
{
    struct key key = key_marker(applier->region_id);
    struct marker marker = {
        .index = entry->index, .term = entry->term, .version = version};
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = marker_encode(&marker, bytes);
    int rc;

    assert(entry->index == applier->marker.index + 1);
    kv_batch_put(applier->batch, key_slice(&key), (struct slice){bytes, size});
    rc = kv_write(applier->env->state, applier->batch, KV_RELAXED, NULL);
    kv_batch_clear(applier->batch);
    if (rc != 0)
        return applier_fail(applier, entry, rc);
    applier->marker = marker;
    return 0;
}

static uint64_t next_version(const struct applier *applier,
                             const struct command *command)
{
    uint64_t next = applier->marker.version + 1;

    return command->stamp > next ? command->stamp : next;
}

static bool is_of_store(int rc)
{
    return rc == ERR_CORRUPT || rc == ERR_IO || rc == ERR_NO_MEMORY;
}

/* Executes a command that was not answered before. */
static int execute(struct applier *applier, const struct command *command,
                   uint64_t *version, struct buf **ret_result)
{
    struct result result = {0};
    struct exec x = {
        .state = applier->env->state,
        .range = applier->range,
        .command = command,
        .batch = applier->batch,
        .result = &result,
        .version = *version,
    };
    int rc = exec_command(&x);

    *version = x.version;
    if (rc != 0 && !x.keep)
        kv_batch_clear(applier->batch);
    if (rc == ERR_VERSION)
        rc = ERR_CORRUPT; /* Whatever it is, this program did not write it. */
    if (!is_of_store(rc)) {
        *ret_result = result_encode(&result);
        assert(*ret_result != NULL);
        /* Failures too: a second copy must not succeed after the first one
         * was answered. */
        if (command->node != 0)
            results_add(applier->results, command, *ret_result, applier->batch);
        rc = 0;
    }
    result_release(&result);
    return rc;
}

int applier_answer(int status, struct buf **ret_result)
{
    struct result result = {.status = status};

    *ret_result = result_encode(&result);
    return 0;
}

/* What a command changes by name must lie here; the version says so already,
 * unless somebody was mistaken. A frozen region stays as it is. */
static bool is_for_here(const struct applier *applier,
                        const struct command *command)
{
    if (command->region_version != 0 &&
        command->region_version != applier->region_version)
        return false;
    if (applier->frozen)
        return false;
    if (!command_is_on_file(command->op))
        return true;
    return range_has_place(applier->range, command->dir, command->name) &&
           (command->op != COMMAND_RENAME ||
            range_has_place(applier->range, command->to_dir, command->to_name));
}

static int apply_command(struct applier *applier, const struct command *command,
                         uint64_t *version, struct buf **ret_result)
{
    int rc = ERR_NOT_FOUND;

    if (command->node != 0)
        rc = results_find(applier->results, command, ret_result);
    if (rc == ERR_CANCELED)
        return applier_answer(ERR_CANCELED, ret_result);
    if (rc != ERR_NOT_FOUND)
        return rc;
    /* Not remembered: another attempt may fit. */
    if (!is_for_here(applier, command))
        return applier_answer(ERR_EPOCH, ret_result);
    *version = next_version(applier, command);
    return execute(applier, command, version, ret_result);
}

static int apply_decoded(struct applier *applier,
                         const struct raft_entry *entry,
                         const struct command *command, struct buf **ret_result)
{
    uint64_t version = applier->marker.version;
    struct buf *result = NULL;
    int rc = apply_command(applier, command, &version, &result);

    if (rc == ERR_CORRUPT) {
        applier->corrupt = true;
        return rc;
    }
    if (rc != 0)
        return applier_fail(applier, entry, rc);
    rc = applier_finish(applier, entry, version);
    if (rc != 0) {
        buf_unref(result);
        return rc;
    }
    applier_tell_catalog(applier, command, result);
    if (command->op == COMMAND_CHECK || command->op == COMMAND_VERIFY)
        applier->on_check(applier->on_check_context, entry->index, command);
    *ret_result = result;
    return 0;
}

int applier_apply(struct applier *applier, const struct raft_entry *entry,
                  struct buf **ret_result)
{
    struct command command = {0};
    int rc;

    if (applier->corrupt)
        return ERR_CORRUPT;
    if (entry->data == NULL)
        return applier_finish_other(applier, entry);
    rc = command_decode(&command,
                        (struct slice){entry->data->data, entry->data->size});
    if (rc != 0)
        return applier_fail(applier, entry, ERR_PROTOCOL);
    rc = apply_decoded(applier, entry, &command, ret_result);
    command_release(&command);
    return rc;
}

int applier_skip(struct applier *applier, const struct raft_entry *entry,
                 struct buf **ret_result)
{
    assert(applier->corrupt);

    applier->corrupt = false;
    (void)applier_answer(ERR_CORRUPT, ret_result);
    return applier_finish_other(applier, entry);
}

/* ---- a split ---- */

void applier_put(struct applier *applier, struct key key, struct buf *bytes)
{
    kv_batch_put(applier->batch, key_slice(&key),
                 (struct slice){bytes->data, bytes->size});
    buf_unref(bytes);
}

/* The first entry of a new region comes behind a position that no log without
 * this state can have: see founding.h. */
static void put_first_marker(struct applier *applier, uint64_t region)
{
    struct marker marker = {.index = FOUNDING_INDEX,
                            .term = FOUNDING_TERM,
                            .version = applier->marker.version};
    struct key key = key_marker(region);
    uint8_t bytes[MARKER_SIZE_MAX];

    kv_batch_put(applier->batch, key_slice(&key),
                 (struct slice){bytes, marker_encode(&marker, bytes)});
}

/* What has closed or opened the left part holds the right one as well. There
 * the leader of the new region is to find it, whatever becomes of the other. */
static void mark_part(struct applier *applier, const struct range_split *split,
                      const struct namespace_record *part)
{
    struct key key = key_namespace_mark(split->dir, split->right.start);

    if (part->closing.id.node != 0 || part->opening.id.node != 0)
        kv_batch_put(applier->batch, key_slice(&key), (struct slice){NULL, 0});
}

/* What the new region's part of the namespace begins with. */
static int make_part(struct applier *applier, const struct range_split *split,
                     struct buf **ret)
{
    struct key key = key_namespace(split->dir, applier->range.start);
    struct namespace_record record = {0};
    struct kv_value value = {0};
    int rc = kv_get(applier->env->state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = namespace_decode(&record, (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc != 0)
        return rc;
    record.entry_count = 0;
    mark_part(applier, split, &record);
    *ret = namespace_encode(&record);
    namespace_release(&record);
    return 0;
}

/* A namespace that the split cuts in two has a part on either side. The count
 * stays on the left: key_namespace(). */
static int cut_namespace(struct applier *applier,
                         const struct range_split *split)
{
    struct buf *part = NULL;
    int rc;

    if (split->name.size == 0)
        return 0;
    rc = make_part(applier, split, &part);
    if (applier_is_damage(rc) && split->only_replica) {
        part = buf_copy("", 0); /* As unreadable as the other. */
        rc = 0;
    }
    if (rc == 0)
        applier_put(applier, key_user('n', split->dir, split->name), part);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int make_right(struct applier *applier, const struct range_split *split)
{
    uint64_t id = split->right.id;
    int rc = cut_namespace(applier, split);

    if (rc == 0)
        rc = results_copy(applier->env->state, applier->region_id, id,
                          applier->batch);
    if (rc != 0 && !(applier_is_damage(rc) && split->only_replica))
        return rc;
    applier_put(applier, key_region(id), region_encode(&split->right));
    put_first_marker(applier, id);
    return 0;
}

static void drop_right(struct applier *applier, const struct range_split *split)
{
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t count = snapshot_ranges(&split->right, ranges);

    for (size_t i = 0; i < count; i++)
        kv_batch_delete_range(applier->batch, key_slice(&ranges[i].begin),
                              key_slice(&ranges[i].end));
}

static int fill_split(struct applier *applier, const struct range_split *split)
{
    int rc = 0;

    if (split->right_here == SPLIT_KEEP)
        rc = make_right(applier, split);
    else if (split->right_here == SPLIT_DROP)
        drop_right(applier, split);
    if (rc == 0)
        applier_put(applier, key_region(applier->region_id),
                    region_encode(&split->left));
    return rc;
}

int applier_split(struct applier *applier, const struct raft_entry *entry,
                  const struct range_split *split, int status,
                  struct buf **ret_result)
{
    int rc;

    if (applier->corrupt)
        return ERR_CORRUPT;
    if (split != NULL) {
        rc = fill_split(applier, split);
        if (rc != 0) {
            kv_batch_clear(applier->batch);
            applier->corrupt = applier_is_damage(rc);
            return applier->corrupt ? ERR_CORRUPT
                                    : applier_fail(applier, entry, rc);
        }
        applier_follow(applier, &split->left);
    }
    (void)applier_answer(status, ret_result);
    return applier_finish_other(applier, entry);
}

int applier_apply_region(struct applier *applier,
                         const struct raft_entry *entry,
                         const struct buf *region)
{
    struct key key = key_region(applier->region_id);
    struct region changed = {0};
    int rc;

    if (applier->corrupt)
        return ERR_CORRUPT;
    if (region == NULL)
        return applier_finish_other(applier, entry);
    rc = region_decode(&changed, (struct slice){region->data, region->size});
    assert(rc == 0);
    applier_follow(applier, &changed);
    region_release(&changed);
    kv_batch_put(applier->batch, key_slice(&key),
                 (struct slice){region->data, region->size});
    return applier_finish_other(applier, entry);
}
