/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_outcome.h"

#include "tests/sim/sim_seen.h"

/* The engine reads a directory's attributes again after it has set them; the
 * directory may be gone by then. */
static bool may_be_gone_after(const struct sim_op *op, int status)
{
    return op->kind == REQUEST_SETATTR && (op->ino & INO_DIR_BIT) != 0 &&
           (status == ERR_STALE || status == ERR_NOT_FOUND);
}

enum sim_outcome sim_outcome_of(const struct sim_op *op, int status)
{
    if (may_be_gone_after(op, status))
        return SIM_OP_UNKNOWN;
    switch (status) {
    case 0:
        return SIM_OP_OK;
    case ERR_NO_QUORUM:
    case ERR_NO_SPACE:
    case ERR_BUSY:
        return SIM_OP_FAILED;
    case ERR_UNKNOWN_OUTCOME:
    case ERR_INTERRUPTED:
    case ERR_CANCELED:
        return sim_is_read(op->kind) ? SIM_OP_FAILED : SIM_OP_UNKNOWN;
    default:
        return SIM_OP_REFUSED;
    }
}

void sim_outcome_count(const struct sim_op *op)
{
    if (op->status == 0)
        sim_seen(SEEN_OP_OK);
    else if (op->status == ERR_NO_QUORUM)
        sim_seen(SEEN_OP_NO_QUORUM);
    else if (op->status == ERR_NO_SPACE)
        sim_seen(SEEN_OP_NO_SPACE);
    else if (op->status == ERR_UNKNOWN_OUTCOME)
        sim_seen(SEEN_OP_UNKNOWN);
    else if (op->status == ERR_BUSY)
        sim_seen(SEEN_OP_BUSY);
    else if (op->status == ERR_INTERRUPTED)
        sim_seen(SEEN_OP_INTERRUPTED);
    else
        sim_seen(SEEN_OP_REFUSED);
    if (op->kind == REQUEST_RENAME && op->status == ERR_INVALID)
        sim_seen(SEEN_DIR_LOOP);
    if (op->kind == REQUEST_SETATTR && op->status == 0)
        sim_seen(SEEN_ATTR_SET);
    if (op->kind == REQUEST_RMDIR && op->status == ERR_NOT_EMPTY)
        sim_seen(SEEN_DIR_NOT_EMPTY);
    if (op->status == 0 && op->ret_size > 64 * 1024)
        sim_seen(SEEN_LARGE_VALUE);
}
