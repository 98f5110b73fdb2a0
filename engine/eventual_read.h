/* SPDX-License-Identifier: Apache-2.0 */

/* Reads of eventual namespaces, and of what leads to them: from this node's
 * own state/, waiting for nobody.
 *
 * Names of directories are in the catalog alone. Where two nodes have made a
 * directory and a file of one name, the name is the directory's, and the file
 * shows beside it as NAME~file-TIME (16 hexadecimal digits, of its version)
 * until it is renamed or removed there. A NAME that is too long for that is
 * cut. eventual_names.c finds files by what is shown, eventual_list.c lists. */

#ifndef GROVEFS_ENGINE_EVENTUAL_READ_H
#define GROVEFS_ENGINE_EVENTUAL_READ_H

#include "engine/command.h"
#include "engine/eventual_record.h"

/* Executes a read in an eventual namespace: COMMAND_LOOKUP .. COMMAND_READDIR
 * by `dir` (or by `ino` for a directory), xattrs of files. `*ret` is zeroed
 * before, and to be released by the caller also on errors; the status is in it,
 * too. Any thread, as all here. */
int eventual_read(struct kv *state, const struct command *command,
                  struct result *ret);

/* COMMAND_READDIR, at one moment, of a directory that is there. */
int eventual_list(struct kv *state, const struct kv_snapshot *snapshot,
                  const struct command *command, struct result *ret);

/* The attributes of a directory: of the catalog and, if it is eventual, of its
 * entries here. ERR_STALE: there is none; ERR_CORRUPT, ERR_IO. */
int eventual_directory_attr(struct kv *state,
                            const struct kv_snapshot *snapshot, uint64_t nsid,
                            struct attr *ret);

/* ---- files ---- */

/* Below, errors are as those of eventual_get(); tombstones are ERR_NOT_FOUND.
 * `snapshot` is not NULL. The name in a record is the real one. */

int eventual_get_live(struct kv *state, const struct kv_snapshot *snapshot,
                      uint64_t dir, struct slice name, bool content,
                      struct eventual_record *ret);

/* The file that has this name, which no directory has (the caller has looked),
 * or that is shown under it, beside a directory. */
int eventual_get_shown(struct kv *state, const struct kv_snapshot *snapshot,
                       uint64_t dir, struct slice shown, bool content,
                       struct eventual_record *ret);

/* The file that a handle means: the one with this inode number that has this
 * name, or was shown under it. What another node than command->node has put in
 * its place is it, too, and takes its inode number over: two that have made a
 * file at the same time both mean that name. What this node has put there
 * itself is another file. ERR_STALE: there is none. */
int eventual_get_file(struct kv *state, const struct kv_snapshot *snapshot,
                      const struct command *command, bool content,
                      struct eventual_record *ret);

enum {
    EVENTUAL_SUFFIX_SIZE = 6 + 16, /* "~file-" and the digits */
    EVENTUAL_STEM_MAX = NAME_SIZE_MAX - EVENTUAL_SUFFIX_SIZE
};

/* How a file is shown beside a directory of its name. */
struct eventual_shown_name {
    char data[NAME_SIZE_MAX + 1];
    size_t size;
};

struct eventual_shown_name
eventual_show_name(const struct eventual_record *record);

#endif
