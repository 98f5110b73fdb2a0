/* SPDX-License-Identifier: Apache-2.0 */

/* Strong directories where they meet eventual ones: those whose names are in
 * eventual ones, and those that turn out to be eventual themselves by now.
 *
 * The name of one in an eventual directory is what this node knows, as all
 * names there; what the directory is like the regions say, as of all strong
 * ones. So LOOKUP is two reads. RMDIR is a transaction without a place (txn.h,
 * rule 5). */

#include "engine/flow_impl.h"
#include "engine/keys.h"
#include "engine/modes.h"

/* ---- LOOKUP ---- */

static struct command getattr_of(const struct result *found)
{
    return (struct command){.op = COMMAND_GETATTR, .ino = found->attr.ino};
}

bool flow_finds_strong(struct node *node, const struct command *command,
                       const struct result *found)
{
    uint64_t ino = found->attr.ino;

    return command->op == COMMAND_LOOKUP && found->status == 0 &&
           (ino & INO_DIR_BIT) != 0 &&
           modes_find(node_modes(node), nsid_of_ino(ino)).state == MODE_STRONG;
}

int flow_status_of_read(const struct request *request, int status)
{
    return status == ERR_STALE && request->kind == REQUEST_LOOKUP
               ? ERR_NOT_FOUND
               : status;
}

bool flow_try_strong(struct node *node, struct result *ret)
{
    const struct command command = getattr_of(ret);

    result_release(ret);
    *ret = (struct result){.status = 0};
    return reader_try(node, &command, 0, ret);
}

void flow_read_strong(struct flow *flow, const struct result *found)
{
    flow->command = getattr_of(found);
    flow_read(flow);
}

/* ---- RMDIR ---- */

bool flow_may_remove_strong(struct flow *flow, uint64_t nsid)
{
    struct mode mode = modes_find(node_modes(flow->flows->node), nsid);

    return mode.state == MODE_STRONG && !mode_is_filling(mode);
}

void flow_remove_strong(struct flow *flow, uint64_t nsid)
{
    flow->command.ino = ino_of_nsid(nsid);
    flow->txn.has_no_place = true;
    flow_txn(flow, TXN_RMDIR);
}

/* ---- strong ones that are so no more ---- */

static void look_again(struct catch_up *catch_up, int status)
{
    struct flow *flow = container_of(catch_up, struct flow, catch_up);

    flow->has_caught_up = true;
    if (status == ERR_CANCELED || !flow_start_eventual(flow))
        flow_end(flow, status == ERR_CANCELED ? status : flow->shown.status,
                 NULL);
}

bool flow_failed_strong(struct flow *flow, int status)
{
    bool may_be_so = status == ERR_NOT_FOUND || status == ERR_STALE ||
                     (status == ERR_BUSY && flow->command.txn_kind != 0);

    if (!may_be_so || flow->has_caught_up)
        return false;
    flow->shown = (struct result){.status = status};
    flow_catch_up(flow, look_again);
    return true;
}
