/* SPDX-License-Identifier: Apache-2.0 */

/* The commands of cluster scenarios: one row, one function each. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"
#include "raft/id_set.h"
#include "raft/core.h"
#include "raft/raft_testing.h"
#include "tests/raft/cluster.h"
#include "tests/raft/cluster_commands.h"
#include "tests/raft/conf_text.h"
#include "tests/raft/interaction.h"

enum { ELECTION_TICKS = 3, HEARTBEAT_TICKS = 1 };

/* ---- Arguments -------------------------------------------------------- */

static size_t bare_ids(struct cluster *c, const struct directive *d,
                       uint64_t *ids)
{
    const char *bare[DIRECTIVE_ARGS_MAX];
    size_t count = directive_bare(d, bare, DIRECTIVE_ARGS_MAX);

    for (size_t i = 0; i < count; i++) {
        ids[i] = directive_parse_number(d, bare[i]);
        if (ids[i] == 0 || ids[i] > c->node_count)
            directive_fail(d, "no such node");
    }
    return count;
}

struct node *command_node(struct cluster *c, const struct directive *d)
{
    const char *bare[1];
    uint64_t id;

    if (directive_bare(d, bare, 1) != 1)
        directive_fail(d, "a node is missing");
    id = directive_parse_number(d, bare[0]);
    if (id == 0 || id > c->node_count)
        directive_fail(d, "no such node");
    return &c->node[id - 1];
}

const char *command_second(const struct directive *d)
{
    const char *bare[2];

    if (directive_bare(d, bare, 2) != 2)
        directive_fail(d, "a second argument is missing");
    return bare[1];
}

uint64_t command_second_number(const struct directive *d)
{
    return directive_parse_number(d, command_second(d));
}

/* ---- Setting up ------------------------------------------------------- */

static const char *log_level(struct cluster *c, const struct directive *d)
{
    static const char *const names[LEVEL_COUNT] = {"DEBUG", "INFO",  "WARN",
                                                   "ERROR", "FATAL", "NONE"};
    const char *name = d->arg_count == 1 ? d->arg[0].key : "";

    for (int i = 0; i < LEVEL_COUNT; i++)
        if (strcasecmp(name, names[i]) == 0) {
            c->level = i;
            return NULL;
        }
    return "log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]";
}

static void read_ids(const struct directive *d, const char *key,
                     struct raft_id_set *set)
{
    const struct directive_arg *arg = directive_arg(d, key);

    for (size_t i = 0; arg != NULL && i < arg->value_count; i++)
        set->id[set->count++] = directive_parse_number(d, arg->value[i]);
}

static const char *read_read_only(const struct directive *d,
                                  struct raft_config *config)
{
    const char *text = directive_text(d, "read-only", "safe");
    static char why[128];

    if (strcmp(text, "safe") == 0) {
        config->read_only = RAFT_READ_SAFE;
        return NULL;
    }
    if (strcmp(text, "lease-based") == 0) {
        config->read_only = RAFT_READ_LEASE_BASED;
        return NULL;
    }
    (void)snprintf(why, sizeof why, "invalid read-only option \"%s\"", text);
    return why;
}

static struct raft_config read_config(const struct directive *d)
{
    return (struct raft_config){
        .election_ticks = ELECTION_TICKS,
        .heartbeat_ticks = HEARTBEAT_TICKS,
        .silent_ticks = (unsigned)directive_number(d, "silent-ticks", 0),
        .pre_vote = directive_bool(d, "prevote", false),
        .check_quorum = directive_bool(d, "checkquorum", false),
        .step_down_on_removal =
            directive_bool(d, "step-down-on-removal", false),
        .disable_proposal_forwarding =
            directive_bool(d, "disable-proposal-forwarding", false),
        .disable_conf_change_validation =
            directive_bool(d, "disable-conf-change-validation", false),
        .message_size_max =
            directive_number(d, "max-size-per-msg", RAFT_NO_LIMIT),
        .inflight_count_max =
            (size_t)directive_number(d, "inflight", INT32_MAX),
        .inflight_bytes_max = directive_number(d, "max-inflight-bytes", 0),
        .uncommitted_size_max = directive_number(d, "max-uncommitted-size", 0),
        .committed_size_per_ready_max =
            directive_number(d, "max-committed-size-per-ready", 0),
    };
}

static const char *add_nodes(struct cluster *c, const struct directive *d)
{
    struct node_options options = {.config = read_config(d)};
    const char *content = directive_text(d, "content", NULL);
    const char *bare[1];
    const char *why = read_read_only(d, &options.config);
    uint64_t count;

    if (directive_bare(d, bare, 1) != 1)
        directive_fail(d, "how many nodes?");
    count = directive_parse_number(d, bare[0]);
    options.async = directive_bool(d, "async-storage-writes", false);
    options.bootstrap.index = directive_number(d, "index", 0);
    read_ids(d, "voters", &options.bootstrap.conf_state.voters);
    read_ids(d, "learners", &options.bootstrap.conf_state.learners);
    if (content != NULL)
        options.bootstrap.data = buf_copy(content, strlen(content));
    for (uint64_t i = 0; i < count && why == NULL; i++)
        why = cluster_add_node(c, &options);
    buf_unref(options.bootstrap.data);
    return why;
}

/* ---- Processing ------------------------------------------------------- */

static const char *process(struct cluster *c, const struct directive *d,
                           const char *title, cluster_body *body)
{
    uint64_t ids[DIRECTIVE_ARGS_MAX];
    size_t count = bare_ids(c, d, ids);
    const char *why = NULL;

    if (count == 1)
        return body(c, &c->node[ids[0] - 1]);
    for (size_t i = 0; i < count && why == NULL; i++) {
        cluster_print(c, "> %" PRIu64 " %s\n", ids[i], title);
        why = cluster_indented(c, &c->node[ids[i] - 1], body);
    }
    return why;
}

static const char *process_ready(struct cluster *c, const struct directive *d)
{
    return process(c, d, "handling Ready", cluster_process_ready);
}

static const char *process_append(struct cluster *c, const struct directive *d)
{
    return process(c, d, "processing append thread", cluster_process_append);
}

static const char *process_apply(struct cluster *c, const struct directive *d)
{
    return process(c, d, "processing apply thread", cluster_process_apply);
}

static const char *stabilize(struct cluster *c, const struct directive *d)
{
    const struct directive_arg *level = directive_arg(d, "log-level");
    uint64_t ids[DIRECTIVE_ARGS_MAX + CLUSTER_NODES_MAX];
    size_t count = bare_ids(c, d, ids);
    int level_before = c->level;
    const char *why = NULL;

    if (count == 0)
        for (; count < c->node_count; count++)
            ids[count] = count + 1;
    if (level != NULL) {
        struct directive nested = {.arg_count = 1,
                                   .arg = {{.key = level->value[0]}}};

        why = log_level(c, &nested);
    }
    if (why == NULL)
        why = cluster_stabilize(c, ids, count);
    c->level = level_before;
    return why;
}

static int message_type(const struct directive *d, const char *name)
{
    for (int type = 0; type < RAFT_MESSAGE_TYPES; type++)
        if (strcmp(raft_message_name((enum raft_message_type)type), name) == 0)
            return type;
    directive_fail(d, "no such message type");
}

static const char *deliver_msgs(struct cluster *c, const struct directive *d)
{
    const char *type_name = directive_text(d, "type", NULL);
    int type = type_name == NULL ? -1 : message_type(d, type_name);
    size_t count = 0;

    for (size_t i = 0; i < d->arg_count; i++) {
        const struct directive_arg *arg = &d->arg[i];

        if (strcmp(arg->key, "drop") == 0)
            for (size_t j = 0; j < arg->value_count; j++)
                count += cluster_deliver(
                    c, directive_parse_number(d, arg->value[j]), type, true);
        else if (arg->value_count == 0)
            count += cluster_deliver(c, directive_parse_number(d, arg->key),
                                     type, false);
    }
    if (count == 0)
        cluster_print(c, "no messages\n");
    return NULL;
}

/* ---- Raft ------------------------------------------------------------- */

static const char *campaign(struct cluster *c, const struct directive *d)
{
    return cluster_error_text(raft_campaign(command_node(c, d)->raft));
}

static const char *tick(struct cluster *c, const struct directive *d,
                        unsigned ticks)
{
    struct node *n = command_node(c, d);

    for (unsigned i = 0; i < ticks; i++)
        (void)raft_tick(n->raft);
    return NULL;
}

static const char *tick_election(struct cluster *c, const struct directive *d)
{
    return tick(c, d, ELECTION_TICKS);
}

static const char *tick_heartbeat(struct cluster *c, const struct directive *d)
{
    return tick(c, d, HEARTBEAT_TICKS);
}

static const char *set_timeout(struct cluster *c, const struct directive *d)
{
    raft_testing_set_election_timeout(
        command_node(c, d)->raft, (unsigned)directive_number(d, "timeout", 0));
    return NULL;
}

static const char *propose(struct cluster *c, const struct directive *d)
{
    struct node *n = command_node(c, d);
    const char *data = command_second(d);
    struct raft_entry entry = {.type = RAFT_ENTRY_NORMAL,
                               .data = buf_copy(data, strlen(data))};
    int rc = raft_propose(n->raft, &entry, 1, NULL);

    buf_unref(entry.data);
    return cluster_error_text(rc);
}

static const char *propose_conf_change(struct cluster *c,
                                       const struct directive *d)
{
    const char *transition = directive_text(d, "transition", "auto");
    bool v1 = directive_bool(d, "v1", false);
    struct raft_entry entry = {.type = v1 ? RAFT_ENTRY_CONF_CHANGE
                                          : RAFT_ENTRY_CONF_CHANGE_V2};
    struct raft_conf_change change;
    const char *why = conf_text_parse(d->input, &change);
    int rc;

    if (why == NULL)
        why = conf_text_parse_transition(transition, &change.transition);
    if (why != NULL)
        return why;
    if (v1 && (change.count != 1 || directive_arg(d, "transition") != NULL))
        return "v1 conf change can only have one operation and no transition";

    if (change.count > 0 || change.transition != RAFT_TRANSITION_AUTO)
        entry.data = raft_conf_change_encode(&change);
    rc = raft_propose(command_node(c, d)->raft, &entry, 1, NULL);
    buf_unref(entry.data);
    return cluster_error_text(rc);
}

static const char *transfer_leadership(struct cluster *c,
                                       const struct directive *d)
{
    uint64_t from = directive_number(d, "from", 0);

    if (from == 0 || from > c->node_count)
        directive_fail(d, "no such node");
    (void)raft_transfer_leader(c->node[from - 1].raft,
                               directive_number(d, "to", 0));
    return NULL;
}

static const char *forget_leader(struct cluster *c, const struct directive *d)
{
    raft_forget_leader(command_node(c, d)->raft);
    return NULL;
}

static const char *report_unreachable(struct cluster *c,
                                      const struct directive *d)
{
    raft_report_unreachable(command_node(c, d)->raft, command_second_number(d));
    return NULL;
}

static const char *send_snapshot(struct cluster *c, const struct directive *d)
{
    struct node *n = command_node(c, d);
    struct out line = {.used = 0};
    struct raft_message m = {
        .type = RAFT_MSG_SNAP,
        .from = node_id(n),
        .to = command_second_number(d),
        .term = raft_term(n->raft),
        .snapshot = raft_snapshot_copy(node_last_snapshot(n)),
    };

    print_message(&line, &m);
    cluster_print(c, "%s", out_text(&line));
    out_release(&line);
    wires_push_message(&c->messages, &m);
    return NULL;
}

/* ---- Looking ---------------------------------------------------------- */

static const char *status(struct cluster *c, const struct directive *d)
{
    const struct raft *r = command_node(c, d)->raft;

    if (raft_role(r) != RAFT_LEADER)
        return NULL;
    for (size_t i = 0; i < r->peers.count; i++)
        cluster_print(c, "%" PRIu64 ": %s\n", r->peers.item[i].id,
                      text_progress(&r->peers.item[i]).data);
    return NULL;
}

static const char *raft_log_of(struct cluster *c, const struct directive *d)
{
    const struct memory_storage *s = &command_node(c, d)->storage;
    uint64_t first = memory_storage_first_index(s);
    uint64_t last = memory_storage_last_index(s);

    if (last < first)
        cluster_print(
            c, "log is empty: first index=%" PRIu64 ", last index=%" PRIu64,
            first, last);
    for (size_t i = 1; i < s->entries.count; i++) {
        struct out line = {.used = 0};

        print_entry(&line, &s->entries.item[i]);
        cluster_print(c, "%s\n", out_text(&line));
        out_release(&line);
    }
    return NULL;
}

static const char *compact(struct cluster *c, const struct directive *d)
{
    const char *why = memory_storage_compact(&command_node(c, d)->storage,
                                             command_second_number(d));

    return why != NULL ? why : raft_log_of(c, d);
}

static const char *raft_state(struct cluster *c, const struct directive *d)
{
    (void)d;
    for (size_t i = 0; i < c->node_count; i++) {
        struct raft_status s;

        raft_status(c->node[i].raft, &s);
        cluster_print(c,
                      "%" PRIu64 ": %s %s Term:%" PRIu64 " Lead:%" PRIu64 "\n",
                      s.id, text_role(s.role),
                      s.voter ? "(Voter)" : "(Non-Voter)", s.term, s.leader);
    }
    return NULL;
}

static const char *breakpoint(struct cluster *c, const struct directive *d)
{
    (void)c;
    (void)d;
    return NULL;
}

/* ---- Table ------------------------------------------------------------ */

static const struct command commands[] = {
    {"_breakpoint", breakpoint},
    {"add-nodes", add_nodes},
    {"campaign", campaign},
    {"compact", compact},
    {"deliver-msgs", deliver_msgs},
    {"forget-leader", forget_leader},
    {"log-level", log_level},
    {"process-append-thread", process_append},
    {"process-apply-thread", process_apply},
    {"process-ready", process_ready},
    {"propose", propose},
    {"propose-conf-change", propose_conf_change},
    {"raft-log", raft_log_of},
    {"raft-state", raft_state},
    {"report-unreachable", report_unreachable},
    {"send-snapshot", send_snapshot},
    {"set-randomized-election-timeout", set_timeout},
    {"stabilize", stabilize},
    {"status", status},
    {"tick-election", tick_election},
    {"tick-heartbeat", tick_heartbeat},
    {"transfer-leadership", transfer_leadership},
};

static const char *run_command(struct cluster *c, const struct directive *d)
{
    const struct command *own = cluster_own_command(d->command);

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, d->command) == 0)
            return commands[i].run(c, d);
    return own == NULL ? "unknown command" : own->run(c, d);
}

static void *begin(void)
{
    return mem_zalloc(sizeof(struct cluster));
}

static void run(void *state, const struct directive *d, struct out *out)
{
    struct cluster *c = state;
    const char *why;

    c->out = out;
    why = run_command(c, d);
    if (why != NULL)
        out_add(out, "%s", why); /* Errors show at every level. */
    if (out->used == 0)
        out_add(out, "ok");
    c->out = NULL;
}

static void end(void *state)
{
    cluster_close(state);
    free(state);
}

const struct harness cluster_harness = {begin, run, end};
