/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/modes.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/domain.h"
#include "engine/keys.h"
#include "engine/mode_table.h"
#include "engine/node.h"
#include "engine/region_state.h"

struct modes {
    pthread_rwlock_t lock; /* of what follows up to the node */
    struct mode_table table;
    uint64_t version;
    bool is_damaged; /* not all of the catalog could be read */
    uint64_t fence;
    bool is_leaving;
    uint64_t node;
    void (*on_change)(void *context, uint64_t nsid, struct mode before,
                      struct mode mode);
    void *context;
};

struct modes *modes_new(uint64_t node)
{
    struct modes *modes = mem_zalloc(sizeof *modes);

    modes->node = node;
    (void)pthread_rwlock_init(&modes->lock, NULL); /* Cannot fail. */
    return modes;
}

void modes_free(struct modes *modes)
{
    if (modes == NULL)
        return;
    mode_table_release(&modes->table);
    (void)pthread_rwlock_destroy(&modes->lock);
    free(modes);
}

void modes_watch(struct modes *modes,
                 void (*on_change)(void *context, uint64_t nsid,
                                   struct mode before, struct mode mode),
                 void *context)
{
    modes->on_change = on_change;
    modes->context = context;
}

/* ---- changes ---- */

static bool is_same(struct mode a, struct mode b)
{
    return a.state == b.state && a.domain == b.domain && a.since == b.since &&
           a.epoch == b.epoch;
}

/* All that are plainly strong look the same. */
static struct mode shown(struct mode mode)
{
    return mode_is_settled_strong(mode) ? (struct mode){0} : mode;
}

static void keep(struct modes *modes, uint64_t nsid, struct mode mode)
{
    (void)pthread_rwlock_wrlock(&modes->lock);
    mode_table_set(&modes->table, nsid, mode);
    if (mode.state == MODE_FENCED && mode.epoch > modes->fence)
        modes->fence = mode.epoch;
    (void)pthread_rwlock_unlock(&modes->lock);
}

/* What was known stays readable until then. The watcher may ask for modes, so
 * no lock is held around it. False: it looks the same as before. */
static bool change(struct modes *modes, uint64_t nsid, struct mode mode)
{
    struct mode before = shown(mode_table_find(&modes->table, nsid));

    keep(modes, nsid, mode);
    mode = shown(mode);
    if (is_same(before, mode))
        return false;
    if (modes->on_change != NULL)
        modes->on_change(modes->context, nsid, before, mode);
    return true;
}

static void set_version(struct modes *modes, uint64_t version)
{
    (void)pthread_rwlock_wrlock(&modes->lock);
    modes->version = version;
    (void)pthread_rwlock_unlock(&modes->lock);
}

/* A record of a later format is none that this program can go on with. */
static int decode(struct slice bytes, uint64_t *ret_nsid, struct mode *ret)
{
    struct directory directory = {0};
    int rc = directory_decode(&directory, bytes);

    if (rc != 0)
        return rc == ERR_VERSION ? ERR_CORRUPT : rc;
    *ret_nsid = directory.nsid;
    *ret = directory.mode;
    directory_release(&directory);
    return 0;
}

/* ---- this node ---- */

static void set_leaving(struct modes *modes, bool is_leaving, uint64_t epoch)
{
    (void)pthread_rwlock_wrlock(&modes->lock);
    modes->is_leaving = is_leaving;
    if (is_leaving && epoch > modes->fence)
        modes->fence = epoch;
    (void)pthread_rwlock_unlock(&modes->lock);
}

/* A node that is not in the catalog yet is as one that is up. One whose record
 * is damaged accepts nothing; it goes on, as its catalog may be rebuilt. */
static int follow_node(struct modes *modes, struct kv *state)
{
    struct key key = key_node(modes->node);
    struct kv_value value = {0};
    struct node_record record = {.state = NODE_UP};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = node_decode(&record, (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc == ERR_NOT_FOUND)
        rc = 0;
    set_leaving(modes, rc != 0 || record.state != NODE_UP, record.epoch);
    return rc == ERR_CORRUPT || rc == ERR_VERSION ? 0 : rc;
}

/* ---- an entry of region 0 ---- */

static int follow_one(struct modes *modes, struct kv *state, uint64_t nsid,
                      bool *ret_changed)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    struct mode mode = {0};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = decode((struct slice){value.data, value.size}, &nsid, &mode);
    kv_value_release(&value);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    *ret_changed = change(modes, nsid, mode);
    return 0;
}

/* Directories whose modes have changed; what is in them may have followed. */
struct following {
    struct modes *modes;
    struct kv *state;
    struct domain changed;
    int status;
};

static bool follow_child(void *context, struct slice name, uint64_t nsid)
{
    struct following *following = context;
    bool changed = false;

    (void)name;
    following->status =
        follow_one(following->modes, following->state, nsid, &changed);
    if (changed)
        domain_add(&following->changed, nsid);
    return following->status == 0;
}

static int follow_children(struct following *following, uint64_t nsid)
{
    const struct slice first = {NULL, 0};
    int rc =
        catalog_visit(following->state, nsid, first, follow_child, following);

    return rc == 0 ? following->status : rc;
}

static int follow_directory(struct modes *modes, struct kv *state,
                            uint64_t nsid)
{
    struct following following = {.modes = modes, .state = state};
    bool changed = false;
    int rc = follow_one(modes, state, nsid, &changed);

    if (rc == 0 && changed)
        rc = follow_children(&following, nsid);
    for (size_t i = 0; rc == 0 && i < following.changed.count; i++)
        rc = follow_children(&following, following.changed.nsids[i]);
    domain_release(&following.changed);
    return rc;
}

int modes_follow(struct modes *modes, struct kv *state, uint64_t nsid,
                 uint64_t version)
{
    int rc = nsid != 0 ? follow_directory(modes, state, nsid)
                       : follow_node(modes, state);

    if (rc != 0)
        return rc;
    set_version(modes, version);
    return 0;
}

/* ---- all of them ---- */

/* Of a damaged catalog what can be read counts. */
static int load_directories(struct modes *modes, struct kv *state,
                            struct domain *seen)
{
    struct key lower = key_directory(0);
    struct key upper = key_directory(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    int status = 0;
    int rc;

    for (kv_iter_seek(iter, key_slice(&lower)); kv_iter_valid(iter);
         kv_iter_next(iter)) {
        struct mode mode = {0};
        uint64_t nsid = 0;

        rc = decode(kv_iter_value(iter), &nsid, &mode);
        if (rc == 0) {
            (void)change(modes, nsid, mode);
            domain_add(seen, nsid);
        } else {
            status = rc;
        }
    }
    rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc != 0 ? rc : status;
}

/* Those that were not seen are gone. */
static void drop_others(struct modes *modes, struct domain *seen)
{
    uint64_t nsid = 0;
    struct mode mode;

    domain_sort(seen); /* A damaged record may not be where it says. */
    for (; mode_table_next(&modes->table, nsid, &nsid, &mode); nsid++)
        if (domain_find(seen, nsid) == SIZE_MAX)
            (void)change(modes, nsid, (struct mode){0});
}

static void set_damaged(struct modes *modes, bool is_damaged)
{
    (void)pthread_rwlock_wrlock(&modes->lock);
    modes->is_damaged = is_damaged;
    (void)pthread_rwlock_unlock(&modes->lock);
}

void modes_distrust(struct modes *modes)
{
    set_damaged(modes, true);
}

int modes_load(struct modes *modes, struct kv *state)
{
    struct marker marker = {0};
    struct domain seen = {.count = 0};
    int rc = region_state_marker(state, NULL, REGION_PLACEMENT, &marker);
    int node_rc;

    set_damaged(modes, true);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc == ERR_VERSION ? ERR_CORRUPT : rc;
    rc = load_directories(modes, state, &seen);
    node_rc = follow_node(modes, state);
    if (rc == 0)
        rc = node_rc;
    set_damaged(modes, rc != 0);
    if (rc == 0)
        drop_others(modes, &seen);
    domain_release(&seen);
    set_version(modes, marker.version);
    return rc;
}

/* ---- questions ---- */

struct mode modes_find(struct modes *modes, uint64_t nsid)
{
    struct mode mode;

    (void)pthread_rwlock_rdlock(&modes->lock);
    mode = mode_table_find(&modes->table, nsid);
    (void)pthread_rwlock_unlock(&modes->lock);
    return shown(mode);
}

uint64_t modes_version(struct modes *modes)
{
    uint64_t version;

    (void)pthread_rwlock_rdlock(&modes->lock);
    version = modes->is_damaged ? 0 : modes->version;
    (void)pthread_rwlock_unlock(&modes->lock);
    return version;
}

uint64_t modes_fence(struct modes *modes)
{
    uint64_t fence;

    (void)pthread_rwlock_rdlock(&modes->lock);
    fence = modes->fence;
    (void)pthread_rwlock_unlock(&modes->lock);
    return fence;
}

bool modes_is_leaving(struct modes *modes)
{
    bool is_leaving;

    (void)pthread_rwlock_rdlock(&modes->lock);
    is_leaving = modes->is_leaving;
    (void)pthread_rwlock_unlock(&modes->lock);
    return is_leaving;
}

bool modes_any(struct modes *modes)
{
    bool any;

    (void)pthread_rwlock_rdlock(&modes->lock);
    any = mode_table_any(&modes->table);
    (void)pthread_rwlock_unlock(&modes->lock);
    return any;
}

bool modes_any_filling(struct modes *modes)
{
    bool any;

    (void)pthread_rwlock_rdlock(&modes->lock);
    any = modes->table.filling_count > 0;
    (void)pthread_rwlock_unlock(&modes->lock);
    return any;
}

/* ---- one after the other ---- */

static bool find_next(struct modes *modes, uint64_t nsid_min,
                      bool (*is_wanted)(uint64_t nsid, struct mode mode),
                      uint64_t *ret_nsid, struct mode *ret)
{
    uint64_t at = nsid_min;
    bool found = false;

    (void)pthread_rwlock_rdlock(&modes->lock);
    for (; !found && mode_table_next(&modes->table, at, &at, ret); at++) {
        found = is_wanted(at, *ret);
        *ret_nsid = at;
    }
    (void)pthread_rwlock_unlock(&modes->lock);
    return found;
}

static bool is_not_strong(uint64_t nsid, struct mode mode)
{
    (void)nsid;
    return !mode_is_settled_strong(mode);
}

bool modes_next(struct modes *modes, uint64_t nsid_min, uint64_t *ret_nsid,
                struct mode *ret)
{
    return find_next(modes, nsid_min, is_not_strong, ret_nsid, ret);
}

static bool is_own(uint64_t nsid, struct mode mode)
{
    return mode.domain == nsid;
}

bool modes_next_own(struct modes *modes, uint64_t nsid_min, uint64_t *ret_nsid,
                    struct mode *ret)
{
    return find_next(modes, nsid_min, is_own, ret_nsid, ret);
}

bool modes_any_before(struct modes *modes, uint64_t epoch)
{
    uint64_t nsid = 0;
    struct mode mode;
    bool any;

    (void)pthread_rwlock_rdlock(&modes->lock);
    any = modes->is_damaged || modes->version < epoch;
    for (; !any && mode_table_next(&modes->table, nsid, &nsid, &mode); nsid++)
        any = is_not_strong(nsid, mode) && mode.since < epoch;
    (void)pthread_rwlock_unlock(&modes->lock);
    return any;
}
