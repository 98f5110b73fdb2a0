/* SPDX-License-Identifier: Apache-2.0 */

/* Several nodes on a network that loses, repeats and mixes up messages. */

#include <stdlib.h>
#include <string.h>

#include "engine/bootstrap.h"
#include "exec_fixture.h"

enum { NODES = 3, MESSAGES_MAX = 256, SEEDS = 300, STEPS = 3000 };

#define LIST "1@a:1+2@b:2+3@c:3"

struct net;

struct net_node {
    struct env env;
    struct net *net;
    struct bootstrap *bootstrap; /* NULL: not started, or in the cluster */
    struct identity identity;
    struct env_timer *timer; /* the one that runs */
    int status;              /* of the end */
    unsigned ended;
    char why[256];
};

struct message {
    uint64_t from;
    uint64_t to;
    struct buf *bytes;
};

struct net {
    struct net_node node[NODES + 1]; /* by id */
    struct message message[MESSAGES_MAX];
    size_t message_count;
    uint64_t cut; /* this node hears and says nothing */
    struct exec_fixture random;
};

/* ---- env ---- */

static struct net_node *node_of(struct env *env)
{
    return (struct net_node *)(void *)env; /* Its first member. */
}

static void timer_start(struct env *env, struct env_timer *timer,
                        uint64_t delay_ns)
{
    (void)delay_ns;
    node_of(env)->timer = timer;
}

static void timer_stop(struct env *env, struct env_timer *timer)
{
    if (node_of(env)->timer == timer)
        node_of(env)->timer = NULL;
}

static void on_send(struct env *env, uint64_t to, enum env_channel channel,
                    const struct env_packet *packet)
{
    struct net_node *node = node_of(env);
    struct net *net = node->net;

    (void)channel;
    if (net->message_count == MESSAGES_MAX ||
        node->identity.node_id == net->cut)
        return;
    net->message[net->message_count++] =
        (struct message){node->identity.node_id, to, buf_ref(packet->header)};
}

static const struct env_ops ops = {
    .timer_start = timer_start, .timer_stop = timer_stop, .send = on_send};

/* ---- nodes ---- */

static void on_done(void *context, int status, const struct identity *identity,
                    const char *why)
{
    struct net_node *node = context;

    node->status = status;
    node->ended++;
    (void)strcpy(node->why, why);
    if (status == 0)
        node->identity = *identity;
}

static void start(struct net *net, uint64_t id, uint64_t token,
                  const char *list)
{
    struct net_node *node = &net->node[id];
    struct bootstrap_config config = {
        .env = &node->env, .done = on_done, .context = node};

    bootstrap_free(node->bootstrap);
    *node = (struct net_node){.env = {.ops = &ops}, .net = net};
    node->identity = (struct identity){.node_id = id, .token = token};
    config.identity = node->identity;
    assert_int_equal(founders_parse(&config.founders, list, NULL), 0);
    node->bootstrap = bootstrap_new(&config);
    bootstrap_start(node->bootstrap);
}

static void deliver(struct net *net, const struct message *message)
{
    struct net_node *node = &net->node[message->to];
    const struct env_packet packet = {.type = WIRE_BOOT,
                                      .header = message->bytes};

    if (node->bootstrap == NULL || message->to == net->cut)
        return;
    if (node->ended > 0 && node->status == 0)
        bootstrap_answer(&node->env, &node->identity, message->from, &packet);
    else
        bootstrap_on_packet(node->bootstrap, &packet);
}

static void fire(struct net *net, uint64_t id)
{
    struct env_timer *timer = net->node[id].timer;

    net->node[id].timer = NULL;
    if (timer != NULL)
        timer->fire(timer);
}

/* One message or timer, any of them; `loss` of ten are lost, and as many come
 * once more. */
static void random_step(struct net *net, uint64_t loss)
{
    struct message message;
    size_t i;

    if (net->message_count == 0 || pick(&net->random, 5) == 0) {
        fire(net, 1 + pick(&net->random, NODES));
        return;
    }
    i = pick(&net->random, net->message_count);
    message = net->message[i];
    if (pick(&net->random, 10) < loss)
        (void)buf_ref(message.bytes);
    else
        net->message[i] = net->message[--net->message_count];
    if (pick(&net->random, 10) >= loss)
        deliver(net, &message);
    buf_unref(message.bytes);
}

static void run_steps(struct net *net, uint64_t loss)
{
    for (int i = 0; i < STEPS; i++)
        random_step(net, loss);
}

static int setup(void **state)
{
    struct net *net = mem_zalloc(sizeof *net);

    net->random.random = 1;
    *state = net;
    return 0;
}

static int teardown(void **state)
{
    struct net *net = *state;

    for (size_t i = 0; i < net->message_count; i++)
        buf_unref(net->message[i].bytes);
    for (size_t i = 1; i <= NODES; i++) {
        assert_true(net->node[i].ended <= 1);
        bootstrap_free(net->node[i].bootstrap);
    }
    free(net);
    return 0;
}

static void assert_one_cluster(const struct net *net)
{
    const struct identity *first = &net->node[1].identity;

    assert_int_not_equal(first->cluster_id, 0);
    for (size_t i = 1; i <= NODES; i++) {
        const struct identity *identity = &net->node[i].identity;

        assert_int_equal(net->node[i].ended, 1);
        assert_int_equal(net->node[i].status, 0);
        assert_int_equal(identity->cluster_id, first->cluster_id);
        assert_int_equal(identity->token_count, NODES);
        assert_memory_equal(identity->tokens, first->tokens,
                            sizeof first->tokens);
        assert_int_equal(identity->tokens[i - 1], identity->token);
        assert_int_equal(identity->peers_hash, first->peers_hash);
    }
}

/* ---- tests ---- */

static void test_all_found_one_cluster_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct net *net;
        uint64_t loss;

        (void)setup((void **)&net);
        net->random.random = seed * 31;
        loss = pick(&net->random, 6);
        for (uint64_t id = 1; id <= NODES; id++) {
            start(net, id, 1000 + id, LIST);
            for (uint64_t i = pick(&net->random, 40); i > 0; i--)
                random_step(net, loss);
        }
        run_steps(net, loss);
        assert_one_cluster(net);
        (void)teardown((void **)&net);
    }
}

static void test_the_list_may_be_written_in_any_order(void **state)
{
    struct net *net = *state;

    start(net, 1, 1001, "3@c:3+1@a:1+2@b:2");
    start(net, 2, 1002, LIST);
    start(net, 3, 1003, "2@b:2+1@a:1+3@c:3");
    run_steps(net, 0);
    assert_one_cluster(net);
}

static void test_nobody_founds_while_one_is_missing(void **state)
{
    struct net *net = *state;
    char text[512] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    start(net, 1, 1001, LIST);
    start(net, 3, 1003, LIST);
    run_steps(net, 2);
    assert_int_equal(net->node[1].ended + net->node[3].ended, 0);
    bootstrap_render(net->node[1].bootstrap, out);
    (void)fclose(out);
    assert_string_equal(text, "waiting for node 2 at b:2, to found the "
                              "cluster: start it\n");
}

/* It was heard before it went away, so the others have founded. */
static void test_a_late_founder_finds_its_own_token(void **state)
{
    struct net *net = *state;

    start(net, 1, 1001, LIST);
    start(net, 2, 1002, LIST);
    start(net, 3, 1003, LIST);
    for (size_t i = 0; i < net->message_count; i++)
        if (net->message[i].to != 3)
            deliver(net, &net->message[i]);
    net->cut = 3;
    run_steps(net, 0);
    assert_int_equal(net->node[1].ended + net->node[2].ended, 2);
    start(net, 3, 1003, LIST);
    net->cut = 0;
    run_steps(net, 3);
    assert_one_cluster(net);
}

static void test_a_wiped_node_is_refused(void **state)
{
    struct net *net = *state;

    start(net, 1, 1001, LIST);
    start(net, 2, 1002, LIST);
    start(net, 3, 1003, LIST);
    run_steps(net, 0);
    assert_one_cluster(net);
    start(net, 2, 2002, LIST);
    run_steps(net, 2);
    assert_int_equal(net->node[2].ended, 1);
    assert_int_equal(net->node[2].status, ERR_FOREIGN);
    assert_non_null(strstr(net->node[2].why, "lost its store"));
    assert_int_equal(net->node[2].identity.cluster_id, 0);
}

static void test_different_lists_never_found(void **state)
{
    struct net *net = *state;
    char text[512] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    start(net, 1, 1001, LIST);
    start(net, 2, 1002, "1@a:1+2@b:2+3@c:4");
    start(net, 3, 1003, LIST);
    run_steps(net, 1);
    for (size_t i = 1; i <= NODES; i++)
        assert_int_equal(net->node[i].ended, 0);
    bootstrap_render(net->node[3].bootstrap, out);
    (void)fclose(out);
    assert_string_equal(text, "node 2 has another list of peers: give all "
                              "nodes the same peers=\n");
}

/* The mistake is mended by a restart with the right list. */
static void test_a_corrected_list_is_accepted(void **state)
{
    struct net *net = *state;

    start(net, 1, 1001, LIST);
    start(net, 2, 1002, "1@a:1+2@b:2");
    start(net, 3, 1003, LIST);
    run_steps(net, 1);
    assert_int_equal(net->node[1].ended, 0);
    assert_int_equal(net->node[2].ended, 0);
    start(net, 2, 1002, LIST);
    run_steps(net, 1);
    assert_one_cluster(net);
}

static void test_a_list_of_one_founds_at_once(void **state)
{
    struct net *net = *state;

    start(net, 1, 1001, "1@a:1");
    assert_int_equal(net->node[1].ended, 1);
    assert_int_equal(net->node[1].status, 0);
    assert_int_equal(net->node[1].identity.token_count, 1);
    assert_null(net->node[1].timer);
}

static void test_rubbish_is_ignored(void **state)
{
    struct net *net = *state;
    struct message message = {.to = 1, .bytes = buf_copy("\xff\xff\xff", 3)};

    start(net, 1, 1001, LIST);
    deliver(net, &message);
    assert_int_equal(net->node[1].ended, 0);
    buf_unref(message.bytes);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_found_one_cluster_in_any_order),
        TEST(test_the_list_may_be_written_in_any_order),
        TEST(test_nobody_founds_while_one_is_missing),
        TEST(test_a_late_founder_finds_its_own_token),
        TEST(test_a_wiped_node_is_refused),
        TEST(test_different_lists_never_found),
        TEST(test_a_corrected_list_is_accepted),
        TEST(test_a_list_of_one_founds_at_once),
        TEST(test_rubbish_is_ignored),
    };

    return cmocka_run_group_tests_name("bootstrap", tests, NULL, NULL);
}
