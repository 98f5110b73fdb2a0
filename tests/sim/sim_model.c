/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* A set of ERR_ codes. */
static uint64_t bit(int code)
{
    return UINT64_C(1) << -code;
}

/* ---- entries ---- */

static uint64_t entry_hash(const struct sim_entry *e)
{
    return sim_mix(sim_mix(e->dir, e->name),
                   sim_mix(sim_mix(e->ino, e->content),
                           sim_mix(e->size, sim_mix(e->gid, e->xattr))));
}

static struct sim_entry *find(struct sim_tree *tree, uint64_t dir,
                              uint32_t name)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->entries[i].dir == dir && tree->entries[i].name == name)
            return &tree->entries[i];
    return NULL;
}

static struct sim_entry *find_ino(struct sim_tree *tree, uint64_t ino)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->entries[i].ino == ino)
            return &tree->entries[i];
    return NULL;
}

static void add(struct sim_tree *tree, struct sim_entry entry)
{
    assert(tree->count < SIM_ENTRIES_MAX);
    tree->hash ^= entry_hash(&entry);
    tree->entries[tree->count++] = entry;
}

static void drop(struct sim_tree *tree, struct sim_entry *entry)
{
    tree->hash ^= entry_hash(entry);
    *entry = tree->entries[--tree->count];
}

static void replace(struct sim_tree *tree, struct sim_entry *entry,
                    struct sim_entry by)
{
    tree->hash ^= entry_hash(entry) ^ entry_hash(&by);
    *entry = by;
}

static bool is_dir(const struct sim_entry *entry)
{
    return (entry->ino & INO_DIR_BIT) != 0;
}

static bool exists_dir(struct sim_tree *tree, uint64_t nsid)
{
    return nsid == NSID_ROOT || find_ino(tree, ino_of_nsid(nsid)) != NULL;
}

static size_t count_names(const struct sim_tree *tree, uint64_t nsid)
{
    size_t count = 0;

    for (size_t i = 0; i < tree->count; i++)
        count += tree->entries[i].dir == nsid;
    return count;
}

/* Whether `nsid` is `above`, or somewhere below it. */
static bool is_at_or_below(struct sim_tree *tree, uint64_t nsid, uint64_t above)
{
    for (size_t i = 0; i <= tree->count; i++) {
        const struct sim_entry *entry;

        if (nsid == above)
            return true;
        entry = find_ino(tree, ino_of_nsid(nsid));
        if (entry == NULL)
            return false;
        nsid = entry->dir;
    }
    return false;
}

/* ---- outcomes ---- */

/* `reasons` are those that the operation has to be refused. True: go on and
 * change the tree. False: `*fits` says whether it was refused rightly. */
static bool goes_on(const struct sim_op *op, uint64_t reasons, bool *fits)
{
    *fits = false;
    if (op->outcome == SIM_OP_UNKNOWN) /* One that is refused does nothing. */
        return reasons == 0;
    if (op->outcome == SIM_OP_REFUSED) {
        *fits = (reasons & bit(op->status)) != 0;
        return false;
    }
    return reasons == 0;
}

static bool is_sure(const struct sim_op *op)
{
    return op->outcome == SIM_OP_OK;
}

/* ---- reads ---- */

static bool step_lookup(struct sim_tree *tree, const struct sim_op *op)
{
    const struct sim_entry *e = find(tree, op->dir, op->name);
    bool fits;

    if (!goes_on(op, e == NULL ? bit(ERR_NOT_FOUND) | bit(ERR_STALE) : 0,
                 &fits))
        return fits;
    return op->ret_ino == e->ino && op->gid == e->gid &&
           (is_dir(e) || op->ret_size == e->size);
}

static bool is_file_at(const struct sim_entry *e, const struct sim_op *op)
{
    return e != NULL && !is_dir(e) && e->ino == op->ino;
}

static bool step_getattr(struct sim_tree *tree, const struct sim_op *op)
{
    const struct sim_entry *e = find(tree, op->dir, op->name);
    bool fits;

    if ((op->ino & INO_DIR_BIT) != 0) {
        const struct sim_entry *dir = find_ino(tree, op->ino);
        bool there = exists_dir(tree, nsid_of_ino(op->ino));

        if (!goes_on(op, there ? 0 : bit(ERR_STALE) | bit(ERR_NOT_FOUND),
                     &fits))
            return fits;
        return op->ret_ino == op->ino && (dir == NULL || op->gid == dir->gid);
    }
    if (!goes_on(op, is_file_at(e, op) ? 0 : bit(ERR_STALE), &fits))
        return fits;
    return op->ret_ino == e->ino && op->ret_size == e->size &&
           op->gid == e->gid;
}

static bool step_read(struct sim_tree *tree, const struct sim_op *op)
{
    const struct sim_entry *e = find(tree, op->dir, op->name);
    bool fits;

    if (!goes_on(op, is_file_at(e, op) ? 0 : bit(ERR_STALE), &fits))
        return fits;
    return !op->malformed && op->ret_size == e->size && op->gid == e->gid &&
           op->content == e->content;
}

/* A page has the next names in their order, some or, at the end, all of them;
 * an empty one has all up to where the next one begins. */
static bool step_readdir(struct sim_tree *tree, const struct sim_op *op)
{
    uint32_t first = op->behind == SIM_NAMES_MAX ? 0 : op->behind + 1U;
    uint64_t sum = 0;
    uint32_t listed = 0;
    bool more = false;
    bool there = exists_dir(tree, op->dir);
    bool fits;

    if (!goes_on(op, there ? 0 : bit(ERR_STALE) | bit(ERR_NOT_FOUND), &fits))
        return fits;
    for (uint32_t name = first; name < SIM_NAMES_MAX; name++) {
        const struct sim_entry *e = find(tree, op->dir, name);

        more = more ||
               (e != NULL && listed == op->entry_count && name < op->limit);
        if (e == NULL || listed == op->entry_count)
            continue;
        sum += sim_fold_name((uint8_t)name, e->ino);
        listed++;
    }
    return op->content == sum && op->entry_count == listed &&
           (!more || (!op->at_end && listed > 0));
}

/* ---- attributes, of files and directories ---- */

/* What a handle stands for; NULL: nothing any more. */
static struct sim_entry *find_handle(struct sim_tree *tree,
                                     const struct sim_op *op)
{
    struct sim_entry *e = (op->ino & INO_DIR_BIT) != 0
                              ? find_ino(tree, op->ino)
                              : find(tree, op->dir, op->name);

    return e != NULL && e->ino == op->ino ? e : NULL;
}

static uint64_t refuses_handle(const struct sim_entry *e,
                               const struct sim_op *op)
{
    if (e != NULL)
        return 0;
    return (op->ino & INO_DIR_BIT) != 0 ? bit(ERR_STALE) | bit(ERR_NOT_FOUND)
                                        : bit(ERR_STALE);
}

/* A directory's SETATTR returns what a GETATTR behind it reads. */
static bool step_setattr(struct sim_tree *tree, const struct sim_op *op)
{
    struct sim_entry *e = find_handle(tree, op);
    struct sim_entry entry;
    bool fits;

    if (!goes_on(op, refuses_handle(e, op), &fits))
        return fits;
    entry = *e;
    entry.gid = op->tag;
    if (is_sure(op) && !is_dir(e) &&
        (op->gid != op->tag || op->ret_size != e->size))
        return false;
    replace(tree, e, entry);
    return true;
}

static bool step_getxattr(struct sim_tree *tree, const struct sim_op *op)
{
    const struct sim_entry *e = find_handle(tree, op);
    uint64_t reasons = refuses_handle(e, op);
    bool fits;

    if (e != NULL && e->xattr == 0)
        reasons = bit(ERR_NO_DATA);
    if (!goes_on(op, reasons, &fits))
        return fits;
    return op->xattr == e->xattr;
}

static bool step_setxattr(struct sim_tree *tree, const struct sim_op *op)
{
    struct sim_entry *e = find_handle(tree, op);
    uint64_t reasons = refuses_handle(e, op);
    struct sim_entry entry;
    bool fits;

    if (e != NULL && e->xattr != 0 && (op->flags & REQUEST_XATTR_CREATE) != 0)
        reasons = bit(ERR_EXISTS);
    if (e != NULL && e->xattr == 0 &&
        (op->kind == REQUEST_REMOVEXATTR ||
         (op->flags & REQUEST_XATTR_REPLACE) != 0))
        reasons = bit(ERR_NO_DATA);
    if (!goes_on(op, reasons, &fits))
        return fits;
    entry = *e;
    entry.xattr = op->kind == REQUEST_REMOVEXATTR ? 0 : op->tag;
    replace(tree, e, entry);
    return true;
}

/* ---- writes ---- */

static bool step_create(struct sim_tree *tree, const struct sim_op *op,
                        uint64_t new_ino)
{
    const struct sim_entry *e = find(tree, op->dir, op->name);
    struct sim_entry entry = {.dir = op->dir, .name = op->name};
    uint64_t reasons = 0;
    bool fits;

    if (!exists_dir(tree, op->dir))
        reasons |= bit(ERR_NOT_FOUND) | bit(ERR_STALE);
    if (e != NULL && (op->flags & REQUEST_EXCLUSIVE) != 0)
        reasons |= bit(ERR_EXISTS);
    if (!goes_on(op, reasons, &fits))
        return fits;
    if (e != NULL)
        return is_sure(op) ? !op->created && op->ret_ino == e->ino : false;
    if (is_sure(op) && (!op->created || op->ret_size != op->piece_size))
        return false;
    entry.ino = is_sure(op) ? op->ret_ino : new_ino;
    if (op->piece_size > 0)
        entry.content = sim_fold_piece(0, op->tag);
    entry.size = op->piece_size;
    add(tree, entry);
    return true;
}

static bool step_write(struct sim_tree *tree, const struct sim_op *op)
{
    struct sim_entry *e = find(tree, op->dir, op->name);
    struct sim_entry entry;
    uint64_t reasons = is_file_at(e, op) ? 0 : bit(ERR_STALE);
    bool fits;

    if (reasons == 0 && (op->flags & REQUEST_APPEND) != 0 &&
        e->size + op->piece_size > SIM_VALUE_MAX)
        reasons = bit(ERR_TOO_LARGE);
    if (!goes_on(op, reasons, &fits))
        return fits;
    entry = *e;
    if ((op->flags & REQUEST_TRUNCATE) != 0)
        entry.content = entry.size = 0;
    if (is_sure(op) && op->ret_offset != entry.size)
        return false;
    entry.content = sim_fold_piece(entry.content, op->tag);
    entry.size += op->piece_size;
    if (is_sure(op) && (op->ret_size != entry.size || op->ret_ino != entry.ino))
        return false;
    replace(tree, e, entry);
    return true;
}

static bool step_unlink(struct sim_tree *tree, const struct sim_op *op)
{
    struct sim_entry *e = find(tree, op->dir, op->name);
    uint64_t reasons = 0;
    bool fits;

    if (e == NULL)
        reasons = bit(ERR_NOT_FOUND) | bit(ERR_STALE);
    else if (is_dir(e))
        reasons = bit(ERR_IS_DIR);
    if (!goes_on(op, reasons, &fits))
        return fits;
    drop(tree, e);
    return true;
}

/* ---- directories ---- */

static bool step_mkdir(struct sim_tree *tree, const struct sim_op *op,
                       uint64_t new_ino)
{
    uint64_t reasons = 0;
    bool fits;

    if (!exists_dir(tree, op->dir))
        reasons |= bit(ERR_NOT_FOUND) | bit(ERR_STALE);
    if (find(tree, op->dir, op->name) != NULL)
        reasons |= bit(ERR_EXISTS);
    if (!goes_on(op, reasons, &fits))
        return fits;
    add(tree, (struct sim_entry){.dir = op->dir,
                                 .name = op->name,
                                 .ino = is_sure(op) ? op->ret_ino : new_ino});
    return true;
}

static bool step_rmdir(struct sim_tree *tree, const struct sim_op *op)
{
    struct sim_entry *e = find(tree, op->dir, op->name);
    uint64_t reasons = 0;
    bool fits;

    if (e == NULL)
        reasons = bit(ERR_NOT_FOUND) | bit(ERR_STALE);
    else if (!is_dir(e))
        reasons = bit(ERR_NOT_DIR);
    else if (count_names(tree, nsid_of_ino(e->ino)) > 0)
        reasons = bit(ERR_NOT_EMPTY);
    if (!goes_on(op, reasons, &fits))
        return fits;
    drop(tree, e);
    return true;
}

static uint64_t loops(struct sim_tree *tree, const struct sim_entry *moved,
                      uint64_t to_dir)
{
    return is_dir(moved) &&
                   is_at_or_below(tree, to_dir, nsid_of_ino(moved->ino))
               ? bit(ERR_INVALID)
               : 0;
}

static uint64_t refuses_rename(struct sim_tree *tree, const struct sim_op *op,
                               const struct sim_entry *from,
                               const struct sim_entry *to)
{
    bool exchange = (op->flags & REQUEST_EXCHANGE) != 0;
    uint64_t reasons = 0;

    if (from == NULL || (exchange && to == NULL) ||
        !exists_dir(tree, op->to_dir))
        reasons |= bit(ERR_NOT_FOUND) | bit(ERR_STALE);
    if (to != NULL && (op->flags & REQUEST_NOREPLACE) != 0)
        reasons |= bit(ERR_EXISTS);
    if (from == NULL || from == to)
        return reasons;
    reasons |= loops(tree, from, op->to_dir);
    if (to == NULL)
        return reasons;
    if (exchange)
        return reasons | loops(tree, to, op->dir);
    if (is_dir(from) && !is_dir(to))
        reasons |= bit(ERR_NOT_DIR);
    if (!is_dir(from) && is_dir(to))
        reasons |= bit(ERR_IS_DIR);
    if (is_dir(to) && count_names(tree, nsid_of_ino(to->ino)) > 0)
        reasons |= bit(ERR_NOT_EMPTY);
    return reasons;
}

static bool step_rename(struct sim_tree *tree, const struct sim_op *op)
{
    struct sim_entry *from = find(tree, op->dir, op->name);
    struct sim_entry *to = find(tree, op->to_dir, op->to_name);
    struct sim_entry moved;
    bool fits;

    if (!goes_on(op, refuses_rename(tree, op, from, to), &fits))
        return fits;
    if (from == to)
        return true;
    moved = *from;
    moved.dir = op->to_dir;
    moved.name = op->to_name;
    if ((op->flags & REQUEST_EXCHANGE) != 0) {
        struct sim_entry back = *to;

        back.dir = op->dir;
        back.name = op->name;
        replace(tree, to, moved);
        replace(tree, from, back);
        return true;
    }
    if (to == NULL) {
        replace(tree, from, moved);
        return true;
    }
    replace(tree, to, moved);
    drop(tree, from);
    return true;
}

bool sim_tree_step(struct sim_tree *tree, const struct sim_op *op,
                   uint64_t new_ino)
{
    switch (op->kind) {
    case REQUEST_LOOKUP:
        return step_lookup(tree, op);
    case REQUEST_GETATTR:
        return step_getattr(tree, op);
    case REQUEST_READ:
        return step_read(tree, op);
    case REQUEST_READDIR:
        return step_readdir(tree, op);
    case REQUEST_GETXATTR:
        return step_getxattr(tree, op);
    case REQUEST_SETATTR:
        return step_setattr(tree, op);
    case REQUEST_SETXATTR:
    case REQUEST_REMOVEXATTR:
        return step_setxattr(tree, op);
    case REQUEST_CREATE:
        return step_create(tree, op, new_ino);
    case REQUEST_WRITE:
        return step_write(tree, op);
    case REQUEST_UNLINK:
        return step_unlink(tree, op);
    case REQUEST_MKDIR:
        return step_mkdir(tree, op, new_ino);
    case REQUEST_RMDIR:
        return step_rmdir(tree, op);
    case REQUEST_RENAME:
        return step_rename(tree, op);
    default:
        assert(false && "not an operation of the clients");
        return false;
    }
}

void sim_tree_print(const struct sim_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        const struct sim_entry *e = &tree->entries[i];

        (void)fprintf(stderr,
                      "    %" PRIx64 "/%s ino=%" PRIx64 " size=%u content="
                      "%" PRIx64 " gid=%u xattr=%u\n",
                      e->dir, sim_name((uint8_t)e->name), e->ino, e->size,
                      e->content, e->gid, e->xattr);
    }
}
