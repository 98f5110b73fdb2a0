/* SPDX-License-Identifier: Apache-2.0 */

/* Commands of region 0 on eventual directories. Names of directories below one
 * are in the catalog alone, so one entry of region 0 is all that it takes to
 * make, remove or move one; and its mode is in the catalog anyway.
 *
 * Who sends them goes by what its node knows. When that is not so (any more)
 * they do nothing but answer ERR_ABORTED: to be looked at again. */

#include "engine/catalog.h"
#include "engine/exec.h"

/* ---- modes ---- */

static bool has_own_mode(const struct directory *directory)
{
    return directory->mode.domain == directory->nsid;
}

static int get_it(struct exec *x, struct directory *ret)
{
    int rc = exec_get_directory(x, nsid_of_ino(x->command->ino), ret);

    return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
}

/* With what is below it. */
static int put_mode(struct exec *x, struct directory *directory,
                    struct mode mode)
{
    const struct slice nothing = {NULL, 0};
    struct domain below;
    int rc = exec_change_mode(x, directory, mode, nothing, &below);

    domain_release(&below);
    if (rc != 0)
        return rc;
    exec_put_directory(x, directory);
    x->result->first_id = mode.epoch;
    return 0;
}

/* From eventual to fenced and back, or from being filled to plainly strong. */
static bool may_become(struct mode mode, enum mode_state state)
{
    if (mode.state == MODE_STRONG)
        return mode_is_filling(mode) && state == MODE_STRONG;
    return state != MODE_STRONG && mode.state != state;
}

static struct mode become(const struct directory *directory,
                          enum mode_state state, uint64_t version)
{
    struct mode mode = directory->mode;

    if (state == MODE_STRONG)
        return (struct mode){.state = MODE_STRONG,
                             .domain = directory->was_own ? directory->nsid : 0,
                             .epoch = version};
    mode.state = state;
    mode.epoch = version;
    return mode;
}

/* What one entry has fenced, or begun to fill, has one epoch, and goes back
 * with the topmost of it: a directory is not otherwise than the one that it has
 * its mode from. */
static int check_top(struct exec *x, const struct directory *directory)
{
    struct directory parent = {0};
    int rc;

    if (has_own_mode(directory) || directory->mode.state == MODE_EVENTUAL)
        return 0;
    rc = exec_get_directory(x, directory->parent, &parent);
    if (rc == 0 && parent.mode.epoch == directory->mode.epoch)
        rc = ERR_ABORTED;
    directory_release(&parent);
    return rc;
}

int exec_dir_mode(struct exec *x)
{
    const struct command *c = x->command;
    enum mode_state state = (enum mode_state)c->size;
    struct directory directory = {0};
    int rc;

    if (c->size > MODE_FENCED)
        return ERR_INVALID;
    rc = get_it(x, &directory);
    if (rc != 0)
        return rc;
    if (directory.mode.epoch != c->offset || !may_become(directory.mode, state))
        rc = ERR_ABORTED;
    else
        rc = check_top(x, &directory);
    if (rc == 0)
        rc = put_mode(x, &directory, become(&directory, state, x->version));
    directory_release(&directory);
    return rc;
}

/* One that is strong by itself does not follow the one above, and waits until
 * that is what it is to be. */
static int check_fillable(struct exec *x, const struct directory *directory)
{
    struct directory parent = {0};
    int rc;

    if (directory->nsid == NSID_ROOT || directory->mode.state != MODE_STRONG ||
        mode_is_filling(directory->mode))
        return ERR_ABORTED;
    rc = exec_get_directory(x, directory->parent, &parent);
    if (rc == 0 &&
        (mode_is_filling(parent.mode) || parent.mode.state == MODE_FENCED))
        rc = ERR_ABORTED;
    directory_release(&parent);
    return rc;
}

int exec_dir_fill(struct exec *x)
{
    struct directory directory = {0};
    struct mode mode = {.since = x->version, .epoch = x->version};
    int rc = get_it(x, &directory);

    if (rc != 0)
        return rc;
    rc = check_fillable(x, &directory);
    if (rc == 0) {
        mode.domain = directory.nsid;
        directory.was_own = has_own_mode(&directory);
        rc = put_mode(x, &directory, mode);
    }
    directory_release(&directory);
    return rc;
}

/* ---- parents ---- */

/* Of a name that comes or goes: eventual, or why not. */
static int get_parent(struct exec *x, uint64_t nsid, struct directory *ret)
{
    int rc = exec_get_directory(x, nsid, ret);

    if (rc == 0 && ret->mode.state == MODE_STRONG)
        rc = ERR_ABORTED;
    else if (rc == 0 && ret->mode.state == MODE_FENCED)
        rc = ERR_BUSY;
    return rc;
}

/* ---- modes of their own ---- */

/* The one whose mode it has from here on. */
static int get_domain(struct exec *x, const struct directory *directory,
                      uint64_t *ret)
{
    struct directory parent = {0};
    int rc = 0;

    if (x->command->size != 0)
        parent.mode.domain = directory->nsid;
    else
        rc = get_parent(x, directory->parent, &parent);
    *ret = parent.mode.domain;
    directory_release(&parent);
    return rc;
}

/* Whoever has its mode from it follows. */
static int change_domain(struct exec *x, struct directory *directory)
{
    struct mode mode = directory->mode;
    int rc = get_domain(x, directory, &mode.domain);

    if (rc != 0)
        return rc;
    mode.epoch = x->version;
    directory->attr.ctime_ns = exec_now(x, directory->attr.ctime_ns);
    directory->attr.version = x->version;
    return put_mode(x, directory, mode);
}

/* What is below a strong one does not show from where it has its mode. */
static int own_strong(struct exec *x, struct directory *directory)
{
    struct directory parent = {0};
    int rc = exec_get_directory(x, directory->parent, &parent);

    if (rc == 0 && mode_is_filling(parent.mode))
        rc = ERR_BUSY;
    else if (rc == 0 && parent.mode.state != MODE_STRONG)
        rc = ERR_ABORTED;
    directory_release(&parent);
    if (rc != 0)
        return rc;
    directory->mode =
        (struct mode){.state = MODE_STRONG,
                      .domain = x->command->size != 0 ? directory->nsid : 0,
                      .epoch = x->version};
    directory->attr.ctime_ns = exec_now(x, directory->attr.ctime_ns);
    directory->attr.version = x->version;
    exec_put_directory(x, directory);
    x->result->first_id = x->version;
    return 0;
}

static bool may_own(const struct exec *x, const struct directory *directory)
{
    bool takes = x->command->size != 0;

    return directory->nsid != NSID_ROOT &&
           directory->mode.epoch == x->command->offset &&
           has_own_mode(directory) != takes &&
           directory->mode.state != MODE_FENCED &&
           !mode_is_filling(directory->mode);
}

int exec_dir_own(struct exec *x)
{
    struct directory directory = {0};
    int rc = get_it(x, &directory);

    if (rc != 0)
        return rc;
    if (!may_own(x, &directory))
        rc = ERR_ABORTED;
    else if (directory.mode.state == MODE_STRONG)
        rc = own_strong(x, &directory);
    else
        rc = change_domain(x, &directory);
    directory_release(&directory);
    return rc;
}

/* ---- names below ---- */

/* A directory in it has come or gone. */
void exec_touch_directory(struct exec *x, struct directory *parent)
{
    parent->attr.mtime_ns = exec_now(x, parent->attr.mtime_ns);
    parent->attr.ctime_ns = exec_now(x, parent->attr.ctime_ns);
    parent->attr.version = x->version;
    parent->mtime_version = x->version;
    exec_put_directory(x, parent);
}

/* ---- mkdir ---- */

static int check_free(struct exec *x, uint64_t parent, struct slice name)
{
    uint64_t nsid;
    int rc = catalog_find(x->state, NULL, parent, name, &nsid);

    if (rc == 0)
        return ERR_EXISTS;
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void add(struct exec *x, const struct directory *parent, uint64_t nsid)
{
    const struct command *c = x->command;
    struct directory directory = {.nsid = nsid,
                                  .parent = parent->nsid,
                                  .name = c->name,
                                  .attr = c->set,
                                  .mode = parent->mode};
    struct attr *attr = &directory.attr;

    /* It was not there before: who has not applied this takes nothing in it. */
    directory.mode.since = x->version;
    directory.mode.epoch = x->version;
    attr->ino = ino_of_nsid(nsid);
    attr->size = 0;
    attr->entry_count = 0;
    attr->version = x->version;
    attr->atime_ns = attr->mtime_ns = attr->ctime_ns = c->now_ns;
    exec_put_directory(x, &directory);
    exec_put_child(x, &directory);
    x->result->attr = *attr;
}

int exec_dir_add(struct exec *x)
{
    const struct command *c = x->command;
    struct directory parent = {0};
    uint64_t nsid = 0;
    int rc = get_parent(x, c->dir, &parent);

    if (rc == 0)
        rc = check_free(x, c->dir, c->name);
    if (rc == 0)
        rc = exec_take_ids(x, key_id_allocator(), 1, &nsid);
    if (rc == 0) {
        add(x, &parent, nsid);
        exec_touch_directory(x, &parent);
    }
    directory_release(&parent);
    return rc;
}

/* ---- rmdir ---- */

static int check_removable(struct exec *x, uint64_t nsid)
{
    struct directory directory = {0};
    bool has_children = false;
    int rc = exec_get_directory(x, nsid, &directory);

    if (rc == 0 && (directory.mode.state != MODE_FENCED ||
                    directory.mode.epoch != x->command->offset))
        rc = ERR_ABORTED;
    directory_release(&directory);
    if (rc == 0)
        rc = catalog_has_child(x->state, nsid, &has_children);
    return rc == 0 && has_children ? ERR_NOT_EMPTY : rc;
}

int exec_dir_remove(struct exec *x)
{
    const struct command *c = x->command;
    struct directory parent = {0};
    struct key key;
    uint64_t nsid = 0;
    int rc = get_parent(x, c->dir, &parent);

    if (rc == 0)
        rc = catalog_find(x->state, NULL, c->dir, c->name, &nsid);
    if (rc == 0 && nsid != nsid_of_ino(c->ino))
        rc = ERR_STALE;
    if (rc == 0)
        rc = check_removable(x, nsid);
    if (rc == 0) {
        key = key_directory(nsid);
        kv_batch_delete(x->batch, key_slice(&key));
        exec_delete_child(x, c->dir, c->name);
        exec_touch_directory(x, &parent);
    }
    directory_release(&parent);
    return rc;
}

/* ---- rename ---- */

/* All that takes part in it. */
struct move {
    struct directory from;
    struct directory to; /* not read when it is the same */
    struct directory directory;
    struct directory other; /* only in an exchange */
};

static void move_release(struct move *move)
{
    directory_release(&move->from);
    directory_release(&move->to);
    directory_release(&move->directory);
    directory_release(&move->other);
}

static bool exchanges(const struct exec *x)
{
    return (x->command->flags & REQUEST_EXCHANGE) != 0;
}

static bool is_same_parent(const struct exec *x)
{
    return x->command->dir == x->command->to_dir;
}

/* Between an eventual parent and a strong one nothing moves. */
static int get_parents(struct exec *x, struct move *move)
{
    const struct command *c = x->command;
    int from = get_parent(x, c->dir, &move->from);
    int to;

    if (is_same_parent(x) || (from != 0 && from != ERR_ABORTED))
        return from;
    to = get_parent(x, c->to_dir, &move->to);
    if (to != 0 && to != ERR_ABORTED)
        return to;
    return from == to ? from : ERR_CROSS_DEVICE;
}

/* What has no mode of its own has that of where it is. */
static bool may_leave(const struct exec *x, const struct move *move,
                      const struct directory *directory)
{
    return is_same_parent(x) || has_own_mode(directory) ||
           move->from.mode.domain == move->to.mode.domain;
}

static int get_end(struct exec *x, const struct move *move, uint64_t parent,
                   struct slice name, struct directory *ret)
{
    uint64_t nsid;
    int rc = catalog_find(x->state, NULL, parent, name, &nsid);

    if (rc == 0)
        rc = exec_get_directory(x, nsid, ret);
    return rc == 0 && !may_leave(x, move, ret) ? ERR_CROSS_DEVICE : rc;
}

static int get_moved(struct exec *x, struct move *move)
{
    const struct command *c = x->command;
    int rc = get_end(x, move, c->dir, c->name, &move->directory);

    if (rc == 0 && exchanges(x))
        rc = get_end(x, move, c->to_dir, c->to_name, &move->other);
    return rc;
}

static int check_loop(struct exec *x, uint64_t parent, uint64_t nsid)
{
    bool below = false;
    int rc = catalog_is_below(x->state, parent, nsid, &below);

    return rc == 0 && below ? ERR_INVALID : rc;
}

static int check_target(struct exec *x, const struct move *move)
{
    const struct command *c = x->command;
    int rc = check_loop(x, c->to_dir, move->directory.nsid);

    if (rc != 0)
        return rc;
    return exchanges(x) ? check_loop(x, c->dir, move->other.nsid)
                        : check_free(x, c->to_dir, c->to_name);
}

static void put_at(struct exec *x, struct directory *directory, uint64_t parent,
                   struct slice name)
{
    directory->parent = parent;
    directory->name = name;
    directory->attr.ctime_ns = exec_now(x, directory->attr.ctime_ns);
    directory->attr.version = x->version;
    exec_put_directory(x, directory);
    exec_put_child(x, directory);
}

static void make_move(struct exec *x, struct move *move)
{
    const struct command *c = x->command;

    if (exchanges(x))
        put_at(x, &move->other, c->dir, c->name);
    else
        exec_delete_child(x, c->dir, c->name);
    put_at(x, &move->directory, c->to_dir, c->to_name);
    exec_touch_directory(x, &move->from);
    if (!is_same_parent(x))
        exec_touch_directory(x, &move->to);
}

int exec_dir_move(struct exec *x)
{
    const struct command *c = x->command;
    struct move move = {0};
    int rc = get_parents(x, &move);

    if (rc == 0)
        rc = get_moved(x, &move);
    if (rc == 0 && is_same_parent(x) && slice_equal(c->name, c->to_name)) {
        rc = (c->flags & REQUEST_NOREPLACE) != 0 ? ERR_EXISTS : 0;
    } else if (rc == 0) {
        rc = check_target(x, &move);
        if (rc == 0)
            make_move(x, &move);
    }
    move_release(&move);
    return rc;
}
