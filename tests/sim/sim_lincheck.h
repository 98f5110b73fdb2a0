/* SPDX-License-Identifier: Apache-2.0 */

/* A history as `lincheck.py` reads it, for a second opinion: one JSON object a
 * line. That program knows single files of one value; sim_check.h judges all
 * operations, all that they return, and the whole tree.
 *
 *     operation here         there
 *     CREATE                 create, of "" or of its piece
 *     WRITE, TRUNCATE        overwrite
 *     WRITE, APPEND          cas from "" to its piece, so that the first of
 *                            several appends is known
 *     READ                   read: the tag of the first piece, or ""
 *     LOOKUP, GETATTR        read, of what is empty, absent or a directory;
 *                            else only that the name is there
 *     UNLINK, RMDIR          delete
 *     MKDIR                  create, of "/"
 *     RENAME                 rename; what EXCHANGE may have touched is left out
 *     READDIR, SETATTR,      left out
 *     and the xattrs
 *
 * Of a value only its first piece is shown, since appends go behind it. */

#ifndef GROVEFS_TESTS_SIM_SIM_LINCHECK_H
#define GROVEFS_TESTS_SIM_SIM_LINCHECK_H

#include <stdio.h>

#include "tests/sim/sim_history.h"
#include "tests/sim/sim_watch.h"

/* `watch` knows what the logs say: what never got into one has not happened,
 * which makes the search short. NULL: nobody does. */
void sim_lincheck_write(const struct sim_history *history,
                        const struct sim_watch *watch, FILE *out);

#endif
