/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/kv_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/kv_rocks.h"
#include "raft/base/mem.h"
#include "tests/sim/kv_mem.h"

enum { INGEST_FILE_BYTES = 32 }; /* so that a few keys fill a file */

static struct kv *open_rocks(const struct temp_dir *dir,
                             enum kv_rocks_flavour flavour)
{
    struct err e = ERR_INIT;
    struct kv *kv = NULL;
    const struct kv_rocks_config config = {
        .dir = temp_dir_path(dir, "store"),
        .flavour = flavour,
        .create = true,
        .ingest_file_bytes_max = INGEST_FILE_BYTES,
    };

    if (kv_rocks_open(&kv, &config, &e) != 0)
        fail_msg("%s", e.text);
    return kv;
}

static struct fixture *setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    temp_dir_init(&f->dir);
    *state = f;
    return f;
}

int setup_mem(void **state)
{
    setup(state)->kv = kv_mem_new();
    return 0;
}

int setup_log(void **state)
{
    struct fixture *f = setup(state);

    f->kv = open_rocks(&f->dir, KV_ROCKS_LOG);
    return 0;
}

int setup_state(void **state)
{
    struct fixture *f = setup(state);

    f->kv = open_rocks(&f->dir, KV_ROCKS_STATE);
    return 0;
}

int teardown(void **state)
{
    struct fixture *f = *state;

    kv_close(f->kv);
    temp_dir_close(&f->dir);
    free(f);
    return 0;
}
