/* SPDX-License-Identifier: Apache-2.0 */

/* Log lines: `level component key=value ...`, one per event.
 *
 * This folder does no I/O: a line is formatted here and handed to the sink
 * that main() has installed. Without a sink nothing is formatted. */

#ifndef GROVEFS_RAFT_BASE_LOG_H
#define GROVEFS_RAFT_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };

enum { LOG_LINE_SIZE = 1024 };

/* Gets one line without a line end. May be called on any thread, also by two
 * at once. */
typedef void log_sink(enum log_level level, const char *component,
                      const char *line);

/* Installs the sink and the lowest level that reaches it. Call before any
 * thread starts; NULL removes it. */
void log_set_sink(log_sink *sink, enum log_level level_min);

/* Formats and hands over one line. Any thread. A longer line is cut. */
void log_line(enum log_level level, const char *component, const char *format,
              ...) __attribute__((format(printf, 3, 4)));

/* "debug", "info", "warn", "error". */
const char *log_level_name(enum log_level level);

#endif
