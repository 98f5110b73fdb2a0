/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/rocks_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raft/base/mem.h"
#include "tests/engine/kv_helpers.h"

enum { VALUE_SIZE = 1000 };

static void on_fatal(void *context, const char *reason)
{
    struct fixture *f = context;

    f->fatal_count++;
    (void)snprintf(f->fatal_reason, sizeof f->fatal_reason, "%s", reason);
}

int open_store(struct fixture *f, enum kv_rocks_flavour flavour, bool create,
               struct err *e)
{
    const struct kv_rocks_config config = {
        .dir = temp_dir_path(&f->dir, "store"),
        .flavour = flavour,
        .create = create,
        .on_fatal = on_fatal,
        .on_fatal_context = f,
    };

    return kv_rocks_open(&f->kv, &config, e);
}

void must_open(struct fixture *f, enum kv_rocks_flavour flavour)
{
    struct err e = ERR_INIT;

    if (open_store(f, flavour, true, &e) != 0)
        fail_msg("%s", e.text);
}

void close_store(struct fixture *f)
{
    kv_close(f->kv);
    f->kv = NULL;
}

int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    temp_dir_init(&f->dir);
    *state = f;
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

void entry_key(uint64_t number, char key[static ENTRY_KEY_SIZE])
{
    (void)snprintf(key, ENTRY_KEY_SIZE, "k%020llu", (unsigned long long)number);
}

void put_applied(struct kv *kv, uint64_t number)
{
    static char value[VALUE_SIZE + 1];
    struct kv_batch *batch = kv_batch_new(kv);
    char key[ENTRY_KEY_SIZE];

    memset(value, 'v', VALUE_SIZE);
    entry_key(number, key);
    kv_batch_put(batch, text_slice(key), text_slice(value));
    kv_batch_put(batch, text_slice("applied"),
                 (struct slice){&number, sizeof number});
    if (kv_write(kv, batch, KV_RELAXED, NULL) != 0)
        abort();
    kv_batch_free(batch);
}

uint64_t applied(struct kv *kv, bool durable)
{
    struct kv_value value = {.data = NULL};
    uint64_t number = 0;
    int rc = durable ? kv_get_durable(kv, text_slice("applied"), &value)
                     : kv_get(kv, NULL, text_slice("applied"), &value);

    if (rc != 0)
        return 0;
    memcpy(&number, value.data, sizeof number);
    kv_value_release(&value);
    return number;
}
