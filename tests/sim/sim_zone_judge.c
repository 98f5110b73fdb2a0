/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_zone_judge.h"

#include <inttypes.h>
#include <string.h>

#include "engine/keys.h"
#include "tests/sim/sim_history.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_zone_around.h"
#include "tests/sim/sim_zone_judge_impl.h"

const char *sim_zone_kind_text(const struct sim_zone_op *op)
{
    static const char *const texts[REQUEST_KINDS] = {
        [REQUEST_LOOKUP] = "lookup",     [REQUEST_GETATTR] = "getattr",
        [REQUEST_READ] = "read",         [REQUEST_READDIR] = "readdir",
        [REQUEST_CREATE] = "create",     [REQUEST_WRITE] = "write",
        [REQUEST_UNLINK] = "unlink",     [REQUEST_MKDIR] = "mkdir",
        [REQUEST_RMDIR] = "rmdir",       [REQUEST_RENAME] = "rename",
        [REQUEST_SETATTR] = "setattr",   [REQUEST_GETXATTR] = "getxattr",
        [REQUEST_SETXATTR] = "setxattr", [REQUEST_REMOVEXATTR] = "removexattr",
    };

    if (sim_zone_is_of_mode(op) && op->kind == REQUEST_REMOVEXATTR)
        return "to inherit";
    if (sim_zone_is_of_mode(op) && op->kind == REQUEST_SETXATTR)
        return op->to_eventual ? "to eventual"
               : op->by_force  ? "to strong by force"
                               : "to strong";
    return texts[op->kind];
}

/* ---- the beginning ---- */

static bool is_of_file(const struct sim_zone_op *op)
{
    return !op->of_zone && !op->of_own && !op->of_dir &&
           op->kind != REQUEST_MKDIR && op->kind != REQUEST_RMDIR &&
           op->kind != REQUEST_READDIR;
}

void sim_zone_open_case(struct sim_zone_case *zone_case,
                        const struct sim_node *node,
                        const struct sim_zone_op *op,
                        const struct sim_zone *zone)
{
    bool two = op->kind == REQUEST_RENAME;

    *zone_case = (struct sim_zone_case){
        .call_ns = node->machine.loop->now_ns,
        .all_reached = sim_zone_reaches_all(node),
        .alone = sim_zone_is_alone(node),
        .clock_wrong = sim_zone_has_wrong_clock(node),
        .is_restamping = sim_zone_is_restamping(node),
        .restamped = sim_zone_restamped(node),
        .own = sim_zone_record_of(node),
    };
    if (!is_of_file(op))
        return;
    zone_case->dirs[0] = sim_zone_nsid(zone, op->dir);
    zone_case->dirs[1] = sim_zone_nsid(zone, two ? op->to_dir : op->dir);
    zone_case->before[0] = sim_zone_version_at(node, zone_case->dirs[0],
                                               sim_zone_file_name(op->name));
    zone_case->is_directory = sim_zone_is_directory(
        node, zone_case->dirs[0], sim_zone_file_name(op->name));
    zone_case->is_strong = sim_zone_is_strong(node, zone_case->dirs[0],
                                              sim_zone_file_name(op->name));
    if (two)
        zone_case->before[1] = sim_zone_version_at(
            node, zone_case->dirs[1], sim_zone_file_name(op->to_name));
    for (size_t i = 0; i < 2; i++)
        zone_case->modes[i] = sim_lives_mode(node, zone_case->dirs[i]);
}

/* ---- a node that is being drained ---- */

static bool was_drained_all_the_time(const struct sim_zone_case *zone_case,
                                     const struct sim_node *node)
{
    return zone_case->own.state == NODE_DRAINING &&
           sim_zone_record_of(node).epoch == zone_case->own.epoch;
}

/* ---- new versions ---- */

/* What has become of a version meanwhile: sim_lives.h, rule 12. */
static void follow(const struct sim_zone_case *zone_case,
                   struct sim_lives *lives, const struct sim_node *node,
                   size_t side, uint8_t name, struct sim_version *version)
{
    if (zone_case->dirs[side] != 0)
        *version = sim_lives_now(lives, node, zone_case->dirs[side],
                                 zone_case->modes[side].since,
                                 sim_zone_file_name(name), *version);
}

/* ---- rule 1 ---- */

static void fail_at(const struct sim_node *node, const struct sim_zone_op *op,
                    const char *what)
{
    sim_fail(node->machine.loop, "node %zu: %s of %s/%s: %s", node->number + 1,
             sim_zone_kind_text(op), sim_zone_root_name(op->zone),
             sim_zone_file_name(op->name), what);
}

static void check_absence(const struct sim_zone_case *zone_case,
                          const struct sim_node *node,
                          const struct sim_zone_op *op)
{
    struct sim_version before = zone_case->before[0];
    struct sim_version after = sim_zone_version_at(
        node, zone_case->dirs[0], sim_zone_file_name(op->name));

    if (before.hlc != 0 && !before.removed &&
        sim_version_compare(before, after) == 0)
        fail_at(node, op, "not found, and yet it is there");
}

static void check_content(const struct sim_node *node,
                          const struct sim_zone_op *op,
                          const struct request *request,
                          const struct eventual_record *record)
{
    static const struct slice empty = {"", 0};
    struct slice data =
        request->ret_data == NULL ? empty : buf_slice(request->ret_data);
    uint64_t content;
    uint32_t first;

    if (!sim_fold_content(data.data, data.size, &content, &first))
        fail_at(node, op, "what was read is no sequence of pieces");
    if (request->attr.version == record->hlc &&
        !slice_equal(data, record->content))
        fail_at(node, op, "what was read is not what is there");
}

/* What it is by now, where it is the node's own. */
static uint64_t follow_read(const struct sim_zone_case *zone_case,
                            struct sim_lives *lives,
                            const struct sim_node *node,
                            const struct sim_zone_op *op, uint64_t hlc)
{
    struct sim_version version = {.hlc = hlc, .origin = node->number + 1};

    follow(zone_case, lives, node, 0, op->name, &version);
    return version.hlc;
}

static void check_read(const struct sim_zone_case *zone_case,
                       struct sim_lives *lives, const struct sim_node *node,
                       const struct sim_zone_op *op,
                       const struct request *request)
{
    struct eventual_record record = {0};
    uint64_t version =
        follow_read(zone_case, lives, node, op, request->attr.version);

    if (!sim_lives_get(node, zone_case->dirs[0], sim_zone_file_name(op->name),
                       &record))
        fail_at(node, op, "what was read is not there");
    if (version < zone_case->before[0].hlc || version > record.hlc)
        fail_at(node, op, "it was never that version here");
    if (zone_case->before[0].removed &&
        sim_version_compare(zone_case->before[0], sim_version_of(&record)) == 0)
        fail_at(node, op, "it is removed");
    if (op->kind == REQUEST_READ)
        check_content(node, op, request, &record);
    eventual_release(&record);
}

/* ---- rule 2 ---- */

static bool has_attr(const struct sim_zone_op *op)
{
    return op->kind == REQUEST_CREATE || op->kind == REQUEST_WRITE ||
           op->kind == REQUEST_SETATTR;
}

/* Whether the content ends with the operation's own piece, and is only that
 * where it was to be replaced. */
static bool has_piece(const struct eventual_record *record,
                      const struct sim_zone_case *zone_case,
                      const struct sim_zone_op *op)
{
    size_t begin = (op->flags & REQUEST_APPEND) == 0
                       ? 0
                       : record->content.size - op->piece_size;
    const uint8_t *data = record->content.data;
    uint32_t tag = 0;

    if (record->content.size < op->piece_size ||
        ((op->flags & REQUEST_APPEND) == 0 &&
         record->content.size != op->piece_size))
        return false;
    if (op->piece_size == 0)
        return true;
    memcpy(&tag, data + begin, sizeof tag);
    return tag == zone_case->tag;
}

static void check_value(const struct sim_zone_case *zone_case,
                        const struct sim_node *node,
                        const struct sim_zone_op *op,
                        const struct eventual_record *record)
{
    bool removes =
        op->kind == REQUEST_UNLINK ||
        (op->kind == REQUEST_RENAME && (op->flags & REQUEST_EXCHANGE) == 0);

    if (record->removed != removes)
        fail_at(node, op, removes ? "it is not removed" : "it is removed");
    if ((op->kind == REQUEST_CREATE || op->kind == REQUEST_WRITE) &&
        !has_piece(record, zone_case, op))
        fail_at(node, op, "what was written is not there");
    if (op->kind == REQUEST_SETATTR && record->attr.gid != zone_case->tag)
        fail_at(node, op, "what was set is not there");
}

/* Than what was there; that may have been replaced before both got new
 * versions, or only the newer one. */
static bool is_newer(const struct sim_zone_case *zone_case,
                     const struct sim_node *node, struct sim_version version,
                     size_t side)
{
    return sim_version_compare(version, zone_case->before[side]) > 0 ||
           sim_zone_was_restamped(zone_case, node);
}

/* `given`: the version in the answer; 0: it has none. Without it, what is there
 * is the operation's own if this node has accepted it. */
static void acknowledge(const struct sim_zone_case *zone_case,
                        struct sim_lives *lives, const struct sim_node *node,
                        const struct sim_zone_op *op, uint64_t given)
{
    const char *name = sim_zone_file_name(op->name);
    struct sim_version mine = {.hlc = given, .origin = node->number + 1};
    struct eventual_record record = {0};
    struct sim_version after;

    if (!sim_lives_get(node, zone_case->dirs[0], name, &record))
        fail_at(node, op, "acknowledged, and nothing is there");
    after = sim_version_of(&record);
    follow(zone_case, lives, node, 0, op->name, &mine);
    if (given == 0)
        mine = after;
    if (!is_newer(zone_case, node, mine, 0) ||
        sim_version_compare(after, mine) < 0)
        fail_at(node, op, "acknowledged, and older than what is there");
    if (mine.origin == node->number + 1) {
        if (sim_version_compare(after, mine) == 0)
            check_value(zone_case, node, op, &record);
        sim_lives_acknowledged(lives, record.dir, record.since, name, mine);
    }
    eventual_release(&record);
}

/* The other end of a rename. */
static void acknowledge_other(const struct sim_zone_case *zone_case,
                              struct sim_lives *lives,
                              const struct sim_node *node,
                              const struct sim_zone_op *op)
{
    const char *name = sim_zone_file_name(op->to_name);
    struct eventual_record record = {0};
    struct sim_version after;

    if (!sim_lives_get(node, zone_case->dirs[1], name, &record))
        fail_at(node, op, "renamed, and the new name is not there");
    after = sim_version_of(&record);
    if (!is_newer(zone_case, node, after, 1))
        fail_at(node, op, "renamed, and the new name is older");
    if (after.origin == node->number + 1) {
        if (after.removed)
            fail_at(node, op, "renamed, and the new name is removed");
        sim_lives_acknowledged(lives, record.dir, record.since, name, after);
    }
    eventual_release(&record);
}

static bool is_change(const struct sim_zone_op *op,
                      const struct request *request)
{
    switch (op->kind) {
    case REQUEST_CREATE:
        return request->created;
    case REQUEST_RENAME:
        return op->dir != op->to_dir || op->name != op->to_name;
    case REQUEST_WRITE:
    case REQUEST_SETATTR:
    case REQUEST_UNLINK:
    case REQUEST_SETXATTR:
    case REQUEST_REMOVEXATTR:
        return true;
    default:
        return false;
    }
}

/* A rename that has left the file as it was, if there is one: it was a
 * directory of that name that has gone. */
static bool was_of_directory(const struct sim_zone_case *zone_case,
                             const struct sim_node *node,
                             const struct sim_zone_op *op)
{
    const char *name = sim_zone_file_name(op->name);
    struct eventual_record record = {0};
    struct sim_version version = {0};

    if (op->kind != REQUEST_RENAME)
        return false;
    if (sim_lives_get(node, zone_case->dirs[0], name, &record))
        version = sim_version_of(&record);
    eventual_release(&record);
    return sim_version_compare(version, zone_case->before[0]) == 0;
}

/* One that began when the node did not know the directory as eventual yet, and
 * was accepted all the same: only what it leaves is known. */
static void acknowledge_late(const struct sim_zone_case *zone_case,
                             struct sim_lives *lives,
                             const struct sim_node *node,
                             const struct sim_zone_op *op)
{
    const char *name = sim_zone_file_name(op->name);
    struct eventual_record record = {0};

    if (!sim_lives_get(node, zone_case->dirs[0], name, &record))
        return;
    if (record.origin == node->number + 1 &&
        sim_version_compare(sim_version_of(&record), zone_case->before[0]) > 0)
        sim_lives_acknowledged(lives, record.dir, record.since, name,
                               sim_version_of(&record));
    eventual_release(&record);
}

/* ---- the end ---- */

static bool judge_success(const struct sim_zone_case *zone_case,
                          struct sim_lives *lives, const struct sim_node *node,
                          const struct sim_zone_op *op,
                          const struct request *request)
{
    if (!sim_zone_was_eventual(zone_case, node)) {
        if (is_change(op, request))
            acknowledge_late(zone_case, lives, node, op);
        return false;
    }
    if ((request->attr.ino & INO_DIR_BIT) != 0 ||
        was_of_directory(zone_case, node, op))
        return false; /* A directory has the name here. */
    if (!is_change(op, request)) {
        if (op->kind != REQUEST_RENAME)
            check_read(zone_case, lives, node, op, request);
        return false;
    }
    if (was_drained_all_the_time(zone_case, node))
        fail_at(node, op, "it is being drained, and accepts a change");
    acknowledge(zone_case, lives, node, op,
                has_attr(op) ? request->attr.version : 0);
    if (op->kind == REQUEST_RENAME)
        acknowledge_other(zone_case, lives, node, op);
    if (zone_case->alone && sim_zone_is_alone(node))
        sim_seen(SEEN_ZONE_ALONE);
    sim_seen(SEEN_ZONE_CHANGED);
    return true;
}

static void follow_before(struct sim_zone_case *zone_case,
                          struct sim_lives *lives, const struct sim_node *node,
                          const struct sim_zone_op *op)
{
    follow(zone_case, lives, node, 0, op->name, &zone_case->before[0]);
    if (op->kind == REQUEST_RENAME)
        follow(zone_case, lives, node, 1, op->to_name, &zone_case->before[1]);
}

bool sim_zone_judge(struct sim_zone_case *zone_case, struct sim_lives *lives,
                    const struct sim_node *node, const struct sim_zone_op *op,
                    const struct request *request)
{
    int status = request->status;

    sim_zone_check_status(node, op, status);
    if (!is_of_file(op))
        return false;
    follow_before(zone_case, lives, node, op);
    if (status == 0)
        return judge_success(zone_case, lives, node, op, request);
    sim_zone_note_status(zone_case, node, status);
    if (!sim_zone_was_eventual(zone_case, node))
        return false;
    if (status == ERR_NOT_FOUND &&
        (op->kind == REQUEST_LOOKUP || op->kind == REQUEST_UNLINK))
        check_absence(zone_case, node, op);
    sim_zone_check_goes_on(zone_case, node, op, status);
    return false;
}
