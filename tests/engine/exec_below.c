/* SPDX-License-Identifier: Apache-2.0 */

#include "exec_below.h"

#include <string.h>
#include <sys/stat.h>

static struct command on_name(enum command_op op, uint64_t dir,
                              const char *name)
{
    return (struct command){.op = op, .dir = dir, .name = slice_of(name)};
}

int try_add_below(struct exec_fixture *f, uint64_t dir, const char *name)
{
    struct command c = on_name(COMMAND_DIR_ADD, dir, name);

    c.set = (struct attr){.mode = S_IFDIR | 0750, .uid = 5};
    return run(f, &c);
}

uint64_t add_below(struct exec_fixture *f, uint64_t dir, const char *name)
{
    assert_int_equal(try_add_below(f, dir, name), 0);
    return nsid_of_ino(f->result.attr.ino);
}

int remove_below(struct exec_fixture *f, uint64_t dir, const char *name,
                 uint64_t nsid, uint64_t epoch)
{
    struct command c = on_name(COMMAND_DIR_REMOVE, dir, name);

    c.ino = ino_of_nsid(nsid);
    c.offset = epoch;
    return run(f, &c);
}

int move_below(struct exec_fixture *f, uint64_t dir, const char *name,
               uint64_t to_dir, const char *to_name, unsigned flags)
{
    struct command c = on_name(COMMAND_DIR_MOVE, dir, name);

    c.to_dir = to_dir;
    c.to_name = slice_of(to_name);
    c.flags = flags;
    return run(f, &c);
}

struct test_txn without_place(struct test_txn txn,
                              enum catalog_change_kind kind, uint64_t nsid)
{
    const struct command *c = &txn.command;

    txn.command.txn.dir = 0;
    txn.command.txn.name = slice_of("");
    txn.command.ino = ino_of_nsid(nsid);
    txn.changes[0] = (struct catalog_change){
        .kind = kind, .nsid = nsid, .attr.version = c->offset};
    if (kind == CATALOG_REMOVE) {
        txn.changes[0].parent = c->dir;
        memcpy(txn.names[0], c->name.data, c->name.size);
    }
    txn.change_count = 1;
    return txn;
}

int try_own(struct exec_fixture *f, uint64_t nsid, uint64_t size,
            uint64_t epoch)
{
    return run(f, &(struct command){.op = COMMAND_DIR_OWN,
                                    .ino = ino_of_nsid(nsid),
                                    .size = size,
                                    .offset = epoch});
}

int own(struct exec_fixture *f, uint64_t nsid)
{
    return try_own(f, nsid, 1, mode_of(f, nsid).epoch);
}

int inherit(struct exec_fixture *f, uint64_t nsid)
{
    return try_own(f, nsid, 0, mode_of(f, nsid).epoch);
}

uint64_t put_fence(struct exec_fixture *f, uint64_t nsid)
{
    return set_mode(f, nsid, MODE_FENCED, mode_of(f, nsid).epoch);
}
