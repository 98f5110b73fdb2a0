/* SPDX-License-Identifier: Apache-2.0 */

#include "command_helpers.h"

#include <string.h>

int try_command(struct slice bytes)
{
    struct command command = {0};
    int rc = command_decode(&command, bytes);

    command_release(&command);
    return rc;
}

int try_result(struct slice bytes)
{
    struct result result = {0};
    int rc = result_decode(&result, bytes);

    result_release(&result);
    return rc;
}

struct command filled_command(void)
{
    return (struct command){
        .op = COMMAND_TXN_DECIDE,
        .node = 1,
        .boot = 2,
        .sequence = 3,
        .lowest = 4,
        .stamp = UINT64_MAX - 5,
        .now_ns = INT64_MIN + 6,
        .flags = REQUEST_APPEND | REQUEST_KILL_PRIV,
        .set_mask = SET_SIZE | SET_MTIME_NOW,
        .dir = 9,
        .to_dir = 10,
        .ino = UINT64_MAX - 11,
        .name = slice_of("name"),
        .to_name = slice_of("to name"),
        .xattr = slice_of("user.xattr"),
        .offset = UINT64_MAX - 15,
        .size = 16,
        .set = filled_attr(17),
        .value_size_max = 18,
        .address = slice_of("[::1]:7420"),
        .txn = filled_txn(20),
        .txn_kind = TXN_RENAME,
        .commit = true,
        .changes = {{CATALOG_ADD, 1, 2, slice_of("added"), filled_attr(3)},
                    {CATALOG_REMOVE, 4, 5, slice_of("removed"), {0}}},
        .change_count = 2,
        .verdict = {.index = 21,
                    .hash = UINT64_MAX - 22,
                    .right = {1, UINT64_MAX},
                    .right_count = 2,
                    .wrong = {3},
                    .wrong_count = 1},
        .token = UINT64_MAX - 24,
        .node_state = NODE_REMOVED,
        .target_node = UINT64_MAX - 23,
        .merge = {.state = MERGE_GIVING_UP,
                  .other = 25,
                  .attempt = 26,
                  .version = 27,
                  .conf_ver = 28,
                  .start = slice_of("12345678a"),
                  .end = slice_of("12345678b")},
        .merge_step = MERGE_STEP_END,
        .further = slice_of("namespaces, 24 bytes ..."),
        .further_times =
            slice_of("... with the times of each, 48 bytes altogether."),
        .data = letters(128),
    };
}

struct result filled_result(void)
{
    return (struct result){
        .status = ERR_LOCKED,
        .attr = filled_attr(1),
        .offset = UINT64_MAX - 2,
        .created = true,
        .at_end = true,
        .decided = true,
        .committed = true,
        .first_id = 3,
        .holder = filled_txn(4),
        .changes = {{CATALOG_MOVE, 1, 2, slice_of("moved"), filled_attr(5)}},
        .change_count = 1,
        .data = letters(1000),
    };
}

struct buf *framed(struct buf *message)
{
    struct buf *b = buf_new(COMMAND_PREFIX_SIZE + message->size);

    assert_non_null(b);
    b->data[0] = COMMAND_FORMAT;
    be32_put(b->data + 1, (uint32_t)message->size);
    memcpy(b->data + COMMAND_PREFIX_SIZE, message->data, message->size);
    buf_unref(message);
    return b;
}

struct buf *empty_message(void)
{
    return buf_copy("", 0);
}
