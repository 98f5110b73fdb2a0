/* SPDX-License-Identifier: Apache-2.0 */

/* Stamps and inode numbers, with a clock that goes as the test wants, and
 * crashes at any time. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/stamps.h"
#include "tests/engine/fake_env.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { NODE = 3, INO_BLOCK = 1 << 24 };

static const uint64_t epoch_ms = 1700000000000;

struct fixture {
    struct fake_env fake;
    struct identity identity; /* as the boot has it */
    struct stamps *stamps;
};

/* What the store does at each start. */
static void boot(struct fixture *f, uint64_t counters)
{
    uint64_t next = f->identity.ino_bound;

    f->identity.boot++;
    f->identity.ino_bound = next + counters;
    f->stamps = stamps_new(&f->fake.env, &f->identity, next);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    fake_env_init(&f->fake, kv_mem_new(), NULL);
    f->fake.now_ns = epoch_ms * 1000000;
    f->identity = (struct identity){.node_id = NODE, .ino_bound = 2};
    boot(f, INO_BLOCK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fake_env_forget(&f->fake);
    stamps_free(f->stamps);
    kv_close(f->fake.env.log);
    free(f);
    return 0;
}

static uint64_t stamp(uint64_t ms, uint64_t counter)
{
    return ms << STAMP_COUNTER_BITS | counter;
}

/* ---- stamps ---- */

static void test_a_stamp_is_the_time_and_a_counter(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(stamps_next(f->stamps), stamp(epoch_ms, 0));
    assert_int_equal(stamps_next(f->stamps), stamp(epoch_ms, 1));
    f->fake.now_ns += 2 * 1000000;
    assert_int_equal(stamps_next(f->stamps), stamp(epoch_ms + 2, 0));
}

static void test_stamps_grow_while_the_clock_goes_back_a_little(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(stamps_next(f->stamps), stamp(epoch_ms, 0));
    f->fake.now_ns -= UINT64_C(400) * 1000000;
    assert_int_equal(stamps_next(f->stamps), stamp(epoch_ms, 1));
}

/* Stamps from ahead of all clocks would be replaced everywhere. */
static void test_stamps_follow_a_clock_that_was_set_back(void **state)
{
    struct fixture *f = *state;

    f->fake.now_ns += UINT64_C(3600) * 1000000000;
    assert_int_equal(stamps_next(f->stamps), stamp(epoch_ms + 3600000, 0));
    f->fake.now_ns = epoch_ms * 1000000;
    assert_int_equal(stamps_next(f->stamps), stamp(epoch_ms, 0));
}

static void test_no_own_stamp_is_beyond_what_is_believed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(stamps_bound(f->stamps),
                     stamp(epoch_ms + MAX_DRIFT_MS, 0));
    f->fake.now_ns += (uint64_t)MAX_DRIFT_MS * 1000000;
    (void)stamps_next(f->stamps);
    f->fake.now_ns -= (uint64_t)MAX_DRIFT_MS * 1000000;
    for (int i = 0; i < 10; i++)
        assert_true(stamps_next(f->stamps) <= stamps_bound(f->stamps));
}

/* ---- inode numbers ---- */

static uint64_t durable_ino_bound(struct fixture *f)
{
    struct key key = key_identity();
    struct kv_value value = {0};
    struct identity identity = {0};

    assert_int_equal(kv_get(f->fake.env.log, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        identity_decode(&identity, (struct slice){value.data, value.size}), 0);
    kv_value_release(&value);
    assert_int_equal(identity.node_id, NODE);
    return identity.ino_bound;
}

static void test_inode_numbers_are_of_this_node_and_differ(void **state)
{
    struct fixture *f = *state;
    uint64_t first = stamps_new_ino(f->stamps);

    assert_int_equal(first, (uint64_t)NODE << 47 | 2);
    assert_int_equal(stamps_new_ino(f->stamps), first + 1);
    assert_int_equal(f->fake.write_count, 0);
}

/* The counter of the number; and what was leased is durable. */
static uint64_t take(struct fixture *f)
{
    return stamps_new_ino(f->stamps) & ((UINT64_C(1) << 47) - 1);
}

static void test_a_block_is_leased_before_the_last_one_is_used_up(void **state)
{
    struct fixture *f = *state;

    stamps_free(f->stamps);
    boot(f, INO_BLOCK / 2 + 1);
    assert_int_equal(f->fake.write_count, 0);
    (void)take(f);
    (void)take(f);
    assert_int_equal(f->fake.write_count, 1);
    fake_env_sync(&f->fake, 1);
    assert_int_equal(durable_ino_bound(f), f->identity.ino_bound + INO_BLOCK);
    (void)take(f);
    assert_int_equal(f->fake.write_count, 0);
}

static void test_none_is_given_out_that_is_not_leased(void **state)
{
    struct fixture *f = *state;

    stamps_free(f->stamps);
    boot(f, 2);
    (void)take(f);
    (void)take(f);
    assert_int_equal(f->fake.fatal_count, 0);
    (void)take(f);
    assert_int_equal(f->fake.fatal_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_stamp_is_the_time_and_a_counter),
        TEST(test_stamps_grow_while_the_clock_goes_back_a_little),
        TEST(test_stamps_follow_a_clock_that_was_set_back),
        TEST(test_no_own_stamp_is_beyond_what_is_believed),
        TEST(test_inode_numbers_are_of_this_node_and_differ),
        TEST(test_a_block_is_leased_before_the_last_one_is_used_up),
        TEST(test_none_is_given_out_that_is_not_leased),
    };

    return cmocka_run_group_tests_name("stamps", tests, NULL, NULL);
}
