/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "codec_helpers.h"

#include "engine/wire_eventual.h"

static int try_ask(struct slice bytes)
{
    struct eventual_ask ask;

    return eventual_ask_decode(&ask, bytes);
}

static int try_answer(struct slice bytes)
{
    struct eventual_answer answer;

    return eventual_answer_decode(&answer, bytes);
}

static struct eventual_ask filled_ask(void)
{
    return (struct eventual_ask){
        .ticket = UINT64_MAX,
        .cursor = UINT64_MAX - 1,
        .told_fence = 3,
        .consent = UINT64_MAX - 2,
        .roll = 12,
        .kept = UINT64_MAX - 3,
        .seen = UINT64_MAX - 4,
        .moment = {5, UINT64_MAX - 5, UINT64_MAX - 6, UINT64_MAX - 7},
        .vector = {.received = {{1, UINT64_MAX}, {7, 0}}, .count = 2},
    };
}

static struct eventual_answer filled_answer(void)
{
    return (struct eventual_answer){
        .ticket = 1,
        .last = UINT64_MAX,
        .complete = true,
        .whole = true,
        .fence = UINT64_MAX - 1,
        .promise = 13,
        .roll = 14,
        .floor = 15,
        .vector = {.received = {{2, 3}, {4, 5}, {6, 7}}, .count = 3},
    };
}

/* An entry of a vector. Numbers of fields are those of wire.proto. */
static struct buf *received(uint64_t node)
{
    return with_number(buf_copy("", 0), 1, node);
}

static void test_a_question_comes_back(void **state)
{
    struct eventual_ask in = filled_ask();
    struct buf *b = eventual_ask_encode(&in);
    struct eventual_ask out;

    (void)state;
    assert_int_equal(eventual_ask_decode(&out, buf_slice(b)), 0);
    assert_memory_equal(&out, &in, sizeof in);
    assert_damage_is_survived(try_ask, b);
}

static void test_an_answer_comes_back(void **state)
{
    struct eventual_answer in = filled_answer();
    struct buf *b = eventual_answer_encode(&in);
    struct eventual_answer out = {0};

    (void)state;
    assert_int_equal(eventual_answer_decode(&out, buf_slice(b)), 0);
    assert_true(out.ticket == in.ticket);
    assert_true(out.last == in.last);
    assert_true(out.complete);
    assert_true(out.whole);
    assert_true(out.fence == in.fence);
    assert_true(out.promise == in.promise);
    assert_true(out.roll == in.roll);
    assert_true(out.floor == in.floor);
    assert_int_equal(out.vector.count, 3);
    assert_memory_equal(out.vector.received, in.vector.received,
                        sizeof in.vector.received);
    assert_damage_is_survived(try_answer, b);
}

/* So an answer is never for a question that was not asked. */
static void test_questions_and_answers_have_a_ticket(void **state)
{
    (void)state;
    assert_decodes_to(ERR_PROTOCOL, try_ask, buf_copy("", 0));
    assert_decodes_to(ERR_PROTOCOL, try_answer, buf_copy("", 0));
}

static void test_each_node_is_once_in_a_vector_and_in_order(void **state)
{
    struct eventual_ask in = filled_ask();
    const uint64_t wrong[] = {0, 6, 7};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct buf *item = received(wrong[i]);

        assert_decodes_to(
            ERR_PROTOCOL, try_ask,
            with_bytes(eventual_ask_encode(&in), 4, buf_slice(item)));
        buf_unref(item);
    }
}

static void test_a_vector_is_bounded(void **state)
{
    struct eventual_ask in = {.ticket = 1};
    struct buf *b = eventual_ask_encode(&in);

    (void)state;
    for (uint64_t node = 1; node <= NODES_MAX + 1; node++) {
        struct buf *item = received(node);

        assert_int_equal(try_ask(buf_slice(b)), 0);
        b = with_bytes(b, 4, buf_slice(item));
        buf_unref(item);
    }
    assert_decodes_to(ERR_PROTOCOL, try_ask, b);
}

/* What a node has counts only together with all that it has. */
static void test_only_a_complete_answer_has_a_vector(void **state)
{
    struct eventual_answer in = {.ticket = 1};
    struct buf *item = received(1);

    (void)state;
    assert_decodes_to(0, try_answer, eventual_answer_encode(&in));
    assert_decodes_to(
        ERR_PROTOCOL, try_answer,
        with_bytes(eventual_answer_encode(&in), 6, buf_slice(item)));
    buf_unref(item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_comes_back),
        cmocka_unit_test(test_an_answer_comes_back),
        cmocka_unit_test(test_questions_and_answers_have_a_ticket),
        cmocka_unit_test(test_each_node_is_once_in_a_vector_and_in_order),
        cmocka_unit_test(test_a_vector_is_bounded),
        cmocka_unit_test(test_only_a_complete_answer_has_a_vector),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
