/* SPDX-License-Identifier: Apache-2.0 */

#include "exec_levels.h"

int setup_levels(void **state)
{
    struct exec_fixture *f;

    (void)setup_exec(state);
    f = *state;
    assert_int_equal(make_dir(f, ROOT, "t"), T);
    assert_int_equal(make_dir(f, T, "a"), A);
    assert_int_equal(make_dir(f, A, "b"), B);
    return 0;
}

struct test_txn txn_filled(struct exec_fixture *f)
{
    struct test_txn txn = txn_to_eventual(f, ROOT, "t", T);

    txn.command.offset = begin_filling(f, T);
    return txn;
}

struct test_txn txn_fenced(struct exec_fixture *f)
{
    uint64_t epoch = set_mode(f, T, MODE_FENCED, mode_of(f, T).epoch);

    return txn_to_strong(f, ROOT, "t", T, epoch);
}
