/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/sink.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool to_journal;

/* syslog's severities. */
static const char *const prefixes[LOG_LEVELS] = {
    [LOG_DEBUG] = "<7>",
    [LOG_INFO] = "<6>",
    [LOG_WARN] = "<4>",
    [LOG_ERROR] = "<3>",
};

static void sink(enum log_level level, const char *component, const char *line)
{
    char text[LOG_LINE_SIZE + 64];
    int size = snprintf(text, sizeof text - 1, "%s%s %s %s",
                        to_journal ? prefixes[level] : "",
                        log_level_name(level), component, line);

    if (size > (int)sizeof text - 2)
        size = (int)sizeof text - 2;
    text[size++] = '\n';
    if (write(STDERR_FILENO, text, (size_t)size) < 0)
        return; /* There is nobody left to tell. */
}

void sink_install(enum log_level level_min)
{
    to_journal = getenv("JOURNAL_STREAM") != NULL;
    log_set_sink(sink, level_min);
}
