/* SPDX-License-Identifier: Apache-2.0 */

/* A folder of its own for a test. */

#ifndef GROVEFS_TESTS_ENGINE_TEMP_DIR_H
#define GROVEFS_TESTS_ENGINE_TEMP_DIR_H

enum { TEMP_PATH_SIZE = 256 };

struct temp_dir {
    char path[TEMP_PATH_SIZE];
};

/* Creates one below $TMPDIR or /tmp. Aborts when that fails. */
void temp_dir_init(struct temp_dir *dir);

/* Removes it with everything in it. */
void temp_dir_close(struct temp_dir *dir);

/* "<folder>/<name>", good until the next call. */
const char *temp_dir_path(const struct temp_dir *dir, const char *name);

#endif
