/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/mount.h"

#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FS_TYPE "fuse.grovefs"

enum { DEAD_MOUNTS_MAX = 16 }; /* on top of each other */

static bool is_dead(const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

/* Is a living grovefs mounted there? */
static bool is_taken(const char *path)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    const struct mntent *entry;
    bool taken = false;

    if (mounts == NULL)
        return false;
    while ((entry = getmntent(mounts)) != NULL)
        if (strcmp(entry->mnt_dir, path) == 0)
            taken = strcmp(entry->mnt_type, FS_TYPE) == 0;
    (void)endmntent(mounts);
    return taken;
}

static int check_directory(const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return err_set(e, ERR_NOT_FOUND, "mountpoint '%s': %s", path,
                       strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_NOT_DIR, "mountpoint '%s': Not a directory",
                       path);
    if (access(path, W_OK | X_OK) != 0)
        return err_set(e, ERR_ACCESS, "mountpoint '%s' is not writable: %s",
                       path, strerror(errno));
    if (is_taken(path))
        return err_set(e, ERR_BUSY,
                       "mountpoint '%s': a grovefs is mounted there", path);
    return 0;
}

/* realpath(3) fails on a dead mount; only its parent is asked then. */
static char *resolve_dead(const char *path)
{
    char *copy = mem_strdup(path);
    size_t size = strlen(copy);
    char *slash;
    char *parent;
    char *full = NULL;

    while (size > 1 && copy[size - 1] == '/')
        copy[--size] = '\0';
    slash = strrchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    parent = realpath(slash == NULL ? "." : slash == copy ? "/" : copy, NULL);
    if (parent != NULL &&
        asprintf(&full, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
                 slash == NULL ? copy : slash + 1) < 0)
        full = NULL;
    free(parent);
    free(copy);
    return full;
}

int mount_check(struct mount *mount, const char *path, struct err *e)
{
    *mount = (struct mount){.is_dead = is_dead(path)};
    mount->path = mount->is_dead ? resolve_dead(path) : realpath(path, NULL);
    if (mount->path == NULL)
        return err_set(e, ERR_NOT_FOUND, "mountpoint '%s': %s", path,
                       strerror(errno));
    return mount->is_dead ? 0 : check_directory(mount->path, e);
}

int mount_clear(struct mount *mount, struct err *e)
{
    for (int i = 0; i < DEAD_MOUNTS_MAX && is_dead(mount->path); i++) {
        if (umount2(mount->path, MNT_DETACH) != 0)
            return err_set(e, ERR_BUSY, "dead mount at '%s': %s", mount->path,
                           strerror(errno));
        log_line(LOG_WARN, "mount", "dead mount detached path=%s", mount->path);
    }
    return check_directory(mount->path, e);
}

bool mount_detach(const struct mount *mount)
{
    return umount2(mount->path, MNT_DETACH) == 0;
}

void mount_release(struct mount *mount)
{
    free(mount->path);
    mount->path = NULL;
}
