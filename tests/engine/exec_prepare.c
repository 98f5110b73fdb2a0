/* SPDX-License-Identifier: Apache-2.0 */

/* PREPARE, one command at a time: see exec_regions.h. */

#include <string.h>
#include <sys/stat.h>

#include "engine/eventual_items.h"
#include "exec_regions.h"

static void begin_namespace(struct test_prepare *p, uint64_t nsid)
{
    p->step = TXN_STEP_PART;
    p->nsid = nsid;
    p->part = key_user('d', nsid, slice_of(""));
}

/* There are only the parts of namespaces. */
static void begin_without_place(struct test_prepare *p)
{
    uint64_t nsid = nsid_of_ino(p->txn.command.ino);
    const struct namespace_record part = {.nsid = nsid, .reopened = true};

    if (p->txn.command.txn_kind == TXN_TO_STRONG)
        p->data = namespace_encode(&part);
    else
        p->ref.closes_nsid = nsid;
    p->left = TXN_LEFT_PARTS;
    begin_namespace(p, nsid);
}

struct test_prepare prepare_begin(const struct test_txn *txn)
{
    struct test_prepare p = {.txn = *txn, .ref = txn->command.txn};

    p.ref.opens_nsid = txn->nsid;
    if (p.ref.dir == 0)
        begin_without_place(&p);
    return p;
}

void prepare_end(struct test_prepare *p)
{
    buf_unref(p->data);
    p->data = NULL;
}

static void take_changes(struct exec_fixture *f, struct test_prepare *p)
{
    struct test_txn *txn = &p->txn;

    txn->change_count = f->result.change_count;
    for (size_t i = 0; i < txn->change_count; i++) {
        struct slice name = f->result.changes[i].name;

        txn->changes[i] = f->result.changes[i];
        memset(txn->names[i], 0, sizeof txn->names[i]);
        if (name.size > 0)
            memcpy(txn->names[i], name.data, name.size);
        if (txn->changes[i].kind == CATALOG_REMOVE ||
            txn->changes[i].kind == CATALOG_EVENTUAL)
            p->ref.closes_nsid = txn->changes[i].nsid;
    }
}

static struct key place_of_step(const struct test_prepare *p)
{
    const struct command *c = &p->txn.command;

    if (p->step == TXN_STEP_PART)
        return p->part;
    return p->step == TXN_STEP_TARGET ? key_user('d', c->to_dir, c->to_name)
                                      : key_user('d', c->dir, c->name);
}

/* Of the entry that was answered, if it has chunks. */
static uint64_t content_of(const struct exec_fixture *f)
{
    struct entry entry = {0};
    uint64_t ino;

    assert_int_equal(entry_decode(&entry, f->result.data), 0);
    ino = entry.kind == ENTRY_FILE && entry.attr.size > INLINE_SIZE_MAX
              ? entry.attr.ino
              : 0;
    entry_release(&entry);
    return ino;
}

/* Of the namespace whose turn it is, to the next of those below. */
static void next_namespace(struct test_prepare *p)
{
    p->left = 0;
    if (p->below_at == p->below.count)
        return;
    p->left = TXN_LEFT_PARTS;
    begin_namespace(p, p->below.nsids[p->below_at++]);
}

static void take_parts(struct exec_fixture *f, struct test_prepare *p)
{
    p->below_at += f->result.offset;
    if (f->result.offset > 0)
        p->nsid = p->below.nsids[p->below_at - 1];
    if (!key_next_part(p->nsid, f->result.data, &p->part))
        next_namespace(p);
}

static void take(struct exec_fixture *f, struct test_prepare *p)
{
    if ((f->result.left & TXN_LEFT_TARGET) != 0)
        p->to_target = content_of(f);
    if ((f->result.left & TXN_LEFT_SOURCE) != 0)
        p->to_source = content_of(f);
    if (p->step == TXN_STEP_FIRST || p->step == TXN_STEP_TARGET) {
        p->left = f->result.left;
        take_changes(f, p);
        buf_unref(p->data);
        p->data = buf_copy(f->result.data.data, f->result.data.size);
    } else if (p->step == TXN_STEP_SOURCE) {
        p->left &= ~(unsigned)TXN_LEFT_SOURCE;
    } else {
        take_parts(f, p);
    }
    if (p->step == TXN_STEP_FIRST)
        p->has_happened = p->left == 0 && p->txn.change_count == 0;
    p->begun = true;
}

/* ---- names of directories that become strong ---- */

/* The namespaces of the tree, from the top. */
static uint64_t nsid_at(const struct test_prepare *p, size_t at)
{
    return at == 0 ? p->txn.nsid : p->below.nsids[at - 1];
}

static bool visit_name(void *context, struct slice name, uint64_t nsid)
{
    struct test_prepare *p = context;

    if (strncmp(p->imported, name.data, name.size) == 0 &&
        strlen(p->imported) == name.size)
        return true;
    assert_true(name.size < sizeof p->importing);
    memset(p->importing, 0, sizeof p->importing);
    memcpy(p->importing, name.data, name.size);
    p->importing_nsid = nsid;
    return false;
}

/* The next name of a directory that only the catalog has. */
static bool find_name(struct exec_fixture *f, struct test_prepare *p)
{
    if (p->txn.command.txn_kind != TXN_TO_STRONG)
        return false;
    for (; p->import_at <= p->below.count; p->import_at++) {
        p->importing_nsid = 0;
        assert_int_equal(catalog_visit(f->state, nsid_at(p, p->import_at),
                                       slice_of(p->imported), visit_name, p),
                         0);
        if (p->importing_nsid != 0)
            return true;
        p->imported[0] = '\0';
    }
    return false;
}

static int import_step(struct exec_fixture *f, struct test_prepare *p)
{
    const uint64_t dir = nsid_at(p, p->import_at);
    struct eventual_record record = {
        .dir = dir,
        .name = slice_of(p->importing),
        .attr = {.ino = ino_of_nsid(p->importing_nsid), .mode = S_IFDIR}};
    struct eventual_items items = {.size = 0};
    bool full = false;
    int rc;

    assert_int_equal(eventual_items_add(&items, &record, &full), 0);
    rc = run(f, &(struct command){.op = COMMAND_TXN_IMPORT,
                                  .dir = dir,
                                  .name = record.name,
                                  .txn = {.id = p->ref.id},
                                  .data = {items.bytes, items.size}});
    eventual_items_release(&items);
    if (rc != 0)
        return rc;
    memcpy(p->imported, p->importing, sizeof p->imported);
    p->complete = !find_name(f, p);
    return 0;
}

/* ---- steps ---- */

static void find_next(struct exec_fixture *f, struct test_prepare *p)
{
    if ((p->left & TXN_LEFT_TARGET) != 0) {
        p->step = TXN_STEP_TARGET;
    } else if ((p->left & TXN_LEFT_SOURCE) != 0) {
        p->step = TXN_STEP_SOURCE;
    } else if (p->left != 0 && p->step != TXN_STEP_PART) {
        begin_namespace(p, p->ref.opens_nsid != 0 ? p->ref.opens_nsid
                                                  : p->ref.closes_nsid);
    } else if (p->left == 0 && p->step == TXN_STEP_FIRST) {
        next_namespace(p);
    }
    if (p->left == 0 && p->to_target == 0 && p->to_source == 0)
        p->complete = !find_name(f, p);
}

/* What is below it, and takes part, as its coordinator knows that. */
static int list_below(struct exec_fixture *f, struct test_prepare *p)
{
    const struct command *c = &p->txn.command;
    bool is_filled = c->txn_kind == TXN_TO_EVENTUAL && c->offset != 0;
    struct domain domain = {.count = 0};
    struct buf *bytes;
    int rc;

    if (p->begun || (c->txn_kind != TXN_TO_STRONG && !is_filled))
        return 0;
    rc = domain_list(f->state, nsid_of_ino(c->ino), &domain);
    bytes = domain_encode(&domain);
    p->below = below_of(buf_slice(bytes));
    buf_unref(bytes);
    domain_release(&domain);
    return rc;
}

/* Files of tests are not larger than one piece. */
static int copy_step(struct exec_fixture *f, struct test_prepare *p)
{
    const struct txn_ref *txn = &p->ref;
    bool to_target = p->to_target != 0;
    struct command c = {
        .op = COMMAND_READ,
        .dir = to_target ? txn->dir : txn->to_dir,
        .name = to_target ? txn->name : txn->to_name,
        .ino = to_target ? p->to_target : p->to_source,
        .size = WRITE_SIZE_MAX,
    };
    struct buf *data;
    int rc = run_read_again(f, &c);

    if (rc != 0) {
        assert_int_equal(rc, ERR_STALE); /* It is not held any more. */
        return ERR_ABORTED;
    }
    data = buf_ref(f->result.data_buf);
    rc = run(f, &(struct command){.op = COMMAND_TXN_COPY,
                                  .dir = to_target ? txn->to_dir : txn->dir,
                                  .name = to_target ? txn->to_name : txn->name,
                                  .txn = *txn,
                                  .data = {data->data, data->size}});
    buf_unref(data);
    if (rc != 0)
        return rc;
    if (to_target)
        p->to_target = 0;
    else
        p->to_source = 0;
    find_next(f, p);
    return 0;
}

int prepare_step(struct exec_fixture *f, struct test_prepare *p)
{
    static const uint8_t times[16 * BELOW_MAX];
    uint8_t further[8 * BELOW_MAX];
    struct command c = p->txn.command;
    struct key at = place_of_step(p);
    bool at_ends = (p->left & (TXN_LEFT_TARGET | TXN_LEFT_SOURCE)) != 0;
    int rc = list_below(f, p);

    if (!at_ends && (p->to_target != 0 || p->to_source != 0))
        return copy_step(f, p);
    if (p->importing_nsid != 0)
        return import_step(f, p);
    c.op = COMMAND_TXN_PREPARE;
    c.txn = p->ref;
    if (p->step == TXN_STEP_PART) {
        set_namespace(&c.txn, p->nsid);
        c.further = further_below(&p->below, p->below_at, further);
        c.further_times = (struct slice){times, 2 * c.further.size};
    }
    c.txn_step = p->step;
    if (p->data != NULL)
        c.data = buf_slice(p->data);
    if (rc == 0)
        rc = run_at(f, &c, &at);
    if (rc != 0)
        return rc;
    p->steps++;
    take(f, p);
    find_next(f, p);
    return 0;
}

int prepare_all(struct exec_fixture *f, struct test_prepare *p)
{
    int rc;

    do
        rc = prepare_step(f, p);
    while (rc == 0 && !p->complete);
    return rc;
}

int decide_prepared(struct exec_fixture *f, const struct test_prepare *p)
{
    struct test_txn txn = p->txn;

    txn.command.txn = p->ref;
    return decide(f, &txn);
}

void prepare_behind(struct exec_fixture *f, struct test_prepare *p,
                    struct test_prepare *met)
{
    settle_txn(f, &met->ref);
    assert_int_equal(prepare_all(f, p), 0);
    prepare_end(met);
    prepare_end(p);
    settle_orphans(f);
    check_settled(f);
}

bool commit_until(struct exec_fixture *f, const struct test_txn *txn,
                  unsigned commands)
{
    struct test_prepare p = prepare_begin(txn);
    struct test_resolve r = {.done = false};

    for (; !p.complete && commands > 0; commands--)
        assert_int_equal(prepare_step(f, &p), 0);
    if (p.complete && commands > 0) {
        commands--;
        assert_int_equal(decide_prepared(f, &p), 0);
        if (p.ref.dir == 0)
            p.below.nsids[p.below.count++] = nsid_of_ino(p.txn.command.ino);
        r = resolve_below(&p.ref, true, &p.below);
        for (; !r.done && commands > 0; commands--)
            resolve_step(f, &r);
    }
    prepare_end(&p);
    check_state(f);
    return r.done;
}
