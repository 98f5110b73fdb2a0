/* SPDX-License-Identifier: Apache-2.0 */

/* Where log lines go: stderr, one write per line, with journald's level
 * prefix when stderr is its stream. */

#ifndef GROVEFS_FS_SINK_H
#define GROVEFS_FS_SINK_H

#include <stdbool.h>

#include "engine/engine.h"

/* Lines from `level_min` on. Call before any thread starts. */
void sink_install(enum log_level level_min);

/* Is stderr the journal's? */
bool sink_is_journal(void);

#endif
