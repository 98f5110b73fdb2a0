/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/sink.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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

/* systemd names the stream's device and inode; stderr may be another by now. */
bool sink_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device;
    uintmax_t inode;
    struct stat st;

    return stream != NULL && fstat(STDERR_FILENO, &st) == 0 &&
           sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
           st.st_dev == device && st.st_ino == inode;
}

void sink_install(enum log_level level_min)
{
    to_journal = sink_is_journal();
    log_set_sink(sink, level_min);
}
