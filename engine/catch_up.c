/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/catch_up.h"

static void caught_up(struct read_op *read, int status, struct result *result)
{
    struct catch_up *catch_up = container_of(read, struct catch_up, read);

    (void)result;
    catch_up->done(catch_up, status == ERR_NO_QUORUM || status == ERR_CANCELED
                                 ? status
                                 : 0);
}

void catch_up_start(struct catch_up *catch_up, struct node *node)
{
    catch_up->question = (struct command){.op = COMMAND_LISTXATTR,
                                          .ino = ino_of_nsid(NSID_ROOT)};
    catch_up->read.command = &catch_up->question;
    catch_up->read.deadline_ns = catch_up->deadline_ns;
    catch_up->read.done = caught_up;
    reader_start(node_reader(node), &catch_up->read);
}

void catch_up_cancel(struct catch_up *catch_up, struct node *node)
{
    reader_cancel(node_reader(node), &catch_up->read);
}
