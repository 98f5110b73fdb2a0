/* SPDX-License-Identifier: Apache-2.0 */

/* What people see of eventual directories; test_status_modes.c has the table of
 * them. */

#include "status_fixture.h"

#include <inttypes.h>
#include <string.h>

#include "engine/eventual_damage.h"
#include "engine/keys.h"
#include "engine/splitter.h"

static unsigned damaged_count; /* of files */

/* ---- env.h, node.h and others ---- */

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    const struct node *node = (const struct node *)(const void *)board;

    return node->is_silent[id] ? NULL : &node->status[id];
}

bool modes_any(struct modes *modes)
{
    uint64_t nsid;
    struct mode mode;

    return modes_next(modes, 0, &nsid, &mode);
}

bool eventual_is_whole(const struct eventual *eventual)
{
    return ((const struct node *)(const void *)eventual)->whole;
}

bool eventual_is_damaged(const struct eventual *eventual)
{
    return eventual != NULL && damaged_count > 0;
}

int eventual_visit_damage(struct kv *state, eventual_damage_visit *visit,
                          void *context)
{
    int rc = 0;

    (void)state;
    for (unsigned i = 0; rc == 0 && i < damaged_count; i++)
        rc = visit(context, APP, slice_of("a file"), 900 * SECOND);
    return rc;
}

void eventual_count(const struct eventual *eventual,
                    struct eventual_counts *ret)
{
    (void)eventual;
    *ret = (struct eventual_counts){.accepted = 11,
                                    .pulled = 12,
                                    .outlived = 13,
                                    .held = 14,
                                    .journal_entries = 15,
                                    .dropped = 16,
                                    .restamped = 19,
                                    .damages = 21,
                                    .healed = 20};
}

void eventual_floor_look(const struct eventual *eventual,
                         struct eventual_floor_view *ret)
{
    (void)eventual;
    *ret = (struct eventual_floor_view){.floor = UINT64_C(17000) << 16};
}

uint64_t eventual_removed_count(struct kv *state, uint64_t max)
{
    (void)state;
    return max == 10000 ? 18 : 0;
}

size_t pulls_lag(struct pulls *pulls, struct pull_lag ret[NODES_MAX])
{
    struct node *node = (struct node *)(void *)pulls;

    memcpy(ret, node->peers, sizeof node->peers);
    return node->peer_count;
}

bool pulls_next_differing(const struct pulls *pulls, uint64_t node_min,
                          uint64_t *ret_node, int64_t *ret_since_ns)
{
    const struct node *node = (const struct node *)(const void *)pulls;

    if (node->differs_ns == 0 || node_min > 1)
        return false;
    *ret_node = 1;
    *ret_since_ns = node->differs_ns;
    return true;
}

bool pulls_behind(struct pulls *pulls, uint64_t *ret_ns)
{
    const struct node *node = (const struct node *)(const void *)pulls;

    if (node->is_behind_known)
        *ret_ns = node->behind_ns;
    return node->is_behind_known;
}

bool pulls_are_drained(struct pulls *pulls, uint64_t fence,
                       uint64_t *ret_missing)
{
    struct node *node = (struct node *)(void *)pulls;

    assert_int_not_equal(fence, 0);
    *ret_missing = node->missing;
    return node->missing == 0;
}

int status_report_modes(struct node *node, FILE *out)
{
    (void)node;
    fputs("modes\n", out);
    return 1;
}

void status_render_modes_metrics(struct node *node, FILE *out)
{
    (void)node;
    fputs("modes\n", out);
}

void status_metric(FILE *out, const char *name, const char *type,
                   const char *help, uint64_t number)
{
    status_metric_head(out, name, type, help);
    fprintf(out, "%s %" PRIu64 "\n", name, number);
}

/* ---- fixture: two peers, of which the second has never been there ---- */

static const struct env_ops both_clocks = {.mono_ns = fake_clock,
                                           .wall_ns = fake_clock};

static int setup(void **state)
{
    struct node *node;

    assert_int_equal(setup_status(state), 0);
    node = *state;
    node->env.ops = &both_clocks;
    node->status[OWN_NODE].since_ns = 900 * (int64_t)SECOND;
    node->whole = true;
    node->peer_count = 2;
    node->peers[0] = (struct pull_lag){.node = 1,
                                       .is_known = true,
                                       .pending_entries = 3,
                                       .pending_bytes = 400,
                                       .oldest_hlc = version_of(995),
                                       .conflicts = 5,
                                       .contact_ns = 999 * SECOND};
    node->peers[1].node = 3;
    node->status[1].quarantine = 6;
    node->is_silent[3] = true;
    return 0;
}

static void render_health(struct node *node, FILE *out)
{
    int count = status_report_eventual(node, out);

    fprintf(out, "%d\n", count);
}

/* ---- eventual ---- */

#define EVENTUAL                                                               \
    "# node peer pending_entries pending_bytes lag_s contact_s conflicts "     \
    "state quarantine converged\n"

static void test_what_peers_lack_is_shown(void **state)
{
    assert_prints(*state, status_render_eventual,
                  EVENTUAL "2 1 3 400 5.0 1.0 5 ok 6 -\n"
                           "2 3 - - - - 0 silent - -\n");
}

static void test_a_peer_is_held_or_silent(void **state)
{
    struct node *node = *state;

    node->peer_count = 1;
    node->peers[0].is_held = true;
    assert_prints(node, status_render_eventual,
                  EVENTUAL "2 1 3 400 5.0 1.0 5 held 6 -\n");
    node->now_ns += 3 * SECOND;
    assert_prints(node, status_render_eventual,
                  EVENTUAL "2 1 3 400 8.0 4.0 5 silent 6 -\n");
}

/* The clock of who has made it may be ahead. */
static void test_a_change_is_not_younger_than_now(void **state)
{
    struct node *node = *state;

    node->peer_count = 1;
    node->peers[0].oldest_hlc = version_of(1001);
    assert_prints(node, status_render_eventual,
                  EVENTUAL "2 1 3 400 0.0 1.0 5 ok 6 -\n");
    node->peers[0].oldest_hlc = 0;
    assert_prints(node, status_render_eventual,
                  EVENTUAL "2 1 3 400 0.0 1.0 5 ok 6 -\n");
}

static void test_what_another_node_cannot_count_is_not_shown(void **state)
{
    struct node *node = *state;

    node->peer_count = 1;
    node->status[1].quarantine = SIZE_UNKNOWN;
    assert_prints(node, status_render_eventual,
                  EVENTUAL "2 1 3 400 5.0 1.0 5 ok - -\n");
}

/* ---- digests ---- */

static void test_whether_a_peer_has_the_same_is_shown(void **state)
{
    struct node *node = *state;

    node->peer_count = 1;
    node->peers[0].verdict = DIGEST_BEHIND;
    assert_prints(node, status_render_eventual,
                  EVENTUAL "2 1 3 400 5.0 1.0 5 ok 6 no\n");
    node->peers[0].verdict = DIGEST_EQUAL;
    assert_prints(node, status_render_eventual,
                  EVENTUAL "2 1 3 400 5.0 1.0 5 ok 6 yes\n");
    node->peers[0].verdict = DIGEST_DIFFERS;
    assert_prints(node, status_render_eventual,
                  EVENTUAL "2 1 3 400 5.0 1.0 5 ok 6 differs\n");
}

static void assert_digest(struct node *node, enum mode_state state,
                          const struct command *command, const char *wanted)
{
    struct buf *b = status_digest(node, command, state);

    assert_int_equal(b->size, strlen(wanted));
    assert_memory_equal(b->data, wanted, b->size);
    buf_unref(b);
}

static void test_a_digest_is_of_what_is_eventual(void **state)
{
    struct node *node = *state;
    const struct command dir = {.ino = ino_of_nsid(APP)};
    struct command file = {.dir = APP, .name = slice_of("a"), .ino = 77};
    const struct eventual_namespace record = {.digest = 0xabc,
                                              .has_digest = true};
    struct eventual_record entry = {
        .dir = APP, .name = file.name, .hlc = 1, .origin = 1, .local = 1};
    struct kv_batch *batch = kv_batch_new(node->env.state);
    char text[17];

    entry.attr.mode = 0100644;
    eventual_put(batch, &entry, NULL);
    eventual_namespace_put(batch, APP, &record);
    assert_int_equal(kv_write(node->env.state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    (void)snprintf(text, sizeof text, "%016" PRIx64, digest_record(&entry));
    assert_digest(node, MODE_EVENTUAL, &dir, "0000000000000abc");
    assert_digest(node, MODE_EVENTUAL, &file, text);
    assert_digest(node, MODE_STRONG, &dir, "-");
    file.name = slice_of("b");
    assert_digest(node, MODE_EVENTUAL, &file, "-");
}

/* ---- how old things are ---- */

static void assert_lag(struct node *node, enum mode_state state,
                       const char *wanted)
{
    struct buf *b = status_lag(node, state);

    assert_int_equal(b->size, strlen(wanted));
    assert_memory_equal(b->data, wanted, b->size);
    buf_unref(b);
}

static void
test_what_is_shown_may_be_as_old_as_this_node_is_behind(void **state)
{
    struct node *node = *state;

    assert_lag(node, MODE_EVENTUAL, "-");
    assert_lag(node, MODE_STRONG, "0.0");
    node->is_behind_known = true;
    node->behind_ns = 12 * SECOND + SECOND / 4;
    assert_lag(node, MODE_EVENTUAL, "12.2");
    assert_lag(node, MODE_FENCED, "12.2");
    assert_lag(node, MODE_STRONG, "0.0");
}

/* ---- health ---- */

static void test_a_fence_is_a_trouble_when_it_lasts(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_FENCED, version_of(970));
    node->missing = 3;
    assert_prints(node, render_health, "modes\n1\n");
    node->now_ns += SECOND;
    assert_prints(node, render_health,
                  "directory /app is fenced, since second 970, waits for node "
                  "3: start it, or look at the network between\n"
                  "modes\n2\n");
    node->missing = 0;
    assert_prints(node, render_health,
                  "directory /app is fenced, since second 970, waits for what "
                  "other nodes lack: see health there\n"
                  "modes\n2\n");
    node->modes[APP].state = MODE_EVENTUAL;
    assert_prints(node, render_health, "modes\n1\n");
}

static void test_an_incomplete_node_is_a_trouble(void **state)
{
    struct node *node = *state;

    node->whole = false;
    assert_prints(node, render_health, "modes\n1\n");
    set_mode(node, APP, MODE_EVENTUAL, 70);
    assert_prints(node, render_health,
                  "modes\n"
                  "the eventual directories of this node are incomplete since "
                  "second 900: they can be used as soon as a node that has all "
                  "of them can be reached\n2\n");
    node->now_ns = 930 * SECOND;
    assert_prints(node, render_health, "modes\n1\n");
}

static void test_another_content_is_a_trouble(void **state)
{
    struct node *node = *state;

    assert_prints(node, render_health, "modes\n1\n");
    node->differs_ns = 998 * (int64_t)SECOND;
    assert_prints(node, render_health,
                  "modes\n"
                  "node 1 has something else in eventual directories than this "
                  "one, though all changes are on both, since second 998: "
                  "compare user.grove.digest of directories, then of files, on "
                  "both mounts, write those that differ anew, and look at the "
                  "disks\n2\n");
}

static void test_a_file_that_cannot_be_read_is_a_trouble(void **state)
{
    struct node *node = *state;

    damaged_count = 1;
    assert_prints(node, render_health,
                  "modes\n"
                  "file /app/a\\040file cannot be read on this node since "
                  "second 900: it comes back from a node that has it, so start "
                  "those that are down; where none has it, write it anew on "
                  "another node's mount\n2\n");
    damaged_count = 0;
    assert_prints(node, render_health, "modes\n1\n");
}

/* ---- metrics ---- */

/* There is no number for what is not known. */
static void test_metrics(void **state)
{
    struct node *node = *state;

    set_mode(node, CARTS, MODE_EVENTUAL, 70);
    set_mode(node, BELOW, MODE_FENCED, 70);
    node->peers[0].verdict = DIGEST_DIFFERS;
    node->is_behind_known = true;
    node->behind_ns = 2 * SECOND + SECOND / 2;
    assert_prints(node, status_render_eventual_metrics,
                  "grovefs_eventual_namespaces 2\n"
                  "grovefs_eventual_accepted_total 11\n"
                  "grovefs_eventual_pulled_total 12\n"
                  "grovefs_eventual_outlived_total 13\n"
                  "grovefs_eventual_held_total 14\n"
                  "grovefs_eventual_restamped_total 19\n"
                  "grovefs_eventual_journal_entries 15\n"
                  "grovefs_eventual_forgotten_total 16\n"
                  "grovefs_eventual_damages_total 21\n"
                  "grovefs_eventual_healed_total 20\n"
                  "grovefs_eventual_removed_names 18\n"
                  "grovefs_eventual_floor_seconds 17\n"
                  "grovefs_eventual_pending_entries{peer=\"1\"} 3\n"
                  "grovefs_eventual_pending_bytes{peer=\"1\"} 400\n"
                  "grovefs_eventual_lag_seconds{peer=\"1\"} 5\n"
                  "grovefs_eventual_contact_seconds{peer=\"1\"} 1\n"
                  "grovefs_eventual_conflicts_total{peer=\"1\"} 5\n"
                  "grovefs_eventual_conflicts_total{peer=\"3\"} 0\n"
                  "grovefs_eventual_differs{peer=\"1\"} 1\n"
                  "grovefs_eventual_behind_seconds 2.500\n"
                  "modes\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown_status)
    const struct CMUnitTest tests[] = {
        TEST(test_what_peers_lack_is_shown),
        TEST(test_a_peer_is_held_or_silent),
        TEST(test_a_change_is_not_younger_than_now),
        TEST(test_what_another_node_cannot_count_is_not_shown),
        TEST(test_whether_a_peer_has_the_same_is_shown),
        TEST(test_a_digest_is_of_what_is_eventual),
        TEST(test_what_is_shown_may_be_as_old_as_this_node_is_behind),
        TEST(test_a_fence_is_a_trouble_when_it_lasts),
        TEST(test_an_incomplete_node_is_a_trouble),
        TEST(test_another_content_is_a_trouble),
        TEST(test_a_file_that_cannot_be_read_is_a_trouble),
        TEST(test_metrics),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
