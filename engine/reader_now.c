/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/hosted.h"
#include "engine/read_memo.h"
#include "engine/reader.h"

enum { ATTEMPTS = 5, PARTS_MAX = 3 };

/* The replicas whose state a read at once is about. */
struct here {
    const struct hosted *hosted;
    struct peer *placement;
    struct peer *data[PARTS_MAX];
    struct read_part parts[PARTS_MAX];
    size_t count;
    uint64_t now_ns;
    uint64_t since_ns; /* it is to be current so far; 0: by the leases */
};

static bool leases_hold(const struct here *here)
{
    for (size_t i = 0; i < here->count; i++)
        if (!peer_lease_holds(here->data[i], here->now_ns))
            return false;
    return peer_lease_holds(here->placement, here->now_ns);
}

static bool is_current(const struct here *here)
{
    for (size_t i = 0; i < here->count; i++)
        if (!peer_is_current(here->data[i], here->since_ns))
            return false;
    return peer_is_current(here->placement, here->since_ns);
}

static bool may_read(const struct here *here)
{
    return here->since_ns == 0 ? leases_hold(here) : is_current(here);
}

/* False: it is not here, or there are too many. */
static bool add_here(struct here *here, const struct key *key)
{
    struct read_part *part = &here->parts[here->count];
    struct peer *peer;

    if (here->count == PARTS_MAX)
        return false;
    peer = hosted_find(here->hosted, key_user_part(key), &part->range);
    if (peer == NULL)
        return false;
    part->region = peer_region_id(peer);
    here->data[here->count++] = peer;
    return true;
}

static struct read_moment moment_of(const struct here *here)
{
    struct read_moment moment = {.placement = peer_moment(here->placement)};

    if (here->count > 0) {
        moment.region = here->parts[0].region;
        moment.data = peer_moment(here->data[0]);
    }
    return moment;
}

/* Reads, or remembers: under leases a moment of theirs names one state. That
 * it may be read is checked before this and after it. */
static int read_now(struct node *node, const struct here *here,
                    const struct command *command, struct read_unknown *unknown,
                    struct result *ret)
{
    struct read_memo *memo = reader_memo(node_reader(node));
    struct read_moment moment = moment_of(here);
    struct read_view view = {here->parts, here->count};
    int status;

    if (here->since_ns == 0 && read_memo_find(memo, command, moment, ret))
        return ret->status;
    status = read_execute(node_env(node)->state, &view, command, unknown, ret);
    if ((status == 0 || status == ERR_NOT_FOUND) && here->count <= 1 &&
        leases_hold(here) && read_moment_equal(moment, moment_of(here)))
        read_memo_keep(memo, command, moment, ret);
    return status;
}

/* Who is read does not fall asleep. */
static void note_reads(const struct here *here)
{
    for (size_t i = 0; i < here->count; i++)
        peer_note_use(here->data[i]);
    peer_note_use(here->placement);
}

/* A read that has met an intent is repeated behind barriers (read.h), as which
 * each look at the leases serves. */
static bool may_repeat(const struct here *here, int status)
{
    return status != ERR_LOCKED || here->since_ns == 0;
}

static bool try_here(struct node *node, struct here *here,
                     const struct command *command, struct result *ret)
{
    struct read_unknown unknown = {.count = 0};

    for (int i = 0; i < ATTEMPTS; i++) {
        struct result result = {0};
        int status;

        here->now_ns = env_mono_ns(node_env(node));
        if (!may_read(here))
            return false;
        status = read_now(node, here, command, &unknown, &result);
        if (status != ERR_LOCKED && status != ERR_CORRUPT &&
            status != ERR_UNAVAILABLE && may_read(here)) {
            note_reads(here);
            *ret = result;
            return true;
        }
        result_release(&result);
        if (status == ERR_CORRUPT || !may_repeat(here, status))
            return false; /* The worker deals with it. */
        if (status == ERR_UNAVAILABLE && !add_here(here, &unknown.needed))
            return false;
    }
    return false;
}

/* While `hosted` is entered. */
static bool find_and_try(struct node *node, const struct command *command,
                         uint64_t since_ns, struct result *ret)
{
    struct here here = {.hosted = node_hosted(node), .since_ns = since_ns};
    struct key key = read_first_key(command);

    here.placement = hosted_placement(here.hosted);
    if (here.placement == NULL ||
        (!command_is_of_catalog(command) && !add_here(&here, &key)))
        return false;
    return try_here(node, &here, command, ret);
}

bool reader_try(struct node *node, const struct command *command,
                uint64_t since_ns, struct result *ret)
{
    bool done;

    since_ns = reader_since(node_reader(node), since_ns);
    hosted_enter(node_hosted(node));
    done = find_and_try(node, command, 0, ret) ||
           (since_ns != 0 && find_and_try(node, command, since_ns, ret));
    hosted_leave(node_hosted(node));
    return done;
}
