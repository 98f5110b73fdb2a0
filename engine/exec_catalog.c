/* SPDX-License-Identifier: Apache-2.0 */

/* Commands of the placement group (region 0): decisions about transactions,
 * what they change in the catalog of directories, and ids. */

#include <assert.h>
#include <string.h>

#include "engine/catalog.h"
#include "engine/exec.h"

/* ---- decisions ---- */

static int get_decision(struct exec *x, struct txn_id id, struct decision *ret)
{
    struct key key = key_decision(id.node, id.boot, id.sequence);
    struct kv_value value = {0};
    int rc = kv_get(x->state, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = decision_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

/* `below`: of which directories it has changed the mode, too. */
static void put_decision(struct exec *x, bool committed,
                         const struct domain *below)
{
    const struct txn_ref *txn = &x->command->txn;
    struct key key = key_decision(txn->id.node, txn->id.boot, txn->id.sequence);
    struct buf *nsids = domain_encode(below);
    struct decision decision = {
        .txn = *txn, .committed = committed, .below = buf_slice(nsids)};
    struct buf *bytes = decision_encode(&decision);

    kv_batch_put(x->batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
    buf_unref(nsids);
    x->result->decided = true;
    x->result->committed = committed;
}

/* ---- the index of directories by name ---- */

void exec_put_child(struct exec *x, const struct directory *directory)
{
    struct key key = key_directory_name(directory->parent, directory->name);
    uint8_t nsid[8];

    be64_put(nsid, directory->nsid);
    kv_batch_put(x->batch, key_slice(&key), (struct slice){nsid, sizeof nsid});
}

void exec_delete_child(struct exec *x, uint64_t parent, struct slice name)
{
    struct key key = key_directory_name(parent, name);

    kv_batch_delete(x->batch, key_slice(&key));
}

/* ---- what a decision changes ----
 *
 * Data regions know nothing of names below an eventual directory, so no
 * transaction adds one there, or moves it: see exec_mode.c. One that removes a
 * strong directory there, or changes a mode, holds no name, and says so: its
 * reference has no place. */

static bool has_no_place(const struct exec *x)
{
    return x->command->txn.dir == 0;
}

static int get_parent(struct exec *x, uint64_t nsid, struct mode *ret)
{
    struct directory directory = {0};
    int rc = exec_get_directory(x, nsid, &directory);

    if (rc == 0)
        *ret = directory.mode;
    directory_release(&directory);
    return rc;
}

static int check_childless(struct exec *x, uint64_t nsid)
{
    bool has_children = false;
    int rc = catalog_has_child(x->state, nsid, &has_children);

    return rc == 0 && has_children ? ERR_NOT_EMPTY : rc;
}

/* While a directory is being filled no directory comes to it, or goes from it.
 * Whoever wants that tries again, and then meets the closed part. */
static int check_tree_is_free(struct mode mode)
{
    return mode_is_filling(mode) ? ERR_ABORTED : 0;
}

static int check_add(struct exec *x, const struct catalog_change *change)
{
    struct mode parent = {0};
    int rc = get_parent(x, change->parent, &parent);

    if (rc == 0 && parent.state != MODE_STRONG)
        rc = ERR_BUSY;
    return rc == 0 ? check_tree_is_free(parent) : rc;
}

static int check_parents(struct exec *x, const struct catalog_change *change,
                         const struct directory *directory)
{
    struct mode from = {0};
    struct mode to = {0};
    int rc = get_parent(x, directory->parent, &from);

    if (rc == 0)
        rc = get_parent(x, change->parent, &to);
    if (rc == 0 && to.state != MODE_STRONG)
        rc = to.state == MODE_FENCED ? ERR_BUSY : ERR_CROSS_DEVICE;
    if (rc == 0)
        rc = check_tree_is_free(from);
    return rc == 0 ? check_tree_is_free(to) : rc;
}

static int check_move(struct exec *x, const struct catalog_change *change,
                      const struct directory *directory)
{
    const struct mode *mode = &directory->mode;
    bool below = false;
    int rc = catalog_is_below(x->state, change->parent, change->nsid, &below);

    if (rc != 0 || below)
        return rc == 0 ? ERR_INVALID : rc;
    if (mode->state != MODE_STRONG && mode->domain != directory->nsid)
        return ERR_CROSS_DEVICE;
    return check_parents(x, change, directory);
}

/* What holds no name is of one below an eventual directory, and nothing else
 * is. While that one is fenced its names go to the regions. */
static int check_above(struct exec *x, const struct directory *directory)
{
    enum mode_state above = has_no_place(x) ? MODE_EVENTUAL : MODE_STRONG;
    struct mode parent = {0};
    int rc = get_parent(x, directory->parent, &parent);

    return rc == 0 && (parent.state != above || mode_is_filling(parent))
               ? ERR_BUSY
               : rc;
}

/* Nobody else is kept from moving it meanwhile. */
static int check_place(struct exec *x, const struct catalog_change *change,
                       const struct directory *directory)
{
    int rc = check_above(x, directory);

    return rc == 0 && (directory->parent != change->parent ||
                       !slice_equal(directory->name, change->name))
               ? ERR_NOT_FOUND
               : rc;
}

static int check_remove(struct exec *x, const struct catalog_change *change,
                        const struct directory *directory)
{
    int rc;

    if (directory->nsid == NSID_ROOT || directory->mode.state != MODE_STRONG)
        return ERR_BUSY;
    if (mode_is_filling(directory->mode))
        return ERR_ABORTED;
    rc = has_no_place(x) ? check_place(x, change, directory) : 0;
    return rc == 0 ? check_childless(x, directory->nsid) : rc;
}

/* One that is empty is not filled; it stays so, as all of it is closed. */
static int check_eventual(struct exec *x, const struct catalog_change *change,
                          const struct directory *directory)
{
    const struct mode *mode = &directory->mode;
    int rc;

    if (directory->nsid == NSID_ROOT || mode->state != MODE_STRONG ||
        mode->since != change->attr.version)
        return ERR_BUSY;
    rc = check_above(x, directory);
    if (rc == 0 && change->parent != 0 && change->parent != directory->parent)
        rc = ERR_BUSY;
    if (rc == 0 && !mode_is_filling(*mode))
        rc = check_childless(x, directory->nsid);
    return rc;
}

/* Below an eventual directory that is not fenced it is the topmost that is. */
static int check_strong(struct exec *x, const struct catalog_change *change,
                        const struct directory *directory)
{
    const struct mode *mode = &directory->mode;

    if (mode->state != MODE_FENCED || mode->epoch != change->attr.version ||
        (mode->domain != directory->nsid && !has_no_place(x)))
        return ERR_BUSY;
    return check_above(x, directory);
}

static int check_change(struct exec *x, const struct catalog_change *change)
{
    struct directory directory = {0};
    int rc;

    if (change->kind == CATALOG_ADD)
        return check_add(x, change);
    rc = exec_get_directory(x, change->nsid, &directory);
    if (rc == ERR_NOT_FOUND && change->kind == CATALOG_REMOVE)
        return 0;
    if (rc != 0)
        return rc;
    if (change->kind == CATALOG_MOVE)
        rc = check_move(x, change, &directory);
    else if (change->kind == CATALOG_REMOVE)
        rc = check_remove(x, change, &directory);
    else if (change->kind == CATALOG_EVENTUAL)
        rc = check_eventual(x, change, &directory);
    else if (change->kind == CATALOG_STRONG)
        rc = check_strong(x, change, &directory);
    else
        rc = ERR_INVALID;
    directory_release(&directory);
    return rc;
}

/* Where a directory was before. All names go before any comes: an exchange
 * gives each of two to the other one. */
static int drop_name(struct exec *x, const struct catalog_change *change)
{
    struct directory directory = {0};
    int rc;

    if (change->kind != CATALOG_MOVE && change->kind != CATALOG_REMOVE)
        return 0;
    rc = exec_get_directory(x, change->nsid, &directory);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    exec_delete_child(x, directory.parent, directory.name);
    directory_release(&directory);
    return 0;
}

static void add_directory(struct exec *x, const struct catalog_change *change)
{
    struct directory directory = {
        .nsid = change->nsid,
        .parent = change->parent,
        .name = change->name,
        .attr = change->attr,
    };

    directory.attr.version = x->version;
    exec_put_directory(x, &directory);
    exec_put_child(x, &directory);
}

static int remove_directory(struct exec *x, const struct catalog_change *change)
{
    struct key key = key_directory(change->nsid);
    struct directory parent = {0};
    int rc = 0;

    kv_batch_delete(x->batch, key_slice(&key));
    if (has_no_place(x))
        rc = exec_get_directory(x, change->parent, &parent);
    if (rc == 0 && has_no_place(x))
        exec_touch_directory(x, &parent);
    directory_release(&parent);
    return rc;
}

static void move_directory(struct exec *x, const struct catalog_change *change,
                           struct directory *directory)
{
    directory->parent = change->parent;
    directory->name = change->name;
    exec_put_child(x, directory);
}

/* Below a strong directory a strong one has its mode from that. */
static int get_mode(struct exec *x, const struct catalog_change *change,
                    struct mode *ret)
{
    uint64_t filled = change->attr.version;
    struct mode parent = {.domain = change->nsid};
    int rc = 0;

    *ret = (struct mode){.state = MODE_STRONG,
                         .domain = has_no_place(x) ? change->nsid : 0,
                         .epoch = x->version};
    if (change->kind != CATALOG_EVENTUAL)
        return 0;
    if (change->parent != 0)
        rc = get_parent(x, change->parent, &parent);
    *ret = (struct mode){.state = MODE_EVENTUAL,
                         .domain = parent.domain,
                         .since = filled != 0 ? filled : x->version,
                         .epoch = x->version};
    return rc;
}

static int change_mode(struct exec *x, const struct catalog_change *change,
                       struct directory *directory, struct domain *below)
{
    struct mode mode;
    int rc = get_mode(x, change, &mode);

    return rc == 0
               ? exec_change_mode(x, directory, mode, x->command->data, below)
               : rc;
}

static int change_directory(struct exec *x, const struct catalog_change *change,
                            struct domain *below)
{
    struct directory directory = {0};
    int rc = exec_get_directory(x, change->nsid, &directory);

    if (rc != 0)
        return rc;
    if (change->kind == CATALOG_MOVE)
        move_directory(x, change, &directory);
    else
        rc = change_mode(x, change, &directory, below);
    directory.attr.ctime_ns = exec_now(x, directory.attr.ctime_ns);
    directory.attr.version = x->version;
    if (rc == 0)
        exec_put_directory(x, &directory);
    directory_release(&directory);
    return rc;
}

static int make_change(struct exec *x, const struct catalog_change *change,
                       struct domain *below)
{
    if (change->kind == CATALOG_ADD)
        add_directory(x, change);
    else if (change->kind == CATALOG_REMOVE)
        return remove_directory(x, change);
    else
        return change_directory(x, change, below);
    return 0;
}

static int make_changes(struct exec *x)
{
    const struct command *c = x->command;
    struct domain below = {.count = 0};
    int rc = 0;

    for (size_t i = 0; i < c->change_count && rc == 0; i++)
        rc = drop_name(x, &c->changes[i]);
    for (size_t i = 0; i < c->change_count && rc == 0; i++)
        rc = make_change(x, &c->changes[i], &below);
    if (rc == 0 && has_no_place(x)) /* No intent names it. */
        domain_add(&below, c->changes[0].nsid);
    if (rc == 0)
        put_decision(x, true, &below);
    domain_release(&below);
    return rc;
}

/* How it was decided already. ERR_NOT_FOUND: it was not. */
static int answer_earlier(struct exec *x)
{
    struct decision earlier = {0};
    int rc = get_decision(x, x->command->txn.id, &earlier);

    if (rc != 0)
        return rc;
    x->result->decided = true;
    x->result->committed = earlier.committed;
    exec_answer(x, buf_copy(earlier.below.data, earlier.below.size));
    decision_release(&earlier);
    return 0;
}

/* The one entry at which a transaction takes effect. What the
 * catalog refuses is a decision too: to abort. */
int exec_txn_decide(struct exec *x)
{
    const struct command *c = x->command;
    const struct domain none = {.count = 0};
    int rc = answer_earlier(x);

    if (rc == 0)
        return x->result->committed ? 0 : ERR_ABORTED;
    if (rc != ERR_NOT_FOUND)
        return rc;

    rc = 0;
    for (size_t i = 0; i < c->change_count && rc == 0; i++)
        rc = check_change(x, &c->changes[i]);
    if (rc == 0)
        return make_changes(x);
    put_decision(x, false, &none);
    x->keep = true;
    return rc;
}

int exec_txn_abort(struct exec *x)
{
    const struct domain none = {.count = 0};
    int rc = answer_earlier(x);

    if (rc == ERR_NOT_FOUND) {
        put_decision(x, false, &none);
        rc = 0;
    }
    return rc;
}

/* An abort is remembered on: its DECIDE may still be on the way. It goes when
 * its sender says that it waits for it no more (results.h). */
int exec_txn_forget(struct exec *x)
{
    struct txn_id id = x->command->txn.id;
    struct key key = key_decision(id.node, id.boot, id.sequence);
    struct decision decision = {0};
    int rc;

    rc = get_decision(x, id, &decision);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (decision.committed)
        kv_batch_delete(x->batch, key_slice(&key));
    decision_release(&decision);
    return 0;
}

/* ---- ids ---- */

int exec_take_ids(struct exec *x, struct key counter, uint64_t count,
                  uint64_t *ret_first)
{
    struct kv_value value = {0};
    uint8_t bytes[8];
    uint64_t next;
    int rc;

    rc = kv_get(x->state, NULL, key_slice(&counter), &value);
    if (rc != 0)
        return rc;
    if (value.size != sizeof bytes) {
        kv_value_release(&value);
        return ERR_CORRUPT;
    }
    next = be64_get(value.data);
    kv_value_release(&value);
    *ret_first = next;
    be64_put(bytes, next + count);
    kv_batch_put(x->batch, key_slice(&counter),
                 (struct slice){bytes, sizeof bytes});
    return 0;
}

static int lease_ids(struct exec *x, struct key counter)
{
    return exec_take_ids(x, counter, x->command->size, &x->result->first_id);
}

int exec_lease_ids(struct exec *x)
{
    return lease_ids(x, key_id_allocator());
}

int exec_lease_region_ids(struct exec *x)
{
    return lease_ids(x, key_region_id_allocator());
}
