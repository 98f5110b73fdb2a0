/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/stories.h"

#include <assert.h>

static void a_and_b(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_create(s, STORY_B, STORY_INO_B, 0);
}

static void stale_read(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_put(s, STORY_A, STORY_INO_A);
    story_put(s, STORY_A, STORY_INO_A);
    GET(s, STORY_A, STORY_INO_A, 2);
}

static void read_of_what_was_never_written(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    GET(s, STORY_A, STORY_INO_A, 77);
}

static void either_of_two_puts(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_put(s, STORY_A, STORY_INO_A);
    story_put(s, STORY_A, STORY_INO_A);
    story_together(s);
    GET(s, STORY_A, STORY_INO_A, 2);
}

static void two_reads_that_disagree(struct story *s)
{
    either_of_two_puts(s);
    GET(s, STORY_A, STORY_INO_A, 3);
}

static void lost_append(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_append(s, 0);
    story_append(s, 10);
    GET(s, STORY_A, STORY_INO_A, 2);
}

static void append_over_another_one(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_append(s, 0);
    story_append(s, 0);
}

static void append_done_twice(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_append(s, 0);
    GET(s, STORY_A, STORY_INO_A, 2, 2);
}

static void appends_in_another_order(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_append(s, 0);
    story_append(s, 10);
    GET(s, STORY_A, STORY_INO_A, 3, 2);
}

static void appends_at_once(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_append(s, 10);
    story_append(s, 0);
    story_together(s);
    GET(s, STORY_A, STORY_INO_A, 3, 2);
}

static void torn_value(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_put(s, STORY_A, STORY_INO_A);
    GET(s, STORY_A, STORY_INO_A, 2)->malformed = true;
}

static void two_exclusive_creates(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, REQUEST_EXCLUSIVE);
    story_create(s, STORY_A, STORY_INO_B, REQUEST_EXCLUSIVE);
    story_together(s);
}

static void one_of_two_exclusive_creates(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, REQUEST_EXCLUSIVE);
    story_refused(story_create(s, STORY_A, 0, REQUEST_EXCLUSIVE), ERR_EXISTS);
    story_together(s);
}

static void no_winner_of_two_creates(struct story *s)
{
    story_refused(story_create(s, STORY_A, 0, REQUEST_EXCLUSIVE), ERR_EXISTS);
    story_refused(story_create(s, STORY_A, 0, REQUEST_EXCLUSIVE), ERR_EXISTS);
    story_together(s);
}

static void created_and_not_found(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_lookup(s, STORY_A, 0);
}

static void rename_that_leaves_both(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_rename(s, 0);
    story_lookup(s, STORY_B, STORY_INO_A);
    story_lookup(s, STORY_A, STORY_INO_A);
}

static void rename_that_leaves_neither(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_rename(s, 0);
    story_lookup(s, STORY_A, 0);
    story_lookup(s, STORY_B, 0);
}

static void rename_of_the_wrong_one(struct story *s)
{
    a_and_b(s);
    story_put(s, STORY_A, STORY_INO_A);
    story_put(s, STORY_B, STORY_INO_B);
    story_rename(s, 0);
    GET(s, STORY_B, STORY_INO_B, 4);
}

static void rename_over_another(struct story *s)
{
    a_and_b(s);
    story_put(s, STORY_A, STORY_INO_A);
    story_rename(s, 0);
    story_lookup(s, STORY_A, 0);
    GET(s, STORY_B, STORY_INO_A, 3);
}

static void rename_of_nothing(struct story *s)
{
    story_rename(s, 0);
}

static void noreplace_that_replaces(struct story *s)
{
    a_and_b(s);
    story_rename(s, REQUEST_NOREPLACE);
}

static void noreplace_refused_for_nothing(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_refused(story_rename(s, REQUEST_NOREPLACE), ERR_EXISTS);
}

static void half_an_exchange(struct story *s)
{
    a_and_b(s);
    story_rename(s, REQUEST_EXCHANGE);
    story_lookup(s, STORY_A, STORY_INO_B);
    story_lookup(s, STORY_B, STORY_INO_B);
}

static void exchange(struct story *s)
{
    a_and_b(s);
    story_rename(s, REQUEST_EXCHANGE);
    story_lookup(s, STORY_A, STORY_INO_B);
    story_lookup(s, STORY_B, STORY_INO_A);
}

static void unlinked_and_back(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_unlink(s, STORY_A);
    story_lookup(s, STORY_A, STORY_INO_A);
}

static void unlinked_twice(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_unlink(s, STORY_A);
    story_unlink(s, STORY_A);
    story_together(s);
}

static void write_through_a_stale_handle(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_unlink(s, STORY_A);
    story_create(s, STORY_A, STORY_INO_B, 0);
    story_put(s, STORY_A, STORY_INO_A);
}

static void two_mkdirs(struct story *s)
{
    story_mkdir(s);
    story_mkdir(s)->ret_ino = ino_of_nsid(STORY_NSID_D + 1);
    story_together(s);
}

static void directory_that_vanished(struct story *s)
{
    story_mkdir(s);
    story_lookup(s, STORY_D, 0);
}

static void rmdir_of_what_is_not_empty(struct story *s)
{
    story_mkdir(s);
    story_create(s, STORY_A, STORY_INO_A, 0)->dir = STORY_NSID_D;
    story_rmdir(s);
}

static void rmdir_refused_for_nothing(struct story *s)
{
    story_mkdir(s);
    story_refused(story_rmdir(s), ERR_NOT_EMPTY);
}

static void create_in_what_was_removed(struct story *s)
{
    story_mkdir(s);
    story_rmdir(s);
    story_create(s, STORY_A, STORY_INO_A, 0)->dir = STORY_NSID_D;
}

static void directory_below_itself(struct story *s)
{
    struct sim_op *op;

    story_mkdir(s);
    op = story_rename(s, 0);
    op->name = STORY_D;
    op->to_dir = STORY_NSID_D;
}

static void listing_without_a_name(struct story *s)
{
    a_and_b(s);
    story_lists(story_list(s, SIM_NAMES_MAX, true), STORY_A, STORY_INO_A);
}

static void listing_of_another_file(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_lists(story_list(s, SIM_NAMES_MAX, true), STORY_A, STORY_INO_B);
}

static void page_that_hides_a_name(struct story *s)
{
    a_and_b(s);
    story_lists(story_list(s, SIM_NAMES_MAX, false), STORY_B, STORY_INO_B);
}

static void page_that_hides_the_rest(struct story *s)
{
    a_and_b(s);
    story_lists(story_list(s, SIM_NAMES_MAX, true), STORY_A, STORY_INO_A);
}

static void pages(struct story *s)
{
    a_and_b(s);
    story_lists(story_list(s, SIM_NAMES_MAX, false), STORY_A, STORY_INO_A);
    story_lists(story_list(s, STORY_A, true), STORY_B, STORY_INO_B);
}

static void getattr_of_another_size(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_put(s, STORY_A, STORY_INO_A);
    story_on_a(s, REQUEST_GETATTR)->ret_ino = STORY_INO_A;
}

static void setattr_without_effect(struct story *s)
{
    struct sim_op *op;

    story_create(s, STORY_A, STORY_INO_A, 0);
    op = story_on_a(s, REQUEST_SETATTR);
    op->ret_ino = STORY_INO_A;
    op->gid = op->tag;
    story_lookup(s, STORY_A, STORY_INO_A);
}

static void setattr_with_effect(struct story *s)
{
    struct sim_op *op;

    story_create(s, STORY_A, STORY_INO_A, 0);
    op = story_on_a(s, REQUEST_SETATTR);
    op->ret_ino = STORY_INO_A;
    op->gid = op->tag;
    story_lookup(s, STORY_A, STORY_INO_A)->gid = 2;
}

static void xattr_lost(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_on_a(s, REQUEST_SETXATTR);
    story_refused(story_on_a(s, REQUEST_GETXATTR), ERR_NO_DATA);
}

static void xattr_of_before(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_on_a(s, REQUEST_SETXATTR);
    story_on_a(s, REQUEST_SETXATTR);
    story_on_a(s, REQUEST_GETXATTR)->xattr = 2;
}

static void xattr_removed_and_there(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_on_a(s, REQUEST_SETXATTR);
    story_on_a(s, REQUEST_REMOVEXATTR);
    story_on_a(s, REQUEST_GETXATTR)->xattr = 2;
}

static void two_new_xattrs(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_on_a(s, REQUEST_SETXATTR)->flags = REQUEST_XATTR_CREATE;
    story_on_a(s, REQUEST_SETXATTR)->flags = REQUEST_XATTR_CREATE;
}

static void failed_write_that_is_there(struct story *s)
{
    struct sim_op *op;

    story_create(s, STORY_A, STORY_INO_A, 0);
    op = story_put(s, STORY_A, STORY_INO_A);
    op->outcome = SIM_OP_FAILED;
    op->status = ERR_NO_QUORUM;
    GET(s, STORY_A, STORY_INO_A, 2);
}

static void unknown_write_seen(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_unknown(story_put(s, STORY_A, STORY_INO_A));
    GET(s, STORY_A, STORY_INO_A, 2);
}

static void unknown_write_seen_late(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_put(s, STORY_A, STORY_INO_A);
    story_unknown(story_put(s, STORY_A, STORY_INO_A));
    GET(s, STORY_A, STORY_INO_A, 2);
    GET(s, STORY_A, STORY_INO_A, 3);
}

static void unknown_write_seen_and_gone(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    story_put(s, STORY_A, STORY_INO_A);
    story_unknown(story_put(s, STORY_A, STORY_INO_A));
    GET(s, STORY_A, STORY_INO_A, 3);
    GET(s, STORY_A, STORY_INO_A, 2);
}

static void unknown_write_seen_too_early(struct story *s)
{
    story_create(s, STORY_A, STORY_INO_A, 0);
    GET(s, STORY_A, STORY_INO_A, 3);
    story_unknown(story_put(s, STORY_A, STORY_INO_A));
}

/* ---- all of them ---- */

#define GOOD(story, second)                                                    \
    {                                                                          \
#story, story, SIM_LINEARIZABLE, second                                \
    }
#define BAD(story, second)                                                     \
    {                                                                          \
#story, story, SIM_NOT_LINEARIZABLE, second                            \
    }

struct story_row stories[] = {
    GOOD(either_of_two_puts, AGREES),
    GOOD(appends_at_once, AGREES),
    GOOD(one_of_two_exclusive_creates, AGREES),
    GOOD(rename_over_another, AGREES),
    GOOD(exchange, CANNOT_TELL),
    GOOD(pages, CANNOT_TELL),
    GOOD(setattr_with_effect, CANNOT_TELL),
    GOOD(unknown_write_seen, AGREES),
    GOOD(unknown_write_seen_late, AGREES),
    BAD(stale_read, AGREES),
    BAD(read_of_what_was_never_written, AGREES),
    BAD(two_reads_that_disagree, AGREES),
    BAD(lost_append, CANNOT_TELL),
    BAD(append_over_another_one, AGREES),
    BAD(append_done_twice, CANNOT_TELL),
    BAD(appends_in_another_order, AGREES),
    BAD(torn_value, CANNOT_TELL),
    BAD(two_exclusive_creates, AGREES),
    BAD(no_winner_of_two_creates, AGREES),
    BAD(created_and_not_found, AGREES),
    BAD(rename_that_leaves_both, AGREES),
    BAD(rename_that_leaves_neither, AGREES),
    BAD(rename_of_the_wrong_one, AGREES),
    BAD(rename_of_nothing, AGREES),
    BAD(noreplace_that_replaces, CANNOT_TELL),
    BAD(noreplace_refused_for_nothing, AGREES),
    BAD(half_an_exchange, CANNOT_TELL),
    BAD(unlinked_and_back, AGREES),
    BAD(unlinked_twice, AGREES),
    BAD(write_through_a_stale_handle, CANNOT_TELL),
    BAD(two_mkdirs, AGREES),
    BAD(directory_that_vanished, AGREES),
    BAD(rmdir_of_what_is_not_empty, CANNOT_TELL),
    BAD(rmdir_refused_for_nothing, CANNOT_TELL),
    BAD(create_in_what_was_removed, CANNOT_TELL),
    BAD(directory_below_itself, CANNOT_TELL),
    BAD(listing_without_a_name, CANNOT_TELL),
    BAD(listing_of_another_file, CANNOT_TELL),
    BAD(page_that_hides_a_name, CANNOT_TELL),
    BAD(page_that_hides_the_rest, CANNOT_TELL),
    BAD(getattr_of_another_size, AGREES),
    BAD(setattr_without_effect, CANNOT_TELL),
    BAD(xattr_lost, CANNOT_TELL),
    BAD(xattr_of_before, CANNOT_TELL),
    BAD(xattr_removed_and_there, CANNOT_TELL),
    BAD(two_new_xattrs, CANNOT_TELL),
    BAD(failed_write_that_is_there, AGREES),
    BAD(unknown_write_seen_and_gone, AGREES),
    BAD(unknown_write_seen_too_early, AGREES),
};

static_assert(ARRAY_SIZE(stories) == STORIES_COUNT, "all are judged");
