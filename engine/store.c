/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/store.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/founding.h"
#include "engine/keys.h"
#include "engine/kv_rocks.h"
#include "engine/salvage.h"

enum { STORE_PATH_SIZE = 4096, INO_BLOCK = 1 << 24 };

static bool is_ours(const char *name)
{
    static const char *const names[] = {
        ".", "..", "lost+found", "log", "state", "state.new", "state.old"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* A folder with other things in it was given by mistake. */
static int check_dir(const char *path, struct err *e)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    int rc = 0;

    if (dir == NULL)
        return err_set(e, err_from_errno(errno), "%s", strerror(errno));
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        if (!is_ours(entry->d_name))
            rc = err_set(e, ERR_FOREIGN,
                         "there is a '%s' in it, so this is no store",
                         entry->d_name);
    (void)closedir(dir); /* Only read. */
    return rc;
}

static int make_dir(const char *path, struct err *e)
{
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno == EEXIST)
        return check_dir(path, e);
    return err_set(e, err_from_errno(errno), "cannot create it: %s",
                   strerror(errno));
}

static int open_kv(struct kv **ret, const struct store_config *config,
                   enum kv_rocks_flavour flavour, struct err *e)
{
    char path[STORE_PATH_SIZE];
    struct kv_rocks_config rocks = {
        .dir = path,
        .flavour = flavour,
        .create = true,
        .on_fatal = config->on_fatal,
        .on_fatal_context = config->on_fatal_context,
    };
    int size = snprintf(path, sizeof path, "%s/%s", config->dir,
                        flavour == KV_ROCKS_LOG ? "log" : "state");

    if (size < 0 || (size_t)size >= sizeof path)
        return err_set(e, ERR_NAME_TOO_LONG, "the path is too long");
    return kv_rocks_open(ret, &rocks, e);
}

static int read_identity(struct store *store, struct err *e)
{
    struct key key = key_identity();
    struct kv_value value = {0};
    int rc = kv_get(store->log, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = identity_decode(&store->identity,
                         (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc == ERR_VERSION)
        return err_set(e, rc,
                       "its format is newer than this program: update it");
    return rc == 0 ? 0 : err_set(e, rc, "its identity cannot be read");
}

static uint64_t wall_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now); /* Cannot fail. */
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int new_identity(struct store *store, uint64_t node_id, struct err *e)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(e, ERR_IO, "no random numbers");
    store->identity = (struct identity){
        .node_id = node_id != 0 ? node_id : 1,
        .token = founding_token(random, wall_ns()),
    };
    return 0;
}

int store_set_identity(struct store *store, const struct identity *identity,
                       struct err *e)
{
    struct key key = key_identity();
    struct kv_batch *batch = kv_batch_new(store->log);
    struct buf *bytes = identity_encode(identity);
    int rc;

    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    rc = kv_write(store->log, batch, KV_SYNCED, e);
    kv_batch_free(batch);
    buf_unref(bytes);
    if (rc == 0)
        store->identity = *identity;
    return rc;
}

/* A new boot number, and inode numbers to go on with: durable before use. */
static int count_boot(struct store *store, struct err *e)
{
    struct identity identity = store->identity;

    identity.boot++;
    store->ino_next = identity.ino_bound != 0 ? identity.ino_bound : 2;
    identity.ino_bound = store->ino_next + INO_BLOCK;
    return store_set_identity(store, &identity, e);
}

static int identify(struct store *store, const struct store_config *config,
                    struct err *e)
{
    int rc = read_identity(store, e);

    if (rc == ERR_NOT_FOUND)
        rc = new_identity(store, config->node_id, e);
    if (rc != 0)
        return rc;
    if (config->node_id != 0 && config->node_id != store->identity.node_id)
        return err_set(e, ERR_FOREIGN,
                       "it belongs to node %" PRIu64 ", not to node %" PRIu64,
                       store->identity.node_id, config->node_id);
    return count_boot(store, e);
}

/* Only of a node that is part of a cluster, and the right one. */
static int throw_away_damage(struct store *store,
                             const struct store_config *config, struct err *e)
{
    int rc = read_identity(store, e);

    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc != 0)
        return rc;
    if (store->identity.cluster_id == 0 ||
        (config->node_id != 0 && config->node_id != store->identity.node_id))
        return 0;
    return salvage_state(config->dir, store->log, store->identity.node_id,
                         (int64_t)wall_ns(), e);
}

int store_open(struct store *ret, const struct store_config *config,
               struct err *e)
{
    struct store store = {0};
    int rc;

    rc = make_dir(config->dir, e);
    if (rc == 0)
        rc = open_kv(&store.log, config, KV_ROCKS_LOG, e);
    if (rc == 0)
        rc = throw_away_damage(&store, config, e);
    if (rc == 0)
        rc = open_kv(&store.state, config, KV_ROCKS_STATE, e);
    if (rc == 0)
        rc = identify(&store, config, e);
    if (rc != 0) {
        store_close(&store);
        return err_prefix(e, rc, "store '%s'", config->dir);
    }
    *ret = store;
    return 0;
}

void store_close(struct store *store)
{
    kv_close(store->state);
    kv_close(store->log);
    *store = (struct store){0};
}
