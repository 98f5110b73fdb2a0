/* SPDX-License-Identifier: Apache-2.0 */

/* What the user can choose: one table in options.c, from which come the
 * command line (-o name=value), the configuration file (name = value) and
 * --help. The command line wins over the file. */

#ifndef GROVEFS_FS_OPTIONS_H
#define GROVEFS_FS_OPTIONS_H

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_opt.h>

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

enum options_action { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

/* Texts are owned; NULL and 0 mean the default. */
struct options {
    char *data; /* an absolute path */
    char *listen;
    char *advertise;
    char *peers;
    char *join;
    uint64_t id;
    char *config;
    uint64_t op_timeout_ms;
    uint64_t value_size_max;
    uint64_t log_keep;
    uint64_t check_interval_ms; /* ENGINE_NEVER: none */
    uint64_t workers;
    enum log_level log_level;

    enum options_action action;
    bool foreground;
    char *mountpoint;
    struct fuse_args fuse; /* libfuse's own mount options */

    unsigned given;       /* private: bits of the table's rows */
    int texts_count;      /* private: arguments that are no options */
    bool has_fsname;      /* private */
    bool has_allow_other; /* private */
    struct err *error;    /* private: during options_parse() */
};

/* Reads the arguments and the configuration file. Errors: ERR_INVALID with
 * one clear line in `e`. Release in any case. */
int options_parse(struct options *options, int argc, char **argv,
                  struct err *e);
void options_release(struct options *options);

/* What --help prints. */
void options_print_help(void);

#endif
