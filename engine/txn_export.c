/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/txn_export.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/eventual_items.h"
#include "engine/key_path.h"
#include "engine/pull.h"

enum { LOOK_MS = 10, MTIME_SIZE = 8 };

static struct eventual *eventual_of(const struct txn_export *export)
{
    return node_eventual(export->node);
}

static struct shown_path show(const struct txn_export *export, uint64_t nsid)
{
    return key_path_show(node_env(export->node)->state, nsid);
}

static void release(struct txn_export *export)
{
    buf_unref(export->items);
    buf_unref(export->sorted_bytes);
    buf_unref(export->sorted_mtimes);
    domain_release(&export->sorted);
    free(export->brings);
    export->items = NULL;
    export->sorted_bytes = NULL;
    export->sorted_mtimes = NULL;
    export->brings = NULL;
    export->node = NULL;
}

void txn_export_cancel(struct txn_export *export)
{
    if (export->node == NULL)
        return;
    reader_cancel(node_reader(export->node), &export->read);
    for (size_t i = 0; i < BRINGS_MAX; i++)
        eventual_cancel(&export->brings[i].op);
    env_timer_stop(node_env(export->node), &export->look);
    release(export);
}

/* As they come with the decision: in the order in which they were listed. */
static int list_mtimes(struct txn_export *export)
{
    size_t count = export->below->count;
    const uint8_t *sorted = export->sorted_mtimes->data;
    struct buf *mtimes = buf_new((1 + count) * MTIME_SIZE);

    if (mtimes == NULL)
        return ERR_NO_MEMORY;
    memcpy(mtimes->data, sorted, MTIME_SIZE);
    for (size_t i = 0; i < count; i++) {
        size_t at = domain_find(&export->sorted, export->below->nsids[i]);

        memcpy(mtimes->data + (1 + i) * MTIME_SIZE,
               sorted + (1 + at) * MTIME_SIZE, MTIME_SIZE);
    }
    buf_unref(export->mtimes);
    export->mtimes = mtimes;
    return 0;
}

static void end(struct txn_export *export, int status)
{
    if (status == 0)
        status = list_mtimes(export);
    release(export);
    export->done(export, status);
}

/* ---- until all nodes have it ---- */

static bool is_late(const struct txn_export *export)
{
    return env_mono_ns(node_env(export->node)) >= export->deadline_ns;
}

static void say_missing(struct txn_export *export, uint64_t missing)
{
    node_log_event(export->node, LOG_WARN,
                   "directory %s stays strong: node %" PRIu64
                   " has not taken in time what is in it",
                   show(export, export->nsid).text, missing);
    export->has_said = true;
}

static void look(struct env_timer *timer)
{
    struct txn_export *export = container_of(timer, struct txn_export, look);
    uint64_t missing = 0;

    if (export->sequence == 0 ||
        pulls_all_keep(node_pulls(export->node), export->sequence, &missing)) {
        end(export, 0);
    } else if (is_late(export)) {
        say_missing(export, missing);
        end(export, ERR_NO_QUORUM);
    } else {
        env_timer_start(node_env(export->node), timer,
                        (uint64_t)LOOK_MS * 1000000);
    }
}

/* ---- a page ---- */

static void read_page(struct txn_export *export);
static void bring_some(struct txn_export *export);

static void brought(struct eventual_op *op, int status,
                    const struct result *result)
{
    struct txn_bring *bring = container_of(op, struct txn_bring, op);
    struct txn_export *export = bring->export;

    (void)result;
    export->running--;
    if (export->status == 0)
        export->status = status == ERR_EPOCH ? ERR_ABORTED : status;
    bring_some(export);
}

static struct txn_bring *find_free(struct txn_export *export)
{
    for (size_t i = 0; i < BRINGS_MAX; i++)
        if (export->brings[i].op.work == NULL)
            return &export->brings[i];
    return NULL;
}

/* Where the next page begins, unless the answer said so. */
static void keep_place(struct txn_export *export, struct slice name)
{
    assert(name.size <= NAME_SIZE_MAX);
    if (export->question.offset != 0)
        return;
    memcpy(export->name, name.data, name.size);
    export->question.name = (struct slice){export->name, name.size};
}

/* The next file of the page. */
static int bring_one(struct txn_export *export, struct txn_bring *bring)
{
    struct eventual_record record = {0};
    struct slice bytes;
    int rc = ERR_CORRUPT;

    if (eventual_items_next(buf_slice(export->items), &export->at, &bytes))
        rc = eventual_decode(&record, bytes);
    if (rc == 0) {
        struct command command = {.op = COMMAND_BRING,
                                  .dir = record.dir,
                                  .name = record.name,
                                  .offset = export->since,
                                  .data = bytes};

        keep_place(export, record.name);
        bring->export = export;
        bring->op = (struct eventual_op){.command = &command, .done = brought};
        export->running++;
        eventual_start(eventual_of(export), &bring->op);
        bring->op.command = NULL;
    }
    eventual_release(&record);
    return rc;
}

static size_t size_of(const struct txn_export *export)
{
    return export->items == NULL ? 0 : export->items->size;
}

static void begin_namespace(struct txn_export *export, uint64_t nsid)
{
    export->question = (struct command){
        .op = COMMAND_TXN_EXPORT, .dir = nsid, .txn = {.id = export->txn}};
    read_page(export);
}

static void end_page(struct txn_export *export)
{
    if (export->status != 0) {
        end(export, export->status);
    } else if (!export->at_end) {
        read_page(export);
    } else if (export->below_at < export->sorted.count) {
        begin_namespace(export, export->sorted.nsids[export->below_at++]);
    } else {
        export->look.fire = look;
        look(&export->look);
    }
}

static void bring_some(struct txn_export *export)
{
    struct txn_bring *bring;

    while (export->status == 0 && export->at < size_of(export) &&
           (bring = find_free(export)) != NULL)
        export->status = bring_one(export, bring);
    if (export->running > 0)
        return;
    if (size_of(export) > 0)
        export->sequence = eventual_shown(eventual_of(export));
    end_page(export);
}

/* ---- reading ---- */

/* What the page begins, which may be more than one of them. Files come behind
 * their mtimes. */
static int take_begun(struct txn_export *export, const struct result *result)
{
    struct command *question = &export->question;
    bool begins = question->name.size == 0 && question->offset == 0;
    size_t size = (begins + result->offset) * MTIME_SIZE;
    size_t first = export->below_at + !begins;

    if (result->offset > domain_count(question->further) ||
        size > result->data.size)
        return ERR_CORRUPT;
    if (size > 0)
        memcpy(export->sorted_mtimes->data + first * MTIME_SIZE,
               result->data.data, size);
    export->at = size;
    if (result->offset > 0) {
        export->below_at += result->offset;
        question->dir = export->sorted.nsids[export->below_at - 1];
        question->name.size = 0;
        question->offset = 0;
    }
    return 0;
}

static void say_too_large(struct txn_export *export)
{
    node_log_event(export->node, LOG_WARN,
                   "directory %s stays strong: a file in directory %s is "
                   "larger than 1 MiB",
                   show(export, export->nsid).text,
                   show(export, export->question.dir).text);
    export->has_said = true;
}

static void page_read(struct read_op *read, int status, struct result *result)
{
    struct txn_export *export = container_of(read, struct txn_export, read);
    size_t size = strlen(result->next);

    if (status == 0)
        status = take_begun(export, result);
    if (status == ERR_TOO_LARGE)
        say_too_large(export);
    if (status != 0) {
        end(export, status);
        return;
    }
    buf_unref(export->items);
    export->items =
        result->data.size > export->at ? buf_ref(result->data_buf) : NULL;
    export->at_end = result->at_end;
    export->question.offset = size > 0 ? 1 : 0;
    if (size > 0) {
        memcpy(export->name, result->next, size);
        export->question.name = (struct slice){export->name, size};
    }
    bring_some(export);
}

static void read_page(struct txn_export *export)
{
    export->question.further =
        domain_further(buf_slice(export->sorted_bytes), export->below_at);
    export->read.command = &export->question;
    export->read.deadline_ns = export->deadline_ns;
    export->read.done = page_read;
    reader_start(node_reader(export->node), &export->read);
}

void txn_export_start(struct txn_export *export, struct node *node)
{
    export->node = node;
    export->below_at = 0;
    export->has_said = false;
    export->status = 0;
    export->sequence = 0;
    export->running = 0;
    export->brings = mem_zalloc(BRINGS_MAX * sizeof *export->brings);
    export->sorted = domain_sorted(export->below);
    export->sorted_bytes = domain_encode(&export->sorted);
    export->sorted_mtimes = buf_new((1 + export->sorted.count) * MTIME_SIZE);
    if (export->sorted_mtimes == NULL)
        end(export, ERR_NO_MEMORY);
    else
        begin_namespace(export, export->nsid);
}
