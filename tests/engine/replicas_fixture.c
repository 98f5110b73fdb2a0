/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/replicas_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/command.h"
#include "engine/founding.h"
#include "engine/keys.h"
#include "raft/base/mem.h"
#include "tests/sim/kv_mem.h"

static int setup_founders(void **state, const char *list)
{
    struct replicas_fixture *f = mem_zalloc(sizeof *f);
    struct founders founders;

    fake_env_init(&f->fake, kv_mem_new(), kv_mem_new());
    assert_int_equal(founders_parse(&founders, list, NULL), 0);
    f->identity = (struct identity){.cluster_id = 1,
                                    .node_id = NODE,
                                    .boot = 1,
                                    .token_count = founders.count};
    for (uint64_t i = 0; i < founders.count; i++)
        f->identity.tokens[i] = founding_token(i, 1000000000);
    f->identity.token = f->identity.tokens[NODE - 1];
    assert_int_equal(founding_write(f->fake.env.log, f->fake.env.state,
                                    &f->identity, &founders, NULL),
                     0);
    *state = f;
    return 0;
}

int setup_of_three(void **state)
{
    return setup_founders(state, "1@a:1+2@b:2+3@c:3");
}

int setup_alone(void **state)
{
    return setup_founders(state, "1@a:1");
}

void settle(struct replicas_fixture *f)
{
    fake_env_run(&f->fake);
    while (f->fake.write_count > 0) {
        fake_env_sync(&f->fake, SIZE_MAX);
        fake_env_run(&f->fake);
    }
}

int teardown(void **state)
{
    struct replicas_fixture *f = *state;

    settle(f);
    if (f->node != NULL)
        node_stop(f->node);
    settle(f);
    assert_int_equal(f->fake.fatal_count, 0);
    node_close(f->node);
    kv_close(f->fake.env.log);
    kv_close(f->fake.env.state);
    free(f);
    return 0;
}

void open_node(struct replicas_fixture *f)
{
    struct node_config config = {.identity = f->identity,
                                 .advertise = "",
                                 .op_timeout_ms = 10000,
                                 .ino_next = 1};

    assert_int_equal(node_open(&f->node, &f->fake.env, &config, NULL), 0);
}

/* ---- regions ---- */

const struct region behind = {
    .id = 9, .start = {"\0\0\0\0\0\0\0\6", 8}, .peer_count = 1};

void on_proposed(struct proposal *proposal, int status, bool in_log,
                 struct buf *result)
{
    (void)in_log;
    (void)result;
    assert_int_equal(status, 0);
    buf_unref(proposal->command);
}

void begin_split(struct replicas_fixture *f, struct proposal *proposal)
{
    struct peer *peer;
    struct command command = {
        .op = COMMAND_SPLIT, .dir = 5, .new_region = NEW_REGION};

    open_node(f);
    settle(f);
    f->fake.hold_apply = true;
    peer = node_peer(f->node, REGION_FIRST_DATA);
    command.region_version = peer_region(peer)->version;
    command.region_conf_ver = peer_region(peer)->conf_ver;
    *proposal = (struct proposal){.command = command_encode(&command),
                                  .done = on_proposed};
    assert_int_equal(peer_propose_split(peer, proposal), 0);
    settle(f);
    assert_int_equal(peer_region(peer)->end.size, KEY_NSID_SIZE);
    assert_null(node_any_peer(f->node, NEW_REGION));
}

void finish_split(struct replicas_fixture *f)
{
    f->fake.hold_apply = false;
    settle(f);
}

void propose(struct replicas_fixture *f, uint64_t region,
             const struct command *command, struct proposal *proposal)
{
    *proposal = (struct proposal){.command = command_encode(command),
                                  .done = on_proposed};
    peer_propose(node_peer(f->node, region), proposal);
    settle(f);
}
