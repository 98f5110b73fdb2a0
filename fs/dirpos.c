/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/dirpos.h"

#include <stdlib.h>

#include "engine/engine.h"

void dirpos_init(struct dirpos *dirpos)
{
    *dirpos = (struct dirpos){.distance = 1};
}

void dirpos_clear(struct dirpos *dirpos)
{
    for (size_t i = 0; i < dirpos->count; i++)
        free(dirpos->marks[i].name);
    dirpos->count = 0;
    dirpos->distance = 1;
}

void dirpos_release(struct dirpos *dirpos)
{
    dirpos_clear(dirpos);
    free(dirpos->marks);
}

static void thin_out(struct dirpos *dirpos)
{
    const size_t count = dirpos->count;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (i % 2 == 0)
            free(dirpos->marks[i].name);
        else
            dirpos->marks[kept++] = dirpos->marks[i];
    }
    dirpos->count = kept;
    dirpos->distance *= 2;
}

void dirpos_note(struct dirpos *dirpos, uint64_t position, const char *name)
{
    const uint64_t last =
        dirpos->count == 0 ? 0 : dirpos->marks[dirpos->count - 1].position;

    if (position < last + dirpos->distance)
        return;
    if (dirpos->count == DIRPOS_MARKS_MAX) {
        thin_out(dirpos);
        dirpos_note(dirpos, position, name);
        return;
    }
    dirpos->marks = mem_grow(dirpos->marks, sizeof *dirpos->marks,
                             &dirpos->count_max, dirpos->count + 1);
    dirpos->marks[dirpos->count++] =
        (struct dirpos_mark){.position = position, .name = mem_strdup(name)};
}

/* How many marks are before `position`. */
static size_t count_before(const struct dirpos *dirpos, uint64_t position)
{
    size_t low = 0;
    size_t high = dirpos->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (dirpos->marks[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void dirpos_cut(struct dirpos *dirpos, uint64_t position)
{
    const size_t count = count_before(dirpos, position + 1);

    while (dirpos->count > count)
        free(dirpos->marks[--dirpos->count].name);
}

struct dirpos_mark dirpos_before(const struct dirpos *dirpos, uint64_t position)
{
    static char start[] = "";
    const size_t count = count_before(dirpos, position + 1);

    if (count == 0)
        return (struct dirpos_mark){.position = 0, .name = start};
    return dirpos->marks[count - 1];
}

const struct dirpos_mark *dirpos_behind(const struct dirpos *dirpos,
                                        uint64_t position)
{
    const size_t count = count_before(dirpos, position);

    return count == dirpos->count ? NULL : &dirpos->marks[count];
}
