/* SPDX-License-Identifier: Apache-2.0 */

/* Short histories, told one operation after the other, for stories.c. */

#ifndef GROVEFS_TESTS_SIM_STORY_H
#define GROVEFS_TESTS_SIM_STORY_H

#include "tests/sim/sim_history.h"

/* What is in it: files and a directory below the root. */
enum { STORY_A, STORY_B, STORY_D };
enum { STORY_INO_A = 10, STORY_INO_B = 11, STORY_NSID_D = 1024 };

struct story {
    struct sim_history history; /* sim_history_close() ends it */
    uint64_t now_ns;
};

/* Each adds an operation that has succeeded, after the last one, and returns
 * it, to be changed; valid until the next one is added. */
struct sim_op *story_tell(struct story *s, enum request_kind kind);
struct sim_op *story_create(struct story *s, uint8_t name, uint64_t ino,
                            unsigned flags);
/* Replaces the value by one piece, whose tag is that of the operation. */
struct sim_op *story_put(struct story *s, uint8_t name, uint64_t ino);
/* To file a, and where the piece has landed. */
struct sim_op *story_append(struct story *s, uint32_t offset);
/* Reads these pieces; 0 ends them. */
struct sim_op *story_get(struct story *s, uint8_t name, uint64_t ino,
                         const uint32_t *tags);
/* `ino` 0: not found. */
struct sim_op *story_lookup(struct story *s, uint8_t name, uint64_t ino);
struct sim_op *story_unlink(struct story *s, uint8_t name);
/* Directory d. */
struct sim_op *story_mkdir(struct story *s);
struct sim_op *story_rmdir(struct story *s);
/* File a to b. */
struct sim_op *story_rename(struct story *s, unsigned flags);
/* READDIR of the root; story_lists() adds what it has returned. */
struct sim_op *story_list(struct story *s, uint8_t behind, bool at_end);
void story_lists(struct sim_op *op, uint8_t name, uint64_t ino);
/* By the handle of file a. */
struct sim_op *story_on_a(struct story *s, enum request_kind kind);

/* The last operation and the one before it overlapped. */
void story_together(struct story *s);
/* How an operation has ended instead. */
struct sim_op *story_refused(struct sim_op *op, int status);
struct sim_op *story_unknown(struct sim_op *op);

#define GET(s, name, ino, ...)                                                 \
    story_get(s, name, ino, (const uint32_t[]){__VA_ARGS__, 0})

#endif
