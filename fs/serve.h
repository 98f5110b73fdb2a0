/* SPDX-License-Identifier: Apache-2.0 */

/* One daemon from start to end:
 *
 *   check the mountpoint → fork → open the engine → mount → start the engine
 *   → serve, and report when ready → a signal or umount → detach → stop the
 *   engine, which ends what waits → close
 *
 * A node that waits for its peers is mounted all the same, so that
 * /.cluster/health can say what it waits for. */

#ifndef GROVEFS_FS_SERVE_H
#define GROVEFS_FS_SERVE_H

#include "fs/options.h"

/* Returns the exit status; every failure has been reported. */
int serve(struct options *options);

#endif
