/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/quarantine, and what it adds to health and metrics. */

#include <assert.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "engine/key_path.h"
#include "engine/quarantine.h"
#include "engine/splitter.h"
#include "engine/stamps.h"
#include "engine/status.h"
#include "engine/xattr.h"

/* What is walked through for a listing, as the worker waits for it. */
enum { LISTED_MAX = 10000, LISTED_BYTES_MAX = 64 * 1024 * 1024 };

static struct kv *state_of(struct node *node)
{
    return node_env(node)->state;
}

bool status_count_quarantine(struct node *node, uint64_t *ret_count)
{
    struct quarantine_head head;

    if (quarantine_head_get(state_of(node), &head) != 0)
        return false;
    *ret_count = head.count;
    return true;
}

/* The oldest ones: the others follow when these are dropped. */
void status_render_quarantine_ids(struct node *node, FILE *out)
{
    struct key lower = key_quarantined(0);
    struct key upper = key_quarantined(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(state_of(node), NULL, key_slice(&lower), key_slice(&upper));
    size_t size = 0;
    uint64_t number;

    kv_iter_seek(iter, key_slice(&lower));
    for (int i = 0; i < LISTED_MAX && size < LISTED_BYTES_MAX; i++) {
        if (!kv_iter_valid(iter))
            break;
        if (key_parse_sequence(kv_iter_key(iter), 'q', &number))
            (void)fprintf(out, "%" PRIu64 "\n", number);
        size += kv_iter_value(iter).size;
        kv_iter_next(iter);
    }
    kv_iter_free(iter);
}

/* ---- one change's files ---- */

static void print_path(const struct quarantined *item, FILE *out)
{
    (void)fwrite(item->path.data, 1, item->path.size, out);
    (void)fputc('\n', out);
}

static const char *type_name(const struct attr *attr)
{
    if (S_ISLNK(attr->mode))
        return "symlink";
    if (S_ISFIFO(attr->mode))
        return "fifo";
    return S_ISSOCK(attr->mode) ? "socket" : "file";
}

static void print_attr(const struct attr *attr, FILE *out)
{
    (void)fprintf(out, "type %s\nsize %" PRIu64 "\nmode %04o\n",
                  type_name(attr), attr->size, attr->mode & 07777);
    (void)fprintf(out, "uid %" PRIu32 "\ngid %" PRIu32 "\nmtime ", attr->uid,
                  attr->gid);
    status_print_time(out, attr->mtime_ns);
    (void)fputc('\n', out);
}

static void print_xattrs(struct slice xattrs, FILE *out)
{
    struct buf *names = xattr_list(xattrs);
    size_t at = 0;

    while (at < names->size) {
        struct slice name = slice_of((const char *)names->data + at);
        struct slice value;

        if (xattr_get(xattrs, name, &value) == 0) {
            (void)fputs("xattr ", out);
            key_path_print_bytes(out, name);
            (void)fputc(' ', out);
            key_path_print_bytes(out, value);
            (void)fputc('\n', out);
        }
        at += name.size + 1;
    }
    buf_unref(names);
}

static void print_about(const struct quarantined *item, FILE *out)
{
    const struct eventual_record *record = &item->record;

    (void)fputs("path ", out);
    print_path(item, out);
    (void)fprintf(out, "removed %s\n", record->removed ? "yes" : "no");
    if (record->removed)
        (void)fputs("type -\nsize -\nmode -\nuid -\ngid -\nmtime -\n", out);
    else
        print_attr(&record->attr, out);
    (void)fprintf(out, "accepted_by %" PRIu64 "\nchanged ", record->origin);
    status_print_time(out, stamp_time_ns(record->hlc));
    (void)fprintf(out, "\nnamespace %" PRIu64 "\n", record->dir);
    if (!record->removed)
        print_xattrs(record->xattrs, out);
}

static void print_content(const struct quarantined *item, FILE *out)
{
    if (!item->record.removed)
        (void)fwrite(item->record.content.data, 1, item->record.content.size,
                     out);
}

/* Also of one that cannot be read: it can be dropped. */
static int render_drop(struct node *node, uint64_t number, FILE *out)
{
    uint64_t next;
    int rc = quarantine_next(state_of(node), number, &next);

    if (rc == 0 && next != number)
        rc = ERR_NOT_FOUND;
    if (rc == 0)
        (void)fputs("no\n", out);
    return rc;
}

static void (*const files[TABLES])(const struct quarantined *item,
                                   FILE *out) = {
    [TABLE_QUARANTINE_PATH] = print_path,
    [TABLE_QUARANTINE_ABOUT] = print_about,
    [TABLE_QUARANTINE_CONTENT] = print_content,
};

int status_render_quarantine_file(struct node *node, enum engine_table table,
                                  uint64_t object, FILE *out)
{
    struct quarantined item;
    int rc;

    if (table == TABLE_QUARANTINE_DROP)
        return render_drop(node, object, out);
    assert(files[table] != NULL);
    rc = quarantine_get(state_of(node), object, &item);
    if (rc == 0) {
        files[table](&item, out);
        quarantined_release(&item);
    }
    return rc;
}

/* ---- health, metrics ---- */

static int report_count(uint64_t id, uint64_t count, FILE *out)
{
    if (count == 0 || count == SIZE_UNKNOWN)
        return 0;
    (void)fprintf(out,
                  "node %" PRIu64 " has %" PRIu64
                  " %s in quarantine, of directories that were made "
                  "strong without it: see /.cluster/quarantine there\n",
                  id, count, count == 1 ? "change" : "changes");
    return 1;
}

/* As it is now, whatever it has told. */
static int report_own(struct node *node, FILE *out)
{
    uint64_t count;

    if (status_count_quarantine(node, &count))
        return report_count(node_id(node), count, out);
    (void)fprintf(
        out, "node %" PRIu64 " cannot read its quarantine: look at its disk\n",
        node_id(node));
    return 1;
}

int status_report_quarantine(struct node *node, FILE *out)
{
    const struct status_board *board = node_status_board(node);
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);
    int troubles = report_own(node, out);

    for (size_t i = 0; i < count; i++) {
        const struct node_status *status = status_board_find(board, nodes[i]);

        if (nodes[i] != node_id(node) && status != NULL)
            troubles += report_count(nodes[i], status->quarantine, out);
    }
    return troubles;
}

void status_render_quarantine_metrics(struct node *node, FILE *out)
{
    uint64_t count;

    status_metric_head(out, "grovefs_quarantine_items", "gauge",
                       "Changes in quarantine on this node.");
    if (status_count_quarantine(node, &count))
        (void)fprintf(out, "grovefs_quarantine_items %" PRIu64 "\n", count);
}
