/* SPDX-License-Identifier: Apache-2.0 */

/* /.cluster/events: a file that goes on as long as it is open.
 *
 * Its first line names the columns; what happens from open(2) on follows. A
 * READ at the end waits for the next event, with O_NONBLOCK it is EAGAIN.
 * stat(2) shows the size of all events so far, more than anybody has read, and
 * lseek(2) what can be read at once: so `tail -f` takes it for a file that
 * grows. What the last READs got is kept with the handle: shells go back
 * to behind the line that they take. What comes before that is gone: ESPIPE.
 *
 * In a handle `kept` begins at kept_offset and ends before the event that has
 * the number event_next; all three are guarded by the inode table's lock. */

#ifndef GROVEFS_FS_EVENTS_H
#define GROVEFS_FS_EVENTS_H

#include "fs/op.h"

/* For LOOKUP, GETATTR and OPEN: gets the first line, and goes on with `done`.
 */
void events_begin(struct op *op, op_done *done);

/* op: handle, offset, size, file. Replies. */
void events_read(struct op *op);

/* Of this or any other special file: what an open one has now. */
size_t events_size(struct fs *fs, const struct handle *handle);

#endif
