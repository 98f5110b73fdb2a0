/* SPDX-License-Identifier: Apache-2.0 */

/* A request as a command, within its limits, and what came of that as the
 * request's answer. */

#include <string.h>

#include "engine/eventual_read.h"
#include "engine/flow_impl.h"
#include "engine/keys.h"
#include "engine/modes.h"

/* clang-format off */
static const enum command_op ops_on_files[REQUEST_KINDS] = {
    [REQUEST_LOOKUP]      = COMMAND_LOOKUP,
    [REQUEST_GETATTR]     = COMMAND_GETATTR,
    [REQUEST_READ]        = COMMAND_READ,
    [REQUEST_READDIR]     = COMMAND_READDIR,
    [REQUEST_GETXATTR]    = COMMAND_GETXATTR,
    [REQUEST_LISTXATTR]   = COMMAND_LISTXATTR,
    [REQUEST_CREATE]      = COMMAND_CREATE,
    [REQUEST_WRITE]       = COMMAND_WRITE,
    [REQUEST_SETATTR]     = COMMAND_SETATTR,
    [REQUEST_UNLINK]      = COMMAND_UNLINK,
    [REQUEST_RENAME]      = COMMAND_RENAME,
    [REQUEST_SETXATTR]    = COMMAND_SETXATTR,
    [REQUEST_REMOVEXATTR] = COMMAND_REMOVEXATTR,
};

static const enum command_op ops_on_directories[REQUEST_KINDS] = {
    [REQUEST_SETATTR]     = COMMAND_DIR_SETATTR,
    [REQUEST_SETXATTR]    = COMMAND_DIR_SETXATTR,
    [REQUEST_REMOVEXATTR] = COMMAND_DIR_REMOVEXATTR,
};
/* clang-format on */

bool flow_is_on_directory(const struct request *request)
{
    return (request->ino & INO_DIR_BIT) != 0 &&
           ops_on_directories[request->kind] != COMMAND_NOOP;
}

struct command flow_command_of(const struct node *node,
                               const struct request *request)
{
    struct command command = {
        .op = flow_is_on_directory(request) ? ops_on_directories[request->kind]
                                            : ops_on_files[request->kind],
        .flags = request->flags,
        .set_mask = request->set_mask,
        .dir = request->dir,
        .to_dir = request->to_dir,
        .ino = request->ino,
        .name = slice_of(request->name),
        .to_name = slice_of(request->to_name),
        .xattr = slice_of(request->xattr),
        .offset = request->offset,
        .size = request->size,
        .set = request->set,
        .value_size_max = node_config(node)->value_size_max,
    };

    if (request->data != NULL)
        command.data = (struct slice){request->data->data, request->data->size};
    return command;
}

int flow_check_limits(const struct request *request)
{
    if (slice_of(request->name).size > NAME_SIZE_MAX ||
        slice_of(request->to_name).size > NAME_SIZE_MAX)
        return ERR_NAME_TOO_LONG;
    if (slice_of(request->xattr).size > XATTR_NAME_SIZE_MAX)
        return ERR_RANGE;
    if (request->kind == REQUEST_SETXATTR && request->data != NULL &&
        request->data->size > XATTRS_SIZE_MAX)
        return ERR_NO_SPACE;
    if (request->data != NULL && request->data->size > WRITE_SIZE_MAX)
        return ERR_TOO_LARGE;
    if (request->kind == REQUEST_CREATE && request->data != NULL &&
        request->data->size > SYMLINK_SIZE_MAX &&
        (request->set.mode & 0170000) == 0120000)
        return ERR_NAME_TOO_LONG;
    return 0;
}

void flow_look_into_directory(struct node *node, struct request *request)
{
    uint64_t nsid = nsid_of_ino(request->attr.ino);
    struct attr attr;

    if ((request->attr.ino & INO_DIR_BIT) != 0 &&
        modes_find(node_modes(node), nsid).state != MODE_STRONG &&
        eventual_directory_attr(node_env(node)->state, NULL, nsid, &attr) == 0)
        request->attr = attr;
}

void flow_take_result(struct request *request, int status,
                      const struct result *result)
{
    request->status = status;
    if (status != 0 || result == NULL)
        return;
    request->attr = result->attr;
    request->ret_offset = result->offset;
    request->created = result->created;
    request->at_end = result->at_end;
    memcpy(request->ret_next, result->next, sizeof request->ret_next);
    request->ret_data = buf_ref(result->data_buf);
}
