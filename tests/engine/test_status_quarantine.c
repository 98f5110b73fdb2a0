/* SPDX-License-Identifier: Apache-2.0 */

/* What people see of changes that are in quarantine. */

#include "status_fixture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"
#include "engine/quarantine.h"
#include "engine/splitter.h"
#include "engine/xattr.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

/* ---- node.h and others ---- */

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    (void)node;
    for (size_t i = 0; i < NODES; i++)
        nodes[i] = i + 1;
    return NODES;
}

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    const struct node *node = (const struct node *)(const void *)board;

    return node->is_silent[id] ? NULL : &node->status[id];
}

/* ---- what is there ---- */

static void set_head(struct node *node, uint64_t last, uint64_t count)
{
    const struct quarantine_head head = {.last = last, .count = count};
    struct buf *b = quarantine_head_encode(&head);

    put_record(node->env.state, key_quarantine_head(), buf_slice(b));
    buf_unref(b);
}

static void put_item(struct node *node, uint64_t number,
                     const struct eventual_record *record)
{
    struct buf *b = quarantined_encode(slice_of("/app/x\\040y"), record);

    put_record(node->env.state, key_quarantined(number), buf_slice(b));
    buf_unref(b);
}

/* Accepted on node 3 in second 900. */
static struct eventual_record file_of(const char *content, uint32_t mode)
{
    return (struct eventual_record){
        .dir = APP,
        .name = slice_of("x y"),
        .hlc = version_of(900),
        .origin = 3,
        .sequence = 40,
        .since = 20,
        .attr = {.ino = 77,
                 .mode = mode,
                 .uid = 1000,
                 .gid = 100,
                 .size = strlen(content),
                 .mtime_ns = 800 * (int64_t)SECOND,
                 .version = version_of(900)},
        .content = slice_of(content),
    };
}

static void put_file(struct node *node, uint64_t number, const char *content)
{
    struct eventual_record record = file_of(content, 0100640);

    put_item(node, number, &record);
}

static void put_removed(struct node *node, uint64_t number)
{
    struct eventual_record record = file_of("", 0);

    record.removed = true;
    record.attr = (struct attr){.ino = 0};
    put_item(node, number, &record);
}

static int render(struct node *node, enum engine_table table, uint64_t number,
                  struct buf **ret)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int rc = status_render_quarantine_file(node, table, number, out);

    (void)fclose(out);
    *ret = buf_copy(text, size);
    free(text);
    return rc;
}

static void assert_file(struct node *node, enum engine_table table,
                        uint64_t number, const char *wanted)
{
    struct buf *b;

    assert_int_equal(render(node, table, number, &b), 0);
    assert_int_equal(b->size, strlen(wanted));
    assert_memory_equal(b->data, wanted, b->size);
    buf_unref(b);
}

static void assert_error(struct node *node, enum engine_table table,
                         uint64_t number, int wanted)
{
    struct buf *b;

    assert_int_equal(render(node, table, number, &b), wanted);
    assert_int_equal(b->size, 0);
    buf_unref(b);
}

/* ---- numbers ---- */

static void test_numbers_are_listed_in_order(void **state)
{
    struct node *node = *state;

    assert_prints(node, status_render_quarantine_ids, "");
    put_file(node, 300, "a");
    put_removed(node, 2);
    put_file(node, UINT64_C(1) << 40, "b");
    put_file(node, 7, "c");
    assert_prints(node, status_render_quarantine_ids,
                  "2\n7\n300\n1099511627776\n");
}

static size_t count_listed(struct node *node)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    size_t count = 0;

    status_render_quarantine_ids(node, out);
    (void)fclose(out);
    for (size_t i = 0; i < size; i++)
        count += text[i] == '\n';
    free(text);
    return count;
}

static void test_only_so_many_are_listed(void **state)
{
    struct node *node = *state;

    for (uint64_t i = 1; i <= 10001; i++)
        put_record(node->env.state, key_quarantined(i), slice_of("any"));
    assert_int_equal(count_listed(node), 10000);
}

/* What is listed is read. */
static void test_only_so_many_bytes_are_listed(void **state)
{
    struct node *node = *state;
    const size_t size = 1024 * 1024;
    char *bytes = mem_zalloc(size);

    for (uint64_t i = 1; i <= 65; i++)
        put_record(node->env.state, key_quarantined(i),
                   (struct slice){bytes, size});
    assert_int_equal(count_listed(node), 64);
    free(bytes);
}

/* ---- files ---- */

static void test_a_file_is_shown(void **state)
{
    struct node *node = *state;

    put_file(node, 7, "some content\n");
    assert_file(node, TABLE_QUARANTINE_PATH, 7, "/app/x\\040y\n");
    assert_file(node, TABLE_QUARANTINE_CONTENT, 7, "some content\n");
    assert_file(node, TABLE_QUARANTINE_DROP, 7, "no\n");
    assert_file(node, TABLE_QUARANTINE_ABOUT, 7,
                "path /app/x\\040y\nremoved no\ntype file\nsize 13\n"
                "mode 0640\nuid 1000\ngid 100\nmtime second 800\n"
                "accepted_by 3\nchanged second 900\nnamespace 5\n");
}

static void test_extended_attributes_are_shown(void **state)
{
    struct node *node = *state;
    struct eventual_record record = file_of("a", 0100600);
    const struct slice none = {NULL, 0};
    struct buf *first;
    struct buf *both;
    struct buf *b;
    const char *wanted = "namespace 5\nxattr user.a the\\040value\n"
                         "xattr user.b \n";

    assert_int_equal(
        xattr_set(none, slice_of("user.a"), slice_of("the value"), 0, &first),
        0);
    assert_int_equal(
        xattr_set(buf_slice(first), slice_of("user.b"), none, 0, &both), 0);
    record.xattrs = buf_slice(both);
    put_item(node, 7, &record);
    assert_int_equal(render(node, TABLE_QUARANTINE_ABOUT, 7, &b), 0);
    assert_memory_equal(b->data + b->size - strlen(wanted), wanted,
                        strlen(wanted));
    buf_unref(b);
    buf_unref(first);
    buf_unref(both);
}

static void test_what_is_no_regular_file_is_told(void **state)
{
    static const struct {
        uint32_t mode;
        const char *name;
    } types[] = {{0120777, "symlink"}, {0010600, "fifo"}, {0140600, "socket"}};
    struct node *node = *state;

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        struct eventual_record record = file_of("to", types[i].mode);
        struct buf *b;

        put_item(node, 7, &record);
        assert_int_equal(render(node, TABLE_QUARANTINE_ABOUT, 7, &b), 0);
        assert_non_null(
            memmem(b->data, b->size, types[i].name, strlen(types[i].name)));
        buf_unref(b);
        assert_file(node, TABLE_QUARANTINE_CONTENT, 7, "to");
    }
}

static void test_a_removal_is_shown(void **state)
{
    struct node *node = *state;

    put_removed(node, 7);
    assert_file(node, TABLE_QUARANTINE_PATH, 7, "/app/x\\040y\n");
    assert_file(node, TABLE_QUARANTINE_CONTENT, 7, "");
    assert_file(node, TABLE_QUARANTINE_ABOUT, 7,
                "path /app/x\\040y\nremoved yes\ntype -\nsize -\nmode -\n"
                "uid -\ngid -\nmtime -\n"
                "accepted_by 3\nchanged second 900\nnamespace 5\n");
}

static void test_content_may_have_any_bytes(void **state)
{
    struct node *node = *state;
    struct eventual_record record = file_of("", 0100600);
    const size_t size = 1024 * 1024;
    uint8_t *bytes = mem_zalloc(size);
    struct buf *b;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 >> 3);
    record.content = (struct slice){bytes, size};
    record.attr.size = size;
    put_item(node, 7, &record);
    assert_int_equal(render(node, TABLE_QUARANTINE_CONTENT, 7, &b), 0);
    assert_int_equal(b->size, size);
    assert_memory_equal(b->data, bytes, size);
    buf_unref(b);
    free(bytes);
}

static void test_there_are_only_files_of_what_is_there(void **state)
{
    struct node *node = *state;

    put_file(node, 7, "a");
    for (int table = TABLE_QUARANTINE_PATH; table <= TABLE_QUARANTINE_DROP;
         table++) {
        assert_error(node, (enum engine_table)table, 6, ERR_NOT_FOUND);
        assert_error(node, (enum engine_table)table, 8, ERR_NOT_FOUND);
    }
}

/* So that it can be found, and dropped. */
static void test_of_a_damaged_one_there_is_the_file_to_drop_it(void **state)
{
    struct node *node = *state;

    put_record(node->env.state, key_quarantined(7), slice_of("\1nonsense"));
    assert_prints(node, status_render_quarantine_ids, "7\n");
    assert_file(node, TABLE_QUARANTINE_DROP, 7, "no\n");
    assert_error(node, TABLE_QUARANTINE_PATH, 7, ERR_CORRUPT);
    assert_error(node, TABLE_QUARANTINE_ABOUT, 7, ERR_CORRUPT);
    assert_error(node, TABLE_QUARANTINE_CONTENT, 7, ERR_CORRUPT);
}

/* ---- health, metrics ---- */

static void render_health(struct node *node, FILE *out)
{
    int count = status_report_quarantine(node, out);

    fprintf(out, "%d\n", count);
}

#define IN_QUARANTINE                                                          \
    " changes in quarantine, of directories that were made strong without "    \
    "it: see /.cluster/quarantine there\n"

static void test_what_is_in_quarantine_is_a_trouble(void **state)
{
    struct node *node = *state;

    node->status[OWN_NODE].quarantine = 12; /* That was so a moment ago. */
    assert_prints(node, render_health, "0\n");
    set_head(node, 9, 4);
    assert_prints(node, render_health, "node 2 has 4" IN_QUARANTINE "1\n");
    node->status[1].quarantine = 6;
    node->status[3].quarantine = SIZE_UNKNOWN;
    assert_prints(node, render_health,
                  "node 2 has 4" IN_QUARANTINE "node 1 has 6" IN_QUARANTINE
                  "2\n");
    node->is_silent[1] = true;
    set_head(node, 9, 0);
    assert_prints(node, render_health, "0\n");
}

/* Neither can be read, the number nor what there is to count. */
static void spoil(struct node *node)
{
    put_file(node, 7, "a");
    put_record(node->env.state, key_quarantine_head(), slice_of("\1nonsense"));
    kv_mem_spoil(node->env.state, 'q');
}

static void test_a_quarantine_that_cannot_be_read_is_a_trouble(void **state)
{
    struct node *node = *state;

    spoil(node);
    assert_prints(node, render_health,
                  "node 2 cannot read its quarantine: look at its disk\n1\n");
}

static void test_metrics(void **state)
{
    struct node *node = *state;

    assert_prints(node, status_render_quarantine_metrics,
                  "grovefs_quarantine_items 0\n");
    set_head(node, 9, 4);
    assert_prints(node, status_render_quarantine_metrics,
                  "grovefs_quarantine_items 4\n");
    spoil(node);
    assert_prints(node, status_render_quarantine_metrics, "");
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup_status, teardown_status)
    const struct CMUnitTest tests[] = {
        TEST(test_numbers_are_listed_in_order),
        TEST(test_only_so_many_are_listed),
        TEST(test_only_so_many_bytes_are_listed),
        TEST(test_a_file_is_shown),
        TEST(test_extended_attributes_are_shown),
        TEST(test_what_is_no_regular_file_is_told),
        TEST(test_a_removal_is_shown),
        TEST(test_content_may_have_any_bytes),
        TEST(test_there_are_only_files_of_what_is_there),
        TEST(test_of_a_damaged_one_there_is_the_file_to_drop_it),
        TEST(test_what_is_in_quarantine_is_a_trouble),
        TEST(test_a_quarantine_that_cannot_be_read_is_a_trouble),
        TEST(test_metrics),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
