/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/two_nodes.h"

static void on_done(struct proposal *proposal, int status, bool in_log,
                    struct buf *result)
{
    struct asked *asked = container_of(proposal, struct asked, proposal);
    struct result decoded = {0};

    asked->done++;
    asked->status = status;
    asked->in_log = in_log;
    if (status == 0)
        assert_int_equal(result_decode(&decoded, buf_slice(result)), 0);
    asked->result = decoded.status;
    result_release(&decoded);
    buf_unref(proposal->command);
}

int ask(struct node *node, struct asked *asked, const struct command *command)
{
    int rc = 0;

    *asked = (struct asked){
        .proposal = {.done = on_done, .command = command_encode(command)}};
    if (command->op == COMMAND_MERGE)
        rc = peer_propose_merge(node->peer, &asked->proposal);
    else if (command->op == COMMAND_SPLIT)
        rc = peer_propose_split(node->peer, &asked->proposal);
    else
        peer_propose(node->peer, &asked->proposal);
    if (rc != 0)
        buf_unref(asked->proposal.command);
    return rc;
}

int ask_both(struct two_nodes *all, struct command command)
{
    struct asked asked;

    assert_int_equal(ask(&all->node[LEADER], &asked, &command), 0);
    run(all);
    tick(all);
    assert_int_equal(asked.done, 1);
    assert_int_equal(asked.status, 0);
    return asked.result;
}

struct command write_for(uint64_t version)
{
    return (struct command){.op = COMMAND_UNLINK,
                            .region_version = version,
                            .dir = ENTRIES_NSID,
                            .name = slice_of("a")};
}
