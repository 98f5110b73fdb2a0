/* SPDX-License-Identifier: Apache-2.0 */

/* The grammar of scenario files (FORMAT.md section 1): cases of a command with
 * arguments, input lines, "----", and the expected output. Mistakes of the
 * file's author end the program. */

#ifndef GROVEFS_TESTS_RAFT_DIRECTIVE_H
#define GROVEFS_TESTS_RAFT_DIRECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { DIRECTIVE_ARGS_MAX = 16, DIRECTIVE_VALUES_MAX = 64 };

struct directive_arg {
    char *key;
    char *value[DIRECTIVE_VALUES_MAX];
    size_t value_count;
};

struct directive {
    const char *file; /* borrowed */
    unsigned line;    /* of the command */
    char *command;
    struct directive_arg arg[DIRECTIVE_ARGS_MAX];
    size_t arg_count;
    char *input;    /* trimmed */
    char *expected; /* each line ends with a line end */
};

struct directive_reader {
    const char *file;
    FILE *in;
    unsigned line;
};

/* The next case; false at the end of the file. */
bool directive_read(struct directive_reader *reader, struct directive *ret);
void directive_release(struct directive *d);

/* Ends the program with file, line and the reason. */
void directive_fail(const struct directive *d, const char *why)
    __attribute__((noreturn));

/* NULL when it is not there. */
const struct directive_arg *directive_arg(const struct directive *d,
                                          const char *key);

/* Its only value, or the default. */
const char *directive_text(const struct directive *d, const char *key,
                           const char *otherwise);
uint64_t directive_number(const struct directive *d, const char *key,
                          uint64_t otherwise);
bool directive_bool(const struct directive *d, const char *key, bool otherwise);

/* The bare arguments, which name nodes; returns how many. */
size_t directive_bare(const struct directive *d, const char **ret, size_t max);

uint64_t directive_parse_number(const struct directive *d, const char *text);
bool directive_parse_bool(const struct directive *d, const char *text);

#endif
