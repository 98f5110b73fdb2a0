/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/nodes and /.cluster/node. */

#include <assert.h>
#include <inttypes.h>

#include "engine/keys.h"
#include "engine/status.h"

/* How many replicas it has, and how many of them lead. */
struct replica_count {
    size_t regions;
    size_t leaders;
};

static struct replica_count count_replicas(struct node *node,
                                           const struct node_record *record)
{
    struct replica_count count;

    status_board_count_regions(node_status_board(node), record->id,
                               &count.regions, &count.leaders);
    return count;
}

static const struct node_status *status_of(struct node *node,
                                           const struct node_record *record)
{
    return status_board_find(node_status_board(node), record->id);
}

static void print_address(struct node *node, const struct node_record *record,
                          FILE *out)
{
    (void)node;
    (void)fputs(record->address[0] != '\0' ? record->address : "-", out);
}

static void print_state(struct node *node, const struct node_record *record,
                        FILE *out)
{
    const char *name = "up";

    if (record->state == NODE_REMOVED)
        name = "removed";
    else if (status_of(node, record) == NULL)
        name = "unreachable";
    else if (record->state == NODE_DRAINING)
        name = "draining";
    (void)fputs(name, out);
}

/* When it was started, or last heard of. */
static void print_since(struct node *node, const struct node_record *record,
                        FILE *out)
{
    const struct node_status *status = status_of(node, record);

    status_print_time(
        out, status != NULL
                 ? status->since_ns
                 : status_board_heard_ns(node_status_board(node), record->id));
}

/* ---- the table ---- */

static void print_row(struct node *node, const struct node_record *record,
                      FILE *out)
{
    const struct node_status *status = status_of(node, record);
    struct replica_count count = count_replicas(node, record);

    (void)fprintf(out, "%" PRIu64 " ", record->id);
    print_address(node, record, out);
    (void)fputc(' ', out);
    print_state(node, record, out);
    (void)fputc(' ', out);
    print_since(node, record, out);
    if (status == NULL)
        (void)fputs(" - - - - -\n", out);
    else
        (void)fprintf(out, " %zu %zu %" PRIu64 " %" PRIu64 " %s\n",
                      count.regions, count.leaders, status->disk_used,
                      status->disk_free, status->version);
}

static void print_id(struct node *node, const struct node_record *record,
                     FILE *out)
{
    (void)node;
    (void)fprintf(out, "%" PRIu64 "\n", record->id);
}

typedef void node_printer(struct node *node, const struct node_record *record,
                          FILE *out);

static void print_all(struct node *node, node_printer *print, FILE *out)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(node_env(node)->state, NULL,
                                       key_slice(&lower), key_slice(&upper));

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct node_record record = {0};

        if (node_decode(&record, kv_iter_value(iter)) == 0 &&
            record.state != NODE_REMOVED)
            print(node, &record, out);
    }
    kv_iter_free(iter);
}

void status_render_nodes(struct node *node, FILE *out)
{
    (void)fputs("# id address state since regions leaders disk_used disk_free "
                "version\n",
                out);
    print_all(node, print_row, out);
}

void status_render_node_ids(struct node *node, FILE *out)
{
    print_all(node, print_id, out);
}

/* ---- one node's files ---- */

static void print_address_line(struct node *node,
                               const struct node_record *record, FILE *out)
{
    print_address(node, record, out);
    (void)fputc('\n', out);
}

static void print_state_line(struct node *node,
                             const struct node_record *record, FILE *out)
{
    print_state(node, record, out);
    (void)fputc('\n', out);
}

static void print_stats(struct node *node, const struct node_record *record,
                        FILE *out)
{
    const struct node_status *status = status_of(node, record);
    struct replica_count count = count_replicas(node, record);

    (void)fputs("since ", out);
    print_since(node, record, out);
    if (status == NULL) {
        (void)fputs("\nregions -\nleaders -\ndisk_used -\ndisk_free -\n"
                    "version -\n",
                    out);
        return;
    }
    (void)fprintf(out, "\nregions %zu\nleaders %zu\n", count.regions,
                  count.leaders);
    (void)fprintf(out, "disk_used %" PRIu64 "\ndisk_free %" PRIu64 "\n",
                  status->disk_used, status->disk_free);
    (void)fprintf(out, "version %s\n", status->version);
}

static void print_drain(struct node *node, const struct node_record *record,
                        FILE *out)
{
    (void)node;
    (void)fputs(record->state == NODE_UP ? "0\n" : "1\n", out);
}

static void print_remove(struct node *node, const struct node_record *record,
                         FILE *out)
{
    (void)node;
    (void)fputs(record->state == NODE_REMOVED ? "1\n" : "0\n", out);
}

static node_printer *const files[TABLES] = {
    [TABLE_NODE_ADDRESS] = print_address_line,
    [TABLE_NODE_STATE] = print_state_line,
    [TABLE_NODE_STATS] = print_stats,
    [TABLE_NODE_DRAIN] = print_drain,
    [TABLE_NODE_REMOVE] = print_remove,
};

int status_render_node_file(struct node *node, enum engine_table table,
                            uint64_t object, FILE *out)
{
    struct key key = key_node(object);
    struct node_record record = {0};
    struct kv_value value = {0};
    int rc = kv_get(node_env(node)->state, NULL, key_slice(&key), &value);

    assert(files[table] != NULL);
    if (rc == 0)
        rc = node_decode(&record, (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc == 0)
        files[table](node, &record, out);
    return rc;
}
