/* SPDX-License-Identifier: Apache-2.0 */

#include "modes_fixture.h"

#include <stdlib.h>

#include "engine/node.h"
#include "kv_helpers.h"
#include "tests/sim/kv_mem.h"

/* A watcher may ask. */
static void on_change(void *context, uint64_t nsid, struct mode before,
                      struct mode mode)
{
    struct fixture *f = context;

    assert_int_equal(modes_find(f->modes, nsid).epoch, mode.epoch);
    f->change_count++;
    f->nsid = nsid;
    f->before = before;
    f->mode = mode;
}

int setup_modes(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->kv = kv_mem_new();
    f->modes = modes_new(NODE);
    modes_watch(f->modes, on_change, f);
    *state = f;
    return 0;
}

int teardown_modes(void **state)
{
    struct fixture *f = *state;

    modes_free(f->modes);
    kv_close(f->kv);
    free(f);
    return 0;
}

void put_mode(struct fixture *f, uint64_t nsid, struct mode mode)
{
    struct directory directory = {.nsid = nsid, .parent = 1, .mode = mode};
    struct buf *bytes;

    directory.name = slice_of("d");
    directory.attr.ino = ino_of_nsid(nsid);
    bytes = directory_encode(&directory);
    put_record(f->kv, key_directory(nsid), buf_slice(bytes));
    buf_unref(bytes);
}

void put_directory(struct fixture *f, uint64_t nsid, enum mode_state mode_state,
                   uint64_t epoch)
{
    bool is_strong = mode_state == MODE_STRONG;

    put_mode(f, nsid,
             is_strong ? (struct mode){.epoch = epoch}
                       : (struct mode){mode_state, nsid, 5, epoch});
}

void put_filling(struct fixture *f, uint64_t nsid, uint64_t epoch)
{
    put_mode(f, nsid, (struct mode){MODE_STRONG, nsid, epoch, epoch});
}

void put_marker(struct fixture *f, uint64_t version)
{
    struct marker marker = {.index = 3, .term = 1, .version = version};
    uint8_t bytes[MARKER_SIZE_MAX];

    put_record(f->kv, key_marker(REGION_PLACEMENT),
               (struct slice){bytes, marker_encode(&marker, bytes)});
}

void delete_directory(struct fixture *f, uint64_t nsid)
{
    struct key key = key_directory(nsid);
    struct kv_batch *batch = kv_batch_new(f->kv);

    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(f->kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
}
