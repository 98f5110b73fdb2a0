/* SPDX-License-Identifier: Apache-2.0 */

#include "read_fixture.h"

#include <stdlib.h>

#include "tests/engine/kv_helpers.h"

int setup_read(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    void *exec = NULL;

    (void)setup_exec(&exec);
    f->exec = exec;
    f->dir = make_dir(f->exec, NSID_ROOT, "d");
    f->parts[0] = (struct read_part){.region = LEFT};
    f->part_count = 1;
    *state = f;
    return 0;
}

int teardown_read(void **state)
{
    struct fixture *f = *state;

    result_release(&f->exec->result);
    kv_close(f->exec->state);
    free(f->exec);
    free(f);
    return 0;
}

void cut(struct fixture *f, size_t at, uint64_t region, const char *name)
{
    struct slice bound;

    f->bounds[at] = key_user('d', f->dir, slice_of(name));
    bound = key_user_part(&f->bounds[at]);
    f->parts[at - 1].range.end = bound;
    f->parts[at] = (struct read_part){.region = region, .range = {bound, {0}}};
}

void put_part(struct fixture *f, const char *name,
              struct namespace_record record)
{
    struct buf *bytes;

    record.nsid = f->dir;
    record.domain = NSID_ROOT;
    bytes = namespace_encode(&record);
    put_record(f->exec->state, key_user('n', f->dir, slice_of(name)),
               buf_slice(bytes));
    buf_unref(bytes);
}

int read_it(struct fixture *f, const struct command *command)
{
    struct read_view view = {f->parts, f->part_count};

    result_release(&f->exec->result);
    f->exec->result = (struct result){0};
    return read_execute(f->exec->state, &view, command, &f->exec->unknown,
                        &f->exec->result);
}

void assert_needed(const struct fixture *f, uint64_t dir, const char *name)
{
    struct key key = key_user('d', dir, slice_of(name));

    assert_true(
        slice_equal(key_slice(&f->exec->unknown.needed), key_slice(&key)));
}
