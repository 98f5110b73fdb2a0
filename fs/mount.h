/* SPDX-License-Identifier: Apache-2.0 */

/* The mountpoint, before and after libfuse has to do with it. */

#ifndef GROVEFS_FS_MOUNT_H
#define GROVEFS_FS_MOUNT_H

#include <stdbool.h>

#include "engine/engine.h"

struct mount {
    char *path;   /* public: absolute */
    bool is_dead; /* private: a killed daemon's mount is still there */
};

/* Checks without changing anything that `path` is a directory that can be
 * mounted on. A mount whose daemon was killed is accepted. Errors with one
 * clear line in `e`. */
int mount_check(struct mount *mount, const char *path, struct err *e);

/* Detaches a dead mount, and says so in the log, and checks what is below.
 * Call right before mounting. */
int mount_clear(struct mount *mount, struct err *e);

/* Takes our mount out of the tree at once; descriptors stay connected until
 * the session is closed. False when the process may not. */
bool mount_detach(const struct mount *mount);

/* Takes a mount that was only checked, or never. */
void mount_release(struct mount *mount);

#endif
