/* SPDX-License-Identifier: Apache-2.0 */

/* A state/ in memory with an eventual directory in it, and commands executed on
 * it and written one after the other, as a node would that is alone. */

#ifndef GROVEFS_TESTS_ENGINE_EVENTUAL_FILES_H
#define GROVEFS_TESTS_ENGINE_EVENTUAL_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/eventual_exec.h"
#include "engine/eventual_read.h"
#include "engine/keys.h"

enum { DIR = 7, OTHER_DIR = 8, FILE_INO = 100 };

struct eventual_files {
    struct kv *state;
    struct result result; /* of the last command or read */
    size_t change_count;  /* of the last command */
    uint64_t hlc;         /* the last one given to a change */
    uint64_t ino;         /* the last one given to a file */
};

int setup_eventual_files(void **state);
/* Checks the index of changes, too. */
int teardown_eventual_files(void **state);

/* A command on a file of DIR; with the last inode number. */
struct command on(struct eventual_files *f, enum command_op op,
                  const char *name);

/* Return the status. */
int execute(struct eventual_files *f, const struct command *command);
int look(struct eventual_files *f, const struct command *command);
int make(struct eventual_files *f, const char *name, struct slice content);
int move(struct eventual_files *f, const char *name, const char *to_name,
         unsigned flags);

/* The content of a file of DIR is this. */
void expect_content(struct eventual_files *f, const char *name,
                    struct slice content);

/* The catalog has a directory. */
void add_directory(struct eventual_files *f, uint64_t parent, struct slice name,
                   uint64_t nsid, enum mode_state mode);

/* How a file whose change was the last one is shown beside a directory. */
struct eventual_shown_name shown_name(struct eventual_files *f,
                                      struct slice name);

/* Names of a page of DIR, as "a b/ c". In static memory. */
const char *page(struct eventual_files *f, struct slice name, bool itself,
                 size_t size);

#endif
