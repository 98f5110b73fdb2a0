/* SPDX-License-Identifier: Apache-2.0 */

#include "status_fixture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

/* ---- env.h, node.h and others ---- */

uint64_t fake_clock(struct env *env)
{
    return container_of(env, struct node, env)->now_ns;
}

static const struct env_ops fake_ops = {.wall_ns = fake_clock};

struct env *node_env(struct node *node)
{
    return &node->env;
}

uint64_t node_id(const struct node *node)
{
    return node->id;
}

/* All of them are the node. */
struct modes *node_modes(const struct node *node)
{
    return (struct modes *)(uintptr_t)node;
}

struct eventual *node_eventual(const struct node *node)
{
    return (struct eventual *)(uintptr_t)node;
}

struct pulls *node_pulls(const struct node *node)
{
    return (struct pulls *)(uintptr_t)node;
}

struct status_board *node_status_board(const struct node *node)
{
    return (struct status_board *)(uintptr_t)node;
}

uint64_t modes_version(struct modes *modes)
{
    const struct node *node = (const struct node *)(const void *)modes;

    return node->status[node->id].catalog;
}

static bool find_mode(struct modes *modes, uint64_t nsid_min, bool own_only,
                      uint64_t *ret_nsid, struct mode *ret)
{
    const struct node *node = (const struct node *)(const void *)modes;

    for (uint64_t nsid = nsid_min; nsid < DIRS_MAX; nsid++) {
        const struct mode *mode = &node->modes[nsid];

        if (mode->domain == 0 ||
            (own_only ? mode->domain != nsid : mode->state == MODE_STRONG))
            continue;
        *ret_nsid = nsid;
        *ret = *mode;
        return true;
    }
    return false;
}

bool modes_next(struct modes *modes, uint64_t nsid_min, uint64_t *ret_nsid,
                struct mode *ret)
{
    return find_mode(modes, nsid_min, false, ret_nsid, ret);
}

bool modes_next_own(struct modes *modes, uint64_t nsid_min, uint64_t *ret_nsid,
                    struct mode *ret)
{
    return find_mode(modes, nsid_min, true, ret_nsid, ret);
}

void status_print_time(FILE *out, int64_t wall_ns)
{
    fprintf(out, "second %" PRIu64, (uint64_t)wall_ns / SECOND);
}

void status_metric_head(FILE *out, const char *name, const char *type,
                        const char *help)
{
    (void)out;
    (void)name;
    (void)type;
    assert_int_equal(help[strlen(help) - 1], '.');
}

/* ---- the node ---- */

static void add_directory(struct node *node, uint64_t nsid, uint64_t parent,
                          const char *name)
{
    struct directory directory = {
        .nsid = nsid, .parent = parent, .name = slice_of(name)};
    struct buf *record;

    directory.attr.ino = ino_of_nsid(nsid);
    record = directory_encode(&directory);
    put_record(node->env.state, key_directory(nsid), buf_slice(record));
    buf_unref(record);
}

int setup_status(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env.ops = &fake_ops;
    node->env.state = kv_mem_new();
    node->id = OWN_NODE;
    node->now_ns = 1000 * SECOND;
    add_directory(node, NSID_ROOT, 0, "");
    add_directory(node, APP, NSID_ROOT, "app");
    add_directory(node, CARTS, APP, "the carts");
    *state = node;
    return 0;
}

int teardown_status(void **state)
{
    struct node *node = *state;

    kv_close(node->env.state);
    free(node);
    return 0;
}

uint64_t version_of(uint64_t second)
{
    return second * 1000 << 16;
}

void set_mode(struct node *node, uint64_t nsid, enum mode_state state,
              uint64_t epoch)
{
    node->modes[nsid] = (struct mode){
        .state = state, .domain = nsid, .since = 1, .epoch = epoch};
}

void assert_prints(struct node *node,
                   void (*render)(struct node *node, FILE *out),
                   const char *wanted)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    render(node, out);
    (void)fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}
