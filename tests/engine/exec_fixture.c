/* SPDX-License-Identifier: Apache-2.0 */

#include "exec_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/sim/kv_mem.h"

enum { VALUE_SIZE_MAX = 64 * 1024 * 1024, FILE_INO = 100, NODE = 7 };

static void put(struct kv_batch *batch, struct key key, struct buf *bytes)
{
    kv_batch_put(batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

struct kv *exec_state_new(void)
{
    struct kv *state = kv_mem_new();
    struct kv_batch *batch = kv_batch_new(state);
    const struct directory root = {
        .nsid = NSID_ROOT,
        .attr = {.ino = ino_of_nsid(NSID_ROOT), .mode = S_IFDIR | 0755},
    };
    const struct namespace_record record = {.nsid = NSID_ROOT,
                                            .domain = NSID_ROOT};

    put(batch, key_directory(NSID_ROOT), directory_encode(&root));
    put(batch, key_user('n', NSID_ROOT, slice_of("")),
        namespace_encode(&record));
    put(batch, key_id_allocator(), buf_copy("\0\0\0\0\0\0\4\0", 8));
    assert_int_equal(kv_write(state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    return state;
}

int setup_exec(void **state)
{
    struct exec_fixture *f = mem_zalloc(sizeof *f);

    f->state = exec_state_new();
    f->ino = FILE_INO;
    f->random = 1;
    *state = f;
    return 0;
}

int teardown_exec(void **state)
{
    struct exec_fixture *f = *state;

    check_state(f);
    result_release(&f->result);
    kv_close(f->state);
    free(f);
    return 0;
}

uint64_t pick(struct exec_fixture *f, uint64_t bound)
{
    f->random = f->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (f->random >> 33) % bound;
}

struct range range_at(const struct exec_fixture *f, struct slice user_key)
{
    struct range range = {{NULL, 0}, {NULL, 0}};

    for (size_t i = 0; i < f->cut_count && range.end.size == 0; i++) {
        struct slice cut = key_user_part(&f->cuts[i]);

        if (slice_compare(cut, user_key) <= 0)
            range.start = cut;
        else
            range.end = cut;
    }
    return range;
}

int run(struct exec_fixture *f, const struct command *command)
{
    struct key at = key_user('d', command->dir, command->name);

    return run_at(f, command, &at);
}

int run_at(struct exec_fixture *f, const struct command *command,
           const struct key *at)
{
    struct command c = *command;
    struct kv_batch *batch = kv_batch_new(f->state);
    struct exec x = {.state = f->state,
                     .range = range_at(f, key_user_part(at)),
                     .command = &c,
                     .batch = batch,
                     .result = &f->result,
                     .version = ++f->version};
    int rc;

    c.now_ns = (int64_t)f->version * 1000;
    if (c.value_size_max == 0)
        c.value_size_max = VALUE_SIZE_MAX;
    result_release(&f->result);
    f->result = (struct result){0};
    rc = exec_command(&x);
    assert_int_equal(f->result.status, rc);
    f->version = x.version;
    if (rc == 0 || x.keep)
        assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    kv_mem_sync(f->state, kv_mem_unsynced_count(f->state));
    return rc;
}

int run_read(struct exec_fixture *f, const struct command *command)
{
    int rc;

    result_release(&f->result);
    f->result = (struct result){0};
    rc = read_execute(f->state, NULL, command, &f->unknown, &f->result);
    assert_int_equal(f->result.status, rc);
    return rc;
}

int run_read_again(struct exec_fixture *f, const struct command *command)
{
    int rc;

    f->unknown.count = 0;
    rc = run_read(f, command);
    for (size_t i = 0; rc == ERR_LOCKED && i < READ_UNKNOWN_MAX; i++)
        rc = run_read(f, command);
    return rc;
}

/* ---- files ---- */

int create_sized(struct exec_fixture *f, uint64_t dir, const char *name,
                 size_t size)
{
    struct buf *data = buf_new(size);
    int rc;

    memset(data->data, 'a' + (int)(f->ino % 26), size);
    rc = run(f, &(struct command){.op = COMMAND_CREATE,
                                  .dir = dir,
                                  .name = slice_of(name),
                                  .ino = ++f->ino,
                                  .flags = REQUEST_EXCLUSIVE,
                                  .set = {.mode = S_IFREG | 0644},
                                  .data = {data->data, size}});
    buf_unref(data);
    return rc;
}

int create(struct exec_fixture *f, uint64_t dir, const char *name)
{
    return create_sized(f, dir, name, 0);
}

int unlink_file(struct exec_fixture *f, uint64_t dir, const char *name)
{
    return run(f, &(struct command){.op = COMMAND_UNLINK,
                                    .dir = dir,
                                    .name = slice_of(name)});
}

int rename_file(struct exec_fixture *f, uint64_t dir, const char *name,
                uint64_t to_dir, const char *to_name, unsigned flags)
{
    return run(f, &(struct command){.op = COMMAND_RENAME,
                                    .flags = flags,
                                    .dir = dir,
                                    .name = slice_of(name),
                                    .to_dir = to_dir,
                                    .to_name = slice_of(to_name)});
}

int lookup(struct exec_fixture *f, uint64_t dir, const char *name)
{
    return run_read_again(f, &(struct command){.op = COMMAND_LOOKUP,
                                               .dir = dir,
                                               .name = slice_of(name)});
}

/* ---- transactions ---- */

static struct test_txn txn_new(struct exec_fixture *f, enum txn_kind kind,
                               uint64_t dir, const char *name)
{
    return (struct test_txn){
        .command = {.txn_kind = kind,
                    .dir = dir,
                    .name = slice_of(name),
                    .txn = {.id = {NODE, 1, ++f->sequence},
                            .dir = dir,
                            .name = slice_of(name)}},
    };
}

struct test_txn txn_mkdir(struct exec_fixture *f, uint64_t dir,
                          const char *name)
{
    struct test_txn txn = txn_new(f, TXN_MKDIR, dir, name);

    txn.nsid = ++f->ino;
    txn.command.ino = ino_of_nsid(txn.nsid);
    txn.command.set.mode = S_IFDIR | 0700;
    return txn;
}

struct test_txn txn_rmdir(struct exec_fixture *f, uint64_t dir,
                          const char *name)
{
    return txn_new(f, TXN_RMDIR, dir, name);
}

struct test_txn txn_rename(struct exec_fixture *f, uint64_t dir,
                           const char *name, uint64_t to_dir,
                           const char *to_name, unsigned flags)
{
    struct test_txn txn = txn_new(f, TXN_RENAME, dir, name);

    txn.command.flags = flags;
    txn.command.to_dir = txn.command.txn.to_dir = to_dir;
    txn.command.to_name = txn.command.txn.to_name = slice_of(to_name);
    return txn;
}

struct test_txn txn_to_eventual(struct exec_fixture *f, uint64_t dir,
                                const char *name, uint64_t nsid)
{
    struct test_txn txn = txn_new(f, TXN_TO_EVENTUAL, dir, name);

    txn.command.ino = ino_of_nsid(nsid);
    return txn;
}

struct test_txn txn_to_strong(struct exec_fixture *f, uint64_t dir,
                              const char *name, uint64_t nsid, uint64_t epoch)
{
    struct test_txn txn = txn_new(f, TXN_TO_STRONG, dir, name);

    txn.nsid = nsid;
    txn.command.ino = ino_of_nsid(nsid);
    txn.command.offset = epoch;
    return txn;
}

static int step(struct exec_fixture *f, const struct test_txn *txn,
                enum command_op op)
{
    struct command command = txn->command;

    command.op = op;
    memcpy(command.changes, txn->changes, sizeof txn->changes);
    command.change_count = txn->change_count;
    for (size_t i = 0; i < txn->change_count; i++)
        command.changes[i].name = slice_of(txn->names[i]);
    return run(f, &command);
}

int prepare(struct exec_fixture *f, struct test_txn *txn)
{
    int rc = step(f, txn, COMMAND_TXN_PREPARE);

    if (rc != 0)
        return rc;
    txn->change_count = f->result.change_count;
    for (size_t i = 0; i < txn->change_count; i++) {
        struct slice name = f->result.changes[i].name;

        assert_true(name.size < sizeof txn->names[i]);
        txn->changes[i] = f->result.changes[i];
        memset(txn->names[i], 0, sizeof txn->names[i]);
        if (name.size > 0)
            memcpy(txn->names[i], name.data, name.size);
    }
    return 0;
}

int decide(struct exec_fixture *f, const struct test_txn *txn)
{
    return step(f, txn, COMMAND_TXN_DECIDE);
}

int abort_txn(struct exec_fixture *f, const struct test_txn *txn)
{
    return step(f, txn, COMMAND_TXN_ABORT);
}

int resolve(struct exec_fixture *f, const struct test_txn *txn, bool committed)
{
    struct test_txn t = *txn;

    t.command.commit = committed;
    return step(f, &t, COMMAND_TXN_RESOLVE);
}

int forget(struct exec_fixture *f, const struct test_txn *txn)
{
    return step(f, txn, COMMAND_TXN_FORGET);
}

void commit(struct exec_fixture *f, struct test_txn txn)
{
    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(forget(f, &txn), 0);
}

void roll_back(struct exec_fixture *f, const struct test_txn *txn)
{
    assert_int_equal(abort_txn(f, txn), 0);
    assert_int_equal(resolve(f, txn, false), 0);
}

void assert_locked_by(struct exec_fixture *f, int rc,
                      const struct test_txn *txn)
{
    assert_int_equal(rc, ERR_LOCKED);
    assert_true(txn_id_equal(f->result.holder.id, txn->command.txn.id));
    assert_int_equal(f->result.holder.dir, txn->command.dir);
    assert_true(slice_equal(f->result.holder.name, txn->command.name));
    assert_int_equal(f->result.holder.to_dir, txn->command.to_dir);
    assert_true(slice_equal(f->result.holder.to_name, txn->command.to_name));
}

uint64_t make_dir(struct exec_fixture *f, uint64_t dir, const char *name)
{
    struct test_txn txn = txn_mkdir(f, dir, name);

    commit(f, txn);
    return txn.nsid;
}

uint64_t make_eventual(struct exec_fixture *f, uint64_t dir, const char *name)
{
    uint64_t nsid = make_dir(f, dir, name);

    commit(f, txn_to_eventual(f, dir, name, nsid));
    return nsid;
}

int try_mode(struct exec_fixture *f, uint64_t nsid, uint64_t mode,
             uint64_t epoch)
{
    return run(f, &(struct command){.op = COMMAND_DIR_MODE,
                                    .ino = ino_of_nsid(nsid),
                                    .size = mode,
                                    .offset = epoch});
}

uint64_t set_mode(struct exec_fixture *f, uint64_t nsid, enum mode_state mode,
                  uint64_t epoch)
{
    assert_int_equal(try_mode(f, nsid, (uint64_t)mode, epoch), 0);
    return f->result.first_id;
}

int try_fill(struct exec_fixture *f, uint64_t nsid)
{
    return run(
        f, &(struct command){.op = COMMAND_DIR_FILL, .ino = ino_of_nsid(nsid)});
}

uint64_t begin_filling(struct exec_fixture *f, uint64_t nsid)
{
    assert_int_equal(try_fill(f, nsid), 0);
    return f->result.first_id;
}

struct directory catalog_of(struct exec_fixture *f, uint64_t nsid)
{
    struct key key = key_directory(nsid);
    struct directory directory = {0};
    struct directory found;
    struct kv_value value = {0};

    assert_int_equal(kv_get(f->state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        directory_decode(&directory, (struct slice){value.data, value.size}),
        0);
    kv_value_release(&value);
    found = (struct directory){.nsid = directory.nsid,
                               .parent = directory.parent,
                               .attr = directory.attr,
                               .mtime_version = directory.mtime_version,
                               .mode = directory.mode};
    directory_release(&directory);
    return found;
}

struct mode mode_of(struct exec_fixture *f, uint64_t nsid)
{
    return catalog_of(f, nsid).mode;
}
