/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/quarantine/ID/drop, which is a matter of this node alone. */

#include <inttypes.h>

#include "engine/control_impl.h"
#include "engine/quarantine.h"

int control_parse_drop(struct node *node, uint64_t number, struct slice text,
                       struct order *order, const char **ret_why)
{
    uint64_t found;
    int rc;

    (void)order;
    *ret_why = "not `yes`";
    if (!slice_equal(text, slice_of("yes")))
        return ERR_INVALID;
    rc = quarantine_next(node_env(node)->state, number, &found);
    *ret_why = "it cannot be read";
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    *ret_why = "there is no such change";
    return rc == 0 && found == number ? 0 : ERR_NOT_FOUND;
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
