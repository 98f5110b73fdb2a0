/* SPDX-License-Identifier: Apache-2.0 */

#include "exec_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TREE_SIZE = 8192 };

const char *const model_letters[MODEL_LETTERS] = {"a", "b", "c", "d"};
static struct model_name names[MODEL_NAMES_MAX];
static char text[TREE_SIZE];

void model_clear(void)
{
    memset(names, 0, sizeof names);
}

struct model_name *model_find(uint64_t dir, const char *name)
{
    for (size_t i = 0; i < MODEL_NAMES_MAX; i++)
        if (names[i].dir == dir && dir != 0 && strcmp(names[i].name, name) == 0)
            return &names[i];
    return NULL;
}

static void add(struct model_name name)
{
    for (size_t i = 0; i < MODEL_NAMES_MAX; i++) {
        if (names[i].dir != 0)
            continue;
        names[i] = name;
        return;
    }
    fail_msg("too many names");
}

static const struct model_name *find_dir(uint64_t nsid)
{
    for (size_t i = 0; i < MODEL_NAMES_MAX; i++)
        if (names[i].dir != 0 && names[i].is_dir && names[i].id == nsid)
            return &names[i];
    return NULL;
}

static uint64_t domain_of(uint64_t nsid)
{
    const struct model_name *dir = find_dir(nsid);

    return dir == NULL ? 0 : dir->domain;
}

void model_add(uint64_t dir, const char *name, bool is_dir, uint64_t id)
{
    add((struct model_name){dir, name, is_dir, id,
                            is_dir ? domain_of(dir) : 0});
}

size_t model_names_used(void)
{
    size_t count = 0;

    for (size_t i = 0; i < MODEL_NAMES_MAX; i++)
        if (names[i].dir != 0)
            count++;
    return count;
}

static uint64_t parent_of(uint64_t nsid)
{
    const struct model_name *dir = find_dir(nsid);

    return dir == NULL ? 0 : dir->dir;
}

bool model_is_below(uint64_t nsid, uint64_t ancestor)
{
    while (nsid != 0 && nsid != ancestor)
        nsid = parent_of(nsid);
    return nsid == ancestor;
}

static void add_text(uint64_t dir, const char *path)
{
    for (size_t i = 0; i < MODEL_LETTERS; i++) {
        const struct model_name *name = model_find(dir, model_letters[i]);
        size_t size = strlen(text);
        char below[256];

        if (name == NULL)
            continue;
        (void)snprintf(text + size, sizeof text - size, "%s%s%s%s=%" PRIu64,
                       size > 0 ? " " : "", path, name->name,
                       name->is_dir ? "/" : "", name->id);
        (void)snprintf(below, sizeof below, "%.200s%s/", path, name->name);
        if (name->is_dir && name->domain == 0)
            add_text(name->id, below);
    }
}

const char *model_tree(void)
{
    text[0] = '\0';
    add_text(NSID_ROOT, "");
    return text;
}

uint64_t model_pick_dir(struct exec_fixture *f)
{
    uint64_t dir = NSID_ROOT;
    uint64_t skip = pick(f, MODEL_NAMES_MAX);

    for (size_t i = 0; i < MODEL_NAMES_MAX; i++)
        if (names[i].dir != 0 && names[i].is_dir && skip-- % 3 == 0)
            dir = names[i].id;
    return pick(f, 3) == 0 ? NSID_ROOT : dir;
}

const char *model_pick_name(struct exec_fixture *f)
{
    return model_letters[pick(f, MODEL_LETTERS)];
}

/* ---- what takes effect ---- */

/* At its name is what is at the other one. */
static void put(struct model_name *to, const struct model_name *from)
{
    to->is_dir = from->is_dir;
    to->id = from->id;
    to->domain = from->domain;
}

void model_rename(struct model_name *from, struct model_name *to,
                  const struct command *c, const char *to_name)
{
    struct model_name old = *from;

    if (from == to)
        return;
    if (to == NULL) {
        from->dir = 0;
        old.dir = c->to_dir;
        old.name = to_name;
        add(old);
        return;
    }
    if ((c->flags & REQUEST_EXCHANGE) != 0)
        put(from, to);
    else
        from->dir = 0;
    put(to, &old);
}

bool model_has_dir(uint64_t nsid)
{
    for (size_t i = 0; i < MODEL_NAMES_MAX; i++)
        if (names[i].dir == nsid && names[i].is_dir)
            return true;
    return false;
}

/* Files go, as nobody brings them; what is eventual already stays as it is. */
static void become_eventual(uint64_t nsid, uint64_t domain)
{
    for (size_t i = 0; i < MODEL_NAMES_MAX; i++) {
        struct model_name *name = &names[i];

        if (name->is_dir && name->id == nsid)
            name->domain = domain;
        if (name->dir != nsid)
            continue;
        if (!name->is_dir)
            name->dir = 0;
        else if (name->domain == 0)
            become_eventual(name->id, domain);
    }
}

static void become_strong(uint64_t domain)
{
    for (size_t i = 0; i < MODEL_NAMES_MAX; i++)
        if (names[i].domain == domain)
            names[i].domain = 0;
}

void model_apply(const struct test_txn *txn)
{
    const struct command *c = &txn->command;
    const char *name = c->name.data;
    const char *to_name = c->to_name.data;

    if (c->txn_kind == TXN_MKDIR)
        model_add(c->dir, name, true, txn->nsid);
    else if (c->txn_kind == TXN_RMDIR)
        model_find(c->dir, name)->dir = 0;
    else if (c->txn_kind == TXN_TO_EVENTUAL)
        become_eventual(nsid_of_ino(c->ino), nsid_of_ino(c->ino));
    else if (c->txn_kind == TXN_TO_STRONG)
        become_strong(nsid_of_ino(c->ino));
    else if (c->txn_kind == TXN_RENAME)
        model_rename(model_find(c->dir, name), model_find(c->to_dir, to_name),
                     c, to_name);
}

bool model_makes_circle(const struct test_txn *txn)
{
    for (size_t i = 0; i < txn->change_count; i++)
        if (txn->changes[i].kind == CATALOG_MOVE &&
            model_is_below(txn->changes[i].parent, txn->changes[i].nsid))
            return true;
    return false;
}

int model_rename_rc(const struct model_name *from, const struct model_name *to,
                    unsigned flags)
{
    if (from == NULL)
        return ERR_NOT_FOUND;
    if (to == NULL)
        return (flags & REQUEST_EXCHANGE) != 0 ? ERR_NOT_FOUND : 0;
    if ((flags & REQUEST_NOREPLACE) != 0)
        return ERR_EXISTS;
    if ((flags & REQUEST_EXCHANGE) != 0 || from->is_dir == to->is_dir)
        return 0;
    return from->is_dir ? ERR_NOT_DIR : ERR_IS_DIR;
}
