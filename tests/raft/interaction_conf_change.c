/* SPDX-License-Identifier: Apache-2.0 */

/* Scenarios of the configuration changer alone (FORMAT.md section 9). */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"
#include "raft/core.h"
#include "tests/raft/conf_text.h"
#include "tests/raft/interaction.h"

struct changer {
    struct raft_config config;
    struct peers peers;
    uint64_t last_index;
};

static void *begin(void)
{
    struct changer *c = mem_zalloc(sizeof *c);

    c->config.inflight_count_max = 10;
    return c;
}

static const char *change_conf(struct changer *c, const struct directive *d)
{
    struct raft_conf_change change;
    struct conf_next next;
    const char *why = conf_text_parse(d->input, &change);

    if (why != NULL)
        return why;
    if (strcmp(d->command, "simple") == 0)
        why = conf_change_simple(&c->peers.conf, &change, &next);
    else if (strcmp(d->command, "enter-joint") == 0)
        why = conf_change_enter_joint(&c->peers.conf, &change,
                                      directive_bool(d, "autoleave", false),
                                      &next);
    else if (strcmp(d->command, "leave-joint") != 0)
        why = "unknown command";
    else if (change.count > 0)
        why = "this command takes no input";
    else
        why = conf_change_leave_joint(&c->peers.conf, &next);

    if (why == NULL)
        peers_switch(&c->peers, &next, &c->config, c->last_index);
    return why;
}

static void run(void *state, const struct directive *d, struct out *out)
{
    struct changer *c = state;
    const char *why = change_conf(c, d);

    c->last_index++;
    if (why != NULL) {
        out_add(out, "%s\n", why);
        return;
    }
    out_add(out, "%s\n", text_conf(&c->peers.conf).data);
    for (size_t i = 0; i < c->peers.count; i++)
        out_add(out, "%" PRIu64 ": %s\n", c->peers.item[i].id,
                text_progress(&c->peers.item[i]).data);
}

static void end(void *state)
{
    struct changer *c = state;

    peers_close(&c->peers);
    free(c);
}

const struct harness conf_change_harness = {begin, run, end};
