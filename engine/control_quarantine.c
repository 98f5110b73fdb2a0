/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/quarantine/ID/drop, which is a matter of this node alone. */

#include <inttypes.h>

#include "engine/control_impl.h"

int control_parse_drop(struct node *node, uint64_t number, struct slice text,
                       struct order *order, const char **ret_why)
{
    (void)node;
    (void)number;
    (void)order;
    *ret_why = "not `yes`";
    return slice_equal(text, slice_of("yes")) ? 0 : ERR_INVALID;
}

static void dropped(struct eventual_drop *drop, int status)
{
    struct control_op *op = container_of(drop, struct control_op, drop);

    if (status != 0)
        node_log_event(op->node, LOG_WARN,
                       "control file quarantine/drop of %" PRIu64 ": %s",
                       op->object, err_text(status));
    op->done(op, status);
}

void control_start_drop(struct control_op *op)
{
    op->drop.number = op->object;
    op->drop.done = dropped;
    eventual_drop_start(node_eventual(op->node), &op->drop);
}
