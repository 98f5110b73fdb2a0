/* SPDX-License-Identifier: Apache-2.0 */

/* Growing text. */

#include "tests/raft/out.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

static void reserve(struct out *out, size_t more)
{
    out->data = mem_grow(out->data, 1, &out->data_size, out->used + more + 1);
}

void out_add(struct out *out, const char *format, ...)
{
    va_list args;
    va_list again;
    int size;

    va_start(args, format);
    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, args);
    assert(size >= 0);
    reserve(out, (size_t)size);
    (void)vsnprintf(out->data + out->used, (size_t)size + 1, format, again);
    out->used += (size_t)size;
    va_end(again);
    va_end(args);
}

void out_add_lines(struct out *out, const char *indent, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");

        out_add(out, "%s%.*s\n", indent, (int)size, text);
        text += size;
        if (*text == '\n')
            text++;
    }
}

char *out_text(struct out *out)
{
    reserve(out, 0);
    out->data[out->used] = '\0';
    return out->data;
}

char *out_take(struct out *out)
{
    char *text = out_text(out);

    *out = (struct out){.used = 0};
    return text;
}

void out_release(struct out *out)
{
    free(out->data);
    *out = (struct out){.used = 0};
}
