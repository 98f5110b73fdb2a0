/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/salvage.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/keys.h"
#include "engine/kv_rocks.h"
#include "engine/record.h"
#include "engine/region_state.h"
#include "raft/base/buf.h"
#include "raft/base/log.h"
#include "raft/raft.h"

enum { PATH_SIZE = 4096, DESCRIPTORS_MAX = 8 };

/* ---- marks ---- */

static uint64_t peer_on(const struct region *region, uint64_t node_id)
{
    for (size_t i = 0; i < region->peer_count; i++)
        if (region->peers[i].node == node_id)
            return region->peers[i].id;
    return 0;
}

static bool has_other_voter(const struct region *region, uint64_t peer)
{
    for (size_t i = 0; i < region->voter_count; i++)
        if (region->voters[i] != peer)
            return true;
    return false;
}

static bool has_key(struct kv *kv, struct key key)
{
    struct kv_value value = {0};
    bool found = kv_get(kv, NULL, key_slice(&key), &value) == 0;

    kv_value_release(&value);
    return found;
}

static bool changes_members(struct slice entry)
{
    const uint8_t *bytes = entry.data; /* see region_log.h */

    return entry.size < 2 || bytes[1] != RAFT_ENTRY_NORMAL;
}

/* Behind what is applied in state/ the log may make this replica the only
 * voter. */
static bool may_have_other_members(struct kv *log, struct kv *state,
                                   uint64_t region)
{
    struct marker marker = {0};
    struct key lower;
    struct key upper = key_log_entry(region, UINT64_MAX);
    struct kv_iter *iter;
    bool found = false;

    (void)region_state_marker(state, NULL, region, &marker); /* 0: from all. */
    lower = key_log_entry(region, marker.index + 1);
    iter = kv_iter_new(log, NULL, key_slice(&lower), key_slice(&upper));
    for (kv_iter_seek(iter, key_slice(&lower)); !found && kv_iter_valid(iter);
         kv_iter_next(iter))
        found = changes_members(kv_iter_value(iter));
    kv_iter_free(iter);
    return found;
}

static int mark_region(struct kv_batch *batch, struct kv *log, struct kv *state,
                       uint64_t region, uint64_t node_id, int64_t now_ns)
{
    struct key key = key_region(region);
    struct key mark = key_damage(region);
    struct kv_value value = {0};
    struct damage damage = {.since_ns = now_ns};
    struct buf *bytes;
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = region_decode(&damage.region,
                           (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc == ERR_NOT_FOUND && (has_key(log, key_log_peer(region)) ||
                                has_key(state, key_tombstone(region))))
        return 0; /* It has no state yet, or no more. */
    if (rc == ERR_NOT_FOUND)
        return ERR_UNAVAILABLE; /* A split is still to be applied again. */
    if (rc != 0)
        return ERR_CORRUPT;
    if (peer_on(&damage.region, node_id) == 0 ||
        !has_other_voter(&damage.region, peer_on(&damage.region, node_id)) ||
        may_have_other_members(log, state, region)) {
        damage_release(&damage);
        return ERR_UNAVAILABLE;
    }
    bytes = damage_encode(&damage);
    kv_batch_put(batch, key_slice(&mark), buf_slice(bytes));
    buf_unref(bytes);
    damage_release(&damage);
    return 0;
}

/* Every region that this node has a log of. */
static int mark_all(struct kv_batch *batch, struct kv *log, struct kv *state,
                    uint64_t node_id, int64_t now_ns)
{
    struct key lower = key_hard_state(0);
    struct key upper = key_hard_state(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(log, NULL, key_slice(&lower), key_slice(&upper));
    size_t count = 0;
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        const uint8_t *key = kv_iter_key(iter).data;
        uint64_t region = be64_get(key + 1);

        count++;
        if (!has_key(log, key_damage(region)))
            rc = mark_region(batch, log, state, region, node_id, now_ns);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc == 0 && count == 0 ? ERR_NOT_FOUND : rc;
}

int salvage_mark(struct kv *log, struct kv *state, uint64_t node_id,
                 int64_t now_ns)
{
    struct kv_batch *batch = kv_batch_new(log);
    int rc = mark_all(batch, log, state, node_id, now_ns);

    if (rc == 0)
        rc = kv_write(log, batch, KV_SYNCED, NULL);
    kv_batch_free(batch);
    return rc;
}

/* ---- tombstones ---- */

int salvage_tombstones(struct kv *from, struct kv *to)
{
    struct key lower = key_tombstone(0);
    struct key upper = key_tombstone(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(from, NULL, key_slice(&lower), key_slice(&upper));
    struct kv_batch *batch = kv_batch_new(to);
    int rc;

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter))
        kv_batch_put(batch, kv_iter_key(iter), kv_iter_value(iter));
    rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    if (rc == 0)
        rc = kv_write(to, batch, KV_SYNCED, NULL);
    kv_batch_free(batch);
    return rc;
}

/* ---- the directory ---- */

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path);
}

static int remove_tree(const char *path, struct err *e)
{
    if (nftw(path, remove_entry, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS) == 0 ||
        errno == ENOENT)
        return 0;
    return err_set(e, err_from_errno(errno), "remove '%s': %s", path,
                   strerror(errno));
}

static int open_state(struct kv **ret, const char *path, bool create)
{
    struct kv_rocks_config config = {
        .dir = path, .flavour = KV_ROCKS_STATE, .create = create};

    return kv_rocks_open(ret, &config, NULL);
}

static int replace_by(const char *path, const char *fresh, struct kv *log,
                      uint64_t node_id, int64_t now_ns)
{
    struct kv *state = NULL;
    struct kv *empty = NULL;
    int rc = open_state(&state, path, false);

    if (rc == 0)
        rc = open_state(&empty, fresh, true);
    if (rc == 0)
        rc = salvage_tombstones(state, empty);
    if (rc == 0)
        rc = salvage_mark(log, state, node_id, now_ns);
    kv_close(empty);
    kv_close(state);
    return rc;
}

static int rename_dir(const char *from, const char *to, struct err *e)
{
    if (rename(from, to) == 0)
        return 0;
    return err_set(e, err_from_errno(errno), "rename '%s': %s", from,
                   strerror(errno));
}

/* A crash between the two renames: the new one is complete. */
static int finish_earlier(const char *path, const char *fresh, const char *old,
                          struct err *e)
{
    int rc = 0;

    if (access(path, F_OK) != 0 && access(fresh, F_OK) == 0)
        rc = rename_dir(fresh, path, e);
    if (rc == 0)
        rc = remove_tree(fresh, e);
    if (rc == 0)
        rc = remove_tree(old, e);
    return rc;
}

int salvage_state(const char *dir, struct kv *log, uint64_t node_id,
                  int64_t now_ns, struct err *e)
{
    char path[PATH_SIZE];
    char fresh[PATH_SIZE + 8];
    char old[PATH_SIZE + 8];
    int rc;

    (void)snprintf(path, sizeof path, "%s/state", dir);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    (void)snprintf(old, sizeof old, "%s.old", path);
    rc = finish_earlier(path, fresh, old, e);
    if (rc != 0 || !kv_rocks_was_damaged(path))
        return rc;
    rc = replace_by(path, fresh, log, node_id, now_ns);
    if (rc != 0) {
        log_line(
            LOG_WARN, "store", "dir=%s has damaged files and is kept: %s", path,
            rc == ERR_UNAVAILABLE ? "other nodes may not have all its regions"
                                  : err_text(rc));
        return remove_tree(fresh, e);
    }
    log_line(LOG_WARN, "store",
             "dir=%s has damaged files and is thrown away: all regions are "
             "rebuilt from other nodes",
             path);
    rc = rename_dir(path, old, e);
    if (rc == 0)
        rc = rename_dir(fresh, path, e);
    return rc == 0 ? remove_tree(old, e) : rc;
}
