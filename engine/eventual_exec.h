/* SPDX-License-Identifier: Apache-2.0 */

/* Executing a command on files of eventual namespaces on what this node has: it
 * says which records become which; eventual.c gives them their versions and
 * writes them. Values are replaced as a whole: a write into the middle, an
 * append and a truncation are read-modify-write.
 *
 * A rename is a record at the new name and then a tombstone at the old one: who
 * has only the first of them has the file. An exchange is two records. */

#ifndef GROVEFS_ENGINE_EVENTUAL_EXEC_H
#define GROVEFS_ENGINE_EVENTUAL_EXEC_H

#include "engine/command.h"
#include "engine/eventual_record.h"

/* One name. */
struct eventual_change {
    struct eventual_record before; /* dir 0: nothing was known of the name;
                                    * perhaps without content */
    struct eventual_record after;  /* without version and numbers */
    struct buf *content;           /* private: that `after` borrows */
    struct buf *xattrs;            /* private: likewise */
};

struct eventual_outcome {
    struct eventual_change changes[2];
    size_t count; /* 0: the command changes nothing (what exists was opened) */
    /* To be answered; `attr.version` of what changes is the caller's to fill
     * in. */
    struct result result;
};

/* Executes COMMAND_CREATE .. COMMAND_REMOVEXATTR and COMMAND_BRING. `command`
 * stays borrowed by the outcome, which is to be released whatever comes back.
 * Statuses as those of strong files (engine.h, exec_file.c), and ERR_IS_DIR for
 * names of directories, which the catalog knows; ERR_TOO_LARGE above
 * EVENTUAL_VALUE_SIZE_MAX. ERR_CORRUPT, ERR_IO, ERR_NO_MEMORY. Reads only;
 * any thread. */
int eventual_execute(struct kv *state, const struct command *command,
                     struct eventual_outcome *ret);
void eventual_outcome_release(struct eventual_outcome *outcome);

#endif
