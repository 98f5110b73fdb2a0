/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/region and the rows of /.cluster/regions. A node without a replica
 * of a region knows of it what the others tell. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/event_log.h"
#include "engine/key_path.h"
#include "engine/merge_change.h"
#include "engine/placement_show.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/splitter.h"
#include "engine/status.h"

/* What is known here of a region. */
struct region_view {
    uint64_t id;
    const struct peer *peer; /* NULL: no replica here, only what follows */
    uint64_t term;
    uint64_t leader_node; /* 0: not known */
    uint64_t conf_ver;    /* 0, as the next: not known */
    uint64_t version;
};

/* ---- which there are ---- */

static void note_epoch(struct region_view *view, uint64_t conf_ver,
                       uint64_t version)
{
    if (version < view->version ||
        (version == view->version && conf_ver < view->conf_ver))
        return;
    view->version = version;
    view->conf_ver = conf_ver;
}

/* What the other nodes say of it. False: nothing. */
static bool ask_others(struct node *node, uint64_t region,
                       struct region_view *view)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);
    bool known = false;

    for (size_t i = 0; i < count; i++) {
        const struct region_status *status =
            status_board_region(node_status_board(node), nodes[i], region);

        if (status == NULL)
            continue;
        known = true;
        note_epoch(view, status->conf_ver, status->version);
        if (status->term < view->term)
            continue;
        if (status->term > view->term || status->leader_node != 0)
            view->leader_node = status->leader_node;
        view->term = status->term;
    }
    return known;
}

/* Nobody has told of it yet, for a moment after this node's replica went. */
static bool ask_routes(struct node *node, struct region_view *view)
{
    struct route route;

    if (!routes_find_region(router_routes(node_router(node)), view->id, &route))
        return false;
    view->leader_node = route.leader_node;
    return true;
}

static bool look(struct node *node, uint64_t region, struct region_view *ret)
{
    struct peer_status status;

    *ret = (struct region_view){.id = region, .peer = node_peer(node, region)};
    if (ret->peer == NULL)
        return ask_others(node, region, ret) || ask_routes(node, ret);
    peer_status(ret->peer, &status);
    ret->term = status.term;
    ret->leader_node = status.leader_node;
    note_epoch(ret, peer_region(ret->peer)->conf_ver,
               peer_region(ret->peer)->version);
    return true;
}

int status_region_leader(struct node *node, uint64_t region,
                         uint64_t *ret_leader_node)
{
    struct region_view view;

    if (!look(node, region, &view))
        return ERR_NOT_FOUND;
    if (ret_leader_node != NULL)
        *ret_leader_node = view.leader_node;
    return 0;
}

struct region_ids {
    uint64_t *ids;
    size_t count;
    size_t count_max;
};

static void add_id(struct region_ids *ids, uint64_t region)
{
    ids->ids =
        mem_grow(ids->ids, sizeof *ids->ids, &ids->count_max, ids->count + 1);
    ids->ids[ids->count++] = region;
}

static void add_local(struct node *node, struct region_ids *ids)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(node, peer)) != NULL)
        add_id(ids, peer_region_id(peer));
}

static void add_told(struct node *node, struct region_ids *ids)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);

    for (size_t i = 0; i < count; i++) {
        const struct status_board *board = node_status_board(node);
        const struct region_status *status = NULL;

        while ((status = status_board_next_region(board, nodes[i], status)) !=
               NULL)
            add_id(ids, status->region);
    }
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t first = *(const uint64_t *)a;
    const uint64_t second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

uint64_t *status_region_ids(struct node *node, size_t *ret_count)
{
    struct region_ids found = {.count = 0};
    size_t count = 0;

    add_local(node, &found);
    add_told(node, &found);
    if (found.count > 0)
        qsort(found.ids, found.count, sizeof *found.ids, compare_ids);
    for (size_t i = 0; i < found.count; i++)
        if (count == 0 || found.ids[i] != found.ids[count - 1])
            found.ids[count++] = found.ids[i];
    *ret_count = count;
    return found.ids;
}

void status_render_region_ids(struct node *node, FILE *out)
{
    size_t count;
    uint64_t *ids = status_region_ids(node, &count);

    for (size_t i = 0; i < count; i++)
        (void)fprintf(out, "%" PRIu64 "\n", ids[i]);
    free(ids);
}

/* ---- values ---- */

/* False: not known. */
static bool find_range(struct node *node, const struct region_view *view,
                       struct range *ret)
{
    struct route route;

    if (view->peer != NULL) {
        *ret = (struct range){peer_region(view->peer)->start,
                              peer_region(view->peer)->end};
        return true;
    }
    if (!routes_find_region(router_routes(node_router(node)), view->id, &route))
        return false;
    *ret = route.range;
    return true;
}

static void print_range(struct node *node, const struct region_view *view,
                        FILE *out)
{
    struct kv *state = node_env(node)->state;
    struct range range;

    if (!find_range(node, view, &range)) {
        (void)fputs("- -", out);
        return;
    }
    key_path_print(out, state, range.start);
    (void)fputc(' ', out);
    key_path_print(out, state, range.end);
}

static void print_leader(struct node *node, const struct region_view *view,
                         FILE *out)
{
    (void)node;
    status_print_known(out, view->leader_node);
}

static void print_term(struct node *node, const struct region_view *view,
                       FILE *out)
{
    (void)node;
    (void)fprintf(out, "%" PRIu64, view->term);
}

static void print_epoch(struct node *node, const struct region_view *view,
                        FILE *out)
{
    (void)node;
    if (view->version == 0)
        (void)fputc('-', out);
    else
        (void)fprintf(out, "%" PRIu64 ".%" PRIu64, view->conf_ver,
                      view->version);
}

static bool has_role(struct node *node, const struct region_view *view,
                     uint64_t on_node, enum peer_role role)
{
    const struct region_status *status;

    if (view->peer == NULL) {
        status =
            status_board_region(node_status_board(node), on_node, view->id);
        return status != NULL && status->role == role;
    }
    for (size_t i = 0; i < peer_region(view->peer)->peer_count; i++) {
        const struct region_peer *peer = &peer_region(view->peer)->peers[i];

        if (peer->node == on_node && peer->role == role)
            return true;
    }
    return false;
}

static void print_nodes(struct node *node, const struct region_view *view,
                        enum peer_role role, char separator, FILE *out)
{
    uint64_t nodes[NODES_MAX];
    size_t node_count = node_all_nodes(node, nodes);
    size_t count = 0;

    for (size_t i = 0; i < node_count; i++) {
        if (!has_role(node, view, nodes[i], role))
            continue;
        if (count++ > 0)
            (void)fputc(separator, out);
        (void)fprintf(out, "%" PRIu64, nodes[i]);
    }
    if (count == 0)
        (void)fputc('-', out);
}

static void print_peers(struct node *node, const struct region_view *view,
                        FILE *out)
{
    print_nodes(node, view, PEER_VOTER, ' ', out);
}

static void print_learners(struct node *node, const struct region_view *view,
                           FILE *out)
{
    print_nodes(node, view, PEER_LEARNER, ' ', out);
}

/* As its leader says. */
static struct region_size size_of(struct node *node,
                                  const struct region_view *view)
{
    const struct region_status *status = status_board_region(
        node_status_board(node), view->leader_node, view->id);

    if (status == NULL)
        return (struct region_size){SIZE_UNKNOWN, SIZE_UNKNOWN};
    return (struct region_size){status->size_bytes, status->size_keys};
}

static void print_number(FILE *out, uint64_t number)
{
    if (number == SIZE_UNKNOWN)
        (void)fputc('-', out);
    else
        (void)fprintf(out, "%" PRIu64, number);
}

static void print_size(struct node *node, const struct region_view *view,
                       FILE *out)
{
    print_number(out, size_of(node, view).bytes);
}

static void print_keys(struct node *node, const struct region_view *view,
                       FILE *out)
{
    print_number(out, size_of(node, view).keys);
}

static const char *running_name(const struct region *region)
{
    if (region_is_frozen(region))
        return "frozen";
    return region_is_merging(region) ? "merging"
                                     : peer_state_name(PEER_RUNNING);
}

static void print_state(struct node *node, const struct region_view *view,
                        FILE *out)
{
    struct peer_status status;

    (void)node;
    if (view->peer == NULL) {
        (void)fputc('-', out);
        return;
    }
    peer_status(view->peer, &status);
    if (status.state == PEER_RUNNING)
        (void)fputs(running_name(peer_region(view->peer)), out);
    else
        (void)fputs(peer_state_name(status.state), out);
}

/* ---- the row ---- */

void status_print_region(struct node *node, uint64_t region, FILE *out)
{
    struct region_view view;

    if (!look(node, region, &view))
        return;
    (void)fprintf(out, "%" PRIu64 " ", region);
    print_range(node, &view, out);
    (void)fputc(' ', out);
    print_leader(node, &view, out);
    (void)fputc(' ', out);
    print_term(node, &view, out);
    (void)fputc(' ', out);
    print_epoch(node, &view, out);
    (void)fputc(' ', out);
    print_nodes(node, &view, PEER_VOTER, ',', out);
    (void)fputc(' ', out);
    print_nodes(node, &view, PEER_LEARNER, ',', out);
    (void)fputc(' ', out);
    print_size(node, &view, out);
    (void)fputc(' ', out);
    print_keys(node, &view, out);
    (void)fputc(' ', out);
    print_state(node, &view, out);
    (void)fputc('\n', out);
}

void status_print_leader(struct node *node, uint64_t region, FILE *out)
{
    struct region_view view;
    struct peer_status status = {.lease_left_ns = 0};

    if (!look(node, region, &view))
        return;
    if (view.peer != NULL)
        peer_status(view.peer, &status);
    (void)fprintf(out, "%" PRIu64 " ", region);
    print_leader(node, &view, out);
    (void)fprintf(out, " %" PRIu64 " ", view.term);
    if (status.lease_left_ns > 0)
        (void)fprintf(out, "%.3f\n", (double)status.lease_left_ns / 1e9);
    else
        (void)fputs("-\n", out);
}

/* ---- the files ---- */

static void render_lag(struct node *node, const struct region_view *view,
                       FILE *out)
{
    if (view->peer == NULL)
        (void)fputs("-\n", out);
    else
        status_render_lag(node, view->peer, out);
}

static void render_log(struct node *node, const struct region_view *view,
                       FILE *out)
{
    event_log_render_region(node_events(node), view->id, out);
}

static void print_move(struct node *node, const struct region_view *view,
                       FILE *out)
{
    placement_print_move(node, view->id, out);
}

static void print_operator(struct node *node, const struct region_view *view,
                           FILE *out)
{
    placement_render_operator(node, view->id, out);
}

static const struct region_file {
    void (*print)(struct node *node, const struct region_view *view, FILE *out);
    bool is_value; /* one line */
} files[TABLES] = {
    /* clang-format off */
    [TABLE_REGION_RANGE]    = {print_range,    true},
    [TABLE_REGION_LEADER]   = {print_leader,   true},
    [TABLE_REGION_TERM]     = {print_term,     true},
    [TABLE_REGION_EPOCH]    = {print_epoch,    true},
    [TABLE_REGION_PEERS]    = {print_peers,    true},
    [TABLE_REGION_LEARNERS] = {print_learners, true},
    [TABLE_REGION_SIZE]     = {print_size,     true},
    [TABLE_REGION_KEYS]     = {print_keys,     true},
    [TABLE_REGION_LAG]      = {render_lag,     false},
    [TABLE_REGION_LOG]      = {render_log,     false},
    [TABLE_REGION_STATE]    = {print_state,    true},
    [TABLE_REGION_TRANSFER] = {print_leader,   true},
    [TABLE_REGION_SPLIT]    = {print_range,    true},
    [TABLE_REGION_MERGE]    = {print_range,    true},
    [TABLE_REGION_MOVE]     = {print_move,     true},
    [TABLE_REGION_OPERATOR] = {print_operator, false},
    /* clang-format on */
};

int status_render_region_file(struct node *node, enum engine_table table,
                              uint64_t object, FILE *out)
{
    struct region_view view;

    assert(files[table].print != NULL);
    if (!look(node, object, &view))
        return ERR_NOT_FOUND;
    files[table].print(node, &view, out);
    if (files[table].is_value)
        (void)fputc('\n', out);
    return 0;
}
