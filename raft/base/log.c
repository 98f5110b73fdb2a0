/* SPDX-License-Identifier: Apache-2.0 */

#include "raft/base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static log_sink *sink_installed;
static enum log_level sink_level_min;

void log_set_sink(log_sink *sink, enum log_level level_min)
{
    sink_installed = sink;
    sink_level_min = level_min;
}

void log_line(enum log_level level, const char *component, const char *format,
              ...)
{
    char line[LOG_LINE_SIZE];
    va_list args;

    if (sink_installed == NULL || level < sink_level_min)
        return;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args); /* Cut if long. */
    va_end(args);
    sink_installed(level, component, line);
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[LOG_LEVELS] = {"debug", "info", "warn",
                                                  "error"};

    assert(level < LOG_LEVELS);
    return names[level];
}
