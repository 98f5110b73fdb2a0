/* SPDX-License-Identifier: Apache-2.0 */

/* Builds the data of a REQUEST_READDIR, which dirent_next() of engine.h takes
 * apart: for each name the inode number (8 bytes), the mode (4 bytes), the
 * name's size (1 byte), the name and a \0. Numbers are big endian. */

#ifndef GROVEFS_ENGINE_DIRENT_H
#define GROVEFS_ENGINE_DIRENT_H

#include <stdint.h>

#include "engine/engine.h"
#include "engine/kv.h"

struct dirent_writer {
    struct buf *buf; /* private; all of it */
    size_t size;
    size_t size_max;
};

/* The data will have at most `size_max` bytes. */
void dirent_writer_init(struct dirent_writer *writer, size_t size_max);

/* ERR_RANGE when it does not fit any more, ERR_NO_MEMORY; then nothing was
 * added. The name has 1 to NAME_SIZE_MAX bytes; of the mode only the type is
 * kept. */
int dirent_append(struct dirent_writer *writer, struct slice name, uint64_t ino,
                  uint32_t mode);

/* Returns the data, perhaps empty, as the caller's reference. The writer may
 * be closed or initialised again. */
struct buf *dirent_writer_finish(struct dirent_writer *writer);

/* Drops what was not finished. Takes a zeroed one too. */
void dirent_writer_close(struct dirent_writer *writer);

#endif
