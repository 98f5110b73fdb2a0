/* SPDX-License-Identifier: Apache-2.0 */

#include "applier_merge_fixture.h"

int setup_applier_merge(void **state)
{
    int rc = setup_applier(state);
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    go_to(f, LEFT);
    return rc;
}

int take_as(struct applier_fixture *f, uint64_t source, bool only_replica)
{
    struct range_merge merge = {.source = source,
                                .source_is_left = source == LEFT,
                                .only_replica = only_replica};
    struct raft_entry entry = {.term = TERM, .index = ++f->index};
    struct region whole = f->region;
    struct buf *result = NULL;
    int rc;

    if (source == LEFT)
        whole.start = (struct slice){NULL, 0};
    else
        whole.end = (struct slice){NULL, 0};
    whole.version = 9;
    whole.absorbed = source;
    merge.region = region_copy(&whole);
    rc = applier_merge(f->applier, &entry, &merge, 0, &result);
    if (rc == 0) {
        assert_int_equal(status_of(result), 0);
        region_release(&f->region);
        f->region = merge.region;
    } else {
        region_release(&merge.region);
    }
    return rc;
}

void take(struct applier_fixture *f, uint64_t source)
{
    assert_int_equal(take_as(f, source, false), 0);
}
