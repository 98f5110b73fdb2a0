/* SPDX-License-Identifier: Apache-2.0 */

#include "export_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/eventual_record.h"
#include "engine/pull.h"
#include "tests/sim/kv_mem.h"

/* ---- node.h, reader.h ---- */

struct env *node_env(struct node *node)
{
    return &node->fake.env;
}

struct reader *node_reader(const struct node *node)
{
    return (struct reader *)(uintptr_t)node;
}

struct eventual *node_eventual(const struct node *node)
{
    return (struct eventual *)(uintptr_t)node;
}

struct pulls *node_pulls(const struct node *node)
{
    return (struct pulls *)(uintptr_t)node;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    va_list arguments;

    assert_int_equal(level, LOG_WARN);
    node->warnings++;
    va_start(arguments, format);
    (void)vsnprintf(node->warning, sizeof node->warning, format, arguments);
    va_end(arguments);
}

void reader_start(struct reader *reader, struct read_op *op)
{
    struct node *node = (struct node *)(void *)reader;
    struct slice name = op->command->name;

    assert_null(node->read);
    assert_int_equal(op->command->op, COMMAND_TXN_EXPORT);
    assert_int_equal(op->command->txn.id.sequence, 7);
    node->dir = op->command->dir;
    assert_int_equal(op->deadline_ns, (uint64_t)TIMEOUT_MS * 1000000);
    node->question = *op->command;
    (void)snprintf(node->asked, sizeof node->asked, "%.*s", (int)name.size,
                   name.size > 0 ? (const char *)name.data : "");
    op->active = true;
    node->read = op;
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    if (op->active)
        ((struct node *)(void *)reader)->read = NULL;
    op->active = false;
}

/* ---- eventual.h, pull.h ---- */

/* The command is borrowed no longer than this. */
void eventual_start(struct eventual *eventual, struct eventual_op *op)
{
    struct node *node = (struct node *)(void *)eventual;
    struct started *started = &node->started[node->started_count++];
    const struct command *command = op->command;
    struct eventual_record record = {0};

    assert_true(node->started_count < STARTED_MAX);
    assert_null(op->work);
    assert_int_equal(command->op, COMMAND_BRING);
    assert_int_equal(command->offset, SINCE);
    assert_int_equal(eventual_decode(&record, command->data), 0);
    assert_int_equal(command->dir, record.dir);
    assert_true(slice_equal(record.name, command->name));
    (void)snprintf(started->name, sizeof started->name, "%.*s",
                   (int)record.name.size, (const char *)record.name.data);
    started->dir = record.dir;
    started->size = record.content.size;
    started->op = op;
    op->work = (struct eventual_work *)(void *)started;
    eventual_release(&record);
    if (++node->running > node->running_max)
        node->running_max = node->running;
}

void eventual_cancel(struct eventual_op *op)
{
    if (op->work != NULL)
        ((struct started *)(void *)op->work)->op = NULL;
    op->work = NULL;
}

uint64_t eventual_shown(const struct eventual *eventual)
{
    const struct node *node = (const struct node *)(const void *)eventual;

    assert_int_equal(node->running, 0);
    return FIRST_NUMBER + node->started_count;
}

bool pulls_all_keep(const struct pulls *pulls, uint64_t sequence,
                    uint64_t *ret_missing)
{
    struct node *node = (struct node *)(uintptr_t)pulls;

    node->looks++;
    node->looked_for = sequence;
    if (!node->all_keep)
        *ret_missing = SILENT_NODE;
    return node->all_keep;
}

/* ---- the fixture ---- */

static void on_done(struct txn_export *export, int status)
{
    struct fixture *f = container_of(export, struct fixture, export);

    f->done++;
    f->status = status;
}

static int setup_fresh(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    fake_env_init(&f->node.fake, NULL, kv_mem_new());
    f->export =
        (struct txn_export){.txn = {.sequence = 7},
                            .nsid = DIR_NSID,
                            .below = &f->below,
                            .since = SINCE,
                            .deadline_ns = (uint64_t)TIMEOUT_MS * 1000000,
                            .done = on_done};
    *state = f;
    return 0;
}

void go_on_with(struct fixture *f, uint64_t nsid)
{
    struct slice further = f->node.question.further;

    assert_true(f->further < domain_count(further));
    assert_int_equal(domain_nsid_at(further, f->further), nsid);
    f->further++;
    f->node.dir = nsid;
}

int setup_export(void **state)
{
    struct fixture *f;

    (void)setup_fresh(state);
    f = *state;
    txn_export_start(&f->export, &f->node);
    return 0;
}

int setup_export_tree(void **state)
{
    struct fixture *f;

    (void)setup_fresh(state);
    f = *state;
    domain_add(&f->below, 80);
    domain_add(&f->below, 70);
    txn_export_start(&f->export, &f->node);
    return 0;
}

int teardown_export(void **state)
{
    struct fixture *f = *state;

    txn_export_cancel(&f->export);
    assert_null(f->node.read);
    for (size_t i = 0; i < f->node.started_count; i++)
        assert_null(f->node.started[i].op);
    fake_env_pass(&f->node.fake, TIMEOUT_MS);
    assert_true(f->done <= 1);
    buf_unref(f->export.mtimes);
    domain_release(&f->below);
    buf_unref(f->page);
    kv_close(f->node.fake.env.state);
    free(f);
    return 0;
}

void put(struct fixture *f, const char *name, size_t size)
{
    uint8_t *content = mem_zalloc(size + 1);
    const struct eventual_record record = {.dir = f->node.dir,
                                           .name = slice_of(name),
                                           .attr.size = size,
                                           .content = {content, size}};
    struct buf *bytes = eventual_encode(&record);
    size_t before = f->page == NULL ? 0 : f->page->size;
    struct buf *page = buf_new(before + 4 + bytes->size);

    if (before > 0)
        memcpy(page->data, f->page->data, before);
    be32_put(page->data + before, (uint32_t)bytes->size);
    memcpy(page->data + before + 4, bytes->data, bytes->size);
    buf_unref(f->page);
    buf_unref(bytes);
    free(content);
    f->page = page;
}

void put_files(struct fixture *f, size_t count)
{
    char name[NAME_SIZE];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%03zu", i);
        put(f, name, 10);
    }
}

/* The mtimes of what the page begins: of each, ten times its number. */
static struct buf *make_answer(const struct fixture *f)
{
    const struct command *question = &f->node.question;
    bool begins = question->name.size == 0 && question->offset == 0;
    size_t page_size = f->page == NULL ? 0 : f->page->size;
    struct buf *data = buf_new((begins + f->further) * 8 + page_size);
    uint8_t *to = data->data;

    if (begins) {
        be64_put(to, 10 * question->dir);
        to += 8;
    }
    for (size_t i = 0; i < f->further; i++, to += 8)
        be64_put(to, 10 * domain_nsid_at(question->further, i));
    if (page_size > 0)
        memcpy(to, f->page->data, page_size);
    return data;
}

void answer(struct fixture *f, int status, bool at_end, const char *next)
{
    struct read_op *read = f->node.read;
    struct result result = {
        .status = status, .at_end = at_end, .offset = f->further};

    assert_non_null(read);
    result.data_buf = make_answer(f);
    result.data = buf_slice(result.data_buf);
    memcpy(result.next, next, strlen(next));
    buf_unref(f->page);
    f->page = NULL;
    f->further = 0;
    f->node.read = NULL;
    read->active = false;
    read->done(read, status, &result);
    result_release(&result);
}

void bring(struct fixture *f, size_t at, int status)
{
    struct eventual_op *op = f->node.started[at].op;

    assert_non_null(op);
    f->node.started[at].op = NULL;
    f->node.running--;
    op->work = NULL;
    op->done(op, status, &(struct result){.status = status});
}

void bring_all(struct fixture *f)
{
    for (size_t i = 0; i < f->node.started_count; i++)
        if (f->node.started[i].op != NULL)
            bring(f, i, 0);
}

void expect_asked(const struct fixture *f, const char *name, bool itself)
{
    assert_string_equal(f->node.asked, name);
    assert_int_equal(f->node.question.offset != 0, itself);
}

void expect_end(const struct fixture *f, int status)
{
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, status);
    assert_null(f->node.read);
    assert_int_equal(f->node.running, 0);
}
