/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/temp_dir.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum { DESCRIPTORS_MAX = 16 };

void temp_dir_init(struct temp_dir *dir)
{
    const char *below = getenv("TMPDIR");
    int size = snprintf(dir->path, sizeof dir->path, "%s/grovefs-test-XXXXXX",
                        below != NULL ? below : "/tmp");
    const char *made;

    assert(size > 0 && (size_t)size < sizeof dir->path);
    made = mkdtemp(dir->path);
    assert(made != NULL);
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path);
}

void temp_dir_close(struct temp_dir *dir)
{
    int rc =
        nftw(dir->path, remove_entry, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS);

    assert(rc == 0);
}

const char *temp_dir_path(const struct temp_dir *dir, const char *name)
{
    static char path[2 * TEMP_PATH_SIZE];

    (void)snprintf(path, sizeof path, "%s/%s", dir->path, name);
    return path;
}
