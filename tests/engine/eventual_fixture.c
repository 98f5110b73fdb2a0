/* SPDX-License-Identifier: Apache-2.0 */

#include "eventual_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const uint64_t start_ns = 1000000000000000;

/* ---- a node ---- */

static bool clock_is_wrong(void *context)
{
    return ((struct eventual_fixture *)context)->clock_is_wrong;
}

static int read_clock(void *context, uint64_t *ret_wall_ns)
{
    struct eventual_fixture *f = context;

    *ret_wall_ns = env_wall_ns(&f->fake.env) - f->clock_behind_ns;
    return f->clock_status;
}

static bool disk_is_full(void *context)
{
    return ((struct eventual_fixture *)context)->disk_is_full;
}

static void flush(void *context)
{
    ((struct eventual_fixture *)context)->flush_count++;
}

static void save_catalog(void *context)
{
    ((struct eventual_fixture *)context)->save_count++;
}

static void notice(void *context)
{
    ((struct eventual_fixture *)context)->notice_count++;
}

static void on_mode(void *context, uint64_t nsid, struct mode before,
                    struct mode mode)
{
    struct eventual_fixture *f = context;

    eventual_on_mode(f->eventual, nsid, before, mode);
}

int open_again(struct eventual_fixture *f)
{
    struct eventual_config config = {.env = &f->fake.env,
                                     .node = NODE,
                                     .boot = ++f->boot,
                                     .clock_is_wrong = clock_is_wrong,
                                     .read_clock = read_clock,
                                     .disk_is_full = disk_is_full,
                                     .flush = flush,
                                     .save_catalog = save_catalog,
                                     .context = f};
    struct err e = ERR_INIT;
    int rc;

    f->modes = config.modes = modes_new(NODE);
    f->eventual = eventual_new(&config);
    modes_watch(f->modes, on_mode, f);
    eventual_watch(f->eventual, notice, f);
    assert_int_equal(modes_load(f->modes, f->state), 0);
    if (f->catalog_is_damaged)
        modes_distrust(f->modes);
    rc = eventual_open(f->eventual, &e);
    assert_int_equal(rc == 0, e.text[0] == '\0');
    return rc;
}

static void close_node(struct eventual_fixture *f)
{
    eventual_stop(f->eventual);
    fake_env_run(&f->fake);
    fake_env_forget(&f->fake);
    eventual_free(f->eventual);
    modes_free(f->modes);
}

void cut_power(struct eventual_fixture *f)
{
    close_node(f);
    kv_mem_crash(f->log, 0);
    kv_mem_crash(f->state, f->kept_count);
}

void crash(struct eventual_fixture *f)
{
    cut_power(f);
    assert_int_equal(open_again(f), 0);
}

int setup_eventual(void **state)
{
    struct eventual_fixture *f = mem_zalloc(sizeof *f);

    f->log = kv_mem_new();
    f->state = kv_mem_new();
    fake_env_init(&f->fake, f->log, f->state);
    f->fake.now_ns = start_ns;
    assert_int_equal(open_again(f), 0);
    apply_mode(f, DIR, MODE_EVENTUAL, SINCE, VERSION);
    eventual_set_whole(f->eventual);
    fake_env_run(&f->fake);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    *state = f;
    return 0;
}

/* Where all entries can be read. */
static void check_digest(const struct eventual_fixture *f, uint64_t nsid)
{
    struct eventual_namespace record;
    uint64_t digest;

    if (eventual_namespace_get(f->state, NULL, nsid, &record) == 0 &&
        record.has_digest && digest_entries(f->state, nsid, &digest) == 0)
        assert_int_equal(record.digest, digest);
}

int teardown_eventual(void **state)
{
    struct eventual_fixture *f = *state;

    check_digest(f, DIR);
    close_node(f);
    assert_int_equal(f->fake.fatal_count, 0);
    kv_close(f->state);
    kv_close(f->log);
    free(f);
    return 0;
}

static void put(struct kv_batch *batch, struct key key, struct slice value)
{
    kv_batch_put(batch, key_slice(&key), value);
}

/* Takes the record. */
static void apply(struct eventual_fixture *f, struct key key,
                  struct buf *record, uint64_t version)
{
    struct marker marker = {.index = 3, .term = 1, .version = version};
    struct kv_batch *batch = kv_batch_new(f->state);
    uint8_t bytes[MARKER_SIZE_MAX];

    put(batch, key, buf_slice(record));
    put(batch, key_marker(REGION_PLACEMENT),
        (struct slice){bytes, marker_encode(&marker, bytes)});
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    buf_unref(record);
}

void apply_mode(struct eventual_fixture *f, uint64_t nsid,
                enum mode_state state, uint64_t since, uint64_t version)
{
    struct directory directory = {.nsid = nsid, .parent = 1};
    struct buf *record;

    directory.name = slice_of("d");
    directory.attr.ino = ino_of_nsid(nsid);
    directory.mode = (struct mode){state, nsid, since, version};
    record = directory_encode(&directory);
    apply(f, key_directory(nsid), record, version);
    assert_int_equal(modes_follow(f->modes, f->state, nsid, version), 0);
}

void apply_state(struct eventual_fixture *f, enum node_state state,
                 uint64_t version)
{
    struct node_record node = {.id = NODE, .state = state, .epoch = version};

    apply(f, key_node(NODE), node_encode(&node), version);
    assert_int_equal(modes_follow(f->modes, f->state, 0, version), 0);
}

void lose_state(struct eventual_fixture *f)
{
    cut_power(f);
    kv_close(f->state);
    f->state = f->fake.env.state = kv_mem_new();
    assert_int_equal(open_again(f), 0);
    apply_mode(f, DIR, MODE_EVENTUAL, SINCE, VERSION);
}

/* ---- changes that are accepted ---- */

static void op_done(struct eventual_op *op, int status,
                    const struct result *result)
{
    struct test_op *test = (struct test_op *)(void *)op;

    assert_false(test->over);
    assert_int_equal(result->status, status);
    test->over = true;
    test->status = status;
    test->attr = result->attr;
}

struct command command_on(enum command_op op, const char *name)
{
    return (struct command){.op = op,
                            .dir = DIR,
                            .ino = 77,
                            .name = slice_of(name),
                            .set.mode = S_IFREG | 0644,
                            .value_size_max = EVENTUAL_VALUE_SIZE_MAX};
}

void post_op(struct eventual_fixture *f, struct test_op *op,
             const struct command *command)
{
    *op = (struct test_op){.op = {.command = command, .done = op_done}};
    eventual_start(f->eventual, &op->op);
    assert_false(op->over);
}

void begin(struct eventual_fixture *f, struct test_op *op,
           const struct command *command)
{
    post_op(f, op, command);
    fake_env_run(&f->fake);
}

void sync_all(struct eventual_fixture *f)
{
    fake_env_sync(&f->fake, f->fake.write_count);
    fake_env_run(&f->fake);
}

void settle(struct eventual_fixture *f)
{
    fake_env_run(&f->fake);
    sync_all(f);
}

int carry_out(struct eventual_fixture *f, const struct command *command)
{
    struct test_op op;

    begin(f, &op, command);
    sync_all(f);
    assert_true(op.over);
    return op.status;
}

int create(struct eventual_fixture *f, const char *name)
{
    struct command command = command_on(COMMAND_CREATE, name);

    return carry_out(f, &command);
}

int write_text(struct eventual_fixture *f, const char *name, const char *text)
{
    struct command command = command_on(COMMAND_WRITE, name);

    command.data = slice_of(text);
    return carry_out(f, &command);
}

int unlink_name(struct eventual_fixture *f, const char *name)
{
    struct command command = command_on(COMMAND_UNLINK, name);

    return carry_out(f, &command);
}

/* ---- changes of other nodes ---- */

struct eventual_record record_of(struct eventual_fixture *f, const char *name,
                                 uint64_t counter, const char *text)
{
    struct eventual_record record = {.dir = DIR,
                                     .name = slice_of(name),
                                     .origin = OTHER,
                                     .sequence = counter,
                                     .since = SINCE,
                                     .removed = text == NULL};

    record.hlc = (f->fake.now_ns / 1000000 << STAMP_COUNTER_BITS) + counter;
    record.content = slice_of(text);
    record.attr = (struct attr){
        .ino = 88, .mode = S_IFREG | 0644, .size = record.content.size};
    return record;
}

struct buf *add_item(struct buf *items, const struct eventual_record *record,
                     uint64_t local)
{
    struct buf *bytes = eventual_encode(record);
    size_t size = items == NULL ? 0 : items->size;
    struct buf *more = buf_new(size + 12 + bytes->size);

    if (size > 0)
        memcpy(more->data, items->data, size);
    be64_put(more->data + size, local);
    be32_put(more->data + size + 8, (uint32_t)bytes->size);
    memcpy(more->data + size + 12, bytes->data, bytes->size);
    buf_unref(bytes);
    buf_unref(items);
    return more;
}

static void merge_done(struct eventual_merge *merge, int status)
{
    struct test_merge *test = (struct test_merge *)(void *)merge;

    assert_false(test->over);
    test->over = true;
    test->status = status;
}

int merge_items(struct eventual_fixture *f, struct test_merge *merge,
                struct buf *items)
{
    merge->merge.node = OTHER;
    merge->merge.items = items;
    merge->merge.complete = true;
    merge->merge.done = merge_done;
    merge->over = false;
    eventual_merge_start(f->eventual, &merge->merge);
    assert_false(merge->over);
    fake_env_run(&f->fake);
    assert_true(merge->over);
    buf_unref(items);
    return merge->status;
}

int merge_one(struct eventual_fixture *f, const struct eventual_record *record,
              uint64_t local)
{
    struct test_merge merge = {.merge = {.last = local}};

    return merge_items(f, &merge, add_item(NULL, record, local));
}

/* ---- the floor ---- */

void put_members(struct eventual_fixture *f, bool alone)
{
    struct region region = {
        .conf_ver = CONF_VER,
        .version = 1,
        .peers = {{1, NODE, PEER_VOTER}, {2, OTHER, PEER_VOTER}},
        .peer_count = alone ? 1 : 2,
        .voters = {1, 2},
        .voter_count = alone ? 1 : 2,
        .peer_max = 2,
    };
    struct buf *bytes = region_encode(&region);

    put_relaxed(f->state, key_region(REGION_PLACEMENT), buf_slice(bytes));
    buf_unref(bytes);
}

void put_floor(struct eventual_fixture *f, uint64_t hlc)
{
    uint8_t bytes[16] = {0};

    be64_put(bytes, hlc);
    put_relaxed(f->state, key_floor(), (struct slice){bytes, sizeof bytes});
}

void look(struct eventual_fixture *f)
{
    for (unsigned i = 0; i < LOOK_TICKS; i++) {
        eventual_tick(f->eventual);
        settle(f);
    }
}

/* ---- what there is ---- */

const char *text_of(struct eventual_fixture *f, const char *name)
{
    static char text[256];
    struct eventual_record record = {0};
    int rc = eventual_get(f->state, NULL, DIR, slice_of(name), true, &record);

    if (rc == ERR_NOT_FOUND || (rc == 0 && record.removed)) {
        eventual_release(&record);
        return NULL;
    }
    assert_int_equal(rc, 0);
    assert_true(record.content.size < sizeof text);
    if (record.content.size > 0)
        memcpy(text, record.content.data, record.content.size);
    text[record.content.size] = '\0';
    eventual_release(&record);
    return text;
}

bool is_known(struct eventual_fixture *f, const char *name)
{
    return has_record(f->state, key_user('v', DIR, slice_of(name)));
}

struct eventual_record known_of(struct eventual_fixture *f, const char *name)
{
    struct eventual_record record = {0};
    struct eventual_record known;

    assert_int_equal(
        eventual_get(f->state, NULL, DIR, slice_of(name), false, &record), 0);
    known = record;
    eventual_release(&record);
    return known;
}

uint64_t hlc_of(struct eventual_fixture *f, const char *name)
{
    return known_of(f, name).hlc;
}

uint64_t local_of(struct eventual_fixture *f, const char *name)
{
    return known_of(f, name).local;
}

uint64_t entry_count(struct eventual_fixture *f)
{
    struct eventual_namespace count;

    assert_int_equal(eventual_namespace_get(f->state, NULL, DIR, &count), 0);
    return count.entry_count;
}

struct eventual_counts counts_of(struct eventual_fixture *f)
{
    struct eventual_counts counts;

    eventual_count(f->eventual, &counts);
    return counts;
}
