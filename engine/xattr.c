/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/xattr.h"

#include <assert.h>
#include <string.h>

#include "engine/keys.h"

enum { HEAD_SIZE = 4 };

struct xattr {
    struct slice name;
    struct slice value;
    size_t offset; /* of the head */
    size_t end;    /* of the value */
};

static size_t be16_get(const uint8_t *from)
{
    return (size_t)from[0] << 8 | from[1];
}

static uint8_t *add(uint8_t *to, struct slice bytes)
{
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    return to + bytes.size;
}

static uint8_t *add_xattr(uint8_t *to, struct slice name, struct slice value)
{
    to[0] = (uint8_t)(name.size >> 8);
    to[1] = (uint8_t)name.size;
    to[2] = (uint8_t)(value.size >> 8);
    to[3] = (uint8_t)value.size;
    return add(add(to + HEAD_SIZE, name), value);
}

/* The one at `offset`; false at the end and for malformed bytes. */
static bool xattr_at(struct slice xattrs, size_t offset, struct xattr *ret)
{
    const uint8_t *head = (const uint8_t *)xattrs.data + offset;
    size_t rest_size = xattrs.size - offset;
    size_t name_size;
    size_t value_size;

    if (rest_size < HEAD_SIZE)
        return false;
    rest_size -= HEAD_SIZE;
    name_size = be16_get(head);
    value_size = be16_get(head + 2);
    if (name_size == 0 || name_size > XATTR_NAME_SIZE_MAX)
        return false;
    if (name_size > rest_size || value_size > rest_size - name_size)
        return false;

    ret->name = (struct slice){head + HEAD_SIZE, name_size};
    ret->value = (struct slice){head + HEAD_SIZE + name_size, value_size};
    ret->offset = offset;
    ret->end = offset + HEAD_SIZE + name_size + value_size;
    return true;
}

static bool xattr_find(struct slice xattrs, struct slice name,
                       struct xattr *ret)
{
    struct xattr x = {.end = 0};

    while (xattrs.size > 0 && xattr_at(xattrs, x.end, &x)) {
        if (slice_equal(x.name, name)) {
            *ret = x;
            return true;
        }
    }
    return false;
}

static struct slice before(struct slice xattrs, const struct xattr *x)
{
    return (struct slice){xattrs.data, x->offset};
}

static struct slice behind(struct slice xattrs, const struct xattr *x)
{
    const uint8_t *data = xattrs.data;

    if (x->end == xattrs.size)
        return (struct slice){NULL, 0};
    return (struct slice){data + x->end, xattrs.size - x->end};
}

int xattr_get(struct slice xattrs, struct slice name, struct slice *ret_value)
{
    struct xattr x;

    if (!xattr_find(xattrs, name, &x))
        return ERR_NO_DATA;
    *ret_value = x.value;
    return 0;
}

int xattr_set(struct slice xattrs, struct slice name, struct slice value,
              unsigned flags, struct buf **ret)
{
    /* When there is none yet, its place is an empty one at the end. */
    struct xattr old = {.offset = xattrs.size, .end = xattrs.size};
    bool found = xattr_find(xattrs, name, &old);
    size_t kept_size = xattrs.size - (old.end - old.offset);
    struct buf *b;

    assert(name.size > 0 && name.size <= XATTR_NAME_SIZE_MAX);
    if (found && (flags & REQUEST_XATTR_CREATE) != 0)
        return ERR_EXISTS;
    if (!found && (flags & REQUEST_XATTR_REPLACE) != 0)
        return ERR_NO_DATA;
    if (value.size > XATTRS_SIZE_MAX ||
        kept_size + HEAD_SIZE + name.size + value.size > XATTRS_SIZE_MAX)
        return ERR_NO_SPACE;

    b = buf_new(kept_size + HEAD_SIZE + name.size + value.size);
    if (b == NULL)
        return ERR_NO_MEMORY;
    (void)add(add_xattr(add(b->data, before(xattrs, &old)), name, value),
              behind(xattrs, &old));
    *ret = b;
    return 0;
}

int xattr_remove(struct slice xattrs, struct slice name, struct buf **ret)
{
    struct xattr old;
    struct buf *b;

    if (!xattr_find(xattrs, name, &old))
        return ERR_NO_DATA;
    b = buf_new(xattrs.size - (old.end - old.offset));
    if (b == NULL)
        return ERR_NO_MEMORY;
    (void)add(add(b->data, before(xattrs, &old)), behind(xattrs, &old));
    *ret = b;
    return 0;
}

struct buf *xattr_list(struct slice xattrs)
{
    struct xattr x = {.end = 0};
    struct buf *b = buf_new(xattrs.size); /* A head has room for the \0. */
    uint8_t *to;

    assert(b != NULL && "out of memory");
    to = b->data;
    while (xattrs.size > 0 && xattr_at(xattrs, x.end, &x)) {
        to = add(to, x.name);
        *to++ = '\0';
    }
    b->size = (size_t)(to - b->data);
    return b;
}

bool xattr_check(struct slice xattrs)
{
    struct xattr x = {.end = 0};

    if (xattrs.size > XATTRS_SIZE_MAX)
        return false;
    while (x.end < xattrs.size) {
        if (!xattr_at(xattrs, x.end, &x))
            return false;
        if (memchr(x.name.data, '\0', x.name.size) != NULL)
            return false;
    }
    return true;
}
