/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/dirent.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/keys.h"

enum { HEAD_SIZE = 8 + 4 + 1, BUFFER_SIZE_MIN = 1024 };

void dirent_writer_init(struct dirent_writer *writer, size_t size_max)
{
    *writer = (struct dirent_writer){.size_max = size_max};
}

/* Doubles the buffer until `size` bytes fit; the caller has checked the
 * bound. */
static int grow(struct dirent_writer *writer, size_t size)
{
    size_t buffer_size =
        writer->buf == NULL ? BUFFER_SIZE_MIN : writer->buf->size;
    struct buf *grown;

    if (writer->buf != NULL && size <= writer->buf->size)
        return 0;
    while (buffer_size < size)
        buffer_size *= 2;
    grown = buf_new(buffer_size);
    if (grown == NULL)
        return ERR_NO_MEMORY;
    if (writer->buf != NULL)
        memcpy(grown->data, writer->buf->data, writer->size);
    buf_unref(writer->buf);
    writer->buf = grown;
    return 0;
}

int dirent_append(struct dirent_writer *writer, struct slice name, uint64_t ino,
                  uint32_t mode)
{
    size_t size = HEAD_SIZE + name.size + 1;
    uint8_t *to;
    int rc;

    assert(name.size > 0 && name.size <= NAME_SIZE_MAX);
    assert(memchr(name.data, '\0', name.size) == NULL);
    assert(writer->size <= writer->size_max);

    if (size > writer->size_max - writer->size)
        return ERR_RANGE;
    rc = grow(writer, writer->size + size);
    if (rc != 0)
        return rc;

    to = writer->buf->data + writer->size;
    be64_put(to, ino);
    be32_put(to + 8, mode & S_IFMT);
    to[12] = (uint8_t)name.size;
    memcpy(to + HEAD_SIZE, name.data, name.size);
    to[HEAD_SIZE + name.size] = '\0';
    writer->size += size;
    return 0;
}

struct buf *dirent_writer_finish(struct dirent_writer *writer)
{
    struct buf *b = writer->buf != NULL ? writer->buf : buf_copy(NULL, 0);

    b->size = writer->size;
    *writer = (struct dirent_writer){.size_max = writer->size_max};
    return b;
}

void dirent_writer_close(struct dirent_writer *writer)
{
    buf_unref(writer->buf);
    *writer = (struct dirent_writer){.buf = NULL};
}

bool dirent_next(const struct buf *data, size_t *position,
                 struct dirent_view *ret_entry)
{
    const uint8_t *head;
    size_t name_size;

    if (data == NULL || *position > data->size ||
        data->size - *position < HEAD_SIZE)
        return false;
    head = data->data + *position;
    name_size = head[12];
    if (name_size == 0 || data->size - *position - HEAD_SIZE < name_size + 1)
        return false;
    if (memchr(head + HEAD_SIZE, '\0', name_size + 1) !=
        head + HEAD_SIZE + name_size)
        return false;

    ret_entry->ino = be64_get(head);
    ret_entry->mode = be32_get(head + 8);
    ret_entry->name = (const char *)head + HEAD_SIZE;
    *position += HEAD_SIZE + name_size + 1;
    return true;
}
