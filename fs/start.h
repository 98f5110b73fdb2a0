/* SPDX-License-Identifier: Apache-2.0 */

/* Into the background, without leaving the caller in the dark.
 *
 * The process forks before anything has threads. The child does all the work
 * and reports through a pipe; the parent waits for the report, prints an error
 * if that is what it is, and exits: status 0 means mounted. In the foreground
 * the same calls just print. */

#ifndef GROVEFS_FS_START_H
#define GROVEFS_FS_START_H

#include <stdbool.h>

/* Forks unless `foreground`. Returns in the child, or in the foreground
 * process; the parent exits. */
void start_begin(bool foreground);

/* The report: started, or the one line that says why not. Only the first
 * counts. Any thread. */
void start_succeeded(void);
void start_failed(const char *text);

#endif
