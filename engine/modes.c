/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/modes.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/domain.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/region_state.h"

/* uthash's default function has unmarked fall-throughs. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

/* A namespace that is not strong, or is being filled. */
struct known {
    uint64_t nsid;
    struct mode mode;
    bool seen; /* by the modes_load() that runs */
    UT_hash_handle hh;
};

struct modes {
    pthread_rwlock_t lock; /* of what follows up to the node */
    struct known *known;
    uint64_t *order; /* all of their nsids, ascending */
    size_t order_count;
    size_t order_max;
    size_t filling_count;
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

/* Where in the order the first one of at least this nsid is. */
static size_t place_of(const struct modes *modes, uint64_t nsid)
{
    size_t low = 0;
    size_t high = modes->order_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (modes->order[middle] < nsid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put_in_order(struct modes *modes, uint64_t nsid)
{
    size_t at = place_of(modes, nsid);
    size_t behind = modes->order_count - at;

    modes->order = mem_grow(modes->order, sizeof *modes->order,
                            &modes->order_max, modes->order_count + 1);
    memmove(modes->order + at + 1, modes->order + at,
            behind * sizeof *modes->order);
    modes->order[at] = nsid;
    modes->order_count++;
}

static void take_out_of_order(struct modes *modes, uint64_t nsid)
{
    size_t at = place_of(modes, nsid);

    assert(at < modes->order_count);
    assert(modes->order[at] == nsid);

    modes->order_count--;
    memmove(modes->order + at, modes->order + at + 1,
            (modes->order_count - at) * sizeof *modes->order);
}

static void forget(struct modes *modes, struct known *known)
{
    take_out_of_order(modes, known->nsid);
    HASH_DEL(modes->known, known);
    free(known);
}

void modes_free(struct modes *modes)
{
    struct known *known;
    struct known *next;

    if (modes == NULL)
        return;
    HASH_ITER (hh, modes->known, known, next)
        forget(modes, known);
    free(modes->order);
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

static struct known *find(const struct modes *modes, uint64_t nsid)
{
    struct known *known;

    HASH_FIND(hh, modes->known, &nsid, sizeof nsid, known);
    return known;
}

static bool is_plain(struct mode mode)
{
    return mode.state == MODE_STRONG && !mode_is_filling(mode);
}

static void keep(struct modes *modes, uint64_t nsid, struct mode mode)
{
    struct known *known = find(modes, nsid);

    if (known != NULL && mode_is_filling(known->mode))
        modes->filling_count--;
    if (mode_is_filling(mode))
        modes->filling_count++;
    if (is_plain(mode)) {
        if (known != NULL)
            forget(modes, known);
        return;
    }
    if (known == NULL) {
        known = mem_zalloc(sizeof *known);
        known->nsid = nsid;
        HASH_ADD(hh, modes->known, nsid, sizeof known->nsid, known);
        put_in_order(modes, nsid);
    }
    known->mode = mode;
    if (mode.state == MODE_FENCED && mode.epoch > modes->fence)
        modes->fence = mode.epoch;
}

/* What was known stays readable until then. The watcher may ask for modes, so
 * no lock is held around it. False: it is the same as before. */
static bool change(struct modes *modes, uint64_t nsid, struct mode mode)
{
    struct known *known = find(modes, nsid);
    struct mode before = {0};

    if (known != NULL)
        before = known->mode;
    if (is_plain(mode))
        mode = (struct mode){0};
    if (is_same(before, mode))
        return false;
    (void)pthread_rwlock_wrlock(&modes->lock);
    keep(modes, nsid, mode);
    (void)pthread_rwlock_unlock(&modes->lock);
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
static int load_directories(struct modes *modes, struct kv *state)
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
        if (rc != 0)
            status = rc;
        if (is_plain(mode))
            continue;
        (void)change(modes, nsid, mode);
        find(modes, nsid)->seen = true;
    }
    rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc != 0 ? rc : status;
}

/* Those that were not seen are strong now, or gone. */
static void drop_others(struct modes *modes)
{
    struct known *known;
    struct known *next;

    HASH_ITER (hh, modes->known, known, next) {
        if (known->seen)
            known->seen = false;
        else
            (void)change(modes, known->nsid, (struct mode){0});
    }
}

static void clear_seen(struct modes *modes)
{
    struct known *known;
    struct known *next;

    HASH_ITER (hh, modes->known, known, next)
        known->seen = false;
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
    int rc = region_state_marker(state, NULL, REGION_PLACEMENT, &marker);
    int node_rc;

    set_damaged(modes, true);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc == ERR_VERSION ? ERR_CORRUPT : rc;
    rc = load_directories(modes, state);
    node_rc = follow_node(modes, state);
    if (rc == 0)
        rc = node_rc;
    set_damaged(modes, rc != 0);
    if (rc == 0)
        drop_others(modes);
    else
        clear_seen(modes);
    set_version(modes, marker.version);
    return rc;
}

/* ---- questions ---- */

struct mode modes_find(struct modes *modes, uint64_t nsid)
{
    struct mode mode = {0};
    const struct known *known;

    (void)pthread_rwlock_rdlock(&modes->lock);
    known = find(modes, nsid);
    if (known != NULL)
        mode = known->mode;
    (void)pthread_rwlock_unlock(&modes->lock);
    return mode;
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

bool modes_any_before(struct modes *modes, uint64_t epoch)
{
    struct known *known;
    struct known *next;
    bool any;

    (void)pthread_rwlock_rdlock(&modes->lock);
    any = modes->is_damaged || modes->version < epoch;
    HASH_ITER (hh, modes->known, known, next)
        any = any || known->mode.since < epoch;
    (void)pthread_rwlock_unlock(&modes->lock);
    return any;
}

bool modes_any(struct modes *modes)
{
    bool any;

    (void)pthread_rwlock_rdlock(&modes->lock);
    any = modes->known != NULL;
    (void)pthread_rwlock_unlock(&modes->lock);
    return any;
}

bool modes_any_filling(struct modes *modes)
{
    bool any;

    (void)pthread_rwlock_rdlock(&modes->lock);
    any = modes->filling_count > 0;
    (void)pthread_rwlock_unlock(&modes->lock);
    return any;
}

bool modes_next(struct modes *modes, uint64_t nsid_min, uint64_t *ret_nsid,
                struct mode *ret)
{
    size_t place;
    bool found;

    (void)pthread_rwlock_rdlock(&modes->lock);
    place = place_of(modes, nsid_min);
    found = place < modes->order_count;
    if (found) {
        *ret_nsid = modes->order[place];
        *ret = find(modes, *ret_nsid)->mode;
    }
    (void)pthread_rwlock_unlock(&modes->lock);
    return found;
}
