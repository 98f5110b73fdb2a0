/* SPDX-License-Identifier: Apache-2.0 */

/* Scenarios of the quorum arithmetic alone (FORMAT.md section 8). */

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "raft/id_set.h"
#include "raft/quorum.h"
#include "tests/raft/interaction.h"

struct voter {
    uint64_t id;
    uint64_t value; /* index, or enum quorum_ballot */
    bool known;
};

struct ballot_box {
    struct raft_conf_state conf;
    struct voter voter[RAFT_PEERS_MAX]; /* as named, each once */
    size_t voter_count;
};

static struct voter *find(const struct ballot_box *box, uint64_t id)
{
    for (size_t i = 0; i < box->voter_count; i++)
        if (box->voter[i].id == id)
            return (struct voter *)(uintptr_t)&box->voter[i];
    return NULL;
}

static uint64_t value_of(const void *context, uint64_t id)
{
    const struct voter *v = find(context, id);

    return v->known ? v->value : 0;
}

static enum quorum_ballot ballot_of(const void *context, uint64_t id)
{
    const struct voter *v = find(context, id);

    return v->known ? (enum quorum_ballot)v->value : QUORUM_SILENT;
}

/* ---- Input ------------------------------------------------------------ */

static void read_voters(const struct directive *d, const char *key,
                        struct ballot_box *box, struct raft_id_set *set)
{
    const struct directive_arg *arg = directive_arg(d, key);

    if (arg == NULL ||
        (arg->value_count == 1 && strcmp(arg->value[0], "zero") == 0))
        return;
    for (size_t i = 0; i < arg->value_count; i++) {
        uint64_t id = directive_parse_number(d, arg->value[i]);

        (void)id_set_add(set, id);
        if (find(box, id) == NULL)
            box->voter[box->voter_count++].id = id;
    }
}

static void read_value(const struct directive *d, const char *text,
                       struct voter *v)
{
    v->known = strcmp(text, "_") != 0;
    if (!v->known)
        return;
    if (strcmp(d->command, "committed") == 0) {
        v->value = directive_parse_number(d, text);
        if (v->value == 0)
            directive_fail(d, "use _ for no information");
        return;
    }
    if (strcmp(text, "y") != 0 && strcmp(text, "n") != 0)
        directive_fail(d, "a vote is y, n or _");
    v->value = *text == 'y' ? QUORUM_YES : QUORUM_NO;
}

static void print_mismatch(struct out *out, const struct ballot_box *box,
                           const struct directive_arg *arg)
{
    struct raft_id_set all = conf_state_voters(&box->conf);

    out_add(out, "error: mismatched input (explicit or _) for voters [");
    for (size_t i = 0; i < all.count; i++)
        out_add(out, "%s%" PRIu64, i == 0 ? "" : " ", all.id[i]);
    out_add(out, "]: [");
    for (size_t i = 0; arg != NULL && i < arg->value_count; i++)
        out_add(out, "%s%s", i == 0 ? "" : " ", arg->value[i]);
    out_add(out, "]");
}

static bool read_box(const struct directive *d, struct ballot_box *box,
                     struct out *out)
{
    const struct directive_arg *arg = directive_arg(
        d, strcmp(d->command, "committed") == 0 ? "idx" : "votes");
    size_t count = arg == NULL ? 0 : arg->value_count;

    *box = (struct ballot_box){.voter_count = 0};
    read_voters(d, "cfg", box, &box->conf.voters);
    read_voters(d, "cfgj", box, &box->conf.voters_outgoing);
    if (count != box->voter_count) {
        print_mismatch(out, box, arg);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        read_value(d, arg->value[i], &box->voter[i]);
    return true;
}

/* ---- Committed index -------------------------------------------------- */

/* How many voters have a smaller index; of equal ones the first counts. */
static size_t bar_of(const struct ballot_box *box, uint64_t id)
{
    size_t bar = 0;

    for (size_t i = 0; i < box->voter_count; i++)
        if (value_of(box, box->voter[i].id) < value_of(box, id))
            bar++;
    return bar;
}

static void describe(struct out *out, const struct ballot_box *box)
{
    struct raft_id_set all = conf_state_voters(&box->conf);
    int width = (int)all.count;

    if (all.count == 0) {
        out_add(out, "<empty majority quorum>");
        return;
    }
    out_add(out, "%*s    idx\n", width, "");
    for (size_t i = 0; i < all.count; i++) {
        int bar = (int)bar_of(box, all.id[i]);

        if (find(box, all.id[i])->known) {
            for (int x = 0; x < bar; x++)
                out_add(out, "x");
            out_add(out, ">%*s", width - bar, "");
        } else {
            out_add(out, "?%*s", width, "");
        }
        out_add(out, " %5" PRIu64 "    (id=%" PRIx64 ")\n",
                value_of(box, all.id[i]), all.id[i]);
    }
}

/* The same result must come from the halves exchanged, and from each half
 * joined with itself. */
static uint64_t committed_index(const struct ballot_box *box)
{
    struct raft_conf_state swapped = {
        .voters = box->conf.voters_outgoing,
        .voters_outgoing = box->conf.voters,
    };
    struct raft_conf_state twice = {
        .voters = box->conf.voters,
        .voters_outgoing = box->conf.voters,
    };
    uint64_t index = quorum_joint_index(&box->conf, value_of, box);

    assert(index == quorum_joint_index(&swapped, value_of, box));
    assert(quorum_joint_index(&twice, value_of, box) ==
           quorum_majority_index(&box->conf.voters, value_of, box));
    return index;
}

static void print_committed(struct out *out, const struct ballot_box *box)
{
    uint64_t index = committed_index(box);

    describe(out, box);
    if (index == UINT64_MAX)
        out_add(out, "\u221e\n");
    else
        out_add(out, "%" PRIu64 "\n", index);
}

/* ---- Votes ------------------------------------------------------------ */

static void print_vote(struct out *out, const struct ballot_box *box)
{
    static const char *const names[] = {
        [QUORUM_PENDING] = "VotePending",
        [QUORUM_LOST] = "VoteLost",
        [QUORUM_WON] = "VoteWon",
    };
    struct raft_conf_state swapped = {
        .voters = box->conf.voters_outgoing,
        .voters_outgoing = box->conf.voters,
    };
    enum quorum_result result = quorum_joint_vote(&box->conf, ballot_of, box);

    assert(result == quorum_joint_vote(&swapped, ballot_of, box));
    out_add(out, "%s\n", names[result]);
}

static void *begin(void)
{
    return NULL;
}

static void run(void *state, const struct directive *d, struct out *out)
{
    struct ballot_box box;

    (void)state;
    if (!read_box(d, &box, out))
        return;
    if (strcmp(d->command, "committed") == 0)
        print_committed(out, &box);
    else if (strcmp(d->command, "vote") == 0)
        print_vote(out, &box);
    else
        out_add(out, "unknown command");
}

static void end(void *state)
{
    (void)state;
}

const struct harness quorum_harness = {begin, run, end};
