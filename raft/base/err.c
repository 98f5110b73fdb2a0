/* SPDX-License-Identifier: Apache-2.0 */

#include "raft/base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct row {
    int number;
    const char *text;
};

static const struct row rows[ERR__COUNT] = {[0] = {0, "success"},
#define ERR_ROW(name, number, text) [ERR__##name] = {number, text},
                                            ERR_CODES(ERR_ROW)
#undef ERR_ROW
};

static const struct row *row_of(int code)
{
    assert(code <= 0);
    assert(code > -(int)ERR__COUNT);
    return &rows[-code];
}

int err_set(struct err *e, int code, const char *format, ...)
{
    va_list args;

    if (e == NULL)
        return code;

    va_start(args, format);
    (void)vsnprintf(e->text, sizeof e->text, format, args); /* Cut if long. */
    va_end(args);
    return code;
}

int err_prefix(struct err *e, int code, const char *format, ...)
{
    char rest[ERR_TEXT_SIZE];
    va_list args;
    size_t used;

    if (e == NULL)
        return code;

    memcpy(rest, e->text[0] == '\0' ? err_text(code) : e->text,
           e->text[0] == '\0' ? strlen(err_text(code)) + 1 : sizeof rest);
    va_start(args, format);
    (void)vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    used = strlen(e->text);
    (void)snprintf(e->text + used, sizeof e->text - used, ": %.*s",
                   (int)(sizeof rest - 1), rest);
    return code;
}

const char *err_text(int code)
{
    return row_of(code)->text;
}

int err_errno(int code)
{
    return row_of(code)->number;
}

int err_from_errno(int number)
{
    switch (number) {
    case 0:
        return 0;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
        return ERR_ACCESS;
    case EPERM:
        return ERR_NOT_PERMITTED;
    case ENOSPC:
        return ERR_NO_SPACE;
    case EDQUOT:
        return ERR_QUOTA;
    case EROFS:
        return ERR_READ_ONLY;
    case ENOTDIR:
        return ERR_NOT_DIR;
    case EISDIR:
        return ERR_IS_DIR;
    case EBUSY:
        return ERR_BUSY;
    case EINVAL:
        return ERR_INVALID;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case EADDRINUSE:
        return ERR_ADDRESS_IN_USE;
    case ECANCELED:
        return ERR_CANCELED;
    default:
        return ERR_IO;
    }
}
