/* SPDX-License-Identifier: Apache-2.0 */

/* Commands for our own scenarios, for what FORMAT.md has no word:
 *
 *     read-index N REQUEST        restart N
 *     report-snapshot A B ok=B    request-snapshot N
 *     snapshots N available=B     set-clock N T
 *     quorum-clock N              can-sleep N
 *     repeat-last                 propose-batch N DATA... */

#include <inttypes.h>
#include <string.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"
#include "tests/raft/cluster_commands.h"

static const char *read_index(struct cluster *c, const struct directive *d)
{
    int rc =
        raft_read_index(command_node(c, d)->raft, command_second_number(d));

    return rc == 0 ? NULL : err_text(rc);
}

static const char *restart(struct cluster *c, const struct directive *d)
{
    return cluster_restart(c, command_node(c, d));
}

static const char *report_snapshot(struct cluster *c, const struct directive *d)
{
    raft_report_snapshot(command_node(c, d)->raft, command_second_number(d),
                         directive_bool(d, "ok", true));
    return NULL;
}

static const char *request_snapshot(struct cluster *c,
                                    const struct directive *d)
{
    int rc = raft_request_snapshot(command_node(c, d)->raft);

    return rc == 0 ? NULL : err_text(rc);
}

static const char *snapshots(struct cluster *c, const struct directive *d)
{
    command_node(c, d)->storage.snapshot_unavailable =
        !directive_bool(d, "available", true);
    return NULL;
}

static const char *set_clock(struct cluster *c, const struct directive *d)
{
    raft_set_clock(command_node(c, d)->raft, command_second_number(d));
    return NULL;
}

static const char *quorum_clock(struct cluster *c, const struct directive *d)
{
    const struct raft *r = command_node(c, d)->raft;

    cluster_print(c, "%" PRIu64 "%s\n", raft_quorum_clock(r),
                  raft_lease_blocked(r) ? " blocked" : "");
    return NULL;
}

static const char *can_sleep(struct cluster *c, const struct directive *d)
{
    const char *why = raft_can_sleep(command_node(c, d)->raft);

    cluster_print(c, "%s\n", why == NULL ? "yes" : why);
    return NULL;
}

/* The network delivers the newest message twice. */
static const char *repeat_last(struct cluster *c, const struct directive *d)
{
    struct raft_message copy;

    if (c->messages.count == 0)
        directive_fail(d, "no message");
    raft_message_copy(&copy, &c->messages.item[c->messages.count - 1].m);
    wires_push_message(&c->messages, &copy);
    return NULL;
}

static const char *propose_batch(struct cluster *c, const struct directive *d)
{
    struct raft_entry entry[DIRECTIVE_ARGS_MAX];
    const char *bare[DIRECTIVE_ARGS_MAX];
    size_t count = directive_bare(d, bare, DIRECTIVE_ARGS_MAX);
    uint64_t first = 0;
    int rc;

    for (size_t i = 1; i < count; i++)
        entry[i] = (struct raft_entry){
            .data = buf_copy(bare[i], strlen(bare[i])),
        };
    rc = raft_propose(command_node(c, d)->raft, entry + 1, count - 1, &first);
    for (size_t i = 1; i < count; i++)
        buf_unref(entry[i].data);
    if (rc == 0)
        cluster_print(c, "first index %" PRIu64 "\n", first);
    return cluster_error_text(rc);
}

static const struct command commands[] = {
    {"can-sleep", can_sleep},
    {"propose-batch", propose_batch},
    {"quorum-clock", quorum_clock},
    {"read-index", read_index},
    {"repeat-last", repeat_last},
    {"report-snapshot", report_snapshot},
    {"request-snapshot", request_snapshot},
    {"restart", restart},
    {"set-clock", set_clock},
    {"snapshots", snapshots},
};

const struct command *cluster_own_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}
