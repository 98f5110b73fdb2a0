/* SPDX-License-Identifier: Apache-2.0 */

/* What a client may be told where an operation in a zone fails. */

#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_zone_around.h"
#include "tests/sim/sim_zone_judge_impl.h"

static bool was_drained(const struct sim_zone_case *zone_case,
                        const struct sim_node *node)
{
    struct node_record own = sim_zone_record_of(node);

    return own.state != NODE_UP || own.epoch != zone_case->own.epoch;
}

/* ---- rule 4 ---- */

void sim_zone_check_status(const struct sim_node *node,
                           const struct sim_zone_op *op, int status)
{
    switch (status) {
    case ERR_NOT_LEADER:
    case ERR_EPOCH:
    case ERR_CORRUPT:
    case ERR_IO:
    case ERR_NO_MEMORY:
    case ERR_COMPACTED:
    case ERR_UNAVAILABLE:
    case ERR_DROPPED:
    case ERR_LOCKED:
    case ERR_ABORTED:
    case ERR_VERSION:
    case ERR_PROTOCOL:
    case ERR_FOREIGN:
        sim_fail(node->machine.loop, "a client is told of a %s: %s",
                 sim_zone_kind_text(op), err_text(status));
    default:
        break;
    }
}

/* ---- rule 3 ---- */

/* As far as the node knows: from the call on. */
bool sim_zone_was_eventual(const struct sim_zone_case *zone_case,
                           const struct sim_node *node)
{
    for (size_t i = 0; i < 2; i++) {
        struct mode mode = sim_lives_mode(node, zone_case->dirs[i]);

        if (mode.state != MODE_EVENTUAL ||
            zone_case->modes[i].state != MODE_EVENTUAL ||
            mode.epoch != zone_case->modes[i].epoch ||
            mode.since != zone_case->modes[i].since)
            return false;
    }
    return true;
}

/* Nothing has kept the node itself. */
static bool was_free(const struct sim_zone_case *zone_case,
                     const struct sim_node *node)
{
    const struct sim_machine *machine = &node->machine;

    return node->state == SIM_UP &&
           machine->paused_until_ns <= zone_case->call_ns &&
           machine->slow_disk_until_ns <= zone_case->call_ns &&
           machine->slow_apply_until_ns <= zone_case->call_ns;
}

/* It accepts nothing meanwhile. */
bool sim_zone_was_restamped(const struct sim_zone_case *zone_case,
                            const struct sim_node *node)
{
    return zone_case->is_restamping || sim_zone_is_restamping(node) ||
           sim_zone_restamped(node) != zone_case->restamped;
}

static bool may_fail_so(const struct sim_zone_case *zone_case,
                        const struct sim_node *node, int status)
{
    switch (status) {
    case ERR_BUSY:
    case ERR_UNKNOWN_OUTCOME:
    case ERR_CANCELED:
        return false;
    case ERR_INTERRUPTED:
        return zone_case->is_cancelled;
    case ERR_NO_QUORUM:
    case ERR_READ_ONLY:
        return zone_case->clock_wrong || sim_zone_has_wrong_clock(node) ||
               was_drained(zone_case, node) ||
               sim_zone_was_restamped(zone_case, node);
    default:
        return true;
    }
}

void sim_zone_check_goes_on(const struct sim_zone_case *zone_case,
                            const struct sim_node *node,
                            const struct sim_zone_op *op, int status)
{
    const char *name = sim_zone_file_name(op->name);

    /* A directory takes a majority; to look for one does so if it is strong. */
    if (op->kind == REQUEST_RENAME &&
        (zone_case->is_directory ||
         sim_zone_is_directory(node, zone_case->dirs[0], name)))
        return;
    if (op->kind == REQUEST_LOOKUP &&
        (zone_case->is_strong ||
         sim_zone_is_strong(node, zone_case->dirs[0], name)))
        return;
    if (!zone_case->has_accepted || zone_case->is_short ||
        !was_free(zone_case, node) || may_fail_so(zone_case, node, status))
        return;
    sim_fail(node->machine.loop, "node %zu refuses a %s%s: %s",
             node->number + 1, sim_zone_kind_text(op),
             zone_case->alone ? " when it is alone" : "", err_text(status));
}

void sim_zone_note_status(const struct sim_zone_case *zone_case,
                          const struct sim_node *node, int status)
{
    if (status == ERR_READ_ONLY)
        sim_seen(was_drained(zone_case, node) ? SEEN_ZONE_DRAINED
                                              : SEEN_ZONE_READ_ONLY);
    if (status == ERR_BUSY)
        sim_seen(SEEN_ZONE_FENCED);
    if (status == ERR_NO_QUORUM && sim_zone_was_eventual(zone_case, node))
        sim_seen(SEEN_ZONE_NOT_WHOLE);
}
