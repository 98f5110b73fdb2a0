/* SPDX-License-Identifier: Apache-2.0 */

/* test_sim_check [DIR]
 *
 * Short histories that sim_check.h must accept or reject. With DIR it tests
 * nothing, but writes those that lincheck.py can judge, too, to
 * DIR/good-*.jsonl and DIR/bad-*.jsonl. */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/sim_check.h"
#include "tests/sim/sim_lincheck.h"

enum { DIR_D = 1024, STEP_NS = 100, OP_NS = 50 };

/* Names; and inode numbers of what is there. */
enum { A, B, D };
enum { INO_A = 10, INO_B = 11 };

struct story {
    struct sim_history history;
    uint64_t now_ns;
};

/* ---- telling ---- */

/* One operation after the other, unless together() says otherwise. */
static struct sim_op *tell(struct story *s, enum request_kind kind)
{
    struct sim_op *op = sim_history_add(&s->history);

    op->kind = kind;
    op->dir = NSID_ROOT;
    op->call_ns = s->now_ns += STEP_NS;
    op->return_ns = op->call_ns + OP_NS;
    op->outcome = SIM_OP_OK;
    return op;
}

/* This operation and the last one overlapped. */
static void together(struct story *s)
{
    struct sim_op *ops = s->history.ops;
    size_t last = s->history.count - 1;

    ops[last].call_ns = ops[last - 1].call_ns;
    ops[last].client = ops[last - 1].client + 1;
    ops[last - 1].return_ns = ops[last].return_ns;
}

static struct sim_op *refused(struct sim_op *op, int status)
{
    op->outcome = SIM_OP_REFUSED;
    op->status = status;
    return op;
}

static struct sim_op *unknown(struct sim_op *op)
{
    op->outcome = SIM_OP_UNKNOWN;
    op->return_ns = UINT64_MAX;
    return op;
}

static struct sim_op *create(struct story *s, uint8_t name, uint64_t ino,
                             unsigned flags)
{
    struct sim_op *op = tell(s, REQUEST_CREATE);

    op->name = name;
    op->flags = flags;
    op->ret_ino = ino;
    op->created = true;
    return op;
}

/* `offset` is where it landed; a TRUNCATE has 0. */
static struct sim_op *write_file(struct story *s, uint8_t name, uint64_t ino,
                                 unsigned flags, uint32_t offset)
{
    struct sim_op *op = tell(s, REQUEST_WRITE);

    op->name = name;
    op->ino = op->ret_ino = ino;
    op->flags = flags;
    op->piece_size = 10;
    op->ret_offset = offset;
    op->ret_size = offset + 10;
    return op;
}

static struct sim_op *put(struct story *s, uint8_t name, uint64_t ino)
{
    return write_file(s, name, ino, REQUEST_TRUNCATE, 0);
}

static struct sim_op *append(struct story *s, uint32_t offset)
{
    return write_file(s, A, INO_A, REQUEST_APPEND, offset);
}

/* Reads these pieces; 0 ends them. */
static struct sim_op *get(struct story *s, uint8_t name, uint64_t ino,
                          const uint32_t *tags)
{
    struct sim_op *op = tell(s, REQUEST_READ);

    op->name = name;
    op->ino = op->ret_ino = ino;
    op->first_tag = tags[0];
    for (; *tags != 0; tags++) {
        op->content = sim_fold_piece(op->content, *tags);
        op->ret_size += 10;
    }
    return op;
}

#define GET(s, name, ino, ...)                                                 \
    get(s, name, ino, (const uint32_t[]){__VA_ARGS__, 0})

/* `ino` 0: not found. */
static struct sim_op *lookup(struct story *s, uint8_t name, uint64_t ino)
{
    struct sim_op *op = tell(s, REQUEST_LOOKUP);

    op->name = name;
    op->ret_ino = ino;
    return ino == 0 ? refused(op, ERR_NOT_FOUND) : op;
}

static struct sim_op *unlink_name(struct story *s, uint8_t name)
{
    struct sim_op *op = tell(s, REQUEST_UNLINK);

    op->name = name;
    return op;
}

static struct sim_op *mkdir_d(struct story *s)
{
    struct sim_op *op = tell(s, REQUEST_MKDIR);

    op->name = D;
    op->ret_ino = ino_of_nsid(DIR_D);
    return op;
}

static struct sim_op *rmdir_d(struct story *s)
{
    struct sim_op *op = tell(s, REQUEST_RMDIR);

    op->name = D;
    return op;
}

static struct sim_op *rename_a_to_b(struct story *s, unsigned flags)
{
    struct sim_op *op = tell(s, REQUEST_RENAME);

    op->name = A;
    op->to_dir = NSID_ROOT;
    op->to_name = B;
    op->flags = flags;
    return op;
}

static struct sim_op *list(struct story *s, uint8_t behind, bool at_end)
{
    struct sim_op *op = tell(s, REQUEST_READDIR);

    op->behind = behind;
    op->at_end = at_end;
    return op;
}

static void lists(struct sim_op *op, uint8_t name, uint64_t ino)
{
    op->content += sim_fold_name(name, ino);
    op->entry_count++;
}

static struct sim_op *on_a(struct story *s, enum request_kind kind)
{
    struct sim_op *op = tell(s, kind);

    op->name = A;
    op->ino = INO_A;
    return op;
}

/* ---- stories ---- */

static void a_and_b(struct story *s)
{
    create(s, A, INO_A, 0);
    create(s, B, INO_B, 0);
}

static void stale_read(struct story *s)
{
    create(s, A, INO_A, 0);
    put(s, A, INO_A);
    put(s, A, INO_A);
    GET(s, A, INO_A, 2);
}

static void read_of_what_was_never_written(struct story *s)
{
    create(s, A, INO_A, 0);
    GET(s, A, INO_A, 77);
}

static void either_of_two_puts(struct story *s)
{
    create(s, A, INO_A, 0);
    put(s, A, INO_A);
    put(s, A, INO_A);
    together(s);
    GET(s, A, INO_A, 2);
}

static void two_reads_that_disagree(struct story *s)
{
    either_of_two_puts(s);
    GET(s, A, INO_A, 3);
}

static void lost_append(struct story *s)
{
    create(s, A, INO_A, 0);
    append(s, 0);
    append(s, 10);
    GET(s, A, INO_A, 2);
}

static void append_over_another_one(struct story *s)
{
    create(s, A, INO_A, 0);
    append(s, 0);
    append(s, 0);
}

static void append_done_twice(struct story *s)
{
    create(s, A, INO_A, 0);
    append(s, 0);
    GET(s, A, INO_A, 2, 2);
}

static void appends_in_another_order(struct story *s)
{
    create(s, A, INO_A, 0);
    append(s, 0);
    append(s, 10);
    GET(s, A, INO_A, 3, 2);
}

static void appends_at_once(struct story *s)
{
    create(s, A, INO_A, 0);
    append(s, 10);
    append(s, 0);
    together(s);
    GET(s, A, INO_A, 3, 2);
}

static void torn_value(struct story *s)
{
    create(s, A, INO_A, 0);
    put(s, A, INO_A);
    GET(s, A, INO_A, 2)->malformed = true;
}

static void two_exclusive_creates(struct story *s)
{
    create(s, A, INO_A, REQUEST_EXCLUSIVE);
    create(s, A, INO_B, REQUEST_EXCLUSIVE);
    together(s);
}

static void one_of_two_exclusive_creates(struct story *s)
{
    create(s, A, INO_A, REQUEST_EXCLUSIVE);
    refused(create(s, A, 0, REQUEST_EXCLUSIVE), ERR_EXISTS);
    together(s);
}

static void no_winner_of_two_creates(struct story *s)
{
    refused(create(s, A, 0, REQUEST_EXCLUSIVE), ERR_EXISTS);
    refused(create(s, A, 0, REQUEST_EXCLUSIVE), ERR_EXISTS);
    together(s);
}

static void created_and_not_found(struct story *s)
{
    create(s, A, INO_A, 0);
    lookup(s, A, 0);
}

static void rename_that_leaves_both(struct story *s)
{
    create(s, A, INO_A, 0);
    rename_a_to_b(s, 0);
    lookup(s, B, INO_A);
    lookup(s, A, INO_A);
}

static void rename_that_leaves_neither(struct story *s)
{
    create(s, A, INO_A, 0);
    rename_a_to_b(s, 0);
    lookup(s, A, 0);
    lookup(s, B, 0);
}

static void rename_of_the_wrong_one(struct story *s)
{
    a_and_b(s);
    put(s, A, INO_A);
    put(s, B, INO_B);
    rename_a_to_b(s, 0);
    GET(s, B, INO_B, 4);
}

static void rename_over_another(struct story *s)
{
    a_and_b(s);
    put(s, A, INO_A);
    rename_a_to_b(s, 0);
    lookup(s, A, 0);
    GET(s, B, INO_A, 3);
}

static void rename_of_nothing(struct story *s)
{
    rename_a_to_b(s, 0);
}

static void noreplace_that_replaces(struct story *s)
{
    a_and_b(s);
    rename_a_to_b(s, REQUEST_NOREPLACE);
}

static void noreplace_refused_for_nothing(struct story *s)
{
    create(s, A, INO_A, 0);
    refused(rename_a_to_b(s, REQUEST_NOREPLACE), ERR_EXISTS);
}

static void half_an_exchange(struct story *s)
{
    a_and_b(s);
    rename_a_to_b(s, REQUEST_EXCHANGE);
    lookup(s, A, INO_B);
    lookup(s, B, INO_B);
}

static void exchange(struct story *s)
{
    a_and_b(s);
    rename_a_to_b(s, REQUEST_EXCHANGE);
    lookup(s, A, INO_B);
    lookup(s, B, INO_A);
}

static void unlinked_and_back(struct story *s)
{
    create(s, A, INO_A, 0);
    unlink_name(s, A);
    lookup(s, A, INO_A);
}

static void unlinked_twice(struct story *s)
{
    create(s, A, INO_A, 0);
    unlink_name(s, A);
    unlink_name(s, A);
    together(s);
}

static void write_through_a_stale_handle(struct story *s)
{
    create(s, A, INO_A, 0);
    unlink_name(s, A);
    create(s, A, INO_B, 0);
    put(s, A, INO_A);
}

static void two_mkdirs(struct story *s)
{
    mkdir_d(s);
    mkdir_d(s)->ret_ino = ino_of_nsid(DIR_D + 1);
    together(s);
}

static void directory_that_vanished(struct story *s)
{
    mkdir_d(s);
    lookup(s, D, 0);
}

static void rmdir_of_what_is_not_empty(struct story *s)
{
    mkdir_d(s);
    create(s, A, INO_A, 0)->dir = DIR_D;
    rmdir_d(s);
}

static void rmdir_refused_for_nothing(struct story *s)
{
    mkdir_d(s);
    refused(rmdir_d(s), ERR_NOT_EMPTY);
}

static void create_in_what_was_removed(struct story *s)
{
    mkdir_d(s);
    rmdir_d(s);
    create(s, A, INO_A, 0)->dir = DIR_D;
}

static void directory_below_itself(struct story *s)
{
    struct sim_op *op;

    mkdir_d(s);
    op = rename_a_to_b(s, 0);
    op->name = D;
    op->to_dir = DIR_D;
}

static void listing_without_a_name(struct story *s)
{
    a_and_b(s);
    lists(list(s, SIM_NAMES_MAX, true), A, INO_A);
}

static void listing_of_another_file(struct story *s)
{
    create(s, A, INO_A, 0);
    lists(list(s, SIM_NAMES_MAX, true), A, INO_B);
}

static void page_that_hides_a_name(struct story *s)
{
    a_and_b(s);
    lists(list(s, SIM_NAMES_MAX, false), B, INO_B);
}

static void page_that_hides_the_rest(struct story *s)
{
    a_and_b(s);
    lists(list(s, SIM_NAMES_MAX, true), A, INO_A);
}

static void pages(struct story *s)
{
    a_and_b(s);
    lists(list(s, SIM_NAMES_MAX, false), A, INO_A);
    lists(list(s, A, true), B, INO_B);
}

static void getattr_of_another_size(struct story *s)
{
    create(s, A, INO_A, 0);
    put(s, A, INO_A);
    on_a(s, REQUEST_GETATTR)->ret_ino = INO_A;
}

static void setattr_without_effect(struct story *s)
{
    struct sim_op *op;

    create(s, A, INO_A, 0);
    op = on_a(s, REQUEST_SETATTR);
    op->ret_ino = INO_A;
    op->gid = op->tag;
    lookup(s, A, INO_A);
}

static void setattr_with_effect(struct story *s)
{
    struct sim_op *op;

    create(s, A, INO_A, 0);
    op = on_a(s, REQUEST_SETATTR);
    op->ret_ino = INO_A;
    op->gid = op->tag;
    lookup(s, A, INO_A)->gid = 2;
}

static void xattr_lost(struct story *s)
{
    create(s, A, INO_A, 0);
    on_a(s, REQUEST_SETXATTR);
    refused(on_a(s, REQUEST_GETXATTR), ERR_NO_DATA);
}

static void xattr_of_before(struct story *s)
{
    create(s, A, INO_A, 0);
    on_a(s, REQUEST_SETXATTR);
    on_a(s, REQUEST_SETXATTR);
    on_a(s, REQUEST_GETXATTR)->xattr = 2;
}

static void xattr_removed_and_there(struct story *s)
{
    create(s, A, INO_A, 0);
    on_a(s, REQUEST_SETXATTR);
    on_a(s, REQUEST_REMOVEXATTR);
    on_a(s, REQUEST_GETXATTR)->xattr = 2;
}

static void two_new_xattrs(struct story *s)
{
    create(s, A, INO_A, 0);
    on_a(s, REQUEST_SETXATTR)->flags = REQUEST_XATTR_CREATE;
    on_a(s, REQUEST_SETXATTR)->flags = REQUEST_XATTR_CREATE;
}

static void failed_write_that_is_there(struct story *s)
{
    struct sim_op *op;

    create(s, A, INO_A, 0);
    op = put(s, A, INO_A);
    op->outcome = SIM_OP_FAILED;
    op->status = ERR_NO_QUORUM;
    GET(s, A, INO_A, 2);
}

static void unknown_write_seen(struct story *s)
{
    create(s, A, INO_A, 0);
    unknown(put(s, A, INO_A));
    GET(s, A, INO_A, 2);
}

static void unknown_write_seen_late(struct story *s)
{
    create(s, A, INO_A, 0);
    put(s, A, INO_A);
    unknown(put(s, A, INO_A));
    GET(s, A, INO_A, 2);
    GET(s, A, INO_A, 3);
}

static void unknown_write_seen_and_gone(struct story *s)
{
    create(s, A, INO_A, 0);
    put(s, A, INO_A);
    unknown(put(s, A, INO_A));
    GET(s, A, INO_A, 3);
    GET(s, A, INO_A, 2);
}

static void unknown_write_seen_too_early(struct story *s)
{
    create(s, A, INO_A, 0);
    GET(s, A, INO_A, 3);
    unknown(put(s, A, INO_A));
}

/* ---- all of them ---- */

/* What lincheck.py says: not all kinds of operations are known to it. */
enum opinion { AGREES, CANNOT_TELL };

struct row {
    const char *name;
    void (*tell)(struct story *s);
    enum sim_verdict verdict;
    enum opinion second;
};

#define GOOD(story, second)                                                    \
    {                                                                          \
#story, story, SIM_LINEARIZABLE, second                                \
    }
#define BAD(story, second)                                                     \
    {                                                                          \
#story, story, SIM_NOT_LINEARIZABLE, second                            \
    }

static struct row rows[] = {
    GOOD(either_of_two_puts, AGREES),
    GOOD(appends_at_once, AGREES),
    GOOD(one_of_two_exclusive_creates, AGREES),
    GOOD(rename_over_another, AGREES),
    GOOD(exchange, CANNOT_TELL),
    GOOD(pages, CANNOT_TELL),
    GOOD(setattr_with_effect, CANNOT_TELL),
    GOOD(unknown_write_seen, AGREES),
    GOOD(unknown_write_seen_late, AGREES),
    BAD(stale_read, AGREES),
    BAD(read_of_what_was_never_written, AGREES),
    BAD(two_reads_that_disagree, AGREES),
    BAD(lost_append, CANNOT_TELL),
    BAD(append_over_another_one, AGREES),
    BAD(append_done_twice, CANNOT_TELL),
    BAD(appends_in_another_order, AGREES),
    BAD(torn_value, CANNOT_TELL),
    BAD(two_exclusive_creates, AGREES),
    BAD(no_winner_of_two_creates, AGREES),
    BAD(created_and_not_found, AGREES),
    BAD(rename_that_leaves_both, AGREES),
    BAD(rename_that_leaves_neither, AGREES),
    BAD(rename_of_the_wrong_one, AGREES),
    BAD(rename_of_nothing, AGREES),
    BAD(noreplace_that_replaces, CANNOT_TELL),
    BAD(noreplace_refused_for_nothing, AGREES),
    BAD(half_an_exchange, CANNOT_TELL),
    BAD(unlinked_and_back, AGREES),
    BAD(unlinked_twice, AGREES),
    BAD(write_through_a_stale_handle, CANNOT_TELL),
    BAD(two_mkdirs, AGREES),
    BAD(directory_that_vanished, AGREES),
    BAD(rmdir_of_what_is_not_empty, CANNOT_TELL),
    BAD(rmdir_refused_for_nothing, CANNOT_TELL),
    BAD(create_in_what_was_removed, CANNOT_TELL),
    BAD(directory_below_itself, CANNOT_TELL),
    BAD(listing_without_a_name, CANNOT_TELL),
    BAD(listing_of_another_file, CANNOT_TELL),
    BAD(page_that_hides_a_name, CANNOT_TELL),
    BAD(page_that_hides_the_rest, CANNOT_TELL),
    BAD(getattr_of_another_size, AGREES),
    BAD(setattr_without_effect, CANNOT_TELL),
    BAD(xattr_lost, CANNOT_TELL),
    BAD(xattr_of_before, CANNOT_TELL),
    BAD(xattr_removed_and_there, CANNOT_TELL),
    BAD(two_new_xattrs, CANNOT_TELL),
    BAD(failed_write_that_is_there, AGREES),
    BAD(unknown_write_seen_and_gone, AGREES),
    BAD(unknown_write_seen_too_early, AGREES),
};

static void test_row(void **state)
{
    const struct row *row = *state;
    struct story s = {.now_ns = 0};

    row->tell(&s);
    assert_int_equal(sim_check(&s.history, NULL), row->verdict);
    sim_history_close(&s.history);
}

static int judge_all(void)
{
    struct CMUnitTest tests[ARRAY_SIZE(rows)];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = test_row,
                                       .initial_state = &rows[i]};
    return cmocka_run_group_tests_name("sim check", tests, NULL, NULL);
}

static int write_one(const struct row *row, const char *folder)
{
    struct story s = {.now_ns = 0};
    char path[4096];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/%s-%s.jsonl", folder,
                   row->verdict == SIM_LINEARIZABLE ? "good" : "bad",
                   row->name);
    out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        return 1;
    }
    row->tell(&s);
    sim_lincheck_write(&s.history, NULL, out);
    sim_history_close(&s.history);
    return fclose(out) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    int failed = 0;

    if (argc < 2)
        return judge_all();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].second == AGREES)
            failed |= write_one(&rows[i], argv[1]);
    return failed;
}
