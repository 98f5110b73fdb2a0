/* SPDX-License-Identifier: Apache-2.0 */

/* What answers say, for the history and to clients. */

#include <assert.h>
#include <string.h>

#include "engine/keys.h"
#include "tests/sim/sim_client_impl.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_zone_choice.h"

void sim_client_add_to_audit(struct client *client, struct sim_known what,
                             uint8_t behind)
{
    if (!client->auditing)
        return;
    assert(client->queue_count < QUEUE_MAX);
    client->queue[client->queue_count++] =
        (struct audit_item){.what = what, .behind = behind};
}

/* The greatest name before that one. */
static uint8_t name_before(const char *name)
{
    uint8_t before = SIM_NAMES_MAX;

    for (uint8_t i = 0; i < SIM_NAMES_MAX; i++)
        if (strcmp(sim_name(i), name) < 0)
            before = i;
    return before;
}

/* An empty page that is not the last: the names before `next` are not there. */
static void go_on_from(struct client *client, struct sim_op *op,
                       const char *next)
{
    struct audit_item *item;

    op->limit = (uint8_t)((name_before(next) + 1) % (SIM_NAMES_MAX + 1));
    sim_seen(SEEN_DIR_REGION_END);
    sim_client_add_to_audit(
        client, (struct sim_known){op->dir, 0, ino_of_nsid(op->dir)},
        name_before(next));
    if (!client->auditing)
        return;
    item = &client->queue[client->queue_count - 1];
    if (strlen(next) >= sizeof item->from)
        sim_fail(client->node->machine.loop, "a region begins at '%s'", next);
    memcpy(item->from, next, strlen(next) + 1);
}

static void take_listing(struct client *client, struct sim_op *op,
                         const struct request *request)
{
    struct dirent_view entry;
    size_t position = 0;

    uint8_t last = op->behind;
    bool behind_all = false; /* zones come last, and are not ours */

    while (request->ret_data != NULL &&
           dirent_next(request->ret_data, &position, &entry)) {
        uint8_t name = sim_name_number(entry.name, strlen(entry.name));

        if (sim_zone_is_name(entry.name)) {
            behind_all = true;
            continue;
        }
        if (name == SIM_NAMES_MAX)
            sim_fail(client->node->machine.loop, "readdir: unknown name '%s'",
                     entry.name);
        op->content += sim_fold_name(name, entry.ino);
        op->entry_count++;
        sim_choice_learn(&client->clients->choice, op->dir, name, entry.ino);
        sim_client_add_to_audit(client,
                                (struct sim_known){op->dir, name, entry.ino},
                                SIM_NAMES_MAX);
        last = name;
    }
    op->at_end = request->at_end || behind_all;
    op->limit = SIM_NAMES_MAX;
    if (op->at_end)
        return;
    sim_seen(SEEN_DIR_PAGE);
    if (op->entry_count == 0) {
        if (request->ret_next[0] == '\0')
            sim_fail(client->node->machine.loop,
                     "readdir: an empty page leads nowhere");
        go_on_from(client, op, request->ret_next);
        return;
    }
    sim_client_add_to_audit(
        client, (struct sim_known){op->dir, 0, ino_of_nsid(op->dir)}, last);
}

void sim_client_learn(struct client *client, struct sim_op *op,
                      const struct request *request)
{
    op->ret_ino = request->attr.ino;
    op->ret_size = request->attr.size;
    op->ret_offset = request->ret_offset;
    op->gid = request->attr.gid;
    op->created = request->created;
    switch (op->kind) {
    case REQUEST_LOOKUP:
    case REQUEST_CREATE:
    case REQUEST_MKDIR:
        sim_choice_learn(&client->clients->choice, op->dir, op->name,
                         op->ret_ino);
        break;
    case REQUEST_READ:
        op->malformed =
            request->ret_data != NULL &&
            !sim_fold_content(request->ret_data->data, request->ret_data->size,
                              &op->content, &op->first_tag);
        break;
    case REQUEST_GETXATTR:
        if (request->ret_data->size == sizeof op->xattr)
            memcpy(&op->xattr, request->ret_data->data, sizeof op->xattr);
        break;
    case REQUEST_READDIR:
        take_listing(client, op, request);
        break;
    case REQUEST_UNLINK:
    case REQUEST_RMDIR:
        sim_choice_learn(&client->clients->choice, op->dir, op->name, 0);
        break;
    case REQUEST_RENAME: {
        uint64_t from =
            sim_choice_known_ino(&client->clients->choice, op->dir, op->name);
        uint64_t to = sim_choice_known_ino(&client->clients->choice, op->to_dir,
                                           op->to_name);

        sim_choice_learn(&client->clients->choice, op->dir, op->name,
                         (op->flags & REQUEST_EXCHANGE) != 0 ? to : 0);
        sim_choice_learn(&client->clients->choice, op->to_dir, op->to_name,
                         from);
        if ((from & INO_DIR_BIT) != 0)
            sim_seen((op->flags & REQUEST_EXCHANGE) != 0 ? SEEN_DIR_EXCHANGED
                                                         : SEEN_DIR_RENAMED);
        break;
    }
    default:
        break;
    }
}
