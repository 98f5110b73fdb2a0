/* SPDX-License-Identifier: Apache-2.0 */

/* Text that grows. A zeroed struct is empty. */

#ifndef GROVEFS_TESTS_RAFT_OUT_H
#define GROVEFS_TESTS_RAFT_OUT_H

#include <stddef.h>

struct out {
    char *data; /* NULL until something is added */
    size_t used;
    size_t data_size; /* private */
};

void out_add(struct out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds every line of `text` with `indent` before and a line end after it. */
void out_add_lines(struct out *out, const char *indent, const char *text);

/* Never NULL; valid until the next change. */
char *out_text(struct out *out);

/* The text, to be freed; `out` is empty afterwards. */
char *out_take(struct out *out);
void out_release(struct out *out);

#endif
