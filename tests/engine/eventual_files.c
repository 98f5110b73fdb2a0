/* SPDX-License-Identifier: Apache-2.0 */

#include "eventual_files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codec_helpers.h"
#include "kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { TEXT_SIZE = 64 * 1024 };

int setup_eventual_files(void **state)
{
    struct eventual_files *f = mem_zalloc(sizeof *f);

    f->state = kv_mem_new();
    f->ino = FILE_INO;
    f->hlc = 1000;
    add_directory(f, NSID_ROOT, slice_of("dir"), DIR, MODE_EVENTUAL);
    add_directory(f, NSID_ROOT, slice_of("other"), OTHER_DIR, MODE_EVENTUAL);
    *state = f;
    return 0;
}

static uint64_t count_class(struct kv *state, char class)
{
    const struct slice lower = {&class, 1};
    const struct slice none = {NULL, 0};
    struct kv_iter *iter = kv_iter_new(state, NULL, lower, none);
    uint64_t count = 0;

    kv_iter_seek(iter, lower);
    while (kv_iter_valid(iter) &&
           *(const char *)kv_iter_key(iter).data == class) {
        count++;
        kv_iter_next(iter);
    }
    kv_iter_free(iter);
    return count;
}

int teardown_eventual_files(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(count_class(f->state, 'i'), count_class(f->state, 'v'));
    result_release(&f->result);
    kv_close(f->state);
    free(f);
    return 0;
}

void add_directory(struct eventual_files *f, uint64_t parent, struct slice name,
                   uint64_t nsid, enum mode_state mode)
{
    const struct directory directory = {
        .nsid = nsid,
        .parent = parent,
        .name = name,
        .attr = {.ino = ino_of_nsid(nsid), .mode = S_IFDIR | 0755},
        .mode = {.state = mode},
    };
    struct buf *bytes = directory_encode(&directory);
    uint8_t number[8];

    be64_put(number, nsid);
    put_record(f->state, key_directory(nsid), buf_slice(bytes));
    put_record(f->state, key_directory_name(parent, name),
               (struct slice){number, sizeof number});
    buf_unref(bytes);
}

struct command on(struct eventual_files *f, enum command_op op,
                  const char *name)
{
    return (struct command){
        .op = op,
        .dir = DIR,
        .name = slice_of(name),
        .ino = f->ino,
        .now_ns = 5000,
        .size = WRITE_SIZE_MAX,
        .value_size_max = UINT64_MAX,
    };
}

static void store(struct eventual_files *f, struct eventual_outcome *outcome)
{
    struct kv_batch *batch = kv_batch_new(f->state);

    for (size_t i = 0; i < outcome->count; i++) {
        struct eventual_change *change = &outcome->changes[i];

        change->after.hlc = change->after.local = ++f->hlc;
        eventual_put(batch, &change->after,
                     change->before.dir != 0 ? &change->before : NULL);
    }
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

int execute(struct eventual_files *f, const struct command *command)
{
    struct eventual_outcome outcome;
    int rc = eventual_execute(f->state, command, &outcome);

    store(f, &outcome);
    assert_int_equal(outcome.result.status, rc);
    result_release(&f->result);
    f->result = outcome.result;
    f->change_count = outcome.count;
    outcome.result = (struct result){.status = 0};
    eventual_outcome_release(&outcome);
    return rc;
}

int look(struct eventual_files *f, const struct command *command)
{
    result_release(&f->result);
    f->result = (struct result){.status = 0};
    return eventual_read(f->state, command, &f->result);
}

int make(struct eventual_files *f, const char *name, struct slice content)
{
    struct command c = on(f, COMMAND_CREATE, name);

    c.ino = ++f->ino;
    c.set.mode = S_IFREG | 0644;
    c.data = content;
    return execute(f, &c);
}

int move(struct eventual_files *f, const char *name, const char *to_name,
         unsigned flags)
{
    struct command c = on(f, COMMAND_RENAME, name);

    c.to_dir = DIR;
    c.to_name = slice_of(to_name);
    c.flags = flags;
    return execute(f, &c);
}

void expect_content(struct eventual_files *f, const char *name,
                    struct slice content)
{
    struct command c = on(f, COMMAND_LOOKUP, name);

    assert_int_equal(look(f, &c), 0);
    c.op = COMMAND_READ;
    c.ino = f->result.attr.ino;
    assert_int_equal(look(f, &c), 0);
    assert_int_equal(f->result.attr.size, content.size);
    assert_slice_equal(f->result.data, content);
}

struct eventual_shown_name shown_name(struct eventual_files *f,
                                      struct slice name)
{
    const struct eventual_record record = {.name = name, .hlc = f->hlc};
    struct eventual_shown_name shown = eventual_show_name(&record);

    assert_int_equal(shown.data[shown.size], '\0');
    return shown;
}

const char *page(struct eventual_files *f, struct slice name, bool itself,
                 size_t size)
{
    static char text[TEXT_SIZE];
    struct command c = on(f, COMMAND_READDIR, "");
    struct dirent_view entry;
    size_t position = 0;

    c.name = name;
    c.offset = itself ? 1 : 0;
    c.size = size;
    assert_int_equal(look(f, &c), 0);
    text[0] = '\0';
    while (dirent_next(f->result.data_buf, &position, &entry)) {
        strcat(text, text[0] != '\0' ? " " : "");
        strcat(text, entry.name);
        strcat(text, S_ISDIR(entry.mode) ? "/" : "");
    }
    return text;
}
