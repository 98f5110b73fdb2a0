/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/eventual_damage.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/catalog.h"
#include "engine/eventual_impl.h"
#include "engine/key_path.h"
#include "engine/keys.h"
#include "engine/range.h"

static struct kv *state_of(const struct eventual *eventual)
{
    return eventual->config.env->state;
}

/* ---- the notes ---- */

bool eventual_is_noted(const struct eventual *eventual, uint64_t nsid,
                       struct slice name)
{
    struct key key = key_eventual_damage(nsid, name);
    struct kv_value value = {0};
    int rc = eventual->head.damaged
                 ? kv_get(state_of(eventual), NULL, key_slice(&key), &value)
                 : ERR_NOT_FOUND;

    kv_value_release(&value);
    return rc != ERR_NOT_FOUND; /* Only that it is there counts. */
}

int eventual_visit_damage(struct kv *state, eventual_damage_visit *visit,
                          void *context)
{
    struct key lower = key_eventual_damage(0, slice_of(""));
    struct key upper = key_eventual_damage(UINT64_MAX, slice_of(""));
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice value = kv_iter_value(iter);
        struct slice name;
        uint64_t nsid;

        if (key_parse_eventual_damage(kv_iter_key(iter), &nsid, &name))
            rc = visit(context, nsid, name,
                       value.size == 8 ? (int64_t)be64_get(value.data) : 0);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* What ENV_WORKER is told. */
struct told {
    struct env_task task;
    struct eventual *eventual;
    uint64_t damages;
};

static void tell(struct env_task *task)
{
    struct told *told = container_of(task, struct told, task);
    struct eventual *eventual = told->eventual;

    eventual->damage.is_damaged = true;
    eventual->damage.has_had_all = false;
    eventual->damage.count = told->damages;
    eventual_notice(eventual);
    free(told);
}

static void post_told(struct eventual *eventual)
{
    struct told *told = mem_zalloc(sizeof *told);

    told->eventual = eventual;
    told->damages = eventual->damages;
    told->task.run = tell;
    env_post(eventual->config.env, ENV_WORKER, &told->task);
}

static void put_note(struct kv_batch *batch, const struct eventual *eventual,
                     uint64_t nsid, struct slice name)
{
    struct key key = key_eventual_damage(nsid, name);
    uint8_t bytes[8];

    be64_put(bytes, env_wall_ns(eventual->config.env));
    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, sizeof bytes});
}

/* What came from all other nodes, as after state/ was given up. */
static void forget_peers(struct kv_batch *batch)
{
    struct key lower = key_eventual_peer(0);
    struct key upper = key_eventual_peer(UINT64_MAX);

    kv_batch_delete_range(batch, key_slice(&lower), key_slice(&upper));
}

void eventual_say_damage(const struct eventual *eventual, enum log_level level,
                         uint64_t nsid, struct slice name, const char *what)
{
    struct key key = key_user('v', nsid, name);
    char *path = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&path, &size);

    assert(out != NULL && "out of memory");
    key_path_print(out, state_of(eventual), key_user_part(&key));
    (void)fclose(out);
    log_line(level, "eventual", "%s: %s", what, path);
    free(path);
}

int eventual_note_damage(struct eventual *eventual, uint64_t nsid,
                         struct slice name)
{
    struct env *env = eventual->config.env;
    struct kv_batch *batch;
    int rc;

    if (eventual_is_noted(eventual, nsid, name))
        return 0;
    batch = kv_batch_new(env->state);
    eventual->head.damaged = true;
    eventual->damages++;
    put_note(batch, eventual, nsid, name);
    forget_peers(batch);
    eventual_head_put(batch, &eventual->head);
    rc = kv_write(env->state, batch, KV_RELAXED, NULL);
    kv_batch_free(batch);
    if (rc != 0)
        env_fatal(env, "cannot write what is damaged into state/");
    eventual_say_damage(eventual, LOG_ERROR, nsid, name,
                        "a file cannot be read, and all other nodes are asked "
                        "for everything again");
    if (eventual->is_open)
        post_told(eventual);
    return rc;
}

/* ---- finding ---- */

int eventual_check_entry(struct eventual *eventual, uint64_t nsid,
                         struct slice name)
{
    struct eventual_record record = {0};
    int rc = eventual_get(state_of(eventual), NULL, nsid, name, true, &record);

    eventual_release(&record);
    if (rc == ERR_CORRUPT)
        return eventual_note_damage(eventual, nsid, name);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int check_listed(struct eventual *eventual, uint64_t nsid)
{
    struct key lower = key_user('v', nsid, slice_of(""));
    struct key upper = key_behind_namespace('v', nsid);
    struct kv_iter *iter = kv_iter_new(state_of(eventual), NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice name;

        if (key_parse_user(kv_iter_key(iter), 'v', &nsid, &name))
            rc = eventual_check_entry(eventual, nsid, name);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

/* Where the store does not get at all of them: each name is in the index. */
static int check_indexed(struct eventual *eventual, uint64_t wanted)
{
    struct key lower = key_eventual_change(0);
    struct key upper = key_eventual_change(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(state_of(eventual), NULL,
                                       key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice name;
        uint64_t nsid;

        if (key_parse_changed(kv_iter_value(iter), &nsid, &name) &&
            nsid == wanted)
            rc = eventual_check_entry(eventual, nsid, name);
    }
    kv_iter_free(iter);
    return rc;
}

static int check_count(struct eventual *eventual, uint64_t nsid)
{
    struct eventual_namespace count;
    int rc = eventual_namespace_get(state_of(eventual), NULL, nsid, &count);

    if (rc != ERR_CORRUPT)
        return rc;
    rc = eventual_count_anew(eventual, nsid, &count);
    if (rc != 0)
        return rc;
    eventual_namespace_put(eventual->batch, nsid, &count);
    eventual_digest_forget(eventual);
    return eventual_write(eventual, NULL, &eventual->head);
}

static int has_note(void *context, uint64_t nsid, struct slice name,
                    int64_t since_ns)
{
    (void)name;
    (void)since_ns;
    return nsid == *(const uint64_t *)context ? ERR_EXISTS : 0;
}

/* What is noted there has to come from others first: it may be all that is in
 * the way, and need not be looked for each time that it is met. */
int eventual_check_namespace(struct eventual *eventual, uint64_t nsid)
{
    int rc = check_count(eventual, nsid);

    if (rc != 0 ||
        eventual_visit_damage(state_of(eventual), has_note, &nsid) != 0)
        return rc;
    rc = check_listed(eventual, nsid);
    return rc == ERR_CORRUPT ? check_indexed(eventual, nsid) : rc;
}

/* The name may also be that of a directory, which shows the count of what is
 * in it. */
static int check_name(struct eventual *eventual, uint64_t nsid,
                      struct slice name)
{
    uint64_t directory;
    int rc = catalog_find(state_of(eventual), NULL, nsid, name, &directory);

    if (rc == 0 && modes_find(eventual->config.modes, directory).since != 0)
        rc = check_count(eventual, directory);
    return rc == 0 || rc == ERR_NOT_FOUND
               ? eventual_check_entry(eventual, nsid, name)
               : rc;
}

/* ---- as others ask for it ---- */

struct search {
    struct env_task task;
    struct eventual *eventual;
    uint64_t nsid;
    struct buf *name;
};

static void search_is_over(struct env_task *task)
{
    struct search *search = container_of(task, struct search, task);

    search->eventual->damage.is_searching = false;
    buf_unref(search->name);
    free(search);
}

/* What cannot be looked at is met again. */
static void search_run(struct env_task *task)
{
    struct search *search = container_of(task, struct search, task);
    struct eventual *eventual = search->eventual;

    if (modes_find(eventual->config.modes, search->nsid).since != 0) {
        if (search->name->size == 0)
            (void)eventual_check_namespace(eventual, search->nsid);
        else
            (void)check_name(eventual, search->nsid, buf_slice(search->name));
    }
    task->run = search_is_over;
    env_post(eventual->config.env, ENV_WORKER, task);
}

void eventual_find_damage(struct eventual *eventual, uint64_t nsid,
                          struct slice name)
{
    struct search *search;

    if (eventual->damage.is_searching || eventual->stopped)
        return;
    eventual->damage.is_searching = true;
    search = mem_zalloc(sizeof *search);
    search->eventual = eventual;
    search->nsid = nsid;
    search->name = buf_copy(name.data, name.size);
    search->task.run = search_run;
    eventual_post_owner(eventual, &search->task);
}

/* ---- what it means ---- */

bool eventual_is_damaged(const struct eventual *eventual)
{
    return eventual->damage.is_damaged;
}

bool eventual_has_all(const struct eventual *eventual)
{
    return eventual->whole && !eventual->damage.is_damaged;
}

uint64_t eventual_damages(const struct eventual *eventual)
{
    return eventual->damage.count;
}

void eventual_has_had_all(struct eventual *eventual)
{
    eventual->damage.has_had_all = true;
}
